//! Peers that say again and again who they are, and what they make up about the node.

use bard_tests::process::wait_until;
use libp2p::{Multiaddr, multiaddr::Protocol};

use crate::arena::{Arena, LITTLE, PATIENCE};

/// An address of a form of its own.
fn made_up(number: u32) -> Multiaddr {
    let end = if number.is_multiple_of(2) { Protocol::QuicV1 } else { Protocol::P2pCircuit };
    let parts = (0..8).map(|bit| if number >> bit & 1 == 0 { Protocol::Tcp(1) } else { Protocol::Udp(1) });
    let start = Multiaddr::from(Protocol::Ip4([8, 8, 8, 8].into()));
    parts.chain([end]).fold(start, Multiaddr::with)
}

#[test]
fn addresses_that_a_peer_makes_up_leave_no_trace() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    for number in 0..100 {
        peer.introduce(&made_up(number)).expect("a push is taken");
    }
    arena.assert_blameless(&peer);
    let measures = arena.node.get("/metrics").body;
    assert!(measures.contains("libp2p_identify_received_total"), "{measures}");
    let traces: Vec<&str> =
        measures.lines().filter(|line| line.contains("/tcp/tcp") || line.contains("/udp/tcp")).collect();
    assert_eq!(traces, Vec::<&str>::new());
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn who_says_without_end_who_he_is_is_parted_from() {
    let mut arena = Arena::new();
    let before = arena.look();
    let peer = arena.stranger();
    let mut number = 0;
    wait_until("it is parted from", PATIENCE * 3, || {
        number += 1;
        peer.introduce(&made_up(number)).is_err() || !peer.is_connected()
    });
    assert!(number > 200, "only {number}: an honest peer may do so, too");
    arena.assert_fault(&peer, "serious", "says without end who it is");
    peer.wait_until_disconnected();
    arena.assert_unharmed(&before, LITTLE);
}
