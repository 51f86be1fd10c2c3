//! Whether the chain is valid, and what kind of chain it is.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    answer::{Answer, Refusal},
    shown::{OldInfo, OldInvalid, OldValidity, OldVerified},
    stopwatch::Stopwatch,
};
use crate::{
    application::{BlockChoice, Command, Reply, Service},
    interface::view::replaced,
};

/// What kind of chain this is
///
/// It is valid whenever this is asked: nothing else becomes part of it. `GET /validate` looks again.
#[utoipa::path(get, path = "/info", operation_id = "old_info", tag = "replaced",
    responses((status = 200, description = "The chain.", body = OldInfo)))]
pub(super) async fn info(State(service): State<Service>) -> Result<Json<OldInfo>, Refusal> {
    let (height, reward) = service.height_and_reward();
    let difficulty = match service.execute(Command::Block { block: BlockChoice::Tip }).await? {
        Reply::Block(tip) => replaced::zero_digits(&tip),
        _ => 0,
    };
    Ok(Json(OldInfo {
        difficulty,
        is_valid: true,
        mining_reward: reward.get(),
        name: "BlockBard",
        pending_transactions: service.pool_len(),
        total_blocks: height.get().saturating_add(1),
        total_nodes: service.http_nodes().len(),
        version: env!("CARGO_PKG_VERSION"),
    }))
}

/// Whether the whole chain is valid, checked anew
#[utoipa::path(get, path = "/validate", operation_id = "old_validate", tag = "replaced",
    responses((status = 200, description = "Whether it is.", body = OldValidity)))]
pub(super) async fn validate(State(service): State<Service>) -> Result<Json<OldValidity>, Refusal> {
    let verified = service.verify_alone().await?;
    Ok(Json(OldValidity { valid: verified.problem.is_none() }))
}

/// Check the whole chain anew
#[utoipa::path(get, path = "/verify", operation_id = "old_verify", tag = "replaced",
    responses((status = 200, description = "It is valid.", body = OldVerified),
        (status = 400, description = "It is not.", body = OldInvalid)))]
pub(super) async fn verify(State(service): State<Service>) -> Answer {
    let watch = Stopwatch::start();
    let verified = service.verify_alone().await?;
    Ok(match verified.problem {
        None => Json(OldVerified {
            valid: true,
            message: "Chain validation completed successfully",
            time_taken: watch.time_taken(),
            cpu_utilization: watch.cpu_utilization(),
        })
        .into_response(),
        Some(problem) => invalid(problem, verified.height.get().saturating_add(1)),
    })
}

fn invalid(details: String, index: u64) -> Response {
    let error = format!("Invalid block at index {index}");
    (StatusCode::BAD_REQUEST, Json(OldInvalid { valid: false, error, details })).into_response()
}
