//! Two hundred connections from one range of addresses of the internet: half of the places, and nobody else is kept out.

use std::{net::TcpStream, time::Duration};

use bard_chain::presets;
use bard_tests::{
    hostile_peer::{Guise, HostilePeer, sealed},
    netns::{inside, prepare_loopback},
    process::{Node, PATIENCE, TrackerBuilder, wait_for, wait_until},
};
use futures::{AsyncReadExt, future::join_all};
use libp2p::{Multiaddr, identity::Keypair, multiaddr::Protocol};
use tokio::{runtime::Runtime, time::timeout};

/// Connections that are attempted, and how many at once.
const CROWD: usize = 200;
const AT_ONCE: usize = 10;
/// Places for one range: half of the 64 for all.
const OF_ONE_RANGE: usize = 32;
/// How long a connection that is one too many may still stand.
const GIVEN_UP: Duration = Duration::from_secs(3);
/// What the crowd may cost, in bytes.
const GROWTH: u64 = 48 << 20;
/// How long a newcomer may take: less than the 10 s after which those who say nothing are given up.
const SOON: Duration = Duration::from_secs(5);

/// Where a node listens, by the beginning of the address.
fn at(node: &Node, start: &str) -> Multiaddr {
    let found = node.file().listen.iter().find(|address| address.starts_with(start));
    let bare = found.unwrap_or_else(|| panic!("no {start} in {:?}", node.file().listen));
    bare.split("/p2p/").next().unwrap_or_default().parse().unwrap()
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn one_range_of_addresses_takes_half_of_the_places_and_no_more() {
    if !inside("one_range::one_range_of_addresses_takes_half_of_the_places_and_no_more") {
        return;
    }
    // Whoever connects to an address of this machine comes from that same address.
    prepare_loopback("45.10.0.1");
    prepare_loopback("46.20.0.1");
    let mut node = Node::builder().listen("/ip4/0.0.0.0/tcp/0").arg("--no-console").start();
    let before = node.memory();
    let crowded = at(&node, "/ip4/45.10.0.1/");
    let runtime = Runtime::new().unwrap();
    let come = || async {
        let mut sealed = sealed::connect(&crowded, &Keypair::generate_ed25519()).await?;
        sealed::greet(&mut sealed.channel, sealed::YAMUX_GREETING).await?;
        Ok::<_, std::io::Error>(sealed)
    };
    let is_kept = async |connection: &mut sealed::Sealed| {
        timeout(GIVEN_UP, connection.channel.read_to_end(&mut Vec::new())).await.is_err()
    };
    let mut held = runtime.block_on(async {
        let mut held = Vec::new();
        for _ in 0..CROWD / AT_ONCE {
            held.extend(join_all((0..AT_ONCE).map(|_| come())).await.into_iter().flatten());
        }
        held
    });
    // The crowd holds its places, and somebody from elsewhere is let in.
    let elsewhere = at(&node, "/ip4/46.20.0.1/");
    let spec = presets::dev();
    let newcomer =
        wait_for("a newcomer is let in", PATIENCE, || HostilePeer::connect(&elsewhere, &spec, Guise::default()).ok());
    wait_until("it is known", PATIENCE, || node.peers().contains(&newcomer.id().to_string()));
    let kept = runtime.block_on(async { join_all(held.iter_mut().map(is_kept)).await });
    let kept = kept.into_iter().filter(|is_kept| *is_kept).count();
    assert!(held.len() >= OF_ONE_RANGE / 2, "only {} connections were made at all", held.len());
    assert!(kept <= OF_ONE_RANGE, "{kept} of {} connections of one range are kept", held.len());
    assert!(newcomer.is_connected(), "the newcomer was parted from");
    assert!(node.is_running(), "the node lives");
    let grown = node.memory().saturating_sub(before);
    assert!(grown <= GROWTH, "{} MiB more memory", grown >> 20);
    drop(held);
    assert_eq!(node.mine(1).len(), 1);
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn silent_sockets_from_one_range_keep_nobody_from_a_tracker() {
    if !inside("one_range::silent_sockets_from_one_range_keep_nobody_from_a_tracker") {
        return;
    }
    prepare_loopback("45.10.0.1");
    prepare_loopback("46.20.0.1");
    let tracker = TrackerBuilder::default().arg("--listen").arg("/ip4/0.0.0.0/tcp/0").start();
    let listening: Multiaddr = tracker.address().parse().unwrap();
    let port =
        listening.iter().find_map(|part| if let Protocol::Tcp(port) = part { Some(port) } else { None }).unwrap();
    let silent: Vec<_> = (0..CROWD).map(|_| TcpStream::connect(("45.10.0.1", port)).unwrap()).collect();
    let elsewhere: Multiaddr = format!("/ip4/46.20.0.1/tcp/{port}").parse().unwrap();
    let identity = Keypair::generate_ed25519();
    let runtime = Runtime::new().unwrap();
    let newcomer = runtime.block_on(async { timeout(SOON, sealed::connect(&elsewhere, &identity)).await });
    assert!(matches!(newcomer, Ok(Ok(_))), "the newcomer is kept out");
    drop(silent);
}
