//! Events: what programs are told, that nothing is lost or told twice, and what they may cost.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use bard_tests::{
    documents::{Block, blocks},
    process::{Event, Events, Node, PATIENCE, wait_until},
};
use serde_json::json;

/// Clients that may follow at the same time.
const MAX_CLIENTS: usize = 1_024;
/// Idle clients whose memory is measured.
const IDLE: usize = 1_000;
/// Connections on which a body comes byte by byte.
const ATTACKERS: usize = 50;
/// Bytes that an idle client may cost the node: nearly all of it is what any HTTP connection costs, 37 KiB where measured,
/// and twice that in a build for tests.
const PER_CLIENT: u64 = if cfg!(debug_assertions) { 112 << 10 } else { 56 << 10 };

fn heights(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.data["height"].as_u64().unwrap()).collect()
}

#[test]
fn what_happens_is_told() {
    let node = Node::start();
    let mut events = Events::follow(&node, "", None);
    let paid = node.pay("alice", "bob", 5);
    let told = events.next().unwrap();
    assert_eq!((told.kind.as_str(), &told.data["id"]), ("transaction", &json!(paid)));
    assert_eq!((&told.data["action"]["type"], &told.data["action"]["amount"]), (&json!("transfer"), &json!(5)));
    let mined = node.mine(1).swap_remove(0);
    let block = events.next_of("block");
    assert_eq!((&block.data["hash"], &block.data["height"]), (&json!(mined), &json!(1)));
    assert_eq!(block.data["transactions"], json!(1));
    assert!(block.number() > told.number());
    assert_eq!(events.next_of("mining").data["mined"], json!(1));

    let ahead = Node::start();
    ahead.mine(40);
    let other = Node::builder().bootstrap(node.address()).start();
    let came = events.next_of("peer");
    assert_eq!((&came.data["change"], &came.data["peer_id"]), (&json!("connected"), &json!(other.peer_id())));
    assert_eq!(came.data["direction"], json!("inbound"));
    drop(other);
    assert_eq!(events.next_of("peer").data["change"], json!("lost"));
    // A longer chain: blocks are fetched, the one of this node is left.
    node.post("/api/v1/peers", &json!({ "address": ahead.address() })).success();
    let mut chain = Events::follow(&node, "types=reorg,sync", Some(&came.id));
    // The order of different kinds is not promised.
    let (mut reorg, mut sync) = (None, Vec::new());
    while reorg.is_none() || sync.last() != Some(&json!("finished")) {
        let event = chain.next().unwrap();
        match event.kind.as_str() {
            "reorg" => reorg = Some(event.data),
            _ => sync.push(event.data["state"].clone()),
        }
    }
    assert_eq!(sync[0], json!("started"));
    let reorg = reorg.unwrap();
    assert_eq!((&reorg["outcome"], &reorg["old_tip"]), (&json!("adopted"), &json!(mined)));
    assert_eq!((&reorg["disconnected"], &reorg["fork_height"]), (&json!(1), &json!(0)));
}

#[test]
fn a_client_that_comes_back_misses_nothing() {
    let node = Node::start();
    let mut seen = Vec::new();
    let mut events = Events::follow(&node, "types=block", None);
    let mut last = None;
    for round in 0..5_u32 {
        node.mine(7);
        // Some are read, some are on their way when the connection ends.
        for _ in 0..=round {
            seen.push(events.next().unwrap());
            last = Some(events.last_id().to_owned());
        }
        drop(events);
        node.mine(3);
        events = Events::follow(&node, "types=block", last.as_deref());
    }
    while seen.len() < 50 {
        seen.push(events.next().unwrap());
    }
    assert_eq!(heights(&seen), (1..=50).collect::<Vec<_>>(), "each once and in order");
    // By the query too, for clients that cannot set headers.
    let query = format!("types=block&last_event_id={}", seen[47].id);
    let mut again = Events::follow(&node, &query, None);
    assert_eq!(heights(&[again.next().unwrap(), again.next().unwrap()]), [49, 50]);
}

