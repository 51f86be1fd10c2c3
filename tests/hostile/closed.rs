//! A closed chain and those who do not know its secret.

use bard_chain::spec::ChainSpec;
use bard_tests::{
    chain_builder::easy_spec,
    hostile_peer::{DEADLINE, Guise, HostilePeer, sealed},
    process::{Builder, Http, Node},
};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::identity::Keypair;
use tokio::{runtime::Runtime, time::timeout};

use crate::arena::{LITTLE, address, assert_relayed, memory, wait_for_line};

/// The secret of the chain, and of another.
const SECRET: &str = "00112233445566778899aabbccddeeff";

/// The chain of all fights, closed.
fn spec() -> ChainSpec {
    ChainSpec { closed: true, ..easy_spec() }
}

/// A node that knows the secret, on this transport.
fn member(transport: &str, bootstrap: Option<&Node>) -> Node {
    let builder = Builder::default();
    let file = builder.home().join("secret");
    std::fs::write(&file, SECRET).expect("written");
    let builder = builder.chain(&spec()).listen(transport).arg("--chain-secret-file").arg(file);
    let builder = builder.arg("--no-console").arg("--log").arg("info,bard_protocol=debug");
    bootstrap.into_iter().fold(builder, |builder, node| builder.bootstrap(node.address())).start()
}

/// Two that know the secret, connected.
fn members(transport: &str) -> (Node, Node) {
    let node = member(transport, None);
    let honest = member(transport, Some(&node));
    node.wait_for_peers(1);
    honest.wait_for_peers(1);
    assert_relayed(&node, &honest);
    (node, honest)
}

/// That whoever was there did no harm: the members are as they were, and exchange blocks.
fn assert_unharmed(node: &mut Node, honest: &Node, before: u64) {
    assert!(node.is_running(), "the node lives");
    let grown = memory(node).saturating_sub(before);
    assert!(grown <= LITTLE, "{} KiB more memory", grown >> 10);
    assert_eq!(node.peers(), [honest.peer_id()], "nobody else is let in");
    let held = node.stderr().from(0).into_iter().find(|line| line.contains("a fault") || line.contains("banned"));
    assert_eq!(held, None, "a wrong invitation is no fault");
    assert_relayed(node, honest);
    assert_relayed(honest, node);
}

#[test]
fn strangers_without_the_secret_are_told_nothing_over_either_transport() {
    for transport in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"] {
        let (mut node, honest) = members(transport);
        let before = memory(&node);
        for _ in 0..20 {
            // Over QUIC a stranger may be connected for a moment, as it sees it.
            if let Ok(peer) = HostilePeer::connect(&address(&node), &spec(), Guise::default()) {
                assert!(peer.ask(&bard_protocol::SyncRequest::PoolIds).is_err(), "{transport}: it is answered");
                peer.wait_until_disconnected();
                assert_eq!(peer.heard(), Vec::new(), "{transport}: it is asked something");
                assert_eq!(peer.told(), 0, "{transport}: it is told something");
            }
        }
        wait_for_line(&node, &["an incoming connection failed"]);
        assert_unharmed(&mut node, &honest, before);
    }
}

/// Says something where the proof belongs; the node must hang up without a word.
async fn assert_no_word(node: &Node, bytes: &[u8]) {
    let mut sealed = sealed::connect(&address(node), &Keypair::generate_ed25519()).await.expect("Noise is spoken");
    // The node may hang up before it was all said.
    let _ = sealed.channel.write_all(bytes).await;
    let _ = sealed.channel.flush().await;
    let mut said = Vec::new();
    let ended = timeout(DEADLINE, sealed.channel.read_to_end(&mut said)).await;
    assert!(ended.is_ok(), "the node still listens");
    assert_eq!(said, Vec::<u8>::new(), "the node says something to a stranger");
}

#[test]
fn what_is_no_proof_is_hung_up_on_without_a_word() {
    let (mut node, honest) = members("/ip4/127.0.0.1/tcp/0");
    let before = memory(&node);
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let junk: [&[u8]; 4] = [&[0; 32], &[0xff; 4 << 10], sealed::YAMUX_GREETING, &[7; 31]];
        for bytes in junk {
            assert_no_word(&node, bytes).await;
        }
    });
    assert_unharmed(&mut node, &honest, before);
}

#[test]
fn the_nodes_own_proof_is_no_use_to_whoever_sends_it_back() {
    // A node that dials shows its proof first: a stranger that it was sent to keeps that, and dials the node with it.
    let (mut node, honest) = members("/ip4/127.0.0.1/tcp/0");
    let before = memory(&node);
    let runtime = Runtime::new().expect("a runtime");
    let identity = Keypair::generate_ed25519();
    let proof = runtime.block_on(async {
        let mut listening = sealed::Listening::begin().await.expect("a free port");
        let address = format!("{}/p2p/{}", listening.address, identity.public().to_peer_id());
        let asked = async {
            let http = node.file().api.clone();
            tokio::task::spawn_blocking(move || {
                Http::new(&http).post("/api/v1/peers", &serde_json::json!({ "address": address }))
            })
            .await
            .expect("asked")
        };
        let heard = async {
            let mut sealed = listening.accept(&identity).await.expect("Noise is spoken");
            let mut proof = [0; 32];
            sealed.channel.read_exact(&mut proof).await.expect("the dialler shows its proof");
            proof
        };
        let (answer, proof) = tokio::join!(asked, timeout(DEADLINE, heard));
        assert!(answer.status >= 400, "{} {}", answer.status, answer.body);
        proof.expect("the node dials")
    });
    runtime.block_on(async {
        let mut sealed = sealed::connect(&address(&node), &identity).await.expect("Noise is spoken");
        let _ = sealed.channel.write_all(&proof).await;
        let _ = sealed.channel.flush().await;
        let mut said = Vec::new();
        let ended = timeout(DEADLINE, sealed.channel.read_to_end(&mut said)).await;
        assert!(ended.is_ok() && said.is_empty(), "a proof that was sent back is taken");
    });
    assert_unharmed(&mut node, &honest, before);
}
