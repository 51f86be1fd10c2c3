//! The running commitment to the whole ledger: an LtHash (lattice hash), whose cost per change does not depend on the
//! ledger's size.
//!
//! Each account and item is expanded by the BLAKE3 XOF to 1,024 numbers of 16 bits; the commitment is their sum, lane by
//! lane, modulo 2^16. Entries are added and taken out in any order. The parameters are those of Lewi, Kim, Maykov and Weis,
//! *Securing Update Propagation with Homomorphic Hashing* (2019), which estimates at least 200 bits of security for them.

use core::fmt;

use crate::{
    address::Address,
    encoding,
    hash::{Domain, Hash32},
    ledger::{
        Account, Delta, Item,
        expand::{Direction, Sum},
    },
    transaction::ItemName,
};

/// Numbers in the sum.
const LANES: usize = 1024;
/// Length of the sum in bytes.
pub const LEN: usize = LANES * 2;

/// The sum over all entries. The default is that of an empty ledger.
#[derive(Clone, PartialEq, Eq)]
pub struct Commitment(Box<[u16; LANES]>);

impl Default for Commitment {
    fn default() -> Self {
        Self(Box::new([0; LANES]))
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Commitment({})", self.root())
    }
}

impl Commitment {
    /// The state root that a header names.
    pub fn root(&self) -> Hash32 {
        Domain::StateRoot.hash(&[&self.to_bytes()])
    }

    /// The sum as bytes, each number least significant byte first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; LEN];
        for (pair, lane) in bytes.as_chunks_mut().0.iter_mut().zip(self.0.iter()) {
            *pair = lane.to_le_bytes();
        }
        bytes
    }

    /// From [`Commitment::to_bytes`]; `None` for another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != LEN {
            return None;
        }
        let mut sum = Self::default();
        for (lane, number) in sum.0.iter_mut().zip(numbers(bytes)) {
            *lane = number;
        }
        Some(sum)
    }

    /// Follows the ledger through changes.
    pub fn apply(&mut self, delta: &Delta) {
        let mut sum = Sum::new();
        for (address, change) in delta.accounts.iter().filter(|(_, change)| change.before != change.after) {
            for (account, direction) in [(&change.before, Direction::Out), (&change.after, Direction::In)] {
                if !account.is_empty() {
                    sum.combine(&account_entry(address, account), direction);
                }
            }
        }
        for (name, change) in delta.items.iter().filter(|(_, change)| change.before != change.after) {
            for (item, direction) in [(&change.before, Direction::Out), (&change.after, Direction::In)] {
                if let Some(item) = item {
                    sum.combine(&item_entry(name, item), direction);
                }
            }
        }
        for (lane, number) in self.0.iter_mut().zip(sum.numbers()) {
            *lane = lane.wrapping_add(number);
        }
    }
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.chunks_exact(2).map(|pair| pair.try_into().map_or(0, u16::from_le_bytes))
}

/// The canonical bytes of an account in the state: those of `(0, address, balance, nonce)`. A block has two for each account that
/// it changes, and the general writer would take three times as long.
fn account_entry(address: &Address, account: &Account) -> Vec<u8> {
    // An array of four; 0; a byte string of 32.
    const HEAD: [u8; 4] = [0x84, 0x00, 0x58, 0x20];
    const MAX_LEN: usize = 4 + 32 + 9 + 9;
    let mut entry = Vec::with_capacity(MAX_LEN);
    entry.extend(HEAD);
    entry.extend(address.as_bytes());
    encoding::push_number(&mut entry, account.balance.get());
    encoding::push_number(&mut entry, account.nonce.get());
    entry
}

/// The canonical bytes of an item in the state.
fn item_entry(name: &ItemName, item: &Item) -> Vec<u8> {
    encoding::encode(&(1_u8, name, item.holder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::Change,
        units::{Amount, Nonce},
    };

    fn delta(seed: u8, before: u64, after: u64) -> Delta {
        let account = |balance| Account { balance: Amount::new(balance), nonce: Nonce::ZERO };
        let mut delta = Delta::default();
        let change = Change { before: account(before), after: account(after) };
        delta.accounts.insert(Address::new([seed; 32]), change);
        let name = ItemName::new(format!("item {seed}"));
        let holder = Some(Address::new([seed; 32]));
        delta.items.insert(name, Change { before: None, after: Some(Item { holder }) });
        delta
    }

    #[test]
    fn order_does_not_matter_and_undo_undoes() {
        let (one, two) = (delta(1, 0, 5), delta(2, 0, 7));
        let mut forth = Commitment::default();
        forth.apply(&one);
        forth.apply(&two);
        let mut back = Commitment::default();
        back.apply(&two);
        back.apply(&one);
        assert_eq!(forth, back);
        assert_ne!(forth.root(), Commitment::default().root());
        forth.apply(&one.inverted());
        forth.apply(&two.inverted());
        assert_eq!(forth, Commitment::default());
    }

    #[test]
    fn an_entry_is_canonical() {
        let address = Address::new([7; 32]);
        for (balance, nonce) in [(0, 0), (24, 23), (u64::MAX, 0x1_0000)] {
            let account = Account { balance: Amount::new(balance), nonce: Nonce::new(nonce) };
            let expected = encoding::encode(&(0_u8, address, account.balance, account.nonce));
            assert_eq!(account_entry(&address, &account), expected);
        }
    }

    #[test]
    fn every_field_counts() {
        let root = |delta: &Delta| {
            let mut sum = Commitment::default();
            sum.apply(delta);
            sum.root()
        };
        let base = delta(1, 0, 5);
        let mut other_item = base.clone();
        other_item.items.values_mut().for_each(|change| change.after = Some(Item { holder: None }));
        let mut no_item = base.clone();
        no_item.items.clear();
        let roots = [root(&base), root(&delta(1, 0, 6)), root(&delta(2, 0, 5)), root(&other_item), root(&no_item)];
        let mut unique = roots.to_vec();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), roots.len());
    }

    #[test]
    fn bytes_and_back() {
        let mut sum = Commitment::default();
        sum.apply(&delta(3, 0, 9));
        assert_eq!(Commitment::from_bytes(&sum.to_bytes()), Some(sum));
        assert_eq!(Commitment::from_bytes(&[0; 7]), None);
    }
}
