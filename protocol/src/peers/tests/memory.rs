//! What is remembered: ways by which a peer was learnt, and peers from one run to the next.

use super::{super::memory::FORGET, *};
use crate::discovery::KnownNode;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn node(peer: PeerId, unseen: Duration) -> KnownNode {
    KnownNode {
        peer,
        addresses: vec![address("/ip4/10.3.3.3/tcp/1")],
        origins: vec![Origin::Manual],
        unseen,
        dialled: false,
    }
}

fn ids(known: &[KnownNode]) -> Vec<PeerId> {
    known.iter().map(|node| node.peer).collect()
}

#[test]
fn every_way_is_remembered_and_the_most_trusted_comes_first() {
    let mut rig = Rig::new();
    let peer = rig.add_peer(1, Origin::Exchange);
    for origin in [Origin::Tracker, Origin::Mdns, Origin::Exchange] {
        rig.add(&format!("/ip4/10.0.0.1/tcp/4001/p2p/{peer}"), origin);
    }
    assert_eq!(rig.book.origins(&peer), [Origin::Mdns, Origin::Tracker, Origin::Exchange]);
    rig.add("/ip4/10.0.0.9/tcp/4001", Origin::PeersFile);
    rig.add("/ip4/10.0.0.9/tcp/4001", Origin::Bootstrap);
    let anchor = Target::Anchor(address("/ip4/10.0.0.9/tcp/4001"));
    assert!(rig.dials().contains(&anchor));
    rig.connect(&anchor, peer);
    rig.confirm(peer);
    let all = [Origin::Bootstrap, Origin::PeersFile, Origin::Mdns, Origin::Tracker, Origin::Exchange];
    assert_eq!(rig.book.origins(&peer), all);
    assert!(!rig.book.entries[&peer].persistent, "the anchor is");
    assert_eq!(rig.book.origins(&PeerId::random()).len(), 1, "never empty");
}

#[test]
fn a_connection_counts_as_what_made_it() {
    let mut rig = Rig::new();
    let [queried, asked, came] = [(); 3].map(|()| PeerId::random());
    let at = address("/ip4/10.4.4.4/tcp/1");
    rig.book.connected_by(queried, Origin::Kademlia, &at, rig.now);
    rig.book.connected(came, Direction::Inbound, None, rig.now);
    let target = Target::Anchor(at.clone());
    rig.book.connected(asked, Direction::Outbound, Some((&target, &at)), rig.now);
    assert_eq!(rig.book.origins(&asked), [Origin::Exchange], "nobody has said why yet");
    [queried, asked, came].into_iter().for_each(|peer| rig.confirm(peer));
    rig.book.keep(Candidate::from_address(at, Origin::Manual), asked, rig.now);
    assert_eq!(rig.book.origins(&queried), [Origin::Kademlia]);
    assert_eq!(rig.book.origins(&came), [Origin::Inbound]);
    assert_eq!(rig.book.origins(&asked), [Origin::Manual]);
    rig.book.learnt(queried, Origin::Rendezvous);
    assert_eq!(rig.book.origins(&queried), [Origin::Rendezvous, Origin::Kademlia]);
}

#[test]
fn a_restored_node_is_dialled_like_any_other_of_the_book() {
    let mut rig = Rig::new();
    let peer = PeerId::random();
    rig.book.restore(vec![node(peer, DAY), node(rig.book.own, DAY)], rig.now);
    assert_eq!(rig.book.entries.len(), 1, "not ourselves");
    assert_eq!(rig.book.origins(&peer), [Origin::Manual, Origin::Book]);
    assert!(!rig.book.entries[&peer].persistent);
    assert_eq!(rig.book.entries[&peer].rank().2, Origin::Book);
    for number in 0..8 {
        rig.add_peer(number, Origin::Mdns);
    }
    let hearsay = rig.add_peer(9, Origin::Exchange);
    let dials = rig.dials();
    assert_eq!(dials.len(), TARGET);
    assert!(
        !dials.contains(&Target::Peer(peer)) && !dials.contains(&Target::Peer(hearsay)),
        "what announces itself first"
    );
    assert!(matches!(&dials[0], Target::Peer(first) if rig.book.entries[first].origin() == Origin::Mdns));
    rig.book.failed(&dials[0], rig.now);
    assert_eq!(rig.dials(), [Target::Peer(peer)], "then what was met, then hearsay");
}

#[test]
fn only_peers_that_were_met_are_remembered() {
    let mut rig = Rig::new();
    let [met, silent, banned, other_chain, restored] = [(); 5].map(|()| PeerId::random());
    rig.book.restore(vec![node(restored, DAY)], rig.now);
    rig.add_peer(1, Origin::Mdns);
    for peer in [met, silent, banned, other_chain] {
        rig.connect(&Target::Peer(peer), peer);
    }
    for peer in [met, banned, other_chain] {
        rig.confirm(peer);
    }
    rig.book.conduct.note(banned, conduct::Fault::Fatal, "false work", rig.now);
    rig.book.foreign(other_chain, "abcd", rig.now);
    rig.wait(Duration::from_secs(50));
    let known = rig.book.known(rig.now);
    assert_eq!(ids(&known), [met, restored]);
    assert_eq!(known[0].unseen, Duration::ZERO, "connected");
    assert_eq!(known[0].addresses, ["/ip4/10.9.9.9/tcp/1", "/ip4/10.7.7.7/tcp/5"].map(address));
    assert_eq!(
        known[1],
        KnownNode { origins: vec![Origin::Manual, Origin::Book], ..node(restored, DAY + Duration::from_secs(50)) }
    );
    rig.book.disconnected(met, rig.now);
    rig.wait(Duration::from_secs(7));
    assert_eq!(rig.book.known(rig.now)[0].unseen, Duration::from_secs(7));

    let mut next = Rig::new();
    next.book.restore(rig.book.known(rig.now), next.now);
    next.wait(Duration::from_secs(1));
    next.connect(&Target::Peer(restored), restored);
    next.book.disconnected(restored, next.now);
    next.wait(Duration::from_secs(2));
    let again = next.book.known(next.now);
    assert_eq!(ids(&again), [restored, met]);
    assert_eq!(again.iter().map(|node| node.unseen.as_secs()).collect::<Vec<_>>(), [2, 10]);
}

