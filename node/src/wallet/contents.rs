//! What a keystore file holds.
//!
//! A JSON object with a checksum beside its content, so that a flipped bit is a damaged file and not another address. A
//! secret is either plain (no passphrase) or sealed; which, goes for all of a file. Names and addresses are never secret: who
//! may read the file sees them without the passphrase, and so does a node whose keys are locked.

use std::collections::HashSet;

use bard_chain::{address::Address, signature::SecretKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    MAX_KEYS, Passphrase, Secret,
    hex::Hex,
    is_name,
    phrase::{MAX_INDEX, Phrase},
    seal::{NotOpened, Protection, SealKey},
};

/// The version of the file that this software writes and reads.
const VERSION: u32 = 1;
/// Bytes that one entry takes in the file at most; only for making room.
const ENTRY_LEN: usize = 512;
/// The label under which the randomness of the phrase is sealed.
const PHRASE_LABEL: &str = "phrase";

/// What is wrong with a keystore file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage(pub(super) String);

impl From<&str> for Damage {
    fn from(what: &str) -> Self {
        Self(what.to_owned())
    }
}

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// From the recovery phrase of this keystore.
    Phrase {
        /// Its index.
        index: u32,
    },
    /// Its secret was brought from elsewhere.
    Imported,
    /// Its secret is elsewhere: the address is only known by a name.
    Watched,
}

/// A secret in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kept {
    Plain(Hex),
    Sealed(Hex),
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    #[serde(with = "as_text")]
    pub(super) address: Address,
    pub(super) origin: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<Kept>,
}

/// The recovery phrase and how many keys came from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    next: u32,
    entropy: Kept,
}

/// What a keystore file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contents {
    version: u32,
    /// How often it was written.
    pub(super) generation: u64,
    protection: Option<Protection>,
    phrase: Option<Seed>,
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<T> {
    checksum: String,
    keystore: T,
}

/// Enough of a file to tell its version.
#[derive(Deserialize)]
struct Peek {
    keystore: PeekVersion,
}

#[derive(Deserialize)]
struct PeekVersion {
    version: u32,
}

/// What opens the secrets of a keystore.
pub(super) enum Access {
    /// There is no passphrase.
    Plain,
    /// The key of this protection.
    Sealed(Box<(Protection, SealKey)>),
}

/// Why a keystore is not opened, or not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Locked,
    NotOpened(NotOpened),
    Damaged(Damage),
    /// Keys of the phrase, or keys at all, are used up.
    Full,
}

impl From<NotOpened> for Refused {
    fn from(error: NotOpened) -> Self {
        Self::NotOpened(error)
    }
}

impl From<Damage> for Refused {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl Default for Contents {
    fn default() -> Self {
        Self { version: VERSION, generation: 0, protection: None, phrase: None, keys: Vec::new() }
    }
}

impl Contents {
    /// Reads a file.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Damage> {
        let not_json = |error: serde_json::Error| Damage(format!("line {}: not as it was written", error.line()));
        let Peek { keystore: PeekVersion { version } } = serde_json::from_slice(bytes).map_err(not_json)?;
        if version != VERSION {
            return Err(Damage(format!("version {version} is not known to this software, which knows {VERSION}")));
        }
        let File { checksum, keystore }: File<Self> = serde_json::from_slice(bytes).map_err(not_json)?;
        if checksum != keystore.checksum() {
            return Err("the checksum does not match".into());
        }
        keystore.check().map(|()| keystore)
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = self.buffer();
        // Writing to memory cannot fail, and nothing here refuses to be written.
        let _ = serde_json::to_writer_pretty(&mut *bytes, &File { checksum: self.checksum(), keystore: self });
        bytes.push(b'\n');
        bytes
    }

    fn checksum(&self) -> String {
        let mut bytes = self.buffer();
        let _ = serde_json::to_writer(&mut *bytes, self);
        format!("{:08x}", crc32c::crc32c(&bytes))
    }

    /// With room for everything, so that no copy is left behind when it grows.
    fn buffer(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(Vec::with_capacity(self.keys.len().saturating_add(4).saturating_mul(ENTRY_LEN)))
    }

