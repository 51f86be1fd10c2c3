//! `bard chain snapshot`, `check-snapshot` and `start-from-snapshot`, and nodes that began so.

use std::{fs, path::Path, process::Stdio, time::Duration};

use bard_tests::process::{Builder, Ended, Node, PATIENCE, wait_until};
use serde_json::Value;

fn refused(ended: &Ended, part: &str) {
    assert_eq!(ended.code(), Some(1), "{}", ended.stdout);
    assert_eq!(ended.told().len(), 1, "{}", ended.stderr);
    assert!(ended.told()[0].contains(part), "{part:?} is not in {:?}", ended.told()[0]);
}

#[test]
fn a_snapshot_shows_the_state_of_a_chain_and_no_other_passes_for_it() {
    let builder = Node::builder();
    let mut node = builder.start();
    node.ask("request projector");
    node.pay("alice", "bob", 5);
    node.mine(20);
    let status = node.status();
    node.stop();

    let path = |name: &str| builder.home().join(name).to_str().unwrap().to_owned();
    let (file, dir) = (path("state.snapshot"), builder.dir().to_str().unwrap().to_owned());
    let check = |file: &str| builder.tool(&["chain", "check-snapshot", file, "--json"]);
    let write =
        |file: &str, more: &[&str]| builder.tool(&[&["chain", "snapshot", file, "--data-dir", &dir], more].concat());
    let written = write(&file, &[]);
    assert_eq!(written.code(), Some(0), "{}", written.stderr);
    assert!(
        written.stderr.contains("at height 20 written to") && written.stderr.contains(" 1 items"),
        "{}",
        written.stderr
    );
    let shown: Value = serde_json::from_str(&check(&file).stdout).unwrap();
    for field in ["height", "tip", "total_work", "state_root"] {
        assert_eq!(shown[field], status[field], "{field}");
    }
    assert_eq!(shown["items"], 1);
    let for_people = builder.tool(&["chain", "check-snapshot", &file]);
    assert!(
        for_people.stdout.starts_with("the state is the one that its header commits to: "),
        "{}",
        for_people.stdout
    );

    // The same of an earlier height: what came since is taken back.
    let earlier = path("earlier.snapshot");
    let written = write(&earlier, &["--height", "0"]);
    assert!(written.stderr.contains("at height 0 written to"), "{}", written.stderr);
    assert!(written.stderr.contains(": 4 accounts, 0 items"), "{}", written.stderr);
    let written = write(&earlier, &["--height", "15", "--force"]);
    assert_eq!(written.code(), Some(0), "{}", written.stderr);
    let at: Value = serde_json::from_str(&check(&earlier).stdout).unwrap();
    assert_eq!((at["height"].as_u64(), at["items"].as_u64(), &at["accounts"]), (Some(15), Some(1), &shown["accounts"]));
    refused(&write(&path("later"), &["--height", "21"]), "there is no height 21 yet");

    refused(&write(&file, &[]), "is there already");
    let again = write(&file, &["--force"]);
    assert_eq!(again.code(), Some(0), "{}", again.stderr);
    assert!(!Path::new(&format!("{file}.new")).exists());

    let whole = fs::read(&file).unwrap();
    let altered = path("altered.snapshot");
    for at in (0..whole.len()).step_by(whole.len() / 12) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&altered, &bytes).unwrap();
        refused(&check(&altered), "snapshot");
        fs::write(&altered, &whole[..at]).unwrap();
        refused(&check(&altered), "snapshot");
    }
    let archive = path("blocks.bard");
    builder.tool(&["chain", "export", &archive, "--data-dir", &dir]);
    refused(&check(&archive), "this is no snapshot of a chain");
    refused(&check(&path("nowhere")), "cannot read");
}

