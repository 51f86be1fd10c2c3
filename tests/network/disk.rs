//! Disks that are nearly full, and disks that take no writes: mounted where only the test sees them.

use std::fs;

use bard_tests::{
    netns::{inside, ip, run_program},
    process::{Node, PATIENCE, wait_until},
};
use serde_json::json;

#[test]
#[ignore = "needs namespaces: .ci/run network"]
fn a_node_waits_for_room_and_goes_on_by_itself() {
    if !inside("disk::a_node_waits_for_room_and_goes_on_by_itself") {
        return;
    }
    ip("link set lo up");
    let builder = Node::builder().arg("--keep-free").arg("8");
    let dir = builder.dir().to_owned();
    fs::create_dir_all(&dir).unwrap();
    run_program("mount", ["-t", "tmpfs", "-o", "size=40m", "none", dir.to_str().unwrap()]);
    let mut node = builder.start();
    node.mine(3);
    let ready = |node: &Node| node.get("/readyz").status == 200;
    assert!(ready(&node));
    fs::write(dir.join("ballast"), vec![1; 33 << 20]).unwrap();
    wait_until("it notices", PATIENCE, || !ready(&node));
    assert_eq!(node.post("/api/v1/mine", &json!({ "blocks": 1 })).status, 503);
    assert_eq!(node.get("/api/v1/blocks/3").status, 200);
    // Killed and started on a full disk, it is there again.
    node.kill9();
    let node = builder.start();
    assert_eq!((node.height(), ready(&node)), (3, false));
    fs::remove_file(dir.join("ballast")).unwrap();
    wait_until("it goes on", PATIENCE, || ready(&node));
    node.mine(1);
    assert_eq!(node.height(), 4);
    assert!(node.stderr().contains("there is room on the disk again"));
}

#[test]
#[ignore = "needs namespaces: .ci/run network"]
fn a_disk_that_takes_no_writes_is_refused() {
    if !inside("disk::a_disk_that_takes_no_writes_is_refused") {
        return;
    }
    ip("link set lo up");
    let builder = Node::builder();
    let mut node = builder.start();
    node.mine(1);
    node.stop();
    let dir = builder.dir().to_str().unwrap().to_owned();
    run_program("mount", ["--bind", &dir, &dir]);
    run_program("mount", ["-o", "remount,bind,ro", &dir]);
    let ended = builder.run(PATIENCE);
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    let told = ended.told();
    assert_eq!(told.len(), 1, "{}", ended.stderr);
    assert!(told[0].contains("mounted read-only") && told[0].contains(&dir), "{}", told[0]);
    run_program("umount", [dir.as_str()]);
    assert_eq!(builder.start().height(), 1);
}
