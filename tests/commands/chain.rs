//! `bard chain` and `bard invite`: what is typed wrong, and what is not there.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
};

use bard_chain::spec::{ChainSpec, Difficulty};
use bard_tests::process::{Builder, Ended, Node, bard};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

fn tool(builder: &Builder, line: &str) -> Ended {
    builder.tool(&line.split(' ').collect::<Vec<_>>())
}

fn fails(builder: &Builder, line: &str, parts: &[&str]) {
    let ended = tool(builder, line);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{line}: {}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "{line}: {part:?} is not in {}", ended.stderr);
    }
}

fn made(builder: &Builder, line: &str) -> (ChainSpec, String) {
    let ended = tool(builder, line);
    assert_eq!(ended.code(), Some(0), "{line}: {}", ended.stderr);
    let file = ended.stdout.lines().find_map(|line| line.strip_prefix("specification  ")).unwrap().to_owned();
    let text = fs::read_to_string(builder.home().join(file)).unwrap();
    (ChainSpec::from_toml(&text).unwrap(), text)
}

#[test]
fn a_chain_is_made_as_it_is_asked_for() {
    let user = Builder::default();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).unwrap().port();
    let (class, text) = made(&user, &format!("chain new --name class --port {port}"));
    assert_eq!((class.name.as_str(), class.target_interval_ms, class.closed), ("class", 10_000, false));
    assert!(matches!(class.difficulty, Difficulty::Asert { .. }));
    assert_eq!(class.allocations.len(), 1);
    assert!(text.contains("# Intended time between two blocks"), "it explains itself: {text}");
    let alice = "bard1zs45dqgweajfzpvdksa22p4xlkmr4rx6c925haqe30ky75cjtmqsly3422";
    let line = "chain new --name lab --pow blake3 --interval 500ms --difficulty 1000 --fixed --subsidy 3 --closed --out my.toml";
    let (lab, _) = made(&user, &format!("{line} --allocate {alice}=70 --allocate me=5"));
    assert_eq!((lab.pow.as_str(), lab.target_interval_ms, lab.difficulty), ("blake3", 500, Difficulty::Fixed));
    assert_eq!((lab.subsidy.amount, lab.closed), (3, true));
    let mut amounts: Vec<_> = lab.allocations.iter().map(|(_, amount)| amount.get()).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [5, 70]);
    // The key that has the money is the node's own.
    let user = user.default_data_dir().port(port);
    let node = user.arg("--chain").arg("class").start();
    let own = node.get("/api/v1/accounts/me").success();
    assert_eq!(own["balance"], 1_000_000);
}

#[test]
fn a_chain_that_cannot_be_is_not_made() {
    let user = Builder::default();
    fails(&user, "chain new", &["--name"]);
    fails(&user, "chain new --name dev", &["built-in"]);
    fails(&user, "chain new --name Kiln!", &["name", "a-z"]);
    fails(&user, "chain new --name x --allocate bob", &["--allocate bob", "WHO=AMOUNT"]);
    fails(&user, "chain new --name x --allocate bard1q=5", &["--allocate bard1q=5"]);
    fails(&user, "chain new --name x --allocate me=many", &["no number"]);
    fails(&user, "chain new --name x --supply 9007199254740993", &["9007199254740991"]);
    fs::write(user.home().join("kiln.toml"), "mine").unwrap();
    fails(&user, "chain new --name kiln", &["kiln.toml is there already"]);
    assert_eq!(fs::read_to_string(user.home().join("kiln.toml")).unwrap(), "mine");
    made(&user, "chain new --name twice");
    fails(&user, "chain new --name twice --out other.toml", &["there is a chain twice already"]);
    for usage in ["chain new --interval soon", "chain new --pow md5", "chain", "chain melt", "join", "chain export"] {
        assert_eq!(tool(&user, usage).code(), Some(2), "{usage}");
    }
}

#[test]
fn what_is_not_there_is_named() {
    let user = Builder::default();
    let nowhere = user.home().join("nowhere").display().to_string();
    for command in ["info", "verify", "export x"] {
        fails(&user, &format!("chain {command} --data-dir {nowhere}"), &[&nowhere]);
    }
    fails(&user, "chain import missing.bard", &["missing.bard"]);
    fails(&user, "chain info --api http://127.0.0.1:9", &["no node answers at http://127.0.0.1:9"]);
    fails(&user, &format!("invite --data-dir {nowhere}"), &["no node runs on", &nowhere]);
    fails(&user, "invite", &["no node of this user runs"]);
    fails(&user, "node --chain kiln", &["--chain kiln", "no chain that was made or joined"]);
}

