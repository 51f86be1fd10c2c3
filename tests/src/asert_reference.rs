//! The difficulty rule a second time, written from the specification of aserti3-2d rather than from the chain's code.
//!
//! Source: <https://reference.cash/protocol/forks/2020-11-15-asert>, section "Algorithm". Every number is a 1,024-bit
//! integer here, so that nothing can overflow on the way and there is nothing to be careful about.

use ruint::aliases::{U256, U1024};

/// A schedule to compare with, in any unit of time.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Height of the anchor block.
    pub anchor_height: u64,
    /// Time of the block before the anchor.
    pub anchor_parent_time: i64,
    /// Target of the anchor block.
    pub anchor_target: U256,
    /// Intended time between two blocks.
    pub interval: u64,
    /// How far behind schedule doubles the target.
    pub half_life: u64,
    /// The easiest target.
    pub easiest: U256,
}

/// The target of the block after one with this height and time.
///
/// # Panics
/// For numbers far beyond those of any chain.
pub fn next_target(schedule: &Schedule, height: u64, time: i64) -> U256 {
    let time_delta = i128::from(time) - i128::from(schedule.anchor_parent_time);
    let height_delta = i128::from(height) - i128::from(schedule.anchor_height);
    let behind = time_delta - i128::from(schedule.interval) * (height_delta + 1);
    // In Rust as in C++, division truncates towards zero.
    let exponent = behind * 65_536 / i128::from(schedule.half_life);
    let whole = exponent.div_euclid(65_536);
    let fraction = U1024::from(exponent.rem_euclid(65_536).unsigned_abs());

    let cubic: U1024 = U1024::from(195_766_423_245_049_u64) * fraction
        + U1024::from(971_821_376_u64) * fraction.pow(U1024::from(2))
        + U1024::from(5_127_u64) * fraction.pow(U1024::from(3))
        + (U1024::ONE << 47);
    let factor: U1024 = (cubic >> 48) + U1024::from(65_536);
    let anchor: U1024 = schedule.anchor_target.to();
    let product: U1024 = anchor * factor;
    let easiest: U1024 = schedule.easiest.to();
    let scaled = match usize::try_from(whole.unsigned_abs()) {
        Ok(bits) if whole < 0 => product.wrapping_shr(bits.min(1_023)) >> 16,
        Ok(bits) if bits < 512 => (product << bits) >> 16,
        _ => easiest,
    };
    scaled.clamp(U1024::ONE, easiest).to()
}
