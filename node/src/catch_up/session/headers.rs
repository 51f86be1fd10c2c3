//! The headers of whoever is followed.

use std::{sync::Arc, time::Duration};

use bard_chain::{
    block::Header,
    hash::BlockId,
    invalid::{Blame, Invalid},
    rules::in_chain::Position,
    units::Height,
};
use bard_protocol::{Fault, PeerId, RequestError, SyncRequest, SyncResponse};
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{
    Progress, Session, Standing,
    proof::{Proof, Step},
};
use crate::{catch_up::stopped::Stopped, clock};

/// For how long nothing of an answer of headers may come.
const HEADERS_SILENCE: Duration = Duration::from_secs(15);
/// How long the whole answer may take: 384,000 bytes at 68 kbit/s. Whoever leads can hold up a session for so long.
const HEADERS_DEADLINE: Duration = Duration::from_secs(45);
/// How long a leader may take to show headers with more work than this node's chain has.
const PROOF_DEADLINE: Duration = Duration::from_secs(90);
/// While others wait who claim more than this node has, a leader's headers may take as long and so much more for each that came:
/// 400 a second, 77 KB. Where a slower one leads again, it is gone on with.
const PER_HEADER: Duration = Duration::from_micros(2_500);

/// How long a leader that is ahead may take to show what it claims while others wait who claim more than this node has; it
/// doubles with each of its failures, for its line may be slow, and so may all others be.
const TURN: Duration = Duration::from_secs(300);
/// Headers beyond the height that was claimed which may come before the claimed work is shown: where another branch took the
/// place of the one that was claimed, its blocks may have a little less work each.
const BEYOND: u64 = 2_000;

/// How long the turn of a leader is that failed so often.
fn turn(failures: u32) -> Duration {
    TURN.saturating_mul(1 << failures.min(8))
}

/// Headers that a session leaves behind, in which its leader has not yet shown what it claims: through a relay they come in
/// pieces, with a session for each.
#[derive(Debug)]
pub(in crate::catch_up) struct Unfinished {
    pub(in crate::catch_up) leader: PeerId,
    proof: Proof,
    position: Position,
    is_ahead: bool,
}

impl Session {
    /// Goes on where an earlier session with the same leader ended.
    pub(in crate::catch_up) fn resume(mut self, unfinished: Option<Unfinished>) -> Self {
        if let Some(Unfinished { proof, position, is_ahead, .. }) = unfinished.filter(|one| one.leader == self.leader) {
            self.proof = proof.of_claim(self.claimed);
            (self.position, self.is_ahead) = (Some(position), is_ahead);
        }
        self
    }

    /// What may be gone on with, where the leader's line broke, and only if it told something new: another session is worth it.
    pub(super) fn unfinished(self, result: &Result<(), Stopped>) -> Option<Unfinished> {
        let is_broken = self.went_on && matches!(result, Err(Stopped::NoAnswer(_)));
        let position = self.position.filter(|_| is_broken && self.proof.is_owed(self.keeper.tip().work))?;
        Some(Unfinished { leader: self.leader, proof: self.proof, position, is_ahead: self.is_ahead })
    }

