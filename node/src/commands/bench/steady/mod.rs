//! `bard bench load`: signed transactions at a steady rate, sent in batches to all nodes but the one that mines. All of them must
//! be mined, and be on every node.

mod figures;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use bard_chain::{
    encoding, hash::TransactionId, rules::isolated::Unsigned, signature::SecretKey, spec::ChainSpec, units::Nonce,
};
use clap::Args;
use serde_json::{Value, json};

use self::figures::{Measured, show};
use super::{
    chain::temporary,
    process::{Node, Usage, start, within},
    workload,
};

/// How often each node gets a batch.
const BATCH_EVERY: Duration = Duration::from_millis(100);
/// How often is looked whether something has arrived.
const LOOK: Duration = Duration::from_millis(5);
/// How long the last ones may take to be mined, and to be on every node.
const AFTERWARDS: Duration = Duration::from_secs(120);
/// How long nodes may take to meet.
const MEETING: Duration = Duration::from_secs(60);
/// Of the rate that was asked for so much must have been taken.
const SHARE: f64 = 0.95;

/// How many, how long, among how many.
#[derive(Args, Debug)]
pub(super) struct LoadOptions {
    /// Transactions a second, to all nodes together
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(10..=20_000))]
    rate: u32,
    /// For how many seconds
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Nodes, that which mines included
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    nodes: u8,
    /// Milliseconds from one block to the next
    #[arg(long, value_name = "MS", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    interval: u32,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// A request with transactions.
struct Batch {
    body: String,
    ids: Vec<TransactionId>,
}

/// A batch that was sent.
struct Sent {
    at: Instant,
    ids: Vec<TransactionId>,
    taken: usize,
}

/// A block as it came to the node that is watched.
struct Arrived {
    at: Instant,
    length: usize,
    ids: Vec<TransactionId>,
}

/// What the threads brought home.
struct Run {
    sent: Vec<Sent>,
    /// How long single transactions took from one node to the pool of another.
    spread: Vec<Duration>,
    blocks: Vec<Arrived>,
    before: Vec<Option<Usage>>,
    after: Vec<Option<Usage>>,
    /// How long the sending took.
    sending: Duration,
}

/// Sends, waits until all are mined everywhere, and prints the figures.
///
/// # Errors
/// One line: what did not hold.
pub(super) fn run(options: &LoadOptions) -> Result<(), String> {
    let dir = temporary()?;
    let spec = workload::funded(options.rate);
    let file = dir.path().join("spec.toml");
    std::fs::write(&file, spec.to_toml()).map_err(|error| error.to_string())?;
    let nodes = meet(dir.path(), &file, usize::from(options.nodes))?;
    let batches = batches(options, &spec);
    let run = drive(options, &spec, &nodes, batches)?;
    let all: Vec<TransactionId> = run.sent.iter().flat_map(|sent| sent.ids.iter().copied()).collect();
    let mined: BTreeSet<TransactionId> = run.blocks.iter().flat_map(|block| block.ids.iter().copied()).collect();
    let lost = all.iter().filter(|id| !mined.contains(id)).count();
    let measured = Measured::of(&run, &nodes)?;
    show(&measured, options.json);
    let taken: usize = run.sent.iter().map(|sent| sent.taken).sum();
    if taken < all.len() || lost > 0 {
        return Err(format!(
            "of {} transactions {} were refused and {lost} were not mined",
            all.len(),
            all.len() - taken
        ));
    }
    if measured.taken < SHARE * f64::from(options.rate) {
        return Err(format!("{:.0} transactions a second were taken, {} were asked for", measured.taken, options.rate));
    }
    Ok(())
}

/// Starts nodes in a row, and waits until each knows another.
fn meet(dir: &Path, spec: &Path, count: usize) -> Result<Vec<Node>, String> {
    let mut nodes: Vec<Node> = Vec::new();
    for number in 0..count {
        let told = nodes.last().map(|node| node.address().map(str::to_owned)).transpose()?;
        let options: Vec<&str> = told.iter().flat_map(|address| ["--bootstrap", address]).collect();
        nodes.push(start(&dir.join(format!("node-{number}")), spec, &options)?);
    }
    let peers = |node: &Node| node.get("api/v1/status").ok()?.get("peers")?.as_u64();
    within(MEETING, "the nodes meet", || {
        nodes.iter().all(|node| peers(node).is_some_and(|peers| peers > 0)).then_some(())
    })?;
    Ok(nodes)
}

/// All that will be sent, signed; for each node that gets some.
fn batches(options: &LoadOptions, spec: &ChainSpec) -> Vec<Vec<Batch>> {
    let chain = spec.chain_id();
    let senders: Vec<SecretKey> = (0..options.rate).map(workload::sender).collect();
    let takers = usize::from(options.nodes).saturating_sub(1).max(1);
    let in_a_second = Duration::from_secs(1).as_millis() / BATCH_EVERY.as_millis();
    let parts = takers.saturating_mul(usize::try_from(in_a_second).unwrap_or(1));
    let mut all: Vec<Vec<Batch>> = (0..takers).map(|_| Vec::new()).collect();
    for second in 0..options.seconds {
        // One of each sender: so the same senders go to the same node in every second, and their order is kept.
        let signed = workload::transfers_of(chain, &senders, Nonce::new(second.into()));
        for part in 0..parts {
            let own: Vec<_> = signed.iter().skip(part).step_by(parts).collect();
            let texts: Vec<String> = own.iter().map(|one| hex::encode(encoding::encode(*one))).collect();
            let ids = own.iter().map(|one| one.id()).collect();
            if let Some(taker) = all.get_mut(part % takers).filter(|_| !texts.is_empty()) {
                taker.push(Batch { body: json!({ "transactions": texts }).to_string(), ids });
            }
        }
    }
    all
}

