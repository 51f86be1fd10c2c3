//! The calls of the tracker, as the program had them that BlockBard replaces, and what they answer.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Extension, Json, Router,
    body::{Body, to_bytes},
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bard_protocol::meeting_point::MeetingPointHandle;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    address,
    registry::{Announcement, Listed, MAX_ADDRESSES, Registry, TTL},
};
use crate::listener::{Rates, Source, is_own_name, other_page};

/// The longest body, in bytes: eight addresses of the longest kind, and room.
const MAX_BODY: usize = 16 << 10;
/// How long a request may take to send its body.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Requests of one address at once, and then so many each second: more than any node needs.
const BURST: u64 = 60;
const PER_SECOND: u64 = 20;

/// What all requests share.
#[derive(Clone)]
pub(super) struct Tracker {
    registry: Arc<Mutex<Registry>>,
    rates: Arc<Mutex<Rates>>,
    started: Instant,
    point: MeetingPointHandle,
    /// Whether only this machine reaches it.
    is_local: bool,
}

/// A refusal: its status and one line.
struct Refusal(StatusCode, String);

type Answer = Result<Json<Value>, Refusal>;

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

fn malformed(what: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, what.into())
}

impl Tracker {
    /// Nobody is registered yet. The libp2p half is only named to those who ask. `is_local`: only this machine reaches it.
    pub(super) fn new(point: MeetingPointHandle, is_local: bool) -> Self {
        let rates = Arc::new(Mutex::new(Rates::new(BURST, PER_SECOND)));
        Self { registry: Arc::default(), rates, started: Instant::now(), point, is_local }
    }

    /// All calls. Each request carries its [`Source`].
    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/", get(about))
            .route("/peers", get(peers))
            .route("/register", post(register))
            .route("/unregister", post(unregister))
            .fallback(unknown)
            .method_not_allowed_fallback(wrong_method)
            .layer(middleware::from_fn_with_state(self.clone(), guard))
            .layer(middleware::from_fn_with_state(self.clone(), limit))
            .with_state(self)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Registry, Duration) -> T) -> T {
        // Nothing that is done under the lock waits, and none of it leaves the table half changed.
        act(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner), self.now())
    }

    fn list(&self, asker: IpAddr, chain: Option<&str>) -> (Vec<String>, Vec<Listed>) {
        let nodes = self.with(|registry, now| registry.list(asker, chain, now));
        (nodes.iter().map(|node| node.address.clone()).collect(), nodes)
    }
}

async fn limit(
    State(tracker): State<Tracker>,
    Extension(Source(source)): Extension<Source>,
    request: Request,
    next: Next,
) -> Response {
    let allowed = tracker.rates.lock().unwrap_or_else(PoisonError::into_inner).allow(source, tracker.now());
    if !allowed {
        let what = "too many requests from this address, wait a second";
        return Refusal(StatusCode::TOO_MANY_REQUESTS, what.to_owned()).into_response();
    }
    next.run(request).await
}

/// What comes from this machine may do more than what strangers send; a page that is open here is a stranger's all the same.
async fn guard(State(tracker): State<Tracker>, request: Request, next: Next) -> Response {
    let host = header_text(request.headers(), header::HOST);
    if tracker.is_local && !is_own_name(host) {
        let what = format!("this tracker answers to localhost and its own address only, not to {host:?}");
        return Refusal(StatusCode::FORBIDDEN, what).into_response();
    }
    if let Some(other) = other_page(request.headers()).filter(|_| !request.method().is_safe()) {
        return Refusal(StatusCode::FORBIDDEN, format!("a page of {other} may not change anything here"))
            .into_response();
    }
    next.run(request).await
}

async fn about(State(tracker): State<Tracker>) -> Json<Value> {
    let endpoint = |method, path, description| json!({ "method": method, "path": path, "description": description });
    Json(json!({
        "endpoints": [
            endpoint("GET", "/", "What this is"),
            endpoint("GET", "/peers", "Peers that are registered; ?chain=ID for those of one chain"),
            endpoint("POST", "/register", "Register a peer, or renew that"),
            endpoint("POST", "/unregister", "Take a registration back"),
        ],
        "multiaddrs": tracker.point.listen_addresses().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "peer_count": tracker.with(Registry::count),
        "peer_id": tracker.point.peer_id().to_string(),
        "service": "BlockBard Tracker",
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
    }))
}

#[derive(Deserialize)]
struct Filter {
    chain: Option<String>,
}

