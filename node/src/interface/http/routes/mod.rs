//! The routes. Each turns a request into a [`Command`] and its reply into JSON; nothing is decided here.

#![allow(unused_qualifications, reason = "written so by the macros that describe the calls")]

mod accounts;
mod bans;
mod blocks;
mod chain;
mod items;
mod node;
mod proofs;
mod records;
mod transactions;
mod wallet;

use axum::{
    Json,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
};
use utoipa_axum::router::OpenApiRouter;

use super::{envelope, problem::Problem};
use crate::{
    application::{Command, Reply, Service},
    interface::view,
};

/// Entries of one page that does not say how many it wants.
const DEFAULT_PAGE: usize = 20;
/// Entries of one page at most.
const MAX_PAGE: usize = 100;

type Answer = Result<Response, Problem>;

/// All calls of `/api/v1` but the events.
pub(super) fn api() -> OpenApiRouter<Service> {
    let timed = OpenApiRouter::new()
        .merge(node::router())
        .merge(bans::router())
        .merge(blocks::router())
        .merge(chain::router())
        .merge(transactions::router())
        .merge(accounts::router())
        .merge(items::router())
        .merge(proofs::router())
        .merge(records::router())
        .merge(wallet::router())
        .layer(middleware::from_fn(envelope::deadline));
    // These last for as long as somebody waits for them.
    timed.merge(node::patient())
}

async fn answer(service: &Service, command: Command) -> Answer {
    Ok(json(service, StatusCode::OK, &service.execute(command).await?))
}

fn json(service: &Service, status: StatusCode, reply: &Reply) -> Response {
    (status, Json(view::json::reply(reply, service.wallet()))).into_response()
}
