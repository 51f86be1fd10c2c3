//! Nodes on different machines, made of network namespaces: they find each other by mDNS alone, and heal after a partition.
//!
//! Nothing of it leaves the namespaces, and no root is needed. Run by `.ci/run network`.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod conditions;
mod copies;
mod disk;
mod doctor;
mod exposed;
mod invited;
mod knocks;
mod lan;
mod nat;
mod one_range;
mod partition;
mod relayed;

use std::time::Duration;

use bard_tests::process::{Node, wait_until};

/// How long a healed network may take until all agree.
const HEALED: Duration = Duration::from_secs(60);

/// The last block as the console says: over the API a machine cannot be reached from another.
fn tip(node: &Node) -> String {
    node.status_line("tip  ")
}

fn height(node: &Node) -> u64 {
    node.status_line("height").parse().unwrap()
}

/// Whether one node is connected to another.
fn knows(one: &Node, other: &Node) -> bool {
    one.ask("peers").iter().any(|line| line.contains(other.peer_id()))
}

fn wait_to_agree(nodes: &[&Node], deadline: Duration) {
    wait_until("all have the same tip", deadline, || nodes.windows(2).all(|pair| tip(pair[0]) == tip(pair[1])));
}
