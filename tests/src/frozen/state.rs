//! The commitment to the ledger, through a sequence of changes.

use bard_chain::{
    address::Address,
    ledger::{Account, Change, Delta, Item, commitment::Commitment},
    transaction::ItemName,
    units::{Amount, Nonce},
};
use serde::{Deserialize, Serialize};

use crate::frozen::blocks::bytes;

/// One entry that is set, and the root over all entries afterwards. Keys and hashes are in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "an entry and the root after it")]
pub struct StateCase {
    pub set: Entry,
    pub root: String,
}

/// An account with its balance and nonce; an item that is held, free, or, by `forgotten`, no longer there at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of an entry")]
pub enum Entry {
    Account { key: String, balance: u64, nonce: u64 },
    Held { item: String, holder: String },
    Free { item: String },
    Forgotten { item: String },
}

/// Sets the entries one after the other and freezes the root after each.
pub fn sequence(entries: &[Entry]) -> Vec<StateCase> {
    let mut commitment = Commitment::default();
    let (mut accounts, mut items) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
    let mut step = |set: &Entry| {
        let mut delta = Delta::default();
        match set {
            Entry::Account { key, balance, nonce } => {
                let after = Account { balance: Amount::new(*balance), nonce: Nonce::new(*nonce) };
                let address = Address::new(bytes(key));
                let before = accounts.insert(address, after).unwrap_or_default();
                delta.accounts.insert(address, Change { before, after });
            }
            Entry::Held { item, .. } | Entry::Free { item } | Entry::Forgotten { item } => {
                let after = match set {
                    Entry::Held { holder, .. } => Some(Item { holder: Some(Address::new(bytes(holder))) }),
                    Entry::Free { .. } => Some(Item { holder: None }),
                    Entry::Forgotten { .. } | Entry::Account { .. } => None,
                };
                let name = ItemName::new(item);
                let before = items.insert(name.clone(), after).flatten();
                delta.items.insert(name, Change { before, after });
            }
        }
        commitment.apply(&delta);
        StateCase { set: set.clone(), root: commitment.root().to_string() }
    };
    entries.iter().map(&mut step).collect()
}

/// The sequence that is frozen; it ends with nothing, as it began.
pub fn all() -> Vec<StateCase> {
    let key = |fill: u8| hex::encode([fill; 32]);
    let account = |fill, balance, nonce| Entry::Account { key: key(fill), balance, nonce };
    let item = || "projector".to_owned();
    sequence(&[
        account(1, 0, 0),
        account(1, 5, 0),
        account(2, Amount::MAX.get(), 0),
        account(1, 0, 1),
        Entry::Held { item: item(), holder: key(1) },
        Entry::Held { item: item(), holder: key(2) },
        Entry::Free { item: item() },
        Entry::Free { item: "Schlüssel 7".to_owned() },
        account(3, u64::MAX, u64::MAX),
        account(3, 0, 0),
        account(2, 0, 0),
        account(1, 0, 0),
        Entry::Forgotten { item: item() },
        Entry::Forgotten { item: "Schlüssel 7".to_owned() },
    ])
}
