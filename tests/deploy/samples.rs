//! Data of every version so far: today's software opens it, finds what was there, and goes on.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bard_tests::{
    process::{Builder, Node},
    workspace::root,
};
use serde_json::Value;

/// The most that a sample may take, in bytes: they stay for ever.
const MAX_LEN: u64 = 200_000;
/// The longest that a transaction may wait in the pool, `--pool-expiry` in hours: what waits in a sample is forgotten after that.
const LONGEST_WAIT: u64 = 8760;

fn samples() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("tests/samples")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for file in fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
        let copied = to.join(file.file_name().unwrap());
        fs::copy(&file, &copied).unwrap();
        // Git keeps no such modes.
        fs::set_permissions(&copied, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// A user with a copy of a sample, and what is in it.
fn opened(sample: &Path) -> (Builder, Value) {
    let builder = Builder::default();
    copy(&sample.join("data"), builder.dir());
    let expected = fs::read_to_string(sample.join("expected.json")).unwrap();
    (builder, serde_json::from_str(&expected).unwrap())
}

fn holds_what_was_there(node: &Node, expected: &Value) {
    assert_eq!((&node.status()["height"], &node.status()["tip"]), (&expected["height"], &expected["tip"]));
    for key in expected["keys"].as_array().unwrap() {
        let name = key["name"].as_str().unwrap();
        let account = node.get(&format!("/api/v1/accounts/{name}")).success();
        assert_eq!(account["address"], key["address"], "{name}");
    }
    for (address, balance) in expected["balances"].as_object().unwrap() {
        let account = node.get(&format!("/api/v1/accounts/{address}")).success();
        assert_eq!(&account["balance"], balance, "{address}");
    }
    for (item, holder) in expected["items"].as_object().unwrap() {
        assert_eq!(&node.get(&format!("/api/v1/items/{item}")).success()["holder"], holder, "{item}");
    }
}

/// What waited and who was banned, as long as neither ends by itself.
fn holds_what_ends_one_day(node: &Node, expected: &Value) {
    let made = UNIX_EPOCH + Duration::from_secs(expected["made"].as_u64().unwrap());
    let age = SystemTime::now().duration_since(made).unwrap_or_default();
    if age < Duration::from_secs(LONGEST_WAIT * 3600) {
        let waits: Vec<_> = expected["pool"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        assert_eq!(node.pool(), waits);
    }
    // Ten years.
    if age < Duration::from_secs(10 * 365 * 24 * 3600) {
        let bans = node.get("/api/v1/bans").success();
        let banned: Vec<_> = bans["bans"].as_array().unwrap().iter().map(|ban| ban["peer"].clone()).collect();
        assert_eq!(&Value::from(banned), &expected["banned"]);
    }
}

#[test]
fn today_s_software_opens_the_data_of_every_version() {
    for sample in samples() {
        let (builder, expected) = opened(&sample);
        let dir = builder.dir().to_str().unwrap();
        let verified = builder.tool(&["chain", "verify", "--data-dir", dir]);
        assert_eq!(verified.code(), Some(0), "{}: {}", sample.display(), verified.stderr);
        let mut node = builder.clone().arg("--pool-expiry").arg(LONGEST_WAIT.to_string()).start();
        holds_what_was_there(&node, &expected);
        holds_what_ends_one_day(&node, &expected);
        let height = node.height();
        // The keys sign, and the chain goes on.
        node.pay("me", "carpenter", 1);
        node.mine(1);
        assert_eq!(node.height(), height + 1);
        node.stop();
        let log = node.stderr().text();
        assert!(!log.contains(" ERROR "), "{}: {log}", sample.display());
        let names = fs::read_dir(builder.dir()).unwrap().map(|entry| entry.unwrap().file_name());
        let aside: Vec<_> = names.filter(|name| name.to_string_lossy().contains(".damaged")).collect();
        assert!(aside.is_empty(), "{}: {aside:?}: {log}", sample.display());
        let again = builder.start();
        assert_eq!(again.height(), height + 1);
    }
}

#[test]
fn today_s_software_reads_the_files_that_people_kept_of_every_version() {
    for sample in samples() {
        let expected: Value = serde_json::from_str(&fs::read_to_string(sample.join("expected.json")).unwrap()).unwrap();
        let user = Builder::default();
        let file = |name: &str| sample.join(name).display().to_string();
        let done = |words: &[&str]| {
            let ended = user.tool(words);
            assert_eq!(ended.code(), Some(0), "{}: {words:?}: {}", sample.display(), ended.stderr);
            ended.stdout
        };
        let (height, tip) = (expected["height"].to_string(), expected["tip"].as_str().unwrap());
        for (command, from, further) in [
            ("import", "chain.archive", &[][..]),
            ("start-from-snapshot", "chain.snapshot", &["--known-block", tip][..]),
        ] {
            let dir = user.home().join(command).display().to_string();
            done(&[&["chain", command, &file(from), "--data-dir", &dir], further].concat());
            let told = done(&["chain", "info", "--data-dir", &dir]);
            assert!(told.contains(tip) && told.contains(&height), "{}: {command}: {told}", sample.display());
        }
        let record = expected["records"][0].as_str().unwrap();
        let told = done(&["verify-receipt", &file("record.receipt"), "--checkpoint", &format!("{height}:{tip}")]);
        assert!(told.contains(record), "{}: {told}", sample.display());
        let told = done(&["tx", "show", &file("transaction.json")]);
        assert!(told.lines().any(|line| line.starts_with("signed ")), "{}: {told}", sample.display());
    }
}

/// The versions that the changelog tells of.
fn released() -> BTreeSet<String> {
    let changes = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let headings = changes.lines().filter_map(|line| line.strip_prefix("## "));
    let versions = headings.map(|rest| rest.split(' ').next().unwrap().trim_matches(['[', ']']).to_owned());
    versions.filter(|version| version != "Unreleased").collect()
}

#[test]
fn every_released_version_has_its_sample() {
    let released = released();
    let sampled = samples().iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(released, sampled, "the versions in CHANGELOG.md, and those with a sample: tests/samples/make");
    // What is built is a version that the changelog tells of: raising the number is what makes a release.
    assert!(released.contains(env!("CARGO_PKG_VERSION")), "{released:?}");
}

#[test]
fn samples_stay_small() {
    for sample in samples() {
        let files = fs::read_dir(sample.join("data")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        let length: u64 = files.sum();
        assert!(length < MAX_LEN, "{}: {length} bytes", sample.display());
    }
}

#[test]
fn data_of_a_version_that_is_not_known_is_left_alone() {
    let (builder, _) = opened(&samples()[0]);
    let log = builder.dir().join("chain.log");
    let mut bytes = fs::read(&log).unwrap();
    // The format comes after eight bytes; the checksum of the header is looked at later, or the reason would be another.
    bytes[8] = 250;
    fs::write(&log, &bytes).unwrap();
    let ended = builder.run(bard_tests::process::PATIENCE);
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stderr.contains("has format 250, this version of bard knows format"), "{}", ended.stderr);
    assert_eq!(fs::read(&log).unwrap(), bytes, "it is left as it was");
}
