//! Replies as JSON, as the outer contract has them: amounts are integers, hashes hex, addresses bech32m, times RFC 3339.

use bard_chain::{
    hash::TransactionId,
    target::Target,
    transaction::{Action, Transaction},
    units::Work,
};
use serde_json::{Value, json};

use crate::{
    application::reply::{Balance, Block, Node, Peer, Placed, Reply, Status, Verified},
    catch_up, clock, miner,
    wallet::Wallet,
};

/// The JSON of a reply.
pub fn reply(reply: &Reply, wallet: &Wallet) -> Value {
    match reply {
        Reply::Node(one) => node(one),
        Reply::Status(one) => status(one),
        Reply::Peers(all) => json!({ "peers": all.iter().map(peer).collect::<Vec<_>>() }),
        Reply::Connected(id) => json!({ "peer_id": id.to_string() }),
        Reply::Mined(all) => json!({ "blocks": all.iter().map(mined).collect::<Vec<_>>() }),
        Reply::Mining(activity) => mining(activity),
        Reply::Blocks { blocks, next } => json!({
            "blocks": blocks.iter().map(block).collect::<Vec<_>>(),
            "next": next.map(|height| height.get()),
        }),
        Reply::Block(one) => block(one),
        Reply::Transaction(one) => placed(one),
        Reply::Pool(all) => json!({
            "transactions": all.iter().map(|one| transaction(one.id(), one.transaction())).collect::<Vec<_>>(),
        }),
        Reply::Admitted(all) => json!({
            "transactions": all.iter().map(|one| transaction(one.id(), one.transaction())).collect::<Vec<_>>(),
        }),
        Reply::Items { items, .. } => {
            let item = |(name, holder): &(_, Option<bard_chain::address::Address>)| {
                let holder_name = holder.and_then(|holder| wallet.name_of(&holder));
                json!({ "item": name, "holder": holder.map(|h| h.to_string()), "holder_name": holder_name })
            };
            json!({ "items": items.iter().map(item).collect::<Vec<_>>() })
        }
        Reply::Balance(one) => balance(one),
        Reply::Wallets(all) => json!({ "wallets": all.iter().map(balance).collect::<Vec<_>>() }),
        Reply::NewKey { name, address } => json!({ "name": name, "address": address.to_string() }),
        Reply::Verified(one) => verified(one),
        Reply::Synced(summary, height) => synced(summary, height.get()),
    }
}

fn node(node: &Node) -> Value {
    json!({
        "version": node.version,
        "peer_id": node.peer_id.to_string(),
        "listen": node.listen,
        "external": node.external,
        "chain": { "name": node.chain_name, "id": node.chain.to_string() },
        "address": node.address.to_string(),
        "reachability": node.reachability,
        "uptime_ms": node.uptime_ms,
    })
}

