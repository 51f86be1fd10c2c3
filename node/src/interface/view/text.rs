//! Answers as text: one plain line or block of lines each, the same on a terminal and on a pipe.

use std::collections::HashMap;

use super::json::{
    Account, Action, Address, Ban, Block, Direction, HandoverEntry, Item, ItemPage, Judge, Keys, Mining, Node, Peer,
    PlacedTransaction, Proof, Protection, Status, Synced, Transaction, Verified,
};
use crate::{
    clock,
    interface::ask::{Answer, ItemAndHistory, ItemState},
};

/// How much of a record is shown in a line, in characters.
const RECORD_SHOWN: usize = 60;

/// The names that a node has for addresses.
#[derive(Clone, Debug, Default)]
pub struct Names(HashMap<Address, String>);

impl Names {
    /// Those of its keys.
    pub fn of(keys: &Keys<'_>) -> Self {
        let named = keys.keys.iter().filter_map(|key| Some((key.address, key.name.as_ref()?.clone().into_owned())));
        Self(named.collect())
    }

    /// The name of an address where it has one, the address otherwise.
    fn who(&self, address: &Address) -> String {
        self.0.get(address).cloned().unwrap_or_else(|| address.to_string())
    }
}

/// The text of an answer, without a line break at its end.
pub fn answer(answer: &Answer, names: &Names) -> String {
    match answer {
        Answer::Node(one) => node(one),
        Answer::Status(one) => status(one),
        Answer::Peers(all) if all.peers.is_empty() => "no peers connected".to_owned(),
        Answer::Peers(all) => with_head(format!("connected peers ({}):", all.peers.len()), all.peers.iter().map(peer)),
        Answer::Connected(one) => format!("connected to {}", one.peer_id),
        Answer::Bans(all) if all.bans.is_empty() => "nobody is banned".to_owned(),
        Answer::Bans(all) => with_head(format!("banned ({}):", all.bans.len()), all.bans.iter().map(ban)),
        Answer::Banned(one) => format!("banned {}", ban(one)),
        Answer::Lifted(one) => format!("{} bans ended", one.lifted),
        Answer::Mined(all) => lines(all.blocks.iter().map(|m| format!("mined block {} {}", m.height, m.hash))),
        Answer::Mining(activity) => mining_told(activity),
        Answer::Blocks(page) if page.blocks.is_empty() => "no blocks there".to_owned(),
        Answer::Blocks(page) => lines(page.blocks.iter().map(block_line)),
        Answer::Block(one) => block(one, names),
        Answer::Transaction(one) => placed(one, names),
        Answer::Proof(one) => proof(one),
        Answer::Transactions(page) if page.transactions.is_empty() => {
            lines(std::iter::once("no transactions".to_owned()).chain(known_from(page.blocks_from)))
        }
        Answer::Transactions(page) => {
            let all = page.transactions.iter().map(|one| placed_line(one, names));
            lines(all.chain(known_from(page.blocks_from).filter(|_| page.next.is_none())))
        }
        Answer::Pool(page) if page.transactions.is_empty() => "the pool is empty".to_owned(),
        Answer::Pool(page) => {
            let all = page.transactions.iter().map(|one| format!("{} {}", one.id, transaction(one, names)));
            let first = if page.next.is_some() { "the first " } else { "" };
            let head = format!("transactions in the pool ({first}{}):", page.transactions.len());
            with_head(head, all.chain(and_more(page.next.is_some())))
        }
        Answer::Admitted(all) => {
            let line = |one: &Transaction<'_>| format!("in the pool: {} {}", one.id, transaction(one, names));
            lines(all.transactions.iter().map(line))
        }
        Answer::Items { state, page } => items(*state, page),
        Answer::Item(one) => item(one),
        Answer::Account(one) => account(one),
        Answer::Keys(all) => lines(all.keys.iter().map(account)),
        Answer::Protection(one) => protection(one).unwrap_or("the keys are open: this node can sign").to_owned(),
        Answer::NewKey(key) => format!("{} {}", key.name, key.address),
        Answer::Verified(one) => verified(one),
        Answer::Synced(one) => synced(one),
    }
}

