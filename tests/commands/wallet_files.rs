//! The keystore's file: damage, crashes, several processes at once, and what must not be found anywhere else.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use bard_tests::process::{Node, PATIENCE, Run};
use serde_json::json;
use tempfile::TempDir;

use crate::wallet::{list, make, wallet};

fn directory() -> TempDir {
    TempDir::with_prefix("bard-test-").expect("a temporary directory")
}

fn names(dir: &Path) -> Vec<String> {
    let keys = list(dir)["keys"].as_array().expect("a list").clone();
    keys.iter().map(|key| key["name"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn a_damaged_keystore_is_named_and_left_alone() {
    let dir = directory();
    make(dir.path(), "zed");
    let file = dir.path().join("keystore.json");
    let good = fs::read(&file).expect("there");
    let mut flipped = good.clone();
    let at = good.windows(3).position(|part| part == b"zed").expect("the name");
    flipped[at] ^= 1;
    for bad in
        [b"".as_slice(), &good[..good.len() / 2], flipped.as_slice(), &[0xff; 64], vec![b'{'; 3 << 20].as_slice()]
    {
        fs::write(&file, bad).expect("written");
        for action in [vec!["list"], vec!["new", "yan"], vec!["phrase"]] {
            let why = wallet(dir.path(), &action).failure();
            assert!(why.contains("keystore.json is damaged") && why.contains("backup"), "{why}");
        }
        let node = Node::builder().data_dir(dir.path()).run(PATIENCE);
        assert_eq!(node.code(), Some(1), "{}", node.stderr);
        assert!(node.told().iter().any(|line| line.contains("keystore.json is damaged")), "{}", node.stderr);
        assert_eq!(fs::read(&file).expect("there"), bad, "it is left as it is");
    }
    fs::write(&file, good).expect("written");
    assert_eq!(names(dir.path()), ["zed"]);
}

#[test]
fn a_file_that_asks_for_all_memory_is_refused_at_once() {
    let dir = directory();
    wallet(dir.path(), &["passphrase"]).env("BARD_NEW_PASSPHRASE", "correct horse").success();
    let file = dir.path().join("keystore.json");
    let text = fs::read_to_string(&file).expect("text");
    fs::write(&file, text.replace("65536", "104857600")).expect("written");
    let why = wallet(dir.path(), &["new", "zed"]).env("BARD_PASSPHRASE", "correct horse").failure();
    assert!(why.contains("damaged"), "{why}");
}

#[test]
fn several_processes_at_once_lose_nothing() {
    let node = Node::start();
    let dir = node.dir();
    let all: Vec<_> = (0..8).map(|number| wallet(dir, &["new", &format!("k{number}")]).spawn()).collect();
    for number in 0..8 {
        let made = node.post("/api/v1/wallet/keys", &json!({ "name": format!("n{number}") }));
        assert_eq!(made.status, 201, "{}", made.body);
    }
    for one in all {
        let ended = one.end();
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    }
    let mut found = names(dir);
    found.sort_unstable();
    let mut expected: Vec<_> = (0..8).flat_map(|number| [format!("k{number}"), format!("n{number}")]).collect();
    expected.push("me".to_owned());
    expected.sort_unstable();
    assert_eq!(found, expected);
    let keys = list(dir)["keys"].as_array().expect("a list").clone();
    let addresses: std::collections::BTreeSet<_> = keys.iter().map(|key| key["address"].to_string()).collect();
    assert_eq!(addresses.len(), expected.len(), "each key is another");
}

#[test]
fn one_name_is_given_once() {
    let dir = directory();
    let all: Vec<_> = (0..6).map(|_| wallet(dir.path(), &["new", "zed"]).spawn()).collect();
    let codes: Vec<_> = all.into_iter().map(|one| one.end().code()).collect();
    assert_eq!(codes.iter().filter(|code| **code == Some(0)).count(), 1, "{codes:?}");
    assert_eq!(names(dir.path()), ["zed"]);
}

#[test]
fn a_kill_at_any_instant_loses_nothing() {
    let dir = directory();
    make(dir.path(), "first");
    let mut promised = vec!["first".to_owned()];
    for round in 0..60_u64 {
        let name = format!("k{round}");
        let running = wallet(dir.path(), &["new", &name]).spawn();
        // Anywhere from before it read the file to after its end.
        std::thread::sleep(Duration::from_micros(round * 997 % 40 * 1000));
        let ended = running.kill9();
        if ended.stdout.starts_with(&format!("{name} bard1")) {
            promised.push(name);
        }
    }
    let found = names(dir.path());
    let lost: Vec<_> = promised.iter().filter(|name| !found.contains(name)).collect();
    assert!(lost.is_empty(), "{lost:?} of {promised:?} are not in {found:?}");
    make(dir.path(), "last");
    assert!(
        Node::builder().data_dir(dir.path()).start().get("/api/v1/wallet/keys").success().to_string().contains("last")
    );
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let dir = directory();
    let file = dir.path().join("file");
    fs::write(&file, "").expect("written");
    assert!(wallet(&file.join("data"), &["new", "zed"]).failure().contains("cannot read"));
    let locked = dir.path().join("read-only");
    fs::create_dir(&locked).expect("made");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).expect("changed");
    // The administrator may write anywhere but where the system keeps its own.
    let administrator = fs::File::create(locked.join("probe")).is_ok();
    let place = if administrator { Path::new("/sys/kernel") } else { &locked };
    let why = wallet(place, &["new", "zed"]).failure();
    assert!(why.contains("cannot write") && why.contains("keystore"), "{why}");
}

#[test]
fn keys_of_earlier_versions_are_taken_over_by_the_first_start() {
    let builder = Node::builder();
    let keys = builder.dir().join("keys");
    fs::create_dir_all(&keys).expect("made");
    fs::write(builder.dir().join("account.key"), "01".repeat(32)).expect("written");
    fs::write(keys.join("zed.key"), "02".repeat(32)).expect("written");
    let node = builder.start();
    let me = node.get("/api/v1/accounts/me").success()["address"].clone();
    // The public keys of these two seeds, by RFC 8032.
    assert!(me.as_str().is_some_and(|text| text.starts_with("bard1")), "{me}");
    assert_eq!(names(node.dir()), ["me", "zed"]);
    assert!(!builder.dir().join("account.key").exists() && !keys.exists());
    let secret = wallet(node.dir(), &["export", "zed", "--secret", "--out", "-"]).success();
    assert_eq!(secret, "02".repeat(32));
}

#[test]
fn secrets_are_nowhere_but_in_the_keystore() {
    let passphrase = "correct horse battery";
    let builder = Node::builder().env("BARD_PASSPHRASE", passphrase).arg("--log").arg("trace");
    let mut node = builder.start();
    let dir = node.dir().to_owned();
    node.post("/api/v1/wallet/keys", &json!({ "name": "zed" })).success();
    let with = |action: &[&str]| wallet(&dir, action).env("BARD_PASSPHRASE", passphrase);
    let secret = with(&["export", "zed", "--secret", "--out", "-"]).success();
    let phrase = with(&["phrase"]).success();
    let secrets = [passphrase, &secret, &phrase];
    let cmdline = fs::read(format!("/proc/{}/cmdline", node.pid())).expect("there");
    let mut seen = vec![("the command line".to_owned(), String::from_utf8_lossy(&cmdline).into_owned())];
    for path in ["/api/v1/wallet/keys", "/api/v1/node", "/api/v1/accounts/zed", "/metrics", "/openapi.json"] {
        seen.push((path.to_owned(), node.get(path).body));
    }
    for line in ["wallets", "wallet new zed", "balance zed"] {
        seen.push((line.to_owned(), node.ask(line).join("\n")));
    }
    let environment = fs::read(format!("/proc/{}/environ", node.pid()));
    let administrator = rustix::process::geteuid().is_root();
    assert!(administrator || environment.is_err(), "only the administrator may read the environment of a node");
    node.stop();
    seen.push(("stderr".to_owned(), node.stderr().text()));
    seen.push(("stdout".to_owned(), node.stdout().text()));
    for file in files_below(&dir) {
        seen.push((file.display().to_string(), String::from_utf8_lossy(&fs::read(&file).expect("there")).into_owned()));
    }
    assert!(seen.iter().any(|(place, _)| place.contains("logs/")), "the log files were looked at");
    for (place, text) in seen {
        for secret in secrets {
            assert!(!text.contains(secret), "a secret is in {place}");
        }
    }
}

fn files_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("readable").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn a_process_with_secrets_leaves_no_core() {
    let node = Node::start();
    let limits = fs::read_to_string(format!("/proc/{}/limits", node.pid())).expect("there");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line");
    let words: Vec<_> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
}

#[test]
fn help_does_not_show_what_the_environment_holds() {
    for arguments in [vec!["wallet", "new", "--help"], vec!["node", "--help"], vec!["tx", "sign", "--help"]] {
        let help = Run::new(arguments).env("BARD_PASSPHRASE", "correct horse").success();
        assert!(!help.contains("correct horse"), "{help}");
    }
}
