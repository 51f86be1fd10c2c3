//! Kill -9 at random moments: whatever a node said that it has, it has.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bard_chain::spec::ChainSpec;
use bard_tests::{
    chain_builder::easy_spec,
    process::{Builder, Node},
};
use serde_json::json;

/// How often the node is killed.
const ROUNDS: u32 = 60;
/// Every so many rounds the whole chain is checked.
const VERIFY_EVERY: u32 = 10;
/// Every so many rounds it is killed while it starts.
const DURING_START_EVERY: u32 = 6;
/// The longest a node lives before it is killed, in milliseconds.
const LONGEST: u64 = 400;
/// The random moments follow from this.
const SEED: u64 = 0x00b1_0c5b_a6d1_5eed;

/// Numbers that look random (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Ids of blocks in the news of a node.
fn in_the_news(node: &Node, first: usize) -> impl Iterator<Item = String> {
    let id = |line: String| line.strip_prefix("* block ")?.split(' ').nth(1).map(str::to_owned);
    node.stdout().from(first).into_iter().filter_map(id)
}

/// Mines, pays and asks for blocks until it is time; returns the blocks it was told of.
fn work_until(node: &Node, end: Instant, random: &mut Random) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    while Instant::now() < end {
        // The pool may be full of what is not yet mined, and that is as good.
        let amount = 1 + random.below(3);
        let _ =
            node.http().try_post("/api/v1/wallet/transfer", &json!({ "from": "alice", "to": "bob", "amount": amount }));
        if random.below(4) == 0
            && let Ok(answer) = node.http().try_post("/api/v1/mine", &json!({ "blocks": 2 }))
            && answer.status == 200
        {
            let blocks = answer.json()["blocks"].as_array().cloned().unwrap_or_default();
            told.extend(blocks.iter().filter_map(|block| block["hash"].as_str().map(str::to_owned)));
        }
    }
    told
}

fn assert_holds<'a>(node: &Node, promised: impl IntoIterator<Item = &'a String>) {
    for id in promised {
        let answer = node.get(&format!("/api/v1/blocks/{id}"));
        assert_eq!(answer.status, 200, "block {id} was announced before the crash and is gone: {}", answer.body);
    }
}

fn assert_verified(node: &Node) {
    let answer = node.ask_line("verify");
    assert!(answer.starts_with("the chain is valid"), "{answer}");
}

/// Kills a node while it starts, at a random moment.
fn kill_during_start(builder: &Builder, random: &mut Random) {
    let mut node = builder.spawn();
    std::thread::sleep(Duration::from_millis(random.below(120)));
    node.kill9();
}

#[test]
fn whatever_was_announced_survives_every_crash() {
    #[allow(clippy::print_stdout, reason = "whoever repeats a failure needs it")]
    {
        println!("seed {SEED:#x}");
    }
    let mut random = Random(SEED);
    let spec = ChainSpec { target_interval_ms: 4, ..easy_spec() };
    let witness = Node::builder().chain(&spec).start();
    let victim = Node::builder().chain(&spec).arg("--mine").arg("--mine-threads").arg("1");
    let mut promised = BTreeSet::new();
    let mut fresh = BTreeSet::new();
    for round in 0..ROUNDS {
        if round % DURING_START_EVERY == 0 {
            kill_during_start(&victim, &mut random);
        }
        let mut node = victim.start();
        // Before it meets the witness, which would give it back what it lost.
        assert_holds(&node, &fresh);
        promised.append(&mut fresh);
        if round % VERIFY_EVERY == 0 {
            assert_verified(&node);
        }
        let news_before = witness.stdout().len();
        node.type_line(&format!("connect {}", witness.address()));
        let end = Instant::now() + Duration::from_millis(random.below(LONGEST));
        fresh = work_until(&node, end, &mut random);
        node.kill9();
        fresh.extend(in_the_news(&node, 0));
        fresh.extend(in_the_news(&witness, news_before));
    }
    let node = victim.start();
    promised.append(&mut fresh);
    assert!(promised.len() > ROUNDS as usize, "it hardly mined: {}", promised.len());
    assert_holds(&node, &promised);
    node.ask("mine off");
    node.ask(&format!("connect {}", witness.address()));
    witness.wait_for_same_tip(&node);
    assert_verified(&node);
    assert_verified(&witness);
}
