//! Neither giving up nor storming: peers that are away, networks that come back, connections that are too many.

use super::*;

/// A peer that was connected and of our chain, and is gone.
fn meet(rig: &mut Rig, number: u16, origin: Origin) -> PeerId {
    let peer = rig.add_peer(number, origin);
    rig.connect(&Target::Peer(peer), peer);
    rig.confirm(peer);
    rig.book.disconnected(peer, rig.now);
    peer
}

/// For how many seconds a peer is not dialled, at most `most`.
fn quiet(rig: &mut Rig, peer: PeerId, most: u64) -> u64 {
    let mut seconds = 0;
    while seconds < most && !rig.dials().contains(&Target::Peer(peer)) {
        rig.wait(Duration::from_secs(1));
        seconds += 1;
    }
    seconds
}

#[test]
fn a_peer_that_was_met_is_never_forgotten_and_rests_while_others_are_there() {
    let mut rig = Rig::new();
    let away = meet(&mut rig, 1, Origin::Exchange);
    for _ in 0..30 {
        assert!(quiet(&mut rig, away, 100) <= 75, "alone, it is tried every minute");
        rig.book.failed(&Target::Peer(away), rig.now);
    }
    let other = PeerId::random();
    rig.book.connected(other, Direction::Inbound, None, rig.now);
    rig.confirm(other);
    let rest = quiet(&mut rig, away, 1000);
    assert!((300..=750).contains(&rest), "{rest}");
    for _ in 0..50 {
        rig.book.failed(&Target::Peer(away), rig.now);
        let rest = quiet(&mut rig, away, 1000);
        assert!((450..=750).contains(&rest), "{rest}");
    }
    rig.book.failed(&Target::Peer(away), rig.now);
    rig.wait(Duration::from_secs(75));
    assert_eq!(rig.dials(), []);
    rig.book.disconnected(other, rig.now);
    assert!(rig.dials().contains(&Target::Peer(away)), "nobody else is left");
}

#[test]
fn whoever_is_asked_for_does_not_rest() {
    let mut rig = Rig::new();
    let wanted = meet(&mut rig, 1, Origin::Manual);
    let other = PeerId::random();
    rig.book.connected(other, Direction::Inbound, None, rig.now);
    rig.confirm(other);
    for _ in 0..40 {
        assert!(quiet(&mut rig, wanted, 100) <= 75);
        rig.book.failed(&Target::Peer(wanted), rig.now);
    }
}

#[test]
fn when_the_network_comes_back_all_are_tried_within_two_seconds() {
    let mut rig = Rig::new();
    let peers: Vec<_> = (0..4).map(|number| meet(&mut rig, number, Origin::Mdns)).collect();
    let [foreign, banned] = [50, 51].map(|number| meet(&mut rig, number, Origin::Mdns));
    rig.add("/ip4/10.0.0.99/tcp/1", Origin::Bootstrap);
    for _ in 0..20 {
        fail_all(&mut rig);
        rig.wait(Duration::from_secs(80));
    }
    fail_all(&mut rig);
    rig.book.foreign(foreign, "abcd", rig.now);
    rig.book.conduct.note(banned, conduct::Fault::Fatal, "false work", rig.now);
    rig.wait(Duration::from_secs(1));
    assert_eq!(rig.dials(), []);
    rig.book.hasten_all(rig.now);
    let at_once = rig.dials().len();
    rig.wait(Duration::from_secs(2));
    let later = rig.dials();
    assert!(at_once < 5, "not all at the same moment");
    assert_eq!(at_once + later.len(), peers.len() + 1);
    assert!(!later.contains(&Target::Peer(foreign)) && !later.contains(&Target::Peer(banned)));
    for target in &later {
        assert!(!rig.book.failed(target, rig.now), "it has failed before");
    }
    rig.wait(Duration::from_secs(5));
    assert_eq!(rig.dials(), [], "and so the next wait is not short");
}

#[test]
fn hastening_keeps_to_the_bound_of_dials() {
    let mut rig = Rig::new();
    for number in 0..64 {
        rig.add(&format!("/ip4/10.0.1.{number}/tcp/1"), Origin::Bootstrap);
    }
    assert_eq!(rig.dials().len(), MAX_DIALS);
    rig.book.hasten_all(rig.now);
    rig.wait(Duration::from_secs(3));
    assert_eq!(rig.dials(), [], "those under way are still under way");
}

/// A book of which each dial fails seven seconds after it was made.
struct Failing {
    rig: Rig,
    under_way: Vec<(Duration, Target)>,
}

impl Failing {
    /// One with 64 addresses in it.
    fn new() -> Self {
        let mut rig = Rig::new();
        for number in 0..64 {
            rig.add(&format!("/ip4/10.0.1.{number}/tcp/1"), Origin::PeersFile);
        }
        Self { rig, under_way: Vec::new() }
    }

    /// Seconds until `wanted` is dialled, at most 300.
    fn until_dialled(&mut self, wanted: &Target) -> u64 {
        let began = self.rig.now;
        while self.rig.now < began + Duration::from_secs(300) {
            let now = self.rig.now;
            for (_, failed) in self.under_way.extract_if(.., |(until, _)| *until <= now) {
                self.rig.book.failed(&failed, now);
            }
            let dials = self.rig.dials();
            let done = dials.contains(wanted);
            self.under_way.extend(dials.into_iter().map(|target| (now + Duration::from_secs(7), target)));
            assert!(self.under_way.len() <= MAX_DIALS);
            if done {
                return (now - began).as_secs();
            }
            self.rig.wait(Duration::from_millis(250));
        }
        300
    }
}

