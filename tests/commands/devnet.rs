//! `bard devnet`: nodes on this machine, started and stopped by one command.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use bard_tests::process::{Builder, Http, PATIENCE, run, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// How long many nodes may take on a busy machine.
const LONG: Duration = Duration::from_secs(90);

struct Devnet {
    user: Builder,
    child: Child,
    nodes: Vec<Value>,
    told: Receiver<String>,
}

impl Devnet {
    /// Starts so many nodes and waits until they see each other.
    fn start(count: usize, more: &[&str]) -> Self {
        let user = Builder::default();
        let count_text = count.to_string();
        let mut command = user.tool_command(&[&["devnet", "--json", "--nodes", &count_text], more].concat());
        // What is temporary goes where it can be looked for.
        command.env("TMPDIR", user.home()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let told = lines_of(child.stderr.take().unwrap());
        let printed = lines_of(child.stdout.take().unwrap());
        let mut devnet = Self { user, child, nodes: Vec::new(), told };
        let document = printed.recv_timeout(LONG).expect("a document");
        let document: Value = serde_json::from_str(&document).unwrap();
        devnet.nodes = document["nodes"].as_array().unwrap().clone();
        assert_eq!(devnet.nodes.len(), count);
        devnet.wait_for(|line| line.starts_with(&format!("all {count} nodes see each other")));
        devnet
    }

    fn wait_for(&self, fits: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.told.recv_timeout(LONG).expect("another line");
            if fits(&line) {
                return line;
            }
        }
    }

    fn http(&self, node: usize) -> Http {
        Http::new(self.nodes[node]["api"].as_str().unwrap())
    }

    fn pid(&self, node: usize) -> u32 {
        u32::try_from(self.nodes[node]["pid"].as_u64().unwrap()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait_for_end(&mut self, deadline: Duration) -> Option<i32> {
        let mut status = None;
        wait_until("it ends", deadline, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    fn nothing_is_left(&self) {
        for node in 0..self.nodes.len() {
            wait_until("the node has ended", PATIENCE, || !runs(self.pid(node)));
        }
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe as they come.
fn lines_of(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (told, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if told.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Whether a process runs: one that has ended and that nobody waits for is still there, as a zombie.
fn runs(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn four_nodes_are_one_network_and_one_ctrl_c_ends_them() {
    let mut devnet = Devnet::start(4, &[]);
    let peers = |node: usize| devnet.http(node).get("/api/v1/peers").success()["peers"].as_array().unwrap().len();
    assert!((0..4).all(|node| peers(node) == 3));
    devnet.http(2).post("/api/v1/mine", &json!({ "blocks": 1 })).success();
    let tip = |node: usize| devnet.http(node).get("/api/v1/status").success()["tip"].clone();
    wait_until("all have the block", PATIENCE, || {
        devnet.http(3).get("/api/v1/status").success()["height"] == 1 && (0..4).all(|node| tip(node) == tip(3))
    });
    let left = || std::fs::read_dir(devnet.user.home()).unwrap().flatten().map(|entry| entry.file_name());
    assert!(left().any(|name| name.to_string_lossy().starts_with("bard-devnet-")));
    devnet.signal(Signal::INT);
    assert_eq!(devnet.wait_for_end(Duration::from_secs(6)), Some(0));
    devnet.nothing_is_left();
    let left: Vec<_> =
        std::fs::read_dir(devnet.user.home()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("bard-devnet-")), "{left:?}");
}

#[test]
fn a_node_that_dies_is_reported_and_the_others_go_on() {
    let mut devnet = Devnet::start(2, &["--mine", "--data-dir", "kept"]);
    wait_until("the first mines for both", PATIENCE, || {
        devnet.http(1).get("/api/v1/status").success()["height"].as_u64().is_some_and(|height| height > 0)
    });
    kill_process(Pid::from_raw(i32::try_from(devnet.pid(1)).unwrap()).unwrap(), Signal::KILL).unwrap();
    let told = devnet.wait_for(|line| line.starts_with("node-2 has ended"));
    assert!(told.contains("signal: 9"), "{told}");
    devnet.wait_for(|line| line.starts_with("  20"));
    devnet.http(0).get("/api/v1/status").success();
    devnet.signal(Signal::TERM);
    assert_eq!(devnet.wait_for_end(Duration::from_secs(6)), Some(0));
    devnet.nothing_is_left();
    assert!(devnet.user.home().join("kept/node-1/identity.key").is_file(), "what was asked for is kept");
}

#[test]
fn no_node_outlives_it_however_it_ends() {
    let mut devnet = Devnet::start(2, &[]);
    assert!(runs(devnet.pid(0)) && runs(devnet.pid(1)));
    devnet.signal(Signal::KILL);
    devnet.wait_for_end(PATIENCE);
    devnet.nothing_is_left();
}

#[test]
fn what_goes_wrong_is_said() {
    assert_eq!(run(&["devnet", "--nodes", "0"]).code(), Some(2));
    assert_eq!(run(&["devnet", "--nodes", "33"]).code(), Some(2));
    let ended = run(&["devnet", "--chain", "moon"]);
    assert_eq!((ended.code(), ended.told().len()), (Some(1), 1), "{ended:?}");
    assert!(ended.stderr.contains("--chain moon"), "{ended:?}");
    let ended = run(&["devnet", "--nodes", "2", "--log", "loud,=,"]);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("node-1 did not start") && ended.stderr.contains("--log"), "{ended:?}");
}
