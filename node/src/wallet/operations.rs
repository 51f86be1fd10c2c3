//! What may be done with a keystore without a node.

use bard_chain::address::Address;

use super::{
    MAX_NAME, Passphrase, RESERVED, Secret, UnknownName, WalletError,
    contents::{Access, Contents, Origin},
    is_name,
    keystore::Keystore,
    names::{self, nearest},
    phrase::Phrase,
};

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: Address,
    /// Where it comes from.
    pub origin: Origin,
}

/// What a keystore tells without its passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// Whether there is one.
    pub exists: bool,
    /// Whether a passphrase protects it.
    pub protected: bool,
    /// Whether it has a recovery phrase.
    pub has_phrase: bool,
    /// Its keys, in the order in which they came.
    pub keys: Vec<KeyInfo>,
}

impl Overview {
    /// The key that a name or an address means.
    ///
    /// # Errors
    /// [`WalletError::Unknown`].
    pub fn find(&self, text: &str) -> Result<&KeyInfo, WalletError> {
        let by_address = |key: &&KeyInfo| text.parse::<Address>().is_ok_and(|address| address == key.address);
        let found = self.keys.iter().find(|key| key.name == text).or_else(|| self.keys.iter().find(by_address));
        found.ok_or_else(|| unknown(text, self.keys.iter().map(|key| key.name.as_str())))
    }

    /// The address that a name or an address means, be it known here or not.
    ///
    /// # Errors
    /// [`UnknownName`].
    pub fn address(&self, text: &str) -> Result<Address, UnknownName> {
        match self.keys.iter().find(|key| key.name == text) {
            Some(key) => Ok(key.address),
            None => names::as_address(text, self.keys.iter().map(|key| key.name.as_str())),
        }
    }
}

fn unknown<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> WalletError {
    WalletError::Unknown { name: text.chars().take(2 * MAX_NAME).collect(), near: nearest(text, names) }
}

/// A key that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its address.
    pub address: Address,
    /// Whether the recovery phrase was made with it.
    pub first: bool,
}

/// Whether a key may have this name, and none has it yet.
pub(super) fn check_name(contents: &Contents, name: &str) -> Result<(), WalletError> {
    if !is_name(name) {
        return Err(WalletError::Name(name.chars().take(2 * MAX_NAME).collect()));
    }
    if RESERVED.contains(&name) {
        return Err(WalletError::Reserved(name.to_owned()));
    }
    if contents.find(name).is_some() {
        return Err(WalletError::Taken(name.to_owned()));
    }
    Ok(())
}

impl Keystore {
    /// What it tells without its passphrase.
    ///
    /// # Errors
    /// It is damaged or cannot be read.
    pub fn look(&self) -> Result<Overview, WalletError> {
        let found = self.read()?;
        let exists = found.is_some();
        let contents = found.unwrap_or_default();
        let info = |entry: &super::contents::Entry| KeyInfo {
            name: entry.name.clone(),
            address: entry.address,
            origin: entry.origin,
        };
        Ok(Overview {
            exists,
            protected: contents.is_protected(),
            has_phrase: contents.has_phrase(),
            keys: contents.keys().iter().map(info).collect(),
        })
    }

    /// What opens the secrets.
    fn access(&self, contents: &Contents, passphrase: Option<&Passphrase>) -> Result<Access, WalletError> {
        contents.access(passphrase).map_err(|refused| self.refused(refused))
    }

    /// Makes the next key of the recovery phrase; the phrase too, if there is none.
    ///
    /// # Errors
    /// [`WalletError`]; then there is no new key.
    pub fn make(&self, name: &str, passphrase: Option<&Passphrase>) -> Result<Made, WalletError> {
        self.change(|contents| {
            check_name(contents, name)?;
            let access = self.access(contents, passphrase)?;
            let first = !contents.has_phrase();
            let address = contents.make(name, &access).map_err(|refused| self.refused(refused))?;
            Ok(Made { address, first })
        })
    }