/// A node with a chain of 20 blocks, stopped, and the snapshot of that.
fn with_snapshot() -> (Builder, String) {
    let builder = Node::builder();
    let mut node = builder.start();
    node.ask("request projector");
    node.pay("alice", "bob", 5);
    node.mine(20);
    node.stop();
    let file = builder.home().join("state.snapshot").to_str().unwrap().to_owned();
    let dir = builder.dir().to_str().unwrap().to_owned();
    let written = builder.tool(&["chain", "snapshot", &file, "--data-dir", &dir]);
    assert_eq!(written.code(), Some(0), "{}", written.stderr);
    (builder, file)
}

/// Begins with a snapshot that whoever calls made.
fn begin(builder: &Builder, file: &str, more: &[&str]) -> Ended {
    let more = if more.is_empty() { &["--unverified"] } else { more };
    let dir = builder.dir().to_str().unwrap();
    builder.tool(&[&["chain", "start-from-snapshot", file, "--data-dir", dir], more].concat())
}

/// A directory made from the snapshot.
fn begun(file: &str) -> Builder {
    let late = Node::builder();
    let made = begin(&late, file, &[]);
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    late
}

#[test]
fn nobody_begins_with_a_state_without_being_told_what_to_compare() {
    let (_builder, file) = with_snapshot();
    let late = Node::builder();
    let dir = late.dir().to_str().unwrap();
    let shown: Value = serde_json::from_str(&late.tool(&["chain", "check-snapshot", &file, "--json"]).stdout).unwrap();
    let tip = shown["tip"].as_str().unwrap();
    let unsaid = late.tool(&["chain", "start-from-snapshot", &file, "--data-dir", dir]);
    refused(&unsaid, &format!("ends with block {tip} at height 20"));
    refused(&unsaid, &format!("say --known-block {tip}"));
    assert!(!late.dir().join("chain.log").exists());
    let both = begin(&late, &file, &["--known-block", tip, "--unverified"]);
    assert_eq!(both.code(), Some(2), "{}", both.stderr);
    let made = begin(&late, &file, &["--known-block", tip]);
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    assert!(late.dir().join("chain.log").exists());
}

