//! The keys this node signs with, by name, and the names of others' addresses.
//!
//! Each data directory has a key of its own, made on first start, and a key for every name that somebody made there. On the
//! `dev` chain four more have names and keys that everybody knows.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError, RwLock, RwLockReadGuard},
};

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
/// The directory of the keys that were made by name, in the data directory: `NAME.key` each.
const KEYS_DIR: &str = "keys";
/// Keys that may be made by name: each is a file, and names may come from programs.
pub const MAX_KEYS: usize = 1_000;
/// The longest name, in characters.
pub const MAX_NAME: usize = 32;
/// Names that mean something else: in calls of programs that BlockBard replaces.
const RESERVED: [&str; 2] = ["genesis", "miner"];

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

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum NewKeyError {
    /// The name cannot be that of a key.
    #[error("{0:?} cannot be the name of a key: 1 to {MAX_NAME} of A-Z, a-z, 0-9, _ and - are allowed, and no address")]
    Name(String),
    /// The name has a meaning of its own.
    #[error("{0} is a name that stands for another account here; take another one")]
    Reserved(String),
    /// There is a key of that name.
    #[error("there is a key named {0} already")]
    Taken(String),
    /// There are as many keys as there may be.
    #[error("there are {MAX_KEYS} keys already, no more are made; use one of them")]
    Full,
    /// Its file could not be written or read.
    #[error(transparent)]
    File(#[from] KeyFileError),
}

/// The keys, found by name and by address.
#[derive(Debug, Default)]
struct Keys {
    /// In the order in which they came; the node's own first.
    names: Vec<String>,
    by_name: HashMap<String, (SecretKey, Address)>,
    by_address: HashMap<Address, String>,
}

impl Keys {
    fn add(&mut self, name: &str, key: SecretKey) -> Address {
        let address = key.address();
        self.names.push(name.to_owned());
        self.by_name.insert(name.to_owned(), (key, address));
        self.by_address.entry(address).or_insert_with(|| name.to_owned());
        address
    }
}

/// The keys by name.
#[derive(Debug)]
pub struct Wallet {
    own: Address,
    /// The accounts whose names and keys everybody on this chain knows.
    public: HashMap<Address, &'static str>,
    keys: RwLock<Keys>,
    dir: PathBuf,
    /// Held while a key is made, so that a name is given once and the count holds. It says how many were made.
    making: Mutex<usize>,
}

impl Wallet {
    /// The node's own key from its data directory, made there if there is none, those that were made by name, and on the
    /// `dev` chain the public ones.
    ///
    /// # Errors
    /// Where a key file cannot be read, understood or written.
    pub fn open(data_dir: &Path, with_dev_accounts: bool) -> Result<Self, KeyFileError> {
        let seed = load_or_create(&data_dir.join(OWN_KEY_FILE))?;
        let mut keys = Keys::default();
        let own = keys.add(OWN_NAME, SecretKey::from_seed(&seed));
        let mut public = HashMap::new();
        if with_dev_accounts {
            for name in presets::DEV_ACCOUNTS {
                public.extend(presets::dev_key(name).map(|key| (keys.add(name, key), name)));
            }
        }
        let dir = data_dir.join(KEYS_DIR);
        let mut made = 0;
        for name in file::names_in(&dir)?.into_iter().filter(|name| is_name(name)) {
            if !keys.by_name.contains_key(&name) {
                keys.add(&name, SecretKey::from_seed(&load_or_create(&dir.join(format!("{name}.key")))?));
                made += 1;
            }
        }
        Ok(Self { own, public, keys: RwLock::new(keys), dir, making: Mutex::new(made) })
    }

    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        // A key is added in one go: there is no half of one after a panic.
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a key of this name and keeps it in a file for its owner alone. Waits for the disk.
    ///
    /// # Errors
    /// [`NewKeyError`]; then there is no new key.
    pub fn create(&self, name: &str) -> Result<Address, NewKeyError> {
        if !is_name(name) {
            return Err(NewKeyError::Name(name.chars().take(2 * MAX_NAME).collect()));
        }
        if RESERVED.contains(&name) {
            return Err(NewKeyError::Reserved(name.to_owned()));
        }
        let mut made = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if self.keys().by_name.contains_key(name) {
            return Err(NewKeyError::Taken(name.to_owned()));
        }
        if *made >= MAX_KEYS {
            return Err(NewKeyError::Full);
        }
        file::make_dir(&self.dir)?;
        let secret = load_or_create(&self.dir.join(format!("{name}.key")))?;
        *made = made.saturating_add(1);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        Ok(keys.add(name, SecretKey::from_seed(&secret)))
    }

    /// The node's own address.
    pub fn own(&self) -> Address {
        self.own
    }

    /// The names, each with its address; the node's own first.
    pub fn names(&self) -> Vec<(String, Address)> {
        let keys = self.keys();
        let address = |name: &String| keys.by_name.get(name).map(|(_, address)| (name.clone(), *address));
        keys.names.iter().filter_map(address).collect()
    }

    /// Whether there is a key of this name.
    pub fn has(&self, name: &str) -> bool {
        self.keys().by_name.contains_key(name)
    }

    /// The name of an address, if it has one here.
    pub fn name_of(&self, address: &Address) -> Option<String> {
        self.keys().by_address.get(address).cloned()
    }

    /// The name of an address that every node of this chain has for it too, if there is one.
    pub fn public_name_of(&self, address: &Address) -> Option<&'static str> {
        self.public.get(address).copied()
    }

    /// The address that a name or an address means.
    ///
    /// # Errors
    /// [`UnknownName`].
    pub fn address(&self, text: &str) -> Result<Address, UnknownName> {
        let keys = self.keys();
        if let Some((_, address)) = keys.by_name.get(text) {
            return Ok(*address);
        }
        if looks_like_address(text) {
            return text.parse().map_err(|reason| UnknownName::Address { text: text.to_owned(), reason });
        }
        let known = keys.names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if keys.names.len() > NAMES_SHOWN { ", ..." } else { "" };
        Err(UnknownName::Name { text: text.to_owned(), known: format!("{known}{more}") })
    }

    /// The key to sign with for a name or an address.
    ///
    /// # Errors
    /// [`UnknownName`].
    pub fn key(&self, text: &str) -> Result<SecretKey, UnknownName> {
        let address = self.address(text)?;
        let keys = self.keys();
        let key = keys.by_address.get(&address).and_then(|name| keys.by_name.get(name)).map(|(key, _)| key.clone());
        key.ok_or_else(|| UnknownName::NoKey { text: text.to_owned() })
    }
}

