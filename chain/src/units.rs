//! The quantities of a chain, each its own type, so that a height cannot be added to an amount.
//!
//! All arithmetic is checked: a sum that does not fit is `None`, never a wrapped number.

use core::fmt;

use ruint::aliases::U256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $unit:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Nothing of it.
            pub const ZERO: Self = Self(0);

            #[doc = concat!("From a number of ", $unit, ".")]
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            #[doc = concat!("The number of ", $unit, ".")]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The sum, or `None` where it does not fit in 64 bits.
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }

            /// The difference, or `None` where `other` is the larger.
            pub fn checked_sub(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).map(Self)
            }

            /// The difference, or zero where `other` is the larger.
            pub fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

quantity!(
    /// Distance of a block from the genesis block, which has height 0.
    Height,
    "blocks"
);
quantity!(
    /// Money, in the smallest unit of the chain.
    Amount,
    "smallest units"
);
quantity!(
    /// How many transactions a sender has confirmed before this one; strictly sequential.
    Nonce,
    "transactions"
);
quantity!(
    /// A moment, in milliseconds since 1970-01-01T00:00:00Z.
    Timestamp,
    "milliseconds since the Unix epoch"
);

impl Height {
    /// The largest height a chain may reach: about 35,000 years at a block a second. It bounds the subsidy ever paid.
    pub const MAX: Self = Self(1 << 40);

    /// The height above this one.
    pub fn next(self) -> Option<Self> {
        self.checked_add(Self(1))
    }
}

impl Amount {
    /// The largest amount, 2^53 - 1: every JSON client holds it exactly. The whole supply of a chain stays below it.
    pub const MAX: Self = Self((1 << 53) - 1);
}

impl Nonce {
    /// The nonce after this one.
    pub fn next(self) -> Option<Self> {
        self.checked_add(Self(1))
    }
}

/// Expected number of hashes that a block or a chain took; compared to choose between branches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Work(U256);

impl Work {
    /// No work at all.
    pub const ZERO: Self = Self(U256::ZERO);

    /// From a number of hashes.
    pub const fn new(hashes: U256) -> Self {
        Self(hashes)
    }

    /// The sum; at the end of the range it stays there (2^256 hashes are out of anybody's reach).
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, or zero where `other` is the larger.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// As 32 bytes, most significant first.
    pub fn to_be_bytes(self) -> [u8; 32] {
        self.0.to_be_bytes()
    }

    /// From 32 bytes, most significant first.
    pub fn from_be_bytes(bytes: [u8; 32]) -> Self {
        Self(U256::from_be_bytes(bytes))
    }
}

impl fmt::Display for Work {
    /// In decimal, whole.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Work {
    /// As a byte string without leading zero bytes: the shortest form, hence the only one.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        serializer.serialize_bytes(bytes.get(zeros..).unwrap_or(&[]))
    }
}

impl<'de> Deserialize<'de> for Work {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&serde_bytes::Bytes>::deserialize(deserializer)?;
        let mut whole = [0; 32];
        let start =
            whole.len().checked_sub(bytes.len()).ok_or_else(|| de::Error::custom("work is longer than 32 bytes"))?;
        if bytes.first() == Some(&0) {
            return Err(de::Error::custom("work has a leading zero byte"));
        }
        if let Some(tail) = whole.get_mut(start..) {
            tail.copy_from_slice(bytes);
        }
        Ok(Self::from_be_bytes(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding;

    #[test]
    fn sums_that_do_not_fit_are_none() {
        assert_eq!(Amount::new(u64::MAX).checked_add(Amount::new(1)), None);
        assert_eq!(Amount::new(1).checked_sub(Amount::new(2)), None);
        assert_eq!(Height::new(7).next(), Some(Height::new(8)));
        assert_eq!(Nonce::new(u64::MAX).next(), None);
    }

    #[test]
    fn work_has_one_encoding() {
        for work in [Work::ZERO, Work::new(U256::from(65_536)), Work::new(U256::MAX)] {
            let bytes = encoding::encode(&work);
            assert_eq!(encoding::decode::<Work>(&bytes, 64), Ok(work));
        }
        assert!(encoding::decode::<Work>(&[0x42, 0x00, 0x01], 64).is_err(), "leading zero");
    }
}
