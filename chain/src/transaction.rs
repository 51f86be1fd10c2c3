//! Transactions: one action of one sender, signed.

use core::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
};

use crate::{
    address::Address,
    array_form, encoding,
    hash::{ChainId, Domain, Hash32, TransactionId},
    hash_many::hash_all,
    signature::{Claim, SecretKey, Signature},
    units::{Amount, Nonce},
};

/// The version of transactions that this software knows.
pub const VERSION: u8 = 1;

/// The name of an item: the thing that is held. 1 to [`ItemName::MAX_LEN`] bytes of UTF-8 without control characters and
/// without a space at either end; the rules check it, so that a block with a bad one is refused by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemName(String);

impl ItemName {
    /// The longest name in bytes: it stays in the state for ever.
    pub const MAX_LEN: usize = 64;

    /// From any text; see [`ItemName::is_valid`].
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the rules accept it.
    pub fn is_valid(&self) -> bool {
        let name = self.0.as_str();
        (1..=Self::MAX_LEN).contains(&name.len())
            && !name.starts_with(' ')
            && !name.ends_with(' ')
            && !name.chars().any(char::is_control)
    }
}

impl fmt::Display for ItemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Pays `amount` to `to`.
    Transfer {
        /// Who is paid.
        to: Address,
        /// How much, in the smallest unit; not zero.
        amount: Amount,
    },
    /// Puts bytes on record.
    Record {
        /// What the bytes are, as a media type: `text/plain`, `application/json`; at most 64 visible ASCII characters.
        content_type: String,
        /// The bytes; the specification limits them.
        bytes: Vec<u8>,
    },
    /// Takes a free item.
    ItemRequest {
        /// Which item.
        item: ItemName,
    },
    /// Gives the sender's own item back.
    ItemRelease {
        /// Which item.
        item: ItemName,
    },
    /// Hands the sender's own item on.
    ItemTransfer {
        /// Which item.
        item: ItemName,
        /// Who holds it then.
        to: Address,
    },
}

impl Action {
    /// The item that the action is about, if it is about one.
    pub fn item(&self) -> Option<&ItemName> {
        match self {
            Self::Transfer { .. } | Self::Record { .. } => None,
            Self::ItemRequest { item } | Self::ItemRelease { item } | Self::ItemTransfer { item, .. } => Some(item),
        }
    }

    /// Who gets something by it: money, or an item.
    pub const fn recipient(&self) -> Option<&Address> {
        match self {
            Self::Transfer { to, .. } | Self::ItemTransfer { to, .. } => Some(to),
            Self::Record { .. } | Self::ItemRequest { .. } | Self::ItemRelease { .. } => None,
        }
    }

    /// The name of the action, as in the interfaces.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Transfer { .. } => "transfer",
            Self::Record { .. } => "record",
            Self::ItemRequest { .. } => "item_request",
            Self::ItemRelease { .. } => "item_release",
            Self::ItemTransfer { .. } => "item_transfer",
        }
    }
}

impl Serialize for Action {
    /// An array that begins with the number of the action.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Transfer { to, amount } => (0_u8, to, amount).serialize(serializer),
            Self::Record { content_type, bytes } => {
                (1_u8, content_type, serde_bytes::Bytes::new(bytes)).serialize(serializer)
            }
            Self::ItemRequest { item } => (2_u8, item).serialize(serializer),
            Self::ItemRelease { item } => (3_u8, item).serialize(serializer),
            Self::ItemTransfer { item, to } => (4_u8, item, to).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ActionVisitor)
    }
}

struct ActionVisitor;

impl<'de> Visitor<'de> for ActionVisitor {
    type Value = Action;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an action: an array that begins with 0 to 4")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Action, A::Error> {
        fn next<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(fields: &mut A) -> Result<T, A::Error> {
            fields.next_element()?.ok_or_else(|| de::Error::custom("the action lacks a field"))
        }
        match next::<A, u8>(&mut fields)? {
            0 => Ok(Action::Transfer { to: next(&mut fields)?, amount: next(&mut fields)? }),
            1 => Ok(Action::Record {
                content_type: next(&mut fields)?,
                bytes: next::<A, serde_bytes::ByteBuf>(&mut fields)?.into_vec(),
            }),
            2 => Ok(Action::ItemRequest { item: next(&mut fields)? }),
            3 => Ok(Action::ItemRelease { item: next(&mut fields)? }),
            4 => Ok(Action::ItemTransfer { item: next(&mut fields)?, to: next(&mut fields)? }),
            other => Err(de::Error::invalid_value(de::Unexpected::Unsigned(other.into()), &self)),
        }
    }
}