async fn peers(
    State(tracker): State<Tracker>,
    Extension(Source(source)): Extension<Source>,
    filter: Result<Query<Filter>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let Query(filter) = filter.map_err(|error| malformed(error.body_text()))?;
    let chain = filter.chain.as_deref().map(chain_id).transpose()?;
    let (peers, nodes) = tracker.list(source, chain.as_deref());
    Ok(Json(json!({ "nodes": nodes, "peers": peers })))
}

async fn register(
    State(tracker): State<Tracker>,
    Extension(Source(source)): Extension<Source>,
    request: Request,
) -> Answer {
    let announced = announcement(&body(request).await?, source)?;
    let chain = announced.chain.clone();
    tracker.with(|registry, now| registry.register(announced, source, now));
    let (peers, nodes) = tracker.list(source, chain.as_deref());
    let message = "Registration successful";
    Ok(Json(json!({ "message": message, "nodes": nodes, "peers": peers, "ttl_s": TTL.as_secs() })))
}

async fn unregister(
    State(tracker): State<Tracker>,
    Extension(Source(source)): Extension<Source>,
    request: Request,
) -> Answer {
    let announced = announcement(&body(request).await?, source)?;
    tracker.with(|registry, _| registry.unregister(&announced.address, source));
    let (peers, _) = tracker.list(source, announced.chain.as_deref());
    Ok(Json(json!({ "message": "Unregistration successful", "peers": peers })))
}

async fn unknown(request: Request) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, format!("there is nothing at {}", request.uri().path()))
}

async fn wrong_method(request: Request) -> Refusal {
    let what = format!("{} cannot be used on {}", request.method(), request.uri().path());
    Refusal(StatusCode::METHOD_NOT_ALLOWED, what)
}

/// The body as JSON. It has to say that it is: no page of another site can send that unasked.
async fn body(request: Request) -> Result<Value, Refusal> {
    let (head, body) = request.into_parts();
    let announced = header_text(&head.headers, header::CONTENT_LENGTH).parse::<u64>();
    let kind = header_text(&head.headers, header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(malformed("the header `Content-Type: application/json` is missing"));
    }
    if announced.is_ok_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    let bytes = tokio::time::timeout(BODY_DEADLINE, read(body))
        .await
        .map_err(|_| Refusal(StatusCode::REQUEST_TIMEOUT, "the body did not come in time".to_owned()))?
        .ok_or_else(too_large)?;
    serde_json::from_slice(&bytes).map_err(|error| malformed(format!("the body is not JSON: {error}")))
}

fn header_text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn too_large() -> Refusal {
    Refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {MAX_BODY} bytes"))
}

/// The bytes of a body; `None` where they are too many, or stop coming.
async fn read(body: Body) -> Option<axum::body::Bytes> {
    to_bytes(body, MAX_BODY).await.ok()
}

fn announcement(body: &Value, source: IpAddr) -> Result<Announcement, Refusal> {
    let fields = body.as_object().ok_or_else(|| malformed("a JSON object is expected"))?;
    let text = match fields.get("address") {
        None | Some(Value::Null) => return Err(malformed("Peer address required")),
        Some(Value::String(text)) if text.is_empty() => return Err(malformed("Peer address required")),
        Some(Value::String(text)) => text,
        Some(_) => return Err(malformed("address: a text is expected")),
    };
    let address = address::reachable(text, source).map_err(|what| malformed(format!("address: {what}")))?;
    let chain = match fields.get("chain") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(chain_id(text)?),
        Some(_) => return Err(malformed("chain: 64 hex digits are expected")),
    };
    let mut addresses = Vec::new();
    for one in list(fields.get("addresses"))? {
        let text = one.as_str().ok_or_else(|| malformed("addresses: a list of texts is expected"))?;
        let node = address::reachable_node(text, source).map_err(|what| malformed(format!("addresses: {what}")))?;
        // Two that were told apart by interfaces that others do not see.
        if !addresses.contains(&node) {
            addresses.push(node);
        }
    }
    Ok(Announcement { address, addresses, chain })
}

fn list(value: Option<&Value>) -> Result<&[Value], Refusal> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) if list.len() <= MAX_ADDRESSES => Ok(list),
        Some(Value::Array(_)) => Err(malformed(format!("addresses: at most {MAX_ADDRESSES} are allowed"))),
        Some(_) => Err(malformed("addresses: a list of texts is expected")),
    }
}

fn chain_id(text: &str) -> Result<String, Refusal> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(malformed("chain: 64 hex digits are expected"))
    }
}
