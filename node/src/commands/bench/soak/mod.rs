//! `bard bench soak`: many nodes for a long time, under load, while they are killed, stopped, cut off and banned; and at the
//! end the question whether all of them agree, nothing acknowledged was lost, and none of them grew.
//!
//! | module | what it is |
//! |---|---|
//! | `fleet` | the nodes, and what is done to them |
//! | `payers` | who pays, where, and what was acknowledged |
//! | `verdict` | growth over time, logs, and what the run came to |

mod fleet;
mod payers;
mod verdict;

use std::time::{Duration, Instant};

use clap::Args;

use self::{fleet::Fleet, payers::Payers};
use super::{chain::temporary, print, process::within, workload};

/// How often the run looks at what is due.
const TICK: Duration = Duration::from_millis(200);
/// How often a block is mined somewhere.
const MINED_EVERY: Duration = Duration::from_secs(2);
/// How often memory and descriptors are looked at.
const SAMPLED_EVERY: Duration = Duration::from_secs(5);
/// How often something happens to each node on average.
const DISTURBED_EVERY: Duration = Duration::from_secs(90);
/// How soon the next thing happens to some node, at the soonest and at the latest.
const SOONEST: Duration = Duration::from_secs(3);
const LATEST: Duration = Duration::from_secs(10);
/// Of so many blocks one has a rival at the same height, of another node.
const RIVALS: u64 = 5;
/// How long all may take to agree once nothing happens to them any more.
const AGREEMENT: Duration = Duration::from_secs(300);
/// How often a block is mined while they come together.
const LAST_BLOCKS: Duration = Duration::from_secs(1);
/// Payers for each node.
const PAYERS: usize = 10;

/// How many nodes, how long, and what happens.
#[derive(Args, Debug)]
pub(super) struct SoakOptions {
    /// Nodes
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u8).range(2..=64))]
    nodes: u8,
    /// How long, in minutes; half a minute is 0.5
    #[arg(long, value_name = "N", default_value_t = 30.0, value_parser = minutes)]
    minutes: f64,
    /// Transactions a second, to all nodes together
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
    /// Decides what happens when to which node; the same number, the same plan
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON document instead of lines
    #[arg(long)]
    json: bool,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=10_000.0).contains(&minutes) { Ok(minutes) } else { Err("from 0.1 to 10000".to_owned()) }
}

/// Numbers that look like chance and are the same for the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }

    /// One of some.
    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let at = self.below(u64::try_from(all.len()).unwrap_or(u64::MAX));
        usize::try_from(at).ok().and_then(|at| all.get(at)).copied()
    }

    /// A time between two.
    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
        least.saturating_add(Duration::from_millis(self.below(span.saturating_add(1))))
    }
}

/// What is due when.
struct Clock {
    next: Instant,
    every: Duration,
}

impl Clock {
    fn new(every: Duration) -> Self {
        Self { next: Instant::now() + every, every }
    }

    fn rings(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + self.every;
        }
        due
    }
}

/// Runs, and tells what it came to.
///
/// # Errors
/// One line: what did not hold, and where what the nodes kept is.
pub(super) fn run(options: &SoakOptions) -> Result<(), String> {
    let kept = temporary()?;
    let result = soak(options, kept.path());
    // What went wrong is looked for in what the nodes kept.
    result.map_err(|why| format!("{why}; what the nodes kept is in {}", kept.keep().display()))
}

fn soak(options: &SoakOptions, dir: &std::path::Path) -> Result<(), String> {
    let payers = usize::from(options.nodes).saturating_mul(PAYERS);
    let spec = workload::funded(u32::try_from(payers).unwrap_or(u32::MAX));
    let file = dir.join("spec.toml");
    std::fs::write(&file, spec.to_toml()).map_err(|error| error.to_string())?;
    let mut chance = Chance(options.seed);
    let mut fleet = Fleet::start(dir, &file, usize::from(options.nodes))?;
    let mut payers = Payers::new(spec.chain_id(), payers, usize::from(options.nodes));
    churn(options, &mut fleet, &mut payers, &mut chance);
    fleet.heal();
    settle(&mut fleet)?;
    let lost = payers.lost(&fleet)?;
    let verdict = verdict::judge(&fleet, &payers, &lost);
    verdict.show(options.json);
    verdict.result()
}

/// Load and disturbances, for as long as was asked for.
fn churn(options: &SoakOptions, fleet: &mut Fleet, payers: &mut Payers, chance: &mut Chance) {
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(options.minutes * 60.0);
    let disturbed = (DISTURBED_EVERY / u32::from(options.nodes)).clamp(SOONEST, LATEST);
    let (mut mine, mut sample) = (Clock::new(MINED_EVERY), Clock::new(SAMPLED_EVERY));
    let mut disturb = Clock::new(disturbed);
    let mut told = Clock::new(Duration::from_secs(60));
    let mut sent = 0;
    while Instant::now() < end {
        let now = Instant::now();
        fleet.restore(now);
        if mine.rings(now) {
            let at_once = if chance.below(RIVALS) == 0 { 2 } else { 1 };
            fleet.mine(chance, at_once);
        }
        // As many as are due by now, a fifth of a second's at most: what a busy machine could not take is not made up for.
        let due = (began.elapsed().as_secs_f64() * f64::from(options.rate)).floor();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
        let due = due as u64;
        let most = u64::from(options.rate).div_ceil(5);
        payers.pay(fleet, chance, due.saturating_sub(sent).min(most));
        sent = due;
        if disturb.rings(now) {
            fleet.disturb(chance, now);
        }
        if sample.rings(now) {
            fleet.sample(began.elapsed());
        }
        if !options.json && told.rings(now) {
            print(&format!("{:4} s  {}", began.elapsed().as_secs(), fleet.summary()));
        }
        std::thread::sleep(TICK.saturating_sub(now.elapsed()));
    }
}

/// Waits until all nodes have the same block, the same state and nothing left to mine.
fn settle(fleet: &mut Fleet) -> Result<(), String> {
    let mut mine = Clock::new(LAST_BLOCKS);
    let agreed = within(AGREEMENT, "all nodes agree", || {
        if fleet.agree() {
            return Some(());
        }
        if mine.rings(Instant::now()) {
            fleet.mine_what_waits();
        }
        std::thread::sleep(TICK);
        None
    });
    agreed.map_err(|why| format!("{why}: {}", fleet.standings()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_the_same_for_the_same_seed_and_stays_in_its_bounds() {
        let numbers = |seed| {
            let mut chance = Chance(seed);
            (0..1_000).map(|_| chance.below(10)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        assert!((0..10).all(|number| numbers(1).contains(&number)), "every one of them comes");
        let (least, most) = (Duration::from_secs(1), Duration::from_secs(3));
        let mut chance = Chance(1);
        assert!((0..1_000).all(|_| (least..=most).contains(&chance.between(least, most))));
    }
}
