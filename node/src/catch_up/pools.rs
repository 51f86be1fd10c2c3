//! Pools compared with those of peers: what gossip lost, or was told before this node was there, comes all the same.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use bard_chain::{hash::TransactionId, rules::isolated::CheckedTransaction, units::Work};
use bard_protocol::{Fault, NetworkHandle, PeerId, SyncRequest, SyncResponse};
use tokio::time::Instant;

use super::Standing;
use crate::{keeper, lab::Link};

/// How long a peer may take for an answer about its pool.
const DEADLINE: Duration = Duration::from_secs(15);
/// How long all of it may take with one peer; the rest waits until its turn comes again.
const EXCHANGE_DEADLINE: Duration = Duration::from_secs(60);
/// How long pools are left alone before one is compared with this node's again.
pub(super) const APART: Duration = Duration::from_secs(60);
/// Peers whose pools are fetched at the same time: what the first ones told, the next need not tell again, and one that is
/// silent does not keep all others waiting.
pub(super) const AT_ONCE: usize = 2;
/// Transactions asked for at once.
const CHUNK: usize = 1_000;

/// At most `room` peers whose pools are to be fetched, each with whether it is behind: those met since, once this node is no
/// longer behind them, for before it could not judge what is in them. One that was behind is asked once more when it has come
/// along. Whoever was met first is first: those that come and come again and tell nothing do not keep others waiting.
pub(super) fn due(standings: &BTreeMap<PeerId, Standing>, ours: Work, room: usize) -> Vec<(PeerId, bool)> {
    let due = |(peer, standing): (&PeerId, &Standing)| {
        let work = standing.status.as_ref()?.work;
        let is_due = if standing.pool_asked.is_some() { standing.was_behind && work == ours } else { work <= ours };
        is_due.then_some((standing.met, *peer, work < ours))
    };
    let mut all: Vec<_> = standings.iter().filter_map(due).collect();
    all.sort_unstable();
    all.into_iter().map(|(_, peer, is_behind)| (peer, is_behind)).take(room).collect()
}

/// The peer that was asked longest ago, if that is a minute: gossip may have lost something since, and gossipsub never sends
/// the same message twice. Asked in turn, what is in one pool comes to all others as long as it waits.
pub(super) fn oldest(standings: &BTreeMap<PeerId, Standing>, now: Instant) -> Option<PeerId> {
    let asked = |standing: &Standing| standing.pool_asked.filter(|at| now.saturating_duration_since(*at) >= APART);
    standings.iter().filter_map(|(peer, standing)| Some((asked(standing)?, *peer))).min().map(|(_, peer)| peer)
}

/// One exchange.
pub(super) struct Exchange {
    pub(super) keeper: keeper::Handle,
    pub(super) network: NetworkHandle,
    pub(super) link: Link,
    pub(super) peer: PeerId,
}

impl Exchange {
    /// Asks the peer for the transactions of its pool that this node lacks.
    pub(super) async fn run(self) {
        let outcome = tokio::time::timeout(EXCHANGE_DEADLINE, self.fetch()).await;
        if let Err(reason) = outcome.unwrap_or_else(|_| Err("it takes too long".to_owned())) {
            tracing::debug!(peer = %self.peer, reason, "the pool was not exchanged");
        }
    }

    async fn fetch(&self) -> Result<(), String> {
        self.link.slow().await;
        let SyncResponse::PoolIds(ids) = self.ask(SyncRequest::PoolIds).await? else { return Err(unexpected()) };
        let mut seen = HashSet::new();
        let mut lacking: Vec<_> = ids.into_iter().filter(|id| seen.insert(*id)).collect();
        loop {
            // Others tell of the same ones meanwhile.
            {
                let pool = self.keeper.pool();
                lacking.retain(|id| !pool.contains(id));
            }
            if lacking.is_empty() {
                return Ok(());
            }
            let chunk: Vec<_> = lacking.iter().copied().take(CHUNK).collect();
            let SyncResponse::Transactions(all) = self.ask(SyncRequest::Transactions { ids: chunk.clone() }).await?
            else {
                return Err(unexpected());
            };
            let good = self.check(&chunk, all).await?;
            lacking.drain(..told(&chunk, good.last().map(|last| last.id())));
            self.admit(good).await?;
        }
    }

    async fn ask(&self, request: SyncRequest) -> Result<SyncResponse, String> {
        self.network.request(self.peer, request, DEADLINE).await.map_err(|error| error.to_string())
    }

    /// The transactions of an answer, each one that was asked for, with a good signature. Anything else is the peer's fault: it
    /// checks what it takes into its pool.
    async fn check(&self, asked: &[TransactionId], all: Vec<Vec<u8>>) -> Result<Vec<Arc<CheckedTransaction>>, String> {
        let mut asked: BTreeSet<_> = asked.iter().copied().collect();
        let mut good = Vec::with_capacity(all.len());
        for checked in self.keeper.check_transactions(all).await.map_err(|error| error.to_string())? {
            let (gravity, reason) = match checked {
                Ok(one) if asked.remove(&one.id()) => {
                    good.push(one);
                    continue;
                }
                Ok(_) => (Fault::Serious, "sent a transaction nobody asked for".to_owned()),
                Err(fault) => (Fault::Fatal, format!("sent an invalid transaction: {fault}")),
            };
            tracing::warn!(peer = %self.peer, %reason, "a pool is refused");
            self.network.penalise(self.peer, gravity, reason.clone()).await;
            return Err(reason);
        }
        Ok(good)
    }

