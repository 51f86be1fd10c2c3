//! Finding each other on a local network, in a network namespace of its own: nothing is sent on the machine's interfaces.

use std::process::Command;

use crate::rig::{Node, Options};
use bard_protocol::Origin;

/// The name of the test below.
const TEST: &str = "local::nodes_of_a_local_network_meet_even_if_it_comes_up_late";
/// Set for the copy of this test that runs inside the namespace.
const INSIDE: &str = "BARD_TEST_INSIDE_NAMESPACE";

#[test]
fn nodes_of_a_local_network_meet_even_if_it_comes_up_late() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        return runtime.block_on(meet());
    }
    if !Command::new("unshare").args(["-Urn", "true"]).status().is_ok_and(|status| status.success()) {
        // Not every system lets users make namespaces.
        return;
    }
    let this = std::env::current_exe().expect("this program");
    let inside = Command::new("unshare").arg("-Urn").arg(this).args(["--exact", TEST]).env(INSIDE, "1").status();
    let status = inside.expect("it runs");
    assert!(status.success(), "inside the namespace");
}

/// The namespace has no interface that is up. mDNS leaves out loopback addresses, so the loopback interface gets another.
async fn meet() {
    let listen = vec!["/ip4/0.0.0.0/tcp/0"];
    assert_eq!(Command::new("ip").args(["-o", "link", "show", "up"]).output().expect("it runs").stdout, b"");
    let one = Node::start(Options { listen: listen.clone(), mdns: true, ..Options::default() }).await;
    assert!(one.handle.listen_addresses().is_empty());
    for command in ["link set lo up", "addr add 10.99.0.1/24 dev lo", "link set lo multicast on"] {
        let status = Command::new("ip").args(command.split(' ')).status().expect("it runs");
        assert!(status.success(), "{command}");
    }
    let two = Node::start(Options { listen, mdns: true, ..Options::default() }).await;
    two.meets(&one).await;
    one.meets(&two).await;
    let origins = [one.peers().remove(0).origins[0], two.peers().remove(0).origins[0]];
    assert!(origins.contains(&Origin::Mdns), "{origins:?}");
    assert_eq!(one.handle.listen_addresses().len(), 2, "the interface that came later is listened on too");
}
