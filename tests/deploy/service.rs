//! What a service manager hears, at a real socket.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

use bard_tests::process::{Builder, PATIENCE, TrackerBuilder, wait_for};

/// The place of a service manager.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn at(socket: UnixDatagram) -> Self {
        socket.set_nonblocking(true).unwrap();
        Self { socket }
    }

    /// The next datagram, if there is one.
    fn heard(&self) -> Option<String> {
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(length) => Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Waits for a datagram with a line.
    fn hears(&self, line: &str) -> String {
        wait_for(line, PATIENCE, || self.heard().filter(|told| told.lines().any(|one| one == line)))
    }
}

#[test]
fn a_manager_hears_that_a_node_is_ready_alive_and_stopping() {
    let builder = Builder::default();
    let path = builder.home().join("notify");
    let manager = Manager::at(UnixDatagram::bind(&path).unwrap());
    let builder = builder.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000");
    let mut node = builder.spawn();
    let first = wait_for("a word of the node", PATIENCE, || manager.heard());
    assert!(first.starts_with("READY=1\nSTATUS=chain dev, API at http://127.0.0.1:"), "{first}");
    assert!(builder.dir().join("node.json").is_file(), "it is ready before it says so");
    node.wait_ready(PATIENCE);
    manager.hears("WATCHDOG=1");
    manager.hears("WATCHDOG=1");
    node.stop();
    manager.hears("STOPPING=1");
}

#[test]
fn a_node_that_is_stuck_is_not_alive() {
    let builder = Builder::default();
    let path = builder.home().join("notify");
    let manager = Manager::at(UnixDatagram::bind(&path).unwrap());
    let node = builder.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000").start();
    manager.hears("WATCHDOG=1");
    let pid = i32::try_from(node.pid()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    // What was sent before the signal is heard first.
    let mut silent = std::time::Instant::now();
    wait_for("silence", PATIENCE, || {
        if manager.heard().is_some() {
            silent = std::time::Instant::now();
        }
        (silent.elapsed() > Duration::from_secs(1)).then_some(())
    });
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    manager.hears("WATCHDOG=1");
}

#[test]
fn a_manager_in_the_abstract_namespace_is_found() {
    let name = format!("bard-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager::at(UnixDatagram::bind_addr(&address).unwrap());
    let mut node = Builder::default().env("NOTIFY_SOCKET", format!("@{name}")).start();
    manager.hears("READY=1");
    node.stop();
    manager.hears("STOPPING=1");
}

#[test]
fn a_manager_that_is_gone_holds_nobody_up() {
    let mut node = Builder::default().env("NOTIFY_SOCKET", "/nonexistent/notify").start();
    node.stop();
    assert!(
        node.stderr().text().contains("the service manager at NOTIFY_SOCKET cannot be reached"),
        "{}",
        node.stderr().text()
    );
}

#[test]
fn a_tracker_says_so_too() {
    let builder = TrackerBuilder::default();
    let name = format!("bard-test-tracker-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager::at(UnixDatagram::bind_addr(&address).unwrap());
    let tracker = builder.env("NOTIFY_SOCKET", format!("@{name}")).start();
    let ready = manager.hears("READY=1");
    assert!(ready.contains("STATUS=tracker at http://"), "{ready}");
    drop(tracker);
}
