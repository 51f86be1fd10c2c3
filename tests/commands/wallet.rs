//! `bard wallet`: what a person does with keys, and the mistakes on the way.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use bard_tests::process::{Node, Run};
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSPHRASE: &str = "BARD_PASSPHRASE";
const NEW_PASSPHRASE: &str = "BARD_NEW_PASSPHRASE";

pub(crate) fn wallet(dir: &Path, arguments: &[&str]) -> Run {
    Run::new(["wallet"].iter().chain(arguments).copied()).dir(dir)
}

/// Makes a key and returns its address.
pub(crate) fn make(dir: &Path, name: &str) -> String {
    let printed = wallet(dir, &["new", name]).success();
    let (made, address) = printed.split_once(' ').expect("a name and an address");
    assert_eq!(made, name);
    address.to_owned()
}

pub(crate) fn list(dir: &Path) -> Value {
    serde_json::from_str(&wallet(dir, &["list", "--json"]).success()).expect("JSON")
}

fn directory() -> TempDir {
    TempDir::with_prefix("bard-test-").expect("a temporary directory")
}

#[test]
fn keys_are_made_shown_and_removed() {
    let dir = directory();
    let dir = dir.path().join("deep/data");
    let none = wallet(&dir, &["list"]).end();
    assert_eq!((none.code(), none.stdout.as_str()), (Some(0), ""));
    assert!(none.stderr.contains("wallet new"), "{}", none.stderr);
    let (zed, yan) = (make(&dir, "zed"), make(&dir, "yan"));
    let listed = wallet(&dir, &["list"]).end();
    let lines: Vec<_> = listed.stdout.lines().collect();
    assert!(lines[0].contains(&zed) && lines[1].contains(&yan) && lines.len() == 2, "{}", listed.stdout);
    assert!(
        listed.stderr.contains("no passphrase") && listed.stderr.contains("wallet passphrase"),
        "{}",
        listed.stderr
    );
    let keys = list(&dir);
    assert_eq!((&keys["protected"], &keys["keys"][1]["name"]), (&json!(false), &json!("yan")));
    assert_eq!(keys["keys"][1]["path"], "m/44'/1111577156'/1'");
    let shown = wallet(&dir, &["show", &zed, "--qr"]).success();
    assert!(shown.contains("name     zed") && shown.contains('\u{2588}'), "{shown}");
    assert!(wallet(&dir, &["show", "alice"]).success().contains("public"), "the dev chain's own are known");
    assert!(wallet(&dir, &["remove", "yan"]).failure().contains("--yes"));
    assert!(wallet(&dir, &["remove", "zde", "--yes"]).failure().contains("did you mean zed?"));
    wallet(&dir, &["remove", "yan", "--yes"]).success();
    assert_eq!(list(&dir)["keys"].as_array().map(Vec::len), Some(1));
    for (name, part) in [("zed", "already"), ("a b", "cannot be"), ("miner", "stands for"), ("alice", "public account")]
    {
        let why = wallet(&dir, &["new", name]).failure();
        assert!(why.contains(part), "{name}: {why}");
    }
}

#[test]
fn one_phrase_brings_all_keys_back() {
    let (first, second) = (directory(), directory());
    let addresses = ["a", "b", "c"].map(|name| make(first.path(), name));
    let phrase = wallet(first.path(), &["phrase"]).success();
    assert_eq!(phrase.split(' ').count(), 24);
    let import = |name: &str, index: &str, words: &str| {
        wallet(second.path(), &["import", name, "--phrase", "--index", index]).stdin(words)
    };
    assert!(import("x", "1", &phrase).success().ends_with(&addresses[1]));
    let made = ["y", "z"].map(|name| make(second.path(), name));
    assert_eq!(made[0], addresses[2], "the count goes on behind what was brought back");
    assert_eq!(made[1], make(first.path(), "d"));
    assert!(import("w", "0", &phrase).success().ends_with(&addresses[0]));
    assert!(import("v", "0", &phrase).failure().contains("it is named w"));
    assert_eq!(wallet(second.path(), &["phrase"]).success(), phrase, "it is the keystore's own now");
    let other = ["abandon"; 23].join(" ") + " art";
    assert!(import("u", "0", &other).success().starts_with("u bard12l0w4qk"));
    assert_eq!(list(second.path())["keys"][4]["origin"], "imported");
    let (swapped, typo) = (other.replacen("abandon", "about", 1), other.replacen("abandon", "abandonn", 1));
    for (words, part) in [("", "not 0"), ("abandon art", "not 2"), (&swapped, "checksum"), (&typo, "word 1 of")] {
        let why = import("t", "0", words).failure();
        assert!(why.contains(part) && !why.contains("abandon"), "{why}");
    }
}

