//! Snapshots: the whole ledger at a height, with the headers up to it, checked against the state root that the last of them
//! names.
//!
//! A snapshot is a sequence of parts, each the canonical bytes of one: headers from height 1 on, then accounts by address, then
//! items by name, then how many of each there were. They are checked one by one as they come, in bounded memory: a state of any
//! size needs no more than a part of it and a sum.
//!
//! # Security
//! What [`Check::finish`] vouches for: the headers obey every rule that headers have, work, difficulty and times included; the
//! accounts and items are exactly those that the last header commits to; and the accounts together have what the genesis block
//! gave and the subsidies up to that height, no more and no less. It does not show that the transactions that led
//! there were valid, and the headers before the last are anybody's to copy: **whoever seals one block can seal any state**, so that
//! what stands behind the state is the work of the last block alone. So its id must be compared with what a node says that its
//! reader trusts. Nor does it show that no other branch has more work. Who asks for all of that replays the blocks.

use crate::{
    address::Address,
    block::{HEADER_MAX_LEN, Header},
    encoding::{self, EncodingError},
    hash::{BlockId, Hash32},
    invalid::Invalid,
    ledger::{Account, Change, Delta, Item, commitment::Commitment},
    rules::in_chain::Position,
    spec::ChainSpec,
    transaction::ItemName,
    units::{Height, Timestamp, Work},
};

/// The most headers, accounts or items in one part.
pub const MAX_ENTRIES: usize = 1_000;

/// The longest part in canonical bytes: headers are the longest entries, and the rest is the part's own.
#[allow(clippy::arithmetic_side_effects, reason = "a sum of constants, computed by the compiler")]
pub const MAX_PART_LEN: usize = MAX_ENTRIES * HEADER_MAX_LEN + 64;

/// Tags of parts, in the order in which they come.
const HEADERS: u8 = 0;
const ACCOUNTS: u8 = 1;
const ITEMS: u8 = 2;
const END: u8 = 3;

/// A part with headers, each the parent of the next; at most [`MAX_ENTRIES`].
pub fn headers_part(headers: &[Header]) -> Vec<u8> {
    encoding::encode(&(HEADERS, headers))
}

/// A part with accounts that are not empty, by address; at most [`MAX_ENTRIES`].
pub fn accounts_part(accounts: &[(Address, Account)]) -> Vec<u8> {
    encoding::encode(&(ACCOUNTS, accounts))
}

/// A part with items, by name; at most [`MAX_ENTRIES`].
pub fn items_part(items: &[(ItemName, Item)]) -> Vec<u8> {
    encoding::encode(&(ITEMS, items))
}

/// The last part: how many accounts and items there were.
pub fn end_part(accounts: u64, items: u64) -> Vec<u8> {
    encoding::encode(&(END, (accounts, items)))
}

/// A part, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Headers, each the parent of the next.
    Headers(Vec<Header>),
    /// Accounts, by address.
    Accounts(Vec<(Address, Account)>),
    /// Items, by name.
    Items(Vec<(ItemName, Item)>),
    /// The end: how many accounts and items there were.
    End(u64, u64),
}

impl Part {
    /// Reads a part; whether it is a good one in its place is for [`Check`] to say.
    ///
    /// # Errors
    /// Where it is malformed, too long, or of no known kind.
    pub fn read(bytes: &[u8]) -> Result<Self, SnapshotError> {
        match encoding::peek_first(bytes, MAX_PART_LEN).ok_or(SnapshotError::Part)? {
            HEADERS => entries(bytes).map(Self::Headers),
            ACCOUNTS => entries(bytes).map(Self::Accounts),
            ITEMS => entries(bytes).map(Self::Items),
            END => {
                let (_, (accounts, items)): (u8, (u64, u64)) = encoding::decode(bytes, MAX_PART_LEN)?;
                Ok(Self::End(accounts, items))
            }
            _ => Err(SnapshotError::Part),
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Headers(_) => HEADERS,
            Self::Accounts(_) => ACCOUNTS,
            Self::Items(_) => ITEMS,
            Self::End(..) => END,
        }
    }
}

/// Why a snapshot is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A part is malformed.
    #[error("a part of it is {0}")]
    Encoding(#[from] EncodingError),
    /// A part has too many entries, or is of no known kind.
    #[error("a part of it is of no known kind, or too long")]
    Part,
    /// Headers after accounts, accounts after items, or anything after the end.
    #[error("its parts are out of order")]
    Order,
    /// A header breaks a rule.
    #[error("the header of height {height} is invalid: {reason}")]
    Header {
        /// The height that it should have.
        height: Height,
        /// The rule.
        reason: Invalid,
    },
    /// An account or an item is not after the one before, or is one that no ledger holds.
    #[error("its accounts or items are not in order, or one of them is empty or has a name that none may have")]
    Entries,
    /// Something is missing, or there too often.
    #[error("it is not whole: the accounts and items in it are not as many as it says")]
    Counts,
    /// The state is not the one that the last header commits to.
    #[error("its state is not that of its last header: the header says {expected}, the state gives {found}")]
    StateRoot {
        /// What the header says.
        expected: Hash32,
        /// What the state adds up to.
        found: Hash32,
    },
    /// The accounts together do not have what a chain of this height has given out.
    #[error("its accounts have {found} together, and up to height {height} the chain has given out {expected}")]
    Supply {
        /// The height of its last header.
        height: Height,
        /// Allocations and subsidies up to there, in the smallest unit.
        expected: u128,
        /// What the accounts have, in the smallest unit.
        found: u128,
    },
}