/// What a person should know of how the keys are protected; `None` where all is well.
pub const fn protection(protection: &Protection) -> Option<&'static str> {
    match protection {
        Protection { locked: true, .. } => Some("the keys are locked: `wallet unlock` opens them"),
        Protection { protected: false, .. } => {
            Some("no passphrase protects the keys of this node: `bard wallet passphrase` sets one")
        }
        Protection { .. } => None,
    }
}

fn lines(all: impl Iterator<Item = String>) -> String {
    all.collect::<Vec<_>>().join("\n")
}

fn with_head(head: String, all: impl Iterator<Item = String>) -> String {
    lines(std::iter::once(head).chain(all.map(|line| format!("  {line}"))))
}

/// The last line of a list that is longer than an answer.
fn and_more(there_is: bool) -> Option<String> {
    there_is.then(|| "... and more, which the API lists page by page".to_owned())
}

fn node(node: &Node<'_>) -> String {
    let listen = node.listen.iter().map(|address| format!("listening on  {address}"));
    let external = node.external.iter().map(|address| format!("reachable at  {address}"));
    let head = [
        format!("version       {}", node.version),
        format!("peer id       {}", node.peer_id),
        format!("chain         {} ({})", node.chain.name, node.chain.id),
        format!("own address   {}", node.address),
    ];
    let reached = std::iter::once(format!("reachability  {}", node.reachability));
    let reasons = node.reachability_reasons.iter().map(|reason| format!("  because     {reason}"));
    let advice = node.reachability_advice.iter().map(|line| format!("  to do       {line}"));
    let reached = reached.chain(reasons).chain(advice);
    let notices = node.notices.iter().map(|notice| format!("notice        {notice}"));
    lines(head.into_iter().chain(listen).chain(external).chain(reached).chain(notices))
}

fn status(status: &Status<'_>) -> String {
    let sync = if status.sync.syncing {
        format!("catching up to height {}, {} blocks so far", status.sync.target_height, status.sync.accepted)
    } else {
        "nothing to catch up".to_owned()
    };
    let agreeing = format!("{}, {} at the same tip", status.peers, status.agreeing_peers);
    let shortage = status.disk.shortage.iter().map(|why| format!("disk          {why}"));
    let waits = status.mining_waits.iter().map(|why| format!("mining waits  {why}"));
    lines(
        [
            format!("chain         {}", status.chain),
            format!("height        {}{}", status.height, blocks_from(status.blocks_from)),
            format!("tip           {}", status.tip),
            format!("tip time      {}", clock::local(status.tip_time.0)),
            format!("work          {}", status.total_work),
            format!("difficulty    {} hashes a block", status.difficulty),
            format!("peers         {agreeing}"),
            format!("reachability  {}", status.reachability),
            format!("pool          {} transactions, {} bytes", status.pool.transactions, status.pool.bytes),
            format!("mining        {}", mining(&status.mining)),
            format!("sync          {sync}"),
            format!("items         {} reserved, {} available", status.items.reserved, status.items.available),
            "chain is valid".to_owned(),
        ]
        .into_iter()
        .chain(shortage)
        .chain(waits),
    )
}

/// What to add to the height of a node that does not have every block.
fn blocks_from(height: u64) -> String {
    if height > 1 { format!(", blocks from {height} on") } else { String::new() }
}

/// What to add to a history on a node that does not have every block.
fn known_from(height: u64) -> impl Iterator<Item = String> {
    (height > 1).then(|| format!("what happened below height {height} is not known here")).into_iter()
}

fn mining(activity: &Mining) -> String {
    let state = if activity.enabled { "on" } else { "off" };
    format!("{state}, {} threads, {}, {} blocks found", activity.threads, rate(activity.hash_rate), activity.mined)
}

fn mining_told(activity: &Mining) -> String {
    if activity.enabled { format!("mining on {} threads", activity.threads) } else { "mining is off".to_owned() }
}

/// A hash rate with its unit.
pub fn rate(hashes: f64) -> String {
    match hashes {
        h if h >= 1e6 => format!("{:.1} MH/s", h / 1e6),
        h if h >= 1e3 => format!("{:.1} kH/s", h / 1e3),
        h => format!("{h:.0} H/s"),
    }
}

fn ban(ban: &Ban<'_>) -> String {
    let by = match ban.by {
        Judge::Node => "by this node",
        Judge::Person => "by order",
    };
    let reason = if ban.reason.is_empty() { String::new() } else { format!(": {}", ban.reason) };
    format!("{} until {}, {by}{reason}", ban.peer, clock::local(ban.until.0))
}

