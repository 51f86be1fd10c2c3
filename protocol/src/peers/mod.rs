//! The peer book: who is known, where they may be reached, whom to dial now. In memory, bounded, and pure: the time is
//! passed in, as what has passed since the start.
//!
//! There are two kinds of entry. A *peer* is known by its id. An *anchor* is an address that a person or the configuration
//! named without saying who is there; whoever answers is welcome, and the address is dialled for ever.

mod anchor;
pub(crate) mod backoff;
pub(crate) mod clones;
pub(crate) mod conduct;
mod encounters;
mod entry;
pub(crate) mod eviction;
pub(crate) mod memory;
mod share;

use core::{cmp::Reverse, fmt, time::Duration};
use std::collections::{BTreeMap, BTreeSet};

use libp2p::{Multiaddr, PeerId};
use rand::{SeedableRng, rngs::StdRng, seq::IteratorRandom};
use tracing::debug;

use self::{
    anchor::Anchor,
    conduct::Conduct,
    entry::{Entry, Proof, State},
    share::Shares,
};
use crate::{
    address::is_loopback,
    discovery::{Candidate, Origin},
    event::Direction,
    wire::limits::MAX_PEERS,
};

/// Peers remembered; above it the least promising one is forgotten.
const MAX_ENTRIES: usize = 1000;
/// Anchors; more are refused. Only people and the configuration make them, a peers file up to 256.
pub(crate) const MAX_ANCHORS: usize = 512;
/// Dials under way at once.
const MAX_DIALS: usize = 16;
/// Chains and programs that have been named in the log; more are not named.
const MAX_NAMED: usize = 64;
/// How long a peer of another chain is left alone.
pub(crate) const FOREIGN: Duration = Duration::from_secs(600);
/// How long an address that leads to this node itself is left alone. It is not forgotten: a copy of this node's identity may
/// have answered there, which somebody will put right.
const OURSELVES: Duration = Duration::from_secs(3600);
/// A connection that lasted this long was a success; a shorter one counts as another failure to connect, or two nodes that
/// refuse each other would meet twice a second.
const LASTING: Duration = Duration::from_secs(10);
/// How long a connection is left alone even if there are enough others: long enough to ask a question.
const GRACE: Duration = Duration::from_secs(10);

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
                let hearsay = origin >= Origin::Kademlia;
                if let Some(entry) = self.entry(peer, hearsay, now) {
                    entry.told.insert(origin);
                    entry.persistent |= origin.is_persistent();
                    entry.stale = false;
                    let proof = if origin.is_persistent() { Proof::Named } else { Proof::Heard };
                    addresses.into_iter().for_each(|address| entry.addresses.learn(address, proof));
                }
            }
            None => addresses.into_iter().for_each(|address| self.add_anchor(address, origin)),
        }
    }

    fn add_anchor(&mut self, address: Multiaddr, origin: Origin) {
        if let Some(anchor) = self.anchors.iter_mut().find(|anchor| anchor.address == address) {
            anchor.origins.insert(origin);
        } else if self.anchors.len() < MAX_ANCHORS {
            self.anchors.push(Anchor::new(address, origin));
        } else {
            debug!(%address, "too many addresses to keep dialling");
        }
    }

    /// Notes where a peer is, as a stranger or the peer itself says, of places that are not dialled for strangers now.
    pub(crate) fn doubt(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Duration) {
        let said = Candidate { peer: Some(peer), addresses, origin: Origin::Exchange };
        let Some(Candidate { addresses, .. }) = said.usable(self.own) else { return };
        if let Some(entry) = self.entry(peer, true, now) {
            addresses.into_iter().for_each(|address| entry.addresses.learn(address, Proof::Doubted));
        }
    }

    /// Notes one more way by which a known peer was learnt. It does not make the peer persistent.
    pub(crate) fn learnt(&mut self, peer: PeerId, origin: Origin) {
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.told.insert(origin);
        }
    }

    /// The entry of a peer, made if need be; `None` when the book is full of more promising ones. A peer known by `hearsay`
    /// alone does not take the place of one that was met.
    fn entry(&mut self, peer: PeerId, hearsay: bool, now: Duration) -> Option<&mut Entry> {
        if peer == self.own {
            return None;
        }
        if !self.entries.contains_key(&peer) {
            if self.entries.len() >= MAX_ENTRIES {
                let promise =
                    |entry: &Entry| (entry.dialled, entry.met, Reverse(entry.backoff.failures()), entry.last_seen);
                let free = |entry: &Entry| entry.is_idle() && !entry.persistent && !(hearsay && entry.met);
                let idle = self.entries.iter().filter(|(_, entry)| free(entry));
                let least = idle.min_by_key(|(_, entry)| promise(entry)).map(|(peer, _)| *peer)?;
                self.entries.remove(&least);
            }
            self.entries.insert(peer, Entry::new(now));
        }
        self.entries.get_mut(&peer)
    }

    /// Whom to dial now, and marks them as being dialled: every anchor and every peer that was asked for, and of the
    /// others as many as are missing from `target_outbound` connections of our own choice. Anchors where nobody answers keep no
    /// peer waiting: while there are peers to dial, half of the places are theirs. To one range of the internet lead at most half of
    /// the connections that nobody asked for, or whoever has a range to himself could have them all; so a peer is dialled where
    /// there is room, and takes a place of each range where he may answer. `is_open` says where may be dialled what strangers
    /// alone say.
    pub(crate) fn dials(
        &mut self,
        now: Duration,
        target_outbound: usize,
        is_open: &dyn Fn(&Multiaddr) -> bool,
    ) -> Vec<Dial> {
        self.foreign.retain(|_, until| *until > now);
        let due = self.due(now, target_outbound, is_open);
        let mut missing = target_outbound.saturating_sub(self.outbound());
        let wanted = |peer: &PeerId| self.entries.get(peer).is_some_and(|entry| missing > 0 || entry.persistent);
        let most = if due.iter().any(wanted) { MAX_DIALS / 2 } else { MAX_DIALS };
        let mut dials = self.dial_anchors(now, most);
        let mut under_way = self.under_way();
        let mut shares = self.shares(target_outbound);
        for peer in due {
            let Some(entry) = self.entries.get_mut(&peer) else { continue };
            let wanted = entry.persistent;
            if under_way >= MAX_DIALS || (!wanted && missing == 0) {
                continue;
            }
            let addresses = entry.choose(&mut shares, is_open);
            if addresses.is_empty() {
                continue;
            }
            if !wanted {
                missing -= 1;
            }
            entry.dialing = true;
            under_way += 1;
            dials.push(Dial { target: Target::Peer(peer), addresses });
        }
        dials
    }

    /// The anchors that are due, those that failed least often first; with those under way at most `most`.
    fn dial_anchors(&mut self, now: Duration, most: usize) -> Vec<Dial> {
        let dialing = self.anchors.iter().filter(|anchor| anchor.dialing).count();
        let room = most.saturating_sub(dialing).min(MAX_DIALS.saturating_sub(self.under_way()));
        let Self { entries, anchors, conduct, .. } = self;
        let is_due = |anchor: &&mut Anchor| {
            let connected = anchor.peer.and_then(|peer| entries.get(&peer)).is_some_and(Entry::is_connected);
            let unwelcome = anchor.peer.is_some_and(|peer| conduct.is_banned(&peer));
            !anchor.dialing && !connected && !unwelcome && anchor.backoff.is_due(now)
        };
        let mut due: Vec<&mut Anchor> = anchors.iter_mut().filter(is_due).collect();
        due.sort_by_key(|anchor| anchor.backoff.failures());
        let now_dialled = due.into_iter().take(room).map(|anchor| {
            anchor.dialing = true;
            anchor.dial()
        });
        now_dialled.collect()
    }

    /// Dials under way.
    fn under_way(&self) -> usize {
        let anchors = self.anchors.iter().filter(|anchor| anchor.dialing).count();
        anchors.saturating_add(self.entries.values().filter(|entry| entry.dialing).count())
    }

    /// Peers that may be dialled, the most promising first. Half of what this node wants of connections is for those that it
    /// chose before, while there are any: whatever others say of more promising ones, they may all be one party's.
    fn due(&mut self, now: Duration, target_outbound: usize, is_open: &dyn Fn(&Multiaddr) -> bool) -> Vec<PeerId> {
        // While an anchor finds its peer, there is no need to dial the peer a second time.
        let anchored = |peer: &PeerId| {
            self.anchors.iter().any(|anchor| anchor.peer == Some(*peer) && anchor.backoff.failures() < 3)
        };
        let alone = !self.entries.values().any(Entry::is_confirmed);
        let mut due: Vec<_> = self
            .entries
            .iter()
            .filter(|(peer, entry)| {
                entry.is_due(alone, is_open, now)
                    && !self.foreign.contains_key(*peer)
                    && !self.conduct.is_banned(peer)
                    && !anchored(peer)
            })
            .map(|(peer, entry)| (entry.rank(), *peer))
            .collect();
        // Among equals chance decides, or all newcomers would dial the same few.
        let chance: Vec<u64> = due.iter().map(|_| rand::Rng::next_u64(&mut self.random)).collect();
        let mut order: Vec<_> = due.drain(..).zip(chance).collect();
        order.sort_by_key(|((promise, _), chance)| (*promise, *chance));
        let has = self.entries.values().filter(|entry| entry.dialled && entry.is_ours()).count();
        let mut lacking = (target_outbound / 2).saturating_sub(has);
        let first = |peer: &PeerId| {
            let chosen = lacking > 0 && self.entries.get(peer).is_some_and(|entry| entry.dialled);
            lacking = lacking.saturating_sub(usize::from(chosen));
            chosen
        };
        let (mut first, others): (Vec<_>, Vec<_>) = order.into_iter().map(|((_, peer), _)| peer).partition(first);
        first.extend(others);
        first
    }

    /// Connections of our own choice, made or in the making.
    fn outbound(&self) -> usize {
        self.entries.values().filter(|entry| entry.is_ours()).count()
    }

    /// The announcement of a peer has expired: others are dialled first from now on.
    pub(crate) fn expired(&mut self, peer: PeerId) {
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.stale = true;
        }
    }

    /// Keeps an address that a person asked for and that has led to `peer`.
    pub(crate) fn keep(&mut self, candidate: Candidate, peer: PeerId, now: Duration) {
        let anchors = if candidate.peer.is_none() { candidate.addresses.clone() } else { Vec::new() };
        self.add(candidate, now);
        for anchor in self.anchors.iter_mut().filter(|anchor| anchors.contains(&anchor.address)) {
            anchor.peer = Some(peer);
            // It works again, whoever answered there before.
            anchor.backoff.hasten();
        }
        self.merge_anchors(peer);
    }

    /// Lets a peer be dialled at once, because a person asks for it.
    pub(crate) fn hasten(&mut self, peer: PeerId) {
        self.foreign.remove(&peer);
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.backoff.hasten();
        }
        // Or the peer would wait for an anchor that rests.
        self.anchors.iter_mut().filter(|anchor| anchor.peer == Some(peer)).for_each(|anchor| anchor.backoff.hasten());
    }

    /// The network has come back, as with a new interface or address: whatever waits is due within two seconds, but for
    /// peers of other chains and banned ones.
    pub(crate) fn hasten_all(&mut self, now: Duration) {
        let Self { entries, anchors, foreign, conduct, random, .. } = self;
        let welcome = |peer: &PeerId| !foreign.contains_key(peer) && !conduct.is_banned(peer);
        for (_, entry) in entries.iter_mut().filter(|(peer, entry)| entry.is_idle() && welcome(peer)) {
            entry.backoff.hasten_soon(now, random);
        }
        for anchor in anchors.iter_mut().filter(|anchor| !anchor.dialing && anchor.peer.as_ref().is_none_or(welcome)) {
            anchor.backoff.hasten_soon(now, random);
        }
    }

    /// Connections to part from because more than half of `target_outbound` lead to one range of the internet, whoever dialled
    /// them: the newest; and because there are more than `target_outbound` of our own choice: the least trusted first, and of
    /// those the newest. Only such as nobody asked for, as are known to be of our chain, have lasted 10 seconds and are not
    /// `needed` for something else. Whoever closes one tells [`PeerBook::release`] before.
    pub(crate) fn surplus(
        &self,
        now: Duration,
        target_outbound: usize,
        needed: impl Fn(&PeerId) -> bool,
    ) -> Vec<PeerId> {
        let chosen = self.entries.iter().filter_map(|(peer, entry)| match entry.state {
            State::Connected { since, direction: Direction::Outbound, confirmed: true } if !entry.released => {
                Some((since, *peer, entry))
            }
            _ => None,
        });
        let mut chosen: Vec<_> = chosen.collect();
        chosen.sort_by_key(|(since, peer, _)| (*since, *peer));
        let mut shares = Shares::new(target_outbound);
        let (mut crowded, mut dispensable) = (Vec::new(), Vec::new());
        for (since, peer, entry) in &chosen {
            let has_place = entry.shares().all(|share| shares.take(share));
            let wanted = self.is_named(peer) || entry.told.contains(&Origin::Local);
            if wanted || now.saturating_sub(*since) < GRACE || needed(peer) {
                continue;
            }
            if has_place {
                dispensable.push((Reverse(entry.origin()), Reverse(*since), *peer));
            } else {
                crowded.push(*peer);
            }
        }
        dispensable.sort();
        let surplus = chosen.len().saturating_sub(crowded.len()).saturating_sub(target_outbound);
        crowded.into_iter().chain(dispensable.into_iter().take(surplus).map(|(_, _, peer)| peer)).collect()
    }

    /// This node is about to close its connection to a peer because it has enough others. The end of it counts as no
    /// failure, and the peer is not dialled for a minute unless nobody else is left.
    pub(crate) fn release(&mut self, peer: PeerId) {
        if let Some(entry) = self.entries.get_mut(&peer) {
            entry.released = entry.is_connected();
        }
    }

    /// Whether a person or the configuration asked for this peer, by its id or by an address where it is.
    pub(crate) fn is_named(&self, peer: &PeerId) -> bool {
        self.entries.get(peer).is_some_and(|entry| entry.persistent)
            || self.anchors.iter().any(|anchor| anchor.peer.as_ref() == Some(peer))
    }

    /// How this node learnt of a peer, the most trusted way first; never empty.
    pub(crate) fn origins(&self, peer: &PeerId) -> Vec<Origin> {
        self.entries.get(peer).map_or_else(|| vec![Origin::Inbound], Entry::origins)
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

    /// Where a dial of `target` leads.
    pub(crate) fn addresses<'a>(&'a self, target: &'a Target) -> impl Iterator<Item = &'a Multiaddr> {
        let (peer, anchor) = match target {
            Target::Peer(peer) => (self.entries.get(peer), None),
            Target::Anchor(address) => (None, Some(address)),
        };
        peer.into_iter().flat_map(|entry| entry.addresses.iter()).chain(anchor)
    }

    fn anchor(&mut self, target: &Target) -> Option<&mut Anchor> {
        let Target::Anchor(address) = target else { return None };
        self.anchors.iter_mut().find(|anchor| anchor.address == *address)
    }
}

#[cfg(test)]
mod tests;
