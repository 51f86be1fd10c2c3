//! Nodes behind routers that let nothing in: they meet through a relay, and directly where a hole can be punched.

use std::time::Duration;

use bard_tests::{
    netns::{Machine, Ports, Wire, inside},
    process::{Builder, Node, PATIENCE, holds_for, wait_until},
};

use serde_json::Value;

use super::{height, knows, tip, wait_to_agree};

/// A probe comes at most five seconds after a connection, a relay is asked for after the probe has failed, and the other
/// side hears of the relayed address when it next asks.
const MEETING: Duration = Duration::from_secs(60);

/// A node that is told of the relay on another machine, and looks nowhere else.
fn told_of(relay: &Machine, machine: &Machine) -> Node {
    let address = format!("/ip4/{}/tcp/6000", relay.address());
    machine.run(Builder::default().default_listen().bootstrap(address)).start()
}

/// How a node is connected to another, as its console says.
fn connection(one: &Node, other: &Node) -> Option<String> {
    one.ask("peers").into_iter().find(|line| line.contains(other.peer_id()))
}

fn is_direct(one: &Node, other: &Node) -> bool {
    connection(one, other).is_some_and(|line| !line.contains("p2p-circuit"))
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn two_nodes_behind_routers_meet_through_a_relay_and_punch_a_hole() {
    if !inside("nat::two_nodes_behind_routers_meet_through_a_relay_and_punch_a_hole") {
        return;
    }
    let mut wire = Wire::lay();
    let middle = wire.machine();
    let homes = [wire.behind_router(Ports::Kept), wire.behind_router(Ports::Kept)];
    let relay = middle.run(Builder::default().default_listen().arg("--relay-server")).start();
    let [one, two] = homes.each_ref().map(|(_, machine)| told_of(&middle, machine));
    wait_until("both know the relay", PATIENCE, || knows(&one, &relay) && knows(&two, &relay));
    wait_until("they meet directly", MEETING, || is_direct(&one, &two) && is_direct(&two, &one));
    drop(relay);
    wait_until("the relay is gone", PATIENCE, || one.ask("peers").len() == 2 && two.ask("peers").len() == 2);
    one.ask("mine 2");
    wait_to_agree(&[&one, &two], PATIENCE);
    assert_eq!(height(&two), 2, "without the relay");
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_doctor_says_that_a_router_lets_nobody_in() {
    if !inside("nat::a_doctor_says_that_a_router_lets_nobody_in") {
        return;
    }
    let mut wire = Wire::lay();
    let middle = wire.machine();
    let (_router, home) = wire.behind_router(Ports::Kept);
    let _other = middle.run(Builder::default().default_listen()).start();
    let node = told_of(&middle, &home);
    let dir = node.dir().to_str().unwrap();
    let doctor = || node.builder_of().tool(&["doctor", "--no-mdns", "--data-dir", dir]);
    wait_until("the node knows", MEETING, || node.status_line("reachability").contains("probe"));
    let ended = doctor();
    let says = |line: &str| line.starts_with("warning  reachability") && line.contains("failed");
    assert!(ended.stdout.lines().any(says) && ended.stdout.contains("--relay-server"), "{ended:?}");
    let why = |line: &str| line.starts_with("ok       because") && line.contains("(AutoNAT)");
    assert!(ended.stdout.lines().any(why), "{ended:?}");
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn where_no_hole_can_be_punched_the_relay_carries_the_chain() {
    if !inside("nat::where_no_hole_can_be_punched_the_relay_carries_the_chain") {
        return;
    }
    let mut wire = Wire::lay();
    let middle = wire.machine();
    let homes = [wire.behind_router(Ports::Random), wire.behind_router(Ports::Random)];
    let relay = middle.run(Builder::default().default_listen().arg("--relay-server")).start();
    let [one, two] = homes.each_ref().map(|(_, machine)| told_of(&middle, machine));
    wait_until("they meet", MEETING, || knows(&one, &two) && knows(&two, &one));
    let verdict = one.status_line("reachability");
    assert!(verdict.contains("relay"), "{verdict}");
    one.ask("mine 1");
    wait_to_agree(&[&one, &two, &relay], PATIENCE);
    holds_for("they stay connected", Duration::from_secs(5), || knows(&one, &two));
    assert!(!is_direct(&one, &two));
}

/// The lines of a field of `GET /api/v1/node`.
fn lines(node: &Value, field: &str) -> Vec<String> {
    node[field].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_node_that_can_only_dial_out_takes_part_in_everything() {
    if !inside("nat::a_node_that_can_only_dial_out_takes_part_in_everything") {
        return;
    }
    let mut wire = Wire::lay();
    let [one_at, two_at, late_at] = [wire.machine(), wire.machine(), wire.machine()];
    let (_router, home) = wire.behind_router(Ports::Kept);
    let one = one_at.run(Builder::default().default_listen()).start();
    let two = told_of(&one_at, &two_at);
    one.ask("mine 3");
    wait_to_agree(&[&one, &two], PATIENCE);

    let hidden = told_of(&one_at, &home);
    wait_to_agree(&[&one, &hidden], PATIENCE);
    assert_eq!(height(&hidden), 3, "it syncs");

    hidden.ask("record written behind a router");
    wait_until("its transaction has come out", PATIENCE, || one.ask("pool").len() == 2);
    one.ask("mine 1");
    wait_until("it is mined elsewhere", PATIENCE, || height(&hidden) == 4);
    assert_eq!(hidden.ask("pool"), ["the pool is empty"]);

    hidden.ask("mine 2");
    wait_until("its blocks reach others", PATIENCE, || [&one, &two].iter().all(|node| height(node) == 6));
    assert_eq!(tip(&two), tip(&hidden));

    let about = || serde_json::from_str::<Value>(&home.get(&hidden, "/api/v1/node")).unwrap();
    let verdict = |node: &Value| node["reachability"].as_str().unwrap().to_owned();
    // The addresses that it may have are tried one after the other.
    let tried = |line: &String| line.contains("asked to connect to /ip4/10.77.0.") && line.contains("/tcp/6000: 0 did");
    wait_until("it knows", MEETING, || {
        let node = about();
        let reasons = lines(&node, "reachability_reasons");
        verdict(&node).starts_with("not reachable from outside: ") && reasons.iter().any(tried)
    });
    let node = about();
    let (reasons, advice) = (lines(&node, "reachability_reasons"), lines(&node, "reachability_advice"));
    let because = |words: &[&str]| {
        let found = reasons.iter().any(|reason| words.iter().all(|word| reason.contains(word)));
        assert!(found, "{words:?} in {reasons:#?}");
    };
    because(&["a router in between translates (NAT)"]);
    because(&["connected because this node dialled"]);
    because(&["peers have connected from no host of the local network and from no host outside of it"]);
    assert!(advice[0].starts_with("nothing must be done"), "{advice:#?}");
    assert!(advice.iter().any(|line| line.contains("forward TCP port 6000")), "{advice:#?}");

    drop((one, two));
    wait_until("it is alone", MEETING, || hidden.ask("peers") == ["no peers connected"]);
    let late = late_at.run(Builder::default().default_listen()).start();
    hidden.ask(&format!("connect /ip4/{}/tcp/6000", late_at.address()));
    wait_to_agree(&[&hidden, &late], PATIENCE);
    assert_eq!(height(&late), 6, "it has all of the chain from the one that cannot be reached");
}
