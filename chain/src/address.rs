//! Addresses: an ed25519 public key, written as bech32m (BIP-350) with the prefix `bard`.

use core::{cmp::Ordering, fmt, str::FromStr};

use bech32::{Bech32m, Hrp, primitives::decode::CheckedHrpstring};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash::{self, FixedBytes};

/// The human-readable part of every address.
const PREFIX: Hrp = Hrp::parse_unchecked("bard");

/// Who pays, is paid or holds: the 32 bytes of an ed25519 public key.
///
/// Any 32 bytes are an address. Those that mean no point of the curve can never spend; for a few that mean a point of small order
/// anybody can ([`crate::signature::anybody_can_spend`]); for any other, whoever has the key's secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address([u8; 32]);

impl Ord for Address {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        hash::order(&self.0, &other.0)
    }
}

impl PartialOrd for Address {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Characters of an address: the prefix with its `1`, 52 of the key, 6 of the checksum.
const TEXT_LEN: usize = 63;
/// The characters of bech32m, in the order of what they stand for.
const CHARACTERS: &str = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// What is wrong with a text that should be an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It does not begin as an address does.
    #[error("not an address: it must begin with `bard1`")]
    Prefix,
    /// Bech32m without a fault, but of something else.
    #[error("not a BlockBard address but one of something else: ours begin with `bard1`")]
    Foreign,
    /// A character that no address has.
    #[error("not an address: character {at} is {found:?}, which does not occur in addresses")]
    Character {
        /// Which one, from 1.
        at: usize,
        /// What it is.
        found: char,
    },
    /// Small letters and capitals in one.
    #[error("not an address: it has small letters and capitals, and must have either alone")]
    Case,
    /// So many characters, and not so many as an address has.
    #[error("not an address: it has {0} characters and must have {TEXT_LEN}")]
    Characters(usize),
    /// Mistyped in one place, as far as the checksum can tell.
    #[error("not an address: the checksum does not match; if one character is wrong, it is the one at {0}")]
    Mistyped(usize),
    /// Mistyped in more than one place.
    #[error("not an address: the checksum does not match, so some of its characters are wrong")]
    Checksum,
    /// The right prefix around something that is not a key.
    #[error("not an address: it must hold 32 bytes")]
    Length,
}

impl Address {
    /// All bytes zero: nobody's. The genesis block names it as its miner, and pays it nothing: it is a point of small order, so
    /// anybody could spend what it had.
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
        let checked = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| why_not(text))?;
        if checked.hrp() != PREFIX {
            return Err(AddressError::Foreign);
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

/// What is wrong with a text that is not bech32m.
fn why_not(text: &str) -> AddressError {
    if !text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("bard1")) {
        return AddressError::Prefix;
    }
    let foreign = |(_, found): &(usize, char)| !CHARACTERS.contains(found.to_ascii_lowercase());
    if let Some((at, found)) = (1..).zip(text.chars()).skip(5).find(foreign) {
        return AddressError::Character { at, found };
    }
    if text.contains(|c: char| c.is_ascii_lowercase()) && text.contains(|c: char| c.is_ascii_uppercase()) {
        return AddressError::Case;
    }
    if text.len() != TEXT_LEN {
        return AddressError::Characters(text.len());
    }
    mistyped_at(text).map_or(AddressError::Checksum, AddressError::Mistyped)
}

/// The one place where another character makes the checksum fit. Where, and not which: who types an address looks there
/// again and does not take a guess for it.
fn mistyped_at(text: &str) -> Option<usize> {
    let text = text.to_ascii_lowercase();
    (5..text.len()).find_map(|at| {
        let (before, after) = (text.get(..at)?, text.get(at.checked_add(1)?..)?);
        let fits = |other: char| {
            let mut tried = String::with_capacity(TEXT_LEN);
            tried.push_str(before);
            tried.push(other);
            tried.push_str(after);
            CheckedHrpstring::new::<Bech32m>(&tried).is_ok()
        };
        CHARACTERS.chars().any(fits).then(|| at.checked_add(1)).flatten()
    })
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
        let parse = |text: &str| text.parse::<Address>();
        for at in 5..TEXT_LEN {
            let mut mistyped = text.clone();
            let other = if text.get(at..=at) == Some("q") { "p" } else { "q" };
            mistyped.replace_range(at..=at, other);
            assert_eq!(parse(&mistyped), Err(AddressError::Mistyped(at + 1)), "{mistyped}");
            mistyped.replace_range(at..=at, "b");
            assert_eq!(parse(&mistyped), Err(AddressError::Character { at: at + 1, found: 'b' }));
        }
        let mut swapped = text.clone();
        swapped.replace_range(10..14, "q8q8");
        assert_eq!(parse(&swapped), Err(AddressError::Checksum));
        assert_eq!(parse(&text.replacen("bard1", "barb1", 1)), Err(AddressError::Prefix));
        assert_eq!(parse(&text.replacen("bard1", "bard", 1)), Err(AddressError::Prefix));
        assert_eq!(parse(""), Err(AddressError::Prefix));
        assert_eq!(parse(&text.replacen("bard1", "BARD1", 1)), Err(AddressError::Case));
        assert_eq!(parse(&text[..TEXT_LEN - 1]), Err(AddressError::Characters(TEXT_LEN - 1)));
        assert_eq!(parse("bard1\u{e9}"), Err(AddressError::Character { at: 6, found: '\u{e9}' }));
        let other = bech32::encode::<Bech32m>(Hrp::parse_unchecked("bc"), &[7; 32]).expect("encodes");
        assert_eq!(other.parse::<Address>(), Err(AddressError::Foreign));
        let short = bech32::encode::<Bech32m>(PREFIX, &[7; 31]).expect("encodes");
        assert_eq!(short.parse::<Address>(), Err(AddressError::Length));
        let long = bech32::encode::<Bech32m>(PREFIX, &[7; 33]).expect("encodes");
        assert_eq!(long.parse::<Address>(), Err(AddressError::Length));
    }
}
