//! Targets: the largest number a block id may be. The smaller the target, the more work.

use core::fmt;

use ruint::aliases::U256;
use serde::{Deserialize, Serialize};

use crate::units::Work;

/// A target, unpacked to 256 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target(U256);

/// A target as a header holds it: 8 bits of length in bytes, 23 bits of leading digits (Bitcoin's `nBits`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CompactTarget(u32);

impl CompactTarget {
    /// From the 32 bits of a header.
    pub const fn new(bits: u32) -> Self {
        Self(bits)
    }

    /// The 32 bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Unpacked; `None` for zero, for a negative or too large number, and for any spelling but the shortest.
    pub fn expand(self) -> Option<Target> {
        let length = self.0 >> 24;
        let digits = U256::from(self.0 & 0x00ff_ffff);
        let bits = |bytes: u32| usize::try_from(bytes.saturating_mul(8)).ok();
        let value = match length.checked_sub(3) {
            Some(up) if length <= 32 => digits.checked_shl(bits(up)?)?,
            Some(_) => return None,
            None => digits.wrapping_shr(bits(3_u32.saturating_sub(length))?),
        };
        let target = Target::new(value)?;
        (target.compact() == self).then_some(target)
    }
}

impl fmt::Display for CompactTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl Target {
    /// The easiest target that a specification may allow: an average of two hashes a block.
    pub const EASIEST: Self = Self(U256::from_limbs([0, 0, 0, 0x7fff_ff00_0000_0000]));
    /// The hardest target, met by one hash in 2^256.
    pub const HARDEST: Self = Self(U256::from_limbs([1, 0, 0, 0]));

    /// From a number; `None` for zero, which no id could meet.
    pub fn new(value: U256) -> Option<Self> {
        (!value.is_zero()).then_some(Self(value))
    }

    /// The target that takes so many hashes on average; at least two.
    pub fn of_hashes(hashes: u64) -> Self {
        let hashes = U256::from(hashes.max(2));
        // (2^256 - hashes) / hashes is 2^256 / hashes - 1 without the 257th bit.
        let value = (!hashes).saturating_add(U256::ONE).checked_div(hashes).unwrap_or(U256::ONE);
        Self(value).min(Self::EASIEST)
    }

    /// The number.
    pub const fn value(self) -> U256 {
        self.0
    }

    /// As 32 bytes, most significant first, to compare an id with.
    pub fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// Packed; digits beyond the leading 23 bits are dropped, so the result is never easier.
    #[allow(
        clippy::arithmetic_side_effects,
        reason = "bits is at most 256, so length is 1 to 33 and no shift leaves its type"
    )]
    pub fn compact(self) -> CompactTarget {
        let bits = self.0.bit_len();
        // One more bit than the number has: the top bit of the digits is a sign and stays 0.
        let length = bits / 8 + 1;
        let digits: u64 = if length <= 3 {
            self.0.saturating_to::<u64>() << (8 * (3 - length))
        } else {
            (self.0 >> (8 * (length - 3))).saturating_to()
        };
        CompactTarget(u32::try_from(((length as u64) << 24) | digits).unwrap_or(u32::MAX))
    }

    /// Expected number of hashes to meet it: 2^256 / (target + 1).
    pub fn work(self) -> Work {
        // (2^256 - 1 - t) / (t + 1) + 1 is the same quotient without the 257th bit; t + 1 overflows only for t = 2^256 - 1.
        let quotient = match self.0.checked_add(U256::ONE) {
            Some(divisor) => (!self.0).checked_div(divisor).unwrap_or(U256::ZERO),
            None => U256::ZERO,
        };
        Work::new(quotient.saturating_add(U256::ONE))
    }

    /// Whether an id, read as a number, meets the target.
    pub fn is_met_by(self, id: &[u8; 32]) -> bool {
        U256::from_be_bytes(*id) <= self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitcoin_targets_unpack_as_there() {
        let genesis = CompactTarget::new(0x1d00_ffff).expand().expect("valid");
        assert_eq!(genesis.value(), U256::from(0xffff) << 208);
        assert_eq!(genesis.work().to_string(), "4295032833");
        assert_eq!(genesis.compact().bits(), 0x1d00_ffff);
        assert_eq!(CompactTarget::new(0x207f_ffff).expand(), Some(Target::EASIEST));
    }

    #[test]
    fn so_many_hashes_make_their_target() {
        assert_eq!(Target::of_hashes(0), Target::EASIEST);
        assert_eq!(Target::of_hashes(2), Target::EASIEST);
        assert_eq!(Target::of_hashes(65_536).compact(), CompactTarget::new(0x1f00_ffff));
        for hashes in [3, 1_000, 1 << 22, u64::MAX] {
            assert_eq!(Target::of_hashes(hashes).work().to_string(), hashes.to_string());
        }
    }

    #[test]
    fn only_the_shortest_spelling_counts() {
        for bits in [0, 0x1d80_ffff, 0x1e00_00ff, 0x2300_ffff, 0xff12_3456, 0x0400_0000, 0x0001_2345] {
            assert_eq!(CompactTarget::new(bits).expand(), None, "{bits:08x}");
        }
    }

    #[test]
    fn packing_is_never_easier() {
        for shift in 0..255_usize {
            let target = Target::new((U256::MAX >> 1) >> shift).expect("not zero");
            let packed = target.compact().expand().expect("canonical");
            assert!(packed <= target, "{shift}");
            assert_eq!(packed.compact(), target.compact());
        }
    }

    #[test]
    fn work_doubles_as_the_target_halves() {
        assert_eq!(Target::new(U256::MAX).expect("not zero").work().to_string(), "1");
        assert_eq!(Target::new(U256::MAX >> 1).expect("not zero").work().to_string(), "2");
        assert_eq!(Target::new(U256::MAX >> 16).expect("not zero").work().to_string(), "65536");
    }
}
