//! What requests hold: paths, queries and bodies, each read within its limits and with an error that says what was wrong.

use std::{str::FromStr, time::Duration};

use axum::{
    body::{Body as HttpBody, Bytes, to_bytes},
    extract::{FromRequest, FromRequestParts, Path, Query as AxumQuery, Request},
    http::{HeaderMap, StatusCode, Uri, header, request::Parts},
};
use bard_chain::units::Height;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{problem::Problem, room::NoRoom};
use crate::{application::BlockChoice, interface::view::json::MAX_EXACT};

/// The longest body, in bytes: room for a thousand transactions, or any one, with the JSON around it.
pub(super) const MAX_BODY: usize = 1 << 20;
/// How long a request may take to send its body.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// A body of canonical bytes says that it is one.
pub(super) const CBOR: &str = "application/cbor";

/// The one variable part of a path, without its percent signs.
pub(super) struct Segment(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(segment) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::malformed(format!("the path: {}", error.body_text())))?;
        Ok(Self(segment))
    }
}

impl Segment {
    /// What the segment stands for; `what` names that, as in "a transaction id".
    pub(super) fn parse<T: FromStr>(&self, what: &str) -> Result<T, Problem> {
        self.0.parse().map_err(|_| Problem::malformed(format!("the path: {:?} is not {what}", super::shown(&self.0))))
    }

    /// The block that the segment stands for.
    pub(super) fn block(&self) -> Result<BlockChoice, Problem> {
        let text = self.0.as_str();
        // The hash before the height: one that begins with many zeros could pass for a small number.
        let height = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match (text, text.parse()) {
            ("tip", _) => Ok(BlockChoice::Tip),
            (_, Ok(id)) => Ok(BlockChoice::Id(id)),
            _ => height().map(Height::new).map(BlockChoice::Height).ok_or_else(|| {
                let shown = super::shown(text);
                Problem::malformed(format!("the path: {shown:?} is neither a height, nor a block hash, nor tip"))
            }),
        }
    }
}

/// A query: fields that nobody knows are refused.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let AxumQuery(query) = AxumQuery::try_from_uri(&parts.uri).map_err(|error| {
            let text = error.body_text();
            let detail = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            Problem::malformed(format!("the query: {detail}"))
        })?;
        Ok(Self(query))
    }
}

/// No query: what nobody reads is refused rather than overlooked.
pub(super) struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        no_query(&parts.uri).map(|()| Self)
    }
}

fn no_query(uri: &Uri) -> Result<(), Problem> {
    match uri.query() {
        None | Some("") => Ok(()),
        Some(query) => Err(Problem::malformed(format!("the query: nothing is asked by {:?}", super::shown(query)))),
    }
}

/// How many entries are wanted: between one and a page.
pub(super) fn page(limit: Option<usize>, default: usize, max: usize) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(default);
    if (1..=max).contains(&limit) {
        Ok(limit)
    } else {
        Err(Problem::malformed(format!("the query: limit: {limit} is not in 1 to {max}")))
    }
}

/// A number that every JSON client can say exactly.
pub(super) fn exact(name: &str, number: Option<u64>) -> Result<Option<u64>, Problem> {
    match number {
        Some(number) if number > MAX_EXACT => {
            Err(Problem::malformed(format!("the query: {name}: {number} is not in 0 to {MAX_EXACT}")))
        }
        number => Ok(number),
    }
}

/// A height of the chain in a query.
pub(super) fn height(height: Option<u64>) -> Result<Option<Height>, Problem> {
    Ok(exact("height", height)?.map(Height::new))
}

/// The value of a field that is text with a form of its own.
pub(super) fn field<T: FromStr<Err: std::fmt::Display>>(
    name: &str,
    text: Option<&String>,
) -> Result<Option<T>, Problem> {
    let parsed = text.map(|text| text.parse()).transpose();
    parsed.map_err(|error| Problem::malformed(format!("the query: {name}: {error}")))
}

/// A JSON object as body: its type, its size, its time and its fields are checked.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if essence(request.headers()).as_deref() != Some(mime::JSON) {
            return Err(Problem::media_type("the body must be JSON, with the header `Content-Type: application/json`"));
        }
        from_json(&read(request, MAX_BODY).await?).map(Self)
    }
}

/// No body, or an empty JSON object, for calls that need nothing.
pub(super) struct Nothing;

/// An empty object.
#[derive(serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

impl<S: Send + Sync> FromRequest<S> for Nothing {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let headers = request.headers();
        let none = headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0")
            && !headers.contains_key(header::TRANSFER_ENCODING)
            && !headers.contains_key(header::CONTENT_TYPE);
        if !none {
            let Body(Empty {}) = Body::from_request(request, state).await?;
        }
        Ok(Self)
    }
}

/// What a body that may be of two types holds.
pub(super) enum Payload {
    /// Canonical bytes.
    Cbor(Bytes),
    /// JSON, not yet read.
    Json(Bytes),
}

/// A body of canonical bytes or of JSON. `limit` is for the bytes; JSON with its hex digits may have twice as many, and room.
pub(super) async fn payload(request: Request, limit: usize) -> Result<Payload, Problem> {
    match essence(request.headers()).as_deref() {
        Some(CBOR) => Ok(Payload::Cbor(read(request, limit).await?)),
        Some(mime::JSON) => Ok(Payload::Json(read(request, json_limit(limit)).await?)),
        _ => Err(Problem::media_type(format!("the body must be {CBOR} or {}, and its header say which", mime::JSON))),
    }
}

