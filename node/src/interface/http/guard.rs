//! What stands before every route: the host a request names, the page it comes from, the token it carries.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use subtle::ConstantTimeEq;

use super::{Access, problem::Problem};

/// Whether a request may go on; if not, why.
pub(super) fn check(access: &Access, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let host = host(uri, headers)?;
    if access.address.ip().is_loopback() && !is_own_name(host) {
        let detail = format!("this API answers to localhost and its own address only, not to {host:?}");
        return Err(Problem::forbidden("host", "The host is not this node", detail));
    }
    if method.is_safe() {
        return Ok(());
    }
    if let Some(origin) = text(headers, header::ORIGIN.as_str())
        && origin.split_once("://").is_none_or(|(_, of)| of != host)
    {
        return Err(other_page(format!("a page of {origin} may not change anything here")));
    }
    // Browsers say this of every request, also where they leave the origin out.
    if let Some(site) = text(headers, "sec-fetch-site").filter(|site| !["same-origin", "none"].contains(site)) {
        return Err(other_page(format!("a page of another site ({site}) may not change anything here")));
    }
    check_token(access, headers)
}

fn other_page(detail: String) -> Problem {
    Problem::forbidden("origin", "Another page may not do this", detail)
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
    use axum::response::IntoResponse;

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
