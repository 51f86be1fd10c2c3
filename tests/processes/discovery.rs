//! Nodes that find each other without being told.

use std::time::Duration;

use bard_tests::process::{Node, wait_until};

/// How soon two nodes of the same user must have met.
const SOON: Duration = Duration::from_secs(10);

#[test]
fn two_nodes_of_one_user_find_each_other() {
    let first = Node::builder().default_data_dir();
    let one = first.start();
    let two = Node::builder().default_data_dir().home_of(&first).start();
    assert_ne!(one.dir(), two.dir(), "each port has a directory of its own");
    assert_eq!(one.dir().parent(), two.dir().parent(), "side by side");
    wait_until("the nodes meet", SOON, || {
        one.peers() == [two.peer_id().to_owned()] && two.peers() == [one.peer_id().to_owned()]
    });
    let found_by = two.get("/api/v1/peers").json()["peers"][0]["found_by"].clone();
    assert!(found_by == "local" || found_by == "inbound", "{found_by}");
}

#[test]
fn nodes_that_are_told_not_to_look_around_do_not() {
    let first = Node::builder().default_data_dir().arg("--no-local");
    let one = first.start();
    let two = Node::builder().default_data_dir().home_of(&first).arg("--no-local").start();
    bard_tests::process::holds_for("nobody is met", Duration::from_millis(2_500), || {
        one.peers().is_empty() && two.peers().is_empty()
    });
}
