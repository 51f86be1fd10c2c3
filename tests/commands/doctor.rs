//! `bard doctor`: every cause that it claims to name, made on purpose. Those that need a network of their own are in the suite
//! `network`.

use std::{fs, net::TcpListener};

use bard_chain::{
    presets,
    spec::ChainSpec,
    units::{Height, Timestamp, Work},
};
use bard_protocol::{Agent, Status, SyncRequest, SyncResponse};
use bard_tests::{
    chain_builder::easy_spec,
    hostile_peer::{Answer, Guise, HostilePeer},
    process::{Builder, Ended, Node, PATIENCE, TrackerBuilder, wait_until},
};
use serde_json::Value;

/// Options that keep it on loopback.
const HERE: [&str; 7] = ["doctor", "--json", "--no-mdns", "--port", "0", "--listen", "/ip4/127.0.0.1/tcp/0"];

/// What the doctor said.
struct Report {
    ended: Ended,
    findings: Vec<Value>,
}

impl Report {
    fn of(user: &Builder, arguments: &[&str]) -> Self {
        let ended = user.tool(arguments);
        let document: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
        let findings = document["findings"].as_array().unwrap().clone();
        let faults = findings.iter().filter(|finding| finding["verdict"] == "fault").count();
        assert_eq!(document["faults"], faults);
        assert_eq!(ended.code(), Some(i32::from(faults > 0)), "{ended:?}");
        for finding in &findings {
            assert_eq!(finding["verdict"] == "ok", finding["advice"].is_null(), "what to do: {finding}");
        }
        Self { ended, findings }
    }

    /// Asserts that there is one such finding, and that all of `parts` are in it.
    fn has(&self, check: &str, verdict: &str, parts: &[&str]) {
        let is_it = |finding: &&Value| {
            let text = finding.to_string();
            finding["check"] == check && finding["verdict"] == verdict && parts.iter().all(|part| text.contains(part))
        };
        assert_eq!(
            self.findings.iter().filter(is_it).count(),
            1,
            "{check}, {verdict}, {parts:?}: {}",
            self.ended.stdout
        );
    }

    fn faults(&self) -> usize {
        self.findings.iter().filter(|finding| finding["verdict"] == "fault").count()
    }
}

/// Looks from a machine where no node runs.
fn doctor(more: &[&str]) -> Report {
    Report::of(&Builder::default(), &[&HERE[..], more].concat())
}

#[test]
fn where_all_is_well_it_says_so_and_disturbs_nobody() {
    let node = Node::start();
    let report = doctor(&["--bootstrap", node.address()]);
    report.has("bootstrap", "ok", &[node.peer_id(), "of this chain"]);
    report.has("clock", "ok", &["s "]);
    assert_eq!(report.faults(), 0, "{}", report.ended.stdout);
    assert!(node.peers().is_empty() && !node.stderr().contains("a peer has come"), "a doctor is no peer");
    let text = Builder::default().tool(&["doctor", "--no-mdns", "--port", "0", "--bootstrap", node.address()]);
    assert!(text.stdout.lines().any(|line| line.starts_with("ok       bootstrap")), "{text:?}");
}

#[test]
fn nobody_listens_there() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let report = doctor(&["--bootstrap", &format!("/ip4/127.0.0.1/tcp/{free}")]);
    report.has("bootstrap", "fault", &["refused", &free.to_string(), "start the node there"]);
    let report = doctor(&["--tracker", &format!("http://127.0.0.1:{free}")]);
    report.has("tracker", "fault", &["refused"]);
    let quic = doctor(&["--bootstrap", &format!("/ip4/127.0.0.1/udp/{free}/quic-v1")]);
    quic.has("bootstrap", "fault", &["nobody is there, or a firewall drops UDP"]);
}

#[test]
fn a_name_is_not_found() {
    let report = doctor(&["--bootstrap", "/dns/nowhere.invalid/tcp/6000"]);
    report.has("bootstrap", "fault", &["the name nowhere.invalid is not found", "DNS"]);
}

#[test]
fn another_chain_is_there() {
    let spec = ChainSpec { name: "other".into(), ..easy_spec() };
    let node = Node::builder().chain(&spec).start();
    let report = doctor(&["--bootstrap", node.address()]);
    let ids = [spec.chain_id().short(), presets::dev().chain_id().short()];
    report.has("bootstrap", "fault", &["another chain", &ids[0], &ids[1], "bard invite"]);
}

