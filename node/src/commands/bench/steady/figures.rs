//! What a steady load came to.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use bard_chain::hash::TransactionId;

use super::{
    super::{Figure, document, line, print, process::Node},
    Run,
};

/// The figures of a run.
pub(super) struct Measured {
    /// Transactions a second that were taken.
    pub(super) taken: f64,
    figures: Vec<Figure>,
}

impl Measured {
    /// Counts.
    ///
    /// # Errors
    /// Where a node does not tell its metrics.
    pub(super) fn of(run: &Run, nodes: &[Node]) -> Result<Self, String> {
        let count: usize = run.sent.iter().map(|sent| sent.taken).sum();
        let taken = number(count) / run.sending.as_secs_f64();
        let mut figures = vec![figure("transactions taken".to_owned(), taken, "/s")];
        let began = run.sent.iter().map(|sent| sent.at).min();
        let last = run.blocks.iter().filter(|block| !block.ids.is_empty()).map(|block| block.at).max();
        if let Some(time) = last.zip(began).map(|(last, began)| last.saturating_duration_since(began)) {
            let mined: usize = run.blocks.iter().map(|block| block.ids.len()).sum();
            figures.push(figure(
                "transactions mined, to the last block".to_owned(),
                number(mined) / time.as_secs_f64(),
                "/s",
            ));
        }
        figures.extend(times("to the pool of another node", run.spread.clone()));
        figures.extend(times("to a block on another node", until_mined(run)));
        let full: Vec<_> = run.blocks.iter().filter(|block| !block.ids.is_empty()).collect();
        let mean = |total: usize| number(total) / number(full.len().max(1));
        figures.push(figure("blocks with transactions".to_owned(), number(full.len()), ""));
        let (count, bytes) = (full.iter().map(|block| block.ids.len()).sum(), full.iter().map(|one| one.length).sum());
        figures.push(figure("  transactions in one, on average".to_owned(), mean(count), ""));
        figures.push(figure("  bytes of one, on average".to_owned(), mean(bytes), "bytes"));
        figures.extend(costs(run));
        figures.extend(rebuilt(nodes)?);
        Ok(Self { taken, figures })
    }
}

/// Prints it.
pub(super) fn show(measured: &Measured, as_json: bool) {
    if as_json {
        return print(&document(&measured.figures).to_string());
    }
    measured.figures.iter().for_each(|figure| print(&line(figure)));
}

fn figure(name: String, value: f64, unit: &'static str) -> Figure {
    Figure { name, value, unit, beside: None }
}

#[allow(clippy::cast_precision_loss, reason = "a figure for people")]
fn number(count: usize) -> f64 {
    count as f64
}

/// The middle one and the one that 99 of 100 do not exceed.
fn times(what: &str, mut all: Vec<Duration>) -> Vec<Figure> {
    all.sort_unstable();
    let at = |share: usize| all.get(all.len().saturating_mul(share) / 100).copied().unwrap_or_default();
    let of = |name: &str, share: usize| figure(format!("{name} {what}"), at(share).as_secs_f64() * 1e3, "ms");
    if all.is_empty() { Vec::new() } else { vec![of("median time", 50), of("99 of 100", 99)] }
}

fn until_mined(run: &Run) -> Vec<Duration> {
    let sent: HashMap<TransactionId, Instant> =
        run.sent.iter().flat_map(|sent| sent.ids.iter().map(|id| (*id, sent.at))).collect();
    let waited = |(block, id): (Instant, &TransactionId)| sent.get(id).map(|at| block.saturating_duration_since(*at));
    run.blocks.iter().flat_map(|block| block.ids.iter().map(|id| (block.at, id))).filter_map(waited).collect()
}

fn costs(run: &Run) -> Vec<Figure> {
    let both = run.before.iter().zip(&run.after).enumerate();
    let mut figures = Vec::new();
    for (node, (before, after)) in both {
        let (Some(before), Some(after)) = (before, after) else { continue };
        let spent = after.processor.saturating_sub(before.processor).as_secs_f64() / run.sending.as_secs_f64();
        let role = if node == 0 { " (mines)" } else { "" };
        figures.push(figure(format!("processor of node {}{role}", node + 1), spent * 100.0, "% core"));
        figures.push(figure(format!("memory of node {}{role}", node + 1), after.memory / 1e6, "MB"));
    }
    figures
}

/// Of the compact blocks that came to those who do not mine: where their transactions came from.
fn rebuilt(nodes: &[Node]) -> Result<Vec<Figure>, String> {
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for node in nodes.iter().skip(1) {
        let text = node.text("metrics")?;
        for line in text.lines().filter_map(|line| line.strip_prefix("bard_relay_blocks_rebuilt_total{from=\"")) {
            let Some((from, count)) = line.split_once("\"} ") else { continue };
            *counts.entry(from.to_owned()).or_default() += count.trim().parse::<f64>().unwrap_or_default();
        }
    }
    let total: f64 = counts.values().sum();
    let share = |(from, count): (String, f64)| {
        let what = match from.as_str() {
            "pool" => "compact blocks whole from the pool",
            "asked" => "  with some transactions asked for",
            "whole" => "  asked for whole",
            _ => "  not put together",
        };
        figure(what.to_owned(), count / total.max(1.0) * 100.0, "%")
    };
    let mut all: Vec<_> = counts.into_iter().collect();
    let place = |from: &str| ["pool", "asked", "whole"].iter().position(|known| *known == from).unwrap_or(usize::MAX);
    all.sort_by_key(|(from, _)| place(from));
    Ok(all.into_iter().map(share).collect())
}
