//! The bodies, from every peer that has them, and what the keeper says of them.

use std::{collections::BTreeSet, time::Duration};

use bard_chain::{
    block,
    engine::{Outcome, Refused},
    hash::BlockId,
    invalid::Blame,
};
use bard_protocol::{
    Fault, PeerId, RefusedReason, RequestError, SyncResponse,
    wire::limits::{ANSWER_TARGET_LEN, response_max_len},
};
use futures::{future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{BODIES_SILENCE, Bodies, Progress, Session, Waiting};
use crate::{
    catch_up::{stopped::Stopped, window::Fetched},
    keeper,
};

/// The longest that becomes.
const BODIES_SILENCE_MAX: Duration = Duration::from_secs(64);
/// Requests for bodies under way to one peer: enough to hide a round trip.
const REQUESTS_PER_PEER: usize = 3;
/// Requests for bodies under way to all peers together.
const MAX_REQUESTS: usize = 64;
/// Bytes that their answers may have together, if each is as long as an answer may be.
const UNDER_WAY_LEN: usize = 32 << 20;
/// Blocks asked for at once before their size is known.
pub(super) const FIRST_REQUEST: usize = 16;
/// How far ahead of the block that is due others are fetched, in blocks.
const REACH: usize = 2_048;
/// Bytes of fetched blocks that may wait for their turn; beyond it nothing more is asked for.
const BUFFER: usize = 32 << 20;
/// Blocks handed to the keeper that are not yet accepted. Fewer than its inbox holds, or asking for more would wait too; small
/// ones are many, so that it can make a group of them durable while the next are checked.
const SUBMITTED: usize = 192;
/// Bytes of these blocks, but for the last of them; taken apart they are several times as many.
const SUBMITTED_LEN: usize = 8 << 20;
/// How often a peer may fall silent before it is asked no more in this session. Requests that were under way together count
/// as one, and every answer takes one back.
pub(super) const MAX_STALLS: u32 = 3;

/// How often a peer fell silent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stalls {
    pub(super) count: u32,
    latest: Instant,
}