fn peer(peer: &Peer<'_>) -> String {
    let address = peer.addresses.first().map_or("?", String::as_str);
    let direction = match peer.direction {
        Direction::Inbound => "in",
        Direction::Outbound => "out",
    };
    let height = peer.height.map_or_else(|| "?".to_owned(), |height| height.to_string());
    let latency = peer.latency_ms.map_or_else(|| "?".to_owned(), |ms| format!("{ms:.1} ms"));
    let faults = if peer.faults.is_empty() { String::new() } else { format!(", faults: {}", peer.faults.join("; ")) };
    let origins = peer.origins.join(" and ");
    format!("{} {address} {direction}, found by {origins}, height {height}, {latency}{faults}", peer.peer_id)
}

fn block_line(block: &Block<'_>) -> String {
    let header = &block.header;
    let count = block.transactions.len();
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {} {} {count} transaction{plural}", header.height, header.hash, clock::local(header.timestamp.0))
}

fn block(block: &Block<'_>, names: &Names) -> String {
    let header = &block.header;
    let place = if block.active { "" } else { " (on a side branch)" };
    let head = [
        format!("block         {}{place}", header.height),
        format!("hash          {}", header.hash),
        format!("previous      {}", header.previous_hash),
        format!("time          {}", clock::local(header.timestamp.0)),
        format!("miner         {}", names.who(&header.miner)),
        format!("target        {} ({} hashes)", header.target, header.difficulty),
        format!("nonce         {}", header.nonce),
        format!("state root    {}", header.state_root),
        format!("transactions  {}", block.transactions.len()),
    ];
    let line = |one: &Transaction<'_>| format!("  {} {}", one.id, transaction(one, names));
    lines(head.into_iter().chain(block.transactions.iter().map(line)))
}

fn placed(placed: &PlacedTransaction<'_>, names: &Names) -> String {
    let place = match &placed.block {
        Some(place) => format!("in block {} {}, position {}", place.height, place.hash, place.position),
        None => "in the pool".to_owned(),
    };
    format!("{} {}\n{place}", placed.transaction.id, transaction(&placed.transaction, names))
}

fn proof(proof: &Proof) -> String {
    let Proof { id, header, index, size, path } = proof;
    let head = [
        format!("transaction   {id}"),
        format!("place         {} of {size}", index.saturating_add(1)),
        format!("block         {} {}", header.height, header.hash),
        format!("root          {}", header.transactions_root),
        format!("path          {} hashes", path.len()),
    ];
    lines(head.into_iter().chain(path.iter().map(|hash| format!("  {hash}"))))
}

fn placed_line(placed: &PlacedTransaction<'_>, names: &Names) -> String {
    let place = placed.block.as_ref().map_or_else(|| "pool".to_owned(), |place| place.height.to_string());
    format!("{place} {} {}", placed.transaction.id, transaction(&placed.transaction, names))
}

/// A transaction in a line.
fn transaction(one: &Transaction<'_>, names: &Names) -> String {
    let sender = names.who(&one.sender);
    let fee = if one.fee.0 == 0 { String::new() } else { format!(", fee {}", one.fee) };
    match &one.action {
        Action::Transfer { to, amount } => format!("{sender} pays {} {amount}{fee}", names.who(to)),
        Action::Record { text, hex, .. } => format!("{sender} records {}{fee}", record(text.as_deref(), hex.0.len())),
        Action::ItemRequest { item } => format!("{sender} requests {item}{fee}"),
        Action::ItemRelease { item } => format!("{sender} releases {item}{fee}"),
        Action::ItemTransfer { item, to } => format!("{sender} hands {item} to {}{fee}", names.who(to)),
    }
}

