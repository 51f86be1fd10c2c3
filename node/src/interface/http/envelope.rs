//! What every request and every answer has: an id and a span, a place in the rate, the guard, headers for safety.

use std::{
    net::IpAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::Instrument;

use super::{Access, guard, problem::Problem};
use crate::{
    clock,
    listener::{Rates, Source},
};

/// Requests of one address at once, and then so many each second; this machine itself may ask as it likes.
const BURST: u64 = 2_000;
const PER_SECOND: u64 = 1_000;
/// How long an answer may take to be made.
const DEADLINE: Duration = Duration::from_secs(30);
/// By this header a client names its request, and is told the name.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Headers that an answer gets here, the date and the length.
const HEADERS: usize = 8;
/// The longest name of a request that is taken over.
const MAX_ID: usize = 64;

/// What stands before all routes.
pub(super) struct Gate {
    access: Access,
    rates: Mutex<Rates>,
    started: Instant,
    /// Numbers of requests; the first differs from run to run.
    next: AtomicU64,
}

impl Gate {
    pub(super) fn new(access: Access) -> Self {
        let first = clock::now().get().wrapping_shl(20);
        let rates = Mutex::new(Rates::new(BURST, PER_SECOND));
        Self { access, rates, started: Instant::now(), next: AtomicU64::new(first) }
    }

    fn allows(&self, source: Option<IpAddr>) -> bool {
        let Some(source) = source.filter(|source| !source.is_loopback()) else { return true };
        self.rates.lock().unwrap_or_else(PoisonError::into_inner).allow(source, self.started.elapsed())
    }

    /// The id that the client chose, if it is a sane one; else a new one.
    fn id_of(&self, headers: &HeaderMap) -> HeaderValue {
        let given = headers.get(REQUEST_ID).filter(|id| {
            let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
            (1..=MAX_ID).contains(&id.len()) && id.as_bytes().iter().all(sane)
        });
        given.cloned().unwrap_or_else(|| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            HeaderValue::try_from(format!("{number:016x}")).unwrap_or_else(|_| HeaderValue::from_static("none"))
        })
    }

    /// Lets a request through, or answers it with the reason why not.
    pub(super) async fn envelope<F: Future<Output = Response>>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        let id = self.id_of(request.headers());
        // The path alone: what else a request holds is nobody's concern who reads the log.
        let span = tracing::debug_span!(
            "request",
            id = id.to_str().unwrap_or_default(),
            method = %request.method(),
            path = request.uri().path(),
        );
        let source = request.extensions().get::<Source>().map(|source| source.0);
        let mut response = if !self.allows(source) {
            let detail = "too many requests from this address: wait a second";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate", "Too many requests", detail).into_response()
        } else if let Err(problem) = guard::check(&self.access, request.method(), request.uri(), request.headers()) {
            problem.into_response()
        } else {
            let answering = async {
                let response = next(request).await;
                tracing::debug!(status = response.status().as_u16(), "answered");
                response
            };
            answering.instrument(span).await
        };
        let headers = response.headers_mut();
        headers.reserve(HEADERS);
        headers.insert(REQUEST_ID, id);
        secure(headers);
        response
    }
}

/// Headers that keep browsers from making more of an answer than it is. What a page needs of its own stays.
fn secure(headers: &mut HeaderMap) {
    let mut unless_set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    unless_set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    unless_set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    unless_set(header::REFERRER_POLICY, "no-referrer");
    unless_set(header::CACHE_CONTROL, "no-store");
    unless_set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
}

/// Ends what takes too long. Not for calls that last for as long as somebody waits for them.
pub(super) async fn deadline(request: Request, next: Next) -> Response {
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail =
                format!("there was no answer within {} s; what was begun may still be done", DEADLINE.as_secs());
            Problem::unavailable(detail).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate() -> Gate {
        Gate::new(Access { token: None, address: ([127, 0, 0, 1], 5000).into() })
    }

    #[test]
    fn ids_are_taken_over_if_sane() {
        let gate = gate();
        let id = |given: &'static [u8]| {
            let headers = [(REQUEST_ID, HeaderValue::from_bytes(given).expect("a value"))].into_iter().collect();
            gate.id_of(&headers)
        };
        assert_eq!(id(b"a-1_b.C"), "a-1_b.C");
        for odd in [&b""[..], b"a b", b"a\"", b"\xff", &[b'x'; MAX_ID + 1]] {
            let made = id(odd);
            assert_eq!((made.len(), made == odd), (16, false));
        }
        assert_ne!(gate.id_of(&HeaderMap::new()), gate.id_of(&HeaderMap::new()));
    }

    #[test]
    fn strangers_have_a_rate_and_this_machine_has_none() {
        let gate = gate();
        let allowed = |source| (0..3_000).filter(|_| gate.allows(Some(source))).count();
        assert!((2_000..3_000).contains(&allowed([10, 0, 0, 1].into())));
        assert_eq!(allowed([127, 0, 0, 1].into()), 3_000);
    }

    #[test]
    fn a_route_s_own_headers_stay() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        secure(&mut headers);
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache");
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    }
}
