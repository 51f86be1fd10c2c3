//! Errors as RFC 9457 problem details.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::application::{Failure, service::FailureKind};

/// A problem: status, stable type, title, and what exactly was wrong.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
}

impl Problem {
    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "The request is malformed", detail)
    }

    pub(super) fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, title, detail: detail.into() }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let (status, kind, title) = match failure.kind {
            FailureKind::Malformed => (StatusCode::BAD_REQUEST, "malformed", "The request is malformed"),
            FailureKind::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is no such thing"),
            FailureKind::Conflict => (StatusCode::CONFLICT, "conflict", "It contradicts the state of the chain"),
            FailureKind::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "It breaks a rule"),
            FailureKind::Unavailable | FailureKind::Internal => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible now")
            }
        };
        Self::new(status, kind, title, failure.message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("urn:blockbard:problem:{}", self.kind),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let content_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    }
}
