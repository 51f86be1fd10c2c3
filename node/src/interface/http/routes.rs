//! The routes. Each turns a request into a [`Command`] and its reply into JSON; nothing is decided here.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bard_chain::units::{Amount, Height};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Access, events, guard, health, metrics, problem::Problem};
use crate::{
    application::{BlockChoice, Command, Service},
    interface::view,
};

/// The longest body, in bytes: room for any transaction with its JSON around it.
const MAX_BODY: usize = 1 << 20;
/// How long a request may take to send its body.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// Blocks in one answer that does not say how many it wants.
const DEFAULT_PAGE: usize = 20;
/// Blocks in one answer at most: with the largest blocks still a few hundred megabytes less than a node may hold.
const MAX_PAGE: usize = 100;

type Answer = Result<Response, Problem>;

/// All routes, behind the guard.
pub(super) fn router(service: Service, access: Access) -> Router {
    let api = Router::new()
        .route("/node", get(node))
        .route("/status", get(status))
        .route("/blocks", get(blocks))
        .route("/blocks/{id}", get(block))
        .route("/mine", post(mine))
        .route("/peers", get(peers).post(add_peer))
        .route("/pool", get(pool))
        .route("/wallet/transfer", post(transfer));
    Router::new()
        .merge(metrics::routes())
        .merge(health::routes())
        .nest("/api/v1", api.merge(events::routes()))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(access, guard::guard))
        .layer(middleware::from_fn_with_state(service.clone(), metrics::count))
        .with_state(service)
}

async fn execute(service: &Service, command: Command) -> Result<Value, Problem> {
    let reply = service.execute(command).await?;
    Ok(view::json::reply(&reply, service.wallet()))
}

async fn answer(service: &Service, command: Command) -> Answer {
    Ok(Json(execute(service, command).await?).into_response())
}

async fn unknown(request: Request) -> Problem {
    let detail = format!("there is nothing at {}", request.uri().path());
    Problem::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
}

async fn wrong_method(request: Request) -> Problem {
    let detail = format!("{} cannot be used on {}", request.method(), request.uri().path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "The method does not fit", detail)
}

async fn node(State(service): State<Service>) -> Answer {
    answer(&service, Command::Node).await
}

async fn status(State(service): State<Service>) -> Answer {
    answer(&service, Command::Status).await
}

async fn peers(State(service): State<Service>) -> Answer {
    answer(&service, Command::Peers).await
}

async fn pool(State(service): State<Service>) -> Answer {
    answer(&service, Command::Pool).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    from: Option<u64>,
    limit: Option<usize>,
}

async fn blocks(
    State(service): State<Service>,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let Query(page) = page.map_err(|error| Problem::malformed(error.body_text()))?;
    let limit = page.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Problem::malformed(format!("limit: {limit} is not in 1 to {MAX_PAGE}")));
    }
    let from = Some(Height::new(page.from.unwrap_or(0)));
    answer(&service, Command::Blocks { from, limit }).await
}

async fn block(State(service): State<Service>, Path(id): Path<String>) -> Answer {
    // The hash before the height: one that begins with many zeros could pass for a small number.
    let block = match (id.as_str(), id.parse(), id.parse::<u64>()) {
        ("tip", ..) => BlockChoice::Tip,
        (_, Ok(id), _) => BlockChoice::Id(id),
        (.., Ok(height)) => BlockChoice::Height(Height::new(height)),
        _ => return Err(Problem::malformed(format!("{id:?} is neither a height, nor a block hash, nor tip"))),
    };
    answer(&service, Command::Block { block }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mine {
    #[serde(default = "one")]
    blocks: u32,
    #[serde(default)]
    data: Value,
}

const fn one() -> u32 {
    1
}

async fn mine(State(service): State<Service>, Body(mine): Body<Mine>) -> Answer {
    let data = match mine.data {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    answer(&service, Command::Mine { blocks: mine.blocks, data }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPeer {
    address: String,
}

async fn add_peer(State(service): State<Service>, Body(peer): Body<NewPeer>) -> Answer {
    let connected = execute(&service, Command::Connect { address: peer.address }).await?;
    Ok((StatusCode::CREATED, Json(connected)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transfer {
    from: Option<String>,
    to: String,
    amount: u64,
    #[serde(default)]
    fee: u64,
}

async fn transfer(State(service): State<Service>, Body(transfer): Body<Transfer>) -> Answer {
    let Transfer { from, to, amount, fee } = transfer;
    let command = Command::Send { from, to, amount: Amount::new(amount), fee: Amount::new(fee) };
    let admitted = execute(&service, command).await?;
    let first = admitted.pointer("/transactions/0").cloned().unwrap_or(Value::Null);
    Ok((StatusCode::CREATED, Json(first)).into_response())
}

/// A JSON body: its type, its size, its time and its fields are checked, each with an error that says what was wrong.
struct Body<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|text| {
                text.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
            });
        if !is_json {
            let detail = "the body must be JSON, with the header `Content-Type: application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "Not JSON", detail));
        }
        let announced =
            request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: u64| length > MAX_BODY as u64) {
            return Err(too_large());
        }
        let body = tokio::time::timeout(BODY_DEADLINE, axum::body::Bytes::from_request(request, state)).await;
        let bytes = body
            .map_err(|_| {
                let detail = format!("the body did not arrive within {} s", BODY_DEADLINE.as_secs());
                Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "Too slow", detail)
            })?
            .map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => too_large(),
                _ => Problem::malformed(rejection.body_text()),
            })?;
        // A list would be taken for the fields in their order.
        if !bytes.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::malformed("the body must be a JSON object"));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Problem::malformed(error.to_string()))
    }
}

fn too_large() -> Problem {
    let detail = format!("the body has more than {MAX_BODY} bytes");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", detail)
}
