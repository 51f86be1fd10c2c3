//! One range of the internet has half of what this node chooses, however its peers are found and dialled.

use super::*;

/// A peer of our chain, connected because Kademlia dialled it.
fn queried(rig: &mut Rig, text: &str) -> PeerId {
    let peer = PeerId::random();
    rig.book.connected_by(peer, Origin::Kademlia, &address(text), rig.now);
    rig.book.confirmed(peer, vec![address(text)], false, rig.now);
    rig.wait(Duration::from_secs(1));
    peer
}

#[test]
fn one_range_of_the_internet_has_half_of_the_connections() {
    let mut rig = Rig::new();
    for number in 0..20 {
        rig.add(&format!("/ip4/7.7.7.{number}/tcp/1/p2p/{}", PeerId::random()), Origin::Exchange);
    }
    assert_eq!(rig.dials().len(), TARGET / 2);
    assert_eq!(rig.dials(), []);
    rig.add(&format!("/ip4/7.7.7.99/tcp/1/p2p/{}", PeerId::random()), Origin::Manual);
    rig.add(&format!("/ip4/7.7.8.1/tcp/1/p2p/{}", PeerId::random()), Origin::Exchange);
    assert_eq!(rig.dials().len(), 2, "another range, and whom a person wants");
}

#[test]
fn an_address_elsewhere_hides_no_range() {
    let mut rig = Rig::new();
    for number in 0..20 {
        let peer = PeerId::random();
        rig.add(&format!("/ip4/9.9.{number}.1/tcp/1/p2p/{peer}"), Origin::Exchange);
        rig.add(&format!("/ip4/7.7.7.{number}/tcp/1/p2p/{peer}"), Origin::Exchange);
    }
    let dials = rig.book.dials(rig.now, TARGET, &|_| true);
    let there = |dial: &&Dial| dial.addresses.iter().any(|at| at.to_string().starts_with("/ip4/7.7.7."));
    assert_eq!(dials.iter().filter(there).count(), TARGET / 2, "{dials:?}");
    assert_eq!(dials.len(), TARGET, "the others are looked for where there is room");
    let elsewhere = PeerId::random();
    for dial in dials {
        rig.book.failed(&dial.target, rig.now);
    }
    rig.add(&format!("/ip4/9.9.0.7/tcp/1/p2p/{elsewhere}"), Origin::Tracker);
    assert!(rig.dials().contains(&Target::Peer(elsewhere)), "what failed has no place");
}

#[test]
fn what_is_behind_names_and_relays_has_one_share() {
    let mut rig = Rig::new();
    for number in 0..20 {
        rig.add(&format!("/dns4/host{number}.example/tcp/1/p2p/{}", PeerId::random()), Origin::Tracker);
        let [relay, peer] = [(); 2].map(|()| PeerId::random());
        rig.add(&format!("/ip4/9.9.{number}.1/tcp/1/p2p/{relay}/p2p-circuit/p2p/{peer}"), Origin::Exchange);
    }
    let dials = rig.dials();
    assert_eq!(dials.len(), TARGET / 2);
    for target in &dials {
        let Target::Peer(peer) = target else { panic!("an anchor") };
        rig.book.connected(*peer, Direction::Outbound, Some((target, &address("/dns4/any.example/tcp/1"))), rig.now);
        rig.confirm(*peer);
    }
    assert_eq!(rig.dials(), [], "connected to a name, nobody knows better where it is");
    let wanted = PeerId::random();
    rig.add(&format!("/dns4/teacher.example/tcp/1/p2p/{wanted}"), Origin::Manual);
    assert_eq!(rig.dials(), [Target::Peer(wanted)], "whom a person wants, wherever it is");
}

#[test]
fn what_others_dialled_into_one_range_is_given_up_beyond_its_share() {
    let mut rig = Rig::new();
    let crowd: Vec<_> = (0..7).map(|number| queried(&mut rig, &format!("/ip4/7.7.7.{number}/tcp/1"))).collect();
    let near: Vec<_> = (0..6).map(|number| queried(&mut rig, &format!("/ip4/10.0.0.{number}/tcp/1"))).collect();
    rig.book.learnt(crowd[5], Origin::Mdns);
    rig.add(&format!("/ip4/7.7.7.9/tcp/1/p2p/{}", crowd[6]), Origin::Manual);
    assert_eq!(rig.book.surplus(rig.now, 20, |_| false), [], "20 have room for 10 of one range");
    rig.wait(GRACE);
    let surplus = rig.book.surplus(rig.now, TARGET, |_| false);
    assert_eq!(surplus[0], crowd[4], "the newest of those that nobody asked for");
    assert_eq!(surplus.len(), 13 - TARGET);
    assert!(surplus[1..].iter().all(|peer| near.contains(peer) || crowd.contains(peer)));
    for gone in near {
        rig.book.disconnected(gone, rig.now);
    }
    assert_eq!(rig.book.surplus(rig.now, TARGET, |_| false), [crowd[4]], "however few there are in all");
    assert_eq!(rig.book.surplus(rig.now, TARGET, |peer| *peer == crowd[4]), [], "it is needed");
    rig.book.release(crowd[4]);
    assert_eq!(rig.book.surplus(rig.now, TARGET, |_| false), []);
}

