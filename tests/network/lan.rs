//! mDNS: nodes that nobody told of each other.

use std::{net::UdpSocket, thread, time::Duration};

use bard_chain::spec::ChainSpec;
use bard_tests::{
    chain_builder::easy_spec,
    netns::{Wire, inside, prepare_loopback},
    process::{Node, PATIENCE, wait_until},
};

use libp2p::PeerId;

use super::{height, knows, wait_to_agree};

/// How soon nodes on one network must have met.
const SOON: Duration = Duration::from_secs(10);

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn two_nodes_on_one_machine_meet_by_mdns() {
    if !inside("lan::two_nodes_on_one_machine_meet_by_mdns") {
        return;
    }
    prepare_loopback("10.99.0.1");
    // Each in a home of its own, so that nothing but the network tells one of the other.
    let one = Node::builder().mdns().default_listen().start();
    let two = Node::builder().mdns().default_listen().start();
    wait_until("they meet", SOON, || knows(&one, &two) && knows(&two, &one));
    assert_ne!(one.address(), two.address(), "the second one takes free ports");
    one.ask("mine 3");
    wait_to_agree(&[&one, &two], PATIENCE);
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn nodes_on_two_machines_meet_mine_gossip_and_catch_up() {
    if !inside("lan::nodes_on_two_machines_meet_mine_gossip_and_catch_up") {
        return;
    }
    let mut wire = Wire::lay();
    let machines = [wire.machine(), wire.machine(), wire.machine()];
    let start = |at: usize| machines[at].run(Node::builder().mdns().default_listen()).start();
    let (one, two) = (start(0), start(1));
    wait_until("they meet", SOON, || knows(&one, &two) && knows(&two, &one));
    let id = one.ask_line("send alice bob 5").split(' ').nth(3).unwrap().to_owned();
    wait_until("the transfer is in the other pool", SOON, || two.ask("pool").iter().any(|line| line.contains(&id)));
    assert!(two.ask_line("mine").starts_with("mined block 1 "));
    wait_to_agree(&[&one, &two], PATIENCE);
    assert_eq!(one.mined_at(&id), Some(1));
    two.ask("mine 500");
    let three = start(2);
    wait_until("the third meets both", SOON, || knows(&three, &one) && knows(&three, &two));
    wait_to_agree(&[&one, &two, &three], PATIENCE);
    assert_eq!(height(&three), 501);
    assert!(three.ask_line("verify").starts_with("the chain is valid: 501 blocks"));
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn nodes_that_are_told_not_to_look_do_not_meet() {
    if !inside("lan::nodes_that_are_told_not_to_look_do_not_meet") {
        return;
    }
    prepare_loopback("10.99.0.1");
    let one = Node::builder().mdns().default_listen().start();
    let two = Node::builder().default_listen().start();
    bard_tests::process::holds_for("they do not meet", Duration::from_secs(2), || !knows(&one, &two));
    assert!(!knows(&two, &one));
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn five_machines_become_one_network_by_mdns_alone() {
    if !inside("lan::five_machines_become_one_network_by_mdns_alone") {
        return;
    }
    let mut wire = Wire::lay();
    let machines: Vec<_> = (0..5).map(|_| wire.machine()).collect();
    let alone = || Node::builder().mdns().default_listen().arg("--no-kademlia").arg("--no-exchange");
    let mut nodes: Vec<_> = machines.iter().map(|machine| machine.run(alone()).start()).collect();
    nodes[4].ask("mine 1");
    wait_to_agree(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
    assert_eq!(height(&nodes[0]), 1);
    // There is no hub: any of them may go, and a newcomer is found by those that are left.
    drop(nodes.remove(0));
    let newcomer = wire.machine();
    nodes.push(newcomer.run(alone()).start());
    nodes[0].ask("mine 1");
    wait_to_agree(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
    assert_eq!(height(&nodes[4]), 2);
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn two_chains_on_one_network_never_mix() {
    if !inside("lan::two_chains_on_one_network_never_mix") {
        return;
    }
    let mut wire = Wire::lay();
    let machines: Vec<_> = (0..4).map(|_| wire.machine()).collect();
    let other = ChainSpec { name: "other".into(), ..easy_spec() };
    let ours = || Node::builder().mdns().default_listen();
    let start = |at: usize| machines[at].run(if at < 2 { ours() } else { ours().chain(&other) }).start();
    let [one, two, three, four] = [0, 1, 2, 3].map(start);
    wait_until("each chain's nodes meet", PATIENCE, || knows(&one, &two) && knows(&three, &four));
    wait_until("the log says so", PATIENCE, || one.stderr().contains("another chain"));
    one.ask("mine 1");
    three.ask("mine 2");
    wait_to_agree(&[&one, &two], PATIENCE);
    wait_to_agree(&[&three, &four], PATIENCE);
    bard_tests::process::holds_for("they have nothing to do with each other", Duration::from_secs(2), || {
        [&one, &two].iter().all(|node| !knows(node, &three) && !knows(node, &four))
    });
    assert_eq!((height(&two), height(&four)), (1, 2));
}

/// Answers by mDNS for so many nodes that are not there.
fn make_up_nodes(count: u32, from: &str) {
    let socket = UdpSocket::bind((from, 0)).expect("a socket");
    let name = |labels: &[&str]| -> Vec<u8> {
        let label = |text: &&str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
        [labels.iter().flat_map(label).collect(), vec![0]].concat()
    };
    let record = |owner: &[u8], kind: u8, content: &[u8]| -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        // Class IN, an hour.
        [owner, &[0, kind, 0, 1, 0, 0, 14, 16], &length[..], content].concat()
    };
    for number in 0..count {
        let who = name(&[&format!("node{number}")]);
        let text = format!("dnsaddr=/ip4/{from}/tcp/1/p2p/{}", PeerId::random());
        let text = [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
        let header = [0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 1];
        let pointer = record(&name(&["_p2p", "_udp", "local"]), 12, &who);
        let packet = [&header[..], &pointer, &record(&who, 16, &text)].concat();
        socket.send_to(&packet, "224.0.0.251:5353").expect("sent");
        // No faster than the node reads it: what its socket has no room for is lost.
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn nodes_that_somebody_makes_up_do_not_pile_up_and_real_ones_are_found() {
    if !inside("lan::nodes_that_somebody_makes_up_do_not_pile_up_and_real_ones_are_found") {
        return;
    }
    prepare_loopback("10.99.0.1");
    let one = Node::builder().mdns().default_listen().start();
    let line = "more nodes announce themselves on the local network than are looked at";
    wait_until("mDNS pauses", PATIENCE, || {
        make_up_nodes(500, "10.99.0.1");
        one.stderr().contains(line)
    });
    let two = Node::builder().mdns().default_listen().start();
    wait_until("they meet once it goes on", PATIENCE * 3, || knows(&one, &two) && knows(&two, &one));
    one.ask("mine 1");
    wait_to_agree(&[&one, &two], PATIENCE);
}