    fn check(&self) -> Result<(), Damage> {
        if let Some(protection) = &self.protection {
            protection.check_bounds().map_err(Damage)?;
        }
        if self.keys.len() > MAX_KEYS {
            return Err(Damage(format!("more than {MAX_KEYS} keys")));
        }
        let mut names = HashSet::new();
        for entry in &self.keys {
            if !is_name(&entry.name) || !names.insert(entry.name.as_str()) {
                return Err(Damage(format!("{:?} is no name, or there twice", entry.name)));
            }
            if entry.secret.is_none() != (entry.origin == Origin::Watched) {
                return Err(Damage(format!("{} has no secret, or one too many", entry.name)));
            }
        }
        let kept = self
            .keys
            .iter()
            .filter_map(|entry| entry.secret.as_ref())
            .chain(self.phrase.as_ref().map(|seed| &seed.entropy));
        for one in kept {
            if matches!(one, Kept::Sealed(_)) != self.protection.is_some() {
                return Err("some secrets are sealed and some are not".into());
            }
        }
        Ok(())
    }

    /// Whether a passphrase is needed.
    pub(super) fn is_protected(&self) -> bool {
        self.protection.is_some()
    }

    /// Whether there is a recovery phrase.
    pub(super) fn has_phrase(&self) -> bool {
        self.phrase.is_some()
    }

    /// The keys, in the order in which they came.
    pub(super) fn keys(&self) -> &[Entry] {
        &self.keys
    }