/// One action of one sender, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// [`VERSION`].
    pub version: u8,
    /// Who acts, pays the fee and signs.
    pub sender: Address,
    /// How many transactions of the sender come before this one.
    pub nonce: Nonce,
    /// What the miner of its block gets.
    pub fee: Amount,
    /// What it does.
    pub action: Action,
    /// By the sender over [`Transaction::signing_hash`].
    pub signature: Signature,
}

array_form!(Transaction {
    version: u8,
    sender: Address,
    nonce: Nonce,
    fee: Amount,
    action: Action,
    signature: Signature
});

impl Transaction {
    /// Makes and signs a transaction.
    pub fn sign(chain: ChainId, key: &SecretKey, nonce: Nonce, fee: Amount, action: Action) -> Self {
        let signature = Signature::new([0; 64]);
        let mut transaction = Self { version: VERSION, sender: key.address(), nonce, fee, action, signature };
        transaction.signature = key.sign(&transaction.signing_hash(chain));
        transaction
    }

    /// The hash that the sender signs: of the chain's id and all fields but the signature.
    pub fn signing_hash(&self, chain: ChainId) -> Hash32 {
        Domain::TransactionSigning.hash(&[&self.signed_bytes(chain)])
    }

    fn signed_bytes(&self, chain: ChainId) -> Vec<u8> {
        let body = (self.version, &self.sender, self.nonce, self.fee, &self.action);
        encoding::encode_after(chain.as_bytes(), &body)
    }

    /// What the signature claims.
    pub fn claim(&self, chain: ChainId) -> Claim {
        Claim { signer: self.sender, message: self.signing_hash(chain), signature: self.signature }
    }

    /// The id: the hash of the whole.
    pub fn id(&self) -> TransactionId {
        id_of(&encoding::encode(self))
    }
}

/// What the signatures of several transactions claim, in their order: [`Transaction::claim`] of each.
pub fn claims<'a>(chain: ChainId, transactions: impl Iterator<Item = &'a Transaction>) -> Vec<Claim> {
    let (transactions, signed): (Vec<_>, Vec<_>) = transactions.map(|one| (one, one.signed_bytes(chain))).unzip();
    let messages = hash_all(Domain::TransactionSigning, &signed);
    let claim = |(one, message): (&Transaction, _)| Claim { signer: one.sender, message, signature: one.signature };
    transactions.into_iter().zip(messages).map(claim).collect()
}

/// The ids of several transactions from the canonical bytes of each, in their order.
pub fn ids_of<B: AsRef<[u8]>>(all: &[B]) -> Vec<TransactionId> {
    hash_all(Domain::TransactionId, all).into_iter().map(|id| TransactionId::new(*id.as_bytes())).collect()
}

/// The id of a transaction from its canonical bytes.
pub fn id_of(bytes: &[u8]) -> TransactionId {
    TransactionId::new(*Domain::TransactionId.hash(&[bytes]).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions() -> Vec<Action> {
        let to = Address::new([3; 32]);
        let item = ItemName::new("projector");
        vec![
            Action::Transfer { to, amount: Amount::new(50) },
            Action::Record { content_type: "text/plain".into(), bytes: vec![1, 2, 3] },
            Action::ItemRequest { item: item.clone() },
            Action::ItemRelease { item: item.clone() },
            Action::ItemTransfer { item, to },
        ]
    }

    #[test]
    fn every_action_survives_its_encoding() {
        let key = SecretKey::from_seed(&[1; 32]);
        for action in actions() {
            let transaction = Transaction::sign(ChainId::ZERO, &key, Nonce::new(4), Amount::new(2), action);
            let bytes = encoding::encode(&transaction);
            assert_eq!(encoding::decode(&bytes, 4096), Ok(transaction.clone()));
            assert!(transaction.claim(ChainId::ZERO).holds());
            assert!(!transaction.claim(ChainId::new([1; 32])).holds(), "a signature is for one chain");
        }
    }

    #[test]
    fn an_unknown_action_is_malformed() {
        let unknown = encoding::encode(&(5_u8, "x"));
        assert!(encoding::decode::<Action>(&unknown, 64).is_err());
        let too_long = encoding::encode(&(2_u8, "x", 1_u8));
        assert!(encoding::decode::<Action>(&too_long, 64).is_err());
        let too_short = encoding::encode(&(4_u8, "x"));
        assert!(encoding::decode::<Action>(&too_short, 64).is_err());
    }

    #[test]
    fn item_names() {
        for good in ["42", "projector 3", "Schlüssel", &"x".repeat(64)] {
            assert!(ItemName::new(good).is_valid(), "{good}");
        }
        for bad in ["", " x", "x ", "a\nb", "a\u{7f}", &"x".repeat(65)] {
            assert!(!ItemName::new(bad).is_valid(), "{bad:?}");
        }
    }
}
