//! `bard tx`: a transaction goes from machine to machine as a file.

use std::{fs, path::Path};

use bard_tests::process::{Node, Run};
use serde_json::Value;
use tempfile::TempDir;

use crate::wallet::{make, wallet};

pub(crate) fn tx(dir: &Path, arguments: &[&str]) -> Run {
    Run::new(["tx"].iter().chain(arguments).copied()).dir(dir)
}

fn directory() -> TempDir {
    TempDir::with_prefix("bard-test-").expect("a temporary directory")
}

#[test]
fn each_action_is_made_signed_and_shown() {
    let dir = directory();
    let zed = make(dir.path(), "zed");
    let path = dir.path().join("tx.json");
    let file = path.to_str().expect("text");
    for (action, shown) in [
        (vec!["transfer", "alice", "50"], "pay       50"),
        (vec!["record", "the kiln was cleaned"], "\"the kiln was cleaned\""),
        (vec!["item-request", "kiln"], "take      kiln"),
        (vec!["item-release", "kiln"], "give back kiln"),
        (vec!["item-transfer", "kiln", "bob"], "hand on   kiln"),
    ] {
        let rest = ["--from", "zed", "--nonce", "4", "--fee", "2", "--out", file];
        tx(dir.path(), &[&["make"], action.as_slice(), &rest].concat()).success();
        assert!(tx(dir.path(), &["show", file]).success().contains("not yet"));
        let told = tx(dir.path(), &["sign", file]).end();
        assert_eq!((told.code(), told.stdout.as_str()), (Some(0), ""), "{}", told.stderr);
        for part in [shown, &format!("{zed} (zed)"), "nonce     4", "fee       2", "chain     dev ("] {
            assert!(told.stderr.contains(part), "{part} is not in {}", told.stderr);
        }
        let id = told.stderr.lines().last().and_then(|line| line.strip_prefix("signed: ")).expect("an id").to_owned();
        assert!(tx(dir.path(), &["show", file]).success().ends_with(&id));
    }
    let there = fs::read_to_string(&path).expect("text");
    let file_of_its_own = tx(dir.path(), &["sign", file, "--out", "-"]).success();
    assert_eq!(file_of_its_own, there.trim(), "the same message has the same signature");
}

#[test]
fn what_cannot_be_made_or_signed_says_why() {
    let (dir, other) = (directory(), directory());
    make(dir.path(), "zed");
    let path = dir.path().join("tx.json");
    let file = path.to_str().expect("text");
    let make = |rest: &[&str]| tx(dir.path(), &[&["make", "transfer"], rest].concat());
    assert!(make(&["alice", "5", "--from", "zde", "--nonce", "0"]).failure().contains("did you mean zed?"));
    assert!(make(&["alcie", "5", "--from", "zed", "--nonce", "0"]).failure().contains("neither a known name"));
    assert!(make(&["bard1xyz", "5", "--from", "zed", "--nonce", "0"]).failure().contains("8 characters"));
    let nobody = bard_chain::address::Address::NOBODY.to_string();
    assert!(
        make(&[&nobody, "5", "--from", "zed", "--nonce", "0"]).failure().contains("anybody could take what is there")
    );
    assert_eq!(make(&["alice", "-5", "--from", "zed", "--nonce", "0"]).end().code(), Some(2));
    make(&["alice", "5", "--from", "zed", "--nonce", "0", "--out", file]).success();
    let no_key = tx(other.path(), &["sign", file]).failure_after("chain     dev");
    assert!(no_key.contains("there is no key named bard1"), "{no_key}");
    let spec = dir.path().join("class.toml");
    fs::write(&spec, bard_chain::presets::dev().to_toml().replace("\"dev\"", "\"class\"")).expect("written");
    let wrong = Run::new(["tx", "sign", file]).dir(dir.path()).arg("--chain").arg(&spec).failure();
    assert!(wrong.contains("for the chain dev (") && wrong.contains("not for class ("), "{wrong}");
    let mut value: Value = serde_json::from_str(&fs::read_to_string(&path).expect("text")).expect("JSON");
    for (field, odd, part) in [
        ("format", "blockbard-transaction-9", "blockbard-transaction-1"),
        ("unsigned", "00", "unsigned"),
        ("chain_id", "00", "chain_id"),
        ("signature", "00", "signature"),
        ("more", "x", "more"),
    ] {
        let before = value.clone();
        value[field] = odd.into();
        fs::write(&path, value.to_string()).expect("written");
        let why = tx(dir.path(), &["sign", file]).failure();
        assert!(why.contains("tx.json") && why.contains(part), "{field}: {why}");
        value = before;
    }
    assert!(tx(dir.path(), &["sign", "/nowhere/at/all"]).failure().contains("/nowhere/at/all"));
}

#[test]
fn a_transaction_goes_from_machine_to_machine() {
    let node = Node::start();
    let signer = directory();
    let zed = make(signer.path(), "zed");
    node.pay("alice", &zed, 50);
    node.mine(1);
    let path = signer.path().join("tx.json");
    let file = path.to_str().expect("text");
    let api = node.file().api.as_str();
    let maker = directory();
    let transfer = ["make", "transfer", "bob", "7", "--from", &zed, "--api", api, "--out", file];
    tx(maker.path(), &transfer).success();
    let submit = || Run::new(["tx", "submit", file, "--api", api]);
    assert!(submit().failure().contains("not signed yet"));
    assert_eq!(tx(signer.path(), &["sign", file]).end().code(), Some(0));
    assert!(submit().success().starts_with("in the pool: "));
    assert!(submit().failure().contains("already"), "once is enough");
    tx(maker.path(), &transfer).success();
    assert!(tx(maker.path(), &["show", file]).success().contains("nonce     1"), "the next one");
    node.mine(1);
    assert_eq!(node.get(&format!("/api/v1/accounts/{zed}")).success()["balance"], 43);
    let spec = signer.path().join("class.toml");
    fs::write(&spec, bard_chain::presets::dev().to_toml().replace("\"dev\"", "\"class\"")).expect("written");
    let other = ["make", "item-request", "kiln", "--from", "zed", "--nonce", "0", "--out", file];
    tx(signer.path(), &other).arg("--chain").arg(&spec).success();
    assert_eq!(tx(signer.path(), &["sign", file]).end().code(), Some(0));
    let why = submit().failure();
    assert!(why.contains("for the chain class (") && why.contains("follows dev ("), "{why}");
}

#[test]
fn a_protected_key_signs_with_its_passphrase() {
    let dir = directory();
    make(dir.path(), "zed");
    wallet(dir.path(), &["passphrase"]).env("BARD_NEW_PASSPHRASE", "correct horse").success();
    let path = dir.path().join("tx.json");
    let file = path.to_str().expect("text");
    tx(dir.path(), &["make", "item-request", "kiln", "--from", "zed", "--nonce", "0", "--out", file]).success();
    let why = tx(dir.path(), &["sign", file]).failure_after("take      kiln");
    assert!(why.contains("--passphrase-file"), "{why}");
    let signed = tx(dir.path(), &["sign", file]).env("BARD_PASSPHRASE", "correct horse").end();
    assert_eq!(signed.code(), Some(0), "{}", signed.stderr);
}
