//! What happens to a peer: connections made, failed and ended.

use core::time::Duration;

use libp2p::{Multiaddr, PeerId};

use super::{FOREIGN, LASTING, MAX_ENTRIES, MAX_NAMED, OURSELVES, PeerBook, Target, backoff::LONGEST, entry::State};
use crate::{
    address::is_loopback,
    discovery::{Candidate, Origin},
    event::Direction,
};

impl PeerBook {
    /// The first connection to a peer has been made, by the peer or on the advice of this book or a person. `target` and
    /// `address` are what was dialled, if we dialled.
    pub(crate) fn connected(
        &mut self,
        peer: PeerId,
        direction: Direction,
        dialled: Option<(&Target, &Multiaddr)>,
        now: Duration,
    ) {
        if let Some(entry) = self.entry(peer, false, now) {
            if direction == Direction::Inbound {
                entry.told.insert(Origin::Inbound);
            }
            if let Some((_, address)) = dialled {
                entry.addresses.worked(address);
                entry.is_at(address);
            }
            if !entry.is_connected() {
                entry.state = State::Connected { since: now, direction, confirmed: false };
                entry.released = false;
            }
            entry.see(now);
        }
        if let Some((target, _)) = dialled {
            self.answered(target, peer);
        }
    }

    /// The first connection to a peer has been made by the peer, from `address`: what it says of where it listens may be
    /// anywhere.
    pub(crate) fn came_from(&mut self, peer: PeerId, address: &Multiaddr) {
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.is_at(address);
        }
    }

    /// The first connection to a peer has been made to `address` by a part of this node that dials by itself and counts as
    /// `origin`, as Kademlia.
    pub(crate) fn connected_by(&mut self, peer: PeerId, origin: Origin, address: &Multiaddr, now: Duration) {
        self.connected(peer, Direction::Outbound, Some((&Target::Peer(peer), address)), now);
        self.learnt(peer, origin);
    }

    /// The dial of `target` has led to `peer`.
    pub(crate) fn answered(&mut self, target: &Target, peer: PeerId) {
        if let Target::Peer(dialled) = target
            && let Some(entry) = self.entries.get_mut(dialled)
        {
            entry.dialing = false;
        }
        if let Some(anchor) = self.anchor(target) {
            anchor.dialing = false;
            if anchor.peer.replace(peer) != Some(peer) {
                // What made it rest was said of somebody else.
                anchor.backoff.release();
            }
            self.merge_anchors(peer);
        }
    }

    /// Notes who named the addresses where a peer answers. It does not make the peer persistent: the anchor is, whoever
    /// answers there.
    pub(super) fn merge_anchors(&mut self, peer: PeerId) {
        if let Some(entry) = self.entries.get_mut(&peer) {
            let anchors = self.anchors.iter().filter(|anchor| anchor.peer == Some(peer));
            entry.told.extend(anchors.flat_map(|anchor| &anchor.origins));
        }
    }

    /// A connected peer has turned out to be of our chain and to listen on `addresses`. Addresses of its own loopback
    /// interface are kept only if `same_machine`.
    pub(crate) fn confirmed(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, same_machine: bool, now: Duration) {
        if self.foreign.remove(&peer).is_some() {
            // It has changed its chain: what leads to it need not rest any longer.
            self.hasten(peer);
        }
        let addresses = addresses.into_iter().filter(|address| same_machine || !is_loopback(address)).collect();
        let usable = Candidate { peer: Some(peer), addresses, origin: Origin::Inbound }.usable(self.own);
        if let Some(entry) = self.entry(peer, false, now) {
            if let Some(Candidate { addresses, .. }) = usable {
                entry.addresses.said(addresses);
            }
            entry.stale = false;
            entry.same_machine = same_machine;
            if let State::Connected { confirmed, direction, .. } = &mut entry.state {
                *confirmed = true;
                entry.met = true;
                entry.serves = false;
                entry.dialled |= *direction == Direction::Outbound;
                entry.see(now);
            }
        }
        self.merge_anchors(peer);
    }

    /// A peer that is not known to be of our chain is of use otherwise, as meeting points and relays are: it takes no place of
    /// those that are of our chain, or a few that say so could have them all.
    pub(crate) fn serves(&mut self, peer: PeerId) {
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.serves |= !entry.is_confirmed();
        }
    }

    /// Of several connections to a peer one has ended; of those that remain the oldest was opened by `direction` and leads to
    /// `address`, which may be elsewhere than the first: a hole punched in place of a circuit leads to the peer itself.
    pub(crate) fn turned(&mut self, peer: PeerId, remaining: Direction, address: &Multiaddr) {
        if let Some(entry) = self.entries.get_mut(&peer)
            && let State::Connected { direction, .. } = &mut entry.state
        {
            *direction = remaining;
            entry.is_at(address);
        }
    }

    /// The last connection to a peer has ended.
    pub(crate) fn disconnected(&mut self, peer: PeerId, now: Duration) {
        let Some(entry) = self.entries.get_mut(&peer) else { return };
        let lasted = match entry.state {
            State::Connected { since, confirmed, .. } => {
                entry.see(now);
                confirmed && now.saturating_sub(since) >= LASTING
            }
            State::Idle => false,
        };
        entry.state = State::Idle;
        if entry.addresses.is_empty() && !entry.dialing {
            self.entries.remove(&peer);
        } else if core::mem::take(&mut entry.released) {
            entry.backoff.succeed();
            entry.backoff.rest_until(now.saturating_add(LONGEST));
        } else {
            entry.retry_later(lasted, now, &mut self.random);
        }
        for anchor in self.anchors.iter_mut().filter(|anchor| anchor.peer == Some(peer)) {
            if lasted {
                anchor.backoff.succeed();
            }
            anchor.backoff.fail(now, &mut self.random);
        }
    }

    /// A dial has led to nothing. Returns whether this is worth a line: the first failure of one that was asked for.
    pub(crate) fn failed(&mut self, target: &Target, now: Duration) -> bool {
        match target {
            Target::Peer(peer) => {
                let Some(entry) = self.entries.get_mut(peer) else { return false };
                entry.dialing = false;
                let news = entry.persistent && entry.backoff.failures() == 0;
                entry.retry_later(false, now, &mut self.random);
                if entry.state == State::Idle && entry.is_hopeless() {
                    self.entries.remove(peer);
                }
                news
            }
            Target::Anchor(address) => {
                let Some(anchor) = self.anchors.iter_mut().find(|anchor| anchor.address == *address) else {
                    return false;
                };
                let news = anchor.backoff.failures() == 0;
                anchor.dialing = false;
                anchor.backoff.fail(now, &mut self.random);
                news
            }
        }
    }

    /// A dial has led back to this node: the address is of no use for an hour.
    pub(crate) fn led_to_ourselves(&mut self, target: &Target, address: &Multiaddr, now: Duration) {
        self.led_elsewhere(target, address, now);
        if let Some(anchor) = self.anchor(target) {
            // Whoever answered there before need not wait for it.
            anchor.peer = None;
            anchor.backoff.postpone(now.saturating_add(OURSELVES));
        }
    }

    /// A dial has led to another peer than the one that was looked for: its address is out of date, unless a person named
    /// both. Returns what [`PeerBook::failed`] does.
    pub(crate) fn led_elsewhere(&mut self, target: &Target, address: &Multiaddr, now: Duration) -> bool {
        if let Target::Peer(peer) = target
            && let Some(entry) = self.entries.get_mut(peer)
            && !entry.persistent
        {
            entry.addresses.remove(address);
        }
        self.failed(target, now)
    }

    /// A peer has turned out to be of another chain, or no node of ours at all; it is left alone for a while. Returns
    /// whether `name`, that of the chain or program, is new and worth a line.
    pub(crate) fn foreign(&mut self, peer: PeerId, name: &str, now: Duration) -> bool {
        self.leave_alone(peer, now);
        self.named.len() < MAX_NAMED && self.named.insert(name.to_owned())
    }

    /// Whether a peer is not dialled for a while.
    #[cfg(test)]
    pub(crate) fn is_left_alone(&self, peer: &PeerId) -> bool {
        self.foreign.contains_key(peer)
    }

    /// A peer is not dialled for a while.
    pub(crate) fn leave_alone(&mut self, peer: PeerId, now: Duration) {
        let until = now.saturating_add(FOREIGN);
        if self.foreign.len() >= MAX_ENTRIES {
            let first = self.foreign.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
            first.and_then(|first| self.foreign.remove(&first));
        }
        self.foreign.insert(peer, until);
        if let Some(entry) = self.entries.get_mut(&peer) {
            (entry.met, entry.dialled) = (false, false);
        }
        for anchor in self.anchors.iter_mut().filter(|anchor| anchor.peer == Some(peer)) {
            anchor.backoff.postpone(until);
        }
    }
}