    /// The key of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.keys.iter().find(|entry| entry.name == name)
    }

    /// What opens the secrets, with the passphrase where one is needed.
    pub(super) fn access(&self, passphrase: Option<&Passphrase>) -> Result<Access, Refused> {
        match (&self.protection, passphrase) {
            (None, _) => Ok(Access::Plain),
            (Some(_), None) => Err(Refused::Locked),
            (Some(protection), Some(passphrase)) => {
                let key = protection.open(passphrase)?;
                Ok(Access::Sealed(Box::new((protection.clone(), key))))
            }
        }
    }

    /// Whether an access of earlier still opens the secrets.
    pub(super) fn fits(&self, access: &Access) -> bool {
        match (&self.protection, access) {
            (None, Access::Plain) => true,
            (Some(own), Access::Sealed(opened)) => *own == opened.0,
            _ => false,
        }
    }

    /// The secret of a key; `None` where it is elsewhere.
    pub(super) fn secret(&self, entry: &Entry, access: &Access) -> Result<Option<Secret>, Damage> {
        let Some(kept) = &entry.secret else { return Ok(None) };
        let damage = || Damage(format!("the secret of {} is not that of its address", entry.name));
        let bytes = access.open(&label(&entry.name, &entry.address), kept).ok_or_else(damage)?;
        let mut secret = Secret::default();
        if bytes.len() != secret.len() {
            return Err(damage());
        }
        secret.copy_from_slice(&bytes);
        if SecretKey::from_seed(&secret).address() == entry.address { Ok(Some(secret)) } else { Err(damage()) }
    }

    /// Makes the next key of the recovery phrase, and the phrase if there is none.
    pub(super) fn make(&mut self, name: &str, access: &Access) -> Result<Address, Refused> {
        let phrase = match self.phrase(access)? {
            Some(phrase) => phrase,
            None => {
                let phrase = Phrase::generate()?;
                self.adopt(&phrase, access)?;
                phrase
            }
        };
        loop {
            let seed = self.phrase.as_mut().ok_or(Refused::Full)?;
            let index = seed.next;
            if index > MAX_INDEX {
                return Err(Refused::Full);
            }
            seed.next = index.saturating_add(1);
            let secret = phrase.secret(index);
            let address = SecretKey::from_seed(&secret).address();
            // One that was brought back by its index already is passed over.
            if !self.keys.iter().any(|entry| entry.address == address) {
                return self.add(name, &secret, Origin::Phrase { index }, access);
            }
        }
    }

    /// Makes a phrase that of this keystore, which has none.
    pub(super) fn adopt(&mut self, phrase: &Phrase, access: &Access) -> Result<(), Refused> {
        let entropy = access.keep(PHRASE_LABEL, &phrase.entropy())?;
        self.phrase = Some(Seed { next: 0, entropy });
        Ok(())
    }

    /// The recovery phrase, if there is one.
    pub(super) fn phrase(&self, access: &Access) -> Result<Option<Phrase>, Damage> {
        let Some(seed) = &self.phrase else { return Ok(None) };
        let entropy = access.open(PHRASE_LABEL, &seed.entropy);
        let phrase = entropy.and_then(|entropy| Phrase::from_entropy(&entropy));
        phrase.map(Some).ok_or_else(|| "the recovery phrase cannot be opened".into())
    }

    /// Adds a key with its secret.
    pub(super) fn add(
        &mut self,
        name: &str,
        secret: &Secret,
        origin: Origin,
        access: &Access,
    ) -> Result<Address, Refused> {
        let address = SecretKey::from_seed(secret).address();
        let kept = access.keep(&label(name, &address), secret.as_slice())?;
        if let (Origin::Phrase { index }, Some(seed)) = (origin, &mut self.phrase) {
            seed.next = seed.next.max(index.saturating_add(1));
        }
        self.push(Entry { name: name.to_owned(), address, origin, secret: Some(kept) })
    }

    /// Adds an address whose secret is elsewhere.
    pub(super) fn watch(&mut self, name: &str, address: Address) -> Result<Address, Refused> {
        self.push(Entry { name: name.to_owned(), address, origin: Origin::Watched, secret: None })
    }

    fn push(&mut self, entry: Entry) -> Result<Address, Refused> {
        if self.keys.len() >= MAX_KEYS {
            return Err(Refused::Full);
        }
        let address = entry.address;
        self.keys.push(entry);
        Ok(address)
    }

    /// Takes a key out.
    pub(super) fn remove(&mut self, name: &str) {
        self.keys.retain(|entry| entry.name != name);
    }

    /// Seals every secret with another passphrase, or with none.
    pub(super) fn protect(&mut self, before: &Access, passphrase: Option<&Passphrase>) -> Result<Access, Refused> {
        let after = match passphrase {
            Some(passphrase) => Access::Sealed(Box::new(Protection::new(passphrase)?)),
            None => Access::Plain,
        };
        let mut keys = self.keys.clone();
        for entry in &mut keys {
            if let Some(secret) = self.secret(entry, before)? {
                entry.secret = Some(after.keep(&label(&entry.name, &entry.address), secret.as_slice())?);
            }
        }
        let phrase = self.phrase(before)?;
        if let (Some(phrase), Some(seed)) = (phrase, &mut self.phrase) {
            seed.entropy = after.keep(PHRASE_LABEL, &phrase.entropy())?;
        }
        self.keys = keys;
        self.protection = match &after {
            Access::Plain => None,
            Access::Sealed(sealed) => Some(sealed.0.clone()),
        };
        Ok(after)
    }
}

impl Access {
    fn open(&self, label: &str, kept: &Kept) -> Option<Zeroizing<Vec<u8>>> {
        match (self, kept) {
            (Self::Plain, Kept::Plain(bytes)) => Some(Zeroizing::new(bytes.as_bytes().to_vec())),
            (Self::Sealed(sealed), Kept::Sealed(bytes)) => sealed.1.open(label, bytes.as_bytes()),
            _ => None,
        }
    }

    fn keep(&self, label: &str, bytes: &[u8]) -> Result<Kept, NotOpened> {
        match self {
            Self::Plain => Ok(Kept::Plain(Hex::new(bytes))),
            Self::Sealed(sealed) => sealed.1.seal(label, bytes).map(|bytes| Kept::Sealed(Hex::new(&bytes))),
        }
    }
}

/// What a secret belongs to.
fn label(name: &str, address: &Address) -> String {
    format!("key\0{name}\0{address}")
}

