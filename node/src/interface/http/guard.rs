//! What stands before every route: the host a request names, the page it comes from, the token it carries.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;

use super::{Access, problem::Problem};
use crate::listener::{is_own_name, other_page};

/// Whether a request may go on; if not, why.
pub(super) fn check(access: &Access, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let host = host(uri, headers)?;
    if access.address.ip().is_loopback() && !is_own_name(host) {
        let detail = format!("this API answers to localhost and its own address only, not to {host:?}");
        return Err(Problem::forbidden("host", "The host is not this node", detail));
    }
    if method.is_safe() { Ok(()) } else { check_change(access, headers) }
}

/// Lets a request through that changes something although its method is one that should not.
pub(super) async fn guard_change(State(access): State<Access>, request: Request, next: Next) -> Response {
    match check_change(&access, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Lets a request through that is dear, unless a page of another origin sent it.
pub(super) async fn guard_pages(request: Request, next: Next) -> Response {
    match check_page(request.headers(), "ask for this") {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check_change(access: &Access, headers: &HeaderMap) -> Result<(), Problem> {
    check_page(headers, "change anything here")?;
    check_token(access, headers)
}

fn check_page(headers: &HeaderMap, what: &str) -> Result<(), Problem> {
    let Some(other) = other_page(headers) else { return Ok(()) };
    let detail = format!("a page of {other} may not {what}");
    Err(Problem::forbidden("origin", "Another page may not do this", detail))
}

/// The host that a request is for: said once, and not in two ways that differ.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, Problem> {
    let mut all = headers.get_all(header::HOST).iter();
    let (first, more) = (all.next(), all.next());
    let named = first.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let differs = uri.authority().is_some_and(|authority| authority.as_str() != named);
    if more.is_some() || differs {
        return Err(Problem::malformed("the request names more than one host"));
    }
    Ok(named)
}

fn check_token(access: &Access, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = &access.token else { return Ok(()) };
    let given = text(headers, header::AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    let Some(given) = given else {
        let detail = "changing requests need the header `Authorization: Bearer TOKEN`";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "token-missing", "The token is missing", detail));
    };
    // In a time that does not depend on where the difference is.
    if given.as_bytes().ct_eq(token.as_bytes()).into() {
        Ok(())
    } else {
        Err(Problem::forbidden("token-wrong", "The token is wrong", "the token is not this node's"))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(address: &str, token: Option<&str>) -> Access {
        Access { token: token.map(str::to_owned), address: address.parse().expect("an address") }
    }

    fn status(access: &Access, method: &Method, headers: &[(&'static str, &str)]) -> StatusCode {
        let pairs =
            headers.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value): (header::HeaderName, _)| {
            headers.append(name, value);
        });
        check(access, method, &Uri::from_static("/"), &headers)
            .map_or_else(|problem| problem.into_response().status(), |()| StatusCode::OK)
    }

    #[test]
    fn hosts() {
        for own in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "127.0.0.1", "LOCALHOST"] {
            assert!(is_own_name(own), "{own}");
        }
        for foreign in ["", "evil.example", "evil.example:5000", "localhost.evil.example:5000"] {
            assert!(!is_own_name(foreign), "{foreign}");
        }
    }

    #[test]
    fn other_pages_change_nothing() {
        let access = access("127.0.0.1:5000", None);
        let own = [("host", "127.0.0.1:5000"), ("origin", "http://127.0.0.1:5000")];
        let other = [("host", "127.0.0.1:5000"), ("origin", "http://evil.example")];
        assert_eq!(status(&access, &Method::POST, &own), StatusCode::OK);
        assert_eq!(status(&access, &Method::POST, &other), StatusCode::FORBIDDEN);
        assert_eq!(status(&access, &Method::GET, &other), StatusCode::OK);
        assert_eq!(status(&access, &Method::GET, &[("host", "evil.example")]), StatusCode::FORBIDDEN);
        assert_eq!(status(&access, &Method::POST, &[("host", "x:1"), ("origin", "null")]), StatusCode::FORBIDDEN);
        for (name, value, allowed) in [
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
            ("referer", "http://127.0.0.1:5000/", true),
            ("referer", "http://127.0.0.1:50001/", false),
            ("referer", "http://evil.example/127.0.0.1:5000", false),
        ] {
            let headers = [("host", "127.0.0.1:5000"), (name, value)];
            assert_eq!(status(&access, &Method::POST, &headers) == StatusCode::OK, allowed, "{name}: {value}");
        }
    }

    #[test]
    fn browsers_say_which_site_a_page_is_of() {
        let access = access("127.0.0.1:5000", None);
        let from = |site| [("host", "127.0.0.1:5000"), ("sec-fetch-site", site)];
        for (site, expected) in [
            ("same-origin", StatusCode::OK),
            ("none", StatusCode::OK),
            ("same-site", StatusCode::FORBIDDEN),
            ("cross-site", StatusCode::FORBIDDEN),
        ] {
            assert_eq!(status(&access, &Method::POST, &from(site)), expected, "{site}");
            assert_eq!(status(&access, &Method::GET, &from(site)), StatusCode::OK, "{site}");
        }
    }

    #[test]
    fn one_host_named_once() {
        let access = access("127.0.0.1:5000", None);
        let twice = [("host", "127.0.0.1:5000"), ("host", "evil.example")];
        assert_eq!(status(&access, &Method::GET, &twice), StatusCode::BAD_REQUEST);
        let uri = Uri::from_static("http://evil.example/");
        let headers = [(header::HOST, "127.0.0.1:5000".parse().expect("a value"))].into_iter().collect();
        let refused = check(&access, &Method::GET, &uri, &headers).expect_err("they differ");
        assert_eq!(refused.into_response().status(), StatusCode::BAD_REQUEST);
    }

    #[test]
    fn tokens() {
        let access = access("0.0.0.0:5000", Some("secret"));
        let with = |value| [("host", "node.lan:5000"), ("authorization", value)];
        assert_eq!(status(&access, &Method::POST, &with("Bearer secret")), StatusCode::OK);
        assert_eq!(status(&access, &Method::POST, &with("Bearer secreT")), StatusCode::FORBIDDEN);
        assert_eq!(status(&access, &Method::POST, &with("secret")), StatusCode::UNAUTHORIZED);
        assert_eq!(status(&access, &Method::POST, &[("host", "node.lan:5000")]), StatusCode::UNAUTHORIZED);
        assert_eq!(status(&access, &Method::GET, &[("host", "node.lan:5000")]), StatusCode::OK);
    }
}
