//! Below libp2p's protocols: plain sockets, and what is encrypted but means nothing.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use bard_tests::hostile_peer::{DEADLINE, sealed};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{Multiaddr, identity::Keypair, multiaddr::Protocol};
use tokio::{runtime::Runtime, time::timeout};

use crate::arena::{Arena, LITTLE, PATIENCE, address};

/// Within what a node hangs up on a connection that gets nowhere; its own limit is 10 s.
const HANG_UP: Duration = Duration::from_secs(15);

fn connect(address: &Multiaddr) -> TcpStream {
    let mut parts = address.iter();
    let (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) = (parts.next(), parts.next()) else {
        panic!("{address} is not IPv4 and TCP")
    };
    let socket = TcpStream::connect((ip, port)).expect("the node listens");
    socket.set_read_timeout(Some(HANG_UP)).expect("a socket");
    socket
}

/// Reads until the node hangs up; what it says until then does not matter.
fn assert_hung_up(mut socket: TcpStream) {
    let mut said = Vec::new();
    // A reset is as good as an end.
    let outcome = socket.read_to_end(&mut said).map_err(|error| error.kind());
    let waited = [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut];
    assert!(!outcome.is_err_and(|kind| waited.contains(&kind)), "the node still listens after {HANG_UP:?}");
}

