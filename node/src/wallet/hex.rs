//! Bytes that are hex digits in a file, wiped when they are dropped.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use zeroize::Zeroizing;

/// Bytes that are hex digits in a file.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Hex(Zeroizing<Vec<u8>>);

impl Hex {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hex({} bytes)", self.0.len())
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(hex::encode(self.0.as_slice())))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        hex::decode(text.as_bytes())
            .map(|bytes| Self(Zeroizing::new(bytes)))
            .map_err(|_| D::Error::custom("no hex digits"))
    }
}

/// The 32 bytes of a secret from its 64 hex digits.
pub fn secret_from_hex(text: &str) -> Option<super::Secret> {
    let mut secret = super::Secret::default();
    hex::decode_to_slice(text, secret.as_mut()).ok().map(|()| secret)
}

/// The 64 hex digits of a secret.
pub fn secret_to_hex(secret: &super::Secret) -> Zeroizing<String> {
    Zeroizing::new(hex::encode(secret.as_slice()))
}
