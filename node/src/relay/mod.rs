//! Gossip in, verdicts out, and our own news to the network.
//!
//! Transactions and whole blocks are forwarded only after this node accepted them; a compact block as soon as its header
//! is right in its place, work included: then its bytes are put together ([`rebuild`]) while others do the same. A peer is
//! penalised only for what is provably its own fault ([`bard_chain::invalid::Blame`]); a block whose parent is unknown is a
//! hint to catch up.

mod asking;
mod batches;
mod blocks;
mod hints;
mod rebuild;

use std::{collections::HashSet, sync::Arc};

use bard_chain::{hash::TransactionId, rules::isolated::CheckedTransaction};
use bard_protocol::{
    GossipId, NetworkHandle, PeerId, Verdict,
    wire::compact::{self, Announcement, Compact},
};
use tokio::{sync::mpsc, time::Instant};

use self::{blocks::Blocks, hints::Hints};
use crate::{
    fair::{self, Receiver, Room, Sender},
    keeper,
    lab::Link,
    metrics,
};

/// Gossiped blocks that wait for their check; one more is ignored, and a hint to catch up.
const BLOCK_ROOM: Room = Room { per_peer: 8, all: 32 };
/// Gossiped batches that wait for their check; one more is ignored: pools are compared now and then.
const BATCH_ROOM: Room = Room { per_peer: 16, all: 128 };
/// Own transactions that wait to be gossiped; whoever submits one more waits.
const OUTBOX: usize = 1024;

/// A gossiped message on its way to its verdict.
struct Gossip<T> {
    source: PeerId,
    id: GossipId,
    content: T,
    /// When it came.
    seen: Instant,
}

impl<T> Gossip<T> {
    fn new(source: PeerId, id: GossipId, content: T) -> Self {
        Self { source, id, content, seen: Instant::now() }
    }
}

/// The way into the relay.
#[derive(Clone)]
pub struct Relay {
    network: NetworkHandle,
    link: Link,
    hints: Hints,
    blocks: Sender<Gossip<Announcement>>,
    batches: Sender<Gossip<Vec<Vec<u8>>>>,
    outbox: mpsc::Sender<Arc<CheckedTransaction>>,
    counts: metrics::Relay,
}

/// The relay's tasks, to be run.
pub struct Tasks {
    keeper: keeper::Handle,
    network: NetworkHandle,
    link: Link,
    hints: Hints,
    blocks: Receiver<Gossip<Announcement>>,
    batches: Receiver<Gossip<Vec<Vec<u8>>>>,
    outbox: mpsc::Receiver<Arc<CheckedTransaction>>,
    counts: metrics::Relay,
}

/// Makes a relay. What it gossips itself goes out by `link`. `hints` is told of peers that seem to know more than this node; a
/// hint too many is dropped. Verdicts are counted in `counts`.
pub fn new(
    keeper: keeper::Handle,
    network: NetworkHandle,
    link: Link,
    hints: mpsc::Sender<PeerId>,
    counts: metrics::Relay,
) -> (Relay, Tasks) {
    let (block_sender, blocks) = fair::queue(BLOCK_ROOM);
    let (batch_sender, batches) = fair::queue(BATCH_ROOM);
    let (outbox_sender, outbox) = mpsc::channel(OUTBOX);
    let hints = Hints::new(hints, network.clone());
    let relay = Relay {
        network: network.clone(),
        link: link.clone(),
        hints: hints.clone(),
        blocks: block_sender,
        batches: batch_sender,
        outbox: outbox_sender,
        counts: counts.clone(),
    };
    (relay, Tasks { keeper, network, link, hints, blocks, batches, outbox, counts })
}

impl Relay {
    /// Takes a gossiped block.
    pub async fn block(&self, source: PeerId, id: GossipId, bytes: Vec<u8>) {
        self.announcement(Gossip::new(source, id, Announcement::Whole(bytes))).await;
    }

    /// Takes a gossiped compact block.
    pub async fn compact(&self, source: PeerId, id: GossipId, compact: Box<Compact>) {
        self.announcement(Gossip::new(source, id, Announcement::Compact(compact))).await;
    }

    async fn announcement(&self, gossip: Gossip<Announcement>) {
        if let Some(dropped) = self.blocks.put(gossip.source, gossip) {
            self.counts.judged("block", "dropped");
            self.hints.lost(dropped.source);
            self.network.report(dropped.id, Verdict::Ignore).await;
        }
    }

    /// Takes a gossiped batch of transactions.
    pub async fn batch(&self, source: PeerId, id: GossipId, batch: Vec<Vec<u8>>) {
        if let Some(dropped) = self.batches.put(source, Gossip::new(source, id, batch)) {
            self.counts.judged("transactions", "dropped");
            self.network.report(dropped.id, Verdict::Ignore).await;
        }
    }

    /// Gossips transactions of our own, together with others of the same moment.
    pub async fn announce_transactions(&self, transactions: Vec<Arc<CheckedTransaction>>) {
        let mut rest = transactions.into_iter();
        while rest.len() > 0 {
            // An error says that the node is stopping.
            let Ok(places) = self.outbox.reserve_many(rest.len().min(OUTBOX)).await else { return };
            places.zip(&mut rest).for_each(|(place, transaction)| place.send(transaction));
        }
    }

    /// Gossips a block of our own.
    pub async fn announce_block(&self, bytes: Vec<u8>) {
        self.link.publish_block(bytes).await;
    }

    /// Gossips a block that this node made, in which these transactions are so new that others are unlikely to have them: as
    /// many as there is room for come along.
    pub async fn announce_own_block(&self, bytes: Vec<u8>, fresh: &HashSet<TransactionId>) {
        self.link.publish_block(compact::announce_with(bytes, fresh)).await;
    }
}

impl Tasks {
    /// Runs until the node stops.
    pub async fn run(self) {
        let Self { keeper, network, link, hints, blocks, batches, outbox, counts } = self;
        let judge = Blocks::new(keeper.clone(), network.clone(), hints, counts.clone());
        // When the keeper closes, the first of them ends, and the others have nothing left to do.
        tokio::select! {
            _ = judge.run(blocks) => {}
            _ = batches::judge(keeper, network, batches, counts) => {}
            () = batches::send_out(link, outbox) => {}
        }
    }
}

/// A verdict as a label of a metric.
const fn label(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Reject => "reject",
        Verdict::Ignore => "ignore",
    }
}