#[test]
fn a_hole_punched_in_place_of_a_circuit_counts_where_it_leads() {
    let mut rig = Rig::new();
    let crowd: Vec<_> = (0..5)
        .map(|number| {
            let [relay, peer] = [(); 2].map(|()| PeerId::random());
            rig.book.connected(peer, Direction::Inbound, None, rig.now);
            rig.book.came_from(peer, &address(&format!("/ip4/9.9.{number}.1/tcp/1/p2p/{relay}/p2p-circuit")));
            rig.confirm(peer);
            rig.book.turned(peer, Direction::Outbound, &address(&format!("/ip4/7.7.7.{number}/tcp/1")));
            rig.wait(Duration::from_secs(1));
            peer
        })
        .collect();
    rig.wait(GRACE);
    assert_eq!(rig.book.surplus(rig.now, TARGET, |_| false), [crowd[4]]);
}

#[test]
fn who_was_met_where_there_is_no_room_is_not_dialled_through_a_relay_again() {
    let mut rig = Rig::new();
    let met: Vec<_> = (0..TARGET / 2 + 1)
        .map(|number| {
            let [relay, peer] = [(); 2].map(|()| PeerId::random());
            let at_relay = format!("/ip4/9.9.{number}.1/tcp/1/p2p/{relay}/p2p-circuit");
            rig.add(&format!("{at_relay}/p2p/{peer}"), Origin::Kademlia);
            rig.book.connected(peer, Direction::Outbound, Some((&Target::Peer(peer), &address(&at_relay))), rig.now);
            rig.book.confirmed(peer, Vec::new(), false, rig.now);
            rig.book.turned(peer, Direction::Outbound, &address(&format!("/ip4/7.7.7.{number}/tcp/1")));
            rig.wait(Duration::from_secs(1));
            peer
        })
        .collect();
    rig.wait(GRACE);
    let newest = *met.last().expect("several");
    assert_eq!(rig.book.surplus(rig.now, TARGET, |_| false), [newest]);
    rig.book.release(newest);
    rig.book.disconnected(newest, rig.now);
    rig.wait(Duration::from_secs(600));
    assert_eq!(rig.dials(), [], "a hole would be punched to the same place");
    rig.book.disconnected(met[0], rig.now);
    rig.wait(Duration::from_secs(600));
    assert!(rig.dials().contains(&Target::Peer(newest)), "there is room now");
}

#[test]
fn whoever_serves_takes_no_place_of_a_peer() {
    let mut rig = Rig::new();
    let point = |rig: &mut Rig, number: usize, origin| {
        let peer = PeerId::random();
        rig.add(&format!("/ip4/7.7.7.{number}/tcp/1/p2p/{peer}"), origin);
        peer
    };
    let points: Vec<_> = (0..TARGET).map(|number| point(&mut rig, number, Origin::Bootstrap)).collect();
    points.iter().for_each(|point| rig.book.serves(*point));
    assert_eq!(rig.dials().len(), TARGET, "the points");
    let peers: Vec<_> = (0..4).map(|number| point(&mut rig, 100 + number, Origin::Kademlia)).collect();
    assert_eq!(rig.dials().len(), peers.len(), "and peers as well, before anybody answers");
    for peer in points.iter().chain(&peers) {
        rig.connect(&Target::Peer(*peer), *peer);
    }
    for peer in &peers {
        rig.book.serves(*peer);
    }
    let others: Vec<_> = (0..4).map(|number| point(&mut rig, 200 + number, Origin::Kademlia)).collect();
    assert_eq!(rig.dials().len(), others.len(), "those who say that they serve have no places, nor any of their range");
    for peer in &others {
        rig.connect(&Target::Peer(*peer), *peer);
        rig.confirm(*peer);
        rig.book.serves(*peer);
        rig.add_peer(1, Origin::Kademlia);
        rig.add_peer(2, Origin::Kademlia);
    }
    assert_eq!(rig.dials().len(), TARGET - others.len(), "a peer of our chain that says so as well keeps its place");
    peers.iter().for_each(|peer| rig.confirm(*peer));
    assert_eq!(rig.book.outbound(), others.len() + 4 + peers.len(), "nor does a peer of ours that said so before");
}