#[test]
fn another_node_is_there() {
    let (node, other) = (Node::start(), Node::start());
    let wrong = format!("{}/p2p/{}", node.bare_address(), other.peer_id());
    doctor(&["--bootstrap", &wrong]).has("bootstrap", "fault", &["another node answers", node.peer_id(), "/p2p/"]);
}

#[test]
fn the_port_is_that_of_the_api() {
    let node = Node::start();
    let port = node.file().api.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    let report = doctor(&["--bootstrap", &format!("/ip4/127.0.0.1/tcp/{port}")]);
    report.has("bootstrap", "fault", &["the port of a node's API", node.address()]);
}

#[test]
fn a_tracker_is_no_node() {
    let tracker = TrackerBuilder::default().start();
    let report = doctor(&["--bootstrap", tracker.address(), "--tracker", &tracker.url()]);
    report.has("bootstrap", "warning", &["a tracker", "--rendezvous"]);
    report.has("tracker", "ok", &[&tracker.url()]);
}

#[test]
fn something_else_is_there() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let report = doctor(&["--bootstrap", &format!("/ip4/127.0.0.1/tcp/{port}")]);
    report.has("bootstrap", "fault", &["does not talk to this node"]);
}

#[test]
fn ports_are_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let address = format!("/ip4/127.0.0.1/tcp/{port}");
    let options = ["doctor", "--json", "--no-mdns", "--port", &port, "--listen", &address];
    let report = Report::of(&Builder::default(), &options);
    report.has("API port", "fault", &[&port, "is taken", "try --port "]);
    report.has("P2P port", "fault", &[&address, "is taken", "is free"]);
    // A node of the same user is named.
    let node = Node::builder().default_data_dir().start();
    let api = node.file().api.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    let bare = node.bare_address().to_owned();
    let dir = node.builder_of().home().join("elsewhere");
    let dir = dir.to_str().unwrap();
    let options = ["doctor", "--json", "--no-mdns", "--port", &api, "--listen", &bare, "--data-dir", dir];
    let report = Report::of(node.builder_of(), &options);
    let pid = format!("the node of process {}", node.pid());
    report.has("API port", "fault", &[&pid]);
    report.has("P2P port", "fault", &[&pid]);
}

#[test]
fn an_address_that_this_machine_does_not_have() {
    let report = doctor(&["--listen", "/ip4/192.0.2.1/tcp/6000"]);
    report.has("P2P port", "fault", &["does not have the address 192.0.2.1"]);
}

#[test]
fn nothing_tells_of_others() {
    doctor(&["--no-local"]).has("ways to meet", "fault", &["mDNS is off", "--bootstrap"]);
    doctor(&[]).has("ways to meet", "warning", &["nodes on other machines are not found"]);
    doctor(&["--peers-file", "/nowhere/at/all"]).has("ways to meet", "fault", &["/nowhere/at/all"]);
}

#[test]
fn a_closed_chain_lets_in_only_those_who_know_its_secret() {
    let founder = Builder::default();
    let made = founder.tool(&["chain", "new", "--name", "lab", "--closed"]);
    assert_eq!(made.code(), Some(0), "{made:?}");
    let spec = founder.home().join("lab.toml");
    let spec = spec.to_str().unwrap();
    let node = founder.default_data_dir().arg("--chain").arg("lab").start();
    let closed = ["--chain", spec, "--bootstrap", node.address()];
    doctor(&closed).has("chain", "fault", &["is closed", "bard join LINK"]);
    let user = Builder::default();
    let file = user.home().join("secret");
    fs::write(&file, "00112233445566778899aabbccddeeff").unwrap();
    let wrong = [&closed[..], &["--chain-secret-file", file.to_str().unwrap()]].concat();
    doctor(&wrong).has("bootstrap", "fault", &["does not take this chain's secret"]);
    doctor(&["--bootstrap", node.address()]).has("bootstrap", "fault", &["it is on a closed chain"]);
    let own = Report::of(node.builder_of(), &[&HERE[..], &closed].concat());
    own.has("bootstrap", "ok", &[node.peer_id()]);
}

