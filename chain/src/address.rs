//! Addresses: an ed25519 public key, written as bech32m (BIP-350) with the prefix `bard`.

use core::{fmt, str::FromStr};

use bech32::{Bech32m, Hrp, primitives::decode::CheckedHrpstring};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash::FixedBytes;

/// The human-readable part of every address.
const PREFIX: Hrp = Hrp::parse_unchecked("bard");

/// Who pays, is paid or holds: the 32 bytes of an ed25519 public key.
///
/// Any 32 bytes are an address; only those that are a key whose secret somebody has can ever spend.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 32]);

/// What is wrong with a text that should be an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not bech32m, or mistyped: the checksum does not fit.
    #[error("not an address: the checksum does not match, so a character is wrong, missing or too many")]
    Checksum,
    /// Bech32m, but of something else.
    #[error("not a BlockBard address: it must begin with `bard1`")]
    Prefix,
    /// The right prefix around something that is not a key.
    #[error("not an address: it must hold 32 bytes")]
    Length,
}

impl Address {
    /// All bytes zero: nobody. The genesis block names it as its miner.
    pub const NOBODY: Self = Self([0; 32]);

    /// From the bytes of a public key.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the public key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32m, _>(f, PREFIX, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let checked = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| AddressError::Checksum)?;
        if checked.hrp() != PREFIX {
            return Err(AddressError::Prefix);
        }
        let mut bytes = [0; 32];
        let mut given = checked.byte_iter();
        for byte in &mut bytes {
            *byte = given.next().ok_or(AddressError::Length)?;
        }
        // 52 characters hold 260 bits: were the last four not zero, an address would have a second spelling.
        let one_spelling = checked.validate_segwit_padding().is_ok();
        if given.next().is_some() || !one_spelling { Err(AddressError::Length) } else { Ok(Self(bytes)) }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(FixedBytes::<32>).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let address = Address::new([7; 32]);
        let text = address.to_string();
        assert!(text.starts_with("bard1"));
        assert_eq!(text.parse(), Ok(address));
        assert_eq!(text.to_uppercase().parse(), Ok(address), "bech32m may be written in capitals, as in QR codes");
    }

    #[test]
    fn each_fault_has_its_name() {
        let text = Address::new([7; 32]).to_string();
        let mistyped = text.replacen('q', "p", 1);
        assert_eq!(mistyped.parse::<Address>(), Err(AddressError::Checksum));
        let other = bech32::encode::<Bech32m>(Hrp::parse_unchecked("bc"), &[7; 32]).expect("encodes");
        assert_eq!(other.parse::<Address>(), Err(AddressError::Prefix));
        let short = bech32::encode::<Bech32m>(PREFIX, &[7; 31]).expect("encodes");
        assert_eq!(short.parse::<Address>(), Err(AddressError::Length));
        let long = bech32::encode::<Bech32m>(PREFIX, &[7; 33]).expect("encodes");
        assert_eq!(long.parse::<Address>(), Err(AddressError::Length));
    }
}