#[test]
fn addresses_where_nobody_answers_keep_nobody_waiting() {
    let mut failing = Failing::new();
    let peer = Target::Peer(failing.rig.add_peer(1, Origin::Mdns));
    assert!(failing.until_dialled(&peer) < 10);
    assert!(failing.until_dialled(&peer) < 15, "nor when it is tried again");
    let last = Target::Anchor(address("/ip4/10.0.1.63/tcp/1"));
    assert!(Failing::new().until_dialled(&last) < 35, "nor each other");
}

#[test]
fn surplus_connections_are_the_least_trusted_and_newest() {
    let mut rig = Rig::new();
    let mut made = Vec::new();
    let origins = [Origin::Manual, Origin::Local, Origin::Mdns, Origin::Kademlia, Origin::Exchange, Origin::Kademlia];
    for (number, origin) in (0_u16..).zip(origins) {
        let peer = rig.add_peer(number, origin);
        rig.connect(&Target::Peer(peer), peer);
        rig.confirm(peer);
        rig.wait(Duration::from_secs(1));
        made.push(peer);
    }
    let anchored = PeerId::random();
    rig.add("/ip4/10.0.0.99/tcp/1", Origin::Bootstrap);
    rig.dials();
    rig.connect(&Target::Anchor(address("/ip4/10.0.0.99/tcp/1")), anchored);
    rig.confirm(anchored);
    let (inbound, unconfirmed) = (PeerId::random(), rig.add_peer(60, Origin::Exchange));
    rig.book.connected(inbound, Direction::Inbound, None, rig.now);
    rig.confirm(inbound);
    rig.connect(&Target::Peer(unconfirmed), unconfirmed);
    assert_eq!(rig.book.surplus(rig.now, 0, |_| false), [], "too young");
    rig.wait(Duration::from_secs(10));
    assert_eq!(rig.book.surplus(rig.now, 0, |_| false), [made[4], made[5], made[3], made[2]]);
    assert_eq!(rig.book.surplus(rig.now, 5, |_| false), [made[4], made[5]], "7 are ours and confirmed");
    assert_eq!(rig.book.surplus(rig.now, 7, |_| false), []);
    assert_eq!(rig.book.surplus(rig.now, 5, |peer| *peer == made[4]), [made[5], made[3]], "it is needed as a relay");
}

#[test]
fn a_released_peer_has_not_failed_and_is_not_dialled_at_once() {
    let mut rig = Rig::new();
    let made: Vec<_> = (0..3).map(|number| rig.add_peer(number, Origin::Kademlia)).collect();
    for peer in &made {
        rig.connect(&Target::Peer(*peer), *peer);
        rig.confirm(*peer);
    }
    rig.wait(GRACE);
    let surplus = rig.book.surplus(rig.now, 2, |_| false);
    let [released] = surplus[..] else { panic!("one too many") };
    rig.book.release(released);
    assert_eq!(rig.book.surplus(rig.now, 2, |_| false), [], "it is told once");
    rig.book.disconnected(released, rig.now);
    assert_eq!(rig.book.entries[&released].backoff.failures(), 0);
    assert_eq!(rig.book.dials(rig.now, 2, &|_| true), []);
    rig.wait(Duration::from_secs(1));
    assert_eq!(rig.book.dials(rig.now, 3, &|_| true), [], "others would come first");
    for peer in made.iter().filter(|peer| **peer != released) {
        rig.book.disconnected(*peer, rig.now);
    }
    let dials = rig.dials();
    assert!(dials.contains(&Target::Peer(released)), "nobody else is left: {dials:?}");
}

#[test]
fn an_anchor_that_led_to_a_copy_of_us_is_tried_again_after_an_hour() {
    let mut rig = Rig::new();
    rig.add("/ip4/10.0.0.1/tcp/4001", Origin::Bootstrap);
    let target = rig.dials().remove(0);
    rig.book.led_to_ourselves(&target, &address("/ip4/10.0.0.1/tcp/4001"), rig.now);
    rig.wait(OURSELVES - Duration::from_secs(1));
    assert_eq!(rig.dials(), []);
    rig.wait(Duration::from_secs(1));
    assert_eq!(rig.dials(), [target]);
}

#[test]
fn who_opened_the_connection_that_remains_decides_whether_it_is_ours() {
    let mut rig = Rig::new();
    let peer = rig.add_peer(1, Origin::Kademlia);
    rig.book.connected(peer, Direction::Inbound, None, rig.now);
    rig.confirm(peer);
    rig.wait(GRACE);
    assert_eq!(rig.book.surplus(rig.now, 0, |_| false), [], "it came by itself");
    let at = address("/ip4/10.0.0.1/tcp/4001");
    rig.book.turned(peer, Direction::Outbound, &at);
    assert_eq!(rig.book.surplus(rig.now, 0, |_| false), [peer]);
    rig.book.turned(peer, Direction::Inbound, &at);
    assert_eq!(rig.book.surplus(rig.now, 0, |_| false), []);
}
