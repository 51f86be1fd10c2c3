//! What is remembered of one peer.

use core::time::Duration;
use std::collections::BTreeSet;

use libp2p::Multiaddr;
use rand::rngs::StdRng;

use super::{
    backoff::Backoff,
    share::{self, Share, Shares},
};
use crate::{address::is_relayed, discovery::Origin, event::Direction, ranges::Range, wire::limits::MAX_ADDRESSES};

/// Failures after which a peer that nobody asked for and that was never met is forgotten: about 7 minutes.
const MAX_FAILURES: u32 = 12;
/// The same for a peer known by hearsay alone: about 15 seconds.
const MAX_FAILURES_HEARSAY: u32 = 5;
/// Addresses that count as having worked: one for each transport, and one more for a peer that moves.
const MAX_WORKED: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Idle,
    Connected { since: Duration, direction: Direction, confirmed: bool },
}

/// Why an address is believed, the best reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Proof {
    /// A dial to it succeeded in this run.
    Worked,
    /// A person or the configuration named it.
    Named,
    /// The peer itself says so.
    Said,
    /// It did so before, in this run or an earlier one.
    Before,
    /// Somebody else says so.
    Heard,
    /// A stranger says so, and it is where nothing is dialled for strangers: it is told to others, for whom it may be near, and
    /// dialled only if it is open by then.
    Doubted,
}

/// At most [`MAX_ADDRESSES`], the most proven first. A new one finds room, unless it is doubted: the last makes place.
#[derive(Debug, Default)]
pub(super) struct Addresses(Vec<(Multiaddr, Proof)>);

impl Addresses {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Multiaddr> {
        self.0.iter().map(|(address, _)| address)
    }

    /// Those that may be dialled; `is_open` says where that may be done for strangers.
    pub(super) fn to_dial(&self, is_open: &dyn Fn(&Multiaddr) -> bool) -> impl Iterator<Item = &Multiaddr> {
        let may_be = move |(address, proof): &&(Multiaddr, Proof)| *proof != Proof::Doubted || is_open(address);
        self.0.iter().filter(may_be).map(|(address, _)| address)
    }

    /// Those for which there is more than hearsay, and whether a dial to it succeeded in this run.
    pub(super) fn proven(&self) -> impl Iterator<Item = (&Multiaddr, bool)> {
        let proven = self.0.iter().filter(|(_, proof)| *proof < Proof::Heard);
        proven.map(|(address, proof)| (address, *proof == Proof::Worked))
    }

    /// Adds an address behind those that are as well proven.
    pub(super) fn learn(&mut self, address: Multiaddr, proof: Proof) {
        match self.0.iter().find(|(known, _)| *known == address) {
            Some((_, better)) if *better <= proof => return,
            Some(_) => self.remove(&address),
            None if proof == Proof::Doubted && self.0.len() >= MAX_ADDRESSES => return,
            None => self.0.truncate(MAX_ADDRESSES - 1),
        }
        let at = self.0.partition_point(|(_, known)| *known <= proof);
        self.0.insert(at, (address, proof));
    }

    /// Puts an address to which a dial has succeeded first.
    pub(super) fn worked(&mut self, address: &Multiaddr) {
        self.remove(address);
        self.0.truncate(MAX_ADDRESSES - 1);
        self.0.insert(0, (address.clone(), Proof::Worked));
        for (_, proof) in self.0.iter_mut().skip(MAX_WORKED).filter(|(_, proof)| *proof == Proof::Worked) {
            *proof = Proof::Before;
        }
        self.0.sort_by_key(|(_, proof)| *proof);
    }

    /// Replaces what the peer says of itself.
    pub(super) fn said(&mut self, addresses: Vec<Multiaddr>) {
        for (_, proof) in self.0.iter_mut().filter(|(_, proof)| *proof == Proof::Said) {
            *proof = Proof::Before;
        }
        for address in addresses {
            match self.0.iter_mut().find(|(known, _)| *known == address) {
                Some((_, proof)) => *proof = Proof::Said.min(*proof),
                None => self.0.push((address, Proof::Said)),
            }
        }
        self.0.sort_by_key(|(_, proof)| *proof);
        self.0.truncate(MAX_ADDRESSES);
    }

    pub(super) fn remove(&mut self, address: &Multiaddr) {
        self.0.retain(|(known, _)| known != address);
    }
}

