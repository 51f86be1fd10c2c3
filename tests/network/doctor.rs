//! What `bard doctor` says of networks that keep nodes apart, and of one that does not.

use bard_chain::spec::ChainSpec;
use bard_tests::{
    chain_builder::easy_spec,
    netns::{inside, ip, prepare_loopback, run_program},
    process::{Builder, Ended, Node},
};

fn doctor(more: &[&str]) -> Ended {
    Builder::default().tool(&[&["doctor", "--port", "0"], more].concat())
}

/// Asserts that a line begins so, and that it or the advice below it has the part.
fn says(ended: &Ended, verdict: &str, check: &str, part: &str) {
    let lines: Vec<_> = ended.stdout.lines().collect();
    let is_it = |pair: &[&str]| {
        let mut words = pair[0].split_whitespace();
        words.next() == Some(verdict) && pair[0].contains(check) && pair.concat().contains(part)
    };
    assert!(lines.windows(2).any(is_it), "{verdict} {check} {part}: {}", ended.stdout);
    assert_eq!(ended.code(), Some(i32::from(ended.stdout.contains("FAULT"))), "{ended:?}");
}

/// A card with an address, and a cable that leads nowhere.
fn lay_card() {
    ip("link set lo up");
    ip("link add card0 type veth peer name card1");
    ip("addr add 10.99.0.1/24 dev card0");
    ip("link set card0 up");
    ip("link set card1 up");
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_machine_without_a_network() {
    if !inside("doctor::a_machine_without_a_network") {
        return;
    }
    ip("link set lo up");
    says(&doctor(&[]), "FAULT", "interfaces", "no network but this machine's own loopback");
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn multicast_that_something_filters() {
    if !inside("doctor::multicast_that_something_filters") {
        return;
    }
    lay_card();
    says(&doctor(&[]), "ok", "multicast", "come back on card0");
    run_program("iptables", ["-A", "INPUT", "-d", "224.0.0.251", "-j", "DROP"]);
    says(&doctor(&[]), "FAULT", "multicast", "does not come back, something filters it");
    // With another way to meet, it is less bad.
    says(&doctor(&["--bootstrap", "/ip4/10.99.0.1/tcp/1"]), "warning", "multicast", "--bootstrap");
    run_program("iptables", ["-F", "INPUT"]);
    run_program("iptables", ["-A", "OUTPUT", "-d", "224.0.0.251", "-j", "DROP"]);
    says(&doctor(&[]), "FAULT", "multicast", "sends no multicast");
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn addresses_that_cannot_be_reached() {
    if !inside("doctor::addresses_that_cannot_be_reached") {
        return;
    }
    lay_card();
    run_program("iptables", ["-A", "INPUT", "-p", "tcp", "--dport", "6000", "-j", "DROP"]);
    let at = |address: &str| doctor(&["--no-mdns", "--bootstrap", address]);
    says(&at("/ip4/10.99.0.1/tcp/6000"), "FAULT", "bootstrap", "a firewall drops it");
    says(&at("/ip4/10.98.0.1/tcp/6000"), "FAULT", "bootstrap", "no way leads there");
    says(&at("/ip4/10.99.0.1/tcp/6001"), "FAULT", "bootstrap", "refused");
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn nodes_that_announce_themselves() {
    if !inside("doctor::nodes_that_announce_themselves") {
        return;
    }
    prepare_loopback("10.99.0.1");
    says(&doctor(&[]), "warning", "local network", "no node of this chain announces itself");
    let spec = ChainSpec { name: "other".into(), ..easy_spec() };
    let stranger = Node::builder().mdns().default_listen().chain(&spec).start();
    let other = spec.chain_id().short();
    says(&doctor(&[]), "warning", "local network", &other);
    let _node = Node::builder().mdns().default_listen().start();
    says(&doctor(&[]), "ok", "local network", "announce themselves: 1");
    drop(stranger);
}
