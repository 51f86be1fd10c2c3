//! Gossiped blocks, whole or compact.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bard_chain::{
    block::{self, Header},
    engine::{Outcome, Refused},
    hash::BlockId,
    invalid::{Blame, Invalid},
    rules::isolated,
    units::{Timestamp, Work},
};
use bard_protocol::{
    Fault, NetworkHandle, PeerId, Verdict,
    wire::compact::{Announcement, Compact},
};
use tokio::{
    task::{self, JoinError, JoinSet},
    time::{Instant, sleep},
};

use super::{
    Gossip,
    hints::Hints,
    label,
    rebuild::{Announcers, Rebuild, Rebuilt},
};
use crate::{
    clock,
    fair::Receiver,
    keeper::{self, Accepted, Closed, Placing},
    metrics,
};

/// Blocks from the near future that are kept until they are due; one more is dropped (it can always be asked for).
const EARLY_BLOCKS: usize = 16;
/// Of these, how many of one peer.
const EARLY_PER_PEER: usize = 4;
/// Headers from the future of which people were told; the oldest is forgotten for one more.
const TOLD_EARLY: usize = 64;
/// Compact blocks that are being put together; one more is left to catching up.
const REBUILDING: usize = 16;
/// Of these, how many one peer may have announced; one more is left to catching up. One that tells nothing holds a place for
/// some seconds.
const REBUILDING_PER_PEER: usize = 4;
/// Blocks that wait for their parent, which is being put together; one more is a hint to catch up.
const WAITING: usize = 16;
/// Of these, how many of one peer.
const WAITING_PER_PEER: usize = 4;
/// And how much room each may take of all that is for gossip, in KiB. A longer one is a hint, too: nothing but the work of the
/// easiest target has been shown of it yet.
const WAITING_KIB: u32 = 256;

/// The judge of blocks.
pub(super) struct Blocks {
    keeper: keeper::Handle,
    network: NetworkHandle,
    hints: Hints,
    /// Blocks that this clock finds too new.
    early: Vec<Early>,
    /// Headers from the future of which people were told, the oldest first.
    told_early: VecDeque<BlockId>,
    /// Compact blocks that are being put together, each with the task that does it and those who announced it.
    rebuilding: BTreeMap<BlockId, (task::Id, Announcers)>,
    rebuilds: JoinSet<(BlockId, Result<Rebuilt, Closed>)>,
    /// What follows a block that is being put together.
    waiting: Vec<(BlockId, Gossip<Announcement>)>,
    counts: metrics::Relay,
}

/// A block that this clock finds too new.
struct Early {
    /// From when on it is acceptable.
    due: Timestamp,
    id: BlockId,
    source: PeerId,
    announcement: Announcement,
}

/// What the header of an announcement says.
enum Seen {
    /// It is right in its place: with this work, and more than the tip, or as much.
    Good { id: BlockId, work: Work },
    /// It is nothing that this node wants now.
    Unwanted,
}

/// Why an announcement comes to nothing.
enum Untaken {
    Refused(Refused),
    /// The node stops.
    Closed,
}

impl From<Refused> for Untaken {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Invalid> for Untaken {
    fn from(reason: Invalid) -> Self {
        Self::Refused(reason.into())
    }
}

impl From<Closed> for Untaken {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// What is to be done with an announcement.
enum Judged {
    /// Its verdict is given.
    Now(Verdict),
    /// It waits until this block is there.
    After(BlockId),
}

impl Blocks {
    pub(super) fn new(keeper: keeper::Handle, network: NetworkHandle, hints: Hints, counts: metrics::Relay) -> Self {
        let (rebuilding, rebuilds, waiting) = (BTreeMap::new(), JoinSet::new(), Vec::new());
        let (early, told_early) = (Vec::new(), VecDeque::new());
        Self { keeper, network, hints, early, told_early, rebuilding, rebuilds, waiting, counts }
    }

    /// Runs until the node stops.
    pub(super) async fn run(mut self, mut inbox: Receiver<Gossip<Announcement>>) -> Result<(), Closed> {
        loop {
            let due = self.early.iter().map(|early| early.due.saturating_sub(clock::now()).get()).min();
            let wait = due.map_or(Duration::from_secs(3600), Duration::from_millis);
            tokio::select! {
                gossip = inbox.next() => match gossip {
                    Some(gossip) => self.judge(gossip).await?,
                    None => return Ok(()),
                },
                Some(ended) = self.rebuilds.join_next() => match ended {
                    Ok((block, result)) => self.rebuilt(block, result?).await?,
                    Err(error) => self.cut_off(&error).await?,
                },
                () = sleep(wait) => self.retry_early().await?,
            }
        }
    }

    async fn judge(&mut self, gossip: Gossip<Announcement>) -> Result<(), Closed> {
        let (source, seen) = (gossip.source, gossip.seen);
        let room = self.is_room_to_wait(&gossip);
        match self.judged(source, &gossip.content, seen, room).await? {
            Judged::Now(verdict) => {
                self.counts.judged("block", label(verdict));
                self.network.report(gossip.id, verdict).await;
            }
            Judged::After(block) => self.waiting.push((block, gossip)),
        }
        Ok(())
    }

