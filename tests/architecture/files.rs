//! Files that stay readable, channels that end somewhere, and lints that stay on.

use std::fs;

use bard_tests::workspace::{root, rust_files};

/// No file has so many lines, or it is two rooms.
const TOO_LONG: usize = 500;

/// Ways to make a channel that takes all that a stranger sends.
const UNBOUNDED: &[&str] =
    &["unbounded_channel", "UnboundedSender", "UnboundedReceiver", "mpsc::unbounded", "std::sync::mpsc::channel"];

/// What the chain refuses of its own code, by the compiler.
const DENIED_IN_CHAIN: &[&str] =
    &["arithmetic_side_effects", "expect_used", "indexing_slicing", "panic", "unreachable", "unwrap_used"];

fn all_sources() -> Vec<bard_tests::workspace::SourceFile> {
    let files: Vec<_> = ["chain", "protocol", "node", "tests"].iter().flat_map(|folder| rust_files(folder)).collect();
    assert!(files.len() > 50, "the sources were found");
    files
}

#[test]
fn no_file_is_too_long() {
    let long = all_sources().into_iter().map(|file| (file.text.lines().count(), file.path));
    let long: Vec<_> = long.filter(|(lines, _)| *lines >= TOO_LONG).collect();
    assert!(long.is_empty(), "{TOO_LONG} lines or more: {long:#?}");
}

#[test]
fn every_file_says_what_it_is() {
    let silent = all_sources().into_iter().filter(|file| !file.text.trim_start().starts_with("//!"));
    let silent: Vec<_> = silent.map(|file| file.path).collect();
    assert!(silent.is_empty(), "no `//!` at the top: {silent:#?}");
}

#[test]
fn no_channel_is_unbounded() {
    let production = ["chain/src", "protocol/src", "node/src"].iter().flat_map(|folder| rust_files(folder));
    let mut found = Vec::new();
    for file in production {
        for (number, line) in (1..).zip(file.text.lines()) {
            let code = line.split("//").next().unwrap_or(line);
            if UNBOUNDED.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "channels without a bound: {found:#?}");
}

#[test]
fn the_chain_denies_what_could_panic() {
    let text = fs::read_to_string(root().join("chain/src/lib.rs")).expect("chain/src/lib.rs");
    let denied = text.split("deny(").nth(1).and_then(|rest| rest.split(')').next()).expect("a list of denied lints");
    for lint in DENIED_IN_CHAIN {
        assert!(denied.contains(&format!("clippy::{lint}")), "chain/src/lib.rs no longer denies clippy::{lint}");
    }
}

#[test]
fn each_ban_of_the_chain_has_its_reason() {
    let text = fs::read_to_string(root().join("chain/clippy.toml")).expect("chain/clippy.toml");
    let bans: Vec<_> = text.lines().filter(|line| line.contains("path = ")).collect();
    assert!(bans.len() > 20, "the bans were found");
    for ban in bans {
        assert!(ban.contains("reason = \""), "chain/clippy.toml: no reason: {ban}");
    }
    for must in
        ["HashMap", "SystemTime", "Instant", "std::fs::", "std::net::", "std::env::", "std::thread::", "println"]
    {
        assert!(text.contains(must), "chain/clippy.toml no longer bans {must}");
    }
}
