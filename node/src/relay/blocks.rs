//! Gossiped blocks, whole or compact.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bard_chain::{
    engine::{Outcome, Refused},
    hash::BlockId,
    invalid::{Blame, Invalid},
    rules::isolated,
    units::Timestamp,
};
use bard_protocol::{
    Fault, NetworkHandle, PeerId, Verdict,
    wire::compact::{Announcement, Compact},
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    Gossip,
    fair::Receiver,
    label,
    rebuild::{Rebuild, Rebuilt},
};
use crate::{
    clock,
    keeper::{self, Accepted, Closed},
    lab::Link,
    metrics,
};

/// Blocks from the near future that are kept until they are due; one more is dropped (it can always be asked for).
const EARLY_BLOCKS: usize = 64;
/// Compact blocks that are being put together; one more is left to catching up.
const REBUILDING: usize = 16;
/// Of these, how many one peer may have announced; one more is left to catching up. One that tells nothing holds a place for
/// some seconds.
const REBUILDING_PER_PEER: usize = 4;
/// Blocks that wait for their parent, which is being put together; one more is a hint to catch up.
const WAITING: usize = 16;

/// The judge of blocks.
pub(super) struct Blocks {
    keeper: keeper::Handle,
    network: NetworkHandle,
    link: Link,
    hints: mpsc::Sender<PeerId>,
    /// Blocks that this clock finds too new, with the time from which they are acceptable.
    early: Vec<(Timestamp, PeerId, Announcement)>,
    /// Compact blocks that are being put together, with the peer that announced each first.
    rebuilding: BTreeMap<BlockId, PeerId>,
    rebuilds: JoinSet<(BlockId, Result<Rebuilt, Closed>)>,
    /// What follows a block that is being put together.
    waiting: Vec<(BlockId, Gossip<Announcement>)>,
    counts: metrics::Relay,
}

/// What is to be done with an announcement.
enum Judged {
    /// Its verdict is given.
    Now(Verdict),
    /// It waits until this block is there.
    After(BlockId),
}

impl Blocks {
    pub(super) fn new(
        keeper: keeper::Handle,
        network: NetworkHandle,
        link: Link,
        hints: mpsc::Sender<PeerId>,
        counts: metrics::Relay,
    ) -> Self {
        let (early, rebuilding, rebuilds, waiting) = (Vec::new(), BTreeMap::new(), JoinSet::new(), Vec::new());
        Self { keeper, network, link, hints, early, rebuilding, rebuilds, waiting, counts }
    }

    /// Runs until the node stops.
    pub(super) async fn run(mut self, mut inbox: Receiver<Gossip<Announcement>>) -> Result<(), Closed> {
        loop {
            let due = self.early.iter().map(|(at, ..)| at.saturating_sub(clock::now()).get()).min();
            let wait = due.map_or(Duration::from_secs(3600), Duration::from_millis);
            tokio::select! {
                gossip = inbox.next() => match gossip {
                    Some(gossip) => self.judge(gossip).await?,
                    None => return Ok(()),
                },
                Some(ended) = self.rebuilds.join_next() => match ended {
                    Ok((block, result)) => self.rebuilt(block, result?).await?,
                    Err(error) => tracing::error!(%error, "putting a block together was cut off"),
                },
                () = sleep(wait) => self.retry_early().await?,
            }
        }
    }

    async fn judge(&mut self, gossip: Gossip<Announcement>) -> Result<(), Closed> {
        let (source, seen) = (gossip.source, gossip.seen);
        match self.judged(source, &gossip.content, seen).await? {
            Judged::Now(verdict) => {
                self.counts.judged("block", label(verdict));
                self.network.report(gossip.id, verdict).await;
            }
            Judged::After(block) => self.waiting.push((block, gossip)),
        }
        Ok(())
    }

    async fn judged(&mut self, source: PeerId, announcement: &Announcement, seen: Instant) -> Result<Judged, Closed> {
        let refused = match announcement {
            Announcement::Whole(bytes) => match self.keeper.accept(Arc::<[u8]>::from(bytes.as_slice())).await? {
                Ok(accepted) => return Ok(Judged::Now(self.accepted(source, &accepted, seen).await)),
                Err(refused) => refused,
            },
            Announcement::Compact(compact) => match self.announced(source, compact, seen).await? {
                Ok(verdict) => return Ok(Judged::Now(verdict)),
                Err(refused) => refused,
            },
        };
        Ok(match refused {
            // Known by another way, and good: others may still wait for it.
            Refused::AlreadyKnown => Judged::Now(Verdict::Accept),
            Refused::Invalid(Invalid::UnknownParent { parent })
                if self.rebuilding.contains_key(&parent) && self.waiting.len() < WAITING =>
            {
                Judged::After(parent)
            }
            Refused::Invalid(reason) => Judged::Now(self.refuse(source, announcement, reason).await),
            // Said once, when it began.
            Refused::NoRoom(_) => Judged::Now(Verdict::Ignore),
            Refused::Source(error) => {
                tracing::error!(%error, "a gossiped block could not be checked");
                Judged::Now(Verdict::Ignore)
            }
        })
    }

