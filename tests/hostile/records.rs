//! Kademlia's records that nobody wants, and peers that are not there.

use std::{
    io::Read,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bard_protocol::topics::Names;
use bard_tests::{
    hostile_peer::{Guise, HostilePeer, gossip::PROTOCOL as GOSSIP, records},
    process::wait_until,
};
use libp2p::{Multiaddr, PeerId};
use serde_json::json;

use crate::arena::{Arena, LITTLE, MIB, PATIENCE, spec};

/// Connections to new peers that the stack itself may make at once.
const DIALS: usize = 8;
/// Strangers who tell of peers that are not there, 60 each with 7 addresses: 10,080 in all.
const LIARS: usize = 24;
/// For how long the node's dials are watched.
const WATCHED: Duration = Duration::from_secs(6);

/// Writes messages on streams of their own, some on each, and reads what the node says.
fn tell(peer: &HostilePeer, messages: impl IntoIterator<Item = Vec<u8>>) -> usize {
    let messages: Vec<Vec<u8>> = messages.into_iter().collect();
    let mut answered = 0;
    for some in messages.chunks(20) {
        let mut stream = peer.open(&peer.names().kademlia()).expect("the node speaks Kademlia");
        stream.write(&some.concat()).and_then(|()| stream.finish()).expect("the node reads on");
        answered += stream.read_to_end().expect("the node ends the stream").len();
    }
    answered
}

#[test]
fn records_of_strangers_are_not_kept() {
    let mut arena = Arena::terse();
    let before = arena.look();
    let peer = arena.stranger();
    // 64 MiB of values.
    let value = vec![0x55; 8 << 10];
    tell(&peer, (0..8_000_u32).map(|number| records::put(&number.to_be_bytes(), &value)));
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn providers_of_anything_are_not_kept() {
    let mut arena = Arena::terse();
    let before = arena.look();
    let peer = arena.stranger();
    let somewhere: Vec<Multiaddr> =
        (0..20).map(|port| format!("/ip4/8.8.8.8/tcp/{}", 4_000 + port).parse().expect("an address")).collect();
    let claims = (0..10_000_u32).map(|number| records::provide(&number.to_be_bytes(), peer.id(), &somewhere));
    tell(&peer, claims);
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn questions_without_end_for_who_is_near_are_answered_and_harm_nobody() {
    let mut arena = Arena::terse();
    let before = arena.look();
    let peer = arena.stranger();
    let answered = tell(&peer, (0..4_000).map(|_| records::find(&PeerId::random().to_bytes())));
    assert!(answered >= 4_000, "{answered} bytes of answers");
    arena.assert_blameless(&peer);
    arena.assert_unharmed(&before, LITTLE);
}

/// Addresses where nobody should be sent, and one of a trap.
fn poison(number: usize, trap: u16) -> Vec<Multiaddr> {
    let forms = [
        format!("/ip4/127.0.0.1/tcp/{trap}"),
        "/ip4/224.0.0.251/udp/5353/quic-v1".to_owned(),
        "/ip4/255.255.255.255/tcp/9".to_owned(),
        "/ip4/0.0.0.0/tcp/22".to_owned(),
        "/ip6/ff02::1/tcp/80".to_owned(),
        "/dns4/localhost/tcp/80".to_owned(),
        format!("/dns4/{number}.example.invalid/tcp/443"),
    ];
    forms.iter().map(|form| form.parse().expect("an address")).collect()
}

/// Takes every connection, says nothing, and counts those that came and those that stand.
fn catch(trap: &TcpListener, knocks: &AtomicUsize, held: &Arc<AtomicUsize>) {
    for mut socket in trap.incoming().flatten() {
        knocks.fetch_add(1, Ordering::Relaxed);
        held.fetch_add(1, Ordering::Relaxed);
        let held = Arc::clone(held);
        std::thread::spawn(move || {
            // Until the node gives it up; what it says does not matter.
            let _ = socket.read_to_end(&mut Vec::new());
            held.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

#[test]
fn addresses_of_peers_that_are_not_there_are_not_kept_and_few_are_tried_at_once() {
    let trap = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = trap.local_addr().expect("an address").port();
    let (knocks, held) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&knocks), Arc::clone(&held));
    // It ends with the process of this test: nobody knocks any more then.
    std::thread::spawn(move || catch(&trap, &counts.0, &counts.1));
    let mut arena = Arena::terse();
    let before = arena.look();
    let names = Names::new(spec().chain_id());
    let offers = vec![names.sync(), names.peers(), names.kademlia(), GOSSIP.to_owned()];
    // As many as one answer holds, and others of each stranger.
    let liars: Vec<HostilePeer> = (0..LIARS)
        .map(|liar| {
            let crowd: Vec<_> = (0..60).map(|one| (PeerId::random(), poison(liar * 60 + one, port))).collect();
            let answer = records::found(crowd.iter().map(|(id, addresses)| (*id, &addresses[..])));
            assert!(answer.len() < 16 << 10, "{} bytes are no answer", answer.len());
            let says = Some(("/kad/1", answer));
            let guise = Guise { offers: Some(offers.clone()), says, ..Guise::default() };
            // Kademlia asks only those of whom it knows where they listen.
            let (peer, address) = HostilePeer::listening(&spec(), guise);
            arena.node.post("/api/v1/peers", &json!({ "address": address.to_string() })).success();
            peer
        })
        .collect();
    wait_until("they are known", PATIENCE, || arena.node.peers().len() == 1 + liars.len());
    wait_until("they are asked", PATIENCE, || knocks.load(Ordering::Relaxed) > 0);
    // Wherever such a dial leads, it takes one of a few places for as long as it lasts.
    let mut most = 0;
    let watch = Instant::now();
    wait_until("a query has come to its end", PATIENCE, || {
        most = most.max(held.load(Ordering::Relaxed));
        watch.elapsed() > WATCHED
    });
    assert!(most <= DIALS, "{most} connections to the trap at once");
    let known = arena.node.get("/api/v1/peers").body;
    assert!(!known.contains("example.invalid") && !known.contains("224.0.0"), "what is not there is known: {known}");
    liars.iter().for_each(|liar| arena.assert_blameless(liar));
    drop(liars);
    arena.assert_unharmed(&before, LITTLE + 8 * MIB);
}
