//! Two nodes that only a relay joins, for no hole can be punched between them: the chain comes across all the same.

use std::time::{Duration, Instant};

use bard_protocol::{RELAYED_BYTES, RELAYED_WINDOW};
use bard_tests::{
    netns::{Machine, Ports, Wire, inside, ip},
    plain_relay::{NARROW, PlainRelay, WIDE},
    process::{Builder, Node, PATIENCE, TrackerBuilder, holds_for, wait_until},
};

use super::{height, knows, wait_to_agree};

/// Blocks, and what is on record in each, in bytes: together some times what one circuit carries.
const BLOCKS: usize = 24;
const RECORD: usize = 20 << 10;
/// A relay is asked for after somebody has seen that this node is behind a router.
const MEETING: Duration = Duration::from_secs(60);
/// Where the relay is: on the wire itself.
const MIDDLE: &str = "/ip4/10.77.0.254/tcp/7000";
/// A handful of circuits, each a few seconds after the last.
const ACROSS: Duration = Duration::from_secs(180);

/// A node with a chain of long blocks.
fn long_chain(node: &Node, blocks: usize, record: usize) {
    for number in 0..blocks {
        node.ask(&format!("record {number} {}", "a tale of a relay ".repeat(record / 18)));
        node.ask("mine 1");
    }
}

/// Bytes of answers that went through relays, as a node counts.
fn through(machine: &Machine, node: &Node, way: &str) -> usize {
    let (metrics, name) = (machine.get(node, "/metrics"), format!("bard_circuit_bytes_total{{way=\"{way}\"}} "));
    let value = metrics.lines().find_map(|line| line.strip_prefix(name.as_str()));
    value.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_chain_longer_than_a_circuit_comes_through_a_relay() {
    if !inside("relayed::a_chain_longer_than_a_circuit_comes_through_a_relay") {
        return;
    }
    let mut wire = Wire::lay();
    ip("addr add 10.77.0.254/24 dev br0");
    let relay = PlainRelay::listen(MIDDLE, NARROW);
    let homes = [wire.behind_router(Ports::Random), wire.behind_router(Ports::Random)];
    let [one_at, two_at] = homes.each_ref().map(|(_, machine)| machine);
    let at_relay = || Builder::default().default_listen().arg("--rendezvous").arg(relay.address());
    let one = one_at.run(at_relay()).start();
    long_chain(&one, BLOCKS, RECORD);
    wait_until("it has a place at the relay", MEETING, || one.status_line("reachability").contains("relay"));
    let two = two_at.run(at_relay().bootstrap(relay.circuit_to(one.peer_id()))).start();
    wait_until("they meet", MEETING, || knows(&two, &one));
    wait_to_agree(&[&one, &two], ACROSS);
    assert_eq!(height(&two), BLOCKS as u64);
    assert!(BLOCKS * RECORD > 3 * NARROW && relay.circuits() > 3, "{} circuits", relay.circuits());
    let (fetched, served) = (through(two_at, &two, "fetched"), through(one_at, &one, "served"));
    let chain = BLOCKS * RECORD;
    assert!((chain..2 * chain).contains(&fetched), "{fetched} of {chain} bytes: little is fetched twice");
    assert!((chain..2 * chain).contains(&served), "{served} of {chain} bytes");
    one.ask("mine 1");
    wait_to_agree(&[&one, &two], PATIENCE);
    // Each has tried the other's loopback addresses, which are its own.
    assert!([&one, &two].iter().all(|node| !node.stderr().contains("copy of this node's identity")));
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn what_goes_through_a_relay_keeps_to_its_budget() {
    if !inside("relayed::what_goes_through_a_relay_keeps_to_its_budget") {
        return;
    }
    let mut wire = Wire::lay();
    ip("addr add 10.77.0.254/24 dev br0");
    let relay = PlainRelay::listen(MIDDLE, WIDE);
    let homes = [wire.behind_router(Ports::Random), wire.behind_router(Ports::Random)];
    let [one_at, two_at] = homes.each_ref().map(|(_, machine)| machine);
    let at_relay = || Builder::default().default_listen().arg("--rendezvous").arg(relay.address());
    let one = one_at.run(at_relay()).start();
    // A quarter more than the budget of a window.
    let (budget, record) = (usize::try_from(RELAYED_BYTES).unwrap(), 60_000);
    let blocks = budget * 5 / 4 / record;
    long_chain(&one, blocks, record);
    wait_until("it has a place at the relay", MEETING, || one.status_line("reachability").contains("relay"));
    let begun = Instant::now();
    let two = two_at.run(at_relay().bootstrap(relay.circuit_to(one.peer_id()))).start();
    wait_to_agree(&[&one, &two], ACROSS);
    let (fetched, windows) =
        (through(two_at, &two, "fetched"), begun.elapsed().as_secs_f64() / RELAYED_WINDOW.as_secs_f64());
    assert_eq!(height(&two), blocks as u64);
    // Some answers may be begun with the last of the budget, and headers are always asked for.
    let most = RELAYED_BYTES as f64 * (1.0 + windows) + f64::from(1 << 19);
    assert!(fetched >= blocks * record && (fetched as f64) < most, "{fetched} bytes in {windows} windows");
}

/// Longer than a connection is left alone that a node did not ask for, and than a peer may be silent.
const SETTLED: Duration = Duration::from_secs(30);

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_circuit_through_a_relay_that_only_the_other_end_named_holds() {
    if !inside("relayed::a_circuit_through_a_relay_that_only_the_other_end_named_holds") {
        return;
    }
    let mut wire = Wire::lay();
    ip("addr add 10.77.0.254/24 dev br0");
    // For the API of the tracker.
    ip("link set lo up");
    let plain = PlainRelay::listen(MIDDLE, WIDE);
    let tracker = TrackerBuilder::default().arg("--listen").arg("/ip4/10.77.0.254/tcp/7001").start();
    for relay in [plain.address(), tracker.address().to_owned()] {
        let homes = [wire.behind_router(Ports::Random), wire.behind_router(Ports::Random)];
        let [one_at, two_at] = homes.each_ref().map(|(_, machine)| machine);
        let node = || Builder::default().default_listen();
        let one = one_at.run(node().arg("--rendezvous").arg(relay.as_str())).start();
        wait_until("it has a place at the relay", MEETING, || one.status_line("reachability").contains("relay"));
        let circuit = format!("{relay}/p2p-circuit/p2p/{}", one.peer_id());
        let two = two_at.run(node().bootstrap(circuit)).start();
        // Each end tells of the other at its own time.
        let joined = || knows(&two, &one) && knows(&one, &two);
        wait_until("they meet", MEETING, joined);
        holds_for("they stay connected", SETTLED, joined);
        let came = two.stderr().text().lines().filter(|line| line.contains("a peer has come")).count();
        assert_eq!(came, 1, "through {relay}:\n{}", two.stderr().text());
    }
}
