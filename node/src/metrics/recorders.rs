//! What owners count as they work.

use std::time::Duration;

use bard_chain::{
    engine::{Outcome, Refused},
    invalid::{Blame, Invalid},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// A label whose values are few and fixed.
type Label<const N: usize> = [(&'static str, &'static str); N];

/// What accepting a block did.
const OUTCOMES: &[&str] = &["extended", "reorganised", "side_branch", "branch_refused"];
/// Why a block is not accepted.
const BLOCK_REASONS: &[&str] =
    &["known", "known_invalid", "unknown_parent", "time_too_new", "invalid", "state", "store", "no_room"];
/// Why a transaction is not admitted.
const POOL_REASONS: &[&str] =
    &["known", "full", "sender_full", "fee_too_low", "too_many_follow", "waiting_full", "invalid", "state", "store"];
/// Where the last part of a compact block may come from: the pool, an answer with what was missing, an answer with the whole
/// block; or it did not come.
const REBUILT: &[&str] = &["pool", "asked", "whole", "not"];
/// What may become of a gossiped message.
const VERDICTS: &[&str] = &["accept", "ignore", "reject", "dropped"];

/// Makes the series of a family with one label.
fn start(family: &Family<Label<1>, Counter>, label: &'static str, values: &[&'static str]) {
    for value in values {
        drop(family.get_or_create(&[(label, value)]));
    }
}

/// What the keeper counts. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Chain {
    blocks_accepted: Family<Label<1>, Counter>,
    blocks_refused: Family<Label<1>, Counter>,
    reorganisations: Counter,
    reorg_blocks: Histogram,
    /// Transactions that came into the pool.
    pub admitted: Counter,
    pool_refused: Family<Label<1>, Counter>,
    commits: Counter,
    commit_seconds: Histogram,
    /// Blocks that catching up brought.
    pub fetched: Counter,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            blocks_accepted: Family::default(),
            blocks_refused: Family::default(),
            reorganisations: Counter::default(),
            // 1 to 16,384 blocks, about the deepest that a chain of this software allows.
            reorg_blocks: Histogram::new(exponential_buckets(1.0, 2.0, 15)),
            admitted: Counter::default(),
            pool_refused: Family::default(),
            commits: Counter::default(),
            // 0.1 ms to 1.6 s.
            commit_seconds: Histogram::new(exponential_buckets(0.0001, 2.0, 15)),
            fetched: Counter::default(),
        }
    }
}

impl Chain {
    pub(super) fn register(&self, registry: &mut Registry) {
        let accepted = self.blocks_accepted.clone();
        registry.register("chain_blocks_accepted", "Blocks that were accepted, by what they did", accepted);
        let refused = self.blocks_refused.clone();
        registry.register("chain_blocks_refused", "Blocks that were not accepted, by reason", refused);
        let reorganisations = self.reorganisations.clone();
        registry.register("chain_reorgs", "Times that another branch became the chain", reorganisations);
        let depths = self.reorg_blocks.clone();
        registry.register("chain_reorg_blocks", "Blocks that left the chain for another branch, each time", depths);
        registry.register("pool_admitted", "Transactions that came into the pool", self.admitted.clone());
        let refused = self.pool_refused.clone();
        registry.register("pool_refused", "Transactions that were not admitted to the pool, by reason", refused);
        let commits = self.commits.clone();
        registry.register("store_commits", "Blocks that were made durable", commits);
        // Its unit is part of the name, as with what libp2p counts.
        let seconds = self.commit_seconds.clone();
        registry.register("store_commit_seconds", "Time to make a group of blocks durable", seconds);
        registry.register("sync_blocks_fetched", "Blocks that catching up brought", self.fetched.clone());
        // From 0, or the first of each would be no change to whoever looks at rates.
        start(&self.blocks_accepted, "outcome", OUTCOMES);
        start(&self.blocks_refused, "reason", BLOCK_REASONS);
        start(&self.pool_refused, "reason", POOL_REASONS);
    }

    /// Notes what came of a block.
    pub fn block(&self, outcome: Result<&Outcome, &Refused>) {
        match outcome {
            Ok(outcome) => {
                let label = match outcome {
                    Outcome::Extended => "extended",
                    Outcome::Reorganised => "reorganised",
                    Outcome::SideBranch => "side_branch",
                    Outcome::BranchRefused { .. } => "branch_refused",
                };
                self.blocks_accepted.get_or_create(&[("outcome", label)]).inc();
                if *outcome == Outcome::Reorganised {
                    self.reorganisations.inc();
                }
            }
            Err(refused) => {
                self.blocks_refused.get_or_create(&[("reason", block_reason(refused))]).inc();
            }
        }
    }

