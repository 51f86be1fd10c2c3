//! Whom to ask for bodies, and how much at once where a relay is in between: what goes through it is bounded, and somebody
//! else's.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bard_chain::block::HEADER_MAX_LEN;
use bard_protocol::{
    PeerId, RELAYED_WINDOW, Relayed,
    wire::limits::{ANSWER_TARGET_LEN, MAX_BLOCK_IDS, MAX_HEADERS},
};

use tokio::time::Instant;

use super::{
    Session,
    bodies::{FIRST_REQUEST, MAX_STALLS},
};

/// How often it is looked whether more may go through a relay, and how long a peer is left alone that said it may not: in
/// this time what is left of the budget grows by an answer or two.
pub(super) const PACE: Duration = Duration::from_secs(1);
/// How often in a row a peer behind a relay may say so, which makes two windows of the budget: after that it has had its turn.
const MAX_HOLDS_RELAYED: u32 = 2 * (RELAYED_WINDOW.as_secs() / PACE.as_secs()) as u32;
/// The same of one that is connected directly. Answers take it milliseconds: a crowd has gone by then, or it only says so.
const MAX_HOLDS: u32 = 30;

/// Peers that said they were busy: others ask them, too, and those behind relays have a budget of their own.
#[derive(Debug, Default)]
pub(super) struct Holds(BTreeMap<PeerId, (u32, Instant)>);

impl Holds {
    /// Whether the peer is to be left alone for now.
    pub(super) fn is_held(&self, peer: &PeerId) -> bool {
        self.0.get(peer).is_some_and(|(_, until)| *until > Instant::now())
    }

    /// Leaves it alone for a moment. `false` where it has said so too often: it must not hold up a session for ever.
    pub(super) fn hold(&mut self, peer: PeerId, is_relayed: bool) -> bool {
        let now = Instant::now();
        let (count, until) = self.0.entry(peer).or_insert((0, now));
        (*count, *until) = (count.saturating_add(1), now + PACE);
        *count <= if is_relayed { MAX_HOLDS_RELAYED } else { MAX_HOLDS }
    }

    /// It has answered.
    pub(super) fn answered(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }
}

impl Session {
    /// The peers that may have the bodies, the better ones first: those that did not fall silent in this session, did not fail
    /// before it, and are connected directly, for what a relay carries is bounded and somebody else's.
    pub(super) fn able_peers(&mut self) -> BTreeMap<u32, Vec<PeerId>> {
        let standings = Arc::clone(&self.peers.borrow_and_update());
        let least = self.keeper.tip().work;
        let relayed = self.relayed();
        let mut able: BTreeMap<u32, Vec<PeerId>> = BTreeMap::new();
        for (peer, standing) in standings.iter() {
            let leads = *peer == self.leader;
            let ahead = standing.status.as_ref().is_some_and(|status| status.work > least);
            let stalls = self.stalls.get(peer).map_or(0, |stalls| stalls.count);
            if (ahead || leads) && stalls < MAX_STALLS {
                let failed_before = u32::from(!leads && standing.failures > 0);
                let by_relay = u32::from(relayed.contains_key(peer));
                able.entry(stalls + failed_before + by_relay).or_default().push(*peer);
            }
        }
        able
    }

    /// The peers that are reached through relays alone.
    pub(super) fn relayed(&self) -> BTreeMap<PeerId, Relayed> {
        let peers = self.network.peers();
        let peers = peers.borrow();
        peers.iter().filter_map(|peer| Some((peer.id, peer.relayed?))).collect()
    }

    /// Headers to ask the leader for at once: as many as an answer may hold.
    pub(super) fn headers_at_once(&self) -> usize {
        let through = self.relayed().get(&self.leader).copied();
        through.map_or(MAX_HEADERS, |through| (through.answer_len / HEADER_MAX_LEN).clamp(1, MAX_HEADERS))
    }

    /// As many blocks as an answer of so many bytes holds, by the average so far.
    pub(super) fn request_size(&self, answer_len: usize) -> usize {
        let unknown = if answer_len < ANSWER_TARGET_LEN { 1 } else { FIRST_REQUEST };
        answer_len.checked_div(self.average).map_or(unknown, |count| count.clamp(1, MAX_BLOCK_IDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_busy_is_left_alone_but_not_for_ever() {
        let (peer, mut holds) = (PeerId::random(), Holds::default());
        assert!(!holds.is_held(&peer));
        assert!((0..MAX_HOLDS).all(|_| holds.hold(peer, false)));
        assert!(holds.is_held(&peer) && !holds.is_held(&PeerId::random()));
        assert!(!holds.hold(peer, false), "it must not hold up a session for ever");
        assert!((MAX_HOLDS + 1..MAX_HOLDS_RELAYED).all(|_| holds.hold(peer, true)), "what a relay grants grows slowly");
        assert!(!holds.hold(peer, true));
        holds.answered(&peer);
        assert!(!holds.is_held(&peer) && holds.hold(peer, false));
    }
}
