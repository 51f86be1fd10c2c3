//! What the node signs with its own keys.

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use bard_chain::units::Amount;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, answer, json};
use crate::{
    application::{Command, Reply, Service},
    interface::{
        http::{
            extract::{self, Body, Empty, NoQuery, Nothing, Segment},
            problem::Problem,
        },
        view::{
            self,
            json::{ItemRequests, ItemTransfer, NewKeyName, NewRecord, Signer, Transfer, Unlock},
        },
    },
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(keys, new_key))
        .routes(routes!(unlock))
        .routes(routes!(lock))
        .routes(routes!(transfer))
        .routes(routes!(put_on_record))
        .routes(routes!(request_items))
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

/// Make a key
#[utoipa::path(post, path = "/api/v1/wallet/keys", tag = "wallet", request_body = NewKeyName,
    responses((status = 201, description = "Name and address of the new key.", body = view::json::NewKey)))]
async fn new_key(State(service): State<Service>, Body(key): Body<NewKeyName>) -> Answer {
    let reply = service.execute(Command::NewKey { name: key.name }).await?;
    Ok((StatusCode::CREATED, Json(view::json::reply(&reply, service.wallet()))).into_response())
}

/// Open the keys with the passphrase of the keystore
#[utoipa::path(post, path = "/api/v1/wallet/unlock", tag = "wallet", request_body = Unlock,
    responses((status = 200, description = "The keys can sign.", body = view::json::Protection)))]
async fn unlock(State(service): State<Service>, Body(Unlock { passphrase }): Body<Unlock>) -> Answer {
    answer(&service, Command::Unlock { passphrase }).await
}

/// Forget the secrets of the keys until the passphrase is given again
#[utoipa::path(post, path = "/api/v1/wallet/lock", tag = "wallet", request_body(content = Option<Empty>),
    responses((status = 200, description = "The keys are locked.", body = view::json::Protection)))]
async fn lock(State(service): State<Service>, _: Nothing) -> Answer {
    answer(&service, Command::Lock).await
}

/// Pay
#[utoipa::path(post, path = "/api/v1/wallet/transfer", tag = "wallet", request_body = Transfer,
    responses((status = 201, description = "The signed transaction, in the pool.", body = view::json::Transaction)))]
async fn transfer(State(service): State<Service>, Body(transfer): Body<Transfer>) -> Answer {
    let Transfer { from, to, amount, fee } = transfer;
    sign(&service, Command::Send { from, to, amount: Amount::new(amount), fee: Amount::new(fee) }).await
}

/// Put content on record
#[utoipa::path(post, path = "/api/v1/wallet/record", tag = "wallet", request_body = NewRecord,
    responses((status = 201, description = "The signed transaction, in the pool.", body = view::json::Transaction)))]
async fn put_on_record(State(service): State<Service>, Body(record): Body<NewRecord>) -> Answer {
    let (bytes, usual) = match (record.text, record.hex) {
        (Some(text), None) => (text.into_bytes(), "text/plain"),
        (None, Some(hex)) => (extract::from_hex("hex", &hex)?, "application/octet-stream"),
        _ => return Err(Problem::malformed("either text or hex is needed, and not both")),
    };
    let content_type = record.content_type.unwrap_or_else(|| usual.to_owned());
    let fee = Amount::new(record.fee);
    sign(&service, Command::RecordContent { signer: record.from, content_type, bytes, fee }).await
}

/// Items that one call takes.
const MAX_ITEMS: usize = 100;

/// Take several free items, all of them or none
#[utoipa::path(post, path = "/api/v1/wallet/items/request", tag = "wallet", request_body = ItemRequests,
    responses((status = 201, description = "The signed transactions, in the pool.", body = view::json::Admitted)))]
async fn request_items(State(service): State<Service>, Body(wanted): Body<ItemRequests>) -> Answer {
    let ItemRequests { from, items } = wanted;
    if !(1..=MAX_ITEMS).contains(&items.len()) {
        let count = items.len();
        return Err(Problem::malformed(format!("items: {count} of them, from 1 to {MAX_ITEMS} are taken")));
    }
    let reply = service.execute(Command::RequestItems { signer: from, items }).await?;
    Ok(json(&service, StatusCode::CREATED, &reply))
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
