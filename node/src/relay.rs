//! Gossip in, verdicts out, and our own news to the network.
//!
//! A gossiped message is forwarded only after this node accepted what is in it. A peer is penalised only for what is
//! provably its own fault ([`bard_chain::invalid::Blame`]); a block whose parent is unknown is a hint to catch up.

use std::{sync::Arc, time::Duration};

use bard_chain::{
    engine::{Outcome, Refused},
    invalid::{Blame, Invalid},
    mempool::PoolRefusal,
    rules::isolated::CheckedTransaction,
    units::Timestamp,
};
use bard_protocol::{Fault, GossipId, NetworkHandle, PeerId, Verdict};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    clock,
    keeper::{self, Closed},
    metrics,
};

/// Gossiped blocks that wait for their check; one more is ignored (it can always be asked for).
const BLOCK_QUEUE: usize = 16;
/// Gossiped batches that wait for their check; one more is ignored.
const BATCH_QUEUE: usize = 64;
/// Own transactions that wait to be gossiped; whoever submits one more waits.
const OUTBOX: usize = 1024;
/// How long own transactions wait for company: a gossip message costs every node about 0.4 ms, whatever is in it.
const COALESCE: Duration = Duration::from_millis(20);
/// Blocks from the near future that are kept until they are due; one more is dropped (it can always be asked for).
const EARLY_BLOCKS: usize = 64;

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
    blocks: mpsc::Sender<Gossip<Vec<u8>>>,
    batches: mpsc::Sender<Gossip<Vec<Vec<u8>>>>,
    outbox: mpsc::Sender<Arc<CheckedTransaction>>,
    counts: metrics::Relay,
}

/// The relay's tasks, to be run.
pub struct Tasks {
    keeper: keeper::Handle,
    network: NetworkHandle,
    hints: mpsc::Sender<PeerId>,
    blocks: mpsc::Receiver<Gossip<Vec<u8>>>,
    batches: mpsc::Receiver<Gossip<Vec<Vec<u8>>>>,
    outbox: mpsc::Receiver<Arc<CheckedTransaction>>,
    counts: metrics::Relay,
}

/// Makes a relay. `hints` is told of peers that seem to know more than this node; a hint too many is dropped. Verdicts are
/// counted in `counts`.
pub fn new(
    keeper: keeper::Handle,
    network: NetworkHandle,
    hints: mpsc::Sender<PeerId>,
    counts: metrics::Relay,
) -> (Relay, Tasks) {
    let (block_sender, blocks) = mpsc::channel(BLOCK_QUEUE);
    let (batch_sender, batches) = mpsc::channel(BATCH_QUEUE);
    let (outbox_sender, outbox) = mpsc::channel(OUTBOX);
    let relay = Relay {
        network: network.clone(),
        blocks: block_sender,
        batches: batch_sender,
        outbox: outbox_sender,
        counts: counts.clone(),
    };
    (relay, Tasks { keeper, network, hints, blocks, batches, outbox, counts })
}

impl Relay {
    /// Takes a gossiped block.
    pub async fn block(&self, source: PeerId, id: GossipId, bytes: Vec<u8>) {
        if let Err(error) = self.blocks.try_send(Gossip::new(source, id, bytes)) {
            self.counts.judged("block", "dropped");
            self.network.report(error.into_inner().id, Verdict::Ignore).await;
        }
    }

    /// Takes a gossiped batch of transactions.
    pub async fn batch(&self, source: PeerId, id: GossipId, batch: Vec<Vec<u8>>) {
        if let Err(error) = self.batches.try_send(Gossip::new(source, id, batch)) {
            self.counts.judged("transactions", "dropped");
            self.network.report(error.into_inner().id, Verdict::Ignore).await;
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
        self.network.publish_block(bytes).await;
    }
}

impl Tasks {
    /// Runs until the node stops.
    pub async fn run(self) {
        let Self { keeper, network, hints, blocks, batches, outbox, counts } = self;
        let judge = Blocks {
            keeper: keeper.clone(),
            network: network.clone(),
            hints,
            early: Vec::new(),
            counts: counts.clone(),
        };
        // When the keeper closes, the first of them ends, and the others have nothing left to do.
        tokio::select! {
            _ = judge.run(blocks) => {}
            _ = judge_batches(keeper, network.clone(), batches, counts) => {}
            () = send_out(network, outbox) => {}
        }
    }
}

struct Blocks {
    keeper: keeper::Handle,
    network: NetworkHandle,
    hints: mpsc::Sender<PeerId>,
    /// Blocks that this clock finds too new, with the time from which they are acceptable.
    early: Vec<(Timestamp, Vec<u8>)>,
    counts: metrics::Relay,
}

impl Blocks {
    async fn run(mut self, mut inbox: mpsc::Receiver<Gossip<Vec<u8>>>) -> Result<(), Closed> {
        loop {
            let due = self.early.iter().map(|(at, _)| at.saturating_sub(clock::now()).get()).min();
            let wait = due.map_or(Duration::from_secs(3600), Duration::from_millis);
            tokio::select! {
                gossip = inbox.recv() => match gossip {
                    Some(gossip) => self.judge(gossip).await?,
                    None => return Ok(()),
                },
                () = tokio::time::sleep(wait) => self.retry_early().await?,
            }
        }
    }