#[test]
fn an_unknown_chain_ends_it() {
    doctor(&["--chain", "moon"]).has("chain", "fault", &["moon"]);
}

#[test]
fn an_identity_was_copied() {
    let node = Node::start();
    let copy = node.builder_of().home().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::copy(node.dir().join("identity.key"), copy.join("identity.key")).unwrap();
    let options = ["--bootstrap", node.address(), "--data-dir", copy.to_str().unwrap()];
    doctor(&options).has("identity", "fault", &["this node's identity", "delete identity.key"]);
    // The node itself is no copy.
    let options = ["--bootstrap", node.address(), "--data-dir", node.dir().to_str().unwrap()];
    doctor(&options).has("bootstrap", "warning", &["is this node itself"]);
}

/// A peer on the `dev` chain whose clock shows that time.
fn with_clock(clock: u64) -> Guise {
    Guise::with_script(move |request| match request {
        SyncRequest::Status(theirs) => Answer::Message(SyncResponse::Status(Status {
            height: Height::ZERO,
            work: Work::ZERO,
            agent: Agent::new("x"),
            clock: Timestamp::new(clock),
            ..theirs.clone()
        })),
        _ => Answer::Silence,
    })
}

#[test]
fn a_clock_is_wrong() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = u64::try_from(now.as_millis()).unwrap();
    let minute = 60_000;
    for (clock, verdict, part) in [
        (now + 180 * minute, "fault", "s behind the clock of a peer"),
        (now - 180 * minute, "fault", "s ahead of the clock of a peer"),
        (now + minute, "warning", "s behind"),
    ] {
        let (_peer, address) = HostilePeer::listening(&presets::dev(), with_clock(clock));
        let report = doctor(&["--bootstrap", &address.to_string()]);
        report.has("clock", verdict, &[part, "120 s", "NTP"]);
    }
}

#[test]
fn another_version_is_there() {
    let (_peer, address) = HostilePeer::listening(&presets::dev(), Guise::default());
    doctor(&["--bootstrap", &address.to_string()]).has("version", "warning", &["the same version"]);
    for (said, check, part) in
        [("blockbard/2 x", "version", "blockbard/2"), ("ipfs/0.1.0", "bootstrap", "no BlockBard node")]
    {
        let guise = Guise { protocol_version: Some(said.to_owned()), ..Guise::default() };
        let (_peer, address) = HostilePeer::listening(&presets::dev(), guise);
        doctor(&["--bootstrap", &address.to_string()]).has(check, "fault", &[part]);
    }
}

#[test]
fn a_running_node_is_asked() {
    let node = Node::start();
    let asked = ["doctor", "--json", "--no-mdns", "--api", &node.file().api];
    let report = Report::of(&Builder::default(), &asked);
    report.has("running node", "ok", &[&node.file().api]);
    report.has("peers", "warning", &["no peer is connected"]);
    report.has("reachability", "warning", &["this machine only"]);
    let other = Node::builder().bootstrap(node.address()).start();
    other.wait_for_peers(1);
    // It asks the peers for their clocks that the node has dialled.
    let asked = ["doctor", "--json", "--no-mdns", "--data-dir", other.dir().to_str().unwrap()];
    let report = Report::of(&Builder::default(), &asked);
    report.has("peers", "ok", &["1 connected"]);
    report.has("clock", "ok", &[]);
    // What it has met since it started, it tells.
    let spec = ChainSpec { name: "other".into(), ..easy_spec() };
    let stranger = Node::builder().chain(&spec).bootstrap(node.address()).start();
    // Who was dialled may not hear before the other has left.
    wait_until("who dialled has noticed", PATIENCE, || {
        stranger.get("/api/v1/node").success()["notices"].as_array().is_some_and(|notices| notices.len() == 1)
    });
    let asked = ["doctor", "--json", "--no-mdns", "--api", &stranger.file().api];
    let chain = presets::dev().chain_id().to_string();
    Report::of(&Builder::default(), &asked).has("other chains", "warning", &[&chain, node.bare_address()]);
    doctor(&["--api", "http://127.0.0.1:1/"]).has("running node", "fault", &["no node answers"]);
}
