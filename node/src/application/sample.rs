//! Metrics that are read from their owners when somebody asks.

use std::collections::BTreeMap;

use bard_chain::{target::Target, units::Work};
use bard_protocol::Direction;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, registry::Unit};

use super::events::{Journal, Sources};
use crate::{clock, metrics::Sheet};

/// The owners. Each answers at once, from memory or one place on the disk.
pub struct Sample {
    /// Chain, pool and store; peers; catching up; the miner.
    pub sources: Sources,
    /// Events.
    pub events: Journal,
}

impl std::fmt::Debug for Sample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sample").finish_non_exhaustive()
    }
}

impl Collector for Sample {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut sheet = Sheet::new(encoder);
        self.chain(&mut sheet)?;
        self.sync(&mut sheet)?;
        self.peers(&mut sheet)?;
        self.mining(&mut sheet)?;
        let followers = number(self.events.followers() as u64);
        sheet.gauge("events_followers", "Clients that follow events", None, followers)?;
        sheet.counter("events", "Events told since the start", None, number(self.events.count()))
    }
}

impl Sample {
    fn chain(&self, sheet: &mut Sheet<'_>) -> std::fmt::Result {
        let tip = self.sources.keeper.tip();
        #[allow(clippy::cast_precision_loss, reason = "ages of tips are far below 2^53 ms")]
        let age = clock::now().saturating_sub(tip.timestamp).get() as f64 / 1000.0;
        let header = self.sources.keeper.reader().header(&tip.id).ok().flatten();
        let difficulty = header.and_then(|header| header.target.expand()).map_or(Work::ZERO, Target::work);
        let (transactions, bytes, waiting, left) = {
            let pool = self.sources.keeper.pool();
            (pool.len() as u64, pool.bytes() as u64, pool.waiting_len() as u64, pool.departures())
        };
        sheet.gauge("chain_height", "Height of the chain's last block", None, number(tip.height.get()))?;
        sheet.gauge("chain_tip_age", "Age of the last block by its own time", Some(&Unit::Seconds), age)?;
        sheet.gauge("chain_work", "Expected hashes that the chain took", None, work(tip.work))?;
        sheet.gauge("chain_difficulty", "Expected hashes that the last block took", None, work(difficulty))?;
        sheet.gauge("pool_transactions", "Transactions that wait to be mined", None, number(transactions))?;
        sheet.gauge("pool_waiting", "Transactions that wait for an earlier nonce", None, number(waiting))?;
        sheet.gauge("pool", "Length of the transactions that wait", Some(&Unit::Bytes), number(bytes))?;
        let reasons = [
            ("mined", left.mined),
            ("replaced", left.replaced),
            ("evicted", left.evicted),
            ("expired", left.expired),
            ("impossible", left.impossible),
        ];
        let reasons = reasons.map(|(reason, count)| ([("reason", reason.to_owned())], number(count)));
        sheet.counters("pool_left", "Transactions that left the pool, by why", reasons)?;
        let log = number(self.sources.keeper.reader().log_bytes());
        sheet.gauge("store_log", "Length of the log of blocks", Some(&Unit::Bytes), log)
    }

    fn sync(&self, sheet: &mut Sheet<'_>) -> std::fmt::Result {
        let height = self.sources.keeper.tip().height.get();
        let progress = self.sources.catch_up.progress();
        let target = progress.map_or(height, |progress| progress.target.get());
        let lag = number(self.sources.catch_up.lag(&self.sources.keeper.tip()));
        let active = if progress.is_some() { 1.0 } else { 0.0 };
        sheet.gauge("sync_active", "1 while this node catches up with others", None, active)?;
        sheet.gauge("sync_target_height", "Height that catching up is to reach", None, number(target))?;
        sheet.gauge("sync_lag_blocks", "Blocks behind the connected peer with the most work", None, lag)
    }

    fn peers(&self, sheet: &mut Sheet<'_>) -> std::fmt::Result {
        let peers = std::sync::Arc::clone(&self.sources.network.peers().borrow());
        let mut counts: BTreeMap<_, u32> = BTreeMap::new();
        let mut connections = 0;
        for peer in peers.iter() {
            let direction = match peer.direction {
                Direction::Inbound => "inbound",
                Direction::Outbound => "outbound",
            };
            let origin = peer.origins.first().map(ToString::to_string).unwrap_or_default();
            let count = counts.entry((direction, peer.transport, origin)).or_default();
            *count = count.saturating_add(1);
            connections += peer.addresses.len() as u64;
        }
        let labels = |(direction, transport, origin): (&str, &str, String)| {
            [("direction", direction.to_owned()), ("transport", transport.to_owned()), ("origin", origin)]
        };
        let series = counts.into_iter().map(|(key, count)| (labels(key), f64::from(count)));
        sheet.gauge("peers_connected", "Connected peers of this chain", None, number(peers.len() as u64))?;
        sheet.gauge("peer_connections", "Connections to them", None, number(connections))?;
        sheet.gauges("peers", "Connected peers, by direction, transport and how they were found", series)
    }

    fn mining(&self, sheet: &mut Sheet<'_>) -> std::fmt::Result {
        let activity = self.sources.miner.activity();
        let enabled = if activity.continuous { 1.0 } else { 0.0 };
        sheet.gauge("miner_enabled", "1 while this node mines continuously", None, enabled)?;
        sheet.gauge("miner_threads", "Threads it searches on", None, number(activity.threads as u64))?;
        sheet.gauge("miner_hash_rate", "Hashes a second of the last search, 0 at rest", None, activity.hash_rate)?;
        sheet.counter("miner_hashes", "Hashes tried", None, number(self.sources.miner.hashes()))?;
        sheet.counter("miner_blocks_found", "Blocks found that joined the chain", None, number(activity.mined))
    }
}

#[allow(clippy::cast_precision_loss, reason = "metrics are doubles")]
fn number(value: u64) -> f64 {
    value as f64
}

/// Work is a number of 256 bits, told as text.
fn work(work: Work) -> f64 {
    work.to_string().parse().unwrap_or(f64::MAX)
}