    async fn judge(&mut self, gossip: Gossip<Vec<u8>>) -> Result<(), Closed> {
        let Gossip { source, id, content, seen } = gossip;
        let bytes: Arc<[u8]> = content.into();
        let verdict = match self.keeper.accept(Arc::clone(&bytes)).await? {
            Ok(accepted) => match accepted.outcome {
                Outcome::Extended | Outcome::Reorganised | Outcome::SideBranch => {
                    let age = clock::now().saturating_sub(accepted.timestamp).get();
                    self.counts.spread(Duration::from_millis(age), seen.elapsed());
                    Verdict::Accept
                }
                Outcome::BranchRefused { at, reason } => {
                    self.penalise(source, format!("its branch has an invalid block {at}: {reason}")).await;
                    Verdict::Reject
                }
            },
            // Known by another way, and good: others may still wait for it.
            Err(Refused::AlreadyKnown) => Verdict::Accept,
            Err(Refused::Invalid(reason)) => self.refuse(source, &bytes, reason).await,
            Err(Refused::Source(error)) => {
                tracing::error!(%error, "a gossiped block could not be checked");
                Verdict::Ignore
            }
        };
        self.counts.judged("block", label(verdict));
        self.network.report(id, verdict).await;
        Ok(())
    }

    async fn refuse(&mut self, source: PeerId, bytes: &[u8], reason: Invalid) -> Verdict {
        match (&reason, reason.blame()) {
            (Invalid::UnknownParent { .. }, _) => {
                // A full queue of hints is hint enough.
                let _ = self.hints.try_send(source);
            }
            (Invalid::TimeTooNew { acceptable_at, .. }, _) => {
                tracing::warn!(peer = %source, %reason, "a block waits until it is due; check this machine's clock");
                if self.early.len() < EARLY_BLOCKS {
                    self.early.push((*acceptable_at, bytes.to_vec()));
                }
            }
            (_, Blame::Nobody) => tracing::debug!(peer = %source, %reason, "a gossiped block is ignored"),
            (_, Blame::Sender) => {
                self.penalise(source, format!("sent an invalid block: {reason}")).await;
                return Verdict::Reject;
            }
        }
        Verdict::Ignore
    }

    async fn penalise(&self, source: PeerId, reason: String) {
        tracing::warn!(peer = %source, %reason, "block refused");
        self.network.penalise(source, Fault::Fatal, reason).await;
    }

    async fn retry_early(&mut self) -> Result<(), Closed> {
        let now = clock::now();
        let (due, early) = std::mem::take(&mut self.early).into_iter().partition(|(at, _)| *at <= now);
        self.early = early;
        for (_, bytes) in due {
            if let Ok(accepted) = self.keeper.accept(bytes.as_slice()).await? {
                tracing::info!(id = %accepted.id, "a block that came too early is accepted now");
                self.network.publish_block(bytes).await;
            }
        }
        Ok(())
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

async fn judge_batches(
    keeper: keeper::Handle,
    network: NetworkHandle,
    mut inbox: mpsc::Receiver<Gossip<Vec<Vec<u8>>>>,
    counts: metrics::Relay,
) -> Result<(), Closed> {
    while let Some(Gossip { source, id, content, .. }) = inbox.recv().await {
        let verdict = judge_batch(&keeper, &network, source, content).await?;
        counts.judged("transactions", label(verdict));
        network.report(id, verdict).await;
    }
    Ok(())
}

/// A batch is forwarded when something in it is new and good here, and rejected when something in it is provably bad.
async fn judge_batch(
    keeper: &keeper::Handle,
    network: &NetworkHandle,
    source: PeerId,
    batch: Vec<Vec<u8>>,
) -> Result<Verdict, Closed> {
    let mut good = Vec::with_capacity(batch.len());
    for result in keeper.check_transactions(batch).await? {
        match result {
            Ok(checked) => good.push(checked),
            Err(fault) => {
                let reason = format!("sent an invalid transaction: {fault}");
                tracing::warn!(peer = %source, %reason, "batch refused");
                network.penalise(source, Fault::Fatal, reason).await;
                return Ok(Verdict::Reject);
            }
        }
    }
    let verdicts = keeper.admit(good).await?;
    let refused =
        |verdict: &Result<_, PoolRefusal>| verdict.as_ref().err().filter(|e| **e != PoolRefusal::AlreadyKnown).cloned();
    for refusal in verdicts.iter().filter_map(refused) {
        tracing::debug!(peer = %source, %refusal, "a gossiped transaction is not admitted");
    }
    Ok(if verdicts.iter().any(Result::is_ok) { Verdict::Accept } else { Verdict::Ignore })
}

async fn send_out(network: NetworkHandle, mut outbox: mpsc::Receiver<Arc<CheckedTransaction>>) {
    let mut batch = Vec::new();
    while outbox.recv_many(&mut batch, OUTBOX).await > 0 {
        let deadline = Instant::now() + COALESCE;
        while let Some(room @ 1..) = OUTBOX.checked_sub(batch.len())
            && let Ok(1..) = tokio::time::timeout_at(deadline, outbox.recv_many(&mut batch, room)).await
        {}
        network.publish_transactions(batch.drain(..).map(|one| one.bytes().to_vec()).collect()).await;
    }
}
