//! The peer book: who is known, where they may be reached, whom to dial now. In memory, bounded, and pure: the time is
//! passed in, as what has passed since the start.
//!
//! There are two kinds of entry. A *peer* is known by its id. An *anchor* is an address that a person or the configuration
//! named without saying who is there; whoever answers is welcome, and the address is dialled for ever.

pub(crate) mod backoff;
pub(crate) mod conduct;

use core::{fmt, time::Duration};
use std::collections::{BTreeMap, BTreeSet};

use libp2p::{Multiaddr, PeerId};
use rand::{SeedableRng, rngs::StdRng, seq::IteratorRandom};
use tracing::debug;

use self::{backoff::Backoff, conduct::Conduct};
use crate::{
    discovery::{Candidate, KnownNode, Origin, is_loopback},
    event::Direction,
    wire::limits::{MAX_ADDRESSES, MAX_PEERS},
};

/// Peers remembered; above it the least promising one is forgotten.
const MAX_ENTRIES: usize = 1000;
/// Anchors; more are refused, since only people and the configuration make them.
const MAX_ANCHORS: usize = 64;
/// Dials under way at once.
const MAX_DIALS: usize = 16;
/// Chains and programs that have been named in the log; more are not named.
const MAX_NAMED: usize = 64;
/// How long a peer of another chain is left alone.
pub(crate) const FOREIGN: Duration = Duration::from_secs(600);
/// A connection that lasted this long was a success; a shorter one counts as another failure to connect, or two nodes that
/// refuse each other would meet twice a second.
const LASTING: Duration = Duration::from_secs(10);
/// Failures after which a peer that nobody asked for is forgotten: about 7 minutes.
const MAX_FAILURES: u32 = 12;
/// The same for a peer known by hearsay alone: about 15 seconds.
const MAX_FAILURES_HEARSAY: u32 = 5;

/// What is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// This peer and no other.
    Peer(PeerId),
    /// Whoever answers at this address.
    Anchor(Multiaddr),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => peer.fmt(f),
            Self::Anchor(address) => address.fmt(f),
        }
    }
}

/// A dial to be made now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dial {
    pub(crate) target: Target,
    pub(crate) addresses: Vec<Multiaddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Dialing,
    Connected { since: Duration, direction: Direction, confirmed: bool },
}

#[derive(Debug)]
struct Entry {
    /// At most [`MAX_ADDRESSES`]; what worked last comes first.
    addresses: Vec<Multiaddr>,
    origin: Origin,
    /// Whether it was asked for by its id: dialled for ever, whatever else is connected.
    persistent: bool,
    /// Its announcement has expired: that says nothing about the peer, but others come first.
    stale: bool,
    state: State,
    backoff: Backoff,
    last_seen: Duration,
}

#[derive(Debug)]
struct Anchor {
    address: Multiaddr,
    origin: Origin,
    /// Who answered there last.
    peer: Option<PeerId>,
    dialing: bool,
    backoff: Backoff,
}

/// All that is known of other nodes.
#[derive(Debug)]
pub(crate) struct PeerBook {
    own: PeerId,
    random: StdRng,
    entries: BTreeMap<PeerId, Entry>,
    anchors: Vec<Anchor>,
    /// Peers of other chains, and until when they are left alone.
    foreign: BTreeMap<PeerId, Duration>,
    named: BTreeSet<String>,
    /// Faults and bans.
    pub(crate) conduct: Conduct,
}

impl PeerBook {
    /// An empty book of the node `own`; `seed` decides jitter and choices among equals.
    pub(crate) fn new(own: PeerId, seed: u64) -> Self {
        Self {
            own,
            random: StdRng::seed_from_u64(seed),
            entries: BTreeMap::new(),
            anchors: Vec::new(),
            foreign: BTreeMap::new(),
            named: BTreeSet::new(),
            conduct: Conduct::default(),
        }
    }

    /// Notes a candidate, without what of it cannot be dialled.
    pub(crate) fn add(&mut self, candidate: Candidate, now: Duration) {
        let Some(Candidate { peer, addresses, origin }) = candidate.usable(self.own) else { return };
        match peer {
            Some(peer) => {
                if let Some(entry) = self.entry(peer, origin, now) {
                    entry.origin = entry.origin.min(origin);
                    entry.persistent |= origin.is_persistent();
                    entry.stale = false;
                    for address in addresses {
                        entry.learn(address);
                    }
                }
            }
            None => addresses.into_iter().for_each(|address| self.add_anchor(address, origin)),
        }
    }

