//! A stranger from the internet who says that he is at a port of this machine's private network: nobody knocks there.

use std::{io::ErrorKind, net::TcpListener, time::Duration};

use bard_tests::{
    netns::{inside, prepare_loopback},
    process::{Builder, PATIENCE, holds_for, wait_until},
};

use super::knows;

/// Some dials of whoever has gone: after half a second, then twice as long each time.
const DIALS: Duration = Duration::from_secs(8);

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn what_a_stranger_says_has_no_private_port_knocked_at() {
    if !inside("knocks::what_a_stranger_says_has_no_private_port_knocked_at") {
        return;
    }
    // Whoever connects to an address of this machine comes from that same address.
    prepare_loopback("45.10.0.1");
    prepare_loopback("10.66.0.1");
    let traps = [TcpListener::bind("10.66.0.1:7777").unwrap(), TcpListener::bind("127.0.0.1:7778").unwrap()];
    traps.iter().for_each(|trap| trap.set_nonblocking(true).unwrap());
    let node = || Builder::default().listen("/ip4/45.10.0.1/tcp/0");
    let middle = node().start();
    let mut stranger = node().bootstrap(middle.bare_address());
    for trap in ["/ip4/10.66.0.1/tcp/7777", "/dns4/localhost/tcp/7778"] {
        stranger = stranger.arg("--external-address").arg(trap);
    }
    let stranger = stranger.start();
    wait_until("the stranger is there", PATIENCE, || knows(&middle, &stranger));
    let other = node().bootstrap(middle.bare_address()).start();
    wait_until("another is told of him", PATIENCE, || knows(&other, &stranger));
    drop(stranger);
    holds_for("nobody knocks", DIALS, || {
        traps.iter().all(|trap| trap.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock))
    });
}
