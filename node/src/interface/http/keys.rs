//! The node's keys: their names and addresses, never their secrets.

use axum::{
    Json, Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use super::{
    old::body::{self, Unread},
    problem::Problem,
};
use crate::{
    application::{Command, Service},
    interface::view,
};

/// `GET` and `POST /api/v1/wallet/keys`.
pub(super) fn router() -> Router<Service> {
    Router::new().route("/api/v1/wallet/keys", get(list).post(create))
}

async fn list(State(service): State<Service>) -> Json<Value> {
    let key = |(name, address): &(String, bard_chain::address::Address)| json!({ "name": name, "address": address.to_string() });
    Json(json!({ "keys": service.wallet().names().iter().map(key).collect::<Vec<_>>() }))
}

async fn create(State(service): State<Service>, request: Request) -> Result<Response, Problem> {
    let is_json = body::kind(request.headers()) == body::Kind::Json;
    if !is_json {
        return Err(problem(Unread::media_type()));
    }
    let body = body::read(request).await.map_err(problem)?;
    let fields: Value = serde_json::from_slice(&body).map_err(|error| Problem::malformed(error.to_string()))?;
    let fields = fields.as_object().ok_or_else(|| Problem::malformed("the body must be a JSON object"))?;
    if let Some(unknown) = fields.keys().find(|name| *name != "name") {
        return Err(Problem::malformed(format!("unknown field {unknown:?}, expected name")));
    }
    let name = fields.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| Problem::malformed("name: a text is expected"))?.to_owned();
    let reply = service.execute(Command::NewKey { name }).await?;
    Ok((StatusCode::CREATED, Json(view::json::reply(&reply, service.wallet()))).into_response())
}

fn problem(unread: Unread) -> Problem {
    let (kind, title) = match unread.status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("media-type", "Not JSON"),
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "Too large"),
        StatusCode::REQUEST_TIMEOUT => ("timeout", "Too slow"),
        _ => ("malformed", "The request is malformed"),
    };
    Problem::new(unread.status, kind, title, unread.what)
}
