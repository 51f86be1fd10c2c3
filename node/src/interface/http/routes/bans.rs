//! Who is not spoken to.

use axum::{extract::State, http::StatusCode, response::IntoResponse};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, answer, json};
use crate::{
    application::{Command, Service},
    interface::{
        http::extract::{Body, NoQuery, Query, Segment},
        view::{self, json::NewBan},
    },
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(bans, ban, lift_bans)).routes(routes!(lift_ban))
}

/// Whose ban is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// The id of a peer; all bans if left out.
    peer: Option<String>,
}

/// The bans that hold
///
/// They outlive a restart.
#[utoipa::path(get, path = "/api/v1/bans", tag = "node",
    responses((status = 200, description = "The bans, by peer.", body = view::json::Bans)))]
async fn bans(State(service): State<Service>, _: NoQuery) -> Answer {
    answer(&service, Command::Bans).await
}

/// Ban a peer, or change its ban
///
/// Its connections are closed, and neither end gets another before the ban ends. A ban is of a peer and not of its address,
/// which others may share.
#[utoipa::path(post, path = "/api/v1/bans", tag = "node", request_body = NewBan,
    responses((status = 201, description = "It is banned.", body = view::json::Ban)))]
async fn ban(State(service): State<Service>, Body(new): Body<NewBan>) -> Answer {
    let NewBan { peer, seconds, reason } = new;
    let banned = service.execute(Command::Ban { peer, seconds, reason }).await?;
    Ok(json(&service, StatusCode::CREATED, &banned))
}

/// End all bans, or one
#[utoipa::path(delete, path = "/api/v1/bans", tag = "node", params(Whose),
    responses(
        (status = 200, description = "They are ended.", body = view::json::Lifted),
        (status = 404, description = "That peer is not banned.", body = crate::interface::http::problem::Problem,
            content_type = "application/problem+json")))]
async fn lift_bans(State(service): State<Service>, Query(whose): Query<Whose>) -> Answer {
    answer(&service, Command::LiftBans { peer: whose.peer }).await
}

/// End the ban of a peer
#[utoipa::path(delete, path = "/api/v1/bans/{id}", tag = "node",
    params(("id" = String, Path, description = "Its id in the network.")),
    responses((status = 204, description = "It is ended.")))]
async fn lift_ban(State(service): State<Service>, Segment(peer): Segment, _: NoQuery) -> Answer {
    service.execute(Command::LiftBans { peer: Some(peer) }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
