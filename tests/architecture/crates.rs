//! What each crate depends on.

use std::{collections::BTreeSet, process::Command};

use bard_tests::workspace::root;
use serde_json::Value;

/// Everything that the chain may depend on directly. Whoever adds to it says here why a pure crate needs it.
const OF_CHAIN: &[(&str, &str)] = &[
    ("bech32", "addresses"),
    ("blake3", "hashes"),
    ("curve25519-dalek", "signatures in batches, with the points of known keys"),
    ("ed25519-zebra", "signatures"),
    ("hex", "hashes as text"),
    ("rand_core", "the trait by which a batch takes its coefficients, from a hash"),
    ("ruint", "256-bit numbers"),
    ("serde", "encoding"),
    ("serde_bytes", "encoding"),
    ("serde_cbor_2", "encoding"),
    ("sha2", "the seal"),
    ("thiserror", "reasons as text"),
    ("toml", "specifications"),
];

/// What must not be anywhere below the chain, however far down.
const NEVER_BELOW_CHAIN: &[&str] = &[
    "tokio",
    "libp2p",
    "futures",
    "async-std",
    "mio",
    "socket2",
    "rand",
    "getrandom",
    "tracing",
    "log",
    "redb",
    "axum",
    "clap",
    "chrono",
    "jiff",
    "time",
    "rayon",
    "libc",
];

/// What only some crates may depend on.
const ONLY: &[(&str, &[&str])] = &[
    ("libp2p", &["bard-protocol", "bard-tests"]),
    ("axum", &["bard-node"]),
    ("hyper", &["bard-node"]),
    ("hyper-util", &["bard-node"]),
    ("clap", &["bard-node"]),
    ("redb", &["bard-node"]),
    ("rustyline", &["bard-node"]),
    ("tracing-subscriber", &["bard-node", "bard-protocol", "bard-tests"]),
];

/// The crates from the lowest to the highest: each may depend on those below it alone.
const FLOORS: &[&str] = &["bard-chain", "bard-protocol", "bard-node", "bard-tests"];

struct Member {
    name: String,
    /// Names of direct dependencies that are built into it, not only into its tests.
    normal: BTreeSet<String>,
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo starts");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn members() -> Vec<Member> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"])).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let member = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("a list");
        let normal = dependencies.iter().filter(|dependency| dependency["kind"] != "dev");
        Member { name: text(&package["name"]), normal: normal.map(|dependency| text(&dependency["name"])).collect() }
    };
    let members: Vec<_> = metadata["packages"].as_array().expect("a list").iter().map(member).collect();
    assert!(members.iter().any(|member| member.name == "bard-chain"), "the workspace was read");
    members
}

#[test]
fn every_crate_depends_only_on_lower_ones() {
    let floor = |name: &str| FLOORS.iter().position(|known| *known == name);
    for member in members() {
        let Some(own) = floor(&member.name) else { continue };
        for dependency in &member.normal {
            if let Some(other) = floor(dependency) {
                assert!(other < own, "{}/Cargo.toml: must not depend on {dependency}", member.name);
            }
        }
    }
}

#[test]
fn the_chain_depends_on_nothing_but_what_is_listed() {
    let members = members();
    let chain = members.iter().find(|member| member.name == "bard-chain").expect("the chain");
    let listed: BTreeSet<_> = OF_CHAIN.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(chain.normal, listed, "chain/Cargo.toml on the left, the list with the reasons on the right");
    assert!(OF_CHAIN.iter().all(|(_, reason)| !reason.is_empty()));
}

#[test]
fn nothing_impure_is_anywhere_below_the_chain() {
    let tree = cargo(&["tree", "--package", "bard-chain", "--edges", "normal", "--prefix", "none"]);
    let below: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(below.contains("serde"), "the tree was read");
    for name in NEVER_BELOW_CHAIN {
        assert!(
            !below.contains(name),
            "bard-chain depends on {name}, see `cargo tree -p bard-chain -e normal -i {name}`"
        );
    }
}

#[test]
fn what_belongs_to_one_crate_is_in_no_other() {
    for member in members() {
        for (dependency, allowed) in ONLY {
            if member.normal.contains(*dependency) {
                assert!(
                    allowed.contains(&member.name.as_str()),
                    "{}/Cargo.toml: {dependency} is for {allowed:?} alone",
                    member.name
                );
            }
        }
    }
}
