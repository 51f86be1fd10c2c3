//! Real nodes over the loopback interface, on ports that the system chooses.

mod closed;
mod local;
mod meeting;
mod points;
mod rig;
mod ways;

use std::time::Duration;

use bard_chain::{
    hash::{BlockId, ChainId},
    units::{Height, Timestamp, Work},
};
use bard_protocol::{
    Agent, ConnectError, Fault, NetworkError, NetworkEvent, Origin, PeerId, RefusedReason, RequestError, Status,
    SyncRequest, SyncResponse, Verdict,
};
use rig::{CHAIN, DEADLINE, Node, Options, eventually};

fn status(height: u64) -> Status {
    Status {
        chain: CHAIN,
        height: Height::new(height),
        tip: BlockId::ZERO,
        work: Work::ZERO,
        agent: Agent::new("test"),
        clock: Timestamp::new(1),
        blocks_from: Height::new(1),
    }
}

#[tokio::test]
async fn two_nodes_meet_by_bootstrap_with_and_without_a_peer_id() {
    for with_peer_id in [true, false] {
        let one = Node::start(Options::default()).await;
        let address = if with_peer_id { one.address() } else { one.bare_address() };
        let two = Node::start(Options { bootstrap: vec![address.clone()], ..Options::default() }).await;
        one.meets(&two).await;
        two.meets(&one).await;
        let peer = two.peers().remove(0);
        assert_eq!((peer.origins[0], peer.transport), (Origin::Bootstrap, "tcp"));
        assert_eq!(peer.addresses, [one.bare_address()]);
        assert_eq!(peer.agent.as_str(), "bard/test");
        assert_eq!(one.peers().remove(0).origins[0], Origin::Inbound);
        eventually("a ping", || two.peers().first().is_some_and(|peer| peer.rtt.is_some())).await;
    }
}