impl Session {
    /// Requests for bodies to every peer that has room for one. Who kept us waiting before is asked again only when there is
    /// nobody else to wait for: blocks that are due must not be left with it.
    pub(super) fn ask_bodies(
        &mut self,
        under_way: &FuturesUnordered<BoxFuture<'static, Bodies>>,
    ) -> Vec<BoxFuture<'static, Bodies>> {
        let mut requests = Vec::new();
        self.paced = false;
        for (rank, peers) in self.able_peers().values().enumerate() {
            if rank == 0 || (under_way.is_empty() && requests.is_empty()) {
                self.ask_each(peers, under_way.len(), &mut requests);
            }
        }
        requests
    }

    fn ask_each(&mut self, peers: &[PeerId], under_way: usize, requests: &mut Vec<BoxFuture<'static, Bodies>>) {
        let (relayed, most_requests) = (self.relayed(), max_requests(self.keeper.spec().max_block_len()));
        for _ in 0..REQUESTS_PER_PEER {
            for peer in peers {
                if under_way + requests.len() >= most_requests {
                    return;
                }
                // With the buffer full, only the block that is due is asked for: it alone can make room.
                let reach = if self.window.bytes() >= BUFFER { 1 } else { REACH };
                // Who fell silent is asked for a little at a time, until answers come again.
                let slow = self.stalls.get(peer).is_some_and(|stalls| stalls.count > 0);
                let through = relayed.get(peer);
                if self.holds.is_held(peer) || through.is_some_and(|through| !through.open) {
                    self.paced = true;
                    continue;
                }
                let (most, size) = match through {
                    _ if slow => (1, 1),
                    Some(through) => (1, self.request_size(through.answer_len)),
                    None => (REQUESTS_PER_PEER, self.request_size(ANSWER_TARGET_LEN)),
                };
                if self.under_way.get(peer).is_some_and(|count| *count >= most) {
                    continue;
                }
                let from = self.blocks_from(peer);
                let ids = self.window.assign(*peer, size, reach, from);
                if ids.is_empty() {
                    continue;
                }
                requests.push(self.request(*peer, ids));
            }
        }
    }

    pub(super) async fn take_bodies(&mut self, Bodies { peer, ids, asked_at, answer }: Bodies) {
        if let Some(count) = self.under_way.get_mut(&peer) {
            *count = count.saturating_sub(1);
        }
        match answer {
            Ok(SyncResponse::Blocks(blocks)) => {
                // Blocks that the peer lacks are left out; who has none of them need not be asked for them again.
                let lacking = blocks.is_empty();
                self.take_blocks(peer, &ids, blocks).await;
                self.window.finished(&ids, peer, lacking);
                self.holds.answered(&peer);
                self.silence = (self.silence * 7 / 8).max(BODIES_SILENCE);
                if let Some(stalls) = self.stalls.get_mut(&peer).filter(|stalls| !lacking && stalls.count < MAX_STALLS)
                {
                    stalls.count = stalls.count.saturating_sub(1);
                }
            }
            Err(RequestError::Refused(RefusedReason::Unknown)) => self.window.finished(&ids, peer, true),
            Err(RequestError::Refused(RefusedReason::Busy) | RequestError::Busy)
                if self.holds.hold(peer, self.relayed().contains_key(&peer)) =>
            {
                self.window.finished(&ids, peer, false);
            }
            other => {
                self.window.finished(&ids, peer, false);
                if self.stalled(peer, asked_at) && other == Err(RequestError::Timeout) {
                    self.silence = (self.silence * 2).min(BODIES_SILENCE_MAX);
                }
                let reason = other.map_or_else(|error| error.to_string(), |_| "not what was asked for".to_owned());
                tracing::debug!(%peer, reason, "a request for blocks failed; another peer is tried");
            }
        }
    }

    /// Takes what a peer sent for these ids: each at most once.
    async fn take_blocks(&mut self, peer: PeerId, ids: &[BlockId], blocks: Vec<Vec<u8>>) {
        let (limit, pow) = (self.keeper.spec().max_block_len(), self.keeper.spec().pow);
        let mut asked: BTreeSet<BlockId> = ids.iter().copied().collect();
        for bytes in blocks {
            self.average = if self.average == 0 { bytes.len() } else { (self.average * 7 + bytes.len()) / 8 };
            match block::claimed_id(&bytes, limit, pow).filter(|id| asked.remove(id)) {
                // Where it is not taken, a second peer, who was asked for it too, was quicker: that is nobody's fault.
                Some(id) => drop(self.window.fetched(id, bytes, peer)),
                None => {
                    self.network.penalise(peer, Fault::Serious, "sent a block nobody asked for".to_owned()).await;
                    self.stalls.insert(peer, Stalls { count: MAX_STALLS, latest: Instant::now() });
                }
            }
        }
    }

    /// Notes that a peer fell silent, or failed; says whether that is news.
    fn stalled(&mut self, peer: PeerId, asked_at: Instant) -> bool {
        let now = Instant::now();
        let stalls = self.stalls.entry(peer).or_insert(Stalls { count: 0, latest: asked_at });
        // Asked before the last time: the same silence, seen by another request.
        let news = stalls.count == 0 || asked_at > stalls.latest;
        if news {
            *stalls = Stalls { count: stalls.count.saturating_add(1), latest: now };
        }
        news
    }

    pub(super) async fn submit_ready(&mut self) -> Result<(), Stopped> {
        while self.submitted.len() < SUBMITTED && self.submitted_len < SUBMITTED_LEN {
            let Some(Fetched { id, bytes, from }) = self.window.next_ready() else { return Ok(()) };
            let length = bytes.len();
            let reply = self.keeper.submit(bytes).await?;
            self.submitted_len += length;
            self.submitted.push_back(Waiting { id, from, length, reply });
        }
        Ok(())
    }

    pub(super) async fn judge(&mut self, id: BlockId, from: PeerId, reply: keeper::BlockReply) -> Result<(), Stopped> {
        let reason = match reply {
            Ok(accepted) => match accepted.outcome {
                Outcome::BranchRefused { at, reason } => (at, reason),
                Outcome::Extended | Outcome::Reorganised | Outcome::SideBranch => {
                    self.accepted += 1;
                    self.keeper.counts().fetched.inc();
                    if let Some(position) = &self.position {
                        let progress = Progress { target: position.height(), accepted: self.accepted };
                        self.progress.send_replace(Some(progress));
                    }
                    return Ok(());
                }
            },
            Err(Refused::AlreadyKnown) => return Ok(()),
            Err(Refused::Invalid(reason)) => (id, reason),
            Err(Refused::NoRoom(why)) => return Err(Stopped::NoRoom(why)),
            Err(Refused::Source(error)) => {
                tracing::error!(%error, "catching up stopped: the store cannot be read");
                return Err(Stopped::Store(error.to_string()));
            }
        };
        let (id, reason) = reason;
        if reason.blame() == Blame::Sender {
            let text = format!("sent an invalid block {id}: {reason}");
            self.network.penalise(from, Fault::Fatal, text.clone()).await;
            // A body that is not the header's is the sender's fault alone; for anything else the leader vouched, too.
            if self.leader != from && reason.is_final() {
                self.network.penalise(self.leader, Fault::Fatal, format!("its chain has an invalid block {id}")).await;
            }
        }
        Err(Stopped::Invalid { id, reason: reason.to_string(), is_lie: reason.blame() == Blame::Sender })
    }
}

/// Requests that may be under way on a chain whose blocks have at most `max_block_len` bytes; one peer alone has its own.
fn max_requests(max_block_len: usize) -> usize {
    (UNDER_WAY_LEN / response_max_len(max_block_len)).clamp(REQUESTS_PER_PEER, MAX_REQUESTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_under_way_are_bounded_by_their_bytes() {
        for max_block_len in [1 << 10, 1 << 20, 2 << 20, 8 << 20] {
            let most = max_requests(max_block_len);
            assert!(most >= REQUESTS_PER_PEER, "one peer is enough to catch up");
            assert!(most * response_max_len(max_block_len) <= UNDER_WAY_LEN, "{max_block_len}: {most}");
        }
    }
}
