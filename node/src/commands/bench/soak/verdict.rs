//! Growth over time, logs, and what the run came to.

use std::fs;

use bard_chain::hash::TransactionId;
use serde_json::{Value, json};

use super::{
    super::{print, process::LOG},
    fleet::{Deeds, Fleet, Member, Sample},
    payers::Payers,
};

/// The part of the run in which nodes warm up: caches fill, peers are found.
const WARM_UP: f64 = 0.25;
/// Samples without which nothing is said about growth.
const LEAST_SAMPLES: usize = 4;
/// What may come to memory from the end of the warm-up to the end of the run, by the line that fits best: a part of what was
/// there, for a chain that grows, and some room for chance, in bytes.
const MEMORY_SHARE: f64 = 0.2;
const MEMORY_ROOM: f64 = 12.0 * 1024.0 * 1024.0;
/// The same of descriptors: connections come and go.
const DESCRIPTORS_SHARE: f64 = 0.2;
const DESCRIPTORS_ROOM: f64 = 12.0;
/// Troubles and lines of logs that are shown.
const SHOWN: usize = 10;

/// What came of one quantity of one node.
struct Growth {
    /// At the end of the warm-up, by the line.
    from: f64,
    /// At the end, by the line.
    to: f64,
    is_flat: bool,
}

/// What the run came to.
pub(super) struct Verdict {
    deeds: Deeds,
    acknowledged: usize,
    refused: u64,
    unanswered: u64,
    /// Name, growth of memory, growth of descriptors; of the nodes that ran through.
    growth: Vec<(String, Growth, Growth)>,
    /// What did not hold, a line each.
    faults: Vec<String>,
}

/// Judges a run whose nodes agree.
pub(super) fn judge(fleet: &Fleet, payers: &Payers, lost: &[TransactionId]) -> Verdict {
    let mut faults = fleet.troubles.clone();
    faults.extend(lost.iter().map(|id| format!("transaction {id} was acknowledged and is lost")));
    let mut growth = Vec::new();
    for member in &fleet.members {
        faults.extend(complaints(member));
        if let Some((memory, descriptors)) = grown(&member.samples).filter(|_| member.is_steady) {
            let name = &member.name;
            if !memory.is_flat {
                faults.push(format!("{name} grew from {:.1} to {:.1} MB", memory.from / 1e6, memory.to / 1e6));
            }
            if !descriptors.is_flat {
                let (from, to) = (descriptors.from, descriptors.to);
                faults.push(format!("{name} went from {from:.0} to {to:.0} descriptors"));
            }
            growth.push((name.clone(), memory, descriptors));
        }
    }
    Verdict {
        deeds: fleet.deeds,
        acknowledged: payers.acknowledged.len(),
        refused: payers.refused,
        unanswered: payers.unanswered,
        growth,
        faults,
    }
}

/// Lines of a node's log that nothing in such a run should cause.
fn complaints(member: &Member) -> Vec<String> {
    let log = fs::read_to_string(member.dir.join(LOG)).unwrap_or_default();
    let odd = log.lines().filter(|line| line.contains(" ERROR ") || line.contains("panicked"));
    odd.map(|line| format!("{}: {line}", member.name)).collect()
}

/// Memory and descriptors after the warm-up.
fn grown(samples: &[Sample]) -> Option<(Growth, Growth)> {
    let end = samples.last()?.at.as_secs_f64();
    let warm: Vec<&Sample> = samples.iter().filter(|sample| sample.at.as_secs_f64() >= end * WARM_UP).collect();
    if warm.len() < LEAST_SAMPLES {
        return None;
    }
    let of = |value: fn(&Sample) -> f64, share: f64, room: f64| {
        let points: Vec<(f64, f64)> = warm.iter().map(|one| (one.at.as_secs_f64(), value(one))).collect();
        let (from, to) = ends_of_line(&points);
        Growth { from, to, is_flat: to - from <= from.mul_add(share, room) }
    };
    let memory = of(|one| one.memory, MEMORY_SHARE, MEMORY_ROOM);
    Some((memory, of(|one| one.descriptors, DESCRIPTORS_SHARE, DESCRIPTORS_ROOM)))
}

