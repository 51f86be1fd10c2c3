//! `bard config`: each value, and where it comes from.

use std::fs;

use bard_tests::process::{Builder, Run};
use serde_json::{Value, json};

fn shown(run: &Run) -> Value {
    serde_json::from_str(&run.success()).unwrap()
}

#[test]
fn each_source_is_named_and_goes_before_those_below() {
    let user = Builder::default();
    let file = user.home().join("bard.toml");
    let text = "port = 7001\nlog = 'debug'\nminer = 'bob'\nno-mdns = true\nbootstrap = ['/ip4/10.0.0.1/tcp/6000']\n";
    fs::write(&file, text).unwrap();
    let named = format!("file {}", file.display());
    let run = Run::new(["config", "--json", "--port", "7003", "--config"]).arg(&file);
    let shown = shown(&run.env("BARD_PORT", "7002").env("BARD_LOG", "warn").env("BARD_NO_UPNP", "0"));
    for (option, value, from) in [
        ("port", json!(7003), "flag"),
        ("log", json!("warn"), "environment BARD_LOG"),
        ("no-upnp", json!(false), "environment BARD_NO_UPNP"),
        ("miner", json!("bob"), named.as_str()),
        ("no-mdns", json!(true), &named),
        ("bootstrap", json!(["/ip4/10.0.0.1/tcp/6000"]), &named),
        ("chain", json!("dev"), "default"),
        ("tracker", Value::Null, "default"),
        ("ready-peers", json!(0), "default"),
        ("listen", json!(["/ip4/0.0.0.0/tcp/6000", "/ip4/0.0.0.0/udp/6000/quic-v1"]), "default"),
    ] {
        assert_eq!(shown[option], json!({ "value": value, "from": from }), "{option}");
    }
    let data_dir = shown["data-dir"]["value"].as_str().unwrap();
    assert!(data_dir.ends_with("/7003"), "what the node would use: {data_dir}");
}

#[test]
fn secrets_are_not_shown() {
    let run = Run::new(["config", "--api-token", "sesame"]).env("BARD_PASSPHRASE", "hunter2");
    for shown in [run.clone().arg("--json").success(), run.success()] {
        assert!(!shown.contains("sesame") && !shown.contains("hunter2"), "{shown}");
        assert_eq!(shown.matches("(set, not shown)").count(), 2, "{shown}");
    }
}

#[test]
fn a_table_has_its_columns_one_below_the_other() {
    let table = Run::new(["config"]).success();
    let at = table.lines().next().unwrap().find("default").unwrap();
    assert!(table.lines().count() > 20, "{table}");
    for line in table.lines() {
        assert_eq!(line.get(at - 2..), Some("  default"), "{line}");
    }
}

#[test]
fn a_tracker_has_its_own() {
    let run = Run::new(["config", "tracker", "--json"]).env("BARD_PORT", "7002").env("BARD_HOST", "0.0.0.0");
    let shown = shown(&run);
    assert_eq!(shown["port"], json!({ "value": 7002, "from": "environment BARD_PORT" }));
    assert!(shown.get("mine").is_none(), "that is an option of a node");
    assert_eq!(Run::new(["config", "--port", "1", "tracker"]).end().code(), Some(2), "whose port?");
}

#[test]
fn an_unknown_key_is_refused_and_the_near_one_is_named() {
    let user = Builder::default();
    let file = user.home().join("bard.toml");
    fs::write(&file, "prot = 1").unwrap();
    for command in ["config", "node", "doctor"] {
        let said = Run::new([command, "--config"]).arg(&file).failure();
        assert!(said.ends_with("prot is not an option of bard node; is port meant?"), "{said}");
    }
    fs::write(&file, "mine = true").unwrap();
    let said = Run::new(["config", "tracker", "--config"]).arg(&file).failure();
    assert!(said.contains("mine is not an option of bard tracker"), "{said}");
}
