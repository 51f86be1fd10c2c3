//! A class joins by a link that names no address: mDNS has to do.

use std::time::Duration;

use bard_tests::{
    netns::{Machine, Wire, inside},
    process::{Builder, Node, PATIENCE},
};

use super::{height, wait_to_agree};

/// Machines, that of the maker included.
const CLASS: usize = 10;

fn class_joins(options: &[&str]) {
    let mut wire = Wire::lay();
    let machines: Vec<Machine> = (0..CLASS).map(|_| wire.machine()).collect();
    let on = |at: usize| machines[at].run(Builder::default().mdns().default_listen());
    let maker = on(0);
    let dir = maker.dir().to_str().unwrap().to_owned();
    let arguments = ["chain", "new", "--name", "kiln", "--preset", "demo", "--data-dir", &dir];
    let made = maker.tool(&[&arguments[..], options].concat());
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    let maker = maker.arg("--chain").arg("kiln").start();
    let invited = maker.builder_of().tool(&["invite", "--data-dir", &dir, "--no-address"]);
    assert_eq!(invited.code(), Some(0), "{}", invited.stderr);
    let link = invited.stdout.trim();
    let mut nodes: Vec<Node> = (1..CLASS).map(|at| on(at).join(link).spawn()).collect();
    for node in &mut nodes {
        node.wait_ready(Duration::from_secs(60));
    }
    nodes[0].ask("mine 1");
    nodes.push(maker);
    wait_to_agree(&nodes.iter().collect::<Vec<_>>(), PATIENCE);
    assert!(nodes.iter().all(|node| height(node) == 1));
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn ten_machines_join_an_open_chain_by_mdns_alone() {
    if inside("invited::ten_machines_join_an_open_chain_by_mdns_alone") {
        class_joins(&[]);
    }
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn ten_machines_join_a_closed_chain_by_mdns_alone() {
    if inside("invited::ten_machines_join_a_closed_chain_by_mdns_alone") {
        class_joins(&["--closed"]);
    }
}