    async fn admit(&self, good: Vec<Arc<CheckedTransaction>>) -> Result<(), String> {
        let verdicts = self.keeper.admit(good.clone()).await.map_err(|error| error.to_string())?;
        let fresh = good.iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_ok());
        let fresh: Vec<_> = fresh.map(|(one, _)| one.bytes().to_vec()).collect();
        if !fresh.is_empty() {
            self.link.publish_transactions(fresh).await;
        }
        Ok(())
    }
}

fn unexpected() -> String {
    "not what was asked for".to_owned()
}

/// How many of the ids that were asked for an answer tells of, which is cut off where it is long enough: those up to the last
/// that came. Where none came, the peer has none of them any more.
fn told(asked: &[TransactionId], last: Option<TransactionId>) -> usize {
    let at = last.and_then(|last| asked.iter().position(|id| *id == last));
    at.map_or(asked.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use bard_chain::{
        hash::{BlockId, ChainId},
        target::Target,
        units::{Height, Timestamp},
    };
    use bard_protocol::{Agent, Status};

    use super::*;

    fn work(hashes: u64) -> Work {
        Target::of_hashes(hashes).work()
    }

    fn standing(hashes: u64) -> Standing {
        let status = Status {
            chain: ChainId::new([1; 32]),
            height: Height::new(1),
            tip: BlockId::ZERO,
            work: work(hashes),
            agent: Agent::new("a peer"),
            clock: Timestamp::new(0),
            blocks_from: Height::new(1),
        };
        Standing { status: Some(status), ..Standing::default() }
    }

    #[test]
    fn pools_are_fetched_once_of_peers_that_are_not_ahead_and_again_of_those_that_came_along() {
        let (ours, now) = (work(1 << 20), Instant::now());
        let peers: [PeerId; 4] = std::array::from_fn(|_| PeerId::random());
        let [same, behind, ahead, unknown] = peers;
        let mut standings = BTreeMap::from([
            (same, standing(1 << 20)),
            (behind, standing(1 << 19)),
            (ahead, standing(1 << 21)),
            (unknown, Standing::default()),
        ]);
        let all: BTreeMap<_, _> = due(&standings, ours, 9).into_iter().collect();
        assert_eq!(all, BTreeMap::from([(same, false), (behind, true)]));
        assert_eq!(due(&standings, ours, 1).len(), 1);
        for (peer, was_behind) in all {
            let standing = standings.get_mut(&peer).expect("known");
            (standing.pool_asked, standing.was_behind) = (Some(now), was_behind);
        }
        assert!(due(&standings, ours, 9).is_empty());
        if let Some(status) = standings.get_mut(&behind).and_then(|standing| standing.status.as_mut()) {
            status.work = ours;
        }
        assert_eq!(due(&standings, ours, 9), [(behind, false)], "it has come along");
    }

    #[test]
    fn whoever_was_met_first_is_asked_first() {
        let met = |after| Some(Instant::now() + Duration::from_secs(after));
        let mut peers: [PeerId; 3] = std::array::from_fn(|_| PeerId::random());
        peers.sort_unstable();
        let standings =
            peers.into_iter().zip([9, 5, 7]).map(|(peer, after)| (peer, Standing { met: met(after), ..standing(1) }));
        assert_eq!(due(&standings.collect(), work(1), 2), [(peers[1], false), (peers[2], false)]);
    }

    #[test]
    fn pools_are_compared_in_turn_and_not_more_than_once_a_minute() {
        let now = Instant::now();
        let [one, other]: [PeerId; 2] = std::array::from_fn(|_| PeerId::random());
        let mut standings = BTreeMap::from([(one, standing(1)), (other, standing(1))]);
        assert_eq!(oldest(&standings, now), None, "none was asked yet");
        let mut asked = |peer, at| {
            standings.get_mut(&peer).expect("known").pool_asked = Some(at);
            oldest(&standings, now + APART)
        };
        assert_eq!(asked(one, now), Some(one));
        assert_eq!(asked(one, now + Duration::from_secs(1)), None);
        assert_eq!(asked(other, now), Some(other));
        let later = now + APART + Duration::from_secs(1);
        assert_eq!(oldest(&standings, later), Some(other), "the one that was asked longest ago");
    }

    #[test]
    fn an_answer_that_is_cut_off_tells_of_what_came_and_what_is_before_it() {
        let ids: [TransactionId; 4] = std::array::from_fn(|n| TransactionId::new([n as u8; 32]));
        assert_eq!(told(&ids, Some(ids[1])), 2);
        assert_eq!(told(&ids, Some(ids[3])), 4);
        assert_eq!(told(&ids, None), 4, "the peer has none of them any more");
    }
}
