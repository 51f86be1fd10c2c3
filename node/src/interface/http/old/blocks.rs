//! `POST /add_block`: the old programs' way to hand a block on.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal},
    body::Asked,
    chain,
    shown::{OldAdded, OldRefusal},
};
use crate::{
    application::{
        BlockChoice, Command, Reply, Service,
        reply::Block,
        service::{Failure, FailureKind},
    },
    interface::view::{replaced, replaced_json::OldBlockShown},
};

/// How long everybody is asked for a block that this node does not have.
const DEADLINE: Duration = Duration::from_secs(15);

/// Hand a block on
///
/// A block of the old programs has no signatures and no state: it can be no block of this chain. One of this chain's own, as
/// the calls show it, is good if this node has it or can get it from others.
#[utoipa::path(post, path = "/add_block", operation_id = "old_add_block", tag = "replaced",
    request_body(content((OldBlockShown = "application/json"), (OldBlockShown = "application/x-www-form-urlencoded"))),
    responses((status = 201, description = "This node has it.", body = OldAdded),
        (status = 400, description = "It is no block, or none of this chain.", body = OldRefusal),
        (status = 409, description = "The same of a block with `data` and no `nonce`.", body = OldRefusal)))]
pub(super) async fn add_block(State(service): State<Service>, asked: Asked) -> Answer {
    let shown = &asked.fields;
    let invalid = |what: &str| Refusal::error("Invalid block data", what);
    if shown.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(invalid("a block is expected: index, timestamp, data or transactions, previous_hash, hash"));
    }
    let index = shown.get("index").and_then(Value::as_u64).ok_or_else(|| invalid("index: a number is expected"))?;
    for field in ["hash", "previous_hash"] {
        if !shown.get(field).is_some_and(Value::is_string) {
            return Err(invalid(&format!("{field}: a text is expected")));
        }
    }
    if shown.get("data").is_none() && shown.get("transactions").is_none() {
        return Err(invalid("data or transactions: one of them is expected"));
    }
    let hash = shown.get("hash").and_then(Value::as_str).unwrap_or_default();
    let Some(block) = hash.parse().ok().map(|id| Command::Block { block: BlockChoice::Id(id) }) else {
        return Err(refused(shown, "hash: 64 hex digits are expected", None));
    };
    if let Some(known) = look(&service, block.clone()).await? {
        return judged(&service, shown, index, &known, None);
    }
    let asked = tokio::time::timeout(DEADLINE, chain::asked_everybody(&service)).await;
    let resolved = asked.ok().transpose()?.map(|(_, fields)| fields);
    match look(&service, block).await? {
        Some(known) => judged(&service, shown, index, &known, resolved),
        None => Err(refused(shown, "no block with this hash is known here or to any peer", resolved)),
    }
}

async fn look(service: &Service, block: Command) -> Result<Option<Block>, Refusal> {
    match service.execute(block).await {
        Ok(Reply::Block(block)) => Ok(Some(block)),
        Ok(_) | Err(Failure { kind: FailureKind::NotFound | FailureKind::NotHeld, .. }) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

fn judged(service: &Service, shown: &Value, index: u64, known: &Block, resolved: Option<Value>) -> Answer {
    if !replaced::is_same(shown, known, service.wallet()) {
        return Err(refused(shown, "the block of this hash is another one", resolved));
    }
    let added = OldAdded { message: format!("Block {index} added"), active: known.active };
    Ok((StatusCode::CREATED, Json(added)).into_response())
}

/// A block with `data` and no `nonce` is refused as BlockBard did it, any other as its relative with a menu.
fn refused(shown: &Value, why: &str, resolved: Option<Value>) -> Refusal {
    let of_blockbard = shown.get("data").is_some() && shown.get("nonce").is_none();
    let (status, message) = if of_blockbard {
        (StatusCode::CONFLICT, "Block invalid or already present")
    } else {
        (StatusCode::BAD_REQUEST, "Attempted to resolve conflicts")
    };
    let resolved = resolved.unwrap_or_else(|| json!({ "message": "Our chain is authoritative" }));
    let body = OldRefusal {
        error: "Invalid block".to_owned(),
        message: message.to_owned(),
        details: Some(why.to_owned()),
        resolve_response: Some(resolved),
    };
    Refusal::of(status, body)
}