    fn add_anchor(&mut self, address: Multiaddr, origin: Origin) {
        if let Some(anchor) = self.anchors.iter_mut().find(|anchor| anchor.address == address) {
            anchor.origin = anchor.origin.min(origin);
        } else if self.anchors.len() < MAX_ANCHORS {
            self.anchors.push(Anchor { address, origin, peer: None, dialing: false, backoff: Backoff::default() });
        } else {
            debug!(%address, "too many addresses to keep dialling");
        }
    }

    /// The entry of a peer, made if need be; `None` when the book is full of more promising ones.
    fn entry(&mut self, peer: PeerId, origin: Origin, now: Duration) -> Option<&mut Entry> {
        if !self.entries.contains_key(&peer) {
            if self.entries.len() >= MAX_ENTRIES {
                let promise = |entry: &Entry| (u32::MAX - entry.backoff.failures(), entry.last_seen);
                let free = |entry: &Entry| entry.state == State::Idle && !entry.persistent;
                let idle = self.entries.iter().filter(|(_, entry)| free(entry));
                let least = idle.min_by_key(|(_, entry)| promise(entry)).map(|(peer, _)| *peer)?;
                self.entries.remove(&least);
            }
            self.entries.insert(peer, Entry::new(origin, now));
        }
        self.entries.get_mut(&peer)
    }

    /// Whom to dial now, and marks them as being dialled: every anchor and every peer that was asked for, and of the
    /// others as many as are missing from `target_outbound` connections of our own choice.
    pub(crate) fn dials(&mut self, now: Duration, target_outbound: usize) -> Vec<Dial> {
        self.foreign.retain(|_, until| *until > now);
        let mut under_way = self.anchors.iter().filter(|anchor| anchor.dialing).count()
            + self.entries.values().filter(|entry| entry.state == State::Dialing).count();
        let mut dials = Vec::new();
        for anchor in &mut self.anchors {
            let connected = anchor.peer.and_then(|peer| self.entries.get(&peer)).is_some_and(Entry::is_connected);
            if under_way < MAX_DIALS && !anchor.dialing && !connected && anchor.backoff.is_due(now) {
                anchor.dialing = true;
                under_way += 1;
                dials.push(Dial {
                    target: Target::Anchor(anchor.address.clone()),
                    addresses: vec![anchor.address.clone()],
                });
            }
        }
        let mut missing = target_outbound.saturating_sub(self.outbound());
        for peer in self.due(now) {
            let Some(entry) = self.entries.get_mut(&peer) else { continue };
            let wanted = entry.persistent;
            if under_way >= MAX_DIALS || (!wanted && missing == 0) {
                continue;
            }
            if !wanted {
                missing -= 1;
            }
            entry.state = State::Dialing;
            under_way += 1;
            dials.push(Dial { target: Target::Peer(peer), addresses: entry.addresses.clone() });
        }
        dials
    }

    /// Peers that may be dialled, the most promising first.
    fn due(&mut self, now: Duration) -> Vec<PeerId> {
        // While an anchor finds its peer, there is no need to dial the peer a second time.
        let anchored = |peer: &PeerId| {
            self.anchors.iter().any(|anchor| anchor.peer == Some(*peer) && anchor.backoff.failures() < 3)
        };
        let mut due: Vec<_> = self
            .entries
            .iter()
            .filter(|(peer, entry)| {
                entry.state == State::Idle
                    && !entry.addresses.is_empty()
                    && entry.backoff.is_due(now)
                    && !self.foreign.contains_key(*peer)
                    && !self.conduct.is_banned(peer)
                    && !anchored(peer)
            })
            .map(|(peer, entry)| ((entry.stale, entry.backoff.failures(), entry.origin), *peer))
            .collect();
        // Among equals chance decides, or all newcomers would dial the same few.
        let chance: Vec<u64> = due.iter().map(|_| rand::Rng::next_u64(&mut self.random)).collect();
        let mut order: Vec<_> = due.drain(..).zip(chance).collect();
        order.sort_by_key(|((promise, _), chance)| (*promise, *chance));
        order.into_iter().map(|((_, peer), _)| peer).collect()
    }