#[test]
fn secrets_go_out_and_in_by_files_for_their_owner_alone() {
    let (dir, other) = (directory(), directory());
    let zed = make(dir.path(), "zed");
    let file = dir.path().join("zed.secret");
    let out = file.to_str().expect("text");
    assert_eq!(wallet(dir.path(), &["export", "zed"]).success(), format!("zed {zed}"), "no secret unless asked for");
    assert_eq!(wallet(dir.path(), &["export", "zed", "--secret"]).end().code(), Some(2), "and a place for it");
    wallet(dir.path(), &["export", "zed", "--secret", "--out", out]).success();
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    let secret = fs::read_to_string(&file).expect("text");
    assert_eq!(wallet(dir.path(), &["export", &zed, "--secret", "--out", "-"]).success(), secret.trim());
    assert!(wallet(dir.path(), &["export", "zed", "--secret", "--out", out]).failure().contains("zed.secret"));
    assert!(wallet(other.path(), &["import", "z", "--secret-file", out]).success().ends_with(&zed));
    let from_stdin = wallet(dir.path(), &["import", "again", "--secret-file", "-"]).stdin(secret);
    assert!(from_stdin.failure().contains("it is named zed"));
    fs::write(&file, "zz").expect("written");
    assert!(wallet(other.path(), &["import", "y", "--secret-file", out]).failure().contains("64 hex digits"));
    assert_eq!(wallet(other.path(), &["import", "y"]).end().code(), Some(2), "from what?");
    assert_eq!(wallet(other.path(), &["import", "y", "--phrase", "--address", &zed]).end().code(), Some(2));
}

#[test]
fn an_address_may_have_a_name_alone() {
    let (dir, other) = (directory(), directory());
    let zed = make(dir.path(), "zed");
    let watch = |address: &str| wallet(other.path(), &["import", "far", "--address", address]);
    for (odd, part) in [
        (zed.replacen("bard1", "bart1", 1), "must begin with `bard1`"),
        (format!("{}b{}", &zed[..9], &zed[10..]), "character 10 is 'b'"),
        (zed[..60].to_owned(), "60 characters"),
        (swap(&zed, 20), "checksum"),
    ] {
        let why = watch(&odd).failure();
        assert!(why.contains(part), "{odd}: {why}");
    }
    watch(&zed).success();
    assert_eq!(list(other.path())["keys"][0]["origin"], "watched");
    assert!(wallet(other.path(), &["export", "far", "--secret", "--out", "-"]).failure().contains("watched only"));
    assert!(wallet(other.path(), &["phrase"]).failure().contains("no recovery phrase"));
}

/// The text with one character changed for another that may stand there.
fn swap(address: &str, at: usize) -> String {
    let other = if &address[at..=at] == "q" { "p" } else { "q" };
    format!("{}{other}{}", &address[..at], &address[at + 1..])
}

