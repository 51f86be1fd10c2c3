//! A node that comes late gets what it missed, whoever goes meanwhile.

use bard_tests::process::{Node, PATIENCE, wait_for, wait_until};

/// Blocks that were mined while the late node was off.
const MISSED: u32 = 2_000;

#[test]
fn a_late_node_catches_up_from_two_while_one_of_them_is_killed() {
    let one = Node::start();
    let mut two = Node::builder().bootstrap(one.address()).start();
    one.mine(MISSED);
    two.wait_for_same_tip(&one);
    let late = Node::builder().bootstrap(one.address()).bootstrap(two.address()).start();
    let reached =
        wait_for("the late node is on its way", PATIENCE, || Some(late.height()).filter(|height| *height > 0));
    two.kill9();
    assert!(reached < u64::from(MISSED), "it was there before the other node was killed");
    late.wait_for_same_tip(&one);
    assert_eq!(late.height(), u64::from(MISSED));
    assert!(late.ask_line("verify").starts_with("the chain is valid: 2000 blocks"));
    wait_until("it says that nothing is left to catch up", PATIENCE, || late.status()["sync"]["syncing"] == false);
}

#[test]
fn a_node_that_is_killed_while_it_catches_up_goes_on_from_there() {
    let one = Node::start();
    one.mine(MISSED);
    let late = Node::builder().bootstrap(one.address());
    let mut had = 0;
    for _ in 0..3 {
        let mut node = late.start();
        assert!(node.height() >= had, "what it had is still there");
        wait_until("it gets further", PATIENCE, || {
            let height = node.height();
            height > had || height == u64::from(MISSED)
        });
        had = node.height();
        node.kill9();
    }
    let node = late.start();
    node.wait_for_same_tip(&one);
    assert!(node.ask_line("verify").starts_with("the chain is valid: 2000 blocks"));
}

#[test]
fn a_node_that_was_off_gets_what_was_mined_meanwhile() {
    let one = Node::start();
    let mut two = Node::builder().bootstrap(one.address()).start();
    one.mine(3);
    two.wait_for_same_tip(&one);
    two.stop();
    one.mine(3);
    let waiting = one.pay("alice", "bob", 1);
    let two = two.builder_of().start();
    assert!(two.height() >= 3, "what it had is still there");
    two.wait_for_same_tip(&one);
    wait_until("what waits to be mined is told too", PATIENCE, || two.pool() == [waiting.clone()]);
}

#[test]
fn sync_says_what_came_of_it() {
    let one = Node::start();
    assert_eq!(one.ask_line("sync"), "no peers to ask");
    one.mine(2);
    let two = Node::builder().bootstrap(one.address()).start();
    two.wait_for_same_tip(&one);
    assert_eq!(two.ask_line("sync"), "asked 1 peers, 1 answered: nobody is ahead, height 2");
}
