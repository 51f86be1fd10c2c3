//! Commands that ask a running node, and the console attached to one.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use bard_tests::process::{Ended, Node, PATIENCE, Run, bard, run, wait_until};
use serde_json::{Value, json};

/// Runs `bard WORDS --api URL` against a node.
fn ask(node: &Node, words: &[&str]) -> Ended {
    let api = node.file().api.clone();
    run(&[words, &["--api", &api]].concat())
}

/// What a command that must not fail prints.
fn answer(node: &Node, words: &[&str]) -> String {
    let ended = ask(node, words);
    assert_eq!(ended.code(), Some(0), "{words:?}: {ended:?}");
    ended.stdout.trim_end().to_owned()
}

/// The one line by which a command fails.
fn refusal(ended: &Ended, code: i32) -> String {
    assert_eq!(ended.code(), Some(code), "{ended:?}");
    let told = ended.told();
    assert!(code == 2 || told.len() == 1, "{told:?}");
    told.first().map(|line| (*line).to_owned()).unwrap_or_default()
}

#[test]
fn each_command_says_what_the_console_says() {
    let node = Node::start();
    assert!(answer(&node, &["mine", "2"]).starts_with("mined block 1 "));
    assert_eq!(answer(&node, &["blocks", "1", "2"]).lines().count(), 2);
    assert_eq!(answer(&node, &["blocks"]), node.ask("chain").join("\n"));
    assert_eq!(answer(&node, &["block", "1"]), node.ask("block 1").join("\n"));
    assert!(answer(&node, &["send", "alice", "bob", "5"]).contains("alice pays bob 5"));
    assert!(answer(&node, &["record", "--as", "carol", "two", "words"]).contains("carol records \"two words\""));
    assert!(answer(&node, &["item", "request", "lamp", "drill", "--as", "alice"]).lines().count() == 2);
    assert_eq!(answer(&node, &["pool"]).lines().count(), 5);
    answer(&node, &["mine"]);
    assert!(answer(&node, &["item", "transfer", "lamp", "bob", "--as", "alice"]).contains("hands lamp to bob"));
    assert!(answer(&node, &["item", "release", "drill", "--as", "alice"]).contains("releases drill"));
    answer(&node, &["mine", "--data", "noted"]);
    assert!(answer(&node, &["item", "list", "reserved"]).contains("lamp  held by bob"));
    let shown = answer(&node, &["item", "show", "lamp"]);
    assert!(shown.starts_with("lamp  held by bob\n") && shown.contains("alice -> bob"), "{shown}");
    assert!(answer(&node, &["balance", "bob"]).ends_with(" 250005"));
    assert!(answer(&node, &["balance", "bob", "--history"]).contains("alice pays bob 5"));
    assert_eq!(answer(&node, &["peers"]), "no peers connected");
    assert_eq!(answer(&node, &["sync"]), "no peers to ask");
    assert!(answer(&node, &["verify"]).starts_with("the chain is valid: 4 blocks"));
    let other = Node::start();
    let connected = format!("connected to {}", other.peer_id());
    assert_eq!(answer(&node, &["connect", other.address()]), connected);
    let port = other.bare_address().rsplit('/').next().expect("a port");
    assert_eq!(answer(&node, &["connect", "127.0.0.1", port]), connected);
    assert_eq!(answer(&node, &["connect", &other.file().api]), connected);
    assert!(answer(&node, &["sync"]).starts_with("asked 1 peers, 1 answered: "));
    assert!(answer(&node, &["status"]).contains("height        4\n"));
}

#[test]
fn a_long_custody_is_told_to_its_end() {
    let node = Node::start();
    node.post("/api/v1/wallet/items/lamp/request", &json!({ "from": "alice" })).success();
    for number in 1..120 {
        let (from, to) = if number % 2 == 1 { ("alice", "bob") } else { ("bob", "alice") };
        node.post("/api/v1/wallet/items/lamp/transfer", &json!({ "from": from, "to": to })).success();
        if number % 20 == 0 {
            node.mine(1);
        }
    }
    node.mine(1);
    let shown = answer(&node, &["item", "show", "lamp"]);
    assert!(shown.starts_with("lamp  held by bob\n") && shown.lines().count() == 121, "{shown}");
    assert!(shown.lines().last().is_some_and(|line| line.contains("alice -> bob")), "{shown}");
    let told: Value = serde_json::from_str(&answer(&node, &["item", "show", "lamp", "--json"])).expect("JSON");
    assert_eq!((told["history"].as_array().map(Vec::len), &told["next"]), (Some(120), &Value::Null));
    // The last of the second page, and the first of it: 21 of the first block, 20 of each other.
    assert_eq!(node.ask("item lamp at 5").len(), 102);
    assert_eq!(node.ask("item lamp at 1").len(), 22);
}

