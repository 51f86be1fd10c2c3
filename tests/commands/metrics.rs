//! What a node tells of itself to programs that watch it: metrics, health, log lines.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use bard_tests::{
    documents::{self, Block},
    process::{Events, Node, PATIENCE, wait_until},
    workspace::root,
};
use serde_json::{Value, json};

/// The samples of the older text format, by name and labels; each is described before.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut described = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(description) = line.strip_prefix("# TYPE ") {
            let (name, kind) = description.split_once(' ').unwrap();
            assert!(described.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is described twice");
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').unwrap();
            let family = name.split('{').next().unwrap();
            let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| family.strip_suffix(end));
            let of_histogram = histogram.is_some_and(|family| described.get(family).is_some_and(|k| k == "histogram"));
            assert!(of_histogram || described.contains_key(family), "{line} is not described");
            assert!(samples.insert(name.to_owned(), value.parse().unwrap()).is_none(), "{name} twice");
        }
    }
    samples
}

fn of(node: &Node) -> BTreeMap<String, f64> {
    let answer = node.get("/metrics");
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8"));
    samples(&answer.body)
}

#[test]
fn metrics_follow_what_happens() {
    let (node, other) = (Node::start(), Node::start());
    let before = of(&node);
    assert_eq!((before["bard_chain_height"], before["bard_peers_connected"]), (0.0, 0.0));
    node.pay("alice", "bob", 5);
    assert_eq!(of(&node)["bard_pool_transactions"], 1.0);
    // More than are kept for whoever comes to hear of them by gossip.
    node.mine(20);
    node.post("/api/v1/peers", &json!({ "address": other.address() })).success();
    node.get("/api/v1/blocks/1").success();
    node.get("/api/v1/blocks/2").success();
    wait_until("the other has the blocks", PATIENCE, || other.height() == 20);
    let after = of(&node);
    for (name, value) in [
        ("bard_chain_height", 20.0),
        ("bard_pool_transactions", 0.0),
        ("bard_pool_admitted_total", 1.0),
        ("bard_chain_blocks_accepted_total{outcome=\"extended\"}", 20.0),
        ("bard_miner_blocks_found_total", 20.0),
        ("bard_store_commits_total", 20.0),
        ("bard_peers{direction=\"outbound\",transport=\"tcp\",origin=\"manual\"}", 1.0),
        ("bard_http_requests_total{method=\"GET\",route=\"/api/v1/blocks/{id}\",status=\"200\"}", 2.0),
    ] {
        assert_eq!(after.get(name), Some(&value), "{name} of {after:#?}");
    }
    for (name, least) in [
        ("bard_chain_work", 3.0),
        ("bard_chain_difficulty", 1.0),
        ("bard_miner_hashes_total", 3.0),
        ("bard_store_log_bytes", 500.0),
        ("bard_store_commit_seconds_count", 1.0),
        ("bard_events_total", 5.0),
        ("process_resident_memory_bytes", 1e6),
        ("process_open_fds", 5.0),
        ("process_start_time_seconds", 1.7e9),
    ] {
        assert!(after.get(name).is_some_and(|value| *value >= least), "{name} of {after:#?}");
    }
    assert!(after.keys().any(|name| name.starts_with("libp2p_swarm_connections_established")), "{after:#?}");
    wait_until("it counts what it fetched", PATIENCE, || of(&other)["bard_sync_blocks_fetched_total"] >= 1.0);
    wait_until("a gossiped block is timed", PATIENCE, || {
        node.mine(1);
        let told = of(&other);
        let timed = told["bard_relay_block_judging_seconds_count"] >= 1.0;
        timed && told["bard_relay_block_age_seconds_sum"] >= told["bard_relay_block_judging_seconds_sum"] / 2.0
    });
    let counts = |name: &&String| name.contains("_total");
    for name in before.keys().filter(counts) {
        assert!(after[name] >= before[name], "{name} goes down");
    }
}