/// The beginning of a record, with nothing in it that a terminal could take for a command.
fn record(text: Option<&str>, length: usize) -> String {
    match text {
        Some(text) => {
            let shown: String = text.chars().take(RECORD_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
            let more = if text.chars().nth(RECORD_SHOWN).is_some() { "..." } else { "" };
            format!("\"{shown}\"{more}")
        }
        None => format!("{length} bytes"),
    }
}

fn items(state: Option<ItemState>, page: &ItemPage<'_>) -> String {
    let (empty, head) = match state {
        Some(ItemState::Reserved) => ("all items are available", "reserved items:"),
        Some(ItemState::Available) => ("no items are available", "available items:"),
        None => ("no item was ever requested", "items:"),
    };
    if page.items.is_empty() {
        return empty.to_owned();
    }
    with_head(head.to_owned(), page.items.iter().map(item_line).chain(and_more(page.next.is_some())))
}

fn item_line(one: &Item<'_>) -> String {
    match (&one.holder_name, &one.holder) {
        (Some(name), _) => format!("{}  held by {name}", one.item),
        (None, Some(address)) => format!("{}  held by {address}", one.item),
        (None, None) => format!("{}  available", one.item),
    }
}

fn item(one: &ItemAndHistory) -> String {
    let who = |address: &Option<Address>, name: &Option<String>| match (address, name) {
        (_, Some(name)) => name.clone(),
        (Some(address), None) => address.to_string(),
        (None, None) => "nobody".to_owned(),
    };
    let entry = |one: &HandoverEntry| {
        let (from, to) = (who(&one.from, &one.from_name), who(&one.to, &one.to_name));
        format!("block {}  {from} -> {to}  {}", one.height, one.transaction)
    };
    let height = one.item.height.map_or_else(String::new, |height| format!(" at height {height}"));
    with_head(
        format!("{}{height}", item_line(&one.item)),
        known_from(one.blocks_from).chain(one.history.iter().map(entry)).chain(and_more(one.next.is_some())),
    )
}

fn account(one: &Account<'_>) -> String {
    let name = one.name.as_ref().map_or_else(String::new, |name| format!("{name} "));
    let pending = if one.pending.balance == one.balance {
        String::new()
    } else {
        format!(" ({} after the pool)", one.pending.balance)
    };
    let height = one.height.map_or_else(String::new, |height| format!(" at height {height}"));
    format!("{name}{} {}{pending}{height}", one.address, one.balance)
}

fn verified(verified: &Verified<'_>) -> String {
    match &verified.problem {
        None if verified.from_height > 0 => format!(
            "the chain is valid: all {} headers, the state at height {} that this node began with, and the {} transactions since",
            verified.height, verified.from_height, verified.transactions
        ),
        None => format!(
            "the chain is valid: {} blocks and {} transactions checked from the genesis block on",
            verified.height, verified.transactions
        ),
        Some(problem) => format!("the chain is NOT valid: {problem}"),
    }
}

fn synced(synced: &Synced) -> String {
    if synced.asked == 0 {
        return "no peers to ask".to_owned();
    }
    let gained = match synced.accepted {
        0 => "nobody is ahead".to_owned(),
        n => format!("{n} blocks accepted"),
    };
    let head =
        format!("asked {} peers, {} answered: {gained}, height {}", synced.asked, synced.answered, synced.height);
    lines(std::iter::once(head).chain(synced.problems.iter().map(|problem| format!("  {problem}"))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_says_that_it_is_not_the_whole() {
        let alice = bard_chain::presets::dev_key("alice").expect("known").address().to_string();
        let one = json!({ "id": "ab".repeat(32), "version": 1, "sender": alice, "nonce": 0, "fee": 0,
            "action": { "type": "item_request", "item": "lamp" }, "signature": "cd".repeat(64) });
        let pool = |next: Option<u64>| {
            let page = json!({ "transactions": [one], "next": next });
            answer(&Answer::Pool(serde_json::from_value(page).expect("a page")), &Names::default())
        };
        assert!(pool(None).starts_with("transactions in the pool (1):\n") && pool(None).lines().count() == 2);
        assert!(pool(Some(7)).starts_with("transactions in the pool (the first 1):\n"), "{}", pool(Some(7)));
        assert!(pool(Some(7)).ends_with("... and more, which the API lists page by page"), "{}", pool(Some(7)));
        let items = |next: Option<&str>| {
            let page = json!({ "items": [{ "item": "lamp", "holder": null, "holder_name": null }], "next": next });
            let page = serde_json::from_value(page).expect("a page");
            answer(&Answer::Items { state: None, page }, &Names::default())
        };
        assert_eq!((items(None).lines().count(), items(Some("lamp")).lines().count()), (2, 3));
    }
}
