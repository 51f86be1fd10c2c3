//! What holds for every input, tried with many random ones.

mod addresses;
mod arrival;
mod encoding;
mod junk;
mod ledger;
mod model;
mod numbers;
mod pool;
mod side_blocks;
mod signatures;
mod strategies;
mod trees;

use proptest::test_runner::Config;

/// So many random cases, times `BARD_PROPERTY_FACTOR` for a long run. A failing input is printed whole and belongs into a
/// test of its own, so none is kept in a file.
fn cases(count: u32) -> Config {
    let factor = std::env::var("BARD_PROPERTY_FACTOR").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1);
    Config { cases: count.saturating_mul(factor), failure_persistence: None, ..Config::default() }
}
