//! Two machines that run with a copy of one identity.

use std::fs;

use bard_tests::{
    netns::{Wire, inside},
    process::{Node, PATIENCE, wait_until},
};

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_copied_identity_is_noticed_and_named() {
    if !inside("copies::a_copied_identity_is_noticed_and_named") {
        return;
    }
    let mut wire = Wire::lay();
    let machines: Vec<_> = (0..3).map(|_| wire.machine()).collect();
    let builder = || Node::builder().default_listen();
    let third = machines[2].run(builder()).start();
    let address = format!("/ip4/{}/tcp/6000", machines[2].address());
    let first = machines[0].run(builder().bootstrap(&address)).start();
    let copy = builder();
    fs::create_dir_all(copy.dir()).unwrap();
    fs::copy(first.dir().join("identity.key"), copy.dir().join("identity.key")).unwrap();
    let second = machines[1].run(copy.bootstrap(&address)).start();
    assert_eq!(first.peer_id(), second.peer_id());
    wait_until("the third names it", PATIENCE, || third.stderr().contains("two nodes run with one identity"));
    let named = |node: &Node| node.stderr().contains("a copy of this node's identity");
    wait_until("one of the two does", PATIENCE, || named(&first) || named(&second));
    // What was noticed is told to whoever asks, and to a doctor.
    let told =
        |node: &Node| node.ask("node").iter().any(|line| line.starts_with("notice ") && line.contains("identity"));
    assert!(told(&third) && (told(&first) || told(&second)));
    let asked = third.builder_of().tool(&["doctor", "--no-mdns", "--data-dir", third.dir().to_str().unwrap()]);
    let fault =
        asked.stdout.lines().any(|line| line.starts_with("FAULT    identity") && line.contains(first.peer_id()));
    assert!(fault && asked.code() == Some(1), "{asked:?}");
}
