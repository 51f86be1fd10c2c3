//! What can be wrong with a name, a key or the keystore.

use std::path::PathBuf;

use bard_chain::address::AddressError;

use super::{KeyFileError, MAX_KEYS, MAX_NAME};

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
    #[error("{text} is neither a known name ({known}) nor an address (bard1...){}", meant(near))]
    Name {
        /// As given.
        text: String,
        /// The names that there are.
        known: String,
        /// The one that may be meant.
        near: Option<String>,
    },
}

/// Why nothing can be signed for a name or an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    /// It leads nowhere.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
    /// It is an address whose key is elsewhere.
    #[error("{0} is an address whose key this node does not have")]
    Elsewhere(String),
    /// Only its address is known here.
    #[error("{0} is watched only: its key is elsewhere")]
    Watched(String),
    /// It needs the passphrase first.
    #[error("the key {0} is locked: `wallet unlock` at the console or POST /api/v1/wallet/unlock opens the keystore")]
    Locked(String),
}

/// Why a keystore cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The name cannot be that of a key.
    #[error("{0:?} cannot be the name of a key: 1 to {MAX_NAME} of A-Z, a-z, 0-9, _ and - are allowed, and no address")]
    Name(String),
    /// The name has a meaning of its own.
    #[error("{0} is a name that stands for another account here; take another one")]
    Reserved(String),
    /// There is a key of that name.
    #[error("there is a key named {0} already")]
    Taken(String),
    /// The key is there by another name.
    #[error("that key is there already: it is named {name}")]
    Known {
        /// Its name.
        name: String,
    },
    /// There is none of that name.
    #[error("there is no key named {name}{}", meant(near))]
    Unknown {
        /// As given.
        name: String,
        /// The one that may be meant.
        near: Option<String>,
    },
    /// Only its address is known here.
    #[error("{0} is watched only: its secret is elsewhere")]
    Watched(String),
    /// There are as many keys as there may be.
    #[error("there are {MAX_KEYS} keys already, no more are made; use one of them")]
    Full,
    /// It needs its passphrase first.
    #[error("the keystore is locked: this needs its passphrase")]
    Locked,
    /// A passphrase takes a while to try: one at a time.
    #[error("a passphrase is being tried already: try again")]
    Trying,
    /// The passphrase is another.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The passphrase may not protect a keystore.
    #[error("{0}")]
    Weak(String),
    /// There is no passphrase, so nothing is locked.
    #[error("the keystore has no passphrase, so its keys are never locked: `bard wallet passphrase` sets one")]
    NotProtected,
    /// Another process is at it.
    #[error("{} is being changed by another process: try again", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("{} is damaged ({what}): restore it from a backup, or move it away and bring the keys back by the recovery phrase", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A file could not be written or read.
    #[error(transparent)]
    File(#[from] KeyFileError),
}

fn meant(near: &Option<String>) -> String {
    near.as_ref().map_or_else(String::new, |near| format!("; did you mean {near}?"))
}
