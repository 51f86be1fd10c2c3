//! Items and who held them.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use bard_chain::transaction::ItemName;
use qrcode::{EcLevel, QrCode, render::svg};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, DEFAULT_PAGE, MAX_PAGE, answer};
use crate::{
    application::{Command, ItemFilter, Service},
    interface::{
        http::{
            extract::{self, Query, Segment},
            problem::Problem,
            shown,
        },
        view,
    },
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(items))
        .routes(routes!(item))
        .routes(routes!(item_history))
        .routes(routes!(item_label))
}

/// Which items are meant.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ItemState {
    /// Those that somebody holds.
    Reserved,
    /// Those that were held once and are free.
    Available,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// All that were ever held if left out.
    #[param(inline)]
    state: Option<ItemState>,
    /// The name after which to begin, as the page before named it in `next`; with the first if left out.
    after: Option<String>,
    /// How many at most; 20 if left out. With `state`, a page may have fewer though more follow.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// Items that were ever held
#[utoipa::path(get, path = "/api/v1/items", tag = "chain", params(Page),
    responses((status = 200, description = "A page, by name.", body = view::json::ItemPage)))]
async fn items(State(service): State<Service>, Query(page): Query<Page>) -> Answer {
    let limit = extract::page(page.limit, DEFAULT_PAGE, MAX_PAGE)?;
    let filter = page.state.map(|state| match state {
        ItemState::Reserved => ItemFilter::Reserved,
        ItemState::Available => ItemFilter::Available,
    });
    answer(&service, Command::ItemsPage { filter, after: page.after, limit }).await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct At {
    /// As it was after the block of the active chain at this height; 404 where the chain does not reach so far, or nobody had
    /// held the item by then. At the tip if left out.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    height: Option<u64>,
}

/// One item, now or at an earlier height
#[utoipa::path(get, path = "/api/v1/items/{item}", tag = "chain",
    params(("item" = String, Path, description = "Its name.", max_length = 64), At),
    responses((status = 200, description = "The item and who holds it.", body = view::json::Item)))]
async fn item(State(service): State<Service>, Segment(item): Segment, Query(at): Query<At>) -> Answer {
    answer(&service, Command::Item { item, height: extract::height(at.height)? }).await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct History {
    /// The first, as the page before named it in `next`; the oldest if left out.
    #[param(pattern = "^(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,8})$")]
    from: Option<String>,
    /// How many at most; 20 if left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// Who held an item
#[utoipa::path(get, path = "/api/v1/items/{item}/history", tag = "chain",
    params(("item" = String, Path, description = "Its name.", max_length = 64), History),
    responses((status = 200, description = "A page, the oldest first.", body = view::json::ItemHistory)))]
async fn item_history(State(service): State<Service>, Segment(item): Segment, Query(page): Query<History>) -> Answer {
    let limit = extract::page(page.limit, DEFAULT_PAGE, MAX_PAGE)?;
    let from = extract::field("from", page.from.as_ref())?;
    answer(&service, Command::ItemHistory { item, from, limit }).await
}

/// How wide a label is drawn at least, in pixels; it can be scaled to any size.
const LABEL_WIDTH: u32 = 240;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Label {
    /// Where the page is open, as its `location.origin` says; if left out, `http://` and the `Host` of this call.
    #[param(max_length = 300, pattern = "^https?://([A-Za-z0-9._-]{1,253}|\\[[0-9A-Fa-f:.]{2,45}\\])(:[0-9]{1,5})?$")]
    origin: Option<String>,
}

/// A label for an item
///
/// A QR code that leads to the item's page, under the address at which the page is open.
#[utoipa::path(get, path = "/api/v1/items/{item}/label.svg", tag = "chain",
    params(("item" = String, Path, description = "Its name; it need not have been held yet.", max_length = 64), Label),
    responses((status = 200, description = "The label.", content_type = "image/svg+xml", body = String)))]
async fn item_label(headers: HeaderMap, Segment(item): Segment, Query(label): Query<Label>) -> Answer {
    if !ItemName::new(item.as_str()).is_valid() {
        return Err(Problem::not_found(
            "no item has such a name: 1 to 64 bytes without control characters or outer spaces",
        ));
    }
    let origin = match label.origin {
        Some(origin) if is_origin(&origin) => origin,
        Some(origin) => {
            let shown = shown(&origin);
            return Err(Problem::malformed(format!("the query: origin: {shown:?} is not like https://host:port")));
        }
        None => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            format!("http://{host}")
        }
    };
    let code = QrCode::with_error_correction_level(item_url(&origin, &item), EcLevel::M)
        .map_err(|error| Problem::malformed(format!("the host or the item is too long for a label: {error}")))?;
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(LABEL_WIDTH, LABEL_WIDTH).build();
    let head = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "no-cache"), (header::VARY, "host")];
    Ok((StatusCode::OK, head, drawn).into_response())
}

/// Whether a text is the origin of a page as browsers write it: a scheme, a host, perhaps a port, and nothing else.
fn is_origin(text: &str) -> bool {
    let Some(authority) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address are within brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    };
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => {
            let fits = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            (2..=45).contains(&address.len()) && address.bytes().all(fits)
        }
        None => {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            (1..=253).contains(&host.len()) && host.bytes().all(fits)
        }
    };
    is_host && port.is_none_or(is_port)
}

/// Where the page that is open at an origin shows an item.
fn item_url(origin: &str, item: &str) -> String {
    let mut url = format!("{origin}/#/item/");
    for byte in item.bytes() {
        if byte.is_ascii_alphanumeric() {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_leads_to_the_page_of_the_item() {
        let (origin, item) = ("http://10.0.0.7:5000", "key-7 \u{fc}");
        assert_eq!(item_url(origin, item), "http://10.0.0.7:5000/#/item/key%2D7%20%C3%BC");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let good = [
            "https://bard.example.org",
            "http://10.0.0.7:5000",
            "http://[fe80::1]:80",
            "http://[::1]",
            "https://a_b:1",
        ];
        for origin in good {
            assert!(is_origin(origin), "{origin}");
        }
        let bad = [
            "",
            "null",
            "bard.example.org",
            "ftp://bard.example.org",
            "javascript://x",
            "https://",
            "https://:80",
            "https://a:",
            "https://a:123456",
            "https://a:80:90",
            "https://a/",
            "https://a/path",
            "https://me@a",
            "https://a?b",
            "https://a#b",
            "https://a b",
            "https://[::1",
            "https://[]",
            "https://[x]:1",
            "https://b\u{fc}cher.example",
        ];
        for origin in bad {
            assert!(!is_origin(origin), "{origin}");
        }
    }
}
