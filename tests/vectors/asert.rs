//! Runs of blocks through the difficulty rule: the published ones of aserti3-2d, and our own.

use bard_chain::{
    difficulty::{Anchor, Asert},
    target::CompactTarget,
    units::{Height, Timestamp},
};
use bard_tests::frozen::numbers::AsertCase;

/// How many units of time a second has: the runs are in seconds, our chains in milliseconds.
const UNITS: [u64; 2] = [1, 1_000];
/// Timestamps are never negative, those of the runs may be: all are moved by as much, which changes nothing.
const SHIFT: i64 = 1 << 40;

pub(crate) fn run(case: &AsertCase) -> Result<(), String> {
    if case.steps.is_empty() {
        return Err(format!("{}: no steps", case.run));
    }
    UNITS.iter().try_for_each(|unit| run_in(case, *unit))
}

fn run_in(case: &AsertCase, unit: u64) -> Result<(), String> {
    let time = |seconds: i64| Timestamp::new(u64::try_from(seconds + SHIFT).expect("not negative") * unit);
    let expand = |bits: &str| {
        let bits = u32::from_str_radix(bits, 16).expect("hex");
        CompactTarget::new(bits).expand().ok_or("not a target")
    };
    let asert = Asert {
        interval: case.interval * unit,
        half_life: case.half_life * unit,
        easiest: expand(&case.easiest_bits)?,
    };
    let anchor = Anchor {
        height: Height::new(case.anchor_height),
        parent_time: time(case.anchor_parent_time),
        target: expand(&case.anchor_bits)?,
    };
    for step in &case.steps {
        let parts: Vec<_> = step.split(' ').collect();
        let [height, at, bits] = parts.as_slice() else { return Err(format!("not a step: {step}")) };
        let height = Height::new(height.parse().expect("a height"));
        let found = asert.next_target(&anchor, height, time(at.parse().expect("a time"))).compact();
        if found.to_string().as_str() != *bits {
            return Err(format!("{}, {unit} to the second, {step}: found {found}", case.run));
        }
    }
    Ok(())
}