    /// Brings in a key by its secret.
    ///
    /// # Errors
    /// [`WalletError`]; then nothing has changed.
    pub fn import_secret(
        &self,
        name: &str,
        secret: &Secret,
        passphrase: Option<&Passphrase>,
    ) -> Result<Address, WalletError> {
        self.change(|contents| {
            check_new(contents, name, secret)?;
            let access = self.access(contents, passphrase)?;
            contents.add(name, secret, Origin::Imported, &access).map_err(|refused| self.refused(refused))
        })
    }

    /// Brings in the key of this index of a recovery phrase. A keystore without a phrase takes it for its own.
    ///
    /// # Errors
    /// [`WalletError`]; then nothing has changed.
    pub fn import_phrase(
        &self,
        name: &str,
        phrase: &Phrase,
        index: u32,
        passphrase: Option<&Passphrase>,
    ) -> Result<Address, WalletError> {
        let secret = phrase.secret(index);
        self.change(|contents| {
            check_new(contents, name, &secret)?;
            let access = self.access(contents, passphrase)?;
            let refused = |refused| self.refused(refused);
            let own = contents.phrase(&access).map_err(|damage| refused(damage.into()))?;
            let same = match own {
                Some(own) => own.words() == phrase.words(),
                None => contents.adopt(phrase, &access).map(|()| true).map_err(refused)?,
            };
            let origin = if same { Origin::Phrase { index } } else { Origin::Imported };
            contents.add(name, &secret, origin, &access).map_err(refused)
        })
    }

    /// Gives an address a name; its secret stays elsewhere.
    ///
    /// # Errors
    /// [`WalletError`]; then nothing has changed.
    pub fn watch(&self, name: &str, address: Address) -> Result<(), WalletError> {
        self.change(|contents| {
            check_name(contents, name)?;
            check_address(contents, &address)?;
            contents.watch(name, address).map(|_| ()).map_err(|refused| self.refused(refused))
        })
    }

    /// Takes a key out, for good.
    ///
    /// # Errors
    /// [`WalletError`]; then nothing has changed.
    pub fn remove(&self, name: &str) -> Result<(), WalletError> {
        self.change(|contents| {
            if contents.find(name).is_none() {
                return Err(unknown(name, contents.keys().iter().map(|entry| entry.name.as_str())));
            }
            contents.remove(name);
            Ok(())
        })
    }

    /// Sets another passphrase, or none.
    ///
    /// # Errors
    /// [`WalletError`]; then nothing has changed.
    pub fn protect(&self, before: Option<&Passphrase>, after: Option<&Passphrase>) -> Result<(), WalletError> {
        self.change(|contents| {
            let access = self.access(contents, before)?;
            contents.protect(&access, after).map(|_| ()).map_err(|refused| self.refused(refused))
        })
    }

    /// The recovery phrase, if there is one.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn phrase(&self, passphrase: Option<&Passphrase>) -> Result<Option<Phrase>, WalletError> {
        let contents = self.read()?.unwrap_or_default();
        let access = self.access(&contents, passphrase)?;
        contents.phrase(&access).map_err(|damage| self.refused(damage.into()))
    }

    /// The secret of the key that a name or an address means.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn secret(&self, text: &str, passphrase: Option<&Passphrase>) -> Result<Secret, WalletError> {
        let contents = self.read()?.unwrap_or_default();
        let name = self.look()?.find(text)?.name.clone();
        let entry = contents.find(&name).ok_or_else(|| unknown(text, std::iter::empty()))?;
        let access = self.access(&contents, passphrase)?;
        let secret = contents.secret(entry, &access).map_err(|damage| self.refused(damage.into()))?;
        secret.ok_or(WalletError::Watched(name))
    }
}

fn check_new(contents: &Contents, name: &str, secret: &Secret) -> Result<(), WalletError> {
    check_name(contents, name)?;
    check_address(contents, &bard_chain::signature::SecretKey::from_seed(secret).address())
}

fn check_address(contents: &Contents, address: &Address) -> Result<(), WalletError> {
    match contents.keys().iter().find(|entry| entry.address == *address) {
        Some(known) => Err(WalletError::Known { name: known.name.clone() }),
        None => Ok(()),
    }
}