#[test]
fn a_passphrase_is_set_asked_for_changed_and_removed() {
    let dir = directory();
    let dir = dir.path();
    let zed = make(dir, "zed");
    let phrase = wallet(dir, &["phrase"]).success();
    let secret = wallet(dir, &["export", "zed", "--secret", "--out", "-"]).success();
    assert!(wallet(dir, &["passphrase"]).failure().contains("BARD_NEW_PASSPHRASE"));
    assert!(wallet(dir, &["passphrase"]).env(NEW_PASSPHRASE, "short").failure().contains("too short"));
    assert!(wallet(dir, &["passphrase", "--remove"]).failure().contains("no passphrase"));
    wallet(dir, &["passphrase"]).env(NEW_PASSPHRASE, "correct horse").success();
    let text = fs::read_to_string(dir.join("keystore.json")).expect("text");
    assert!(!text.contains(&secret) && text.contains("argon2id") && text.contains(&zed), "{text}");
    assert_eq!(list(dir)["protected"], true);
    assert!(!wallet(dir, &["list"]).end().stderr.contains("no passphrase"));
    for action in [vec!["phrase"], vec!["new", "yan"], vec!["export", "zed", "--secret", "--out", "-"]] {
        let why = wallet(dir, &action).failure();
        assert!(why.contains("--passphrase-file"), "{why}");
        let why = wallet(dir, &action).env(PASSPHRASE, "wrong horse").failure();
        assert!(why.ends_with("the passphrase is wrong"), "{why}");
    }
    assert_eq!(wallet(dir, &["phrase"]).env(PASSPHRASE, "correct horse").success(), phrase);
    let file = dir.join("passphrase");
    fs::write(&file, "correct horse\n").expect("written");
    let by_file = |action: &[&str]| wallet(dir, action).arg("--passphrase-file").arg(&file);
    let made = by_file(&["new", "yan"]).env(PASSPHRASE, "wrong horse").success();
    assert!(made.starts_with("yan bard1"), "the file goes before the variable: {made}");
    by_file(&["passphrase"]).env(NEW_PASSPHRASE, "another horse").success();
    assert!(by_file(&["phrase"]).failure().contains("wrong"));
    assert_eq!(wallet(dir, &["phrase"]).env(PASSPHRASE, "another horse").success(), phrase);
    wallet(dir, &["passphrase", "--remove"]).env(PASSPHRASE, "another horse").success();
    assert_eq!(wallet(dir, &["export", "zed", "--secret", "--out", "-"]).success(), secret);
}

#[test]
fn a_node_notices_what_was_changed_beside_it() {
    let node = Node::start();
    let dir = node.dir();
    let zed = make(dir, "zed");
    node.pay("alice", "zed", 7);
    node.mine(1);
    assert_eq!(node.get("/api/v1/accounts/zed").success()["address"], json!(zed));
    let paid = node.post("/api/v1/wallet/transfer", &json!({ "from": "zed", "to": "bob", "amount": 3 }));
    assert_eq!(paid.status, 201, "{}", paid.body);
    let made = node.post("/api/v1/wallet/keys", &json!({ "name": "yan" })).success();
    assert_eq!(wallet(dir, &["export", "yan"]).success(), format!("yan {}", made["address"].as_str().expect("text")));
    wallet(dir, &["remove", "yan", "--yes"]).success();
    assert_eq!(node.get("/api/v1/accounts/yan").status, 400);
    assert!(wallet(dir, &["remove", "me", "--yes"]).failure().contains("own account"));
    wallet(dir, &["passphrase"]).env(NEW_PASSPHRASE, "correct horse").success();
    let refused = node.post("/api/v1/wallet/transfer", &json!({ "from": "zed", "to": "bob", "amount": 1 }));
    assert_eq!((refused.status, &refused.json()["type"]), (403, &json!("urn:blockbard:problem:locked")));
}

