//! The command line.

use std::{fs, net::TcpListener, time::Duration};

use bard_tests::process::{Ended, Node, PATIENCE, run, wait_until};

/// Exit code of a request that failed.
const FAILED: i32 = 1;
/// Exit code of a command line that cannot be understood.
const USAGE: i32 = 2;

/// Asserts that a command line is refused as one that cannot be understood, and that the reason has all of `parts`.
fn assert_usage(arguments: &[&str], parts: &[&str]) {
    let ended = run(arguments);
    assert_eq!(ended.code(), Some(USAGE), "{arguments:?}: {}", ended.stderr);
    assert!(ended.stdout.is_empty(), "{arguments:?}: {}", ended.stdout);
    let first = ended.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: "), "{arguments:?}: {first}");
    for part in parts {
        assert!(ended.stderr.contains(part), "{arguments:?}: {part:?} is not in {}", ended.stderr);
    }
}

/// Asserts that a node does not start, and says why in one line with all of `parts`.
fn assert_fails(ended: &Ended, parts: &[&str]) {
    let told = ended.told();
    assert_eq!(ended.code(), Some(FAILED), "{}", ended.stderr);
    assert_eq!(told.len(), 1, "one line: {}", ended.stderr);
    assert!(told[0].starts_with("error: "), "{}", told[0]);
    for part in parts {
        assert!(told[0].contains(part), "{part:?} is not in {:?}", told[0]);
    }
}

