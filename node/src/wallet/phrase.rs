//! Recovery phrases: words from which a keystore's keys are made again.
//!
//! The words are those of BIP-39, in English and without a passphrase of their own. The key of index `i` is that of
//! SLIP-0010 for ed25519 at `m/44'/1111577156'/i'`; the number in the middle is "BARD" as four bytes, for BlockBard has none
//! in the list of registered coins. Any other software that knows the two standards finds the same keys.

use bip39::{Error, Language, Mnemonic};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha512;
use zeroize::Zeroizing;

use super::Secret;

/// The number that stands for BlockBard in the paths of keys.
const COIN: u32 = u32::from_be_bytes(*b"BARD");
/// What every path begins with.
const PURPOSE: u32 = 44;
/// Added to every step of a path: ed25519 has hardened steps alone.
const HARDENED: u32 = 1 << 31;
/// The highest index of a key.
pub const MAX_INDEX: u32 = HARDENED - 1;
/// Bytes of the randomness in a new phrase: 24 words.
const ENTROPY: usize = 32;

/// Why words are no recovery phrase. The words themselves are not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// There are too few or too many.
    #[error("a recovery phrase has 12, 15, 18, 21 or 24 words, not {0}")]
    Count(usize),
    /// One is not in the list.
    #[error("word {0} of the recovery phrase is not in the English list of BIP-39")]
    Word(usize),
    /// Each is in the list, but they do not belong together.
    #[error("the recovery phrase does not fit its checksum: a word is another, or two have changed places")]
    Checksum,
}

/// A recovery phrase.
pub struct Phrase(Mnemonic);

impl Phrase {
    /// A new one.
    pub(super) fn generate() -> Result<Self, super::seal::NotOpened> {
        let mut entropy = Zeroizing::new([0; ENTROPY]);
        super::seal::fill(entropy.as_mut())?;
        Self::from_entropy(entropy.as_slice()).ok_or_else(|| super::seal::NotOpened::Parameters("no phrase".to_owned()))
    }

    /// The one that holds this randomness.
    pub(super) fn from_entropy(entropy: &[u8]) -> Option<Self> {
        Mnemonic::from_entropy_in(Language::English, entropy).ok().map(Self)
    }

    /// The one that was typed, whatever the case and the spaces.
    ///
    /// # Errors
    /// [`PhraseError`].
    pub fn parse(text: &str) -> Result<Self, PhraseError> {
        let mut words = Zeroizing::new(String::with_capacity(text.len()));
        for word in text.split_whitespace() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.extend(word.chars().map(|c| c.to_ascii_lowercase()));
        }
        Mnemonic::parse_in_normalized(Language::English, &words).map(Self).map_err(|error| match error {
            Error::UnknownWord(index) => PhraseError::Word(index.saturating_add(1)),
            Error::InvalidChecksum => PhraseError::Checksum,
            _ => PhraseError::Count(text.split_whitespace().count()),
        })
    }

    /// The randomness in it.
    pub(super) fn entropy(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.to_entropy())
    }

    /// Its words, with a space between.
    pub fn words(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(256));
        for word in self.0.words() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// The secret of the key of this index.
    pub fn secret(&self, index: u32) -> Secret {
        let seed = Zeroizing::new(self.0.to_seed_normalized(""));
        derive(seed.as_slice(), &[PURPOSE, COIN, index]).secret
    }
}

/// The path of the key of this index, as people write it.
pub fn path(index: u32) -> String {
    format!("m/{PURPOSE}'/{COIN}'/{index}'")
}

/// A key of SLIP-0010, and what its children come from.
struct Node {
    secret: Secret,
    chain_code: Secret,
}

/// The key of SLIP-0010 for ed25519 that a path leads to from a seed; every step is hardened.
fn derive(seed: &[u8], path: &[u32]) -> Node {
    let mut node = halves(b"ed25519 seed", &[seed]);
    for step in path {
        let step = (step | HARDENED).to_be_bytes();
        node = halves(node.chain_code.as_slice(), &[&[0], node.secret.as_slice(), &step]);
    }
    node
}

