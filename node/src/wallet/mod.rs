//! The keys this node signs with, by name, and the names of others' addresses.
//!
//! Each data directory has a [`Keystore`], made on first start with a key of the node's own, and a key for every name that
//! somebody made there. Without a passphrase its secrets are protected by the mode of the file alone; with one they are sealed
//! ([`seal`]), and a node that was not given it starts with its keys locked: names and addresses are known, nothing can be
//! signed. On the `dev` chain four more have names and keys that everybody knows.
//!
//! [`Wallet`] is what a node sees of its keystore. It looks whether `bard wallet` changed the file meanwhile: before every
//! signature and every name that a person gave, and now and then where names are only shown.

mod contents;
mod error;
mod file;
mod hex;
mod keystore;
mod names;
mod old;
mod operations;
mod phrase;
mod seal;
mod secrecy;
mod secret;
mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
    time::{Duration, Instant},
};

use bard_chain::{address::Address, presets, signature::SecretKey};

pub use self::{
    contents::Origin,
    error::{NoKey, UnknownName, WalletError},
    file::{KeyFileError, load_or_create, make_dir},
    hex::{secret_from_hex, secret_to_hex},
    keystore::{FILE, Keystore},
    names::{MAX_NAME, check_recipient, is_name},
    operations::{KeyInfo, Made, Overview},
    phrase::{MAX_INDEX, Phrase, PhraseError, path},
    secrecy::keep_memory_private,
    secret::{MAX_PASSPHRASE, MIN_PASSPHRASE, Passphrase, Secret},
};
use self::{
    contents::{Access, Contents},
    keystore::Stamp,
    state::State,
};

/// The name by which the node's own key goes.
pub const OWN_NAME: &str = "me";
/// Keys in a keystore: names may come from programs.
pub const MAX_KEYS: usize = 1_000;
/// Names that mean something else: in calls of programs that BlockBard replaces.
const RESERVED: [&str; 2] = ["genesis", "miner"];
/// How long a look at the file holds where names are only shown.
const LOOK: Duration = Duration::from_millis(200);

/// Whether a node can sign with its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// There is no passphrase: whoever may read the file has the keys.
    None,
    /// There is one, and this node was given it.
    Unlocked,
    /// There is one, and nothing can be signed without it.
    Locked,
}

/// The keys by name, as a node sees them.
pub struct Wallet {
    own: Address,
    /// The accounts whose names and keys everybody on this chain knows.
    public: Vec<(&'static str, SecretKey)>,
    public_names: HashMap<Address, &'static str>,
    keystore: Keystore,
    state: RwLock<State>,
    /// When the file was looked at, and what it was then.
    seen: Mutex<(Instant, Option<Stamp>)>,
    /// A passphrase takes memory and time to try: one at a time.
    unlocking: Mutex<()>,
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wallet").field("own", &self.own).field("keystore", &self.keystore).finish_non_exhaustive()
    }
}

impl Wallet {
    /// The keys of a data directory, the node's own made there if there is none, and on the `dev` chain the public ones. With
    /// the passphrase they are open; a new keystore is protected by it.
    ///
    /// # Errors
    /// Where the keystore cannot be read, understood or written, or the passphrase is wrong.
    pub fn open(
        data_dir: &Path,
        with_dev_accounts: bool,
        passphrase: Option<&Passphrase>,
    ) -> Result<Self, WalletError> {
        let keystore = Keystore::in_dir(data_dir);
        let stamp = keystore.stamp();
        let (contents, access) = match keystore.read()? {
            Some(contents) if contents.find(OWN_NAME).is_some() && old::files(data_dir)?.is_empty() => {
                let access = open_access(&keystore, &contents, passphrase)?;
                (contents, access)
            }
            _ => prepare(&keystore, passphrase)?,
        };
        if passphrase.is_some() && !contents.is_protected() {
            tracing::warn!(
                "the keystore has no passphrase: the one given is not used; `bard wallet passphrase` sets it"
            );
        }
        let own = contents.find(OWN_NAME).map_or(Address::NOBODY, |entry| entry.address);
        let dev = presets::DEV_ACCOUNTS.into_iter().filter(|_| with_dev_accounts);
        let public: Vec<_> = dev.filter_map(|name| presets::dev_key(name).map(|key| (name, key))).collect();
        let public_names = public.iter().map(|(name, key)| (key.address(), *name)).collect();
        let state =
            State::new(&public, &contents, access.map(Arc::new)).map_err(|damage| keystore.refused(damage.into()))?;
        let (state, seen) = (RwLock::new(state), Mutex::new((Instant::now(), stamp)));
        Ok(Self { own, public, public_names, keystore, state, seen, unlocking: Mutex::default() })
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        // It is replaced in one go: there is no half of one after a panic.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, contents: &Contents, access: Option<Arc<Access>>) -> Result<(), WalletError> {
        let state =
            State::new(&self.public, contents, access).map_err(|damage| self.keystore.refused(damage.into()))?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(())
    }

    /// Reads the file again if it is another.
    fn refresh(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.keystore.stamp();
        let changed = stamp != seen.1;
        *seen = (Instant::now(), stamp);
        if !changed {
            return;
        }
        let read = self.keystore.read().and_then(|contents| match contents {
            Some(contents) => {
                let access = self.state().access().filter(|access| contents.fits(access));
                let access = access.or_else(|| contents.access(None).ok().map(Arc::new));
                self.replace(&contents, access)
            }
            None => Ok(()),
        });
        match (read, stamp) {
            (Err(error), _) => tracing::warn!("the keystore is used as it was: {error}"),
            (Ok(()), None) => {
                tracing::warn!("{} is gone: its keys are used as they were", self.keystore.path().display());
            }
            (Ok(()), Some(_)) => tracing::debug!("the keystore was changed and read again"),
        }
    }

