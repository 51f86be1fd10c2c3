//! Events as JSON for programs and as lines for people.

use bard_chain::{
    block::Header,
    hash::BlockId,
    target::Target,
    transaction::Action,
    units::{Height, Work},
};
use bard_protocol::{Direction, PeerInfo};
use serde_json::{Value, json};

use crate::{
    application::events::{Brief, Change, SyncState},
    catch_up, clock, miner,
};

/// The JSON of an event. Its fields are documented in `docs/events.md`; none is ever taken away or given another meaning.
pub fn json(change: &Change) -> Value {
    match change {
        Change::Block { id, header, transactions, size } => block(id, header, *transactions, *size),
        Change::Reorg { disconnected, connected, fork, old_tip } => json!({
            "outcome": "adopted",
            "disconnected": disconnected,
            "connected": connected,
            "fork_height": fork.get(),
            "old_tip": old_tip.to_string(),
        }),
        Change::BranchRefused { at, reason } => {
            json!({ "outcome": "refused", "invalid_block": at.to_string(), "reason": reason })
        }
        Change::Transaction(brief) => transaction(brief),
        Change::Connected(info) => connected(info),
        Change::Lost(peer) => json!({ "change": "lost", "peer_id": peer.to_string() }),
        Change::Mining(activity) => mining(activity),
        Change::Sync { state, progress, height } => sync(*state, progress, *height),
    }
}

fn block(id: &BlockId, header: &Header, transactions: usize, size: usize) -> Value {
    json!({
        "height": header.height.get(),
        "hash": id.to_string(),
        "previous_hash": header.parent.to_string(),
        "timestamp": clock::rfc3339(header.timestamp),
        "miner": header.miner.to_string(),
        "difficulty": header.target.expand().map_or(Work::ZERO, Target::work).to_string(),
        "transactions": transactions,
        "size": size,
    })
}

fn transaction(brief: &Brief) -> Value {
    let kind = brief.action.name();
    let action = match &brief.action {
        Action::Transfer { to, amount } => json!({ "type": kind, "to": to.to_string(), "amount": amount.get() }),
        Action::Record { content_type, .. } => json!({ "type": kind, "content_type": content_type }),
        Action::ItemRequest { item } | Action::ItemRelease { item } => json!({ "type": kind, "item": item }),
        Action::ItemTransfer { item, to } => json!({ "type": kind, "item": item, "to": to.to_string() }),
    };
    json!({
        "id": brief.id.to_string(),
        "sender": brief.sender.to_string(),
        "nonce": brief.nonce.get(),
        "fee": brief.fee.get(),
        "size": brief.size,
        "action": action,
    })
}

fn connected(info: &PeerInfo) -> Value {
    json!({
        "change": "connected",
        "peer_id": info.id.to_string(),
        "address": info.addresses.first().map(ToString::to_string),
        "direction": match info.direction {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        },
        "transport": info.transport,
        "found_by": info.origins.first().map(ToString::to_string),
        "agent": info.agent.as_str(),
    })
}

fn mining(activity: &miner::Activity) -> Value {
    json!({
        "enabled": activity.continuous,
        "threads": activity.threads,
        "hash_rate": activity.hash_rate,
        "mined": activity.mined,
    })
}

fn sync(state: SyncState, progress: &catch_up::Progress, height: Height) -> Value {
    json!({
        "state": match state {
            SyncState::Started => "started",
            SyncState::Progress => "progress",
            SyncState::Finished => "finished",
        },
        "height": height.get(),
        "target_height": progress.target.get(),
        "accepted": progress.accepted,
    })
}

/// The line of an event that people are told of.
pub fn line(change: &Change) -> Option<String> {
    match change {
        Change::Block { id, header, transactions, .. } => {
            Some(format!("* block {} {id} ({transactions} transactions)", header.height))
        }
        Change::Reorg { disconnected, connected, fork, .. } => Some(format!(
            "* reorganisation: another branch has more work; {disconnected} blocks after height {fork} left the chain, \
             {connected} joined it"
        )),
        Change::BranchRefused { at, reason } => {
            Some(format!("* a branch with more work is refused: its block {at} is invalid: {reason}"))
        }
        Change::Connected(info) => Some(format!("* connected to {}", info.id)),
        Change::Lost(peer) => Some(format!("* lost {peer}; it is dialled again")),
        Change::Transaction(_) | Change::Mining(_) | Change::Sync { .. } => None,
    }
}
