//! Replies as text: one plain line or block of lines each, the same on a terminal and on a pipe.

use bard_chain::{
    address::Address,
    target::Target,
    transaction::{Action, Transaction},
    units::Work,
};
use bard_protocol::Direction;

use crate::{
    application::{
        ItemFilter,
        reply::{Balance, Block, Node, Peer, Placed, Reply, Status, Verified},
    },
    catch_up, clock, miner,
    wallet::Wallet,
};

/// How much of a record is shown in a line, in characters.
const RECORD_SHOWN: usize = 60;

/// The text of a reply, without a line break at its end.
pub fn reply(reply: &Reply, wallet: &Wallet) -> String {
    match reply {
        Reply::Node(one) => node(one),
        Reply::Status(one) => status(one),
        Reply::Peers(all) if all.is_empty() => "no peers connected".to_owned(),
        Reply::Peers(all) => with_head(format!("connected peers ({}):", all.len()), all.iter().map(peer)),
        Reply::Connected(id) => format!("connected to {id}"),
        Reply::Mined(all) => lines(all.iter().map(|m| format!("mined block {} {}", m.height, m.id))),
        Reply::Mining(activity) => mining_told(activity),
        Reply::Blocks { blocks, .. } if blocks.is_empty() => "no blocks there".to_owned(),
        Reply::Blocks { blocks, .. } => lines(blocks.iter().map(block_line)),
        Reply::Block(one) => block(one, wallet),
        Reply::Transaction(one) => placed(one, wallet),
        Reply::Pool(all) if all.is_empty() => "the pool is empty".to_owned(),
        Reply::Pool(all) => with_head(
            format!("transactions in the pool ({}):", all.len()),
            all.iter().map(|one| format!("{} {}", one.id(), transaction(one.transaction(), wallet))),
        ),
        Reply::Admitted(all) => {
            lines(all.iter().map(|one| format!("in the pool: {} {}", one.id(), transaction(one.transaction(), wallet))))
        }
        Reply::Items { filter, items } => items_told(*filter, items, wallet),
        Reply::Balance(one) => balance(one),
        Reply::Wallets(all) => lines(all.iter().map(balance)),
        Reply::NewKey { name, address } => format!("{name} {address}"),
        Reply::Verified(one) => verified(one),
        Reply::Synced(summary, height) => synced(summary, height.get()),
        // No command of the console asks for the others: as programs see them.
        other => serde_json::to_string_pretty(&super::json::reply(other, wallet)).unwrap_or_default(),
    }
}

fn lines(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join("\n")
}

fn with_head(head: String, all: impl Iterator<Item = String>) -> String {
    lines(std::iter::once(head).chain(all.map(|line| format!("  {line}"))))
}

/// The name of an address where it has one, the address otherwise.
pub fn who(address: &Address, wallet: &Wallet) -> String {
    wallet.name_of(address).unwrap_or_else(|| address.to_string())
}

fn node(node: &Node) -> String {
    let listen = node.listen.iter().map(|address| format!("listening on  {address}"));
    let external = node.external.iter().map(|address| format!("reachable at  {address}"));
    let head = [
        format!("version       {}", node.version),
        format!("peer id       {}", node.peer_id),
        format!("chain         {} ({})", node.chain_name, node.chain),
        format!("own address   {}", node.address),
    ];
    lines(head.into_iter().chain(listen).chain(external))
}

fn status(status: &Status) -> String {
    let sync = match &status.sync {
        Some(progress) => format!("catching up to height {}, {} blocks so far", progress.target, progress.accepted),
        None => "nothing to catch up".to_owned(),
    };
    let agreeing = format!("{}, {} at the same tip", status.peers, status.agreeing);
    lines(
        [
            format!("chain         {}", status.chain_name),
            format!("height        {}", status.height),
            format!("tip           {}", status.tip),
            format!("tip time      {}", clock::local(status.tip_time)),
            format!("work          {}", status.work),
            format!("difficulty    {} hashes a block", status.difficulty),
            format!("peers         {agreeing}"),
            format!("reachability  {}", status.reachability),
            format!("pool          {} transactions, {} bytes", status.pool, status.pool_bytes),
            format!("mining        {}", mining(&status.mining)),
            format!("sync          {sync}"),
            format!("items         {} reserved, {} available", status.items_reserved, status.items_available),
            "chain is valid".to_owned(),
        ]
        .into_iter(),
    )
}

fn mining(activity: &miner::Activity) -> String {
    let state = if activity.continuous { "on" } else { "off" };
    format!("{state}, {} threads, {}, {} blocks found", activity.threads, rate(activity.hash_rate), activity.mined)
}

fn mining_told(activity: &miner::Activity) -> String {
    if activity.continuous { format!("mining on {} threads", activity.threads) } else { "mining is off".to_owned() }
}

/// A hash rate with its unit.
fn rate(hashes: f64) -> String {
    match hashes {
        h if h >= 1e6 => format!("{:.1} MH/s", h / 1e6),
        h if h >= 1e3 => format!("{:.1} kH/s", h / 1e3),
        h => format!("{h:.0} H/s"),
    }
}