    /// [`Self::refresh`], if the last look is a while ago.
    fn refresh_now_and_then(&self) {
        let due = self.seen.lock().unwrap_or_else(PoisonError::into_inner).0.elapsed() >= LOOK;
        if due {
            self.refresh();
        }
    }

    /// Makes a key of this name, the next of the recovery phrase. Waits for the disk.
    ///
    /// # Errors
    /// [`WalletError`]; then there is no new key.
    pub fn create(&self, name: &str) -> Result<Address, WalletError> {
        if self.public.iter().any(|(public, _)| *public == name) {
            return Err(WalletError::Taken(name.to_owned()));
        }
        self.refresh();
        let made = self.keystore.change(|contents| {
            operations::check_name(contents, name)?;
            let access = self.state().access().filter(|access| contents.fits(access)).ok_or(WalletError::Locked)?;
            contents.make(name, &access).map_err(|refused| self.keystore.refused(refused))
        });
        self.refresh();
        made
    }

    /// Whether this node can sign with its keys.
    pub fn protection(&self) -> Protection {
        self.refresh_now_and_then();
        self.state().protection()
    }

    /// Opens the keys with the passphrase. Takes a while, on purpose.
    ///
    /// # Errors
    /// [`WalletError`]; then the keys are as they were.
    pub fn unlock(&self, passphrase: &Passphrase) -> Result<(), WalletError> {
        let _turn = self.unlocking.try_lock().map_err(|_| WalletError::Trying)?;
        let contents = self.keystore.read()?.unwrap_or_default();
        if !contents.is_protected() {
            return Err(WalletError::NotProtected);
        }
        let access = contents.access(Some(passphrase)).map_err(|refused| self.keystore.refused(refused))?;
        self.replace(&contents, Some(Arc::new(access)))
    }

    /// Forgets the secrets until the passphrase is given again.
    ///
    /// # Errors
    /// [`WalletError::NotProtected`]: there is no passphrase to give.
    pub fn lock(&self) -> Result<(), WalletError> {
        let contents = self.keystore.read()?.unwrap_or_default();
        if !contents.is_protected() {
            return Err(WalletError::NotProtected);
        }
        self.replace(&contents, None)
    }

    /// The node's own address.
    pub fn own(&self) -> Address {
        self.own
    }

    /// The names, each with its address; the node's own first.
    pub fn names(&self) -> Vec<(String, Address)> {
        self.refresh();
        self.state().names().to_vec()
    }

    /// Whether there is a key of this name.
    pub fn has(&self, name: &str) -> bool {
        self.refresh();
        self.state().find(name).is_some()
    }

    /// The name of an address, if it has one here.
    pub fn name_of(&self, address: &Address) -> Option<String> {
        self.refresh_now_and_then();
        self.state().name_of(address).map(str::to_owned)
    }

    /// The name of an address that every node of this chain has for it too, if there is one.
    pub fn public_name_of(&self, address: &Address) -> Option<&'static str> {
        self.public_names.get(address).copied()
    }

    /// The address that a name or an address means.
    ///
    /// # Errors
    /// [`UnknownName`].
    pub fn address(&self, text: &str) -> Result<Address, UnknownName> {
        self.refresh();
        let state = self.state();
        if let Some(address) = state.find(text) {
            return Ok(address);
        }
        names::as_address(text, state.names().iter().map(|(name, _)| name.as_str()))
    }

    /// The key to sign with for a name or an address.
    ///
    /// # Errors
    /// [`NoKey`].
    pub fn key(&self, text: &str) -> Result<SecretKey, NoKey> {
        let address = self.address(text)?;
        self.state().key(&address).unwrap_or_else(|| Err(NoKey::Elsewhere(text.to_owned())))
    }
}

/// What opens the secrets; `None` where the passphrase is needed and was not given.
fn open_access(
    keystore: &Keystore,
    contents: &Contents,
    passphrase: Option<&Passphrase>,
) -> Result<Option<Access>, WalletError> {
    match contents.access(passphrase) {
        Ok(access) => Ok(Some(access)),
        Err(contents::Refused::Locked) => Ok(None),
        Err(refused) => Err(keystore.refused(refused)),
    }
}

/// Makes a keystore ready for a node: what earlier versions left is taken over, and there is a key of the node's own.
fn prepare(keystore: &Keystore, passphrase: Option<&Passphrase>) -> Result<(Contents, Option<Access>), WalletError> {
    let (contents, access, done) = keystore.change(|contents| {
        let refused = |refused| keystore.refused(refused);
        let access = match passphrase {
            Some(passphrase) if contents.keys().is_empty() && !contents.is_protected() => {
                passphrase.fit_to_protect().map_err(WalletError::Weak)?;
                contents.protect(&Access::Plain, Some(passphrase)).map_err(refused)?
            }
            _ => contents.access(passphrase).map_err(refused)?,
        };
        let done = old::take_over(old::files(keystore.dir())?, keystore, contents, &access)?;
        if contents.find(OWN_NAME).is_none() {
            contents.make(OWN_NAME, &access).map_err(refused)?;
        }
        Ok((contents.clone(), access, done))
    })?;
    old::remove(&done);
    Ok((contents, Some(access)))
}