/// Where the line through some points, by least squares, is at the first and at the last of them.
fn ends_of_line(points: &[(f64, f64)]) -> (f64, f64) {
    let count = f64::from(u32::try_from(points.len()).unwrap_or(u32::MAX)).max(1.0);
    let mean = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / count;
    let (middle, level) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|(at, _)| (at - middle).powi(2)).sum();
    let together: f64 = points.iter().map(|(at, value)| (at - middle) * (value - level)).sum();
    let slope = if spread > 0.0 { together / spread } else { 0.0 };
    let on_line = |point: Option<&(f64, f64)>| point.map_or(level, |(at, _)| slope.mul_add(at - middle, level));
    (on_line(points.first()), on_line(points.last()))
}

impl Verdict {
    /// Prints it.
    pub(super) fn show(&self, as_json: bool) {
        if as_json {
            return print(&self.document().to_string());
        }
        let Deeds { kills, stops, cuts, bans, blocks } = self.deeds;
        print(&format!("{blocks} blocks, {kills} kills, {stops} stops, {cuts} cuts, {bans} bans"));
        let Self { acknowledged, refused, unanswered, .. } = self;
        print(&format!("{acknowledged} payments acknowledged, {refused} refused, {unanswered} without an answer"));
        for (name, memory, descriptors) in &self.growth {
            let (from, to) = (memory.from / 1e6, memory.to / 1e6);
            let (few, many) = (descriptors.from, descriptors.to);
            print(&format!("{name:8} memory {from:6.1} -> {to:6.1} MB   descriptors {few:4.0} -> {many:4.0}"));
        }
        for fault in self.faults.iter().take(SHOWN) {
            print(&format!("fault: {fault}"));
        }
    }

    fn document(&self) -> Value {
        let Deeds { kills, stops, cuts, bans, blocks } = self.deeds;
        let growth = |(name, memory, descriptors): &(String, Growth, Growth)| {
            json!({
                "node": name,
                "memory_bytes": { "from": memory.from, "to": memory.to },
                "descriptors": { "from": descriptors.from, "to": descriptors.to },
            })
        };
        json!({
            "blocks": blocks, "kills": kills, "stops": stops, "cuts": cuts, "bans": bans,
            "acknowledged": self.acknowledged, "refused": self.refused, "unanswered": self.unanswered,
            "growth": self.growth.iter().map(growth).collect::<Vec<_>>(),
            "faults": self.faults,
        })
    }

    /// Whether all held.
    ///
    /// # Errors
    /// What did not: the first of it.
    pub(super) fn result(&self) -> Result<(), String> {
        match self.faults.as_slice() {
            [] => Ok(()),
            [only] => Err(only.clone()),
            [first, rest @ ..] => Err(format!("{first}; and {} more", rest.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn samples(memory: impl Fn(f64) -> f64) -> Vec<Sample> {
        let sample = |at: u32| Sample {
            at: Duration::from_secs(u64::from(at) * 5),
            memory: memory(f64::from(at) * 5.0),
            descriptors: 20.0,
        };
        (0..100).map(sample).collect()
    }

    #[test]
    fn the_line_is_that_of_least_squares() {
        let (from, to) = ends_of_line(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]);
        assert!((from - 1.0).abs() < 1e-9 && (to - 5.0).abs() < 1e-9);
        let (from, to) = ends_of_line(&[(0.0, 0.0), (1.0, 3.0), (2.0, 0.0)]);
        assert!((from - 1.0).abs() < 1e-9 && (to - 1.0).abs() < 1e-9, "what goes up and down again is flat");
        assert_eq!(ends_of_line(&[(1.0, 7.0)]), (7.0, 7.0));
    }

    #[test]
    fn a_leak_is_seen_and_a_warm_up_is_not_taken_for_one() {
        let mebi = 1024.0 * 1024.0;
        let flat = |memory: &dyn Fn(f64) -> f64| grown(&samples(memory)).expect("enough samples").0.is_flat;
        assert!(flat(&|_| 40.0 * mebi));
        assert!(flat(&|at| if at < 100.0 { at * mebi } else { 100.0 * mebi }), "it grew while it warmed up");
        assert!(flat(&|at| (40.0 + 5.0 * (at / 7.0).sin()) * mebi), "up and down");
        assert!(!flat(&|at| (40.0 + at / 10.0) * mebi), "six MiB a minute");
        assert!(grown(&samples(|_| 1.0).split_off(97)).is_none(), "too few to tell");
    }
}
