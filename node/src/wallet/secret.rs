//! Secrets in memory: wiped when they are dropped, and never shown.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error};
use zeroize::Zeroizing;

/// The 32 bytes that a key is made of.
pub type Secret = Zeroizing<[u8; 32]>;

/// The shortest passphrase that may protect a keystore, in characters.
pub const MIN_PASSPHRASE: usize = 8;
/// The longest passphrase, in bytes.
pub const MAX_PASSPHRASE: usize = 1024;

/// What a person knows and the keystore does not.
#[derive(Clone, PartialEq, Eq)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// From what was typed or read.
    ///
    /// # Errors
    /// One line: it is empty or endless.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Result<Self, String> {
        let text = text.into();
        match text.len() {
            0 => Err("the passphrase is empty".to_owned()),
            1..=MAX_PASSPHRASE => Ok(Self(text)),
            _ => Err(format!("the passphrase has more than {MAX_PASSPHRASE} bytes")),
        }
    }

    /// Whether it may protect a keystore from now on.
    ///
    /// # Errors
    /// One line: it is too short.
    pub fn fit_to_protect(&self) -> Result<(), String> {
        if self.0.chars().count() < MIN_PASSPHRASE {
            return Err(format!(
                "the passphrase is too short: it needs {MIN_PASSPHRASE} characters, a few words are best"
            ));
        }
        Ok(())
    }

    /// The passphrase itself, for a request that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(not shown)")
    }
}

impl<'de> Deserialize<'de> for Passphrase {
    /// What is no text is not repeated in the error, as serde would: it may be a passphrase that looks like a number.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => Self::new(text).map_err(D::Error::custom),
            _ => Err(D::Error::custom("the passphrase must be a text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_not_shown() {
        let passphrase = Passphrase::new("correct horse".to_owned()).expect("a passphrase");
        assert!(!format!("{passphrase:?}").contains("horse"));
        let refused = serde_json::from_str::<Passphrase>("12345678").expect_err("a number").to_string();
        assert!(!refused.contains("1234") && refused.contains("text"), "{refused}");
    }

    #[test]
    fn what_is_empty_short_or_endless_is_none() {
        assert!(Passphrase::new(String::new()).is_err());
        assert!(Passphrase::new("x".repeat(MAX_PASSPHRASE + 1)).is_err());
        assert!(Passphrase::new("1234567".to_owned()).expect("text").fit_to_protect().is_err());
        assert!(Passphrase::new("12345678".to_owned()).expect("text").fit_to_protect().is_ok());
    }
}
