//! Records: content that was put on the chain.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, DEFAULT_PAGE, MAX_PAGE, answer};
use crate::{
    application::{Command, Service},
    interface::{
        http::extract::{self, NoQuery, Query, Segment},
        view,
    },
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(records)).routes(routes!(record))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Page {
    /// Only records whose content has this BLAKE3 or SHA-256 digest, or is this digest.
    #[param(pattern = "^[0-9a-f]{64}$")]
    digest: Option<String>,
    /// Only records that were on record at this height of the chain; at the tip if left out.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    height: Option<u64>,
    /// The first, as the page before named it in `next`.
    #[param(pattern = "^(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,8})$")]
    from: Option<String>,
    /// How many at most; 20 if left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
}

/// Records of the active chain
#[utoipa::path(get, path = "/api/v1/records", tag = "chain", params(Page),
    responses((status = 200, description = "A page: the newest first; with a digest, the oldest first.",
        body = view::json::TransactionPage)))]
async fn records(State(service): State<Service>, Query(page): Query<Page>) -> Answer {
    let limit = extract::page(page.limit, DEFAULT_PAGE, MAX_PAGE)?;
    let digest = extract::field("digest", page.digest.as_ref())?;
    let from = extract::field("from", page.from.as_ref())?;
    let height = extract::height(page.height)?;
    answer(&service, Command::Records { digest, height, from, limit }).await
}

/// One record, mined or in the pool
#[utoipa::path(get, path = "/api/v1/records/{id}", tag = "chain",
    params(("id" = view::json::Hash, Path, description = "The id of its transaction.")),
    responses((status = 200, description = "Its transaction and its place.", body = view::json::PlacedTransaction)))]
async fn record(State(service): State<Service>, id: Segment, _: NoQuery) -> Answer {
    answer(&service, Command::RecordOf { id: id.parse("a transaction id: 64 hex digits")? }).await
}