#[test]
fn a_running_node_is_asked() {
    let node = Node::start();
    node.mine(2);
    let user = node.builder_of();
    let api = &node.file().api;
    let info = tool(user, &format!("chain info --json --api {api}"));
    let dir = tool(user, &format!("chain info --json --data-dir {}", user.dir().display()));
    assert_eq!(dir.stdout, info.stdout, "who runs on a directory is asked");
    let info: serde_json::Value = serde_json::from_str(&info.stdout).unwrap();
    assert_eq!((&info["name"], &info["height"]), (&"dev".into(), &2.into()));
    assert_eq!(info["tip"], node.tip());
    let spec = node.get("/api/v1/chain/spec").success();
    assert_eq!((&spec["name"], &spec["id"], &spec["closed"]), (&"dev".into(), &info["chain"], &false.into()));
    let toml = node.get("/api/v1/chain/spec?format=toml");
    assert_eq!(ChainSpec::from_toml(&toml.body).unwrap(), bard_chain::presets::dev());
    let invited = tool(user, &format!("invite --json --api {api}"));
    let invited: serde_json::Value = serde_json::from_str(&invited.stdout).unwrap();
    assert!(invited["link"].as_str().unwrap().starts_with("bard:join1"), "{invited}");
    assert_eq!(invited["addresses"], serde_json::json!([node.bare_address()]));
    assert_eq!(node.get("/api/v1/chain/spec?format=xml").status, 400);
}

/// What is typed at the questions, and what each of them is about.
#[test]
fn on_a_terminal_it_asks() {
    let user = Builder::default();
    let terminal = native_pty_system().openpty(PtySize::default()).unwrap();
    let mut command = CommandBuilder::new(bard());
    command.args(["chain", "new"]);
    command.cwd(user.home());
    command.env("HOME", user.home());
    command.env("XDG_DATA_HOME", user.home().join("share"));
    let mut child = terminal.slave.spawn_command(command).unwrap();
    drop(terminal.slave);
    terminal.master.take_writer().unwrap().write_all(b"Kiln!\nkiln\ndemo\n70\nyes\n").unwrap();
    let mut shown = String::new();
    // The end of the terminal is an error, after all was read.
    let _ = terminal.master.try_clone_reader().unwrap().read_to_string(&mut shown);
    assert!(child.wait().unwrap().success(), "{shown}");
    for question in
        ["name of the chain [class]", "expected 1 to 32 of a-z", "what for", "only for those who are invited"]
    {
        assert!(shown.contains(question), "{question:?} is not in {shown}");
    }
    let text = fs::read_to_string(user.home().join("kiln.toml")).unwrap();
    let spec = ChainSpec::from_toml(&text).unwrap();
    assert_eq!((spec.closed, spec.difficulty), (true, Difficulty::Fixed));
    assert_eq!(spec.allocations.iter().map(|(_, amount)| amount.get()).collect::<Vec<_>>(), [70]);
}

#[test]
fn a_check_that_was_cut_short_is_gone_on_with() {
    let mut node = Node::start();
    let blocks = node.mine(5);
    let chain = node.get("/api/v1/chain/spec").success()["id"].as_str().unwrap().to_owned();
    node.stop();
    let user = node.builder_of();
    let (dir, file) = (user.dir().display().to_string(), user.dir().join("verify.unfinished"));
    let cut_short = |block: &str, chain: &str| {
        // As if it had seen more than there is, which shows in the sum.
        let mark = serde_json::json!({ "chain": chain, "height": 3, "block": block, "transactions": 100 });
        fs::write(&file, mark.to_string()).unwrap();
    };
    let verify = |options: &str| {
        let ended = tool(user, &format!("chain verify --data-dir {dir}{options}"));
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        assert!(!file.exists(), "it is done");
        (ended.stdout, ended.stderr)
    };
    let (stdout, stderr) = verify("");
    assert!(stdout.contains("5 blocks, 0 transactions") && !stderr.contains("going on"), "{stdout}{stderr}");
    cut_short(&blocks[2], &chain);
    let (stdout, stderr) = verify("");
    assert!(
        stdout.contains("5 blocks, 100 transactions") && stderr.contains("going on after height 3"),
        "{stdout}{stderr}"
    );
    let from_start = |options: &str| assert!(verify(options).0.contains("5 blocks, 0 transactions"));
    cut_short(&blocks[2], &chain);
    from_start(" --from-start");
    // Of another branch, of another chain, and nothing that makes sense.
    cut_short(&blocks[1], &chain);
    from_start("");
    cut_short(&blocks[2], &blocks[2]);
    from_start("");
    fs::write(&file, "{").unwrap();
    from_start("");
}