#[test]
fn programs_get_what_the_api_says() {
    let node = Node::start();
    node.mine(2);
    let json = |words: &[&str]| -> Value { serde_json::from_str(&answer(&node, words)).expect("JSON") };
    for (words, path) in [
        (&["blocks", "0", "2", "--json"][..], "/api/v1/blocks?from=0&limit=3&order=asc"),
        (&["block", "tip", "--json"], "/api/v1/blocks/tip"),
        (&["balance", "alice", "--json"], "/api/v1/accounts/alice"),
        (&["pool", "--json"], "/api/v1/pool"),
        (&["peers", "--json"], "/api/v1/peers"),
        (&["item", "list", "--json"], "/api/v1/items"),
    ] {
        assert_eq!(json(words), node.get(path).success(), "{words:?}");
    }
    assert_eq!(json(&["status", "--json"])["height"], 2);
    assert_eq!(json(&["verify", "--json"])["valid"], true);
    assert_eq!(json(&["sync", "--json"])["asked"], 0);
    assert_eq!(json(&["send", "alice", "bob", "1", "--json"])["transactions"][0]["action"]["amount"], 1);
}

#[test]
fn what_goes_wrong_is_one_line() {
    let node = Node::start();
    for (words, part) in [
        (&["block", "moon"][..], "moon"),
        (&["block", "99"], "99"),
        (&["balance", "nobody"], "nobody is neither a known name"),
        (&["send", "alice", "bob", "0"], "more than nothing"),
        (&["send", "alice", "bob", "ten"], "not a whole number"),
        (&["item", "release", "moon"], "moon"),
        (&["item", "show", "moon"], "moon"),
        (&["connect", "localhost"], "localhost: a port is expected"),
        (&["connect", "127.0.0.1", "1"], "cannot be reached"),
        (&["mine", "0"], "not in 1 to"),
        (&["blocks", "5", "2"], "below FROM"),
        (&["blocks", "0", "5000"], "too many"),
    ] {
        let line = refusal(&ask(&node, words), 1);
        assert!(line.starts_with("error: ") && line.contains(part), "{words:?}: {line}");
    }
    for words in [
        &["send", "alice"][..],
        &["item"],
        &["item", "frob"],
        &["blocks", "x"],
        &["status", "now"],
        &["connect"],
        &["connect", "x", "99999"],
    ] {
        refusal(&ask(&node, words), 2);
    }
    let line = refusal(&run(&["status", "--api", "nonsense"]), 1);
    assert!(line.contains("is not the URL of a node"), "{line}");
    let line = refusal(&run(&["status", "--api", "http://127.0.0.1:1/"]), 1);
    assert!(line.contains("no node answers at http://127.0.0.1:1/") && line.contains("bard node"), "{line}");
}

#[test]
fn a_token_is_asked_for_and_taken() {
    let node = Node::builder().arg("--api-token").arg("sesame").start();
    let line = refusal(&ask(&node, &["mine"]), 1);
    assert!(line.contains("--api-token"), "{line}");
    assert!(answer(&node, &["mine", "--api-token", "sesame"]).starts_with("mined block 1"));
    let wrong = refusal(&ask(&node, &["mine", "--api-token", "mustard"]), 1);
    assert!(wrong.contains("not this node's") && !wrong.contains("mustard"), "{wrong}");
    assert!(node.ask_line("mine").starts_with("mined block 2"), "the node's own console needs none");
}

