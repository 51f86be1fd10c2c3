//! Data of every version so far: today's software opens it, finds what was there, and goes on.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use bard_tests::{
    process::{Builder, Node},
    workspace::root,
};
use serde_json::Value;

/// The most that a sample may take, in bytes: they stay for ever.
const MAX_LEN: u64 = 200_000;

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

#[test]
fn today_s_software_opens_the_data_of_every_version() {
    for sample in samples() {
        let (builder, expected) = opened(&sample);
        let dir = builder.dir().to_str().unwrap();
        let verified = builder.tool(&["chain", "verify", "--data-dir", dir]);
        assert_eq!(verified.code(), Some(0), "{}: {}", sample.display(), verified.stderr);
        let mut node = builder.start();
        holds_what_was_there(&node, &expected);
        let height = node.height();
        // The keys sign, and the chain goes on.
        node.pay("me", "carpenter", 1);
        node.mine(1);
        assert_eq!(node.height(), height + 1);
        node.stop();
        let log = node.stderr().text();
        assert!(!log.contains(" ERROR "), "{}: {log}", sample.display());
        assert!(!builder.dir().join("peers.json.damaged").exists(), "{}: {log}", sample.display());
        let again = builder.start();
        assert_eq!(again.height(), height + 1);
    }
}

#[test]
fn every_released_version_has_its_sample() {
    let changes = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let versions =
        changes.lines().filter_map(|line| line.strip_prefix("## ")).map(|rest| rest.split(' ').next().unwrap());
    for version in versions.filter(|version| *version != "Unreleased") {
        let version = version.trim_matches(['[', ']']);
        assert!(
            root().join("tests/samples").join(version).is_dir(),
            "no sample of version {version}: tests/samples/make"
        );
    }
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