/// An address as people write it.
mod as_text {
    use bard_chain::address::Address;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(address)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned()).expect("a passphrase")
    }

    fn filled() -> Contents {
        let mut contents = Contents::default();
        contents.make("me", &Access::Plain).expect("made");
        contents.add("old", &Secret::new([7; 32]), Origin::Imported, &Access::Plain).expect("added");
        contents.watch("far", Address::new([9; 32])).expect("added");
        contents
    }

    #[test]
    fn what_is_written_is_read() {
        let contents = filled();
        assert_eq!(Contents::from_bytes(&contents.to_bytes()), Ok(contents));
    }

    #[test]
    fn every_flipped_bit_and_every_lost_end_is_noticed() {
        let contents = filled();
        let bytes = contents.to_bytes();
        let end = bytes.len() - 2;
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << bit;
                match Contents::from_bytes(&flipped) {
                    Err(_) => {}
                    Ok(read) => assert_eq!(read, contents, "byte {at}, bit {bit}: not noticed and not the same"),
                }
            }
            assert!(at > end || Contents::from_bytes(&bytes[..at]).is_err(), "{at} bytes");
        }
    }

    #[test]
    fn versions_to_come_are_named() {
        let text = String::from_utf8(filled().to_bytes().to_vec()).expect("text");
        let later = text.replacen("\"version\": 1", "\"version\": 2, \"more\": []", 1);
        let damage = Contents::from_bytes(later.as_bytes()).expect_err("of later");
        assert!(damage.0.contains("version 2"), "{damage:?}");
    }

    #[test]
    fn a_passphrase_is_set_changed_and_removed() {
        let mut contents = filled();
        let plain: Vec<_> = contents.keys.clone();
        let phrase = contents.phrase(&Access::Plain).expect("opens").expect("there").words();
        contents.protect(&Access::Plain, Some(&passphrase("correct horse"))).expect("set");
        let bytes = contents.to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(&"07".repeat(32)), "the secret is not in the file");
        let mut contents = Contents::from_bytes(&bytes).expect("reads");
        assert!(matches!(contents.access(None), Err(Refused::Locked)));
        assert!(matches!(contents.access(Some(&passphrase("wrong horse"))), Err(Refused::NotOpened(NotOpened::Wrong))));
        let access = contents.access(Some(&passphrase("correct horse"))).expect("opens");
        assert_eq!(contents.phrase(&access).expect("opens").expect("there").words(), phrase);
        let old = contents.find("old").expect("there");
        assert_eq!(contents.secret(old, &access), Ok(Some(Secret::new([7; 32]))));
        let after = contents.protect(&access, Some(&passphrase("another one"))).expect("changed");
        assert!(!contents.fits(&access) && contents.fits(&after));
        assert!(contents.access(Some(&passphrase("correct horse"))).is_err());
        contents.protect(&after, None).expect("removed");
        assert_eq!(contents.keys, plain);
    }

    #[test]
    fn a_sealed_secret_is_for_one_name() {
        let mut contents = filled();
        let access = contents.protect(&Access::Plain, Some(&passphrase("correct horse"))).expect("set");
        let secret = contents.keys[0].secret.clone();
        contents.keys[1].secret = secret;
        assert!(contents.secret(&contents.keys[1], &access).is_err());
        contents.keys[0].name = "you".to_owned();
        assert!(contents.secret(&contents.keys[0], &access).is_err());
    }

    #[test]
    fn keys_come_again_from_the_phrase() {
        let mut contents = Contents::default();
        let made: Vec<_> = ["a", "b", "c"].map(|name| contents.make(name, &Access::Plain).expect("made")).into();
        let phrase = contents.phrase(&Access::Plain).expect("opens").expect("there");
        let mut again = Contents::default();
        again.adopt(&phrase, &Access::Plain).expect("adopted");
        again.add("b", &phrase.secret(1), Origin::Imported, &Access::Plain).expect("added");
        let others: Vec<_> = ["x", "y"].map(|name| again.make(name, &Access::Plain).expect("made")).into();
        assert_eq!(others, [made[0], made[2]], "the one that is there is passed over");
    }
}