    /// Connections of our own choice, made or in the making.
    fn outbound(&self) -> usize {
        let ours = |entry: &&Entry| match entry.state {
            State::Idle => false,
            State::Dialing => true,
            State::Connected { direction, .. } => direction == Direction::Outbound,
        };
        self.entries.values().filter(ours).count()
    }

    /// The first connection to a peer has been made. `target` and `address` are what was dialled, if we dialled.
    pub(crate) fn connected(
        &mut self,
        peer: PeerId,
        direction: Direction,
        dialled: Option<(&Target, &Multiaddr)>,
        now: Duration,
    ) {
        if let Some((target, address)) = dialled {
            self.answered(target, peer);
            if let Some(entry) = self.entry(peer, Origin::Exchange, now) {
                entry.prefer(address);
            }
        }
        if let Some(entry) = self.entry(peer, Origin::Inbound, now)
            && !entry.is_connected()
        {
            entry.state = State::Connected { since: now, direction, confirmed: false };
            entry.last_seen = now;
        }
    }

    /// The dial of `target` has led to `peer`.
    pub(crate) fn answered(&mut self, target: &Target, peer: PeerId) {
        let Some(anchor) = self.anchor(target) else { return };
        anchor.dialing = false;
        anchor.peer = Some(peer);
        let origin = anchor.origin;
        if let Some(entry) = self.entries.get_mut(&peer) {
            // For people to see. It does not make the peer persistent: the anchor is, whoever answers there.
            entry.origin = entry.origin.min(origin);
        }
    }

