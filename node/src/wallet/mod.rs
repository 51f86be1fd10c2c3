//! The keys this node signs with, by name, and the names of others' addresses.
//!
//! Each data directory has a key of its own, made on first start. On the `dev` chain four more have names and keys that
//! everybody knows.

use std::path::Path;

use bard_chain::{
    address::{Address, AddressError},
    presets,
    signature::SecretKey,
};

mod file;

pub use file::{KeyFileError, load_or_create};

/// The name by which the node's own key goes.
pub const OWN_NAME: &str = "me";
/// The file of the node's own key, in its data directory.
const OWN_KEY_FILE: &str = "account.key";

/// Why a name or an address leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownName {
    /// It looks like an address.
    #[error("{text}: {reason}")]
    Address {
        /// As given.
        text: String,
        /// What is wrong with it.
        reason: AddressError,
    },
    /// It is no known name.
    #[error("{text} is neither a known name ({known}) nor an address (bard1...)")]
    Name {
        /// As given.
        text: String,
        /// The names that there are.
        known: String,
    },
    /// It is an address whose key is elsewhere.
    #[error("{text} is an address whose key this node does not have")]
    NoKey {
        /// As given.
        text: String,
    },
}

/// The keys by name.
#[derive(Clone, Debug)]
pub struct Wallet {
    keys: Vec<(String, SecretKey)>,
}

impl Wallet {
    /// The node's own key from its data directory, made there if there is none, and on the `dev` chain the public ones.
    ///
    /// # Errors
    /// Where the key file cannot be read, understood or written.
    pub fn open(data_dir: &Path, with_dev_accounts: bool) -> Result<Self, KeyFileError> {
        let seed = load_or_create(&data_dir.join(OWN_KEY_FILE))?;
        let mut keys = vec![(OWN_NAME.to_owned(), SecretKey::from_seed(&seed))];
        if with_dev_accounts {
            let dev = presets::DEV_ACCOUNTS.into_iter();
            keys.extend(dev.filter_map(|name| presets::dev_key(name).map(|key| (name.to_owned(), key))));
        }
        Ok(Self { keys })
    }

    /// The node's own address.
    pub fn own(&self) -> Address {
        self.keys.first().map_or(Address::NOBODY, |(_, key)| key.address())
    }

    /// The names, each with its address; the node's own first.
    pub fn names(&self) -> impl Iterator<Item = (&str, Address)> {
        self.keys.iter().map(|(name, key)| (name.as_str(), key.address()))
    }

    /// The name of an address, if it has one here.
    pub fn name_of(&self, address: &Address) -> Option<&str> {
        self.names().find(|(_, known)| known == address).map(|(name, _)| name)
    }

    /// The address that a name or an address means.
    ///
    /// # Errors
    /// [`UnknownName`].
    pub fn address(&self, text: &str) -> Result<Address, UnknownName> {
        if let Some((_, address)) = self.names().find(|(name, _)| *name == text) {
            return Ok(address);
        }
        if text.to_ascii_lowercase().starts_with("bard1") {
            return text.parse().map_err(|reason| UnknownName::Address { text: text.to_owned(), reason });
        }
        let known = self.names().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        Err(UnknownName::Name { text: text.to_owned(), known })
    }

    /// The key to sign with for a name or an address.
    ///
    /// # Errors
    /// [`UnknownName`].
    pub fn key(&self, text: &str) -> Result<&SecretKey, UnknownName> {
        let address = self.address(text)?;
        let key = self.keys.iter().map(|(_, key)| key).find(|key| key.address() == address);
        key.ok_or_else(|| UnknownName::NoKey { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_found() {
        let dir = tempfile::tempdir().expect("a directory");
        let wallet = Wallet::open(dir.path(), true).expect("opens");
        let alice = presets::dev_key("alice").expect("known").address();
        assert_eq!(wallet.address("alice"), Ok(alice));
        assert_eq!(wallet.address(&alice.to_string()), Ok(alice));
        assert_eq!(wallet.name_of(&alice), Some("alice"));
        assert_eq!(wallet.address(OWN_NAME), Ok(wallet.own()));
        assert!(matches!(wallet.address("mallory"), Err(UnknownName::Name { .. })));
        assert!(matches!(wallet.address("bard1qqq"), Err(UnknownName::Address { .. })));
        let stranger = Address::new([5; 32]).to_string();
        assert!(matches!(wallet.key(&stranger), Err(UnknownName::NoKey { .. })));
        let again = Wallet::open(dir.path(), false).expect("opens");
        assert_eq!(again.own(), wallet.own(), "the key stays");
        assert!(again.address("alice").is_err(), "other chains have no public keys");
    }
}