/// A peer that is known by its id.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) addresses: Addresses,
    /// How this run learnt of it; this decides how early it is dialled.
    pub(super) told: BTreeSet<Origin>,
    /// How earlier runs learnt of it; for people to see.
    pub(super) saved: BTreeSet<Origin>,
    /// Whether it was asked for by its id: dialled for ever, whatever else is connected.
    pub(super) persistent: bool,
    /// Its announcement has expired: that says nothing about the peer, but others come first.
    pub(super) stale: bool,
    /// Whether it was once connected and known to be of our chain, in this run or an earlier one: never forgotten for
    /// being away.
    pub(super) met: bool,
    /// Whether it turned out to be of our chain when this node had dialled it, in this run or an earlier one: then it was
    /// chosen here. Whoever only came may be one of five hundred that somebody made up.
    pub(super) dialled: bool,
    /// Whether it turned out to be of use and no peer, as a meeting point: it takes no place of a peer.
    pub(super) serves: bool,
    /// The range of the internet where it was last connected from or to, if it was one.
    range: Option<Range>,
    /// Whose share the last connection is.
    share: Option<Share>,
    /// Whose shares the dial under way may take.
    dialed: BTreeSet<Share>,
    /// Whether it was last met on this machine.
    pub(super) same_machine: bool,
    /// Whether this node closes the connection because it has enough others.
    pub(super) released: bool,
    /// Whether a dial of this book is under way; the peer may connect to us meanwhile.
    pub(super) dialing: bool,
    pub(super) state: State,
    pub(super) backoff: Backoff,
    /// When it was last connected or else noted, in this run.
    pub(super) last_seen: Duration,
    /// For how long it had not been connected at `last_seen` already.
    pub(super) unseen_before: Duration,
}