#[test]
fn a_client_that_cannot_go_on_is_told() {
    let mut node = Node::start();
    let mut events = Events::follow(&node, "", None);
    node.mine(1);
    let last = events.next_of("block").id;
    for unknown in ["nonsense", "0-0-0", &format!("{last}0000")] {
        let reset = Events::follow(&node, "", Some(unknown)).next().unwrap();
        assert_eq!(reset.kind, "reset", "{unknown}");
    }
    node.mine(1_100);
    let reset = Events::follow(&node, "types=block", Some(&last)).next().unwrap();
    assert_eq!((reset.kind.as_str(), &reset.data["reason"]), ("reset", &json!("expired")));
    node.stop();
    while let Some(event) = events.next() {
        assert_ne!(event.kind, "reset");
    }
    let node = node.builder_of().clone().start();
    let mut events = Events::follow(&node, "", Some(&last));
    let reset = events.next().unwrap();
    assert_eq!((reset.kind.as_str(), &reset.data["reason"]), ("reset", &json!("restarted")));
    // Its id is a place to go on from.
    node.mine(1);
    let mut resumed = Events::follow(&node, "types=block", Some(&reset.id));
    assert_eq!(resumed.next().unwrap().data["height"], json!(1_102));
    let head = Events::try_follow(&node, "types=block,moon", None).err().unwrap();
    assert!(head.starts_with("HTTP/1.0 400") || head.starts_with("HTTP/1.1 400"), "{head}");
}

#[test]
fn a_client_that_does_not_read_is_dropped_and_others_go_on() {
    let node = Node::start();
    let mut slow = Events::follow_narrow(&node, "");
    let total: u32 = 8_000;
    let reached = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let quick = scope.spawn(|| {
            let mut quick = Events::follow(&node, "types=block", None);
            let mut height = 0;
            while height < u64::from(total) {
                let event = quick.next().unwrap();
                if event.kind == "error" {
                    // A busy machine may keep it from reading: then it takes up where it was.
                    quick = Events::follow(&node, "types=block", Some(&event.id));
                    continue;
                }
                height += 1;
                assert_eq!(event.data["height"], json!(height));
                reached.store(height, Ordering::Relaxed);
            }
        });
        // More than the sockets between take.
        for part in 1..=8 {
            node.mine(total / 8);
            // No further ahead of the quick one than what is kept for whoever comes back.
            let mined = u64::from(total / 8 * part);
            wait_until("the quick one has heard of it", PATIENCE, || {
                quick.is_finished() || reached.load(Ordering::Relaxed) >= mined
            });
        }
        quick.join().unwrap();
    });
    let began = Instant::now();
    wait_until("it is late", PATIENCE, || began.elapsed().as_millis() > 1_500);
    let mut last = slow.next().unwrap();
    let mut read = 1;
    while last.kind != "error" {
        let next = slow.next().expect("a last word");
        assert!(next.kind == "error" || next.number() > last.number());
        last = next;
        read += 1;
    }
    // Two events a block.
    assert_eq!(last.data["reason"], json!("too-slow"));
    assert!(read < 2 * total, "{read} of {} events", 2 * total);
    assert_eq!(slow.next(), None, "that was the end");
}

#[test]
fn the_documented_program_follows() {
    let node = Node::start();
    let program: String = blocks("docs/events.md", "python").into_iter().map(|block| block.text).collect();
    let program = program.replace("http://127.0.0.1:5000/", &node.file().api);
    let started = Command::new("python3").args(["-c", &program]).stdout(Stdio::piped()).spawn();
    // A clone needs only Rust; where Python is missing, there is nobody to follow.
    let Ok(mut python) = started else { return };
    let stdout = python.stdout.take().unwrap();
    wait_until("it follows", PATIENCE, || {
        node.get("/metrics").body.lines().any(|line| line == "bard_events_followers 1.0")
    });
    let mined = node.mine(1).swap_remove(0);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let words: Vec<_> = line.split_whitespace().skip(1).collect();
    assert_eq!(words, ["block", "1", &mined], "{line}");
    drop(node);
    assert!(python.wait().unwrap().code().is_some(), "it ends with the stream");
}

