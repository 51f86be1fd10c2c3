//! Hashes, addresses, times and amounts as JSON has them, each with its description.

use std::{borrow::Cow, fmt::Display};

use bard_chain::{
    address::Address as ChainAddress,
    hash::{BlockId, ChainId, Hash32, TransactionId},
    units::{Amount as ChainAmount, Timestamp},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, SchemaFormat, schema::Schema, schema::Type},
};

use crate::clock;

/// The largest integer that every JSON client reads exactly: 2^53 - 1.
pub const MAX_EXACT: u64 = (1 << 53) - 1;

/// A hash: 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, std::hash::Hash)]
pub struct Hash(pub [u8; 32]);

/// Bytes as lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hex<'a>(pub Cow<'a, [u8]>);

/// Canonical bytes as they are, CBOR: for the description alone.
#[derive(Clone, Copy, Debug)]
pub struct Cbor;

/// An address: bech32m with the prefix `bard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, std::hash::Hash)]
pub struct Address(pub ChainAddress);

/// A time: RFC 3339 with milliseconds, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Timestamp);

/// An integer too large for JSON numbers: its decimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Digits(pub String);

/// An amount in the smallest unit; below 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount(pub u64);

impl Digits {
    /// Of anything that shows itself in decimal digits.
    pub fn of(number: impl Display) -> Self {
        Self(number.to_string())
    }
}

impl From<ChainAmount> for Amount {
    fn from(amount: ChainAmount) -> Self {
        Self(amount.get())
    }
}

macro_rules! hash_from {
    ($($kind:ty),*) => { $(
        impl From<$kind> for Hash {
            fn from(hash: $kind) -> Self {
                Self(*hash.as_bytes())
            }
        }
    )* };
}

hash_from!(BlockId, ChainId, Hash32, TransactionId);

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = [0; 64];
        // The length fits: hex of 32 bytes.
        let _ = hex::encode_to_slice(self.0, &mut digits);
        serializer.serialize_str(std::str::from_utf8(&digits).unwrap_or_default())
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&clock::rfc3339(self.0))
    }
}

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Display for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits: Cow<'de, str> = Deserialize::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits.as_ref(), &mut bytes).map_err(D::Error::custom)?;
        Ok(Self(bytes))
    }
}

impl<'de> Deserialize<'de> for Hex<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits: Cow<'de, str> = Deserialize::deserialize(deserializer)?;
        hex::decode(digits.as_ref()).map(|bytes| Self(Cow::Owned(bytes))).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Cow<'de, str> = Deserialize::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text: Cow<'de, str> = Deserialize::deserialize(deserializer)?;
        clock::from_rfc3339(&text).map(Self).ok_or_else(|| D::Error::custom("a time in RFC 3339 is expected"))
    }
}

fn text(description: &str, pattern: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .pattern(Some(pattern))
        .examples([serde_json::json!(example)])
}

macro_rules! described {
    ($kind:ty, $name:literal, $schema:expr) => {
        impl PartialSchema for $kind {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl ToSchema for $kind {
            fn name() -> Cow<'static, str> {
                $name.into()
            }
        }
    };
}

const ZEROS: &str = "00000abe70d0be6c74afe6de7e4dbb07d58a4a4d8a9e9c3b0a6c6ff0a7f39f2d";

described!(Hash, "Hash", text("A hash: 64 lower-case hex digits.", "^[0-9a-f]{64}$", ZEROS));
described!(Hex<'_>, "Hex", text("Bytes as lower-case hex digits.", "^([0-9a-f]{2})*$", "68656c6c6f"));
described!(
    Cbor,
    "Cbor",
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .description(Some("Canonical bytes: CBOR."))
);
described!(
    Address,
    "Address",
    text("An address: bech32m with the prefix `bard`.", "^bard1[02-9ac-hj-np-z]+$", "bard1...")
);
described!(
    Time,
    "Time",
    text(
        "A time: RFC 3339 with milliseconds, in UTC.",
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$",
        "2026-01-01T00:00:00.007Z"
    )
    .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
);
described!(Digits, "Digits", text("An integer too large for JSON numbers.", "^[0-9]+$", "65536"));
described!(
    Amount,
    "Amount",
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("An amount in the smallest unit: at least 0, below 2^53."))
        .minimum(Some(0))
        .maximum(Some(MAX_EXACT))
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_hashes_and_times_read_as_the_contract_says() {
        let json = |value: &dyn erased::Json| value.json();
        assert_eq!(json(&Hash([0xab; 32])), format!("\"{}\"", "ab".repeat(32)));
        assert_eq!(json(&Hex(Cow::Borrowed(&[0, 255]))), "\"00ff\"");
        assert_eq!(json(&Time(Timestamp::new(7))), "\"1970-01-01T00:00:00.007Z\"");
        assert_eq!(json(&Amount(MAX_EXACT)), "9007199254740991");
        assert_eq!(json(&Digits::of(u128::MAX)), format!("\"{}\"", u128::MAX));
    }

    mod erased {
        pub(super) trait Json {
            fn json(&self) -> String;
        }

        impl<T: serde::Serialize> Json for T {
            fn json(&self) -> String {
                serde_json::to_string(self).expect("serialises")
            }
        }
    }
}
