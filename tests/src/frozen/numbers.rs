//! Compact targets, work, subsidies, and the difficulty rule.

use bard_chain::{
    spec::Subsidy,
    target::{CompactTarget, Target},
    units::Height,
};
use ruint::aliases::U256;
use serde::{Deserialize, Serialize};

use crate::asert_reference::{Schedule, next_target};

/// A compact target, what it stands for in hex (none where it is not one), and its work in decimal.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "a compact target, its value and its work")]
pub struct TargetCase {
    pub bits: String,
    pub value: Option<String>,
    pub work: Option<String>,
}

impl TargetCase {
    /// Freezes a compact target.
    pub fn of(bits: u32) -> Self {
        let compact = CompactTarget::new(bits);
        let target = compact.expand();
        Self {
            bits: compact.to_string(),
            value: target.map(|target| hex::encode(target.to_be_bytes())),
            work: target.map(|target| target.work().to_string()),
        }
    }

    /// The targets that are frozen; the second half of them are not targets.
    pub fn all() -> Vec<Self> {
        let good = [
            0x207f_ffff,
            0x2000_ffff,
            0x1f00_ffff,
            0x1d00_ffff,
            0x1c05_a3f4,
            0x1b04_04cb,
            0x1705_ae3a,
            0x0412_3456,
            0x0312_3456,
            0x0300_8000,
            0x0212_3400,
            0x0200_8000,
            0x0112_0000,
            0x0101_0000,
        ];
        let bad = [
            0,
            0x0001_2345,
            0x0100_3456,
            0x0180_0000,
            0x0200_1234,
            0x0300_0000,
            0x0380_0000,
            0x0400_0012,
            0x0492_3456,
            0x1d80_ffff,
            0x1e00_00ff,
            0x2080_0000,
            0x2100_ffff,
            0x2300_0001,
            u32::MAX,
        ];
        good.into_iter().chain(bad).map(Self::of).collect()
    }
}

/// A subsidy and what it pays at some heights.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the subsidy of a specification, and pairs of height and amount")]
pub struct SubsidyCase {
    pub subsidy: Subsidy,
    pub paid: Vec<(u64, u64)>,
}

impl SubsidyCase {
    /// Freezes what a subsidy pays at these heights.
    pub fn of(subsidy: Subsidy, heights: impl IntoIterator<Item = u64>) -> Self {
        let paid = heights.into_iter().map(|height| (height, subsidy.at(Height::new(height)).get())).collect();
        Self { subsidy, paid }
    }

    /// The subsidies that are frozen.
    pub fn all() -> Vec<Self> {
        let of = |amount, halving_interval, last_height, heights: &[u64]| {
            Self::of(Subsidy { amount, halving_interval, last_height }, heights.iter().copied())
        };
        vec![
            of(10, 0, 100_000_000_000, &[0, 1, 2, 1_000_000, 100_000_000_000, 100_000_000_001, u64::MAX]),
            of(50, 210_000, 6_930_000, &[0, 1, 210_000, 210_001, 420_000, 420_001, 1_260_000, 1_260_001, 6_930_000]),
            of(u64::MAX, 1, u64::MAX, &[1, 2, 63, 64, 65, 66, u64::MAX]),
            of(0, 1, 10, &[0, 1, 10]),
        ]
    }
}

/// A schedule, in seconds, and for each step, separated by spaces, height and time of a block and the compact target of the
/// block after it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the parameters of a run and its steps")]
pub struct AsertCase {
    pub run: String,
    pub anchor_height: u64,
    pub anchor_parent_time: i64,
    pub anchor_bits: String,
    pub easiest_bits: String,
    pub interval: u64,
    pub half_life: u64,
    pub steps: Vec<String>,
}

fn expand(bits: u32) -> U256 {
    CompactTarget::new(bits).expand().expect("a target").value()
}

impl AsertCase {
    /// Freezes what the reference gives for these blocks.
    fn of(run: &str, anchor: (u64, i64, u32), blocks: impl IntoIterator<Item = (u64, i64)>) -> Self {
        const EASIEST: u32 = 0x1d00_ffff;
        let (anchor_height, anchor_parent_time, bits) = anchor;
        let (interval, half_life) = (600, 2 * 24 * 3600);
        let (anchor_target, easiest) = (expand(bits), expand(EASIEST));
        let schedule = Schedule { anchor_height, anchor_parent_time, anchor_target, interval, half_life, easiest };
        let step = |(height, time)| {
            let target = Target::new(next_target(&schedule, height, time)).expect("at least one");
            format!("{height} {time} {}", target.compact())
        };
        Self {
            run: run.to_owned(),
            anchor_height,
            anchor_parent_time,
            anchor_bits: format!("{bits:08x}"),
            easiest_bits: format!("{EASIEST:08x}"),
            interval,
            half_life,
            steps: blocks.into_iter().map(step).collect(),
        }
    }

    /// The runs that are frozen, by our own reference. Those that are regular have the parameters of the published ones, which
    /// are in a file of their own; the random ones draw their times from a generator of ours.
    pub fn all() -> Vec<Self> {
        const HALF_LIFE: i64 = 2 * 24 * 3600;
        let steady = |start: (u64, i64), every: i64, count: i64| {
            (0..count).map(move |i| (start.0 + i.unsigned_abs(), start.1 + every * i))
        };
        let mut state = 1_u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(state >> 40).expect("24 bits") % 1_200
        };
        let mut walk = |least: i64, slower: i64, count: u64| {
            let mut time = 1_200;
            let mut walk = Vec::new();
            for i in 0..count {
                walk.push((2 + i, time));
                time = (time + least + random() + slower * i64::try_from(i).expect("small")).max(0);
            }
            walk
        };
        let recent = 0x1802_aee8;
        vec![
            Self::of("steady at the easiest target", (1, 0, 0x1d00_ffff), steady((2, 1_200), 600, 10)),
            Self::of("steady at another target", (1, 0, 0x1a2b_3c4d), steady((2, 1_200), 600, 10)),
            Self::of("steady at the hardest target", (1, 0, 0x0101_0000), steady((2, 1_200), 600, 10)),
            Self::of(
                "each block a half-life late",
                (1, 0, 0x0101_0000),
                steady((2, 1_200 + HALF_LIFE), 600 + HALF_LIFE, 225),
            ),
            Self::of("288 heights a block, no time", (1, 0, 0x1d00_ffff), (0..225).map(|i| (2 + 288 * i, 0))),
            Self::of("random times, steady", (1, 0, recent), walk(0, 0, 200)),
            Self::of("random times, ever faster", (1, 0, recent), walk(300, -3, 200)),
            Self::of("random times, ever slower", (1, 0, recent), walk(0, 10, 200)),
            Self::of(
                "across 31 bits of height",
                (2_147_483_642, 1_234_567_290, recent),
                steady((2_147_483_643, 1_234_568_190), 300, 10),
            ),
            Self::of(
                "across 63 bits of height and 31 of time",
                (9_223_372_036_854_775_802, 2_147_483_047, recent),
                steady((9_223_372_036_854_775_803, 2_147_484_547), 900, 10),
            ),
            Self::of("random times, backwards too", (1, 0, recent), walk(-500, 0, 200)),
            Self::of("each block a second before the last", (1, 10_000, recent), steady((2, 11_200), -1, 1_000)),
        ]
    }
}
