//! Errors as RFC 9457 problem details.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::application::{Failure, service::FailureKind};

/// What every type of problem begins with.
const TYPE_PREFIX: &str = "urn:blockbard:problem:";

/// A problem, as in RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Which problem it is: stable, for programs.
    #[serde(rename = "type", serialize_with = "with_prefix")]
    #[schema(value_type = String, pattern = "^urn:blockbard:problem:[a-z-]+$")]
    kind: &'static str,
    /// The problem in a few words; the same for all of a type.
    title: &'static str,
    /// The status of the answer.
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = u16, minimum = 400, maximum = 599)]
    status: StatusCode,
    /// What exactly was wrong, with the name of the field; one line for a person.
    detail: String,
}

fn with_prefix<S: serde::Serializer>(kind: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{TYPE_PREFIX}{kind}"))
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, title, status, detail: detail.into() }
    }

    pub(super) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", "The request is malformed", detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    pub(super) fn wrong_method(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "The method does not fit", detail)
    }

    pub(super) fn media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "The content type does not fit", detail)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let detail = format!("the body has more than {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", detail)
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible now", detail)
    }

    pub(super) fn forbidden(kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, kind, title, detail)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure.kind {
            FailureKind::Malformed => Self::malformed(failure.message),
            FailureKind::NotFound => Self::not_found(failure.message),
            FailureKind::NotHeld => {
                Self::new(StatusCode::NOT_FOUND, "not-held", "This node does not have it", failure.message)
            }
            FailureKind::Conflict => {
                Self::new(StatusCode::CONFLICT, "conflict", "It contradicts the state of the chain", failure.message)
            }
            FailureKind::FeeTooLow => {
                Self::new(StatusCode::CONFLICT, "fee-too-low", "The fee is too low to replace another", failure.message)
            }
            FailureKind::PoolFull => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "pool-full", "The pool is full", failure.message)
            }
            FailureKind::Invalid => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "It breaks a rule", failure.message)
            }
            FailureKind::Locked => Self::forbidden("locked", "The keys are locked", failure.message),
            FailureKind::Unavailable | FailureKind::Internal => Self::unavailable(failure.message),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        // Nothing in a problem can fail to be written.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // What is left of the body is not waited for.
            StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