/// HMAC-SHA-512 of the parts, in two halves.
fn halves(key: &[u8], parts: &[&[u8]]) -> Node {
    let mut node = Node { secret: Secret::default(), chain_code: Secret::default() };
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha512>::new_from_slice(key) else { return node };
    parts.iter().for_each(|part| mac.update(part));
    let all = Zeroizing::new(<[u8; 64]>::from(mac.finalize().into_bytes()));
    let (secret, chain_code) = all.split_at(32);
    node.secret.copy_from_slice(secret);
    node.chain_code.copy_from_slice(chain_code);
    node
}

#[cfg(test)]
mod tests {
    use bard_chain::signature::SecretKey;
    use serde::{Deserialize, de::DeserializeOwned};

    use super::*;

    #[derive(Deserialize)]
    struct Vectors<T> {
        source: String,
        cases: Vec<T>,
    }

    fn vectors<T: DeserializeOwned>(text: &str, count: usize) -> Vec<T> {
        let vectors: Vectors<T> = serde_json::from_str(text).expect("vectors");
        assert!(vectors.source.starts_with("https://"));
        assert_eq!(vectors.cases.len(), count);
        vectors.cases
    }

    #[derive(Deserialize)]
    struct Words {
        entropy: String,
        phrase: String,
        seed: String,
    }

    #[test]
    fn the_published_phrases() {
        for case in vectors::<Words>(include_str!("vectors/bip39.json"), 24) {
            let phrase = Phrase::from_entropy(&hex::decode(&case.entropy).expect("hex")).expect("a phrase");
            assert_eq!(*phrase.words(), case.phrase);
            let parsed = Phrase::parse(&case.phrase).expect("a phrase");
            assert_eq!(hex::encode(parsed.entropy().as_slice()), case.entropy);
            assert_eq!(hex::encode(parsed.0.to_seed_normalized("TREZOR")), case.seed);
        }
    }

    #[derive(Deserialize)]
    struct Derived {
        seed: String,
        path: String,
        chain_code: String,
        private: String,
        public: String,
    }

    #[test]
    fn the_published_keys() {
        for case in vectors::<Derived>(include_str!("vectors/slip10.json"), 12) {
            let steps = case.path.split('/').skip(1);
            let path: Vec<u32> = steps.map(|step| step.trim_end_matches('\'').parse().expect("a number")).collect();
            let node = derive(&hex::decode(&case.seed).expect("hex"), &path);
            assert_eq!(hex::encode(node.chain_code.as_slice()), case.chain_code, "{}", case.path);
            assert_eq!(hex::encode(node.secret.as_slice()), case.private, "{}", case.path);
            let address = SecretKey::from_seed(&node.secret).address();
            assert_eq!(format!("00{}", hex::encode(address.as_bytes())), case.public, "{}", case.path);
        }
    }

    #[test]
    fn our_own_path_stays() {
        let words = ["abandon"; 23].join(" ") + " art";
        let phrase = Phrase::parse(&words).expect("a phrase");
        let addresses: Vec<_> = (0..2).map(|i| SecretKey::from_seed(&phrase.secret(i)).address().to_string()).collect();
        let expected = [
            "bard12l0w4qkukwzp334a0m6na9w9gjzg3f2w450q79k538dtr7y8rjuqzre5c3",
            "bard1sgxx44cq687m39jk0at7klpgj5t07jsfrz40j805wyvyy8nf6qjq2tgyg0",
        ];
        assert_eq!(addresses, expected);
        assert_eq!(path(3), "m/44'/1111577156'/3'");
    }

    #[test]
    fn words_that_are_no_phrase() {
        let parse = |words: &str| Phrase::parse(words).err();
        let good = ["abandon"; 11].join(" ") + " about";
        assert_eq!(parse(&good), None);
        assert_eq!(parse(&format!("  {}\n", good.to_uppercase().replace(' ', "\t "))), None);
        assert_eq!(parse(""), Some(PhraseError::Count(0)));
        assert_eq!(parse("abandon about"), Some(PhraseError::Count(2)));
        assert_eq!(parse(&good.replace("about", "abandon")), Some(PhraseError::Checksum));
        assert_eq!(parse(&good.replace("about", "abuot")), Some(PhraseError::Word(12)));
    }

    #[test]
    fn each_new_phrase_is_another() {
        let (one, two) = (Phrase::generate().expect("made"), Phrase::generate().expect("made"));
        assert_eq!(one.words().split(' ').count(), 24);
        assert_ne!(*one.words(), *two.words());
    }
}
