//! The chain's specification.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::IntoResponse,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, json};
use crate::{
    application::{Command, Reply, Service},
    interface::{http::extract::Query, view},
};

/// The media type of TOML (RFC 9618).
const TOML: &str = "application/toml";

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(spec))
}

/// How the specification is written.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Toml,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Written {
    /// How it is written; if left out, as the `Accept` header wants it, else JSON.
    #[param(inline)]
    format: Option<Format>,
}

/// The numbers of the chain
///
/// As TOML it is a file that `bard node --chain FILE` follows.
#[utoipa::path(get, path = "/api/v1/chain/spec", tag = "chain", params(Written),
    responses((status = 200, description = "The specification.",
        content((view::json::Spec = "application/json"), (String = "application/toml")))))]
async fn spec(State(service): State<Service>, Query(written): Query<Written>, headers: HeaderMap) -> Answer {
    let reply = service.execute(Command::Spec).await?;
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let toml = written.format.map_or_else(|| accepted.contains(TOML), |format| format == Format::Toml);
    match &reply {
        Reply::Spec(spec) if toml => {
            let kind = HeaderValue::from_static(TOML);
            Ok(([(header::CONTENT_TYPE, kind)], spec.to_toml()).into_response())
        }
        _ => Ok(json(&service, axum::http::StatusCode::OK, &reply)),
    }
}