    /// Notes how many blocks left the chain for another branch.
    pub fn left(&self, blocks: u32) {
        self.reorg_blocks.observe(f64::from(blocks));
    }

    /// Notes that a transaction is not admitted, for one of the reasons of [`super::pool_reason`].
    pub fn not_admitted(&self, reason: &'static str) {
        self.pool_refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// Notes that so many blocks were made durable together.
    pub fn committed(&self, blocks: usize, took: Duration) {
        self.commits.inc_by(blocks as u64);
        self.commit_seconds.observe(took.as_secs_f64());
    }
}

fn block_reason(refused: &Refused) -> &'static str {
    match refused {
        Refused::AlreadyKnown => "known",
        Refused::Invalid(Invalid::KnownInvalid) => "known_invalid",
        Refused::Invalid(Invalid::UnknownParent { .. }) => "unknown_parent",
        Refused::Invalid(Invalid::TimeTooNew { .. }) => "time_too_new",
        Refused::Invalid(invalid) if invalid.blame() == Blame::Sender => "invalid",
        Refused::Invalid(_) => "state",
        Refused::Source(_) => "store",
        Refused::NoRoom(_) => "no_room",
    }
}

/// What the relay counts. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Relay {
    messages: Family<Label<2>, Counter>,
    block_age: Histogram,
    block_judging: Histogram,
    rebuilt: Family<Label<1>, Counter>,
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            messages: Family::default(),
            // 10 ms to 11 minutes: it depends on clocks, and on the miner's luck within one search.
            block_age: Histogram::new(exponential_buckets(0.01, 2.0, 17)),
            // 0.5 ms to 16 s.
            block_judging: Histogram::new(exponential_buckets(0.0005, 2.0, 16)),
            rebuilt: Family::default(),
        }
    }
}

impl Relay {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("relay_messages", "Gossiped messages judged, by kind and verdict", self.messages.clone());
        let age = self.block_age.clone();
        registry.register("relay_block_age_seconds", "From a gossiped block's own time until it was accepted", age);
        let judging = self.block_judging.clone();
        registry.register(
            "relay_block_judging_seconds",
            "From the arrival of a gossiped block until it was accepted",
            judging,
        );
        let rebuilt = self.rebuilt.clone();
        registry.register(
            "relay_blocks_rebuilt",
            "Compact blocks put together, by where their last part came from",
            rebuilt,
        );
        start(&self.rebuilt, "from", REBUILT);
        for kind in ["block", "transactions"] {
            for verdict in VERDICTS {
                drop(self.messages.get_or_create(&[("kind", kind), ("verdict", verdict)]));
            }
        }
    }

    /// Notes the verdict on a message.
    pub fn judged(&self, kind: &'static str, verdict: &'static str) {
        self.messages.get_or_create(&[("kind", kind), ("verdict", verdict)]).inc();
    }

    /// Notes where the last part of a compact block came from, as one of [`REBUILT`].
    pub fn rebuilt(&self, from: &'static str) {
        self.rebuilt.get_or_create(&[("from", from)]).inc();
    }

    /// Notes that a gossiped block was accepted: how old it was then by its own time, and how long after it came.
    pub fn spread(&self, age: Duration, judging: Duration) {
        self.block_age.observe(age.as_secs_f64());
        self.block_judging.observe(judging.as_secs_f64());
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

/// What the HTTP server counts. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Api {
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
}

impl Default for Api {
    fn default() -> Self {
        // 0.25 ms to 8 s.
        let seconds = || Histogram::new(exponential_buckets(0.00025, 2.0, 16));
        Self { requests: Family::default(), seconds: Family::new_with_constructor(seconds) }
    }
}

impl Api {
    pub(super) fn register(&self, registry: &mut Registry) {
        let requests = self.requests.clone();
        registry.register("http_requests", "HTTP requests answered, by method, route and status", requests);
        let seconds = self.seconds.clone();
        registry.register("http_request_seconds", "Time to the head of an answer, by route", seconds);
    }

    /// Notes an answer. `route` is the template of a route, never a path that a client chose: there is one series for each.
    pub fn answered(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        self.requests.get_or_create(&Request { method, route: route.to_owned(), status }).inc();
        self.seconds.get_or_create(&Route { route: route.to_owned() }).observe(took.as_secs_f64());
    }
}