/// Bytes that follow from a number and look like noise.
fn junk(mut seed: u64, length: usize) -> Vec<u8> {
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn junk_on_the_port_is_hung_up_on() {
    let mut arena = Arena::new();
    let before = arena.look();
    let said: [Vec<u8>; 5] = [
        junk(1, 64 << 10),
        vec![0xff; 64 << 10],
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        [sealed::GREETING, &junk(2, 70_000)].concat(),
        [sealed::GREETING, &[0xff; 70_000]].concat(),
    ];
    for bytes in said {
        let mut socket = connect(&address(&arena.node));
        // The node may hang up before it was all said.
        let _ = socket.write_all(&bytes);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        assert_hung_up(socket);
    }
    arena.wait_for_line(&["an incoming connection failed"]);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn connections_that_say_nothing_or_little_are_let_go() {
    let mut arena = Arena::new();
    let before = arena.look();
    let silent: Vec<_> = (0..30).map(|_| connect(&address(&arena.node))).collect();
    let mut slow: Vec<_> = (0..30).map(|_| connect(&address(&arena.node))).collect();
    // A byte of the greeting at a time: each is progress, the greeting as a whole is late.
    let drip = thread::spawn(move || {
        let began = Instant::now();
        for byte in sealed::GREETING.iter().cycle() {
            slow.retain_mut(|socket| socket.write_all(&[*byte]).is_ok());
            if slow.is_empty() || began.elapsed() > HANG_UP + PATIENCE {
                break;
            }
            thread::sleep(Duration::from_millis(400));
        }
        slow.len()
    });
    silent.into_iter().for_each(assert_hung_up);
    assert_eq!(drip.join().expect("no panic"), 0, "slow connections are still open");
    let stranger = arena.patient_stranger();
    arena.assert_blameless(&stranger);
    drop(stranger);
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn hundreds_of_connections_that_come_and_go_leave_nothing_behind() {
    let mut arena = Arena::new();
    let before = arena.look();
    for round in 0..6 {
        let sockets: Vec<_> = (0..50).map(|_| connect(&address(&arena.node))).collect();
        for (number, mut socket) in sockets.into_iter().enumerate() {
            if number % 2 == 0 {
                let _ = socket.write_all(&junk(round * 50 + number as u64, 100));
            }
        }
    }
    let stranger = arena.patient_stranger();
    arena.assert_blameless(&stranger);
    drop(stranger);
    arena.assert_unharmed(&before, LITTLE);
}

/// Says something inside Noise; the node must hang up.
fn assert_hung_up_inside(greeting: Option<&[u8]>, bytes: &[u8]) {
    let mut arena = Arena::new();
    let before = arena.look();
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let identity = Keypair::generate_ed25519();
        let mut sealed = sealed::connect(&address(&arena.node), &identity).await.expect("Noise is spoken");
        if let Some(greeting) = greeting {
            sealed::greet(&mut sealed.channel, greeting).await.expect("agreed");
        }
        // The node may hang up before it was all said.
        let _ = sealed.channel.write_all(bytes).await;
        let _ = sealed.channel.flush().await;
        let mut said = Vec::new();
        let ended = timeout(DEADLINE, sealed.channel.read_to_end(&mut said)).await;
        assert!(ended.is_ok(), "the node still listens");
    });
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn junk_after_noise_is_hung_up_on() {
    assert_hung_up_inside(None, &junk(3, 32 << 10));
}

#[test]
fn junk_after_yamux_is_hung_up_on() {
    assert_hung_up_inside(Some(sealed::YAMUX_GREETING), &[&[9], &junk(4, 32 << 10)[..]].concat());
}

#[test]
fn a_multiplexed_frame_of_four_gigabytes_is_hung_up_on() {
    // Yamux: version 0, data, no flags, stream 1, a length of 2^32 - 1.
    assert_hung_up_inside(Some(sealed::YAMUX_GREETING), &[0, 0, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]);
}

/// A frame of Yamux: of data (0), a window (1), a ping (2) or a farewell (3).
fn frame(kind: u8, flags: u16, stream: u32, length: u32) -> Vec<u8> {
    [&[0, kind][..], &flags.to_be_bytes(), &stream.to_be_bytes(), &length.to_be_bytes()].concat()
}

#[test]
fn windows_beyond_every_number_are_borne_or_hung_up_on() {
    let mut arena = Arena::new();
    let before = arena.look();
    let runtime = Runtime::new().expect("a runtime");
    // Opened with a window of 4 GiB, widened again and again, on one stream and on hundreds; and pings without end.
    let windows = (0..50).map(|_| frame(1, 0, 1, u32::MAX));
    let streams = (1..400).map(|number| frame(1, 1, 2 * number + 1, u32::MAX));
    let pings = (0..10_000).map(|number| frame(2, 1, 0, number));
    let attacks: [Vec<u8>; 3] = [
        [frame(1, 1, 1, u32::MAX), windows.flatten().collect()].concat(),
        streams.flatten().collect(),
        pings.flatten().collect(),
    ];
    for bytes in attacks {
        runtime.block_on(async {
            let identity = Keypair::generate_ed25519();
            let mut sealed = sealed::connect(&address(&arena.node), &identity).await.expect("Noise is spoken");
            sealed::greet(&mut sealed.channel, sealed::YAMUX_GREETING).await.expect("agreed");
            // The node may hang up before it was all said, and may have something to say until then.
            let _ = sealed.channel.write_all(&bytes).await;
            let _ = sealed.channel.flush().await;
            let _ = timeout(Duration::from_secs(1), sealed.channel.read_to_end(&mut Vec::new())).await;
        });
    }
    arena.assert_unharmed(&before, LITTLE);
}

#[test]
fn a_peer_that_never_says_who_it_is_is_parted_from() {
    let mut arena = Arena::new();
    let before = arena.look();
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let identity = Keypair::generate_ed25519();
        let mut sealed = sealed::connect(&address(&arena.node), &identity).await.expect("Noise is spoken");
        sealed::greet(&mut sealed.channel, sealed::YAMUX_GREETING).await.expect("agreed");
        let mut said = Vec::new();
        let ended = timeout(HANG_UP + PATIENCE, sealed.channel.read_to_end(&mut said)).await;
        assert!(ended.is_ok(), "the silent peer is kept");
        arena.wait_for_line(&["is not known to be of this chain", &identity.public().to_peer_id().to_string()]);
    });
    arena.assert_unharmed(&before, LITTLE);
}