fn peer(peer: &Peer) -> String {
    let info = &peer.info;
    let address = info.addresses.first().map_or_else(|| "?".to_owned(), ToString::to_string);
    let direction = match info.direction {
        Direction::Inbound => "in",
        Direction::Outbound => "out",
    };
    let height = peer.status.as_ref().map_or_else(|| "?".to_owned(), |status| status.height.to_string());
    let rtt = info.rtt.map_or_else(|| "?".to_owned(), |rtt| format!("{:.1} ms", rtt.as_secs_f64() * 1000.0));
    let faults = if info.faults.is_empty() { String::new() } else { format!(", faults: {}", info.faults.join("; ")) };
    let origins: Vec<_> = info.origins.iter().map(|origin| origin.name()).collect();
    format!("{} {address} {direction}, found by {}, height {height}, {rtt}{faults}", info.id, origins.join(" and "))
}

fn block_line(block: &Block) -> String {
    let header = block.header();
    let count = block.block.transaction_ids().len();
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {} {} {count} transaction{plural}", header.height, block.block.id(), clock::local(header.timestamp))
}

fn block(block: &Block, wallet: &Wallet) -> String {
    let header = block.header();
    let place = if block.active { "" } else { " (on a side branch)" };
    let work = header.target.expand().map_or(Work::ZERO, Target::work);
    let head = [
        format!("block         {}{place}", header.height),
        format!("hash          {}", block.block.id()),
        format!("previous      {}", header.parent),
        format!("time          {}", clock::local(header.timestamp)),
        format!("miner         {}", who(&header.miner, wallet)),
        format!("target        {} ({work} hashes)", header.target),
        format!("nonce         {}", header.nonce),
        format!("state root    {}", header.state_root),
        format!("transactions  {}", block.block.transaction_ids().len()),
    ];
    let both = block.block.transaction_ids().iter().zip(&block.block.block().transactions);
    lines(head.into_iter().chain(both.map(|(id, one)| format!("  {id} {}", transaction(one, wallet)))))
}

fn placed(placed: &Placed, wallet: &Wallet) -> String {
    let place = match placed.mined {
        Some((height, id, index)) => format!("in block {height} {id}, position {index}"),
        None => "in the pool".to_owned(),
    };
    format!("{} {}\n{place}", placed.id, transaction(&placed.transaction, wallet))
}

/// A transaction in a line.
pub fn transaction(transaction: &Transaction, wallet: &Wallet) -> String {
    let sender = who(&transaction.sender, wallet);
    let fee = if transaction.fee.get() == 0 { String::new() } else { format!(", fee {}", transaction.fee) };
    match &transaction.action {
        Action::Transfer { to, amount } => format!("{sender} pays {} {amount}{fee}", who(to, wallet)),
        Action::Record { bytes, .. } => format!("{sender} records {}{fee}", record(bytes)),
        Action::ItemRequest { item } => format!("{sender} requests {item}{fee}"),
        Action::ItemRelease { item } => format!("{sender} releases {item}{fee}"),
        Action::ItemTransfer { item, to } => format!("{sender} hands {item} to {}{fee}", who(to, wallet)),
    }
}

/// The beginning of a record, with nothing in it that a terminal could take for a command.
fn record(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let shown: String = text.chars().take(RECORD_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
            let more = if text.chars().nth(RECORD_SHOWN).is_some() { "..." } else { "" };
            format!("\"{shown}\"{more}")
        }
        Err(_) => format!("{} bytes", bytes.len()),
    }
}

fn items_told(
    filter: Option<ItemFilter>,
    items: &[(bard_chain::transaction::ItemName, Option<Address>)],
    wallet: &Wallet,
) -> String {
    let (empty, head) = match filter {
        Some(ItemFilter::Reserved) => ("all items are available", "reserved items:"),
        Some(ItemFilter::Available) => ("no items are available", "available items:"),
        None => ("no item was ever requested", "items:"),
    };
    if items.is_empty() {
        return empty.to_owned();
    }
    with_head(
        head.to_owned(),
        items.iter().map(|(name, holder)| match holder {
            Some(holder) => format!("{name}  held by {}", who(holder, wallet)),
            None => format!("{name}  available"),
        }),
    )
}

fn balance(balance: &Balance) -> String {
    let name = balance.name.as_ref().map_or_else(String::new, |name| format!("{name} "));
    let pending = if balance.pending.balance == balance.confirmed.balance {
        String::new()
    } else {
        format!(" ({} after the pool)", balance.pending.balance)
    };
    format!("{name}{} {}{pending}", balance.address, balance.confirmed.balance)
}

fn verified(verified: &Verified) -> String {
    match &verified.problem {
        None => format!(
            "the chain is valid: {} blocks and {} transactions checked from the genesis block on",
            verified.height, verified.transactions
        ),
        Some(problem) => format!("the chain is NOT valid: {problem}"),
    }
}

fn synced(summary: &catch_up::Summary, height: u64) -> String {
    if summary.asked == 0 {
        return "no peers to ask".to_owned();
    }
    let gained = match summary.accepted {
        0 => "nobody is ahead".to_owned(),
        n => format!("{n} blocks accepted"),
    };
    let head = format!("asked {} peers, {} answered: {gained}, height {height}", summary.asked, summary.answered);
    lines(std::iter::once(head).chain(summary.problems.iter().map(|problem| format!("  {problem}"))))
}
