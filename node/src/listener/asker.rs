//! Who asks, by what a request's head says: which host it means, and the page of which origin sent it.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};

/// Where a request comes from that a page of another origin sent; `None` for own pages and for programs. Browsers say it in
/// `Origin`; some leave that out of a form or a link, but not all of the others.
pub fn other_page(headers: &HeaderMap) -> Option<String> {
    let host = text(headers, header::HOST.as_str()).unwrap_or_default();
    let is_own = |url: &str| url.split_once("://").is_some_and(|(_, of)| of.split('/').next() == Some(host));
    if headers.contains_key(header::ORIGIN) {
        let origin = text(headers, header::ORIGIN.as_str()).unwrap_or("an unreadable origin");
        if !is_own(origin) {
            return Some(origin.to_owned());
        }
    }
    if let Some(site) = headers.get("sec-fetch-site") {
        let own = site == "same-origin" || site == "none";
        return (!own).then(|| "another site".to_owned());
    }
    if headers.contains_key(header::ORIGIN) {
        return None;
    }
    let referer = text(headers, header::REFERER.as_str())?;
    (!is_own(referer)).then(|| "another site".to_owned())
}

/// Whether a `Host` header names this machine: an IP address, or `localhost`. A foreign name that was made to lead here
/// (DNS rebinding) is neither.
pub fn is_own_name(host: &str) -> bool {
    let name = match host.parse::<SocketAddr>() {
        Ok(_) => return true,
        Err(_) => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