#[test]
fn an_empty_token_is_none_and_one_that_cannot_be_sent_is_refused() {
    let node = Node::builder().env("BARD_API_TOKEN", "").start();
    assert!(answer(&node, &["mine"]).starts_with("mined block 1"), "it locks nobody out");
    let mine = Run::new(["mine", "--api", &node.file().api]).env("BARD_API_TOKEN", "");
    assert!(mine.success().starts_with("mined block 2"));
    let open = Node::builder().arg("--host").arg("0.0.0.0").arg("--api-token").arg("").start();
    assert!(open.stderr().text().contains("API token for changing requests: "), "one is made");
    let ended = Node::builder().arg("--api-token").arg("s\u{e9}same").run(PATIENCE);
    let said = refusal(&ended, 1);
    assert!(said.contains("--api-token: ") && !said.contains("same"), "{said}");
    let said = refusal(&ask(&node, &["mine", "--api-token", "s\u{e9}same"]), 1);
    assert!(said.contains("--api-token: ") && !said.contains("same"), "{said}");
}

#[test]
fn the_environment_says_at_which_port_the_node_is() {
    let node = Node::start();
    let api = node.file().api.clone();
    let port = api.trim_end_matches('/').rsplit(':').next().expect("a port");
    let status = || Run::new(["status", "--json"]);
    let told: Value = serde_json::from_str(&status().env("BARD_PORT", port).success()).expect("JSON");
    assert_eq!(told["tip"], node.tip());
    let other = status().env("BARD_PORT", "9").failure();
    assert!(other.contains("http://127.0.0.1:9/"), "{other}");
    status().env("BARD_PORT", "9").env("BARD_API", &api).success();
    assert!(status().env("BARD_PORT", "many").failure().contains("BARD_PORT"));
    node.ask("request lamp --as alice");
    node.mine(2);
    let show = |height: &str| Run::new(["item", "show", "lamp", "--height", height, "--api", &api]);
    assert!(show("1").success().starts_with("lamp  held by alice at height 1\n"));
    assert!(show("7").failure().contains('7'));
}

#[test]
fn a_console_may_be_attached_to_a_node() {
    let node = Node::start();
    let mut console = Command::new(bard());
    console.args(["console", "--api", &node.file().api]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut console = console.spawn().expect("it starts");
    let mut stdin = console.stdin.take().expect("a pipe");
    stdin.write_all(b"mine 2\nsend alice bob 5\nfrobnicate\nstatus\nquit\n").expect("written");
    let output = console.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    for part in ["mined block 1", "mined block 2", "alice pays bob 5", "error: frobnicate", "height        2"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(node.height(), 2, "the node goes on");
}

#[test]
fn an_attached_console_tells_the_news() {
    let node = Node::start();
    let mut console = Command::new(bard());
    console.args(["console", "--api", &node.file().api]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut console = console.spawn().expect("it starts");
    let mut stdin = console.stdin.take().expect("a pipe");
    let mut lines = BufReader::new(console.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    // It hears of what happens once it is attached; blocks are mined until it does.
    let (told, heard) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in lines.by_ref().filter(|line| line.starts_with("* block ")) {
            let _ = told.send(line);
        }
    });
    wait_until("the console tells of a block", PATIENCE, || {
        node.mine(1);
        heard.try_recv().is_ok()
    });
    stdin.write_all(b"quit\n").expect("written");
    assert!(console.wait().expect("it ends").success());
    reader.join().expect("read to the end");
}

#[test]
fn shells_and_manuals_are_told_of_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = run(&["completions", shell]);
        assert_eq!(ended.code(), Some(0), "{shell}: {ended:?}");
        for command in ["tracker", "wallet", "invite", "completions"] {
            assert!(ended.stdout.contains(command), "{shell}: {command}");
        }
    }
    assert_eq!(run(&["completions", "moon"]).code(), Some(2));
    assert!(run(&["man"]).stdout.contains(".TH bard"));
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().to_str().expect("text");
    assert_eq!(run(&["man", path]).code(), Some(0));
    let pages = std::fs::read_dir(dir.path()).expect("a directory").count();
    assert!(pages > 20, "a page for each command: {pages}");
    let line = refusal(&run(&["man", &format!("{path}/nowhere")]), 1);
    assert!(line.contains("nowhere"), "{line}");
}
