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
            extract::{self, NoQuery, Query, Segment},
            problem::Problem,
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

/// A label for an item
///
/// A QR code that leads to the item's page, under the address by which this call reached the node.
#[utoipa::path(get, path = "/api/v1/items/{item}/label.svg", tag = "chain",
    params(("item" = String, Path, description = "Its name; it need not have been held yet.", max_length = 64)),
    responses((status = 200, description = "The label.", content_type = "image/svg+xml", body = String)))]
async fn item_label(headers: HeaderMap, Segment(item): Segment, _: NoQuery) -> Answer {
    if !ItemName::new(item.as_str()).is_valid() {
        return Err(Problem::not_found(
            "no item has such a name: 1 to 64 bytes without control characters or outer spaces",
        ));
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let code = QrCode::with_error_correction_level(item_url(host, &item), EcLevel::M)
        .map_err(|error| Problem::malformed(format!("the host or the item is too long for a label: {error}")))?;
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(LABEL_WIDTH, LABEL_WIDTH).build();
    let head = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "no-cache"), (header::VARY, "host")];
    Ok((StatusCode::OK, head, drawn).into_response())
}

/// Where the page shows an item.
fn item_url(host: &str, item: &str) -> String {
    let mut url = format!("http://{host}/#/item/");
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
        assert_eq!(item_url("10.0.0.7:5000", "key-7 \u{fc}"), "http://10.0.0.7:5000/#/item/key%2D7%20%C3%BC");
    }
}
