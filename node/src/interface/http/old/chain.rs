//! The whole chain, and asking others for a better one.

use axum::extract::State;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal, to_page},
    body::Asked,
    stopwatch::Stopwatch,
    stream,
};
use crate::{
    application::Service,
    interface::view::replaced_json::{OldBlock, OldChain, OldNothing, OldResolved},
};

/// All blocks
#[utoipa::path(get, path = "/chain", operation_id = "old_chain", tag = "replaced",
    responses((status = 200, description = "The chain.", body = OldChain)))]
pub(super) async fn chain(State(service): State<Service>) -> Answer {
    let (last, _) = service.height_and_reward();
    stream::object(&service, &json!({ "length": last.get().saturating_add(1) }), "chain", last).await
}

/// All blocks and nothing around them
#[utoipa::path(get, path = "/get_chain", operation_id = "old_get_chain", tag = "replaced",
    responses((status = 200, description = "The blocks.", body = Vec<OldBlock>)))]
pub(super) async fn get_chain(State(service): State<Service>) -> Answer {
    let (last, _) = service.height_and_reward();
    stream::list(&service, last).await
}

/// Ask everybody for a better chain, by `GET`
#[utoipa::path(get, path = "/nodes/resolve", operation_id = "old_resolve", tag = "replaced",
    responses((status = 200, description = "What came of it, and the chain.", body = OldResolved)))]
pub(super) async fn resolve(State(service): State<Service>) -> Answer {
    let (replaced, fields) = asked_everybody(&service).await?;
    let (last, _) = service.height_and_reward();
    stream::object(&service, &fields, if replaced { "new_chain" } else { "chain" }, last).await
}

/// Ask everybody for a better chain
#[utoipa::path(post, path = "/consensus", operation_id = "old_consensus", tag = "replaced",
    request_body(content((OldNothing = "application/json"), (OldNothing = "application/x-www-form-urlencoded"))),
    responses((status = 200, description = "What came of it, and the chain.", body = OldResolved)))]
pub(super) async fn consensus(State(service): State<Service>, asked: Asked) -> Answer {
    let (_, fields) = asked_everybody(&service).await?;
    if asked.wants_page {
        return Ok(to_page());
    }
    let (last, _) = service.height_and_reward();
    stream::object(&service, &fields, "chain", last).await
}

/// Whether this node has another chain after asking everybody, and what to say of it.
pub(super) async fn asked_everybody(service: &Service) -> Result<(bool, Value), Refusal> {
    let watch = Stopwatch::start();
    let resolved = service.resolve().await?;
    let summary = resolved.summary.unwrap_or_default();
    let message = if resolved.replaced { "Our chain was replaced" } else { "Our chain is authoritative" };
    let fields = json!({
        "message": message,
        "replaced": resolved.replaced,
        "time_taken": watch.time_taken(),
        "cpu_utilization": watch.cpu_utilization(),
        "asked": summary.asked,
        "answered": summary.answered,
        "problems": summary.problems,
    });
    Ok((resolved.replaced, fields))
}