    /// Whether an announcement may wait for its parent.
    fn is_room_to_wait(&self, gossip: &Gossip<Announcement>) -> bool {
        let of_source = self.waiting.iter().filter(|(_, other)| other.source == gossip.source).count();
        self.waiting.len() < WAITING && of_source < WAITING_PER_PEER && gossip.id.kib() <= WAITING_KIB
    }

    async fn judged(
        &mut self,
        source: PeerId,
        announcement: &Announcement,
        seen: Instant,
        may_wait: bool,
    ) -> Result<Judged, Closed> {
        let judged = match announcement {
            Announcement::Whole(bytes) => self.whole(source, bytes, seen).await,
            Announcement::Compact(compact) => self.announced(source, compact, seen).await,
        };
        let refused = match judged {
            Ok(verdict) => return Ok(Judged::Now(verdict)),
            Err(Untaken::Closed) => return Err(Closed),
            Err(Untaken::Refused(refused)) => refused,
        };
        Ok(match refused {
            // It came another way meanwhile, and is told by whoever it came from.
            Refused::AlreadyKnown => Judged::Now(Verdict::Ignore),
            Refused::Invalid(Invalid::UnknownParent { parent })
                if may_wait && self.rebuilding.contains_key(&parent) =>
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

    /// Looks at the header of an announcement alone: all that a stranger can have made without the work ends here.
    async fn look(&self, header: &Header) -> Result<Seen, Untaken> {
        let spec = self.keeper.spec();
        let id = isolated::check_header(spec, header)?;
        let parent = header.parent;
        let before = match self.keeper.placing(id, parent).await? {
            Placing::Known => return Ok(Seen::Unwanted),
            Placing::Refused(reason) => return Err(reason.into()),
            Placing::UnknownParent => return Err(Invalid::UnknownParent { parent }.into()),
            Placing::After(before) => before,
        };
        let after = before.step(spec, header, id, clock::now())?;
        // Nobody needs it before its branch has as much work; on a chain of little work anybody can make many of these.
        let wanted = after.work() >= self.keeper.tip().work;
        Ok(if wanted { Seen::Good { id, work: after.work() } } else { Seen::Unwanted })
    }

    /// Judges a whole block: by its header first, for the rest costs more to check than to make.
    async fn whole(&self, source: PeerId, bytes: &[u8], seen: Instant) -> Result<Verdict, Untaken> {
        if let Some(header) = block::claimed_header(bytes, self.keeper.spec().max_block_len())
            && let Seen::Unwanted = self.look(&header).await?
        {
            return Ok(Verdict::Ignore);
        }
        let accepted = self.keeper.accept(Arc::<[u8]>::from(bytes)).await??;
        Ok(self.accepted(source, &accepted, seen).await)
    }

    /// A whole block was accepted. On a side branch nobody has looked at what its transactions do: it is kept, and not vouched
    /// for.
    async fn accepted(&self, source: PeerId, accepted: &Accepted, seen: Instant) -> Verdict {
        match &accepted.outcome {
            Outcome::Extended | Outcome::Reorganised => {
                self.counts.spread(age(accepted.timestamp), seen.elapsed());
                Verdict::Accept
            }
            Outcome::SideBranch => Verdict::Ignore,
            Outcome::BranchRefused { at, reason } => {
                self.penalise(source, format!("its branch has an invalid block {at}: {reason}")).await;
                Verdict::Reject
            }
        }
    }

    /// Judges a compact block by its header, and lets it be put together where that is right.
    async fn announced(&mut self, source: PeerId, compact: &Compact, seen: Instant) -> Result<Verdict, Untaken> {
        let (block, work) = match self.look(compact.header()).await {
            Ok(Seen::Good { id, work }) => (id, work),
            // Whoever announced it may have known no more than the header, as others do who forwarded it.
            Ok(Seen::Unwanted)
            | Err(Untaken::Refused(Refused::Invalid(Invalid::KnownInvalid | Invalid::InvalidAncestor))) => {
                return Ok(Verdict::Ignore);
            }
            Err(untaken) => return Err(untaken),
        };
        if let Some((_, announcers)) = self.rebuilding.get(&block) {
            // One announcement of a header is forwarded: with its work, anybody could make many.
            announcers.join(source);
            return Ok(Verdict::Ignore);
        }
        let of_source = self.rebuilding.values().filter(|(_, by)| by.first() == Some(source)).count();
        if self.rebuilding.len() >= REBUILDING || of_source >= REBUILDING_PER_PEER {
            self.hints.lost(source);
            return Ok(Verdict::Ignore);
        }
        let announcers = Announcers::new(source);
        let (keeper, network, counts) = (self.keeper.clone(), self.network.clone(), self.counts.clone());
        // With as much work as the tip it will be kept, and not be applied: no other node gets its rest from this one.
        let verdict = if work > self.keeper.tip().work { Verdict::Accept } else { Verdict::Ignore };
        let compact = compact.clone();
        let work = Rebuild { keeper, network, announcers: announcers.clone(), block, compact, seen, counts };
        let task = self.rebuilds.spawn(async move { (block, work.run().await) }).id();
        self.rebuilding.insert(block, (task, announcers));
        Ok(verdict)
    }

    /// Putting a block together was cut off, by a fault of this software: as if nobody had told the rest.
    async fn cut_off(&mut self, error: &JoinError) -> Result<(), Closed> {
        tracing::error!(%error, "putting a block together was cut off");
        let block = self.rebuilding.iter().find(|(_, (task, _))| *task == error.id()).map(|(block, _)| *block);
        match block {
            Some(block) => self.rebuilt(block, Rebuilt::Not).await,
            None => Ok(()),
        }
    }

    /// A compact block was put together, or could not be.
    async fn rebuilt(&mut self, block: BlockId, rebuilt: Rebuilt) -> Result<(), Closed> {
        let announcers = self.rebuilding.remove(&block);
        if let (Rebuilt::Not, Some((_, announcers))) = (rebuilt, announcers) {
            announcers.all().into_iter().for_each(|peer| self.hints.lost(peer));
        }
        let (ready, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(parent, _)| *parent == block);
        self.waiting = waiting;
        for (_, gossip) in ready {
            self.judge(gossip).await?;
        }
        Ok(())
    }

    async fn refuse(&mut self, source: PeerId, announcement: &Announcement, reason: Invalid) -> Verdict {
        match (&reason, reason.blame()) {
            (Invalid::UnknownParent { .. }, _) => {
                tracing::debug!(peer = %source, %reason, "a gossiped block is refused for now");
                self.hints.of(source);
            }
            (Invalid::TimeTooNew { acceptable_at, .. }, _) => {
                self.wait_until_due(source, announcement, *acceptable_at, &reason);
            }
            (_, Blame::Nobody) => tracing::debug!(peer = %source, %reason, "a gossiped block is ignored"),
            (_, Blame::Sender) => {
                self.penalise(source, format!("sent an invalid block: {reason}")).await;
                return Verdict::Reject;
            }
        }
        Verdict::Ignore
    }

    /// Keeps a block that is a little early, once, and tells people, once.
    fn wait_until_due(&mut self, source: PeerId, announcement: &Announcement, due: Timestamp, reason: &Invalid) {
        let spec = self.keeper.spec();
        let header = match announcement {
            Announcement::Whole(bytes) => block::claimed_header(bytes, spec.max_block_len()),
            Announcement::Compact(compact) => Some(compact.header().clone()),
        };
        let Some(id) = header.map(|header| header.id(spec.pow)) else { return };
        if !self.told_early.contains(&id) {
            tracing::warn!(peer = %source, %id, %reason, "a block waits until it is due; check this machine's clock");
            self.told_early.push_back(id);
            if self.told_early.len() > TOLD_EARLY {
                self.told_early.pop_front();
            }
        }
        let near = due.saturating_sub(clock::now()).get() <= spec.max_drift_ms;
        let of_source = self.early.iter().filter(|early| early.source == source).count();
        let is_known = self.early.iter().any(|early| early.id == id);
        if near && !is_known && of_source < EARLY_PER_PEER && self.early.len() < EARLY_BLOCKS {
            self.early.push(Early { due, id, source, announcement: announcement.clone() });
        }
    }

    async fn penalise(&self, source: PeerId, reason: String) {
        tracing::warn!(peer = %source, %reason, "block refused");
        self.network.penalise(source, Fault::Fatal, reason).await;
    }

    async fn retry_early(&mut self) -> Result<(), Closed> {
        let now = clock::now();
        let (due, early) = std::mem::take(&mut self.early).into_iter().partition(|early| early.due <= now);
        self.early = early;
        for Early { id, source, announcement, .. } in due {
            // Neither is told on by gossip, which knows the message for longer than a block can be early: peers hear of the new
            // tip when they are asked for theirs, at once.
            let judged = match &announcement {
                Announcement::Whole(bytes) => self.whole(source, bytes, Instant::now()).await,
                Announcement::Compact(compact) => self.announced(source, compact, Instant::now()).await,
            };
            match judged {
                Ok(Verdict::Accept) => tracing::info!(%id, "a block that came too early is taken now"),
                Err(Untaken::Refused(Refused::Invalid(reason))) => {
                    self.refuse(source, &announcement, reason).await;
                }
                // Whoever announced it has it.
                Ok(Verdict::Ignore | Verdict::Reject) | Err(Untaken::Refused(_)) => self.hints.of(source),
                Err(Untaken::Closed) => return Err(Closed),
            }
        }
        Ok(())
    }
}

/// How old a block is by its own time.
pub(super) fn age(timestamp: Timestamp) -> Duration {
    Duration::from_millis(clock::now().saturating_sub(timestamp).get())
}

#[cfg(test)]
mod tests;
