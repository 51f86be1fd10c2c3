//! Which target the next block must have: fixed, or by ASERT (aserti3-2d), the absolutely scheduled exponential rule.
//!
//! ASERT compares where the chain is with where it should be since an anchor: each half-life it is behind doubles the
//! target, each half-life ahead halves it. Reference: <https://reference.cash/protocol/forks/2020-11-15-asert>, whose
//! published vectors the tests check (`tests/vectors/data/aserti3-2d.json`). Times here are milliseconds; only their ratio
//! enters.
//!
//! The anchor is block 1, not the genesis block: a group may start its chain long after it wrote its specification.

use ruint::aliases::U256;

use crate::{
    target::Target,
    units::{Height, Timestamp},
};

/// Fixed-point one of the cubic approximation of 2^x.
const RADIX_BITS: u32 = 16;

/// What ASERT measures from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Height of the anchor block.
    pub height: Height,
    /// Time of the block before the anchor (or when it should have been).
    pub parent_time: Timestamp,
    /// The anchor's target.
    pub target: Target,
}

/// The parameters of ASERT, in the same unit of time as the timestamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asert {
    /// Intended time between two blocks.
    pub interval: u64,
    /// How far behind schedule doubles the target; not zero.
    pub half_life: u64,
    /// The easiest target.
    pub easiest: Target,
}

impl Asert {
    /// The target of the block after one with this height and time.
    pub fn next_target(&self, anchor: &Anchor, height: Height, time: Timestamp) -> Target {
        let elapsed = i128::from(time.get()).saturating_sub(anchor.parent_time.get().into());
        let blocks = i128::from(height.get()).saturating_sub(anchor.height.get().into()).saturating_add(1);
        // No checked specification and height come near 128 bits; beyond them the target is at its end anyway.
        let behind = elapsed.saturating_sub(i128::from(self.interval).saturating_mul(blocks));
        // Euclid's and truncating division differ for negative numbers: the reference truncates towards zero.
        let exponent = behind.saturating_mul(1 << RADIX_BITS).checked_div(self.half_life.into()).unwrap_or(0);
        scale(anchor.target, exponent).min(self.easiest)
    }
}

/// `target` times 2^(exponent / 65536), at least 1 and at most 2^256 - 1.
#[allow(
    clippy::arithmetic_side_effects,
    reason = "the fraction has 16 bits, so the factor's sum has 66 and the product with the target 273; `shifts` is an i128 \
              divided by 65,536; shifts stay within the 320 bits"
)]
fn scale(target: Target, exponent: i128) -> Target {
    let shifts = exponent >> RADIX_BITS;
    let fraction = u128::try_from(exponent & 0xffff).unwrap_or(0);
    // 2^x for 0 <= x < 1, in 1/65536ths, with an error below 0.013 %.
    let factor = 65_536
        + ((195_766_423_245_049_u128 * fraction
            + 971_821_376_u128 * fraction * fraction
            + 5_127_u128 * fraction * fraction * fraction
            + (1_u128 << 47))
            >> 48);
    let wide = ruint::Uint::<320, 5>::from(target.value()) * ruint::Uint::<320, 5>::from(factor);
    let shifts = shifts - i128::from(RADIX_BITS);
    let scaled = if shifts < 0 {
        let right = usize::try_from(-shifts).unwrap_or(usize::MAX).min(320);
        wide >> right
    } else {
        let left = usize::try_from(shifts).unwrap_or(usize::MAX);
        if left >= wide.leading_zeros() { ruint::Uint::<320, 5>::MAX } else { wide << left }
    };
    if scaled.bit_len() > 256 {
        return Target::new(U256::MAX).unwrap_or(Target::EASIEST);
    }
    Target::new(scaled.saturating_to()).unwrap_or(Target::HARDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASERT: Asert = Asert { interval: 1_000, half_life: 10_000, easiest: Target::EASIEST };

    fn anchor() -> Anchor {
        let target = Target::new(U256::from(1_u64) << 200).expect("not zero");
        Anchor { height: Height::new(1), parent_time: Timestamp::new(50_000), target }
    }

    #[test]
    fn on_schedule_the_target_stays() {
        for blocks in [0, 1, 10, 1_000_000] {
            let time = Timestamp::new(50_000 + 1_000 * (blocks + 1));
            let height = Height::new(1 + blocks);
            assert_eq!(ASERT.next_target(&anchor(), height, time), anchor().target);
        }
    }

    #[test]
    fn a_half_life_behind_doubles_and_ahead_halves() {
        let value = anchor().target.value();
        let behind = ASERT.next_target(&anchor(), Height::new(1), Timestamp::new(50_000 + 11_000));
        assert_eq!(behind.value(), value << 1);
        let ahead = ASERT.next_target(&anchor(), Height::new(11), Timestamp::new(51_000));
        assert_eq!(ahead.value(), value >> 1);
    }

    #[test]
    fn extremes_stay_in_range() {
        let late = ASERT.next_target(&anchor(), Height::new(1), Timestamp::new(u64::MAX));
        assert_eq!(late, Target::EASIEST);
        let early = ASERT.next_target(&anchor(), Height::MAX, Timestamp::ZERO);
        assert_eq!(early, Target::HARDEST);
    }
}
