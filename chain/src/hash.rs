//! Hashes: 32 bytes, one byte order, one display order (lower-case hex, first byte first), and the domains they live in.
//!
//! Every hash but the seal is BLAKE3 in key-derivation mode, one context a purpose, so that bytes hashed for one
//! purpose can never stand for another.

use core::{cmp::Ordering, fmt, str::FromStr};
use std::sync::OnceLock;

use blake3::hazmat::{self, HasherExt};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What a hash is for: the complete list of BLAKE3 contexts of the consensus format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// The canonical specification of a chain; the genesis block names it as its parent.
    Specification,
    /// The header without its nonce; sealed together with the nonce.
    Header,
    /// What a sender signs: chain id and transaction body.
    TransactionSigning,
    /// The whole signed transaction; its id.
    TransactionId,
    /// A leaf of the transactions tree.
    MerkleLeaf,
    /// An inner node of the transactions tree.
    MerkleNode,
    /// One account or item, before its expansion into lattice elements.
    StateEntry,
    /// The sum of all lattice elements; the state root.
    StateRoot,
    /// The public seeds of the accounts of the `dev` chain.
    DevAccount,
    /// The coefficients of a batch of signatures.
    SignatureBatch,
}

/// How many there are.
const DOMAINS: usize = 10;

impl Domain {
    /// The BLAKE3 key-derivation context.
    pub const fn context(self) -> &'static str {
        match self {
            Self::Specification => "blockbard 2026 v1 chain specification",
            Self::Header => "blockbard 2026 v1 block header",
            Self::TransactionSigning => "blockbard 2026 v1 transaction signing",
            Self::TransactionId => "blockbard 2026 v1 transaction id",
            Self::MerkleLeaf => "blockbard 2026 v1 transactions tree leaf",
            Self::MerkleNode => "blockbard 2026 v1 transactions tree node",
            Self::StateEntry => "blockbard 2026 v1 state entry",
            Self::StateRoot => "blockbard 2026 v1 state root",
            Self::DevAccount => "blockbard 2026 v1 dev account",
            Self::SignatureBatch => "blockbard 2026 v1 signature batch",
        }
    }

    /// The key that BLAKE3 derives from the context; made once.
    pub(crate) fn context_key(self) -> [u8; 32] {
        static KEYS: [OnceLock<[u8; 32]>; DOMAINS] = [const { OnceLock::new() }; DOMAINS];
        let make = || hazmat::hash_derive_key_context(self.context());
        KEYS.get(self as usize).map_or_else(make, |key| *key.get_or_init(make))
    }

    /// A hasher of this domain.
    pub fn hasher(self) -> blake3::Hasher {
        blake3::Hasher::new_from_context_key(&self.context_key())
    }

    /// The hash of `parts`, one after the other.
    pub fn hash(self, parts: &[&[u8]]) -> Hash32 {
        let mut hasher = self.hasher();
        for part in parts {
            hasher.update(part);
        }
        Hash32::new(*hasher.finalize().as_bytes())
    }
}

/// The digests by which people know a content: BLAKE3 and SHA-256 as `b3sum` and `sha256sum` print them. They are for finding
/// things; no rule of a chain rests on them.
pub fn content_digests(content: &[u8]) -> [Hash32; 2] {
    let mut hasher = ContentHasher::default();
    hasher.update(content);
    hasher.finish()
}

/// [`content_digests`] of a content that comes in parts.
#[derive(Clone, Default)]
pub struct ContentHasher {
    blake3: blake3::Hasher,
    sha256: sha2::Sha256,
}

impl ContentHasher {
    /// Adds a part.
    pub fn update(&mut self, part: &[u8]) {
        self.blake3.update(part);
        sha2::Digest::update(&mut self.sha256, part);
    }

    /// The BLAKE3 and the SHA-256 digest of all parts.
    pub fn finish(self) -> [Hash32; 2] {
        let sha256 = sha2::Digest::finalize(self.sha256);
        [Hash32::new(*self.blake3.finalize().as_bytes()), Hash32::new(sha256.into())]
    }
}

/// A text that is not a hash: not 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 lower-case hex digits")]
pub struct NotAHash;

/// The order of 32 bytes, the first first. Of those that look random the first eight nearly always decide, and comparing them
/// as one number costs a tenth of a call; trees of accounts and transactions do little else.
#[inline]
pub(crate) fn order(one: &[u8; 32], other: &[u8; 32]) -> Ordering {
    let first = |bytes: &[u8; 32]| bytes.first_chunk().map_or(0, |first: &[u8; 8]| u64::from_be_bytes(*first));
    first(one).cmp(&first(other)).then_with(|| one.cmp(other))
}

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $name([u8; 32]);

        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                order(&self.0, &other.0)
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = 32;
            /// All bytes zero.
            pub const ZERO: Self = Self([0; 32]);

            /// From its bytes.
            pub const fn new(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = NotAHash;

            fn from_str(text: &str) -> Result<Self, NotAHash> {
                if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    return Err(NotAHash);
                }
                let mut bytes = [0; 32];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| NotAHash)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_bytes(FixedBytes::<32>).map(Self)
            }
        }
    };
}

hash_type!(
    /// A hash without further meaning: a tree root, a digest.
    Hash32
);
hash_type!(
    /// The id of a block: the result of its proof of work.
    BlockId
);
hash_type!(
    /// The id of a transaction: the hash of the whole of it, signature included.
    TransactionId
);
hash_type!(
    /// The id of a chain: the id of its genesis block, which commits to the whole specification.
    ChainId
);

impl From<ChainId> for BlockId {
    fn from(id: ChainId) -> Self {
        Self(id.0)
    }
}

impl ChainId {
    /// The first 16 hex digits: how protocols and folders name the chain.
    pub fn short(&self) -> String {
        hex::encode(self.0.first_chunk::<8>().unwrap_or(&[0; 8]))
    }
}

/// Reads a byte string of exactly `N` bytes, and nothing else.
pub(crate) struct FixedBytes<const N: usize>;

impl<const N: usize> de::Visitor<'_> for FixedBytes<N> {
    type Value = [u8; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a byte string of {N} bytes")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
        bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = BlockId::new([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("AB".repeat(32).parse::<BlockId>(), Err(NotAHash));
        assert_eq!("ab".repeat(31).parse::<BlockId>(), Err(NotAHash));
        assert_eq!(ChainId::new([0xab; 32]).short(), "abababababababab");
    }

    #[test]
    fn digests_of_content_are_the_common_ones() {
        let [blake3, sha256] = content_digests(b"");
        assert_eq!(blake3.to_string(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        assert_eq!(sha256.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn domains_differ() {
        assert_ne!(Domain::MerkleLeaf.hash(&[b"x"]), Domain::MerkleNode.hash(&[b"x"]));
        assert_eq!(Domain::Header.hash(&[b"ab", b"c"]), Domain::Header.hash(&[b"abc"]));
    }
}
