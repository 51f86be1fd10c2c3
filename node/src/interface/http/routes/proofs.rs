//! What shows to whoever trusts no node that a transaction is in the chain.

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::IntoResponse,
};
use bard_chain::units::Height;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, answer};
use crate::{
    application::{Command, Extent, Reply, Service},
    interface::{
        http::{
            extract::{self, CBOR, NoQuery, Query, Segment},
            problem::Problem,
        },
        view,
    },
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(proof)).routes(routes!(receipt))
}

/// That a transaction is in its block
#[utoipa::path(get, path = "/api/v1/transactions/{id}/proof", tag = "chain",
    params(("id" = view::json::Hash, Path, description = "The id of the transaction.")),
    responses((status = 200, description = "The proof.", body = view::json::Proof),
        (status = 409, description = "It waits to be mined.", body = Problem,
            content_type = "application/problem+json")))]
async fn proof(State(service): State<Service>, id: Segment, _: NoQuery) -> Answer {
    answer(&service, Command::Proof { id: id.parse("a transaction id: 64 hex digits")? }).await
}

/// With which block the headers of a receipt begin.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Headers {
    /// With the first of the chain: then they obey every rule that headers have, difficulty and times included.
    Whole,
    /// With that of the transaction.
    Short,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// With which block the headers begin; with the first one where the chain is short enough, if left out.
    #[param(inline)]
    headers: Option<Headers>,
    /// The height with which the headers end: not below that of the transaction, and no more than 10,000 headers from where they
    /// begin. If left out, the tip's, or before it the last that there is room for.
    #[param(maximum = 9_007_199_254_740_991_u64)]
    until: Option<u64>,
}

/// A receipt for a transaction
///
/// One small file, checkable with no node and no network by `bard verify-receipt`: the specification of the chain, the
/// transaction, the proof that it is in its block, and headers with their work.
#[utoipa::path(get, path = "/api/v1/transactions/{id}/receipt", tag = "chain",
    params(("id" = view::json::Hash, Path, description = "The id of the transaction."), Wanted),
    responses((status = 200, description = "The receipt: CBOR.", body = view::json::Cbor,
            content_type = "application/cbor"),
        (status = 409, description = "It waits to be mined, the chain is too long for a whole one, or the headers cannot end there: below the transaction, above the tip, or more than 10,000 headers on.", body = Problem,
            content_type = "application/problem+json")))]
async fn receipt(State(service): State<Service>, id: Segment, Query(wanted): Query<Wanted>) -> Answer {
    let extent = wanted.headers.map(|headers| match headers {
        Headers::Whole => Extent::Whole,
        Headers::Short => Extent::Short,
    });
    let id = id.parse("a transaction id: 64 hex digits")?;
    let until = extract::exact("until", wanted.until)?.map(Height::new);
    let Reply::Receipt { receipt, .. } = service.execute(Command::Receipt { id, extent, until }).await? else {
        return Err(Problem::unavailable("the node answered something else"));
    };
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static(CBOR))], receipt.to_bytes()).into_response())
}
