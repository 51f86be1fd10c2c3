//! Whether the chain is valid, and what kind of chain it is.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal},
    stopwatch::Stopwatch,
};
use crate::{
    application::{BlockChoice, Command, Reply, Service},
    interface::view::replaced,
};

/// `GET /info`. The chain is valid whenever it is asked: nothing else becomes part of it. `GET /validate` looks again.
pub(super) async fn info(State(service): State<Service>) -> Result<Json<Value>, Refusal> {
    let (height, reward) = service.height_and_reward();
    let difficulty = match service.execute(Command::Block { block: BlockChoice::Tip }).await? {
        Reply::Block(tip) => replaced::zero_digits(&tip),
        _ => 0,
    };
    Ok(Json(json!({
        "difficulty": difficulty,
        "is_valid": true,
        "mining_reward": reward.get(),
        "name": "BlockBard",
        "pending_transactions": service.pool_len(),
        "total_blocks": height.get().saturating_add(1),
        "total_nodes": service.http_nodes().len(),
        "version": env!("CARGO_PKG_VERSION"),
    })))
}

/// `GET /validate`.
pub(super) async fn validate(State(service): State<Service>) -> Result<Json<Value>, Refusal> {
    let verified = service.verify_alone().await?;
    Ok(Json(json!({ "valid": verified.problem.is_none() })))
}

/// `GET /verify`.
pub(super) async fn verify(State(service): State<Service>) -> Answer {
    let watch = Stopwatch::start();
    let verified = service.verify_alone().await?;
    Ok(match verified.problem {
        None => Json(json!({
            "cpu_utilization": watch.cpu_utilization(),
            "message": "Chain validation completed successfully",
            "time_taken": watch.time_taken(),
            "valid": true,
        }))
        .into_response(),
        Some(problem) => invalid(&problem, verified.height.get().saturating_add(1)),
    })
}

fn invalid(problem: &str, index: u64) -> Response {
    let error = format!("Invalid block at index {index}");
    (StatusCode::BAD_REQUEST, Json(json!({ "valid": false, "error": error, "details": problem }))).into_response()
}
