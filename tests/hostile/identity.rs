//! Peers that are not of the chain, or not who they should be.

use bard_protocol::topics::Names;
use bard_tests::{
    hostile_peer::{Guise, HostilePeer, sealed},
    process::wait_until,
};
use futures::AsyncReadExt;
use libp2p::identity::Keypair;

use crate::arena::{Arena, LITTLE, PATIENCE, address, attack, faults, id, other_spec, spec};

/// A peer that says this of itself is left alone, without a fault, and named in the log.
fn assert_left_alone(protocol_version: String, named: &str) {
    let mut arena = Arena::new();
    let before = arena.look();
    let guise = Guise { protocol_version: Some(protocol_version), ..Guise::default() };
    let peer_id = guise.identity.public().to_peer_id();
    // It may be gone before it has seen that it was let in.
    if let Ok(peer) = HostilePeer::connect(&address(&arena.node), &spec(), guise) {
        peer.wait_until_disconnected();
    }
    arena.wait_for_line(&["there are nodes of another chain here, they are left alone", &peer_id.to_string(), named]);
    assert_eq!(faults(&arena.node, &peer_id), None, "it is no peer");
    let held = arena.node.stderr().from(0).into_iter().find(|line| line.contains("a fault"));
    assert_eq!(held, None, "nobody is to blame");
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_node_of_another_chain_is_left_alone() {
    let chain = other_spec().chain_id();
    assert_left_alone(Names::new(chain).protocol_version(), &chain.to_string());
}

#[test]
fn other_software_is_left_alone() {
    assert_left_alone("ipfs/0.1.0\r\n\x1b[31m".to_owned(), "ipfs/0.1.0");
}

#[test]
fn a_peer_with_the_nodes_own_identity_is_not_let_in() {
    let mut arena = Arena::new();
    let before = arena.look();
    let twin = Keypair::ed25519_from_bytes(seed_of(&arena)).expect("a seed");
    assert_eq!(twin.public().to_peer_id(), id(&arena.node), "the node's own key");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let closed = runtime.block_on(async {
        let mut sealed = sealed::connect(&address(&arena.node), &twin).await.expect("Noise knows nothing of it");
        // The node may agree on Yamux before it looks who is there; then it hangs up.
        let mut bytes = Vec::new();
        let _ = sealed::greet(&mut sealed.channel, sealed::YAMUX_GREETING).await;
        tokio::time::timeout(PATIENCE, sealed.channel.read_to_end(&mut bytes)).await.is_ok()
    });
    assert!(closed, "the twin is kept");
    arena.wait_for_line(&["an incoming connection failed"]);
    assert_eq!(faults(&arena.node, &id(&arena.node)), None, "the node is no peer of its own");
    arena.assert_unharmed(&before, LITTLE);
}

/// The seed of the node's identity, as a copied data directory would have it.
pub(crate) fn seed_of(arena: &Arena) -> Vec<u8> {
    let text = std::fs::read(arena.node.dir().join("identity.key")).expect("the key file");
    match text.len() {
        32 => text,
        _ => hex::decode(String::from_utf8(text).expect("hex").trim()).expect("hex"),
    }
}

#[test]
fn a_node_does_not_connect_to_itself() {
    let arena = Arena::new();
    for own in [arena.node.address(), arena.node.bare_address()] {
        let answer = arena.node.post("/api/v1/peers", &serde_json::json!({ "address": own }));
        assert!(answer.status >= 400, "{own}: {} {}", answer.status, answer.body);
        assert!(answer.body.contains("is this node itself"), "{own}: {}", answer.body);
    }
    arena.assert_company();
}

#[test]
fn the_same_stranger_twice_is_one_peer() {
    let arena = Arena::new();
    let guise = Guise::default();
    let again = Guise { identity: guise.identity.clone(), ..Guise::default() };
    let first = attack(&arena.node, guise);
    let second = attack(&arena.node, again);
    let third = Guise::default();
    let _third = attack(&arena.node, third);
    wait_until("three peers", PATIENCE, || arena.node.peers().len() == 3);
    drop(second);
    assert!(first.is_connected());
    arena.assert_company();
}
