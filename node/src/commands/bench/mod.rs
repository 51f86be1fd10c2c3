//! `bard bench`: what this machine can do, each figure beside a ceiling measured in the same run.
//!
//! Absolute figures differ between machines and from minute to minute; the ratios are what tells whether the software or the
//! machine is the limit.

mod api;
mod chain;
mod cluster;
mod hashing;
mod history;
mod load;
mod pool;
mod process;
mod relay;
mod signatures;
mod soak;
mod steady;
mod sync;
mod workload;

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

/// What to measure.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchOptions {
    #[command(subcommand)]
    trial: Option<Trial>,
    /// Which parts; all if left out
    #[arg(value_enum, value_name = "PART")]
    parts: Vec<Part>,
    /// Seconds for each hash rate and each signature rate
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Blocks to import and to sync
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    blocks: u32,
    /// Transfers in each of these blocks
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    transfers: u32,
    /// Blocks of the long chain of `history`
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    long_blocks: u32,
    /// Accounts of the large ledger of `history`, in thousands rounded down
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    long_accounts: u32,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// What takes long, with options of its own.
#[derive(Debug, Subcommand)]
enum Trial {
    /// Run many nodes under load for a long time, kill, stop, cut off and ban them, and see whether all of them agree, nothing
    /// is lost and nothing grows
    Soak(soak::SoakOptions),
    /// Send signed transactions at a steady rate to nodes of which another mines, and see whether all of them are mined, and how
    /// fast they get there
    Load(steady::LoadOptions),
}

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Proof-of-work search, one core and all
    Hashing,
    /// Signature checks, alone and in batches
    Signatures,
    /// Import of blocks with durable commits
    Import,
    /// Admission of signed transactions to the pool, from one producer
    Pool,
    /// Sync of blocks between two processes on loopback
    Sync,
    /// How fast blocks and transactions spread, between 2 nodes and among 50, and what that costs
    Relay,
    /// The HTTP API under load, reads and signed transactions
    Api,
    /// What a long chain and many accounts cost: a block, opening again, memory
    History,
}

/// One measured figure.
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    /// What it is compared with, and that figure in the same unit.
    beside: Option<(&'static str, f64)>,
}

/// How long things are measured, and how large they are.
struct Scale {
    time: Duration,
    blocks: u32,
    transfers: u32,
    long_blocks: u32,
    long_accounts: u32,
}

/// Measures and prints.
///
/// # Errors
/// One line.
pub fn run(options: &BenchOptions) -> Result<(), String> {
    match &options.trial {
        Some(Trial::Soak(options)) => return soak::run(options),
        Some(Trial::Load(options)) => return steady::run(options),
        None => {}
    }
    let scale = Scale {
        time: Duration::from_secs(options.seconds),
        blocks: options.blocks,
        transfers: options.transfers,
        long_blocks: options.long_blocks,
        long_accounts: options.long_accounts,
    };
    let wanted = |part| options.parts.is_empty() || options.parts.contains(&part);
    let mut figures = Vec::new();
    let mut add = |more: Vec<Figure>| {
        if !options.json {
            more.iter().for_each(|figure| print(&line(figure)));
        }
        figures.extend(more);
    };
    // First, for what others leave in memory would be counted.
    if wanted(Part::History) {
        add(history::measure(&scale)?);
    }
    if wanted(Part::Hashing) {
        add(hashing::measure(&scale));
    }
    if wanted(Part::Relay) {
        for nodes in relay::NETWORKS {
            add(relay::measure(nodes)?);
        }
    }
    let beside = |part: &Part| !matches!(part, Part::Hashing | Part::Relay | Part::History);
    if options.parts.is_empty() || options.parts.iter().any(beside) {
        let (signatures, ceiling) = signatures::measure(&scale);
        add(signatures);
        if wanted(Part::Import) {
            add(chain::measure(&scale, ceiling)?);
        }
        if wanted(Part::Pool) {
            add(pool::measure(ceiling)?);
        }
        if wanted(Part::Sync) {
            add(sync::measure(&scale, ceiling)?);
        }
        if wanted(Part::Api) {
            add(api::measure(&scale, ceiling)?);
        }
    }
    if options.json {
        print(&document(&figures).to_string());
    }
    Ok(())
}

fn document(figures: &[Figure]) -> serde_json::Value {
    let figure = |figure: &Figure| {
        json!({
            "name": figure.name,
            "value": figure.value,
            "unit": figure.unit,
            "beside": figure.beside.map(|(name, value)| json!({ "name": name, "value": value })),
        })
    };
    json!({ "figures": figures.iter().map(figure).collect::<Vec<_>>() })
}

#[allow(clippy::print_stdout, reason = "the figures are what the command is for")]
fn print(line: &str) {
    println!("{line}");
}

fn line(figure: &Figure) -> String {
    let beside = figure.beside.map_or_else(String::new, |(name, value)| {
        format!("   {:5.1} % of {} {name}", figure.value / value * 100.0, number(value))
    });
    format!("{:44} {:>12} {:8}{beside}", figure.name, number(figure.value), figure.unit)
}

/// A number with as many digits as it deserves.
fn number(value: f64) -> String {
    match value {
        v if v >= 1000.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// How often `work` can be done in `time`, a second; `work` says how much it did.
fn rate(time: Duration, mut work: impl FnMut() -> u64) -> f64 {
    work();
    let began = std::time::Instant::now();
    let mut done = 0_u64;
    while began.elapsed() < time {
        done += work();
    }
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let done = done as f64;
    done / began.elapsed().as_secs_f64()
}
