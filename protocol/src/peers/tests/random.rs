//! Random sequences of what may happen: the promises of the book hold in all of them.

use std::collections::BTreeSet;

use libp2p::multihash::Multihash;
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::discovery::KnownNode;

const STEPS: usize = 400;
const PEERS: u16 = 24;

struct World {
    rig: Rig,
    random: StdRng,
    peers: Vec<PeerId>,
    anchors: Vec<Multiaddr>,
    under_way: Vec<Target>,
    connected: BTreeSet<PeerId>,
    /// Targets of a person, each dialled for ever.
    wanted: Vec<Target>,
}

/// An id that the seed decides, so that a failure can be seen again.
fn peer_of(random: &mut StdRng) -> PeerId {
    let digest = Multihash::wrap(0x12, &random.random::<[u8; 32]>()).expect("32 bytes fit");
    PeerId::from_multihash(digest).expect("an id may be a SHA-256 digest")
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rig = Rig::new();
        let own = rig.book.own;
        let mut random = StdRng::seed_from_u64(seed);
        let peers: Vec<_> = (0..PEERS).map(|_| peer_of(&mut random)).chain([own]).collect();
        let anchors: Vec<_> = (0..6).map(|number| address(&format!("/ip4/10.2.0.{number}/tcp/1"))).collect();
        let mut wanted = Vec::new();
        for peer in peers.iter().take(6) {
            rig.add(&format!("/ip4/10.1.0.1/tcp/1/p2p/{peer}"), Origin::Manual);
            wanted.push(Target::Peer(*peer));
        }
        for anchor in &anchors {
            rig.add(&anchor.to_string(), Origin::Bootstrap);
            wanted.push(Target::Anchor(anchor.clone()));
        }
        Self { rig, random, peers, anchors, under_way: Vec::new(), connected: BTreeSet::new(), wanted }
    }

    fn peer(&mut self) -> PeerId {
        self.peers[self.random.random_range(0..self.peers.len())]
    }

    fn stranger(&mut self) -> PeerId {
        self.peers[self.random.random_range(0..usize::from(PEERS))]
    }

    fn some_connected(&mut self) -> Option<PeerId> {
        let at = self.random.random_range(0..self.connected.len().max(1));
        self.connected.iter().nth(at).copied()
    }

    fn dial(&mut self) -> usize {
        let dials = self.rig.book.dials(self.rig.now, TARGET, &|_| true);
        for dial in &dials {
            if let Target::Peer(peer) = &dial.target {
                assert_ne!(*peer, self.rig.book.own);
                assert!(!self.connected.contains(peer), "connected already");
                // `dials` has just forgotten those whose time is over.
                assert!(!self.rig.book.conduct.is_banned(peer) && !self.rig.book.foreign.contains_key(peer));
            }
            assert!(!self.under_way.contains(&dial.target), "twice at once");
            assert!(!dial.addresses.is_empty());
        }
        let count = dials.len();
        self.under_way.extend(dials.into_iter().map(|dial| dial.target));
        assert!(self.under_way.len() <= MAX_DIALS);
        count
    }

    /// A dial ends in one way or another.
    fn finish(&mut self) {
        if self.under_way.is_empty() {
            return;
        }
        let at = self.random.random_range(0..self.under_way.len());
        let target = self.under_way.swap_remove(at);
        let (now, at) = (self.rig.now, address("/ip4/10.1.0.1/tcp/1"));
        match self.random.random_range(0..10) {
            0..4 => {
                let peer = if let Target::Peer(peer) = target { peer } else { self.stranger() };
                if self.connected.insert(peer) {
                    self.rig.connect(&target, peer);
                } else {
                    self.rig.book.answered(&target, peer);
                    self.rig.book.failed(&target, now);
                }
            }
            4 => {
                self.rig.book.led_elsewhere(&target, &at, now);
            }
            _ => {
                self.rig.book.failed(&target, now);
            }
        }
    }

    fn step(&mut self) {
        let now = self.rig.now;
        match self.random.random_range(0..20) {
            0..4 => {
                self.dial();
            }
            4..8 => self.finish(),
            8 => {
                let (peer, origin) = (self.peer(), Origin::ALL[self.random.random_range(3..Origin::ALL.len())]);
                self.rig.add(&format!("/ip4/10.1.0.2/tcp/1/p2p/{peer}"), origin);
            }
            9 => {
                let peer = self.peer();
                let addresses = vec![address("/ip4/10.1.0.3/tcp/1")];
                self.rig.book.restore(
                    vec![KnownNode {
                        peer,
                        addresses,
                        origins: vec![Origin::Manual],
                        unseen: Duration::ZERO,
                        dialled: false,
                    }],
                    now,
                );
            }
            10 => {
                let peer = self.stranger();
                // A dial to it may be under way; it ends later.
                if self.connected.insert(peer) {
                    self.rig.book.connected(peer, Direction::Inbound, None, now);
                }
            }
            11..14 => {
                if let Some(peer) = self.some_connected() {
                    self.rig.confirm(peer);
                }
            }
            14 | 15 => self.part(),
            16 => self.meddle(),
            _ => {
                let millis = self.random.random_range(1..20_000);
                self.rig.wait(Duration::from_millis(millis));
                self.rig.book.conduct.pardon(self.rig.now);
            }
        }
    }

    fn part(&mut self) {
        let now = self.rig.now;
        let surplus = self.rig.book.surplus(now, TARGET / 4, |_| false);
        surplus.iter().for_each(|peer| self.rig.book.release(*peer));
        for peer in surplus.into_iter().chain(self.some_connected()) {
            if self.connected.remove(&peer) {
                self.rig.book.disconnected(peer, now);
            }
        }
    }

    fn meddle(&mut self) {
        let (peer, now) = (self.stranger(), self.rig.now);
        match self.random.random_range(0..6) {
            0 => self.rig.book.hasten_all(now),
            1 => self.rig.book.expired(peer),
            2 => self.rig.book.hasten(peer),
            3 => {
                self.rig.book.conduct.note(peer, conduct::Fault::Fatal, "", now);
            }
            4 if self.connected.contains(&peer) => {
                self.rig.book.foreign(peer, "", now);
            }
            _ => {
                let anchor = self.anchors[self.random.random_range(0..self.anchors.len())].clone();
                self.rig.book.keep(Candidate::from_address(anchor, Origin::Manual), peer, now);
            }
        }
    }

    /// Whether a target of a person is to be dialled now or soon: nothing speaks against it.
    fn is_open(&self, target: &Target) -> bool {
        let welcome = |peer: &PeerId| {
            let book = &self.rig.book;
            !self.connected.contains(peer) && !book.foreign.contains_key(peer) && !book.conduct.is_banned(peer)
        };
        match target {
            Target::Peer(peer) => welcome(peer),
            Target::Anchor(address) => {
                let mut anchors = self.rig.book.anchors.iter();
                let anchor = anchors.find(|anchor| anchor.address == *address).expect("an anchor is never forgotten");
                anchor.peer.as_ref().is_none_or(welcome)
            }
        }
    }

    /// All that is under way fails, 75 seconds pass, and every target is dialled, by its id or where it answered.
    fn all_are_dialled(&mut self) {
        for target in core::mem::take(&mut self.under_way) {
            self.rig.book.failed(&target, self.rig.now);
        }
        self.rig.wait(Duration::from_secs(75));
        let mut dialled = Vec::new();
        while self.dial() > 0 {
            for target in core::mem::take(&mut self.under_way) {
                self.rig.book.failed(&target, self.rig.now);
                dialled.push(target);
            }
        }
        for target in self.wanted.iter().filter(|target| self.is_open(target)) {
            let anchored = self.rig.book.anchors.iter().any(|anchor| {
                matches!(target, Target::Peer(peer) if anchor.peer == Some(*peer))
                    && dialled.contains(&Target::Anchor(anchor.address.clone()))
            });
            assert!(anchored || dialled.contains(target), "{target} was not dialled");
        }
    }
}

#[test]
fn the_promises_hold_whatever_happens() {
    let mut most = 0;
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
            most = most.max(world.under_way.len());
        }
        world.all_are_dialled();
        assert!(world.rig.book.known(world.rig.now).len() <= usize::from(PEERS));
    }
    assert_eq!(most, MAX_DIALS, "the bound was put to the test");
}
