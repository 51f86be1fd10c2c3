//! Bodies: JSON, and forms as browsers send them.

use std::time::Duration;

use axum::{
    body::to_bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use serde_json::{Map, Value};

use super::answer::Refusal;
use crate::interface::http::room::NoRoom;

/// The longest body, in bytes: any record, and a block of such size that it can be told which one is meant.
const MAX_BODY: usize = 1 << 20;
/// How long a body may take to come.
const DEADLINE: Duration = Duration::from_secs(10);
/// Fields of a form that are read; no call has so many.
const MAX_FIELDS: usize = 1_000;

/// Of what type a body says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::interface::http) enum Kind {
    Json,
    Form,
    Other,
    /// It says nothing.
    Unsaid,
}

/// Why a body was not read: the status, and one line.
#[derive(Debug)]
pub(in crate::interface::http) struct Unread {
    pub(in crate::interface::http) status: StatusCode,
    pub(in crate::interface::http) what: String,
}

impl Unread {
    /// The body is neither JSON nor, where forms are taken, a form.
    pub(in crate::interface::http) fn media_type() -> Self {
        let what = "the body must be JSON, with the header `Content-Type: application/json`";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, what)
    }

    fn new(status: StatusCode, what: impl Into<String>) -> Self {
        Self { status, what: what.into() }
    }
}

/// What a request asks for.
#[derive(Debug)]
pub(super) struct Asked {
    /// The body as JSON: a form is an object of texts, a field that comes more than once a list of them, no body an empty
    /// object.
    pub(super) fields: Value,
    /// Whether a person at a browser sent a form and waits for the page.
    pub(super) wants_page: bool,
}

impl Asked {
    /// A field, unless it is missing, null or an empty text.
    pub(super) fn given(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// The first of these fields that is there.
    pub(super) fn given_as(&self, names: &[&str]) -> Option<&Value> {
        names.iter().find_map(|name| self.given(name))
    }
}

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let kind = kind(request.headers());
        let accepts = request.headers().get_all(header::ACCEPT).iter();
        let html = accepts.filter_map(|value| value.to_str().ok()).any(|text| text.contains("text/html"));
        let bytes = read(request).await?;
        let fields = match kind {
            Kind::Json => json(&bytes)?,
            Kind::Form => form(&bytes)?,
            Kind::Unsaid if bytes.is_empty() => Value::Object(Map::new()),
            Kind::Unsaid | Kind::Other => return Err(Unread::media_type().into()),
        };
        Ok(Self { fields, wants_page: html && kind == Kind::Form })
    }
}

/// Of what type the body says it is.
pub(in crate::interface::http) fn kind(headers: &HeaderMap) -> Kind {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Kind::Unsaid };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match essence {
        _ if essence.eq_ignore_ascii_case("application/json") => Kind::Json,
        _ if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") => Kind::Form,
        _ => Kind::Other,
    }
}

/// Reads a body, no longer and for no longer than it may be.
pub(in crate::interface::http) async fn read(request: Request) -> Result<axum::body::Bytes, Unread> {
    let too_large = || Unread::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {MAX_BODY} bytes"));
    let (head, body) = request.into_parts();
    let announced = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    let late = |_| {
        let what = format!("the body did not arrive within {} s", DEADLINE.as_secs());
        Unread::new(StatusCode::REQUEST_TIMEOUT, what)
    };
    tokio::time::timeout(DEADLINE, to_bytes(body, MAX_BODY)).await.map_err(late)?.map_err(|error| {
        let full = || Unread::new(StatusCode::SERVICE_UNAVAILABLE, NoRoom.to_string());
        if NoRoom::is_cause_of(&error) { full() } else { too_large() }
    })
}

fn json(bytes: &[u8]) -> Result<Value, Unread> {
    if bytes.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let malformed = |what: String| Unread::new(StatusCode::BAD_REQUEST, what);
    let value: Value = serde_json::from_slice(bytes).map_err(|error| malformed(format!("not JSON: {error}")))?;
    if value.is_object() { Ok(value) } else { Err(malformed("the body must be a JSON object".to_owned())) }
}

fn form(bytes: &[u8]) -> Result<Value, Unread> {
    let malformed = |what: &str| Unread::new(StatusCode::BAD_REQUEST, what);
    if bytes.trim_ascii_start().starts_with(b"{") {
        // What curl says of a body when it is not told.
        return Err(malformed("the body looks like JSON: send it with the header `Content-Type: application/json`"));
    }
    let mut fields = Map::new();
    for (count, (name, value)) in form_urlencoded::parse(bytes).enumerate() {
        if count >= MAX_FIELDS {
            return Err(malformed("the form has too many fields"));
        }
        let value = Value::String(value.into_owned());
        match fields.get_mut(name.as_ref()) {
            None => {
                fields.insert(name.into_owned(), value);
            }
            Some(Value::Array(list)) => list.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_browsers_send_them() {
        let read = |text: &str| form(text.as_bytes()).map_err(|unread| unread.status.as_u16());
        let expected = serde_json::json!({ "sender": "alice", "receiver": "b c&d", "amount": "5", "x": "" });
        assert_eq!(read("sender=alice&receiver=b+c%26d&amount=5&x="), Ok(expected));
        assert_eq!(read("nodes=a:1&nodes=b:2&nodes=c:3"), Ok(serde_json::json!({ "nodes": ["a:1", "b:2", "c:3"] })));
        assert_eq!(read(""), Ok(serde_json::json!({})));
        assert_eq!(read("%ff=%zz&&="), Ok(serde_json::json!({ "\u{fffd}": "%zz", "": "" })));
        assert_eq!(read("{\"data\": 1}"), Err(400));
        assert_eq!(read(&"a=1&".repeat(MAX_FIELDS + 1)), Err(400));
    }

    #[test]
    fn json_is_an_object_or_nothing() {
        let read = |text: &str| json(text.as_bytes()).map_err(|unread| unread.status.as_u16());
        assert_eq!(read("{\"a\": 1}"), Ok(serde_json::json!({ "a": 1 })));
        assert_eq!(read(""), Ok(serde_json::json!({})));
        let deep = "[".repeat(100_000);
        for bad in ["null", "[]", "7", "{", "{} {}", " ", "NaN", "{\"a\": NaN}", deep.as_str()] {
            assert_eq!(read(bad), Err(400), "{bad:.20}");
        }
    }
}