fn status(status: &Status) -> Value {
    json!({
        "chain": status.chain_name,
        "height": status.height.get(),
        "tip": status.tip.to_string(),
        "tip_time": clock::rfc3339(status.tip_time),
        "state_root": status.state_root.to_string(),
        "total_work": status.work.to_string(),
        "difficulty": status.difficulty.to_string(),
        "target_interval_ms": status.target_interval_ms,
        "peers": status.peers,
        "agreeing_peers": status.agreeing,
        "pool": { "transactions": status.pool, "bytes": status.pool_bytes },
        "mining": mining(&status.mining),
        "hash_rate": status.mining.hash_rate,
        "sync": match &status.sync {
            Some(progress) => json!({
                "syncing": true, "target_height": progress.target.get(), "accepted": progress.accepted,
            }),
            None => json!({ "syncing": false, "target_height": status.height.get(), "accepted": 0 }),
        },
        "reachability": status.reachability,
        "items": { "reserved": status.items_reserved, "available": status.items_available },
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

fn mined(mined: &miner::Mined) -> Value {
    json!({ "height": mined.height.get(), "hash": mined.id.to_string() })
}

fn peer(peer: &Peer) -> Value {
    let info = &peer.info;
    json!({
        "peer_id": info.id.to_string(),
        "addresses": info.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "found_by": info.origins.first().map(ToString::to_string),
        "origins": info.origins.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "direction": match info.direction {
            bard_protocol::Direction::Inbound => "inbound",
            bard_protocol::Direction::Outbound => "outbound",
        },
        "transport": info.transport,
        "agent": info.agent.as_str(),
        "latency_ms": info.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
        "height": peer.status.as_ref().map(|status| status.height.get()),
        "tip": peer.status.as_ref().map(|status| status.tip.to_string()),
        "faults": info.faults,
    })
}

/// A block: the field names of the programs that BlockBard replaces, and its own.
pub fn block(block: &Block) -> Value {
    let header = block.header();
    let ids = block.block.transaction_ids().iter();
    let transactions = ids.zip(&block.block.block().transactions).map(|(id, one)| transaction(*id, one));
    let difficulty = header.target.expand().map_or(Work::ZERO, Target::work);
    json!({
        "index": header.height.get(),
        "height": header.height.get(),
        "hash": block.block.id().to_string(),
        "previous_hash": header.parent.to_string(),
        "timestamp": clock::rfc3339(header.timestamp),
        "nonce": header.nonce,
        "data": super::replaced::data(block),
        "version": header.version,
        "target": header.target.to_string(),
        "difficulty": difficulty.to_string(),
        "miner": header.miner.to_string(),
        "transactions_root": header.transactions_root.to_string(),
        "state_root": header.state_root.to_string(),
        "transactions": transactions.collect::<Vec<_>>(),
        "size": block.block.bytes().len(),
        "active": block.active,
    })
}

fn placed(placed: &Placed) -> Value {
    let mut value = transaction(placed.id, &placed.transaction);
    if let Value::Object(fields) = &mut value {
        let block = placed
            .mined
            .map(|(height, id, index)| json!({ "height": height.get(), "hash": id.to_string(), "position": index }));
        fields.insert("block".to_owned(), block.unwrap_or(Value::Null));
    }
    value
}

/// A transaction.
pub fn transaction(id: TransactionId, transaction: &Transaction) -> Value {
    json!({
        "id": id.to_string(),
        "version": transaction.version,
        "sender": transaction.sender.to_string(),
        "nonce": transaction.nonce.get(),
        "fee": transaction.fee.get(),
        "action": action(&transaction.action),
        "signature": transaction.signature.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    })
}

fn action(action: &Action) -> Value {
    let kind = action.name();
    match action {
        Action::Transfer { to, amount } => json!({ "type": kind, "to": to.to_string(), "amount": amount.get() }),
        Action::Record { content_type, bytes } => json!({
            "type": kind,
            "content_type": content_type,
            "text": std::str::from_utf8(bytes).ok(),
            "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        }),
        Action::ItemRequest { item } | Action::ItemRelease { item } => json!({ "type": kind, "item": item }),
        Action::ItemTransfer { item, to } => json!({ "type": kind, "item": item, "to": to.to_string() }),
    }
}

fn balance(balance: &Balance) -> Value {
    json!({
        "name": balance.name,
        "address": balance.address.to_string(),
        "balance": balance.confirmed.balance.get(),
        "nonce": balance.confirmed.nonce.get(),
        "pending": { "balance": balance.pending.balance.get(), "nonce": balance.pending.nonce.get() },
    })
}

fn verified(verified: &Verified) -> Value {
    json!({
        "valid": verified.problem.is_none(),
        "height": verified.height.get(),
        "transactions": verified.transactions,
        "problem": verified.problem,
    })
}

fn synced(summary: &catch_up::Summary, height: u64) -> Value {
    json!({
        "asked": summary.asked,
        "answered": summary.answered,
        "accepted": summary.accepted,
        "problems": summary.problems,
        "height": height,
    })
}
