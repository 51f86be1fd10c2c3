//! `POST /mine`, which three old programs had, each with another body, and `GET /mine`.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{
    answer::{Answer, Refusal, done},
    body::Asked,
    shown::{OldMessage, OldMined, OldRefusal},
    stopwatch::Stopwatch,
};
use crate::{
    application::{Service, reply::Block, service::Recorded},
    interface::view::{
        replaced,
        replaced_json::{OldBlock, OldMine},
    },
};

/// Texts that one call may put on record: they are signed one by one.
const MAX_TEXTS: usize = 1_000;

/// Mine: `data`, `transactions`, or what is in the pool
///
/// Told apart by the body: `data` is BlockBard's, `transactions` that of the program with a menu, neither the simulation's.
#[utoipa::path(post, path = "/mine", operation_id = "old_mine", tag = "replaced",
    request_body(content((OldMine = "application/json"), (OldMine = "application/x-www-form-urlencoded"))),
    responses((status = 201, description = "`transactions`, or what was in the pool, are mined.", body = OldMined),
        (status = 202, description = "`data` will be mined.", body = OldMessage)))]
pub(super) async fn by_post(State(service): State<Service>, asked: Asked) -> Answer {
    if let Some(data) = asked.fields.get("data") {
        return with_data(&service, &asked, data).await;
    }
    match asked.fields.get("transactions") {
        Some(texts) => with_texts(&service, &asked, texts).await,
        None => of_pool(&service, &asked).await,
    }
}

async fn with_data(service: &Service, asked: &Asked, data: &Value) -> Answer {
    let recorded = service.record_and_mine_soon(Recorded::value(data)).await;
    recorded.map_err(|failure| Refusal::titled(failure, "error", "Failed to trigger mining"))?;
    Ok(done(asked, StatusCode::ACCEPTED, OldMessage { message: "Mining triggered" }))
}

async fn with_texts(service: &Service, asked: &Asked, texts: &Value) -> Answer {
    let watch = Stopwatch::start();
    let records: Vec<Recorded> = match texts {
        Value::Null | Value::Bool(false) => Vec::new(),
        Value::String(text) if text.is_empty() => Vec::new(),
        Value::Number(number) if number.as_f64() == Some(0.0) => Vec::new(),
        Value::Object(fields) if fields.is_empty() => Vec::new(),
        Value::Array(texts) => texts.iter().map(Recorded::value).collect(),
        one => vec![Recorded::value(one)],
    };
    if records.is_empty() {
        let what = "transactions: a list of texts is expected, such as [\"Alice pays Bob 10 BTC\"]";
        return Err(Refusal::error("Transactions are required", what));
    }
    if records.len() > MAX_TEXTS {
        let what = format!("transactions: {} are too many for one call, {MAX_TEXTS} are allowed", records.len());
        return Err(Refusal::error("Too many transactions", what));
    }
    let mined = service.record_and_mine(records).await;
    let block = mined.map_err(|failure| Refusal::titled(failure, "error", "The transactions cannot be recorded"))?;
    let body = OldMined {
        block: replaced::block(&block, service.wallet()),
        message: "New block mined and broadcasted",
        time_taken: Some(watch.time_taken()),
        cpu_utilization: Some(watch.cpu_utilization()),
    };
    Ok(done(asked, StatusCode::CREATED, body))
}

async fn of_pool(service: &Service, asked: &Asked) -> Answer {
    let Some(block) = service.mine_pool().await? else {
        let body = OldRefusal {
            error: "Missing 'data' field in request body".to_owned(),
            message: "No transactions to mine".to_owned(),
            details: Some("send data or transactions, or add a transaction first".to_owned()),
            resolve_response: None,
        };
        return Err(Refusal::of(StatusCode::BAD_REQUEST, body));
    };
    let block = replaced::block(&block, service.wallet());
    let body = OldMined { block, message: "New block mined", time_taken: None, cpu_utilization: None };
    Ok(done(asked, StatusCode::CREATED, body))
}

/// Mine what is in the pool, by `GET`
#[utoipa::path(get, path = "/mine", operation_id = "old_mine_by_get", tag = "replaced",
    responses((status = 200, description = "The block, and a message.", body = OldBlock)))]
pub(super) async fn by_get(State(service): State<Service>) -> Answer {
    let Some(block) = service.mine_pool().await? else {
        return Err(Refusal::message("No transactions to mine", "the pool is empty: add a transaction first"));
    };
    Ok(forged(&service, &block))
}

fn forged(service: &Service, block: &Block) -> Response {
    let mut shown = replaced::block(block, service.wallet());
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("message".to_owned(), "New block forged".into());
    }
    Json(shown).into_response()
}
