//! Closed chains, and telling the specification: who knows the secret meets the others, who does not is told nothing.

use std::time::Duration;

use bard_chain::{
    presets,
    spec::{ChainSpec, Subsidy},
};
use bard_protocol::{ChainSecret, ConnectError, FetchConfig, FetchError, Multiaddr, discovery::Origin, fetch};

use crate::rig::{Node, Options};

/// How long somebody asks who gets no answer.
const SHORT: Duration = Duration::from_secs(5);
/// Both transports.
const TRANSPORTS: [&str; 2] = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"];

fn secret(byte: u8) -> Option<ChainSecret> {
    Some(ChainSecret::new([byte; 16]))
}

async fn node(listen: &'static str, secret: Option<ChainSecret>) -> Node {
    let dev = presets::dev();
    let (chain, specification) = (dev.chain_id(), dev.to_toml());
    Node::start(Options { chain, specification, secret, listen: vec![listen], ..Options::default() }).await
}

async fn ask(address: Multiaddr, secret: Option<ChainSecret>) -> Result<ChainSpec, FetchError> {
    let chain = presets::dev().chain_id();
    fetch(FetchConfig { chain, secret, addresses: vec![address], mdns: false, deadline: SHORT }).await
}

#[tokio::test]
async fn members_meet_and_others_do_not() {
    for listen in TRANSPORTS {
        let member = node(listen, secret(1)).await;
        let other_member = node(listen, secret(1)).await;
        assert_eq!(other_member.handle.connect(member.address(), Origin::Manual).await, Ok(member.id()), "{listen}");
        member.meets(&other_member).await;
        for outsider in [secret(2), None] {
            let known = outsider.is_some();
            let outsider = node(listen, outsider).await;
            match outsider.handle.connect(member.address(), Origin::Manual).await {
                Err(ConnectError::Unreachable { reason, .. }) => {
                    assert!(!known || reason.contains("secret"), "{reason}");
                }
                // Without a secret of its own it takes the connection for made, and sees it end.
                Err(ConnectError::Refused { .. }) if !known => {}
                other => panic!("{listen}: {other:?}"),
            }
            assert!(outsider.peers().is_empty());
            assert!(member.handle.connect(outsider.address(), Origin::Manual).await.is_err(), "{listen}");
        }
        assert_eq!(member.peers().len(), 1, "{listen}");
    }
}

#[tokio::test]
async fn a_specification_is_told_to_those_who_may_have_it() {
    for listen in TRANSPORTS {
        let open = node(listen, None).await;
        assert_eq!(ask(open.address(), None).await.ok(), Some(presets::dev()), "{listen}");
        assert_eq!(ask(open.bare_address(), None).await.ok(), Some(presets::dev()), "{listen}");
        let closed = node(listen, secret(1)).await;
        assert_eq!(ask(closed.address(), secret(1)).await.ok(), Some(presets::dev()), "{listen}");
        for outsider in [None, secret(2)] {
            let refused = ask(closed.address(), outsider).await.expect_err("no member").to_string();
            assert!(refused.contains("secret"), "{listen}: {refused}");
        }
    }
}

#[tokio::test]
async fn a_specification_that_is_another_is_not_taken() {
    let dev = presets::dev();
    let altered = ChainSpec { subsidy: Subsidy { amount: 11, ..dev.subsidy }, ..dev.clone() };
    for told in [altered.to_toml(), String::new(), "name = 7".to_owned()] {
        let liar = Options { chain: dev.chain_id(), specification: told, ..Options::default() };
        let liar = Node::start(liar).await;
        let refused = ask(liar.address(), None).await.expect_err("not the one asked for").to_string();
        assert!(refused.contains(&liar.id().to_string()), "{refused}");
        let honest = node(TRANSPORTS[0], None).await;
        let addresses = vec![liar.address(), honest.address()];
        let config = FetchConfig { chain: dev.chain_id(), secret: None, addresses, mdns: false, deadline: SHORT };
        assert_eq!(fetch(config).await.ok(), Some(dev.clone()), "another one is asked");
    }
}

#[tokio::test]
async fn a_node_of_another_chain_has_nothing_to_tell() {
    let other = Node::start(Options::default()).await;
    let refused = ask(other.address(), None).await.expect_err("another chain").to_string();
    assert!(refused.contains("another chain"), "{refused}");
    let nobody = FetchConfig {
        chain: presets::dev().chain_id(),
        secret: None,
        addresses: Vec::new(),
        mdns: false,
        deadline: SHORT,
    };
    assert!(matches!(fetch(nobody).await, Err(FetchError::Nobody)));
}