/// Names that an error lists.
const NAMES_SHOWN: usize = 16;

/// Whether a text can be the name of a key, which is also that of a file.
pub fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(fits) && !looks_like_address(text)
}

fn looks_like_address(text: &str) -> bool {
    text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("bard1"))
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
        assert_eq!(wallet.name_of(&alice).as_deref(), Some("alice"));
        assert_eq!((wallet.public_name_of(&alice), wallet.public_name_of(&wallet.own())), (Some("alice"), None));
        assert_eq!(wallet.address(OWN_NAME), Ok(wallet.own()));
        assert!(matches!(wallet.address("mallory"), Err(UnknownName::Name { .. })));
        assert!(matches!(wallet.address("bard1qqq"), Err(UnknownName::Address { .. })));
        let stranger = Address::new([5; 32]).to_string();
        assert!(matches!(wallet.key(&stranger), Err(UnknownName::NoKey { .. })));
        let again = Wallet::open(dir.path(), false).expect("opens");
        assert_eq!(again.own(), wallet.own(), "the key stays");
        assert!(again.address("alice").is_err(), "other chains have no public keys");
    }

    #[test]
    fn keys_are_made_by_name_and_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        let wallet = Wallet::open(dir.path(), true).expect("opens");
        let zed = wallet.create("zed").expect("made");
        assert_eq!((wallet.address("zed"), wallet.name_of(&zed).as_deref()), (Ok(zed), Some("zed")));
        assert_eq!(wallet.key("zed").map(|key| key.address()), Ok(zed));
        for taken in ["zed", "alice", OWN_NAME] {
            assert!(matches!(wallet.create(taken), Err(NewKeyError::Taken(_))), "{taken}");
        }
        let long = "a".repeat(MAX_NAME + 1);
        for bad in ["", "a b", "../x", "a.b", "h\u{f6}", "bard1x", "BARD1X", "a/b", "\0", long.as_str()] {
            assert!(matches!(wallet.create(bad), Err(NewKeyError::Name(_))), "{bad:?}");
        }
        for reserved in RESERVED {
            assert!(matches!(wallet.create(reserved), Err(NewKeyError::Reserved(_))), "{reserved}");
        }
        std::fs::write(dir.path().join("keys/not a key"), "").expect("written");
        let again = Wallet::open(dir.path(), false).expect("opens");
        assert_eq!(again.address("zed"), Ok(zed), "the key stays");
        assert_eq!(again.names().len(), 2);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &str| std::fs::metadata(dir.path().join(path)).expect("there").permissions().mode();
            assert_eq!((mode("keys/zed.key") & 0o777, mode("keys") & 0o777), (0o600, 0o700));
        }
    }

    #[test]
    fn a_damaged_key_is_no_new_key() {
        let dir = tempfile::tempdir().expect("a directory");
        Wallet::open(dir.path(), false).expect("opens").create("zed").expect("made");
        std::fs::write(dir.path().join("keys/zed.key"), "12").expect("written");
        let problem = Wallet::open(dir.path(), false).expect_err("it is damaged").to_string();
        assert!(problem.contains("zed.key"), "{problem}");
    }

    #[test]
    fn no_more_keys_than_there_may_be() {
        let dir = tempfile::tempdir().expect("a directory");
        let wallet = Wallet::open(dir.path(), false).expect("opens");
        *wallet.making.lock().expect("free") = MAX_KEYS - 1;
        wallet.create("last").expect("made");
        assert!(matches!(wallet.create("more"), Err(NewKeyError::Full)));
    }
}