    /// A connected peer has turned out to be of our chain and to listen on `addresses`. Addresses of its own loopback
    /// interface are kept only if `same_machine`.
    pub(crate) fn confirmed(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, same_machine: bool, now: Duration) {
        self.foreign.remove(&peer);
        let candidate = Candidate {
            peer: Some(peer),
            addresses: addresses.into_iter().filter(|address| same_machine || !is_loopback(address)).collect(),
            origin: Origin::Inbound,
        };
        self.add(candidate, now);
        let anchored = self.anchors.iter().filter(|anchor| anchor.peer == Some(peer)).map(|anchor| anchor.origin).min();
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.last_seen = now;
            if let State::Connected { confirmed, .. } = &mut entry.state {
                *confirmed = true;
            }
            if let Some(origin) = anchored {
                entry.origin = entry.origin.min(origin);
            }
        }
    }

    /// The last connection to a peer has ended.
    pub(crate) fn disconnected(&mut self, peer: PeerId, now: Duration) {
        let Some(entry) = self.entries.get_mut(&peer) else { return };
        let lasted = match entry.state {
            State::Connected { since, confirmed, .. } => confirmed && now.saturating_sub(since) >= LASTING,
            State::Idle | State::Dialing => false,
        };
        entry.state = State::Idle;
        if entry.addresses.is_empty() {
            self.entries.remove(&peer);
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
                if entry.state == State::Dialing {
                    entry.state = State::Idle;
                }
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

    /// A dial has led back to this node: the address is of no use.
    pub(crate) fn led_to_ourselves(&mut self, target: &Target, address: &Multiaddr, now: Duration) {
        self.anchors.retain(|anchor| Target::Anchor(anchor.address.clone()) != *target);
        self.led_elsewhere(target, address, now);
    }

    /// A dial has led to another peer than the one that was looked for: its address is out of date, unless a person named
    /// both. Returns what [`PeerBook::failed`] does.
    pub(crate) fn led_elsewhere(&mut self, target: &Target, address: &Multiaddr, now: Duration) -> bool {
        if let Target::Peer(peer) = target
            && let Some(entry) = self.entries.get_mut(peer)
            && !entry.persistent
        {
            entry.addresses.retain(|known| known != address);
        }
        self.failed(target, now)
    }

    /// A peer has turned out to be of another chain, or no node of ours at all; it is left alone for a while. Returns
    /// whether `name`, that of the chain or program, is new and worth a line.
    pub(crate) fn foreign(&mut self, peer: PeerId, name: &str, now: Duration) -> bool {
        let until = now.saturating_add(FOREIGN);
        if self.foreign.len() >= MAX_ENTRIES {
            let first = self.foreign.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer);
            first.and_then(|first| self.foreign.remove(&first));
        }
        self.foreign.insert(peer, until);
        for anchor in self.anchors.iter_mut().filter(|anchor| anchor.peer == Some(peer)) {
            anchor.backoff.postpone(until);
        }
        self.named.len() < MAX_NAMED && self.named.insert(name.to_owned())
    }

    /// The announcement of a peer has expired: others are dialled first from now on.
    pub(crate) fn expired(&mut self, peer: PeerId) {
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.stale = true;
        }
    }

    /// Keeps an address that a person asked for and that has led to `peer`.
    pub(crate) fn keep(&mut self, candidate: Candidate, peer: PeerId, now: Duration) {
        let target = match (candidate.peer, candidate.addresses.first()) {
            (None, Some(address)) => Some(Target::Anchor(address.clone())),
            _ => None,
        };
        self.add(candidate, now);
        if let Some(target) = target {
            self.answered(&target, peer);
        }
    }

    /// Lets a peer be dialled at once, as when the network has come back.
    pub(crate) fn hasten(&mut self, peer: PeerId) {
        self.foreign.remove(&peer);
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.backoff.hasten();
        }
    }

    /// How this node learnt of a peer, the most trusted way first; never empty.
    pub(crate) fn origins(&self, peer: &PeerId) -> Vec<Origin> {
        vec![self.entries.get(peer).map_or(Origin::Inbound, |entry| entry.origin)]
    }

    /// Nodes worth remembering for another run.
    pub(crate) fn known(&self, _now: Duration) -> Vec<KnownNode> {
        Vec::new()
    }

    /// Some connected peers of our chain and their addresses, to be told to `asker`.
    pub(crate) fn tell(&mut self, asker: PeerId, same_machine: bool) -> Vec<(PeerId, Vec<&Multiaddr>)> {
        let worth_telling = |(peer, entry): &(&PeerId, &Entry)| {
            **peer != asker && matches!(entry.state, State::Connected { confirmed: true, .. })
        };
        let told = self.entries.iter().filter(worth_telling).map(|(peer, entry)| {
            (*peer, entry.addresses.iter().filter(|address| same_machine || !is_loopback(address)).collect())
        });
        told.sample(&mut self.random, MAX_PEERS)
    }

    fn anchor(&mut self, target: &Target) -> Option<&mut Anchor> {
        let Target::Anchor(address) = target else { return None };
        self.anchors.iter_mut().find(|anchor| anchor.address == *address)
    }
}

impl Entry {
    fn new(origin: Origin, now: Duration) -> Self {
        Self {
            addresses: Vec::new(),
            origin,
            persistent: false,
            stale: false,
            state: State::Idle,
            backoff: Backoff::default(),
            last_seen: now,
        }
    }

    fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected { .. })
    }

    /// Adds an address at the end; when there is no room, the last one, the least proven, makes place.
    fn learn(&mut self, address: Multiaddr) {
        if self.addresses.contains(&address) {
            return;
        }
        self.addresses.truncate(MAX_ADDRESSES - 1);
        self.addresses.push(address);
    }

    /// Puts an address that worked first.
    fn prefer(&mut self, address: &Multiaddr) {
        self.addresses.retain(|known| known != address);
        self.addresses.truncate(MAX_ADDRESSES - 1);
        self.addresses.insert(0, address.clone());
    }

    fn retry_later(&mut self, lasted: bool, now: Duration, random: &mut StdRng) {
        if lasted {
            self.backoff.succeed();
        }
        self.backoff.fail(now, random);
    }

    /// Whether there is no point in keeping it: it never answers, and nobody asked for it or announces it any more.
    fn is_hopeless(&self) -> bool {
        let announced = self.origin == Origin::Mdns && !self.stale;
        let most = if self.origin == Origin::Exchange { MAX_FAILURES_HEARSAY } else { MAX_FAILURES };
        !self.persistent && !announced && (self.addresses.is_empty() || self.backoff.failures() >= most)
    }
}

#[cfg(test)]
mod tests;
