//! The trials of `bard bench`, shortened: nodes that are killed, cut off and banned under load, and a steady load of transactions.

use std::time::Duration;

use bard_tests::process::{Ended, Run};
use serde_json::Value;

/// How long a shortened trial may take on a busy machine: what it runs for, and until all agree.
const TRIAL: Duration = Duration::from_secs(300);

fn trial(arguments: &[&str]) -> (Ended, Value) {
    let all = ["bench"].iter().chain(arguments).chain(&["--json"]);
    let ended = Run::new(all).spawn().end_within(TRIAL);
    let document = ended.stdout.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    (ended, document)
}

#[test]
fn nodes_that_are_killed_cut_off_and_banned_under_load_agree_and_lose_nothing() {
    let (ended, told) = trial(&["soak", "--nodes", "5", "--minutes", "0.7", "--rate", "10", "--seed", "3"]);
    assert_eq!(ended.code(), Some(0), "{} {}", ended.stderr, told);
    let of = |name: &str| told[name].as_u64().unwrap_or_default();
    assert!(of("kills") > 0 && of("stops") + of("cuts") + of("bans") > 0, "{told}");
    assert!(of("acknowledged") > 50 && of("blocks") > 5, "{told}");
    assert_eq!(told["faults"], serde_json::json!([]));
    assert!(!told["growth"].as_array().unwrap().is_empty(), "what runs through was watched: {told}");
}

#[test]
fn transactions_at_a_steady_rate_are_all_mined_on_every_node() {
    let (ended, told) = trial(&["load", "--rate", "100", "--seconds", "4", "--interval", "500"]);
    // On a busy machine the rate may not be held; nothing else may fail.
    let slow = ended.stderr.contains("transactions a second were taken");
    assert!(ended.code() == Some(0) || slow, "{} {told}", ended.stderr);
    let figures = told["figures"].as_array().unwrap();
    let named = |name: &str| figures.iter().any(|figure| figure["name"].as_str().is_some_and(|own| own.contains(name)));
    for name in ["transactions taken", "to the pool of another node", "to a block on another node"] {
        assert!(named(name), "{name}: {told}");
    }
}
