//! Answers in the forms that the old programs gave them.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{
    body::{Asked, Unread},
    shown::OldRefusal,
};
use crate::application::{Failure, service::FailureKind};

/// What a call comes to.
pub(super) type Answer = Result<Response, Refusal>;

/// A refusal: its status, and its body as one of the old programs would have had it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Refused,
}

#[derive(Debug)]
enum Refused {
    Json(Box<OldRefusal>),
    Text(String),
}

impl Refusal {
    /// 400 with `error`, as BlockBard and its relative with a menu said it, and `message`: what exactly was wrong.
    pub(super) fn error(error: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, message)
    }

    /// 400 with `message`, as the prototype said it, and `error`: what exactly was wrong.
    pub(super) fn message(message: &str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, message)
    }

    fn new(status: StatusCode, error: impl Into<String>, message: impl Into<String>) -> Self {
        let (error, message) = (error.into(), message.into());
        Self::of(status, OldRefusal { error, message, details: None, resolve_response: None })
    }

    /// Any status and body.
    pub(super) fn of(status: StatusCode, body: OldRefusal) -> Self {
        Self { status, body: Refused::Json(Box::new(body)) }
    }

    /// 400 with a plain text, as the prototype said some things.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, body: Refused::Text(text.into()) }
    }

    /// 405.
    pub(super) fn method() -> Self {
        let what = "the method does not fit";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, what, what)
    }

    /// The same refusal of what the request asks for, with another first line, or, where the node is the reason, as it is.
    pub(super) fn titled(failure: Failure, field: &'static str, title: &str) -> Self {
        match Self::status_of(&failure) {
            StatusCode::BAD_REQUEST if field == "error" => Self::error(title, failure.message),
            StatusCode::BAD_REQUEST => Self::message(title, failure.message),
            _ => failure.into(),
        }
    }

    fn status_of(failure: &Failure) -> StatusCode {
        match failure.kind {
            FailureKind::PoolFull | FailureKind::NotHeld | FailureKind::Unavailable | FailureKind::Internal => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            FailureKind::Locked => StatusCode::FORBIDDEN,
            FailureKind::Malformed
            | FailureKind::NotFound
            | FailureKind::Conflict
            | FailureKind::FeeTooLow
            | FailureKind::Invalid => StatusCode::BAD_REQUEST,
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let status = Self::status_of(&failure);
        Self::new(status, failure.message.clone(), failure.message)
    }
}

impl From<Unread> for Refusal {
    fn from(unread: Unread) -> Self {
        Self::new(unread.status, unread.what.clone(), unread.what)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self.body {
            Refused::Json(body) => (self.status, Json(body)).into_response(),
            Refused::Text(text) => (self.status, text).into_response(),
        }
    }
}

/// A good answer: the page again for a form that a browser sent, JSON for everybody else.
pub(super) fn done(asked: &Asked, status: StatusCode, body: impl Serialize) -> Response {
    if asked.wants_page { to_page() } else { (status, Json(body)).into_response() }
}

/// Back to the page.
pub(super) fn to_page() -> Response {
    (StatusCode::FOUND, [(header::LOCATION, HeaderValue::from_static("/"))]).into_response()
}