    /// A whole block was accepted.
    async fn accepted(&self, source: PeerId, accepted: &Accepted, seen: Instant) -> Verdict {
        match &accepted.outcome {
            Outcome::Extended | Outcome::Reorganised | Outcome::SideBranch => {
                self.counts.spread(age(accepted.timestamp), seen.elapsed());
                Verdict::Accept
            }
            Outcome::BranchRefused { at, reason } => {
                self.penalise(source, format!("its branch has an invalid block {at}: {reason}")).await;
                Verdict::Reject
            }
        }
    }

    /// Judges a compact block by its header, and lets it be put together where that is right.
    async fn announced(
        &mut self,
        source: PeerId,
        compact: &Compact,
        seen: Instant,
    ) -> Result<Result<Verdict, Refused>, Closed> {
        let (header, spec) = (compact.header(), Arc::clone(self.keeper.spec()));
        let block = match isolated::check_header(&spec, header) {
            Ok(block) => block,
            Err(reason) => return Ok(Err(reason.into())),
        };
        if self.rebuilding.contains_key(&block) {
            // One announcement of a header is forwarded: with its work, anybody could make many.
            return Ok(Ok(Verdict::Ignore));
        }
        if self.keeper.position(block).await?.is_some() {
            return Ok(Err(Refused::AlreadyKnown));
        }
        let Some(before) = self.keeper.position(header.parent).await? else {
            return Ok(Err(Invalid::UnknownParent { parent: header.parent }.into()));
        };
        let after = match before.step(&spec, header, block, clock::now()) {
            Ok(after) => after,
            Err(reason) => return Ok(Err(reason.into())),
        };
        if after.work() < self.keeper.tip().work {
            // Nobody needs it before its branch has as much work; on a chain of little work anybody can make many of these.
            return Ok(Ok(Verdict::Ignore));
        }
        let of_source = self.rebuilding.values().filter(|by| **by == source).count();
        if self.rebuilding.len() >= REBUILDING || of_source >= REBUILDING_PER_PEER {
            self.hint(source);
            return Ok(Ok(Verdict::Ignore));
        }
        self.rebuilding.insert(block, source);
        let (keeper, network, counts) = (self.keeper.clone(), self.network.clone(), self.counts.clone());
        let work = Rebuild { keeper, network, source, block, compact: compact.clone(), seen, counts };
        self.rebuilds.spawn(async move { (block, work.run().await) });
        Ok(Ok(Verdict::Accept))
    }

    /// A compact block was put together, or could not be.
    async fn rebuilt(&mut self, block: BlockId, rebuilt: Rebuilt) -> Result<(), Closed> {
        let source = self.rebuilding.remove(&block);
        if let (Rebuilt::Not, Some(source)) = (rebuilt, source) {
            self.hint(source);
        }
        let (ready, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(parent, _)| *parent == block);
        self.waiting = waiting;
        for (_, gossip) in ready {
            self.judge(gossip).await?;
        }
        Ok(())
    }

    fn hint(&self, source: PeerId) {
        // A full queue of hints is hint enough.
        let _ = self.hints.try_send(source);
    }

    async fn refuse(&mut self, source: PeerId, announcement: &Announcement, reason: Invalid) -> Verdict {
        match (&reason, reason.blame()) {
            (Invalid::UnknownParent { .. }, _) => self.hint(source),
            (Invalid::TimeTooNew { acceptable_at, .. }, _) => {
                tracing::warn!(peer = %source, %reason, "a block waits until it is due; check this machine's clock");
                if self.early.len() < EARLY_BLOCKS {
                    self.early.push((*acceptable_at, source, announcement.clone()));
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
        let (due, early) = std::mem::take(&mut self.early).into_iter().partition(|(at, ..)| *at <= now);
        self.early = early;
        for (_, source, announcement) in due {
            match announcement {
                Announcement::Whole(bytes) => {
                    if let Ok(accepted) = self.keeper.accept(bytes.as_slice()).await? {
                        tracing::info!(id = %accepted.id, "a block that came too early is accepted now");
                        self.link.publish_block(bytes).await;
                    }
                }
                // Its announcement was not forwarded when it came: whoever announced it has it, and so soon all others.
                Announcement::Compact(compact) => {
                    if !matches!(self.announced(source, &compact, Instant::now()).await?, Ok(Verdict::Accept)) {
                        self.hint(source);
                    }
                }
            }
        }
        Ok(())
    }
}

/// How old a block is by its own time.
pub(super) fn age(timestamp: Timestamp) -> Duration {
    Duration::from_millis(clock::now().saturating_sub(timestamp).get())
}
