//! `GET /healthz` and `GET /readyz`: each rule with its value, and a status for what looks at nothing else.

#![allow(unused_qualifications, reason = "written so by the macros that describe the calls")]

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    application::{
        Service,
        health::{alive, ready},
    },
    interface::view::health_json::{Health, HealthStatus},
};

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// Whether the node is alive
#[utoipa::path(get, path = "/healthz", tag = "node",
    responses((status = 200, description = "It is.", body = Health),
        (status = 503, description = "Something in it does not answer.", body = Health)))]
async fn healthz(State(service): State<Service>) -> Response {
    answer(Health::new(&alive(&service).await, HealthStatus::Ok, HealthStatus::Stuck))
}

/// Whether the node is synced and connected as configured
#[utoipa::path(get, path = "/readyz", tag = "node",
    responses((status = 200, description = "It is.", body = Health),
        (status = 503, description = "It is not, or not yet.", body = Health)))]
async fn readyz(State(service): State<Service>) -> Response {
    answer(Health::new(&ready(&service), HealthStatus::Ready, HealthStatus::NotReady))
}

fn answer(health: Health) -> Response {
    let status = if health.is_good() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}
