//! The peer book against scripted events and a clock of its own.

mod enough;
mod memory;
mod random;
mod shares;
mod strangers;

use super::*;
use crate::wire::limits::MAX_ADDRESSES;

const TARGET: usize = 8;

struct Rig {
    book: PeerBook,
    now: Duration,
}

impl Rig {
    fn new() -> Self {
        Self { book: PeerBook::new(PeerId::random(), 7), now: Duration::from_secs(1) }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    fn add(&mut self, text: &str, origin: Origin) {
        self.book.add(Candidate::from_address(address(text), origin), self.now);
    }

    /// Adds a peer of its own address, and returns its id.
    fn add_peer(&mut self, number: u16, origin: Origin) -> PeerId {
        let peer = PeerId::random();
        let text = format!("/ip4/10.0.{}.{}/tcp/4001/p2p/{peer}", number >> 8, number & 0xff);
        self.add(&text, origin);
        peer
    }

    fn dials(&mut self) -> Vec<Target> {
        self.book.dials(self.now, TARGET, &|_| true).into_iter().map(|dial| dial.target).collect()
    }

    fn connect(&mut self, target: &Target, peer: PeerId) {
        let at = match target {
            Target::Anchor(address) => address.clone(),
            Target::Peer(_) => address("/ip4/10.9.9.9/tcp/1"),
        };
        self.book.connected(peer, Direction::Outbound, Some((target, &at)), self.now);
    }

    fn confirm(&mut self, peer: PeerId) {
        self.book.confirmed(
            peer,
            vec![address("/ip4/127.0.0.1/tcp/5"), address("/ip4/10.7.7.7/tcp/5")],
            false,
            self.now,
        );
    }
}

fn fail_all(rig: &mut Rig) {
    for target in rig.dials() {
        rig.book.failed(&target, rig.now);
    }
}

fn address(text: &str) -> Multiaddr {
    text.parse().expect("a multiaddress")
}

#[test]
fn an_anchor_is_dialled_for_ever_and_whoever_answers_is_remembered() {
    let mut rig = Rig::new();
    rig.add("/ip4/10.0.0.1/tcp/4001", Origin::Bootstrap);
    let target = Target::Anchor(address("/ip4/10.0.0.1/tcp/4001"));
    for attempt in 0..40 {
        assert_eq!(rig.dials(), std::slice::from_ref(&target));
        assert_eq!(rig.dials(), [], "one dial at a time");
        assert_eq!(rig.book.failed(&target, rig.now), attempt == 0, "the first failure is told");
        rig.wait(Duration::from_secs(76));
    }
    let peer = PeerId::random();
    assert_eq!(rig.dials().len(), 1);
    rig.connect(&target, peer);
    rig.confirm(peer);
    assert_eq!(rig.book.origins(&peer), [Origin::Bootstrap]);
    rig.wait(Duration::from_secs(100));
    assert_eq!(rig.dials(), [], "connected");
    rig.book.disconnected(peer, rig.now);
    assert_eq!(rig.dials(), [], "not at once");
    rig.wait(Duration::from_millis(700));
    assert_eq!(
        rig.dials(),
        [target],
        "after a lasting connection the wait is short, and the peer is not dialled twice"
    );
}

#[test]
fn a_peer_that_moved_is_found_by_its_other_addresses() {
    let mut rig = Rig::new();
    rig.add("/ip4/10.0.0.1/tcp/4001", Origin::Bootstrap);
    let (anchor, peer) = (rig.dials().remove(0), PeerId::random());
    rig.connect(&anchor, peer);
    rig.confirm(peer);
    rig.book.disconnected(peer, rig.now);
    for _ in 0..2 {
        rig.wait(Duration::from_secs(80));
        rig.dials();
        rig.book.failed(&anchor, rig.now);
    }
    rig.wait(Duration::from_secs(80));
    assert!(rig.dials().contains(&Target::Peer(peer)));
}

#[test]
fn only_as_many_as_are_missing_are_dialled() {
    let mut rig = Rig::new();
    for number in 0..30 {
        rig.add_peer(number, Origin::Mdns);
    }
    let wanted = rig.add_peer(100, Origin::Manual);
    let dials = rig.dials();
    assert_eq!(dials.len(), TARGET + 1);
    assert!(dials.contains(&Target::Peer(wanted)));
    assert_eq!(rig.dials(), []);
    for target in &dials {
        if let Target::Peer(peer) = target {
            rig.connect(target, *peer);
        }
    }
    rig.wait(Duration::from_secs(100));
    assert_eq!(rig.dials(), []);
    for target in dials.iter().filter(|target| **target != Target::Peer(wanted)).take(2) {
        let Target::Peer(lost) = target else { panic!("a peer") };
        rig.book.disconnected(*lost, rig.now);
    }
    assert_eq!(rig.dials().len(), 1, "another one takes the place; the one that was asked for counts too");
}

#[test]
fn inbound_connections_do_not_count() {
    let mut rig = Rig::new();
    for _ in 0..20 {
        rig.book.connected(PeerId::random(), Direction::Inbound, None, rig.now);
    }
    rig.add_peer(1, Origin::Mdns);
    assert_eq!(rig.dials().len(), 1);
}

#[test]
fn an_expired_announcement_lowers_the_priority_and_nothing_else() {
    let mut rig = Rig::new();
    let stale: Vec<_> = (0..10).map(|number| rig.add_peer(number, Origin::Mdns)).collect();
    stale.iter().for_each(|peer| rig.book.expired(*peer));
    let fresh: Vec<_> = (10..18).map(|number| rig.add_peer(number, Origin::Mdns)).collect();
    let dials = rig.dials();
    assert!(fresh.iter().all(|peer| dials.contains(&Target::Peer(*peer))));
    for target in &dials {
        assert!(!rig.book.failed(target, rig.now), "nobody asked for it");
    }
    assert_eq!(rig.dials().len(), TARGET, "the others are still known");
}

#[test]
fn peers_of_another_chain_are_left_alone_and_named_once() {
    let mut rig = Rig::new();
    let one = rig.add_peer(1, Origin::Mdns);
    let other = rig.add_peer(2, Origin::Mdns);
    assert_eq!(rig.dials().len(), 2);
    for (peer, new) in [(one, true), (other, false)] {
        rig.connect(&Target::Peer(peer), peer);
        assert_eq!(rig.book.foreign(peer, "abcd", rig.now), new);
        rig.book.disconnected(peer, rig.now);
    }
    rig.wait(FOREIGN - Duration::from_secs(1));
    assert_eq!(rig.dials(), []);
    rig.wait(Duration::from_secs(2));
    assert_eq!(rig.dials().len(), 2);
    rig.connect(&Target::Peer(one), one);
    rig.confirm(one);
    assert!(rig.book.foreign.is_empty(), "it has changed its chain");
}

#[test]
fn an_anchor_of_another_chain_rests_too() {
    let mut rig = Rig::new();
    rig.add("/ip4/10.0.0.1/tcp/4001", Origin::Bootstrap);
    let (target, peer) = (rig.dials().remove(0), PeerId::random());
    rig.connect(&target, peer);
    rig.book.foreign(peer, "abcd", rig.now);
    rig.book.disconnected(peer, rig.now);
    rig.wait(FOREIGN - Duration::from_secs(1));
    assert_eq!(rig.dials(), []);
    rig.wait(Duration::from_secs(2));
    assert_eq!(rig.dials(), [target]);
}

#[test]
fn an_anchor_rests_for_a_foreign_peer_and_not_for_who_answers_after_it() {
    let mut rig = Rig::new();
    rig.add("/ip4/10.0.0.1/tcp/4001", Origin::Bootstrap);
    let (target, foreign, next) = (rig.dials().remove(0), PeerId::random(), PeerId::random());
    rig.connect(&target, foreign);
    rig.book.disconnected(foreign, rig.now);
    rig.wait(Duration::from_secs(76));
    assert_eq!(rig.dials(), std::slice::from_ref(&target));
    // It calls here meanwhile, and turns out to be of another chain; then somebody else answers the dial.
    rig.book.connected(foreign, Direction::Inbound, None, rig.now);
    rig.book.foreign(foreign, "abcd", rig.now);
    rig.connect(&target, next);
    rig.book.disconnected(next, rig.now);
    rig.wait(Duration::from_secs(75));
    assert_eq!(rig.dials(), [target]);
}

#[test]
fn addresses_that_lead_back_or_elsewhere_are_dropped() {
    let mut rig = Rig::new();
    rig.add("/ip4/10.0.0.1/tcp/4001", Origin::Bootstrap);
    let target = rig.dials().remove(0);
    rig.book.led_to_ourselves(&target, &address("/ip4/10.0.0.1/tcp/4001"), rig.now);
    rig.wait(Duration::from_secs(1000));
    assert_eq!(rig.dials(), []);

    let peer = rig.add_peer(1, Origin::Mdns);
    assert_eq!(rig.dials(), [Target::Peer(peer)]);
    rig.book.led_elsewhere(&Target::Peer(peer), &address("/ip4/10.0.0.1/tcp/4001"), rig.now);
    rig.wait(Duration::from_secs(1000));
    assert_eq!(rig.dials(), [], "no address is left");

    let named = rig.add_peer(2, Origin::Bootstrap);
    assert_eq!(rig.dials(), [Target::Peer(named)]);
    rig.book.led_elsewhere(&Target::Peer(named), &address("/ip4/10.0.0.2/tcp/4001"), rig.now);
    rig.wait(Duration::from_secs(1000));
    assert_eq!(rig.dials(), [Target::Peer(named)], "a person named both");
}

#[test]
fn peers_that_never_answer_are_forgotten_unless_they_are_wanted() {
    let mut rig = Rig::new();
    let hearsay = rig.add_peer(1, Origin::Exchange);
    let announced = rig.add_peer(2, Origin::Mdns);
    let wanted = rig.add_peer(3, Origin::Manual);
    for _ in 0..20 {
        fail_all(&mut rig);
        rig.wait(Duration::from_secs(80));
    }
    assert!(!rig.book.entries.contains_key(&hearsay));
    assert!(rig.book.entries.contains_key(&announced) && rig.book.entries.contains_key(&wanted));
    rig.book.expired(announced);
    fail_all(&mut rig);
    assert!(!rig.book.entries.contains_key(&announced));
    assert!(rig.book.entries.contains_key(&wanted));
}

#[test]
fn the_book_is_bounded() {
    let mut rig = Rig::new();
    let wanted = rig.add_peer(1, Origin::Manual);
    for number in 0..2000 {
        rig.add_peer(number, Origin::Exchange);
        rig.add(&format!("/ip4/10.1.{}.{}/tcp/1", number >> 8, number & 0xff), Origin::Manual);
    }
    assert_eq!(rig.book.entries.len(), MAX_ENTRIES);
    assert_eq!(rig.book.anchors.len(), MAX_ANCHORS);
    assert!(rig.book.entries.contains_key(&wanted));
    for port in 1..50 {
        let text = format!("/ip4/10.0.0.1/tcp/{port}/p2p/{wanted}");
        rig.add(&text, Origin::Exchange);
    }
    let addresses = rig.book.entries[&wanted].addresses.iter().cloned().collect::<Vec<_>>();
    assert_eq!(addresses.len(), MAX_ADDRESSES);
    assert_eq!(addresses[0], address("/ip4/10.0.0.1/tcp/4001"), "the oldest stays");
    assert_eq!(rig.dials().len(), MAX_DIALS);
}

#[test]
fn banned_peers_are_not_dialled() {
    let mut rig = Rig::new();
    let peer = rig.add_peer(1, Origin::Mdns);
    assert!(rig.book.conduct.note(peer, conduct::Fault::Fatal, "false work", rig.now));
    assert_eq!(rig.dials(), []);
    rig.wait(conduct::BAN);
    assert_eq!(rig.book.conduct.pardon(rig.now), [peer]);
    assert_eq!(rig.dials(), [Target::Peer(peer)]);
}

#[test]
fn only_confirmed_peers_are_told_and_loopback_stays_here() {
    let mut rig = Rig::new();
    let (asker, known, silent) = (PeerId::random(), PeerId::random(), PeerId::random());
    for peer in [asker, known, silent] {
        rig.book.connected(peer, Direction::Inbound, None, rig.now);
    }
    let listening = vec![address("/ip4/127.0.0.1/tcp/5"), address("/ip4/10.7.7.7/tcp/5")];
    rig.book.confirmed(known, listening, true, rig.now);
    rig.book.confirmed(asker, Vec::new(), true, rig.now);
    let near = rig.book.tell(asker, true);
    assert_eq!(near.iter().map(|(peer, addresses)| (*peer, addresses.len())).collect::<Vec<_>>(), [(known, 2)]);
    let far = rig.book.tell(asker, false);
    assert_eq!(far, [(known, vec![&address("/ip4/10.7.7.7/tcp/5")])]);
}

#[test]
fn equal_seeds_dial_alike() {
    let peers: Vec<_> = (0..20).map(|_| PeerId::random()).collect();
    let own = PeerId::random();
    let run = |seed| {
        let mut book = PeerBook::new(own, seed);
        for peer in &peers {
            book.add(
                Candidate::from_address(address(&format!("/ip4/10.0.0.1/tcp/1/p2p/{peer}")), Origin::Mdns),
                Duration::ZERO,
            );
        }
        book.dials(Duration::ZERO, TARGET, &|_| true)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
