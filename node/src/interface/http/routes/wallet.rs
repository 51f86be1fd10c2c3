//! What the node signs with its own keys.

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use bard_chain::units::Amount;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, answer};
use crate::{
    application::{Command, Reply, Service},
    interface::{
        http::{
            extract::{self, Body, NoQuery, Segment},
            problem::Problem,
        },
        view,
    },
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(keys, new_key))
        .routes(routes!(transfer))
        .routes(routes!(put_on_record))
        .routes(routes!(request_item))
        .routes(routes!(release_item))
        .routes(routes!(transfer_item))
}

/// Signs one transaction, and answers with it.
async fn sign(service: &Service, command: Command) -> Answer {
    let Reply::Admitted(all) = service.execute(command).await? else {
        return Err(Problem::unavailable("the node answered something else"));
    };
    let one = all.first().ok_or_else(|| Problem::unavailable("nothing was signed"))?;
    Ok((StatusCode::CREATED, Json(view::json::Transaction::new(one.id(), one.transaction()))).into_response())
}

/// The accounts that this node has keys for
#[utoipa::path(get, path = "/api/v1/wallet/keys", tag = "wallet",
    responses((status = 200, description = "Names and addresses, never secrets.", body = view::json::Keys)))]
async fn keys(State(service): State<Service>, _: NoQuery) -> Answer {
    answer(&service, Command::Wallets).await
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// Its name: letters, digits, `_` and `-`.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,32}$")]
    name: String,
}

/// Make a key
#[utoipa::path(post, path = "/api/v1/wallet/keys", tag = "wallet", request_body = NewKey,
    responses((status = 201, description = "Name and address of the new key.", body = view::json::NewKey)))]
async fn new_key(State(service): State<Service>, Body(key): Body<NewKey>) -> Answer {
    let reply = service.execute(Command::NewKey { name: key.name }).await?;
    Ok((StatusCode::CREATED, Json(view::json::reply(&reply, service.wallet()))).into_response())
}

/// A payment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Transfer {
    /// Name or address of who pays; the node's own key if left out.
    from: Option<String>,
    /// Name or address of who is paid.
    to: String,
    /// In the smallest unit.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    amount: u64,
    /// What the miner gets.
    #[serde(default)]
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    fee: u64,
}

/// Pay
#[utoipa::path(post, path = "/api/v1/wallet/transfer", tag = "wallet", request_body = Transfer,
    responses((status = 201, description = "The signed transaction, in the pool.", body = view::json::Transaction)))]
async fn transfer(State(service): State<Service>, Body(transfer): Body<Transfer>) -> Answer {
    let Transfer { from, to, amount, fee } = transfer;
    sign(&service, Command::Send { from, to, amount: Amount::new(amount), fee: Amount::new(fee) }).await
}

/// Content to put on record: `text` or `hex`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Record {
    /// Name or address of who signs; the node's own key if left out.
    from: Option<String>,
    /// Text.
    text: Option<String>,
    /// Bytes, as hex digits.
    #[schema(pattern = "^([0-9a-fA-F]{2})*$")]
    hex: Option<String>,
    /// What it is; `text/plain` for text and `application/octet-stream` for bytes if left out.
    #[schema(min_length = 1, max_length = 64)]
    content_type: Option<String>,
    /// What the miner gets.
    #[serde(default)]
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    fee: u64,
}

/// Put content on record
#[utoipa::path(post, path = "/api/v1/wallet/record", tag = "wallet", request_body = Record,
    responses((status = 201, description = "The signed transaction, in the pool.", body = view::json::Transaction)))]
async fn put_on_record(State(service): State<Service>, Body(record): Body<Record>) -> Answer {
    let (bytes, usual) = match (record.text, record.hex) {
        (Some(text), None) => (text.into_bytes(), "text/plain"),
        (None, Some(hex)) => (extract::from_hex("hex", &hex)?, "application/octet-stream"),
        _ => return Err(Problem::malformed("either text or hex is needed, and not both")),
    };
    let content_type = record.content_type.unwrap_or_else(|| usual.to_owned());
    let fee = Amount::new(record.fee);
    sign(&service, Command::RecordContent { signer: record.from, content_type, bytes, fee }).await
}

/// Who signs.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Signer {
    /// Name or address of who signs; the node's own key if left out.
    from: Option<String>,
}

/// Take a free item
#[utoipa::path(post, path = "/api/v1/wallet/items/{item}/request", tag = "wallet", request_body = Signer,
    params(("item" = String, Path, description = "Its name.", max_length = 64)),
    responses((status = 201, description = "The signed transaction, in the pool.", body = view::json::Transaction)))]
async fn request_item(
    State(service): State<Service>,
    Segment(item): Segment,
    Body(Signer { from }): Body<Signer>,
) -> Answer {
    sign(&service, Command::RequestItems { signer: from, items: vec![item] }).await
}

/// Give an item back
#[utoipa::path(post, path = "/api/v1/wallet/items/{item}/release", tag = "wallet", request_body = Signer,
    params(("item" = String, Path, description = "Its name.", max_length = 64)),
    responses((status = 201, description = "The signed transaction, in the pool.", body = view::json::Transaction)))]
async fn release_item(
    State(service): State<Service>,
    Segment(item): Segment,
    Body(Signer { from }): Body<Signer>,
) -> Answer {
    sign(&service, Command::ReleaseItem { signer: from, item }).await
}

/// To whom an item goes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ItemTransfer {
    /// Name or address of who holds it; the node's own key if left out.
    from: Option<String>,
    /// Name or address of who holds it then.
    to: String,
}

/// Hand an item on
#[utoipa::path(post, path = "/api/v1/wallet/items/{item}/transfer", tag = "wallet", request_body = ItemTransfer,
    params(("item" = String, Path, description = "Its name.", max_length = 64)),
    responses((status = 201, description = "The signed transaction, in the pool.", body = view::json::Transaction)))]
async fn transfer_item(
    State(service): State<Service>,
    Segment(item): Segment,
    Body(ItemTransfer { from, to }): Body<ItemTransfer>,
) -> Answer {
    sign(&service, Command::TransferItem { signer: from, item, to }).await
}