#[test]
fn help_and_version_are_for_stdout() {
    let help = run(&["--help"]);
    assert_eq!((help.code(), help.stderr.as_str()), (Some(0), ""));
    for part in ["Usage: bard", "node", "--version"] {
        assert!(help.stdout.contains(part), "{part:?} is not in {}", help.stdout);
    }
    for arguments in [["node", "--help"], ["help", "node"]] {
        let help = run(&arguments);
        assert_eq!((help.code(), help.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        for part in ["--port", "--bootstrap", "--data-dir", "[default: 5000]", "BARD_CHAIN"] {
            assert!(help.stdout.contains(part), "{part:?} is not in {}", help.stdout);
        }
        assert!(!help.stdout.contains('\u{1b}'), "no colours without a terminal");
    }
    let version = run(&["--version"]);
    assert_eq!((version.code(), version.stdout.as_str()), (Some(0), concat!("bard ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn a_secret_of_the_environment_is_not_in_the_help() {
    let ended = Node::builder().env("BARD_API_TOKEN", "of my own").arg("--help").run(PATIENCE);
    assert_eq!(ended.code(), Some(0));
    assert!(!ended.stdout.contains("of my own"), "{}", ended.stdout);
}

#[test]
fn options_that_cannot_be_understood() {
    assert_usage(&["frobnicate"], &["frobnicate"]);
    assert_usage(&["node", "--colour"], &["--colour"]);
    assert_usage(&["--colour"], &["--colour"]);
    assert_usage(&["node", "stray"], &["stray"]);
    assert_usage(&["node", "--port", "five"], &["five", "--port"]);
    assert_usage(&["node", "--port", "65536"], &["65536", "--port"]);
    assert_usage(&["node", "--port"], &["--port"]);
    assert_usage(&["node", "--host", "home"], &["home", "--host"]);
    assert_usage(&["node", "--listen", "localhost:6000"], &["localhost:6000", "--listen"]);
    assert_usage(&["node", "--bootstrap", "/ip4/300.0.0.1/tcp/1"], &["300.0.0.1", "--bootstrap"]);
    assert_usage(&["node", "--mine-threads", "0"], &["--mine-threads"]);
    assert_usage(&["node", "--log-format", "xml"], &["xml", "text", "json"]);
    assert_usage(&["node", "--prot", "1"], &["--port"]);
}

#[test]
fn a_bad_variable_of_the_environment_is_named() {
    let ended = Node::builder().port(None).env("BARD_PORT", "many").run(PATIENCE);
    assert_eq!(ended.code(), Some(USAGE), "{}", ended.stderr);
    assert!(ended.stderr.contains("many") && ended.stderr.contains("--port"), "{}", ended.stderr);
}

#[test]
fn a_busy_port_is_an_error_that_names_a_free_one() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ended = Node::builder().port(port).run(PATIENCE);
    assert_fails(&ended, &[&format!("port {port} is taken"), "try --port "]);
    let free: u16 = ended.stderr.trim_end().rsplit(' ').next().unwrap().parse().unwrap();
    assert_ne!(free, port);
    Node::builder().port(free).start();
}

#[test]
fn a_busy_address_for_nodes_is_an_error_where_it_was_asked_for() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().unwrap().port());
    assert_fails(&Node::builder().listen(&address).run(PATIENCE), &[&address]);
    assert_fails(&Node::builder().listen("/ip4/192.0.2.1/tcp/0").run(PATIENCE), &["192.0.2.1"]);
}

#[test]
fn a_host_that_is_not_this_machine_is_an_error() {
    assert_fails(&Node::builder().arg("--host").arg("192.0.2.1").run(PATIENCE), &["192.0.2.1"]);
}

#[test]
fn a_chain_that_is_none() {
    let builder = Node::builder();
    let chain = |value: &str| builder.clone().arg("--chain").arg(value).run(PATIENCE);
    assert_fails(&chain("moon"), &["--chain moon", "dev"]);
    assert_fails(&chain(builder.home().to_str().unwrap()), &["--chain"]);
    let file = builder.home().join("spec.toml");
    for (text, part) in [
        (String::new(), "name"),
        ("name = 7".to_owned(), "expected a string"),
        ("not toml at all".to_owned(), "spec.toml"),
        (bard_chain::presets::dev().to_toml().replace("sha256d", "md5"), "pow"),
        (bard_chain::presets::dev().to_toml().replace("dev", "a name with spaces"), "name"),
        (format!("{}\ncolour = 1", bard_chain::presets::dev().to_toml()), "colour"),
        ("x".repeat(5 << 20), "bytes"),
    ] {
        fs::write(&file, text).unwrap();
        assert_fails(&chain(file.to_str().unwrap()), &["spec.toml", part]);
    }
    fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    assert_fails(&chain(file.to_str().unwrap()), &["spec.toml"]);
}

#[test]
fn a_configuration_file_is_checked_and_used() {
    let builder = Node::builder();
    let file = builder.home().join("bard.toml");
    let with = |text: &str| {
        fs::write(&file, text).unwrap();
        builder.clone().arg("--config").arg(&file)
    };
    assert_fails(&with("colour = 1").run(PATIENCE), &["bard.toml", "colour"]);
    assert_fails(&with("port = = 1").run(PATIENCE), &["bard.toml"]);
    assert_fails(&with("log = { level = 1 }").run(PATIENCE), &["bard.toml", "log"]);
    assert_fails(&with("config = 'other.toml'").run(PATIENCE), &["config"]);
    let missing = builder.clone().arg("--config").arg(builder.home().join("nowhere.toml"));
    assert_fails(&missing.run(PATIENCE), &["nowhere.toml"]);
    let bad = with("port = 'many'").port(None).run(PATIENCE);
    assert_eq!(bad.code(), Some(USAGE), "{}", bad.stderr);
    let node = with("mine = true\nminer = 'carol'\nno-upnp = true\n").start();
    wait_until("it mines as it was told", PATIENCE, || node.height() > 0);
    wait_until("for whom it was told", PATIENCE, || node.ask_line("balance carol").ends_with(" 250010"));
}

#[test]
fn what_is_typed_goes_before_the_environment_and_that_before_the_file() {
    let builder = Node::builder();
    let file = builder.home().join("bard.toml");
    fs::write(&file, "miner = 'alice'\nlog = 'debug'\n").unwrap();
    let node = builder.env("BARD_CONFIG", &file).env("BARD_MINER", "bob").arg("--miner").arg("carol").start();
    node.mine(1);
    assert!(node.ask_line("balance carol").ends_with(" 250010"));
}

#[test]
fn a_tracker_that_is_no_url() {
    for bad in ["localhost:5500", "https://localhost:5500", "http://localhost:5500/peers", "http://", ""] {
        let ended = Node::builder().arg("--tracker").arg("http://127.0.0.1:1").arg("--tracker").arg(bad).run(PATIENCE);
        assert_fails(&ended, &["--tracker", &format!("{bad:?}"), "http://HOST:PORT"]);
    }
}

#[test]
fn a_peers_file_that_is_none() {
    let builder = Node::builder();
    let file = builder.home().join("nodes.json");
    let with = || builder.clone().arg("--peers-file").arg(&file).run(PATIENCE);
    assert_fails(&with(), &["--peers-file", "nodes.json", "cannot be read"]);
    let many = format!(r#"{{"nodes": [{}"a:1"]}}"#, r#""a:1","#.repeat(256));
    for (text, part) in [
        ("", "expected"),
        ("[1, 2]", "expected"),
        (r#"{"nodes": ["localhost:5001", "localhost"]}"#, "entry 2: \"localhost\""),
        (r#"{"nodes": ["/ip4/1.2.3/tcp/1"]}"#, "entry 1: \"/ip4/1.2.3/tcp/1\""),
        (r#"{"nodes": [7]}"#, "entry 1"),
        (many.as_str(), "257"),
    ] {
        fs::write(&file, text).unwrap();
        assert_fails(&with(), &["--peers-file", "nodes.json", part]);
    }
    fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    assert_fails(&with(), &["nodes.json"]);
}

#[test]
fn a_miner_that_is_nobody() {
    for nobody in ["mallory", "bard1qqqqqqqq", ""] {
        assert_fails(&Node::builder().arg("--miner").arg(nobody).run(PATIENCE), &["--miner"]);
    }
}

#[test]
fn a_log_filter_that_is_none() {
    assert_fails(&Node::builder().arg("--log").arg("loud,=,").run(PATIENCE), &["--log"]);
}

#[test]
fn logs_are_json_where_asked_for_and_quiet_where_told() {
    let mut node = Node::builder().arg("--log-format").arg("json").start();
    node.stop();
    let lines = node.stderr().from(0);
    assert!(!lines.is_empty());
    for line in lines {
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok_and(|value| value.is_object()), "{line}");
    }
    let mut node = Node::builder().arg("--log").arg("error").start();
    node.stop();
    assert!(node.stderr().is_empty(), "{}", node.stderr().text());
    assert!(!node.stderr().contains("\u{1b}"));
}

#[test]
fn a_node_says_where_it_is_in_node_json() {
    let node = Node::start();
    let file = node.file();
    assert_eq!((file.pid, file.chain.as_str(), file.version.as_str()), (node.pid(), "dev", env!("CARGO_PKG_VERSION")));
    assert!(file.listen.iter().all(|address| address.ends_with(&format!("/p2p/{}", file.peer_id))), "{file:?}");
    assert!(!node.bare_address().ends_with("/tcp/0"), "{file:?}");
    assert_eq!(node.get("/api/v1/node").json()["peer_id"], file.peer_id);
    assert!(node.http().try_get("/healthz").is_ok());
    assert!(Duration::from_millis(node.get("/api/v1/node").json()["uptime_ms"].as_u64().unwrap()) < PATIENCE);
}