#[test]
fn a_node_without_the_passphrase_mines_and_does_not_sign() {
    let builder = Node::builder().env(PASSPHRASE, "correct horse");
    let mut node = builder.start();
    let me = node.get("/api/v1/node").success()["address"].clone();
    let pay = json!({ "to": "bob", "amount": 1 });
    node.mine(1);
    assert_eq!(node.post("/api/v1/wallet/transfer", &pay).status, 201, "a new keystore is protected by what was given");
    node.stop();
    assert_eq!(list(builder.dir())["protected"], true);
    let wrong = builder.clone().env(PASSPHRASE, "wrong horse").run(bard_tests::process::PATIENCE);
    assert_eq!(wrong.code(), Some(1));
    assert!(wrong.told().iter().any(|line| line.contains("the passphrase is wrong")), "{}", wrong.stderr);
    let locked = Node::builder().data_dir(builder.dir()).start();
    assert_eq!(locked.get("/api/v1/node").success()["address"], me);
    locked.mine(1);
    let refused = locked.post("/api/v1/wallet/transfer", &pay);
    assert_eq!((refused.status, refused.content_type.as_str()), (403, "application/problem+json"));
    let detail = refused.json()["detail"].as_str().expect("text").to_owned();
    assert!(detail.starts_with("the key me is locked") && detail.contains("wallet unlock"), "{detail}");
    assert_eq!(locked.post("/api/v1/wallet/keys", &json!({ "name": "zed" })).status, 403);
    assert!(locked.ask_line("send bob 1").starts_with("error: the key me is locked"));
    assert_eq!(
        locked.post("/transactions/new", &json!({ "sender": "me", "recipient": "bob", "amount": 1 })).status,
        403
    );
    locked.pay("alice", "bob", 1);
    assert_eq!(locked.get("/api/v1/wallet/keys").success()["locked"], true);
    let unlock = |body: &Value| locked.post("/api/v1/wallet/unlock", body);
    let wrong = unlock(&json!({ "passphrase": "wrong horse" }));
    assert_eq!((wrong.status, &wrong.json()["detail"]), (403, &json!("the passphrase is wrong")));
    for odd in [
        json!({}),
        json!({ "passphrase": 12345678 }),
        json!({ "passphrase": "" }),
        json!({ "passphrase": "x", "y": 1 }),
    ] {
        let refused = unlock(&odd);
        assert!(refused.status == 400 && !refused.body.contains("12345678"), "{odd}: {}", refused.body);
    }
    let opened = unlock(&json!({ "passphrase": "correct horse" }));
    assert_eq!(opened.success(), json!({ "protected": true, "locked": false }));
    assert_eq!(locked.post("/api/v1/wallet/transfer", &pay).status, 201);
    assert_eq!(locked.ask_line("wallet lock"), "the keys are locked: `wallet unlock` opens them");
    assert!(locked.ask_line("wallet unlock wrong horse").starts_with("error: the passphrase is wrong"));
    assert!(locked.ask_line("send bob 1").starts_with("error: the key me is locked"));
    assert!(locked.ask_line("wallet unlock").starts_with("error: usage: wallet unlock"));
    assert!(locked.ask_line("wallet unlock correct horse").contains("can sign"));
    locked.post("/api/v1/wallet/lock", &json!({})).success();
    let command = |action: &str| Run::new(["wallet", action, "--api", &locked.file().api]);
    assert!(command("unlock").env(PASSPHRASE, "wrong horse").failure().contains("the passphrase is wrong"));
    command("unlock").env(PASSPHRASE, "correct horse").success();
    assert!(locked.ask_line("send bob 1").starts_with("in the pool"));
    command("lock").success();
    assert!(locked.ask_line("send bob 1").starts_with("error: the key me is locked"));
}

#[test]
fn what_is_not_protected_is_not_locked() {
    let node = Node::start();
    for (path, body) in [("lock", json!({})), ("unlock", json!({ "passphrase": "correct horse" }))] {
        let refused = node.post(&format!("/api/v1/wallet/{path}"), &body);
        assert_eq!(refused.status, 409, "{path}: {}", refused.body);
    }
    let keys = node.get("/api/v1/wallet/keys").success();
    assert_eq!((&keys["protected"], &keys["locked"]), (&json!(false), &json!(false)));
}
