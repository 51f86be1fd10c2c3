//! What stands before every route: the host a request names, the page it comes from, the token it carries.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Access, problem::Problem};

/// Lets a request through, or answers it with the reason why not.
pub(super) async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    match check(&access, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(access: &Access, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let host = text(headers, header::HOST).unwrap_or_default();
    if access.address.ip().is_loopback() && !is_own_name(host) {
        let detail = format!("this API answers to localhost and its own address only, not to {host:?}");
        return Err(Problem::new(StatusCode::FORBIDDEN, "host", "The host is not this node", detail));
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

fn check_change(access: &Access, headers: &HeaderMap) -> Result<(), Problem> {
    if let Some(other) = other_page(headers) {
        let detail = format!("a page of {other} may not change anything here");
        return Err(Problem::new(StatusCode::FORBIDDEN, "origin", "Another page may not do this", detail));
    }
    check_token(access, headers)
}

/// Where a request comes from that a page of another origin sent; `None` for own pages and for programs. Browsers say it in
/// `Origin`; some leave that out of a form or a link, but not all of the others.
fn other_page(headers: &HeaderMap) -> Option<String> {
    let host = text(headers, header::HOST).unwrap_or_default();
    let is_own = |url: &str| url.split_once("://").is_some_and(|(_, of)| of.split('/').next() == Some(host));
    if headers.contains_key(header::ORIGIN) {
        let origin = text(headers, header::ORIGIN).unwrap_or("an unreadable origin");
        return (!is_own(origin)).then(|| origin.to_owned());
    }
    if let Some(site) = headers.get("sec-fetch-site") {
        let own = site == "same-origin" || site == "none";
        return (!own).then(|| "another site".to_owned());
    }
    let referer = text(headers, header::REFERER)?;
    (!is_own(referer)).then(|| "another site".to_owned())
}

fn check_token(access: &Access, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(token) = &access.token else { return Ok(()) };
    let given = text(headers, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let Some(given) = given else {
        let detail = "changing requests need the header `Authorization: Bearer TOKEN`";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "token-missing", "The token is missing", detail));
    };
    if equal(given.as_bytes(), token.as_bytes()) {
        Ok(())
    } else {
        Err(Problem::new(StatusCode::FORBIDDEN, "token-wrong", "The token is wrong", "the token is not this node's"))
    }
}

/// Compares in a time that does not depend on where the difference is.
fn equal(one: &[u8], two: &[u8]) -> bool {
    one.len() == two.len() && one.iter().zip(two).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a `Host` header names this machine: an IP address, or `localhost`. A foreign name that was made to lead here
/// (DNS rebinding) is neither.
fn is_own_name(host: &str) -> bool {
    let name = match host.parse::<SocketAddr>() {
        Ok(_) => return true,
        Err(_) => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
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
        let headers: HeaderMap = pairs.collect();
        check(access, method, &headers).map_or_else(|problem| problem.into_response().status(), |()| StatusCode::OK)
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
