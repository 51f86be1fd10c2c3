//! `GET /metrics`, and counting what the server itself answers.

#![allow(unused_qualifications, reason = "written so by the macros that describe the calls")]

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Response},
};
use tokio::time::Instant;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{application::Service, metrics::plain};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The route.
pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Metrics
///
/// OpenMetrics for whoever asks for it, as Prometheus does; the older text for people and tools that ask for nothing.
#[utoipa::path(get, path = "/metrics", tag = "node",
    responses((status = 200, description = "The metrics.",
        content((String = "application/openmetrics-text"), (String = "text/plain")))))]
async fn metrics(State(service): State<Service>, headers: HeaderMap) -> Response {
    let wanted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let open = wanted.to_ascii_lowercase().contains("application/openmetrics-text");
    // It may wait for the disk, for the header of the tip.
    let text = tokio::task::spawn_blocking(move || service.metrics().open_metrics()).await.unwrap_or_default();
    let (kind, text) = if open { (OPEN_METRICS, text) } else { (PLAIN, plain(&text)) };
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// Counts an answer under the template of its route; what has none is one series.
pub(super) async fn count<F: Future<Output = Response>>(
    service: &Service,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let began = Instant::now();
    let response = next(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    service.metrics().api.answered(method, route, response.status().as_u16(), began.elapsed());
    response
}

/// A method as a label; those that nobody needs are one.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
