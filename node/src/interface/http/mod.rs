//! HTTP: the API under `/api/v1`, for programs on this machine, and a page for people at `/`.
//!
//! ```text
//! listener (places, deadlines) -> compression -> envelope (id, rate, guard, headers) -> room -> routes -> application
//! ```
//!
//! # Security
//! It listens on loopback unless told otherwise. Against other web pages: the `Host` header must be this machine's own name
//! (DNS rebinding), and whatever changes something must not come from a page of another origin, and be JSON, which no form of
//! such a page can send unasked; only the calls of [`old`] programs take forms too. On any other address everything that
//! changes something needs the token.

mod answers;
mod conditional;
mod docs;
mod envelope;
mod events;
mod extract;
mod guard;
mod health;
mod home;
mod metrics;
mod old;
mod openapi;
mod page;
mod problem;
mod room;
mod routes;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::Method,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt, Full};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_http::compression::{
    CompressionLayer, Predicate,
    predicate::{NotForContentType, SizeAbove},
};
use utoipa_axum::router::OpenApiRouter;

use self::{envelope::Gate, problem::Problem, room::Rooms};
use crate::{
    application::Service,
    interface::client::InProcess,
    listener::{self, Limits},
};

/// What connections of the API may take.
const LIMITS: Limits = Limits {
    connections: 2_048,
    head: Duration::from_secs(10),
    head_bytes: 16 << 10,
    header_lines: 100,
    stall: Duration::from_secs(30),
    lifetime: None,
};
/// Shorter answers are not worth compressing, in bytes.
const COMPRESSED_FROM: u64 = 1024;
/// How much of a path an answer repeats, in characters.
const PATH_SHOWN: usize = 100;

/// Who may do what.
#[derive(Clone, Debug)]
pub struct Access {
    /// The token that changing requests must carry; `None` on loopback, if none was set.
    pub token: Option<String>,
    /// Where the API listens.
    pub address: SocketAddr,
}

/// Goes with requests of this process itself.
#[derive(Clone, Copy, Debug)]
struct OwnProcess;

/// The API, ready to be called: by who connects and by this process itself.
#[derive(Clone, Debug)]
pub struct Api(Router);

impl Api {
    /// The API of this service.
    pub fn new(service: Service, access: Access) -> Self {
        Self(router(service, access))
    }

    /// Serves who connects, until `stop`.
    ///
    /// # Errors
    /// Where the listener fails for good.
    pub async fn serve(self, tcp: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
        listener::serve(tcp, self.0, LIMITS, stop).await
    }

    /// For this process itself: no connection, and so none of the limits of connections.
    pub fn in_process(&self) -> InProcess {
        let service = self.0.clone().map_request(|mut request: axum::http::Request<Full<Bytes>>| {
            request.extensions_mut().insert(OwnProcess);
            request.map(Body::new)
        });
        let service =
            service.map_response(|response: Response| response.map(|body| body.map_err(Into::into).boxed_unsync()));
        BoxCloneSyncService::new(service)
    }
}

/// All routes, behind everything that stands before them.
fn router(service: Service, access: Access) -> Router {
    let (routes, document) = described(&access).split_for_parts();
    let small = SizeAbove::new(COMPRESSED_FROM).and(NotForContentType::const_new("text/event-stream"));
    let front = Front { service: service.clone(), gate: Gate::new(access), rooms: Rooms::new() };
    let before_all = ServiceBuilder::new()
        .map_response(conditional::tag_of_compressed)
        .layer(CompressionLayer::new().compress_when(small))
        .layer(Extension(docs::Document::new(document)))
        .layer(middleware::from_fn_with_state(Arc::new(front), stand_before));
    routes.fallback(unknown).method_not_allowed_fallback(wrong_method).layer(before_all).with_state(service)
}

/// What stands before all routes.
struct Front {
    service: Service,
    gate: Gate,
    rooms: Rooms,
}

/// Counts, checks and bounds a request and its answer: one layer, since each costs every request some allocations.
async fn stand_before(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    let routes = |request| next.run(request);
    let bounded = |request| room::bound(&front.rooms, request, routes);
    let enveloped = |request| front.gate.envelope(request, bounded);
    metrics::count(&front.service, request, enveloped).await
}

/// All routes with their description: what is not described is not served.
fn described(access: &Access) -> OpenApiRouter<Service> {
    OpenApiRouter::with_openapi(openapi::head())
        .merge(routes::api())
        .merge(events::routes())
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(old::router(access))
        .merge(docs::router())
        .merge(home::router(access))
        .merge(page::router())
}

/// A path, short enough to be repeated.
fn shown(path: &str) -> String {
    let short: String = path.chars().take(PATH_SHOWN).collect();
    if short.len() < path.len() { format!("{short}...") } else { short }
}

async fn unknown(request: Request) -> Problem {
    Problem::not_found(format!("there is nothing at {}", shown(request.uri().path())))
}

/// A method that a path does not have; axum adds what it has. Whoever asks what it has gets just that.
async fn wrong_method(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return axum::http::StatusCode::NO_CONTENT.into_response();
    }
    let path = shown(request.uri().path());
    Problem::wrong_method(format!("{} cannot be used on {path}", request.method())).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    pub(super) fn access() -> Access {
        Access { token: None, address: ([127, 0, 0, 1], 5000).into() }
    }

    /// The paths of all routes of a router, which it tells only to those who debug it; but for axum's own.
    fn paths_of(router: &Router<Service>) -> BTreeSet<String> {
        let text = format!("{router:?}");
        text.split('"')
            .skip(1)
            .step_by(2)
            .filter(|quoted| quoted.starts_with('/') && !quoted.contains("axum"))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn every_call_is_described() {
        let (routes, document) = described(&access()).split_for_parts();
        let served = paths_of(&routes);
        let document = docs::Document::new(document);
        let document: serde_json::Value = serde_json::from_slice(document.bytes()).expect("JSON");
        assert_eq!(document["openapi"], "3.1.0");
        let paths = document["paths"].as_object().expect("paths");
        assert_eq!(served, paths.keys().cloned().collect());
        assert!(served.contains("/api/v1/events") && served.contains("/add_block"), "{served:?}");
        let mut ids = BTreeSet::new();
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().expect("operations") {
                let called = format!("{method} {path}");
                for field in ["summary", "operationId"] {
                    assert!(operation[field].as_str().is_some_and(|text| !text.is_empty()), "{called}: {field}");
                }
                assert!(ids.insert(operation["operationId"].to_string()), "{called}: its id is another's");
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    assert!(parameter["description"].is_string(), "{called}: {parameter}");
                }
                let responses = operation["responses"].as_object().expect("responses");
                assert!(responses.keys().any(|status| status.starts_with('2')), "{called}");
                assert!(responses.contains_key("400") && responses.contains_key("503"), "{called}");
                for parameter in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                    let all = operation["parameters"].as_array().expect("parameters");
                    assert!(all.iter().any(|one| one["name"] == parameter && one["in"] == "path"), "{called}");
                }
            }
        }
    }

    #[test]
    fn long_paths_are_cut() {
        assert_eq!(shown("/a"), "/a");
        assert_eq!(shown(&"x".repeat(5000)), format!("{}...", "x".repeat(PATH_SHOWN)));
    }
}