/// What the node does not have, it says that it does not have, and what it has it answers.
fn assert_honest(node: &Node, old: &str) {
    for path in ["blocks/5", "blocks/5/raw", "blocks?from=5", "blocks?from=20&order=desc", "accounts/bob?height=19"] {
        let answer = node.get(&format!("/api/v1/{path}"));
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        assert_eq!(answer.json()["type"], "urn:blockbard:problem:not-held", "{path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("height 20"), "{path}: {}", answer.body);
    }
    for path in [format!("transactions/{old}"), format!("transactions/{old}/receipt"), format!("records/{old}")] {
        let answer = node.get(&format!("/api/v1/{path}"));
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        let said = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(said.contains("began with the state at height 20"), "{said}");
    }
    assert_eq!(node.get("/get_chain").status, 503);
    assert_eq!(node.get("/api/v1/blocks/5/header").success()["height"], 5);
    assert_eq!(node.get("/api/v1/blocks/0").success()["height"], 0);
    let newest = node.get("/api/v1/blocks?order=desc&limit=100").success();
    assert_eq!((newest["blocks"].as_array().unwrap().len() as u64, &newest["next"]), (node.height() - 20, &20.into()));
    for path in ["accounts/bob/transactions", "items/projector/history", "records"] {
        assert_eq!(node.get(&format!("/api/v1/{path}")).success()["blocks_from"], 21, "{path}");
    }
    assert_eq!(
        node.get("/api/v1/items/projector").success()["holder"].as_str().map(|holder| &holder[..4]),
        Some("bard")
    );
    assert_eq!(node.status()["blocks_from"], 21);
    assert!(node.status_line("height").ends_with(", blocks from 21 on"), "{}", node.status_line("height"));
    let told = node.ask("item projector").join("\n");
    assert!(told.contains("what happened below height 21 is not known here"), "{told}");
    let verified = node.ask_line("verify");
    assert!(verified.contains("the state at height 20 that this node began with"), "{verified}");
}

#[test]
fn a_node_starts_from_a_snapshot_and_goes_on_from_there() {
    let (whole, file) = with_snapshot();
    let one = whole.start();
    let old = one.get("/api/v1/blocks/1").success()["transactions"][0]["id"].as_str().unwrap().to_owned();
    let late = begun(&file);
    refused(&begin(&late, &file, &[]), "holds a chain already");
    let late = late.bootstrap(one.address());
    let mut node = late.start();
    assert_eq!((node.height(), node.tip()), (20, one.tip()));
    one.mine(2);
    node.wait_for_same_tip(&one);
    let paid = node.pay("bob", "alice", 3);
    node.mine(1);
    one.wait_for_same_tip(&node);
    assert_eq!(one.mined_at(&paid), Some(23));
    for height in [20, 21, 23] {
        let path = format!("/api/v1/accounts/bob?height={height}");
        assert_eq!(node.get(&path).success()["balance"], one.get(&path).success()["balance"], "{height}");
    }
    assert_honest(&node, &old);
    let receipt = node.get(&format!("/api/v1/transactions/{paid}/receipt?headers=whole"));
    assert_eq!(receipt.status, 200, "the headers are all here: {}", receipt.body);

    let (tip, api) = (node.tip(), node.file().api.clone());
    let doctor = late.tool(&["doctor", "--api", &api]);
    assert!(doctor.stdout.contains("blocks from height 21 on"), "{}{}", doctor.stdout, doctor.stderr);
    refused(&late.tool(&["chain", "export", "-", "--api", &api]), "an archive has every block");
    node.kill9();
    let dir = late.dir().to_str().unwrap();
    refused(&late.tool(&["chain", "export", "-", "--data-dir", dir]), "an archive has every block");
    let info = late.tool(&["chain", "info", "--data-dir", dir, "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&info.stdout).unwrap()["blocks_from"], 21, "{}", info.stderr);
    let verified = late.tool(&["chain", "verify", "--data-dir", dir]);
    assert!(verified.stdout.contains("23 headers, the state at height 20"), "{}{}", verified.stdout, verified.stderr);
    let again = late.home().join("again.snapshot").to_str().unwrap().to_owned();
    let written = late.tool(&["chain", "snapshot", &again, "--data-dir", dir]);
    assert_eq!(written.code(), Some(0), "a state is there as anywhere: {}", written.stderr);
    let node = late.start();
    assert_eq!(node.tip(), tip, "what it said that it has, it has");
    assert_honest(&node, &old);
}

#[test]
fn a_newcomer_gets_the_whole_chain_though_it_meets_a_node_without_it_first() {
    let (whole, file) = with_snapshot();
    let late = begun(&file).arg("--no-exchange").start();
    let newcomer = Node::builder().bootstrap(late.address()).arg("--no-exchange").start();
    newcomer.wait_for_peers(1);
    let only = "the connected peers have blocks from height 21 on only: one with the whole chain is needed";
    wait_until("it says whom it needs", PATIENCE, || newcomer.ask("sync").join("\n").contains(only));
    assert_eq!(newcomer.height(), 0);
    let one = whole.start();
    let connected = newcomer.ask_line(&format!("connect {}", one.address()));
    assert!(connected.starts_with("connected to "), "{connected}");
    newcomer.wait_for_same_tip(&one);
    assert_eq!(newcomer.status()["blocks_from"], 1);
    let verified = newcomer.ask_line("verify");
    assert!(verified.starts_with("the chain is valid: 20 blocks"), "{verified}");
    assert!(newcomer.peers().iter().any(|peer| peer == late.peer_id()), "who lacks something is at no fault");
    assert_eq!(newcomer.get("/api/v1/bans").success()["bans"], serde_json::json!([]));
}

#[test]
fn a_heavier_chain_that_left_below_the_snapshot_is_not_followed() {
    let first = Node::builder();
    let mut node = first.start();
    node.mine(10);
    let mut rival = Node::builder().bootstrap(node.address()).start();
    rival.wait_for_same_tip(&node);
    rival.stop();
    node.mine(10);
    node.stop();
    let file = first.home().join("state.snapshot").to_str().unwrap().to_owned();
    let written = first.tool(&["chain", "snapshot", &file, "--data-dir", first.dir().to_str().unwrap()]);
    assert_eq!(written.code(), Some(0), "{}", written.stderr);
    let rival = rival.builder_of().start();
    rival.mine(30);
    let late = begun(&file).bootstrap(rival.address()).start();
    let own = late.tip();
    late.wait_for_peers(1);
    let why = "left the chain at height 10, and this node began with the state at height 20: it can go back no further";
    wait_until("it says why it does not follow", PATIENCE, || late.ask("sync").join("\n").contains(why));
    assert_eq!((late.tip(), late.height()), (own, 20));
    assert!(late.mine(1).len() == 1, "it goes on with its own");
    assert_eq!(late.get("/api/v1/bans").success()["bans"], serde_json::json!([]), "it is nobody's fault");
}

#[test]
fn a_heavier_branch_above_the_snapshot_is_followed_from_wherever_the_peer_begins() {
    let first = Node::builder();
    let mut node = first.start();
    node.mine(22);
    node.stop();
    let file = first.home().join("state.snapshot").to_str().unwrap().to_owned();
    let dir = first.dir().to_str().unwrap();
    let written = first.tool(&["chain", "snapshot", &file, "--height", "20", "--data-dir", dir]);
    assert_eq!(written.code(), Some(0), "{}", written.stderr);
    let late = begun(&file);
    let (mut node, mut other) = (first.start(), late.start());
    other.ask_line(&format!("connect {}", node.address()));
    other.wait_for_same_tip(&node);
    // Apart, and without a memory of each other, both go on.
    for one in [&mut node, &mut other] {
        one.stop();
        let _ = fs::remove_file(one.dir().join("peers.json"));
    }
    let (node, other) = (first.start(), late.start());
    other.mine(18);
    node.mine(25);
    // What the late node names of its chain has a gap from 25 to 17: the peer begins below the snapshot.
    let connected = other.ask_line(&format!("connect {}", node.address()));
    assert!(connected.starts_with("connected to "), "{connected}");
    other.wait_for_same_tip(&node);
    assert_eq!((other.height(), other.status()["blocks_from"].as_u64()), (47, Some(21)));
}

#[test]
fn what_is_made_from_a_snapshot_is_whole_or_not_there() {
    let (whole, file) = with_snapshot();
    let good = fs::read(&file).unwrap();
    let late = Node::builder();
    let log = late.dir().join("chain.log");
    let altered = late.home().join("altered.snapshot").to_str().unwrap().to_owned();
    for at in (0..good.len()).step_by(good.len() / 8) {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        for bytes in [bytes, good[..at].to_vec()] {
            fs::write(&altered, bytes).unwrap();
            refused(&begin(&late, &altered, &[]), "snapshot");
            assert!(!log.exists(), "something is left of what is damaged at {at}");
        }
    }
    refused(&begin(&late, "/nowhere", &[]), "cannot read");
    refused(&begin(&late, &file, &["--known-block", &"0".repeat(64)]), "the snapshot ends with block");
    assert!(!log.exists());
    let mut cut_short = 0;
    for round in 0..24_u64 {
        let mut command = late.tool_command(&[
            "chain",
            "start-from-snapshot",
            &file,
            "--unverified",
            "--data-dir",
            late.dir().to_str().unwrap(),
        ]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(2 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        if !log.exists() {
            cut_short += 1;
            let made = begin(&late, &file, &[]);
            assert_eq!(made.code(), Some(0), "{}", made.stderr);
        }
        let node = late.start();
        assert_eq!((node.height(), node.status()["blocks_from"].as_u64()), (20, Some(21)), "{round}");
        drop(node);
        fs::remove_file(&log).unwrap();
        fs::remove_file(late.dir().join("index.redb")).unwrap();
    }
    assert!(cut_short > 0, "none was killed before the end");
    drop(whole);
}