#[test]
fn every_metric_is_documented_and_nothing_else() {
    let (node, other) = (Node::start(), Node::start());
    node.pay("alice", "bob", 5);
    assert_eq!(
        node.post("/api/v1/wallet/transfer", &json!({ "from": "alice", "to": "bob", "amount": 999_999 })).status,
        409
    );
    node.mine(1);
    node.post("/api/v1/peers", &json!({ "address": other.address() })).success();
    let page = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let documented: BTreeSet<_> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let text = node.get("/metrics").body;
    let told: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let ours = |name: &&&str| !name.starts_with("libp2p_") && !name.starts_with('/');
    let missing: Vec<_> = told.iter().filter(ours).filter(|name| !documented.contains(**name)).collect();
    assert!(missing.is_empty(), "not in docs/metrics.md: {missing:?}");
    let gone: Vec<_> = documented.iter().filter(ours).filter(|name| !told.contains(**name)).collect();
    assert!(gone.is_empty(), "in docs/metrics.md, but nowhere else: {gone:?}");
}

#[test]
fn promtool_finds_no_fault() {
    let (node, other) = (Node::start(), Node::start());
    node.pay("alice", "bob", 5);
    node.mine(3);
    node.post("/api/v1/peers", &json!({ "address": other.address() })).success();
    drop(Events::follow(&node, "", None));
    let missing = |program: &str| Command::new(program).arg("--version").output().is_err();
    if missing("promtool") || missing("curl") {
        // `.ci/run` installs them; a clone needs only Rust.
        return;
    }
    let commands: Vec<_> =
        documents::section("docs/metrics.md", "`GET /metrics`").iter().flat_map(Block::lines).collect();
    assert_eq!(commands.len(), 1, "{commands:?}");
    let line = commands[0].replace("http://127.0.0.1:5000/", &node.file().api);
    let ended = Command::new("sh").args(["-c", &line]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    let ours: Vec<_> = said.lines().filter(|line| !line.is_empty()).collect();
    assert!(ended.status.success() && ours.is_empty(), "{ours:#?}");
}

#[test]
fn open_metrics_for_who_asks() {
    let node = Node::start();
    let authority = node.file().api.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {authority}\r\n{accept}\r\nConnection: close\r\n\r\n");
    let answer = node.http().raw(request.as_bytes());
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
}

fn rules(answer: &Value) -> Vec<(&str, bool)> {
    let rules = answer["rules"].as_array().unwrap().iter();
    rules.map(|rule| (rule["rule"].as_str().unwrap(), rule["ok"].as_bool().unwrap())).collect()
}

#[test]
fn readiness_goes_by_its_rules() {
    let plain = Node::start();
    assert_eq!(rules(&plain.get("/healthz").success()), [("keeper_ms", true), ("network_ms", true)]);
    assert_eq!(rules(&plain.get("/readyz").success()), [("lag_blocks", true), ("peers", true), ("free_bytes", true)]);
    let strict = Node::builder().arg("--ready-peers").arg("1").arg("--ready-tip-age").arg("600").start();
    let answer = strict.get("/readyz");
    assert_eq!((answer.status, &answer.json()["status"]), (503, &json!("not ready")));
    // The time of the genesis block is long ago.
    let expected = [("lag_blocks", true), ("peers", false), ("free_bytes", true), ("tip_age_seconds", false)];
    assert_eq!(rules(&answer.json()), expected);
    strict.mine(1);
    strict.post("/api/v1/peers", &json!({ "address": plain.address() })).success();
    wait_until("it is ready", PATIENCE, || strict.get("/readyz").status == 200);
    let rule = strict.get("/readyz").success()["rules"][1].clone();
    assert_eq!(rule, json!({ "rule": "peers", "ok": true, "value": 1, "limit": 1 }));
}

#[test]
fn log_lines_are_json_where_asked_for() {
    let mut node = Node::builder().arg("--log-format").arg("json").arg("--log").arg("info,bard_node=debug").start();
    let id = node.mine(1).swap_remove(0);
    node.stop();
    let lines: Vec<Value> = node
        .stderr()
        .from(0)
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    assert!(!lines.is_empty());
    for line in &lines {
        for field in ["timestamp", "level", "target"] {
            assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {line}");
        }
        assert!(line["fields"].is_object(), "{line}");
    }
    let import = lines.iter().find(|line| line["span"]["name"] == "import").expect("the import of a block");
    assert_eq!((&import["span"]["id"], &import["span"]["height"]), (&json!(id), &json!(1)));
    assert_eq!(import["level"], json!("DEBUG"));
}
