//! `bard bench`.

use clap::Args;

/// What to measure.
#[derive(Args, Debug)]
pub struct BenchOptions {}

/// Measures.
///
/// # Errors
/// One line.
pub fn run(_options: &BenchOptions) -> Result<(), String> {
    Ok(())
}