#[test]
fn nodes_are_forgotten_after_a_month() {
    let mut rig = Rig::new();
    let [old, older] = [(); 2].map(|()| PeerId::random());
    rig.book.restore(vec![node(older, FORGET + Duration::from_secs(1)), node(old, FORGET)], rig.now);
    assert_eq!(ids(&rig.book.known(rig.now)), [old]);
    rig.wait(Duration::from_secs(1));
    assert_eq!(rig.book.known(rig.now), []);
}

#[test]
fn the_memory_is_bounded_and_keeps_the_latest() {
    let mut rig = Rig::new();
    let nodes: Vec<_> = (0..700).rev().map(|age| node(PeerId::random(), Duration::from_secs(age))).collect();
    rig.book.restore(nodes.clone(), rig.now);
    let known = rig.book.known(rig.now);
    assert_eq!(known.len(), 500);
    let latest: Vec<_> = nodes.iter().rev().take(500).map(|node| node.peer).collect();
    assert_eq!(ids(&known), latest);
}

#[test]
fn loopback_is_remembered_of_this_machine_only() {
    let mut rig = Rig::new();
    let here = vec![address("/ip4/127.0.0.1/tcp/5")];
    let [near, far] = [(); 2].map(|()| PeerId::random());
    for (peer, same_machine) in [(near, true), (far, false)] {
        rig.add(&format!("/ip4/127.0.0.1/tcp/5/p2p/{peer}"), Origin::Mdns);
        rig.book.connected(peer, Direction::Inbound, None, rig.now);
        rig.book.confirmed(peer, here.clone(), same_machine, rig.now);
    }
    let known = rig.book.known(rig.now);
    assert_eq!(ids(&known), [near]);
    assert_eq!(known[0].addresses, here);
    let mut next = Rig::new();
    next.book.restore(known.clone(), next.now);
    assert_eq!(next.book.known(next.now)[0].addresses, here);
}

#[test]
fn hearsay_does_not_push_out_what_was_met() {
    let mut rig = Rig::new();
    let nodes: Vec<_> = (0..500).map(|_| node(PeerId::random(), DAY)).collect();
    rig.book.restore(nodes.clone(), rig.now);
    for number in 0..3000 {
        rig.add_peer(number, if number % 2 == 0 { Origin::Exchange } else { Origin::Kademlia });
    }
    assert_eq!(rig.book.entries.len(), MAX_ENTRIES);
    assert!(nodes.iter().all(|node| rig.book.entries.contains_key(&node.peer)));
}

/// A peer that is of our chain, connects and goes.
fn comes_and_goes(rig: &mut Rig, from: &str) -> PeerId {
    let peer = PeerId::random();
    rig.book.connected(peer, Direction::Inbound, None, rig.now);
    rig.book.came_from(peer, &address(from));
    // It says that it listens in a range of its own.
    let [.., one, two] = peer.to_bytes()[..] else { panic!("an id") };
    rig.book.confirmed(peer, vec![address(&format!("/ip4/9.{one}.{two}.1/tcp/1"))], false, rig.now);
    rig.wait(Duration::from_secs(1));
    rig.book.disconnected(peer, rig.now);
    peer
}

#[test]
fn whoever_comes_with_many_names_drives_out_nobody_that_this_node_chose() {
    let mut rig = Rig::new();
    let chosen: Vec<_> = (1..=8)
        .map(|number: u16| {
            let peer = rig.add_peer(number, Origin::Exchange);
            let at = address(&format!("/ip4/8.8.{number}.1/tcp/1"));
            rig.book.connected(peer, Direction::Outbound, Some((&Target::Peer(peer), &at)), rig.now);
            rig.confirm(peer);
            rig.book.disconnected(peer, rig.now);
            peer
        })
        .collect();
    let crowd: Vec<_> =
        (0..1200).map(|number| comes_and_goes(&mut rig, &format!("/ip4/7.7.7.{}/tcp/1", number % 250))).collect();
    let known = rig.book.known(rig.now);
    let kept = ids(&known);
    assert!(chosen.iter().all(|peer| kept.contains(peer)));
    assert_eq!(crowd.iter().filter(|peer| kept.contains(peer)).count(), 32, "of one range");
    let mut next = Rig::new();
    next.book.restore(known, next.now);
    for number in 0..20 {
        next.add_peer(number, Origin::Tracker);
    }
    let dials = next.dials();
    let first = dials.iter().take(TARGET / 2);
    assert!(first.into_iter().all(|target| matches!(target, Target::Peer(peer) if chosen.contains(peer))), "{dials:?}");
    assert_eq!(dials.len(), TARGET, "and others as well");
}