/// The limit of JSON that holds bytes as hex digits.
fn json_limit(limit: usize) -> usize {
    if limit <= MAX_BODY { MAX_BODY } else { limit.saturating_mul(2).saturating_add(1024) }
}

/// Content types.
mod mime {
    pub(super) const JSON: &str = "application/json";
}

/// The content type of a body, without its parameters.
fn essence(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    text.split(';').next().map(|essence| essence.trim().to_ascii_lowercase())
}

/// Reads a body. No call has both a body and a query.
async fn read(request: Request, limit: usize) -> Result<Bytes, Problem> {
    no_query(request.uri())?;
    let (parts, body): (Parts, HttpBody) = request.into_parts();
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(Problem::too_large(limit));
    }
    let read = tokio::time::timeout(BODY_DEADLINE, to_bytes(body, limit)).await.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", BODY_DEADLINE.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "Too slow", detail)
    })?;
    read.map_err(|error| {
        let text = error.to_string();
        if NoRoom::is_cause_of(&error) {
            Problem::unavailable(NoRoom.to_string())
        } else if text.contains("length limit") {
            Problem::too_large(limit)
        } else {
            Problem::malformed(text)
        }
    })
}

/// A JSON object as what it should be; an error names the field.
pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // A list would be taken for the fields in their order.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::malformed("the body must be a JSON object"));
    }
    let read = read_json(bytes);
    if read.is_err()
        && let Ok(mut value) = serde_json::from_slice(bytes)
        && whole_numbers(&mut value)
        && let Ok(value) = serde_json::from_value(value)
    {
        return Ok(value);
    }
    read
}

fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.inner());
        Problem::malformed(if path == "." { inner.to_string() } else { format!("{path}: {inner}") })
    })?;
    reader.end().map_err(|error| Problem::malformed(error.to_string()))?;
    Ok(value)
}

/// Writes `7.0` as `7`, which JSON does not tell apart; whether there was any.
fn whole_numbers(value: &mut Value) -> bool {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|_| number.is_f64()).filter(|float| float.fract() == 0.0);
            #[allow(clippy::cast_possible_truncation, reason = "what is cut off is seen by comparing")]
            #[allow(clippy::cast_precision_loss, reason = "likewise")]
            let exact = whole.map(|float| (float, float as i64)).filter(|(float, whole)| *float == *whole as f64);
            exact.map(|(_, whole)| *number = whole.into()).is_some()
        }
        Value::Array(all) => all.iter_mut().fold(false, |any, one| whole_numbers(one) | any),
        Value::Object(fields) => fields.values_mut().fold(false, |any, one| whole_numbers(one) | any),
        _ => false,
    }
}

/// Bytes from their hex digits; an error names the field.
pub(super) fn from_hex(name: impl std::fmt::Display, text: &str) -> Result<Vec<u8>, Problem> {
    hex::decode(text).map_err(|error| Problem::malformed(format!("{name}: not hex digits: {error}")))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        amount: u64,
    }

    fn detail(body: &str) -> String {
        format!("{:?}", from_json::<Example>(body.as_bytes()).expect_err(body))
    }

    #[test]
    fn errors_name_the_field() {
        assert!(detail(r#"{"list": [{"amount": 1}, {"amount": "x"}]}"#).contains("list[1].amount: invalid type"));
        assert!(detail(r#"{"lost": []}"#).contains("unknown field `lost`"));
        assert!(detail(r#"{"list": []} x"#).contains("trailing characters"));
        assert!(detail("[]").contains("must be a JSON object"));
        let good = from_json::<Example>(br#" {"list": [{"amount": 1}, {"amount": 7.0}, {"amount": 1e3}]} "#);
        let good = good.expect("an example");
        assert_eq!(good.list.iter().map(|inner| inner.amount).collect::<Vec<_>>(), [1, 7, 1_000]);
        for bad in ["7.5", "-7.0", "1e300", "18446744073709551616.0"] {
            assert!(detail(&format!("{{\"list\": [{{\"amount\": {bad}}}]}}")).contains("list[0].amount: "), "{bad}");
        }
    }

    #[test]
    fn blocks_have_three_kinds_of_names() {
        let block = |text: &str| Segment(text.to_owned()).block();
        assert!(matches!(block("tip"), Ok(BlockChoice::Tip)));
        assert!(matches!(block("12"), Ok(BlockChoice::Height(_))));
        assert!(matches!(block(&"0".repeat(64)), Ok(BlockChoice::Id(_))));
        for odd in ["", "-1", "+1", "1.0", "moon", "99999999999999999999", "0x1"] {
            let problem = block(odd).expect_err(odd);
            assert_eq!(problem.into_response().status(), StatusCode::BAD_REQUEST, "{odd}");
        }
    }

    #[test]
    fn pages_have_an_end() {
        assert_eq!(page(None, 20, 100).ok(), Some(20));
        assert_eq!(page(Some(100), 20, 100).ok(), Some(100));
        assert!(page(Some(0), 20, 100).is_err() && page(Some(101), 20, 100).is_err());
        assert_eq!(exact("from", Some(MAX_EXACT)).ok(), Some(Some(MAX_EXACT)));
        assert!(exact("from", Some(MAX_EXACT + 1)).is_err() && exact("from", None).is_ok());
    }
}
