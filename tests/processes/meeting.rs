//! Nodes that find each other by what a person wrote down: URLs, ports, files.

use std::{fs, net::TcpListener};

use bard_chain::spec::ChainSpec;
use bard_tests::{
    chain_builder::easy_spec,
    process::{Node, PATIENCE, wait_until},
};
use serde_json::json;

/// The port of a node's API.
fn api_port(node: &Node) -> String {
    node.file().api.trim_end_matches('/').rsplit(':').next().unwrap().to_owned()
}

/// A port that is free now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether the log has exactly so many lines with a text.
fn lines_with(node: &Node, text: &str) -> usize {
    node.stderr().from(0).iter().filter(|line| line.contains(text)).count()
}

#[test]
fn the_url_of_an_api_leads_to_its_node() {
    let (one, two, three) = (Node::start(), Node::start(), Node::start());
    for api in [one.file().api.clone(), format!("http://localhost:{}", api_port(&one))] {
        assert_eq!(two.ask_line(&format!("connect {api}")), format!("connected to {}", one.peer_id()));
    }
    let connected = three.post("/api/v1/peers", &json!({ "address": one.file().api }));
    assert_eq!((connected.status, connected.json()["peer_id"].as_str()), (201, Some(one.peer_id())));
    one.mine(2);
    two.wait_for_same_tip(&one);
    three.wait_for_same_tip(&one);
}

#[test]
fn a_port_may_be_that_of_an_api() {
    let (one, two, three) = (Node::start(), Node::start(), Node::start());
    let connected = format!("connected to {}", one.peer_id());
    assert_eq!(two.ask_line(&format!("connect localhost {}", api_port(&one))), connected);
    let port = one.bare_address().rsplit('/').next().unwrap();
    assert_eq!(three.ask_line(&format!("connect 127.0.0.1:{port}")), connected);
}

#[test]
fn the_api_of_another_chain_is_refused_by_name() {
    let other = ChainSpec { name: "other".into(), ..easy_spec() };
    let (stranger, node) = (Node::builder().chain(&other).start(), Node::start());
    let answer = node.ask_line(&format!("connect {}", stranger.file().api));
    assert!(answer.starts_with("error: ") && answer.contains("other (") && answer.contains("dev ("), "{answer}");
    let refused = node.post("/api/v1/peers", &json!({ "address": stranger.file().api }));
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(node.peers().is_empty());
}

#[test]
fn the_nodes_of_a_peers_file_may_come_later() {
    let builder = Node::builder();
    let (port, p2p) = (free_port(), free_port());
    let file = builder.home().join("nodes.json");
    let entries = json!({ "nodes": [format!("http://127.0.0.1:{port}/"), format!("localhost:{p2p}")] });
    fs::write(&file, entries.to_string()).unwrap();
    let node = builder.arg("--peers-file").arg(&file).start();
    wait_until("it says that nobody is there", PATIENCE, || {
        [port, p2p].iter().all(|port| lines_with(&node, &format!(":{port} cannot be reached")) == 1)
    });
    let one = Node::builder().port(port).start();
    let two = Node::builder().listen(format!("/ip4/127.0.0.1/tcp/{p2p}")).start();
    for other in [&one, &two] {
        wait_until("they meet", PATIENCE, || node.peers().contains(&other.peer_id().to_owned()));
    }
    let found = node.get("/api/v1/peers").json()["peers"].clone();
    let by_file = |peer: &serde_json::Value| peer["origins"].as_array().unwrap().contains(&json!("peers-file"));
    assert!(found.as_array().unwrap().iter().all(by_file), "{found}");
    assert_eq!(lines_with(&node, &format!(":{port} cannot be reached")), 1, "said once");
    one.mine(1);
    two.wait_for_same_tip(&one);
}

#[test]
fn a_damaged_book_of_peers_is_set_aside() {
    let builder = Node::builder();
    let book = builder.dir().join("peers.json");
    fs::create_dir_all(builder.dir()).unwrap();
    fs::write(&book, "{ no book").unwrap();
    let mut node = builder.start();
    assert_eq!(lines_with(&node, "peers.json"), 1, "{}", node.stderr().text());
    assert!(node.stderr().contains("peers.json.damaged"), "{}", node.stderr().text());
    assert_eq!(fs::read_to_string(builder.dir().join("peers.json.damaged")).unwrap(), "{ no book");
    assert!(!book.exists());
    node.stop();
    let node = builder.start();
    assert_eq!(lines_with(&node, "peers.json"), 0, "{}", node.stderr().text());
}

#[test]
fn reachability_is_shown() {
    let node = Node::builder().arg("--external-address").arg("/ip4/192.0.2.1/tcp/6000").start();
    let verdict = node.status_line("reachability");
    assert!(!verdict.is_empty());
    assert!(node.status()["reachability"].as_str().is_some_and(|line| !line.is_empty()));
    let about = node.get("/api/v1/node").json();
    assert!(about["reachability"].as_str().is_some_and(|line| !line.is_empty()), "{about}");
    let lines = |field: &str| about[field].as_array().unwrap().clone();
    assert!(lines("reachability_reasons").iter().any(|one| one == "--external-address says /ip4/192.0.2.1/tcp/6000"));
    assert!(!lines("reachability_advice").is_empty(), "{about}");
    let console = node.ask("node");
    assert!(console.iter().any(|line| line.starts_with("reachability  ")), "{console:?}");
    assert!(console.iter().any(|line| line.starts_with("  because     --external-address")), "{console:?}");
    assert!(console.iter().any(|line| line.starts_with("  to do       ")), "{console:?}");
    let external = about["external"].as_array().unwrap();
    assert_eq!(external.iter().filter(|one| *one == "/ip4/192.0.2.1/tcp/6000").count(), 1, "{about}");
}

#[test]
fn a_tracker_that_is_not_there_is_told_once_and_delays_no_stop() {
    let port = free_port();
    let mut node = Node::builder().arg("--tracker").arg(format!("http://127.0.0.1:{port}")).start();
    let line = format!("the tracker http://127.0.0.1:{port} cannot be reached");
    wait_until("it says so", PATIENCE, || lines_with(&node, &line) == 1);
    // A second attempt comes after about 2 s.
    bard_tests::process::holds_for("it says so once", std::time::Duration::from_secs(4), || {
        lines_with(&node, &line) == 1
    });
    node.stop();
}
