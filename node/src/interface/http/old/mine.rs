//! `POST /mine`, which three old programs had, each with another body, and `GET /mine`.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal, done},
    body::Asked,
    stopwatch::Stopwatch,
};
use crate::{
    application::{Service, reply::Block, service::Recorded},
    interface::view::replaced,
};

/// Texts that one call may put on record: they are signed one by one.
const MAX_TEXTS: usize = 1_000;

/// Told apart by the body: `data` is BlockBard's, `transactions` that of the program with a menu, neither the simulation's.
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
    Ok(done(asked, StatusCode::ACCEPTED, json!({ "message": "Mining triggered" })))
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
    let body = json!({
        "block": replaced::block(&block, service.wallet()),
        "cpu_utilization": watch.cpu_utilization(),
        "message": "New block mined and broadcasted",
        "time_taken": watch.time_taken(),
    });
    Ok(done(asked, StatusCode::CREATED, body))
}

async fn of_pool(service: &Service, asked: &Asked) -> Answer {
    let Some(block) = service.mine_pool().await? else {
        let error = "Missing 'data' field in request body";
        let hint = "send data or transactions, or add a transaction first";
        let body = json!({ "error": error, "message": "No transactions to mine", "details": hint });
        return Err(Refusal::json(StatusCode::BAD_REQUEST, body));
    };
    let shown = replaced::block(&block, service.wallet());
    Ok(done(asked, StatusCode::CREATED, json!({ "message": "New block mined", "block": shown })))
}

/// The prototype's `GET /mine`.
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
