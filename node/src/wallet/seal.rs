//! How a passphrase protects secrets: argon2id makes a key of it, XChaCha20-Poly1305 seals each secret with that key.
//!
//! What a secret belongs to (its name and address) is sealed in as associated data, so that nobody can hand one entry the
//! secret of another. Each sealing takes a new nonce of 24 random bytes, long enough never to meet again.
//!
//! # Security
//! The parameters are stored beside the salt, for later ones will be dearer. What a file asks for is bounded before anything
//! is allocated: a planted file must not take all memory, nor weaken the next protection.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Passphrase, hex::Hex};

/// Memory of one derivation, in KiB: more than OWASP's least (19 MiB), as RFC 9106 recommends where memory is scarce.
const MEMORY_KIB: u32 = 64 << 10;
/// Passes over that memory.
const PASSES: u32 = 3;
/// What parameters of a file may be: from OWASP's least to what a machine that runs a node has.
const MEMORY_ALLOWED: std::ops::RangeInclusive<u32> = 19 << 10..=1 << 20;
/// See [`MEMORY_ALLOWED`].
const PASSES_ALLOWED: std::ops::RangeInclusive<u32> = 2..=16;
/// See [`MEMORY_ALLOWED`].
const LANES_ALLOWED: std::ops::RangeInclusive<u32> = 1..=16;
/// Bytes of a salt.
const SALT: usize = 16;
/// Bytes of a nonce.
const NONCE: usize = 24;
/// What every label of a sealed secret begins with.
const DOMAIN: &str = "BlockBard keystore 1";
/// The label of what tells a wrong passphrase from a damaged file.
const CHECK: &str = "check";

/// The name of the function that makes a key of a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Function {
    #[serde(rename = "argon2id")]
    Argon2id,
}

/// How a keystore is protected: everything but the passphrase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Protection {
    function: Function,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Hex,
    /// Nothing, sealed.
    check: Hex,
}

/// Why a passphrase opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotOpened {
    #[error("the passphrase is wrong")]
    Wrong,
    #[error("{0}")]
    Parameters(String),
    #[error("the system gives no randomness: {0}")]
    Randomness(String),
}

impl Protection {
    /// A new protection by this passphrase, and its key.
    pub(super) fn new(passphrase: &Passphrase) -> Result<(Self, SealKey), NotOpened> {
        let mut salt = [0; SALT];
        fill(&mut salt)?;
        let mut protection = Self {
            function: Function::Argon2id,
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: 1,
            salt: Hex::new(&salt),
            check: Hex::new(&[]),
        };
        let key = protection.derive(passphrase)?;
        protection.check = Hex::new(&key.seal(CHECK, &[])?);
        Ok((protection, key))
    }

    /// The key, if the passphrase is the right one.
    pub(super) fn open(&self, passphrase: &Passphrase) -> Result<SealKey, NotOpened> {
        let key = self.derive(passphrase)?;
        key.open(CHECK, self.check.as_bytes()).map(|_| key).ok_or(NotOpened::Wrong)
    }

    /// Whether what the file asks for is within bounds.
    pub(super) fn check_bounds(&self) -> Result<(), String> {
        let bounds = [
            ("memory_kib", self.memory_kib, MEMORY_ALLOWED),
            ("passes", self.passes, PASSES_ALLOWED),
            ("lanes", self.lanes, LANES_ALLOWED),
        ];
        for (name, value, allowed) in bounds {
            if !allowed.contains(&value) {
                return Err(format!("{name} {value} is not in {} to {}", allowed.start(), allowed.end()));
            }
        }
        if self.salt.as_bytes().len() == SALT { Ok(()) } else { Err(format!("the salt has not {SALT} bytes")) }
    }

    fn derive(&self, passphrase: &Passphrase) -> Result<SealKey, NotOpened> {
        self.check_bounds().map_err(NotOpened::Parameters)?;
        let odd = |error: argon2::Error| NotOpened::Parameters(error.to_string());
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(odd)?;
        let mut key = Zeroizing::new([0; 32]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(passphrase.as_bytes(), self.salt.as_bytes(), key.as_mut()).map_err(odd)?;
        Ok(SealKey(key))
    }
}

/// The key that seals the secrets of a keystore.
pub(super) struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }

    /// Seals bytes under a label: nonce, then ciphertext.
    pub(super) fn seal(&self, label: &str, plain: &[u8]) -> Result<Vec<u8>, NotOpened> {
        let mut nonce = [0; NONCE];
        fill(&mut nonce)?;
        let aad = associated(label);
        let payload = Payload { msg: plain, aad: &aad };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        // It fails for 256 GiB, no sooner.
        let sealed = sealed.map_err(|_| NotOpened::Parameters("too much to seal".to_owned()))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// What was sealed under this label; `None` where key, label or a bit is another.
    pub(super) fn open(&self, label: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let aad = associated(label);
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: &aad });
        plain.ok().map(Zeroizing::new)
    }
}

fn associated(label: &str) -> Vec<u8> {
    [DOMAIN, label].join("\0").into_bytes()
}

/// Fills a buffer with what nobody can guess.
pub(super) fn fill(buffer: &mut [u8]) -> Result<(), NotOpened> {
    getrandom::fill(buffer).map_err(|error| NotOpened::Randomness(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned()).expect("a passphrase")
    }

    #[test]
    fn only_the_right_passphrase_and_label_open() {
        let (protection, key) = Protection::new(&passphrase("correct horse")).expect("made");
        let sealed = key.seal("a", b"secret").expect("sealed");
        assert_ne!(sealed, key.seal("a", b"secret").expect("sealed"), "a nonce is never used again");
        let again = protection.open(&passphrase("correct horse")).expect("opens");
        assert_eq!(again.open("a", &sealed).expect("opens").as_slice(), b"secret");
        assert!(again.open("b", &sealed).is_none());
        assert_eq!(protection.open(&passphrase("correct horsf")).err(), Some(NotOpened::Wrong));
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(again.open("a", &flipped).is_none(), "byte {at}");
            assert!(again.open("a", &sealed[..at]).is_none(), "{at} bytes");
        }
    }

    #[test]
    fn what_a_file_may_ask_for_is_bounded() {
        let (good, _) = Protection::new(&passphrase("correct horse")).expect("made");
        for bad in [
            Protection { memory_kib: u32::MAX, ..good.clone() },
            Protection { memory_kib: 100 << 20, ..good.clone() },
            Protection { memory_kib: 8, ..good.clone() },
            Protection { passes: u32::MAX, ..good.clone() },
            Protection { passes: 1, ..good.clone() },
            Protection { lanes: 0, ..good.clone() },
            Protection { lanes: 1 << 24, ..good.clone() },
            Protection { salt: Hex::new(&[1; 8]), ..good.clone() },
        ] {
            let began = std::time::Instant::now();
            assert!(matches!(bad.open(&passphrase("correct horse")), Err(NotOpened::Parameters(_))), "{bad:?}");
            assert!(began.elapsed().as_millis() < 100, "refused before any work");
        }
    }
}
