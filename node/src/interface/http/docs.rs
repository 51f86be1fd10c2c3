//! `/openapi.json`, and a page that shows it and tries the calls. It needs nothing from elsewhere.

use axum::{
    Extension,
    body::Bytes,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::openapi;
use crate::application::Service;

const PAGE: &str = include_str!("docs_page/index.html");
const SCRIPT: &str = include_str!("docs_page/page.js");
const STYLE: &str = include_str!("docs_page/page.css");

/// What the page may do: run its own script, show its own style, call this node.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The document, written once.
#[derive(Clone)]
pub(super) struct Document(Bytes);

impl Document {
    pub(super) fn new(mut document: OpenApi) -> Self {
        openapi::complete(&mut document);
        // Nothing in it can fail to be written.
        Self(serde_json::to_vec(&document).unwrap_or_default().into())
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(document)).routes(routes!(page)).routes(routes!(script)).routes(routes!(style))
}

fn file(content: impl IntoResponse, kind: &'static str) -> Response {
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "docs", responses((status = 200, description = "OpenAPI 3.1.",
    content_type = "application/json", body = serde_json::Value)))]
async fn document(Extension(Document(bytes)): Extension<Document>) -> Response {
    file(bytes, "application/json")
}

/// A page to read this document and try the calls
#[utoipa::path(get, path = "/docs", tag = "docs", responses((status = 200, description = "The page.",
    content_type = "text/html", body = String)))]
async fn page() -> Response {
    file(PAGE, "text/html; charset=utf-8")
}

/// The script of the page
#[utoipa::path(get, path = "/docs/page.js", tag = "docs", responses((status = 200, description = "The script.",
    content_type = "text/javascript", body = String)))]
async fn script() -> Response {
    file(SCRIPT, "text/javascript; charset=utf-8")
}

/// The style of the page
#[utoipa::path(get, path = "/docs/page.css", tag = "docs", responses((status = 200, description = "The style.",
    content_type = "text/css", body = String)))]
async fn style() -> Response {
    file(STYLE, "text/css; charset=utf-8")
}