    pub(super) async fn ask_headers(
        &mut self,
    ) -> Result<BoxFuture<'static, Result<SyncResponse, RequestError>>, Stopped> {
        let locator = match &self.position {
            Some(position) => vec![position.id()],
            None => self.keeper.locator().await?,
        };
        // Headers that everybody knows cost their teller nothing: he has so long to tell others.
        let left = if self.is_ahead { Duration::MAX } else { PROOF_DEADLINE.saturating_sub(self.began.elapsed()) };
        if left.is_zero() {
            return Err(Stopped::Peer(
                "its headers have not shown more work than this node's chain has in time".to_owned(),
            ));
        }
        if self.is_ahead && self.others_wait() {
            if self.headers_took >= PROOF_DEADLINE.saturating_add(PER_HEADER.saturating_mul(self.headers_taken)) {
                return Err(Stopped::NoAnswer(RequestError::Timeout));
            }
            if self.proof.is_being_shown(self.keeper.tip().work) && self.has_had_its_turn() {
                return Err(Stopped::Peer("it has not shown what it claims for long, and others wait".to_owned()));
            }
        }
        self.headers_since = Instant::now();
        let deadline = HEADERS_DEADLINE.min(left);
        let (network, link, leader) = (self.network.clone(), self.link.clone(), self.leader);
        self.headers_asked = self.headers_at_once();
        let limit = u32::try_from(self.headers_asked).unwrap_or(u32::MAX);
        let request = SyncRequest::Headers { locator, limit };
        Ok(Box::pin(async move {
            link.slow().await;
            network.request_at_length(leader, request, HEADERS_SILENCE, deadline).await
        }))
    }

    /// Whether others claim more than this node has, and could be followed now.
    fn others_wait(&self) -> bool {
        let (ours, now) = (self.keeper.tip().work, Instant::now());
        let waits = |standing: &Standing| {
            let is_ready = standing.not_before.is_none_or(|at| at <= now);
            is_ready && standing.status.as_ref().is_some_and(|status| status.work > ours)
        };
        self.peers.borrow().iter().any(|(peer, standing)| *peer != self.leader && waits(standing))
    }

    /// Whether the leader has had its turn.
    fn has_had_its_turn(&self) -> bool {
        let failures = self.peers.borrow().get(&self.leader).map_or(0, |standing| standing.failures);
        self.began.elapsed() >= turn(failures)
    }

    pub(super) async fn take_headers(&mut self, answer: Result<SyncResponse, RequestError>) -> Result<(), Stopped> {
        self.headers_took = self.headers_took.saturating_add(self.headers_since.elapsed());
        let headers = match answer {
            Ok(SyncResponse::Headers(headers)) => headers,
            Ok(_) => return Err(Stopped::Peer("it answered something else than headers".to_owned())),
            Err(error) => return Err(Stopped::NoAnswer(error)),
        };
        self.all_headers = headers.len() < self.headers_asked;
        self.headers_taken = self.headers_taken.saturating_add(u32::try_from(headers.len()).unwrap_or(u32::MAX));
        if !headers.is_empty() {
            self.take_some(headers).await?;
        }
        let ours = self.keeper.tip().work;
        let (height, shown) = self.position.as_ref().map_or_else(Default::default, |at| (at.height(), at.work()));
        let is_beyond = height.get() > self.claimed_height.get().saturating_add(BEYOND);
        if self.all_headers && self.proof.is_owed(ours) || is_beyond && self.proof.is_being_shown(ours) {
            return Err(Stopped::LessShown(shown));
        }
        Ok(())
    }

    async fn take_some(&mut self, headers: Vec<Header>) -> Result<(), Stopped> {
        let from = match self.position.take() {
            // The leader's chain changed under our hands: begin anew, by a new locator.
            Some(position) if headers.first().is_some_and(|first| position.id() != first.parent) => {
                return Err(changed());
            }
            Some(position) => position,
            None => self.position_before(&headers).await?.ok_or_else(|| {
                Stopped::Peer("its chain left ours further back than this chain lets a reorganisation reach".to_owned())
            })?,
        };
        let (position, ids, fault) = self.check_headers(from.clone(), headers).await?;
        if let Some(reason) = fault {
            self.fault_of_leader(&reason).await?;
        }
        let (target, ours) = (position.height(), self.keeper.tip().work);
        self.is_ahead |= position.work() > ours;
        self.went_on = true;
        let step = self.proof.take(&from, &position, ids, ours);
        self.position = Some(position);
        match step {
            Step::More => {}
            Step::Fetch(ids) => self.want(ids).await?,
            Step::Again(from) => {
                tracing::debug!(peer = %self.leader, "its headers have shown their work, and are asked for again");
                (self.position, self.all_headers) = (Some(*from), false);
            }
            Step::Changed => return Err(changed()),
            Step::TooMany => {
                return Err(Stopped::Peer("its headers do not show more work than this node's chain has".to_owned()));
            }
        }
        self.progress.send_replace(Some(Progress { target, accepted: self.accepted }));
        Ok(())
    }

    /// Blocks that are known already, as after a session that was cut off, need not be fetched again. Some that are stored were
    /// forgotten since, and must.
    async fn want(&mut self, fresh: Vec<(BlockId, Height)>) -> Result<(), Stopped> {
        let held = self.keeper.held(fresh.iter().map(|(id, _)| *id).collect()).await?;
        self.window.extend(fresh.into_iter().zip(held).filter(|(_, held)| !held).map(|(block, _)| block));
        Ok(())
    }

    /// Where these headers begin, the first of which follows a known block. This node cannot follow a chain that left its own
    /// below the state it began with.
    async fn position_before(&self, headers: &[Header]) -> Result<Option<Position>, Stopped> {
        let Some(parent) = headers.first().map(|first| first.parent) else { return Ok(None) };
        let (reader, floor, pow) = (self.keeper.reader(), self.keeper.reader().floor(), self.keeper.spec().pow);
        // What cannot be read is not known either.
        let before = reader.header(&parent).ok().flatten().map(|header| header.height);
        if let Some(before) = before.filter(|before| *before < floor) {
            // The leader begins with a block that both have, which is not always the last of them.
            let same =
                headers.iter().take_while(|header| reader.is_active(&header.id(pow)).unwrap_or_default()).count();
            let fork = Height::new(before.get().saturating_add(same as u64));
            if fork < floor && same < headers.len() {
                let reason = Invalid::ForkBelowStart { fork, floor };
                tracing::warn!(peer = %self.leader, %reason, "a chain with more work cannot be followed");
                return Err(Stopped::Peer(reason.to_string()));
            }
        }
        Ok(self.keeper.position(parent).await?)
    }

    /// Checks headers one after the other, off this thread, up to the first that breaks a rule.
    async fn check_headers(
        &self,
        from: Position,
        headers: Vec<Header>,
    ) -> Result<(Position, Vec<(BlockId, Height)>, Option<Invalid>), Stopped> {
        let spec = Arc::clone(self.keeper.spec());
        let check = move || {
            let now = clock::now();
            let (mut position, mut ids) = (from, Vec::with_capacity(headers.len()));
            for header in &headers {
                match position.step_unchecked_header(&spec, header, now) {
                    Ok(after) => position = after,
                    Err(reason) => return (position, ids, Some(reason)),
                }
                ids.push((position.id(), position.height()));
            }
            (position, ids, None)
        };
        tokio::task::spawn_blocking(check).await.map_err(|_| Stopped::Closed)
    }

    async fn fault_of_leader(&mut self, reason: &Invalid) -> Result<(), Stopped> {
        // What was good before it is followed all the same.
        self.all_headers = true;
        if reason.blame() == Blame::Sender || matches!(reason, Invalid::UnknownParent { .. }) {
            self.network.penalise(self.leader, Fault::Fatal, format!("sent an invalid header: {reason}")).await;
            return Err(Stopped::Peer(format!("it sent an invalid header: {reason}")));
        }
        tracing::warn!(peer = %self.leader, %reason, "headers are followed only so far");
        Ok(())
    }
}

fn changed() -> Stopped {
    Stopped::Peer("its chain changed while it was followed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_grows_with_each_failure_and_not_beyond_all_measure() {
        assert_eq!([0, 1, 3].map(turn), [TURN, TURN * 2, TURN * 8]);
        assert_eq!(turn(u32::MAX), TURN * 256);
    }
}