#[tokio::test]
async fn quic_works_alone() {
    let one = Node::start(Options { listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1"], ..Options::default() }).await;
    let two = Node::start(Options { bootstrap: vec![one.address()], ..Options::default() }).await;
    two.meets(&one).await;
    assert_eq!(two.peers().remove(0).transport, "quic");
}

#[tokio::test]
async fn gossip_is_forwarded_only_after_it_was_accepted() {
    // A chain of three. `middle` tells the other two of each other, so they are kept apart by bans.
    let mut middle = Node::start(Options::default()).await;
    let first = Node::start(Options { bootstrap: vec![middle.address()], ..Options::default() }).await;
    let mut last = Node::start(Options { bootstrap: vec![middle.address()], ..Options::default() }).await;
    last.handle.penalise(first.id(), Fault::Fatal, "kept apart".into()).await;
    first.handle.penalise(last.id(), Fault::Fatal, "kept apart".into()).await;
    middle.meets(&first).await;
    middle.meets(&last).await;

    first.handle.publish_block(vec![1; 50_000]).await;
    let NetworkEvent::Block { source, id, bytes } = middle.event().await else { panic!("a block") };
    assert_eq!((source, bytes), (first.id(), vec![1; 50_000]));
    assert!(last.hears_nothing_for(Duration::from_millis(1500)).await, "not before the verdict");
    middle.handle.report(id, Verdict::Accept).await;
    let NetworkEvent::Block { source, bytes, .. } = last.event().await else { panic!("a block") };
    assert_eq!((source, bytes), (middle.id(), vec![1; 50_000]));

    let transactions: Vec<Vec<u8>> = (1..=3).map(|number| vec![number; 200]).collect();
    first.handle.publish_transactions(transactions.clone()).await;
    let NetworkEvent::Transactions { id, batch, .. } = middle.event().await else { panic!("transactions") };
    assert_eq!(batch, transactions);
    middle.handle.report(id, Verdict::Reject).await;
    first.handle.publish_transactions(vec![vec![9; 200]]).await;
    let NetworkEvent::Transactions { id, .. } = middle.event().await else { panic!("transactions") };
    middle.handle.report(id, Verdict::Accept).await;
    let NetworkEvent::Transactions { batch, .. } = last.event().await else { panic!("transactions") };
    assert_eq!(batch, [vec![9; 200]], "what was rejected was not forwarded");
}

#[tokio::test]
async fn what_is_published_before_anybody_is_there_arrives_later() {
    let one = Node::start(Options::default()).await;
    one.handle.publish_block(vec![5; 100]).await;
    one.handle.publish_transactions(vec![vec![6; 100]]).await;
    let mut two = Node::start(Options { bootstrap: vec![one.address()], ..Options::default() }).await;
    let (mut block, mut batch) = (false, false);
    while !(block && batch) {
        match two.event().await {
            NetworkEvent::Block { bytes, .. } => block = bytes == vec![5; 100],
            NetworkEvent::Transactions { batch: received, .. } => batch = received == [vec![6; 100]],
            NetworkEvent::CompactBlock { .. } | NetworkEvent::Request { .. } => {}
        }
    }
}

#[tokio::test]
async fn the_largest_blocks_arrive_though_sent_back_to_back() {
    let one = Node::start(Options::default()).await;
    let mut two = Node::start(Options { bootstrap: vec![one.address()], ..Options::default() }).await;
    two.meets(&one).await;
    one.handle.publish_block(vec![0; 10]).await;
    assert!(matches!(two.event().await, NetworkEvent::Block { .. }), "they gossip");
    for number in 1..=10 {
        one.handle.publish_block(vec![number; rig::MAX_BLOCK_LEN]).await;
    }
    let mut arrived: Vec<u8> = Vec::new();
    while arrived.len() < 10 {
        let NetworkEvent::Block { bytes, .. } = two.event().await else { panic!("a block") };
        assert_eq!(bytes.len(), rig::MAX_BLOCK_LEN);
        arrived.extend(bytes.first());
    }
    arrived.sort_unstable();
    assert_eq!(arrived, (1..=10).collect::<Vec<u8>>());
}

#[tokio::test]
async fn questions_are_answered_declined_or_time_out() {
    let mut one = Node::start(Options::default()).await;
    let two = Node::start(Options { bootstrap: vec![one.address()], ..Options::default() }).await;
    two.meets(&one).await;
    let (id, handle) = (one.id(), two.handle.clone());

    let asking = tokio::spawn(async move {
        let answer = handle.request(id, SyncRequest::Status(status(3)), DEADLINE).await;
        let declined = handle.request(id, SyncRequest::PoolIds, DEADLINE).await;
        let wrong = handle.request(id, SyncRequest::PoolIds, DEADLINE).await;
        let late = handle.request(id, SyncRequest::PoolIds, Duration::from_millis(300)).await;
        let large = handle.request(id, SyncRequest::Blocks { ids: vec![BlockId::ZERO; 9] }, DEADLINE).await;
        (answer, declined, wrong, late, large)
    });
    let NetworkEvent::Request { peer, request, reply } = one.event().await else { panic!("a request") };
    assert_eq!((peer, request), (two.id(), SyncRequest::Status(status(3))));
    reply.send(SyncResponse::Status(status(7)));
    let NetworkEvent::Request { reply, .. } = one.event().await else { panic!("a request") };
    drop(reply);
    let NetworkEvent::Request { reply, .. } = one.event().await else { panic!("a request") };
    reply.send(SyncResponse::Blocks(vec![vec![1]]));
    let NetworkEvent::Request { reply: unanswered, .. } = one.event().await else { panic!("a request") };
    let NetworkEvent::Request { reply, .. } = one.event().await else { panic!("a request") };
    reply.send(SyncResponse::Blocks(vec![vec![0; rig::MAX_BLOCK_LEN]; 9]));
    let (answer, declined, wrong, late, large) = asking.await.expect("no panic");
    drop(unanswered);
    assert_eq!(answer, Ok(SyncResponse::Status(status(7))));
    assert_eq!(declined, Err(RequestError::Refused(RefusedReason::Busy)));
    assert!(matches!(wrong, Err(RequestError::Malformed(_))), "{wrong:?}");
    assert_eq!(late, Err(RequestError::Timeout));
    assert_eq!(large, Err(RequestError::Refused(RefusedReason::TooLarge)));
    eventually("the ledger shows the fault", || two.peers().first().is_some_and(|peer| peer.faults.len() == 1)).await;

    let nobody = two.handle.request(PeerId::random(), SyncRequest::PoolIds, DEADLINE).await;
    assert_eq!(nobody, Err(RequestError::NotConnected));
    one.handle.stop().await;
    let gone = two.handle.request(id, SyncRequest::PoolIds, DEADLINE).await;
    assert!(matches!(gone, Err(RequestError::NotConnected | RequestError::Closed)), "{gone:?}");
}

#[tokio::test]
async fn too_many_questions_are_declined_here_and_there() {
    let mut one = Node::start(Options::default()).await;
    let two = Node::start(Options { bootstrap: vec![one.address()], ..Options::default() }).await;
    two.meets(&one).await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (id, handle) = (one.id(), two.handle.clone());
        let question = SyncRequest::Headers { locator: Vec::new(), limit: 1 };
        asking.spawn(async move { handle.request(id, question, DEADLINE).await });
    }
    let mut busy = 0;
    while busy < 4 {
        let declined = asking.join_next().await.expect("some are declined").expect("no panic");
        assert_eq!(declined, Err(RequestError::Busy));
        busy += 1;
    }
    for _ in 0..16 {
        let NetworkEvent::Request { reply, .. } = one.event().await else { panic!("a request") };
        reply.send(SyncResponse::Headers(Vec::new()));
    }
    while let Some(answer) = asking.join_next().await {
        assert_eq!(answer.expect("no panic"), Ok(SyncResponse::Headers(Vec::new())));
    }
}

#[tokio::test]
async fn nodes_of_another_chain_are_recognised_and_left_alone() {
    let other_chain = ChainId::new([2; 32]);
    let one = Node::start(Options::default()).await;
    let other = Node::start(Options { chain: other_chain, ..Options::default() }).await;
    let error = one.handle.connect(other.address(), Origin::Manual).await.expect_err("another chain");
    assert_eq!(error, ConnectError::OtherChain { address: other.address(), chain: other_chain.to_string() });

    let third =
        Node::start(Options { bootstrap: vec![one.address(), other.bare_address()], ..Options::default() }).await;
    third.meets(&one).await;
    assert_eq!(third.peers().len(), 1);
    assert!(other.peers().is_empty());
}

#[tokio::test]
async fn connecting_says_plainly_what_is_wrong() {
    let one = Node::start(Options::default()).await;
    let two = Node::start(Options::default()).await;
    assert_eq!(one.handle.connect(two.bare_address(), Origin::Manual).await, Ok(two.id()));
    assert_eq!(one.handle.connect(two.address(), Origin::Manual).await, Ok(two.id()), "connected already");
    assert_eq!(one.peers().remove(0).origins[0], Origin::Manual);

    let own = one.handle.connect(one.bare_address(), Origin::Manual).await.expect_err("itself");
    assert!(matches!(own, ConnectError::OwnAddress { .. }), "{own}");
    let own = one.handle.connect(one.address(), Origin::Manual).await.expect_err("itself");
    assert!(matches!(own, ConnectError::OwnAddress { .. }), "{own}");

    let closed = rig::closed_port();
    let error = one.handle.connect(closed.clone(), Origin::Manual).await.expect_err("nobody");
    assert_eq!(error.to_string(), format!("cannot reach {closed}: nothing listens there"));

    let unusable = "/ip4/0.0.0.0/tcp/5".parse().expect("a multiaddress");
    let error = one.handle.connect(unusable, Origin::Manual).await.expect_err("nowhere");
    assert!(matches!(error, ConnectError::Unusable { .. }), "{error}");

    let stranger = two.bare_address().with_p2p(PeerId::random()).expect("an address");
    let error = one.handle.connect(stranger, Origin::Manual).await.expect_err("another node");
    assert!(error.to_string().contains(&format!("another node answers there: {}", two.id())), "{error}");

    two.handle.penalise(one.id(), Fault::Fatal, "test".into()).await;
    eventually("the ban closes the connection", || one.peers().is_empty()).await;
    let error = two.handle.connect(one.address(), Origin::Manual).await.expect_err("banned");
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_node_that_comes_back_is_dialled_again() {
    let one = Node::start(Options::default()).await;
    let (address, identity) = (one.bare_address(), one.identity.clone());
    let two = Node::start(Options { bootstrap: vec![address.clone()], ..Options::default() }).await;
    two.meets(&one).await;
    one.stop().await;
    eventually("the peer is gone", || two.peers().is_empty()).await;

    let again =
        Node::start(Options { listen_at: Some(address.clone()), identity: Some(identity), ..Options::default() });
    let again = again.await;
    two.meets(&again).await;
    again.stop().await;
    eventually("the peer is gone", || two.peers().is_empty()).await;

    let successor = Node::start(Options { listen_at: Some(address), ..Options::default() }).await;
    two.meets(&successor).await;
}

#[tokio::test]
async fn the_network_outlives_the_node_that_brought_it_together() {
    let first = Node::start(Options::default()).await;
    let two = Node::start(Options { bootstrap: vec![first.address()], ..Options::default() }).await;
    two.meets(&first).await;
    let three = Node::start(Options { bootstrap: vec![first.address()], ..Options::default() }).await;
    three.meets(&two).await;
    first.stop().await;
    eventually("the others stay connected", || two.peers().len() == 1 && three.peers().len() == 1).await;
    three.meets(&two).await;
}

#[tokio::test]
async fn a_taken_port_is_named_or_avoided() {
    let one = Node::start(Options::default()).await;
    for listen in [one.bare_address()] {
        let error = rig::start_at(listen.clone(), false).await.expect_err("taken");
        assert!(matches!(&error, NetworkError::Listen { address, .. } if *address == listen), "{error}");
        assert_eq!(error.to_string(), format!("cannot listen on {listen}: the port is already in use"));
        let elsewhere = rig::start_at(listen.clone(), true).await.expect("another port");
        assert_ne!(elsewhere.handle.listen_addresses()[0], one.address());
    }
    let quic = Node::start(Options { listen: vec!["/ip4/127.0.0.1/udp/0/quic-v1"], ..Options::default() }).await;
    let error = rig::start_at(quic.bare_address(), false).await.expect_err("taken");
    assert!(error.to_string().ends_with("the port is already in use"), "{error}");
    rig::start_at(quic.bare_address(), true).await.expect("another port");
}

#[tokio::test]
async fn both_may_dial_at_once_and_stay_connected() {
    let one = Node::start(Options::default()).await;
    let two = Node::start(Options::default()).await;
    let (a, b) = tokio::join!(
        one.handle.connect(two.address(), Origin::Manual),
        two.handle.connect(one.address(), Origin::Manual)
    );
    assert_eq!((a, b), (Ok(two.id()), Ok(one.id())));
    one.meets(&two).await;
    two.meets(&one).await;
    assert!(one.peers()[0].addresses.len() <= 2);
}

#[tokio::test]
async fn hostile_frames_hurt_only_their_sender() {
    let mut one = Node::start(Options::default()).await;
    let honest = Node::start(Options { bootstrap: vec![one.address()], ..Options::default() }).await;
    honest.meets(&one).await;
    let mut hostile = rig::hostile::Hostile::connect(&one).await;
    one.meets_id(hostile.id()).await;
    // A claim of 4 GB, an unknown version, junk: each is answered "malformed" and counted.
    for frame in
        [vec![0xff, 0xff, 0xff, 0xff, 1, 0x81, 3], vec![0, 0, 0, 3, 9, 0x81, 3], vec![0, 0, 0, 3, 1, 0xff, 0xff]]
    {
        let answer = hostile.exchange(frame).await;
        assert_eq!(answer, [0, 0, 0, 4, 1, 0x82, 5, 3], "refused as malformed");
    }
    eventually("three faults", || one.peers().iter().any(|peer| peer.id == hostile.id() && peer.faults.len() == 3))
        .await;
    let faults = one.peers().into_iter().find(|peer| peer.id == hostile.id()).expect("connected").faults;
    assert!(faults[0].contains("4294967295 bytes"), "{faults:?}");
    assert!(faults[1].contains("frame version 9, only version 1 is known"), "{faults:?}");

    // The honest one is served all the while.
    let (id, handle) = (one.id(), honest.handle.clone());
    let asking = tokio::spawn(async move { handle.request(id, SyncRequest::PoolIds, DEADLINE).await });
    let NetworkEvent::Request { reply, .. } = one.event().await else { panic!("a request") };
    reply.send(SyncResponse::PoolIds(Vec::new()));
    assert_eq!(asking.await.expect("no panic"), Ok(SyncResponse::PoolIds(Vec::new())));

    // Gossip that is no batch is rejected and counted; five serious faults ban.
    hostile.gossip_transactions(vec![0xff; 20]).await;
    hostile.gossip_transactions(vec![0xff; 21]).await;
    eventually("banned", || one.peers().iter().all(|peer| peer.id != hostile.id())).await;
    assert_eq!(one.peers().len(), 1);
}

#[tokio::test]
async fn a_node_that_listens_to_nobody_loses_gossip_and_nothing_else() {
    // The events of `deaf` are never taken: its queue fills, and it goes on answering "busy".
    let deaf = Node::start(Options::default()).await;
    let two = Node::start(Options { bootstrap: vec![deaf.address()], ..Options::default() }).await;
    two.meets(&deaf).await;
    for number in 0..1200_u32 {
        two.handle.publish_transactions(vec![number.to_be_bytes().to_vec()]).await;
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let id = deaf.id();
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let answer = two.handle.request(id, SyncRequest::PoolIds, Duration::from_millis(500)).await;
        match answer {
            Err(RequestError::Refused(RefusedReason::Busy)) => break,
            _ => assert!(tokio::time::Instant::now() < deadline, "never busy: {answer:?}"),
        }
    }
    assert_eq!(two.peers().len(), 1);
}

#[tokio::test]
async fn the_driver_ends_when_it_is_stopped_or_forgotten() {
    let one = Node::start(Options::default()).await;
    one.handle.stop().await;
    one.handle.stop().await;
    let error = one.handle.connect(rig::closed_port(), Origin::Manual).await.expect_err("stopped");
    assert_eq!(error, ConnectError::Closed);

    let network = rig::start_at("/ip4/127.0.0.1/tcp/0".parse().expect("a multiaddress"), false).await.expect("started");
    let running = tokio::spawn(network.driver.run());
    drop(network.handle);
    tokio::time::timeout(DEADLINE, running).await.expect("it ends").expect("no panic");
}