fn drive(options: &LoadOptions, spec: &ChainSpec, nodes: &[Node], batches: Vec<Vec<Batch>>) -> Result<Run, String> {
    let (miner, takers) = nodes.split_first().ok_or("there are no nodes")?;
    // Of two nodes the one that mines is watched, of more one that neither mines nor got what is followed.
    let watched = nodes.get(2).unwrap_or(miner);
    let is_over = AtomicBool::new(false);
    let (follow, followed) = mpsc::channel();
    let usage = || nodes.iter().map(Node::usage).collect::<Vec<_>>();
    let before = usage();
    let interval = Duration::from_millis(options.interval.into());
    let began = Instant::now();
    thread::scope(|scope| {
        let mining = scope.spawn(|| mine(miner, interval, &is_over));
        let watching = scope.spawn(|| watch(watched, spec, &is_over));
        let following = scope.spawn(move || arrivals(watched, &followed));
        let sending: Vec<_> = takers
            .iter()
            .zip(batches)
            .enumerate()
            .map(|(number, (node, batches))| {
                // What the watched node is sent itself has no way to go.
                let follow = (number == 0).then(|| follow.clone());
                scope.spawn(move || send(node, batches, began, follow.as_ref()))
            })
            .collect();
        drop(follow);
        let gone = |_| "a thread ended".to_owned();
        let sent: Result<Vec<Vec<Sent>>, String> =
            sending.into_iter().map(|thread| thread.join().map_err(gone)?).collect();
        let (sending, after) = (began.elapsed(), usage());
        let settled = settled(nodes);
        is_over.store(true, Ordering::Relaxed);
        mining.join().map_err(gone)??;
        let blocks = watching.join().map_err(gone)??;
        let spread = following.join().map_err(gone)?;
        settled?;
        Ok(Run { sent: sent?.into_iter().flatten().collect(), spread, blocks, before, after, sending })
    })
}

/// Sends batch after batch, each when it is due.
fn send(
    node: &Node,
    batches: Vec<Batch>,
    began: Instant,
    follow: Option<&mpsc::Sender<(TransactionId, Instant)>>,
) -> Result<Vec<Sent>, String> {
    let mut sent = Vec::with_capacity(batches.len());
    let mut due = began;
    for Batch { body, ids } in batches {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due += BATCH_EVERY;
        let at = Instant::now();
        let answer = node.post_text("api/v1/transactions", &body)?;
        let taken = |verdict: &&Value| verdict.get("id").is_some();
        let taken = answer.get("results").and_then(Value::as_array).map_or(0, |all| all.iter().filter(taken).count());
        if let Some((first, follow)) = ids.first().zip(follow) {
            // Nobody follows any more: then nobody wants to know.
            let _ = follow.send((*first, at));
        }
        sent.push(Sent { at, ids, taken });
    }
    Ok(sent)
}

fn mine(node: &Node, interval: Duration, is_over: &AtomicBool) -> Result<(), String> {
    let mut due = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        thread::sleep(due.saturating_duration_since(Instant::now()).min(BATCH_EVERY));
        if Instant::now() >= due {
            due += interval;
            node.post("api/v1/mine", &json!({ "blocks": 1 }))?;
        }
    }
    Ok(())
}

/// Notes the blocks of a node as they come.
fn watch(node: &Node, spec: &ChainSpec, is_over: &AtomicBool) -> Result<Vec<Arrived>, String> {
    let mut blocks: Vec<Arrived> = Vec::new();
    loop {
        // Read before the height: what came until then is still noted.
        let last = is_over.load(Ordering::Relaxed);
        let height = node.get("api/v1/status")?.get("height").and_then(Value::as_u64).unwrap_or_default();
        let at = Instant::now();
        while (blocks.len() as u64) < height {
            let bytes = node.bytes(&format!("api/v1/blocks/{}/raw", blocks.len() + 1))?;
            let block = Unsigned::read(spec, &bytes).map_err(|error| error.to_string())?.trust_stored();
            blocks.push(Arrived { at, length: bytes.len(), ids: block.transaction_ids().to_vec() });
        }
        if last {
            return Ok(blocks);
        }
        thread::sleep(LOOK);
    }
}

/// How long transactions took to a node, one after the other: while one is waited for, others are not looked at.
fn arrivals(node: &Node, followed: &mpsc::Receiver<(TransactionId, Instant)>) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut free = Instant::now();
    for (id, at) in followed {
        if at < free {
            continue;
        }
        let path = format!("api/v1/transactions/{id}");
        let arrived = within(AFTERWARDS, "a transaction arrives", || {
            if node.get(&path).is_ok() {
                return Some(at.elapsed());
            }
            thread::sleep(LOOK);
            None
        });
        took.extend(arrived);
        free = Instant::now();
    }
    took
}

/// Waits until all nodes have the same block and nothing left to mine.
fn settled(nodes: &[Node]) -> Result<(), String> {
    within(AFTERWARDS, "all is mined, and on every node", || {
        thread::sleep(BATCH_EVERY);
        let state = |node: &Node| {
            let status = node.get("api/v1/status").ok()?;
            Some((status.get("tip")?.clone(), status.pointer("/pool/transactions")?.as_u64()?))
        };
        let all: Vec<_> = nodes.iter().map(state).collect();
        let first = all.first().cloned().flatten().filter(|(_, waiting)| *waiting == 0)?;
        all.iter().all(|one| one.as_ref() == Some(&first)).then_some(())
    })
}