/// The change of the ledger that adds these accounts to one that lacks them.
pub fn with_accounts(accounts: &[(Address, Account)]) -> Delta {
    let change = |after: &Account| Change { before: Account::default(), after: *after };
    Delta {
        accounts: accounts.iter().map(|(address, account)| (*address, change(account))).collect(),
        ..Delta::default()
    }
}

/// The change of the ledger that adds these items to one that lacks them.
pub fn with_items(items: &[(ItemName, Item)]) -> Delta {
    let change = |after: &Item| Change { before: None, after: Some(*after) };
    Delta { items: items.iter().map(|(name, item)| (name.clone(), change(item))).collect(), ..Delta::default() }
}

/// A snapshot that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The last block.
    pub tip: BlockId,
    /// Its height.
    pub height: Height,
    /// Work of the headers.
    pub work: Work,
    /// Where the block after it stands.
    pub position: Position,
    /// The state root that the last header names and the state has.
    pub state_root: Hash32,
    /// How many accounts there are.
    pub accounts: u64,
    /// How many items there are.
    pub items: u64,
}

/// A snapshot being checked.
#[derive(Clone, Debug)]
pub struct Check<'a> {
    spec: &'a ChainSpec,
    now: Timestamp,
    position: Position,
    state_root: Hash32,
    sum: Commitment,
    /// The kind of the last part.
    kind: u8,
    last_account: Option<Address>,
    last_item: Option<ItemName>,
    accounts: u64,
    items: u64,
    /// What the accounts have together.
    supply: u128,
}

impl<'a> Check<'a> {
    /// Of a chain. `now` is the reader's clock: headers from the future are refused.
    pub fn new(spec: &'a ChainSpec, now: Timestamp) -> Self {
        Self {
            spec,
            now,
            position: Position::genesis(spec),
            state_root: spec.genesis().header.state_root,
            sum: Commitment::default(),
            kind: HEADERS,
            last_account: None,
            last_item: None,
            accounts: 0,
            items: 0,
            supply: 0,
        }
    }

    /// The height that the headers so far reach.
    pub const fn height(&self) -> Height {
        self.position.height()
    }

    /// Takes the next part.
    ///
    /// # Errors
    /// [`SnapshotError`]; the check is of no further use then.
    pub fn part(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.take(&Part::read(bytes)?)
    }

    /// [`Self::part`] of one that was read.
    ///
    /// # Errors
    /// As there.
    pub fn take(&mut self, part: &Part) -> Result<(), SnapshotError> {
        let kind = part.kind();
        if kind < self.kind || self.kind == END {
            return Err(SnapshotError::Order);
        }
        self.kind = kind;
        match part {
            Part::Headers(headers) => self.headers(headers),
            Part::Accounts(accounts) => self.accounts(accounts),
            Part::Items(items) => self.items(items),
            Part::End(accounts, items) if (*accounts, *items) == (self.accounts, self.items) => Ok(()),
            Part::End(..) => Err(SnapshotError::Counts),
        }
    }

    /// Vouches for the whole, once all parts were taken.
    ///
    /// # Errors
    /// Where the end is missing, the state is not the one that the last header commits to, or money was made or lost on the way
    /// to it.
    pub fn finish(self) -> Result<Checked, SnapshotError> {
        if self.kind != END {
            return Err(SnapshotError::Counts);
        }
        let (state_root, found) = (self.state_root, self.sum.root());
        if state_root != found {
            return Err(SnapshotError::StateRoot { expected: state_root, found });
        }
        let position = self.position;
        let height = position.height();
        let (expected, found) = (self.spec.supply_at(height), self.supply);
        if expected != found {
            return Err(SnapshotError::Supply { height, expected, found });
        }
        Ok(Checked {
            tip: position.id(),
            height,
            work: position.work(),
            state_root,
            accounts: self.accounts,
            items: self.items,
            position,
        })
    }

    fn headers(&mut self, headers: &[Header]) -> Result<(), SnapshotError> {
        for header in headers {
            let height = self.position.height().next().unwrap_or(Height::MAX);
            let step = self.position.step_unchecked_header(self.spec, header, self.now);
            self.position = step.map_err(|reason| SnapshotError::Header { height, reason })?;
            self.state_root = header.state_root;
        }
        Ok(())
    }

    fn accounts(&mut self, accounts: &[(Address, Account)]) -> Result<(), SnapshotError> {
        for (address, account) in accounts {
            if !is_next(&mut self.last_account, address) || account.is_empty() {
                return Err(SnapshotError::Entries);
            }
            self.accounts = self.accounts.saturating_add(1);
            self.supply = self.supply.saturating_add(account.balance.get().into());
        }
        self.sum.apply(&with_accounts(accounts));
        Ok(())
    }

    fn items(&mut self, items: &[(ItemName, Item)]) -> Result<(), SnapshotError> {
        for (name, _) in items {
            if !is_next(&mut self.last_item, name) || !name.is_valid() {
                return Err(SnapshotError::Entries);
            }
            self.items = self.items.saturating_add(1);
        }
        self.sum.apply(&with_items(items));
        Ok(())
    }
}

/// The entries of a part, at most [`MAX_ENTRIES`].
fn entries<T: serde::Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<Vec<T>, SnapshotError> {
    let (_, entries): (u8, Vec<T>) = encoding::decode(bytes, MAX_PART_LEN)?;
    if entries.len() > MAX_ENTRIES { Err(SnapshotError::Part) } else { Ok(entries) }
}

/// Whether this comes after the last, which it then is.
fn is_next<T: Ord + Clone>(last: &mut Option<T>, this: &T) -> bool {
    let after = last.as_ref().is_none_or(|last| last < this);
    *last = Some(this.clone());
    after
}
