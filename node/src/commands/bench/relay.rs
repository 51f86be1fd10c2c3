//! How fast news spreads: between two nodes and among many, in one process over real sockets on loopback; and what it costs.

use std::time::{Duration, Instant};

use bard_chain::{encoding, signature::SecretKey, units::Nonce};
use tokio::runtime::Builder;

use super::{
    Figure,
    cluster::Cluster,
    workload::{self, Senders},
};
use crate::clock;

/// Transactions in the large block, all known to all before.
const TRANSFERS: u32 = 2_000;
/// News of each kind whose median counts.
const ROUNDS: usize = 21;
/// Large blocks whose median counts.
const LARGE_ROUNDS: usize = 7;
/// Nodes of the small and of the large network.
pub(super) const NETWORKS: [usize; 2] = [2, 50];
/// A steady trickle: transactions a second, and for how long.
const TRICKLE: u32 = 20;
const TRICKLE_TIME: Duration = Duration::from_secs(10);

/// Measures one network of so many nodes.
pub(super) fn measure(nodes: usize) -> Result<Vec<Figure>, String> {
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let made = super::chain::temporary()?;
    let spec = workload::make(made.path(), 0, TRANSFERS, Senders::Known)?.spec;
    let senders: Vec<SecretKey> = (0..TRANSFERS).map(workload::sender).collect();
    runtime.block_on(async {
        let before = resident();
        let cluster = Cluster::start(&spec, nodes).await?;
        let among = format!("among {nodes} nodes");
        let mut figures = Vec::new();
        let mut empty = Vec::new();
        for _ in 0..ROUNDS {
            empty.extend(cluster.spread_block().await?.last().copied());
        }
        figures.push(milliseconds(format!("an empty block {among}"), median(&mut empty)));
        let chain = spec.chain_id();
        let transfers = |round: u64| -> Vec<Vec<u8>> {
            let made = workload::transfers_of(chain, &senders, Nonce::new(round));
            made.iter().map(encoding::encode).collect()
        };
        let mut single = Vec::new();
        for one in transfers(0).into_iter().take(ROUNDS) {
            single.extend(cluster.spread_transactions(nodes - 1, vec![one]).await?.last().copied());
            // Apart from each other, as a person's are.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        figures.push(milliseconds(format!("a transaction {among}"), median(&mut single)));
        let rest = transfers(0).into_iter().skip(ROUNDS).collect();
        cluster.spread_transactions(0, rest).await?;
        let (mut large, mut bytes) = (Vec::new(), Vec::new());
        for round in 1..=LARGE_ROUNDS as u64 {
            let start = received();
            large.extend(cluster.spread_block().await?.last().copied());
            bytes.push(received().saturating_sub(start));
            cluster.spread_transactions(0, transfers(round)).await?;
        }
        figures.push(milliseconds(format!("a block of {TRANSFERS} known transfers {among}"), median(&mut large)));
        if nodes > 2 {
            figures.extend(costs(&cluster, before, median(&mut bytes), transfers(1 + LARGE_ROUNDS as u64)).await?);
        }
        cluster.stop().await;
        Ok(figures)
    })
}

/// What a node of a large network costs.
async fn costs(cluster: &Cluster, before: u64, bytes: u64, trickle: Vec<Vec<u8>>) -> Result<Vec<Figure>, String> {
    let nodes = cluster.cells.len();
    let per_node = |amount: f64| amount / f64::from(u32::try_from(nodes).unwrap_or(u32::MAX));
    // A header, and six bytes for each transaction.
    let compact = f64::from(TRANSFERS).mul_add(6.0, 192.0);
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    let (received, memory) = (per_node(bytes as f64), per_node(resident().saturating_sub(before) as f64));
    // The pool is empty for it: what is in it costs nothing while it only lies there.
    cluster.spread_block().await?;
    let spent = || clock::processor_time().unwrap_or_default();
    let idle = {
        let (began, start) = (Instant::now(), spent());
        tokio::time::sleep(TRICKLE_TIME).await;
        (spent() - start).as_secs_f64() / began.elapsed().as_secs_f64()
    };
    let (began, start) = (Instant::now(), spent());
    let mut next = tokio::time::interval(Duration::from_secs(1) / TRICKLE);
    for (number, one) in trickle.into_iter().enumerate() {
        next.tick().await;
        if began.elapsed() >= TRICKLE_TIME {
            break;
        }
        let node = number % nodes;
        cluster.submit(node, one).await?;
    }
    let busy = (spent() - start).as_secs_f64() / began.elapsed().as_secs_f64();
    let core = |share: f64| per_node(share) * 100.0;
    Ok(vec![
        Figure {
            name: "bytes on loopback for it, a node".to_owned(),
            value: received,
            unit: "bytes",
            beside: Some(("bytes of its compact form", compact)),
        },
        Figure { name: "memory of a node".to_owned(), value: memory / 1e6, unit: "MB", beside: None },
        Figure { name: "an idle node".to_owned(), value: core(idle), unit: "% core", beside: None },
        Figure {
            name: format!("{TRICKLE} transactions a second, a node"),
            value: core(busy),
            unit: "% core",
            beside: None,
        },
    ])
}

fn milliseconds(name: String, time: Duration) -> Figure {
    Figure { name, value: time.as_secs_f64() * 1e3, unit: "ms", beside: None }
}

/// The one in the middle.
fn median<T: Ord + Copy + Default>(all: &mut [T]) -> T {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// Memory of this process, in bytes; 0 where the system does not tell.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() * 1024
}

/// Bytes that the loopback interface has carried, those of other programs included; 0 where the system does not tell.
fn received() -> u64 {
    let table = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let line = table.lines().find_map(|line| line.trim().strip_prefix("lo:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
