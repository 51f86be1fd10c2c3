//! Lines that lose packets, are narrow, or long; networks that fall into halves; a node that is killed while others fetch the
//! chain from it. Whatever the line is like, the chain comes across it, what is new follows, and nobody is blamed.

use std::time::Duration;

use bard_tests::{
    chain_builder::easy_spec,
    netns::{Machine, Quality, Wire, inside, ip},
    process::{Builder, Node, PATIENCE, holds_for, wait_until},
};
use serde_json::json;

use super::{HEALED, height, knows, tip, wait_to_agree};

/// Small blocks of the chain that is fetched, and large ones after them.
const SMALL: u32 = 1_000;
const LARGE: u32 = 2;
/// Small blocks that one call mines.
const AT_ONCE: u32 = 50;
/// Records that make a block large, and bytes of each: about a megabyte.
const RECORDS: u32 = 16;
const RECORD: u64 = 60_000;
/// A narrow line behind a modem that keeps what it cannot send at once: a large block takes a minute and a half.
const BLOATED: Quality =
    Quality { delay: Duration::ZERO, loss: 0, bits: Some(90_000), queue: Some(Duration::from_secs(30)) };
/// How long the chain may take across a bad line, and a block or a transaction after it.
const FETCHED: Duration = Duration::from_secs(180);
const SPREAD: Duration = Duration::from_secs(60);

/// A node whose data directory holds so many small blocks, and so many large ones after them.
fn with_chain(small: u32, large: u32) -> Builder {
    ip("link set lo up");
    let mut node = Node::builder().chain(&easy_spec()).start();
    for _ in 0..small / AT_ONCE {
        node.mine(AT_ONCE);
    }
    for block in 0..large {
        for record in 0..RECORDS {
            let hex = noise(u64::from(block * RECORDS + record));
            node.post("/api/v1/wallet/record", &json!({ "from": "alice", "hex": hex })).success();
        }
        node.mine(1);
    }
    let builder = node.builder_of().clone();
    node.stop();
    builder
}

/// Hex digits of bytes that look like chance, others for each number.
fn noise(number: u64) -> String {
    let mixed = |at: u64| (at + 1 + number * RECORD).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..RECORD / 8).map(|at| format!("{:016x}", mixed(at) ^ (mixed(at) >> 29))).collect()
}

/// A node on a machine, at an address that it keeps.
fn on(machine: &Machine, builder: Builder) -> Builder {
    machine.run(builder.listen(format!("/ip4/{}/tcp/6000", machine.address())))
}

/// A node without a chain that is told of another.
fn follower(origin: &Node) -> Builder {
    Builder::default().chain(&easy_spec()).bootstrap(origin.address())
}

