//! mDNS: nodes that nobody told of each other.

use std::time::Duration;

use bard_tests::{
    netns::{Wire, inside, prepare_loopback},
    process::{Node, PATIENCE, wait_until},
};

use super::{height, knows, wait_to_agree};

/// How soon nodes on one network must have met.
const SOON: Duration = Duration::from_secs(5);

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
