//! The whole chain, and asking others for a better one.

use axum::extract::State;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal, to_page},
    body::Asked,
    stopwatch::Stopwatch,
    stream,
};
use crate::application::Service;

/// `GET /chain`.
pub(super) async fn chain(State(service): State<Service>) -> Answer {
    let (last, _) = service.height_and_reward();
    stream::object(&service, &json!({ "length": last.get().saturating_add(1) }), "chain", last).await
}

/// `GET /get_chain`: the blocks and nothing around them.
pub(super) async fn get_chain(State(service): State<Service>) -> Answer {
    let (last, _) = service.height_and_reward();
    stream::list(&service, last).await
}

/// `GET /nodes/resolve`.
pub(super) async fn resolve(State(service): State<Service>) -> Answer {
    let (replaced, fields) = asked_everybody(&service).await?;
    let (last, _) = service.height_and_reward();
    stream::object(&service, &fields, if replaced { "new_chain" } else { "chain" }, last).await
}

/// `POST /consensus`.
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