/// A machine at the end of a bad line fetches the chain, and then takes part.
fn takes_part(quality: Quality) {
    let mut wire = Wire::lay();
    let home = wire.machine();
    let (away, _line) = wire.machine_by(quality);
    let origin = on(&home, with_chain(SMALL, LARGE)).start();
    let late = on(&away, follower(&origin)).start();
    let all = u64::from(SMALL + LARGE);
    wait_until("the chain is fetched", FETCHED, || height(&late) == all);
    for (here, there) in [(&origin, &late), (&late, &origin)] {
        let id = here.ask_line("send alice bob 5").split(' ').nth(3).unwrap().to_owned();
        let waits = || there.ask("pool").iter().any(|line| line.contains(&id));
        wait_until("the transfer is in the other pool", SPREAD, waits);
        there.ask("mine 1");
        wait_to_agree(&[here, there], SPREAD);
        assert_eq!(here.mined_at(&id), Some(height(there)));
    }
    for node in [&origin, &late] {
        for complaint in ["banned", "a peer no longer answers", "was cut short"] {
            assert!(!node.stderr().contains(complaint), "{complaint}: {}", node.stderr().text());
        }
    }
    assert!(late.ask_line("verify").starts_with(&format!("the chain is valid: {} blocks", all + 2)));
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_line_that_loses_one_packet_in_ten_carries_the_chain() {
    if inside("conditions::a_line_that_loses_one_packet_in_ten_carries_the_chain") {
        takes_part(Quality { loss: 10, ..Quality::default() });
    }
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_long_line_carries_the_chain() {
    if inside("conditions::a_long_line_carries_the_chain") {
        takes_part(Quality { delay: Duration::from_millis(50), ..Quality::default() });
    }
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_narrow_line_carries_the_chain() {
    if inside("conditions::a_narrow_line_carries_the_chain") {
        takes_part(Quality { bits: Some(1_000_000), ..Quality::default() });
    }
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_line_on_which_pings_are_late_is_kept_while_it_is_busy() {
    if !inside("conditions::a_line_on_which_pings_are_late_is_kept_while_it_is_busy") {
        return;
    }
    let mut wire = Wire::lay();
    let home = wire.machine();
    let (away, _line) = wire.machine_by(BLOATED);
    let origin = on(&home, with_chain(AT_ONCE, 1)).start();
    let late = on(&away, follower(&origin)).start();
    wait_until("the chain is fetched", FETCHED, || height(&late) == u64::from(AT_ONCE + 1));
    for node in [&origin, &late] {
        let came = node.stderr().text().lines().filter(|line| line.contains("a peer has come")).count();
        assert_eq!(came, 1, "over one connection:\n{}", node.stderr().text());
    }
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_line_that_is_bad_in_every_way_carries_the_chain() {
    if inside("conditions::a_line_that_is_bad_in_every_way_carries_the_chain") {
        takes_part(Quality { delay: Duration::from_millis(50), loss: 10, bits: Some(1_000_000), ..Quality::default() });
    }
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_network_that_fell_into_halves_becomes_one_again() {
    if !inside("conditions::a_network_that_fell_into_halves_becomes_one_again") {
        return;
    }
    let mut wire = Wire::lay();
    let machines: Vec<Machine> = (0..4).map(|_| wire.machine()).collect();
    let nodes: Vec<Node> =
        machines.iter().map(|machine| machine.run(Builder::default().mdns().default_listen()).start()).collect();
    let all: Vec<&Node> = nodes.iter().collect();
    wait_until("they meet", PATIENCE, || all.iter().all(|one| all.iter().filter(|two| knows(one, two)).count() == 3));
    all[0].ask("mine 3");
    wait_to_agree(&all, PATIENCE);
    let (left, right) = machines.split_at(2);
    let pairs = || left.iter().flat_map(|one| right.iter().map(move |two| (one, two)));
    pairs().for_each(|(one, two)| one.cut_from(two));
    all[0].ask("mine 5");
    all[2].ask("mine 3");
    let id = all[3].ask_line("send alice bob 5").split(' ').nth(3).unwrap().to_owned();
    wait_until("who mines has heard of it", PATIENCE, || all[2].ask("pool").iter().any(|line| line.contains(&id)));
    wait_to_agree(&all[..2], PATIENCE);
    wait_to_agree(&all[2..], PATIENCE);
    all[2].ask("mine 1");
    wait_until("the transfer is in the smaller half's chain", PATIENCE, || all[3].mined_at(&id) == Some(7));
    holds_for("the halves go apart", Duration::from_secs(3), || tip(all[0]) != tip(all[2]));
    pairs().for_each(|(one, two)| one.join_again(two));
    wait_to_agree(&all, HEALED);
    assert_eq!(height(all[3]), 8, "the branch with more work");
    wait_until("the transfer waits everywhere again", PATIENCE, || {
        all.iter().all(|node| node.ask("pool").iter().any(|line| line.contains(&id)))
    });
    all[1].ask("mine 1");
    wait_to_agree(&all, PATIENCE);
    assert_eq!(all[3].mined_at(&id), Some(9));
    wait_until("all know each other again", HEALED, || {
        all.iter().all(|one| all.iter().filter(|two| knows(one, two)).count() == 3)
    });
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn those_who_fetch_from_a_node_that_is_killed_go_on_when_it_is_back() {
    if !inside("conditions::those_who_fetch_from_a_node_that_is_killed_go_on_when_it_is_back") {
        return;
    }
    let mut wire = Wire::lay();
    let home = wire.machine();
    // Slow enough that they are on their way when it is killed.
    let slow = Quality { bits: Some(3_000_000), ..Quality::default() };
    let away = [wire.machine_by(slow).0, wire.machine_by(slow).0];
    let mut origin = on(&home, with_chain(SMALL, LARGE)).start();
    let late = away.each_ref().map(|machine| on(machine, follower(&origin)).start());
    wait_until("both are on their way", PATIENCE, || late.iter().all(|node| height(node) > 0));
    origin.kill9();
    assert!(late.iter().any(|node| height(node) < u64::from(SMALL + LARGE)), "they were there before it was killed");
    // Without it, they have each other.
    wait_until("they know each other", HEALED, || knows(&late[0], &late[1]) && knows(&late[1], &late[0]));
    wait_to_agree(&[&late[0], &late[1]], HEALED);
    let origin = origin.builder_of().start();
    wait_to_agree(&[&origin, &late[0], &late[1]], FETCHED);
    assert_eq!(height(&late[0]), u64::from(SMALL + LARGE));
    late[1].ask("mine 1");
    wait_to_agree(&[&origin, &late[0], &late[1]], SPREAD);
}
