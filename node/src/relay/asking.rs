//! One question to several peers: to the next one, too, when the last has not answered within a moment. Whoever forwards a
//! block first may keep the rest of it to himself, and gossip names nobody else who has it: the same bytes come only once.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bard_protocol::{
    Direction, NetworkHandle, PeerId, PeerInfo, RefusedReason, RequestError, SyncRequest, SyncResponse,
};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::sleep;

use super::rebuild::Announcers;

/// A peer that is asked may be putting the block together itself: it is asked so often, each time after a longer wait.
const TRIES: u32 = 6;
/// The first of these waits.
const WAIT: Duration = Duration::from_millis(10);
/// Peers that did not announce the block, and are asked for it all the same.
const MAX_OTHERS: usize = 3;

/// How long is waited for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For that of one peer.
    pub(super) each: Duration,
    /// Until the next one is asked as well.
    pub(super) apart: Duration,
}

/// A question under way.
pub(super) struct Asking<'a> {
    network: &'a NetworkHandle,
    announcers: &'a Announcers,
    request: &'a SyncRequest,
    patience: Patience,
    /// Who may be asked beside the announcers.
    others: Vec<PeerId>,
    /// Who is asked last, for he said nothing before.
    silent: Vec<PeerId>,
    /// Those who were asked, and whether they said anything; as bounded as announcers and others are.
    asked: Vec<(PeerId, Arc<AtomicBool>)>,
    under_way: FuturesUnordered<BoxFuture<'a, (PeerId, Option<SyncResponse>)>>,
}

impl<'a> Asking<'a> {
    /// Asks nobody yet; `silent` last.
    pub(super) fn new(
        network: &'a NetworkHandle,
        announcers: &'a Announcers,
        request: &'a SyncRequest,
        patience: Patience,
        silent: Vec<PeerId>,
    ) -> Self {
        let mut others = others(&network.peers().borrow(), &announcers.all());
        others.truncate(MAX_OTHERS);
        let (asked, under_way) = (Vec::new(), FuturesUnordered::new());
        Self { network, announcers, request, patience, others, silent, asked, under_way }
    }

    /// The next answer; `None` once nobody is left who may give one. Whoever calls again found the last of no use.
    pub(super) async fn next(&mut self) -> Option<(PeerId, SyncResponse)> {
        loop {
            if let Some(peer) = self.whom() {
                let speaks = Arc::new(AtomicBool::new(false));
                self.asked.push((peer, Arc::clone(&speaks)));
                let (network, request, each) = (self.network, self.request, self.patience.each);
                self.under_way.push(Box::pin(async move { (peer, ask(network, peer, request, each, &speaks).await) }));
            } else if self.under_way.is_empty() {
                return None;
            }
            tokio::select! {
                biased;
                Some((peer, answer)) = self.under_way.next() => if let Some(answer) = answer {
                    return Some((peer, answer));
                },
                () = sleep(self.patience.apart) => {}
            }
        }
    }

    /// Those who were asked and have said nothing at all. Whoever says that he does not have the block yet is not one of them: he
    /// may have it in the next moment.
    pub(super) fn into_silent(self) -> Vec<PeerId> {
        let silent = self.asked.into_iter().filter(|(_, speaks)| !speaks.load(Ordering::Relaxed));
        silent.map(|(peer, _)| peer).collect()
    }

    /// Who is to be asked next: who announced the block, in that order, then others.
    fn whom(&self) -> Option<PeerId> {
        let all = self.announcers.all().into_iter().chain(self.others.iter().copied());
        let is_asked = |peer: &PeerId| self.asked.iter().any(|(asked, _)| asked == peer);
        all.filter(|peer| !is_asked(peer)).min_by_key(|peer| self.silent.contains(peer))
    }
}

/// Asks a peer, again while it does not have the block itself; notes whether it `speaks`.
async fn ask(
    network: &NetworkHandle,
    peer: PeerId,
    request: &SyncRequest,
    patience: Duration,
    speaks: &AtomicBool,
) -> Option<SyncResponse> {
    let mut wait = WAIT;
    for _ in 0..TRIES {
        let answer = network.request(peer, request.clone(), patience).await;
        if matches!(answer, Ok(_) | Err(RequestError::Refused(_))) {
            speaks.store(true, Ordering::Relaxed);
        }
        match answer {
            Ok(response) => return Some(response),
            Err(RequestError::Refused(RefusedReason::Unknown | RefusedReason::Busy) | RequestError::Busy) => {
                sleep(wait).await;
                wait = wait.saturating_mul(2);
            }
            Err(error) => {
                tracing::debug!(%peer, %error, "the rest of a block is not told");
                return None;
            }
        }
    }
    None
}

/// Connected peers but these, that may be asked for blocks now. First those that this node chose, for no stranger makes himself
/// one of them; last those behind a relay, which may be asked for little. Otherwise chance decides, or somebody could arrange to
/// be asked first.
pub(super) fn others(connected: &[PeerInfo], known: &[PeerId]) -> Vec<PeerId> {
    let chance = RandomState::new();
    let is_open = |peer: &&PeerInfo| peer.relayed.is_none_or(|relayed| relayed.open) && !known.contains(&peer.id);
    let mut others: Vec<_> = connected.iter().filter(is_open).collect();
    others.sort_by_cached_key(|peer| {
        (peer.relayed.is_some(), peer.direction == Direction::Inbound, chance.hash_one(peer.id))
    });
    others.into_iter().map(|peer| peer.id).collect()
}

#[cfg(test)]
mod tests {
    use bard_protocol::{Agent, Multiaddr, Origin, Relayed};

    use super::*;

    fn peer(direction: Direction, relayed: Option<Relayed>) -> PeerInfo {
        PeerInfo {
            id: PeerId::random(),
            addresses: Vec::<Multiaddr>::new(),
            origins: vec![Origin::Manual],
            direction,
            transport: "tcp",
            relayed,
            agent: Agent::new("test"),
            since: Duration::ZERO,
            rtt: None,
            faults: Vec::new(),
        }
    }

    #[test]
    fn whom_this_node_chose_is_asked_before_whoever_came() {
        let relayed = |open| Some(Relayed { answer_len: 1, open });
        let mut connected: Vec<_> = (0..20).map(|_| peer(Direction::Inbound, None)).collect();
        connected.push(peer(Direction::Outbound, relayed(true)));
        connected.push(peer(Direction::Outbound, relayed(false)));
        connected.extend((0..3).map(|_| peer(Direction::Outbound, None)));
        let known = [connected[0].id, connected[22].id];
        let order = others(&connected, &known);
        assert_eq!(order.len(), 22);
        assert!(known.iter().all(|peer| !order.contains(peer)));
        assert!(order[..2].iter().all(|peer| [connected[23].id, connected[24].id].contains(peer)));
        assert_eq!(order.last(), Some(&connected[20].id), "behind a relay");
        let again = (0..20).map(|_| others(&connected, &known));
        assert!(again.into_iter().any(|other| other != order), "chance decides");
    }
}