impl Entry {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            addresses: Addresses::default(),
            told: BTreeSet::new(),
            saved: BTreeSet::new(),
            persistent: false,
            stale: false,
            met: false,
            dialled: false,
            serves: false,
            range: None,
            share: None,
            dialed: BTreeSet::new(),
            same_machine: false,
            released: false,
            dialing: false,
            state: State::Idle,
            backoff: Backoff::default(),
            last_seen: now,
            unseen_before: Duration::ZERO,
        }
    }

    /// Whether it is neither connected nor being dialled.
    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Idle && !self.dialing
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected { .. })
    }

    pub(super) fn is_confirmed(&self) -> bool {
        matches!(self.state, State::Connected { confirmed: true, .. })
    }

    /// The most trusted way by which this run learnt of it. A connection of which nobody has said why it was made counts
    /// least.
    pub(super) fn origin(&self) -> Origin {
        self.told.first().copied().unwrap_or(Origin::Exchange)
    }

    /// Who comes first when there is a choice, the smallest first.
    pub(super) fn rank(&self) -> (bool, u32, Origin, bool) {
        let origin = if self.met { self.origin().min(Origin::Book) } else { self.origin() };
        (self.stale, self.backoff.failures(), origin, !self.dialled)
    }

    /// Whether this node has a connection of its own choice to it, or is making one, and it may be a peer.
    pub(super) fn is_ours(&self) -> bool {
        !self.serves && (self.dialing || self.is_outbound())
    }

    fn is_outbound(&self) -> bool {
        matches!(self.state, State::Connected { direction: Direction::Outbound, .. })
    }

    /// Whether people or the local network say that it is wanted, wherever it is.
    fn is_welcome_anywhere(&self) -> bool {
        let wanted = |origin: &Origin| origin.is_persistent() || matches!(origin, Origin::Local | Origin::Mdns);
        self.persistent || self.told.iter().any(wanted)
    }

    /// It is connected from or to there.
    pub(super) fn is_at(&mut self, address: &Multiaddr) {
        (self.range, self.share) = (Range::of(address), Share::of(address));
    }

    /// The range of the internet where it likely is; `None` on a private network, or where people and the local network say
    /// that it is wanted, wherever it is.
    pub(super) fn range(&self) -> Option<Range> {
        if self.is_welcome_anywhere() {
            return None;
        }
        self.range.or_else(|| self.addresses.iter().next().and_then(Range::of))
    }

    /// Whose shares it takes of what this node chooses itself: that of the connection, and while it is being dialled those of
    /// all places where it may answer.
    pub(super) fn shares(&self) -> impl Iterator<Item = Share> {
        let counts = !self.serves && !self.is_welcome_anywhere();
        let connected = self.share.filter(|_| counts && self.is_outbound());
        let dialed = self.dialed.iter().copied().filter(move |_| self.dialing && counts);
        connected.into_iter().chain(dialed.filter(move |share| connected != Some(*share)))
    }

    /// Where to dial it: where strangers may have it dialled, and whoever has the place has room in what this node chooses.
    pub(super) fn choose(&mut self, shares: &mut Shares, is_open: &dyn Fn(&Multiaddr) -> bool) -> Vec<Multiaddr> {
        if self.is_welcome_anywhere() {
            return self.addresses.to_dial(is_open).cloned().collect();
        }
        // A hole that is punched leads back to where the peer was met before: if there is no room there, that is no way around it.
        let is_full = self.share.is_some_and(|share| !shares.has_room(share));
        let addresses = self.addresses.to_dial(is_open).filter(|address| !(is_full && is_relayed(address)));
        let (chosen, takes) = share::with_room(shares, addresses);
        self.dialed = takes;
        chosen
    }

    /// Every way by which it was learnt, the most trusted first; never empty.
    pub(super) fn origins(&self) -> Vec<Origin> {
        let all: Vec<_> = self.told.union(&self.saved).copied().collect();
        if all.is_empty() { vec![self.origin()] } else { all }
    }

    /// Notes that it is connected at `now`, or was until then.
    pub(super) fn see(&mut self, now: Duration) {
        self.last_seen = now;
        self.unseen_before = Duration::ZERO;
    }

    /// For how long it has not been connected; zero while it is.
    pub(super) fn unseen(&self, now: Duration) -> Duration {
        if self.is_connected() {
            return Duration::ZERO;
        }
        now.saturating_sub(self.last_seen).saturating_add(self.unseen_before)
    }

    pub(super) fn retry_later(&mut self, lasted: bool, now: Duration, random: &mut StdRng) {
        if lasted {
            self.backoff.succeed();
        }
        self.backoff.fail(now, random);
        if self.met && !self.persistent {
            self.backoff.tire(now, random);
        }
    }

    /// Whether it may be dialled. `alone`: nobody else is connected.
    pub(super) fn is_due(&self, alone: bool, is_open: &dyn Fn(&Multiaddr) -> bool, now: Duration) -> bool {
        self.is_idle()
            && self.addresses.to_dial(is_open).next().is_some()
            && self.backoff.is_due(now)
            && (alone || self.persistent || self.backoff.is_rested(now))
    }

    /// Whether there is no point in keeping it: it never answers, and nobody asked for it, has met it or announces it.
    pub(super) fn is_hopeless(&self) -> bool {
        let announced = self.origin() == Origin::Mdns && !self.stale;
        let most = if self.origin() >= Origin::Kademlia { MAX_FAILURES_HEARSAY } else { MAX_FAILURES };
        let failing = self.addresses.is_empty() || self.backoff.failures() >= most;
        !self.persistent && !self.met && !announced && failing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: usize) -> Multiaddr {
        format!("/ip4/10.0.0.1/tcp/{port}").parse().expect("a multiaddress")
    }

    fn ports(addresses: &Addresses) -> Vec<String> {
        let port = |address: &Multiaddr| address.to_string().rsplit('/').next().unwrap_or_default().to_owned();
        addresses.iter().map(port).collect()
    }

    #[test]
    fn the_best_proven_address_comes_first_and_a_new_one_finds_room() {
        let mut addresses = Addresses::default();
        (1..=8).for_each(|port| addresses.learn(address(port), Proof::Heard));
        addresses.learn(address(9), Proof::Heard);
        assert_eq!(ports(&addresses), ["1", "2", "3", "4", "5", "6", "7", "9"]);
        addresses.said(vec![address(20), address(3)]);
        assert_eq!(ports(&addresses), ["3", "20", "1", "2", "4", "5", "6", "7"]);
        addresses.learn(address(30), Proof::Named);
        addresses.worked(&address(40));
        assert_eq!(ports(&addresses), ["40", "30", "3", "20", "1", "2", "4", "5"]);
        assert_eq!(addresses.proven().filter(|(_, worked)| *worked).count(), 1);
        assert_eq!(addresses.proven().count(), 4, "hearsay is no proof");
        addresses.said((50..60).map(address).collect());
        assert_eq!(ports(&addresses), ["40", "30", "50", "51", "52", "53", "54", "55"]);
        addresses.learn(address(60), Proof::Heard);
        assert_eq!(ports(&addresses), ["40", "30", "50", "51", "52", "53", "54", "60"]);
        addresses.learn(address(60), Proof::Named);
        assert_eq!(ports(&addresses), ["40", "30", "60", "50", "51", "52", "53", "54"]);
    }

    #[test]
    fn what_worked_long_ago_gives_way() {
        let mut addresses = Addresses::default();
        addresses.said(vec![address(100)]);
        (1..=20).for_each(|port| addresses.worked(&address(port)));
        assert_eq!(ports(&addresses)[..4], ["20", "19", "18", "100"]);
        assert_eq!(addresses.iter().count(), MAX_ADDRESSES);
        addresses.said(vec![address(200)]);
        assert_eq!(ports(&addresses)[..5], ["20", "19", "18", "200", "100"]);
        assert_eq!(addresses.iter().count(), MAX_ADDRESSES);
    }
}
