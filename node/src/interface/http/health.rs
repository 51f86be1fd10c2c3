//! `GET /healthz` and `GET /readyz`: each rule with its value, and a status for what looks at nothing else.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use crate::application::{
    Service,
    health::{Rule, alive, ready},
};

/// The routes.
pub(super) fn routes() -> Router<Service> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

async fn healthz(State(service): State<Service>) -> Response {
    answer(&alive(&service).await, "ok", "stuck")
}

async fn readyz(State(service): State<Service>) -> Response {
    answer(&ready(&service), "ready", "not ready")
}

fn answer(rules: &[Rule], good: &str, bad: &str) -> Response {
    let holds = rules.iter().all(|rule| rule.holds);
    let rule = |rule: &Rule| json!({ "rule": rule.name, "ok": rule.holds, "value": rule.value, "limit": rule.limit });
    let rules: Vec<Value> = rules.iter().map(rule).collect();
    let status = if holds { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "status": if holds { good } else { bad }, "rules": rules }))).into_response()
}