#[test]
fn the_documented_curl_follows() {
    let node = Node::start();
    let commands: Vec<_> = blocks("docs/events.md", "sh").iter().flat_map(Block::lines).collect();
    assert_eq!(commands.len(), 1, "{commands:?}");
    let line = commands[0].replace("http://127.0.0.1:5000/", &node.file().api);
    if Command::new("curl").arg("--version").output().is_err() {
        return;
    }
    let mut curl = Command::new("sh").args(["-c", &format!("exec {line}")]).stdout(Stdio::piped()).spawn().unwrap();
    wait_until("it follows", PATIENCE, || {
        node.get("/metrics").body.lines().any(|line| line == "bard_events_followers 1.0")
    });
    let mined = node.mine(1).swap_remove(0);
    let mut told = BufReader::new(curl.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(told.any(|line| line == "event: block"), "the block is told");
    let data = told.next().unwrap_or_default();
    assert!(data.starts_with("data: {\"height\":1,") && data.contains(&mined), "{data}");
    // It ends with the stream.
    drop(node);
    told.for_each(drop);
    assert!(curl.wait().unwrap().code().is_some());
}

/// Allows as many sockets as the system does: those of both sides, for the node inherits what is allowed here.
fn raise_limits() {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limits.maximum, ..limits };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
}

#[test]
fn a_thousand_idle_clients_cost_little() {
    raise_limits();
    let node = Node::start();
    node.mine(1);
    let before = node.memory();
    let mut clients: Vec<_> = (0..IDLE).map(|_| Events::follow(&node, "", None)).collect();
    node.mine(1);
    clients.iter_mut().for_each(|client| assert_eq!(client.next_of("block").data["height"], json!(2)));
    let cost = node.memory().saturating_sub(before);
    assert!(cost < IDLE as u64 * PER_CLIENT, "{IDLE} clients cost {} KiB", cost >> 10);
    #[allow(clippy::print_stderr, reason = "a measurement for whoever runs this test alone")]
    {
        eprintln!("{} KiB before, {} KiB more with {IDLE} clients", before >> 10, cost >> 10);
    }
    let began = Instant::now();
    assert_eq!(node.get("/healthz").status, 200);
    assert!(began.elapsed().as_secs() < 2, "others are served meanwhile");
    clients.extend((clients.len()..MAX_CLIENTS).map(|_| Events::follow(&node, "", None)));
    let head = Events::try_follow(&node, "", None).err().unwrap();
    assert!(head.contains(" 503 "), "{head}");
    drop(clients);
    wait_until("their places are free", PATIENCE, || Events::try_follow(&node, "", None).is_ok());
}

/// Bodies that never come to an end, byte by byte, until `stop`; how many connections the node gave up meanwhile.
fn attack_slowly(authority: &str, stop: &AtomicBool) -> usize {
    let head = format!(
        "POST /api/v1/mine HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n"
    );
    let connect = || {
        let mut stream = TcpStream::connect(authority).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let mut all: Vec<_> = (0..ATTACKERS).map(|_| connect()).collect();
    let mut given_up = 0;
    while !stop.load(Ordering::Relaxed) {
        for stream in &mut all {
            if stream.write_all(b" ").is_err() {
                given_up += 1;
                *stream = connect();
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    given_up
}

#[test]
fn crowds_and_slow_bodies_keep_nobody_else_out() {
    raise_limits();
    let (node, other) = (Node::start(), Node::start());
    node.post("/api/v1/peers", &json!({ "address": other.address() })).success();
    let authority = node.file().api.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let before = node.memory();
    let clients: Vec<_> = (0..IDLE).map(|_| Events::follow(&node, "types=reorg", None)).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let attack = scope.spawn(|| attack_slowly(&authority, &stop));
        // Longer than the 10 s that a body may take.
        let began = Instant::now();
        let mut round: u64 = 0;
        while began.elapsed() < Duration::from_secs(14) {
            round += 1;
            let asked = Instant::now();
            assert!(!node.ask("status").is_empty(), "the console answers");
            assert_eq!(node.get("/healthz").status, 200, "the API answers");
            assert!(asked.elapsed() < PATIENCE / 4, "{:?}", asked.elapsed());
            let miner = if round.is_multiple_of(2) { &node } else { &other };
            miner.mine(1);
            node.wait_for_same_tip(&other);
        }
        assert_eq!(node.height(), round, "blocks of both went to and fro");
        stop.store(true, Ordering::Relaxed);
        assert!(attack.join().unwrap() >= ATTACKERS, "bodies that do not come are given up");
    });
    let cost = node.memory().saturating_sub(before);
    let allowed = (IDLE + 2 * ATTACKERS) as u64 * PER_CLIENT;
    assert!(cost < allowed, "{} KiB more, {} allowed", cost >> 10, allowed >> 10);
    drop(clients);
}
