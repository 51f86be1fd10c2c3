//! Admitted, unmined transactions.
//!
//! Each applies to the ledger at the tip after all that came before it in the pool; so what is in the pool can be mined, and
//! two requests for one item are never both admitted. A transaction gives way to one with its sender and nonce that pays
//! more; when the pool is full, those that pay least make room for one that pays more; what is in it too long leaves. When
//! the tip changes, only what the blocks touched is looked at again; what a reorganisation undid comes back.
//!
//! Transactions that leave a gap in their sender's nonces wait aside, few and not for long, since gossip may reorder.
//!
//! | room | |
//! |---|---|
//! | `book` | the ready transactions, in their order, and what each account and item goes through because of them |
//! | `few`, `spread` | the maps of that |
//! | `ripple` | what would follow from one of them leaving or changing: decides, changes nothing |
//! | `admission` | how one comes in, alone, in a group, or in the place of another |
//! | `room` | how room is made, and what is too old |
//! | `waiting` | those that wait for an earlier nonce |
//! | `follow` | the way to a new tip |

mod admission;
mod book;
mod few;
mod follow;
mod refusal;
mod ripple;
mod room;
mod spread;
mod waiting;

use std::sync::Arc;

use crate::{
    address::Address,
    hash::TransactionId,
    ledger::{Account, View},
    rules::isolated::CheckedTransaction,
    source::SourceError,
    units::{Nonce, Timestamp},
};

use self::{book::Book, waiting::WaitingRoom};
pub use self::{
    follow::{Followed, Plan, Step},
    refusal::PoolRefusal,
};

/// Whatever makes others leave pays one part in so many more than they do: a replacement in all, whoever makes room in a full
/// pool for a byte. So nobody turns the pool over for a unit more each time.
const STEP_SHARE: u64 = 10;

/// What the pool may hold, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Canonical bytes of all transactions together. When it is reached, those that pay least make room.
    pub bytes: usize,
    /// Transactions of one sender. One more is refused.
    pub per_sender: usize,
    /// Transactions that wait for an earlier nonce. For one more, the sender whose waiting ones take up most room loses its
    /// furthest, or it is refused.
    pub waiting: usize,
    /// How long a transaction may be in the pool, in ms. Then it leaves.
    pub age_ms: u64,
    /// How long one may wait for an earlier nonce, in ms. Then it leaves.
    pub waiting_age_ms: u64,
}

impl Limits {
    /// 14 days, as in Bitcoin Core: nobody still counts on what was not mined for so long.
    pub const AGE_MS: u64 = 14 * 24 * 60 * 60 * 1000;
    /// 20 minutes, as Bitcoin Core kept orphans: gossip reorders by seconds.
    pub const WAITING_AGE_MS: u64 = 20 * 60 * 1000;
}

impl Default for Limits {
    /// 64 MiB, 10,000 of one sender, 4,096 waiting; 14 days, 20 minutes of waiting.
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            per_sender: 10_000,
            waiting: 4_096,
            age_ms: Self::AGE_MS,
            waiting_age_ms: Self::WAITING_AGE_MS,
        }
    }
}

/// Where an admitted transaction went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It can be mined.
    Ready,
    /// It waits for transactions of its sender that come before it.
    Waiting,
}

/// How many transactions left the pool since it was made, by why they did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Departures {
    /// A block confirmed them.
    pub mined: u64,
    /// Another with the same sender and nonce pays more.
    pub replaced: u64,
    /// They made room: for others that pay more, or, while they waited, for those of a sender who has less waiting.
    pub evicted: u64,
    /// They were in it too long.
    pub expired: u64,
    /// They no longer applied, after a block or after what they needed left.
    pub impossible: u64,
}

fn add(count: &mut u64, more: usize) {
    *count = count.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
}

/// What a transaction pays for a byte, in 1/65536ths of the smallest unit: 53 bits of fee and 16 of fraction.
pub(crate) fn fee_rate(transaction: &CheckedTransaction) -> u128 {
    let fee = u128::from(transaction.transaction().fee.get()) << 16;
    fee.checked_div(transaction.bytes().len() as u128).unwrap_or(0)
}

/// The pool.
#[derive(Debug, Default)]
pub struct Mempool {
    limits: Limits,
    book: Book,
    waiting: WaitingRoom,
    departures: Departures,
}

impl Mempool {
    /// An empty pool.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What it may hold.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether a transaction is in the pool, ready or waiting.
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.book.get(id).is_some() || self.waiting.contains(id)
    }

    /// A ready transaction.
    pub fn get(&self, id: &TransactionId) -> Option<&Arc<CheckedTransaction>> {
        self.book.get(id).map(|entry| &entry.transaction)
    }

    /// The ready transactions in an order in which each applies: that of arrival, but that one which replaced another has its
    /// place.
    pub fn transactions(&self) -> impl Iterator<Item = &Arc<CheckedTransaction>> {
        self.book.ready.values().map(|entry| &entry.transaction)
    }

    /// The same from a place in that order on, each with its place. What comes later has a later place, and the places of
    /// those that stay do not change, unless a reorganisation gives all of them new ones after all old ones.
    pub fn transactions_from(&self, place: u64) -> impl Iterator<Item = (u64, &Arc<CheckedTransaction>)> {
        self.book.ready.range(place..).map(|(place, entry)| (*place, &entry.transaction))
    }

    /// Those that wait for an earlier nonce, by sender and nonce.
    pub fn waiting(&self) -> impl Iterator<Item = &Arc<CheckedTransaction>> {
        self.waiting.all().map(|waiter| &waiter.transaction)
    }

    /// Everything in the pool, each with when it came: the ready ones in their order, then those that wait.
    pub fn contents(&self) -> impl Iterator<Item = (Timestamp, &Arc<CheckedTransaction>)> {
        let ready = self.book.ready.values().map(|entry| (entry.since, &entry.transaction));
        ready.chain(self.waiting.all().map(|waiter| (waiter.since, &waiter.transaction)))
    }

    /// A sender's ready transactions by nonce, each with its place in the order.
    pub(crate) fn by_sender(&self) -> impl Iterator<Item = impl Iterator<Item = (u64, &Arc<CheckedTransaction>)>> {
        self.book.by_sender().map(|own| own.map(|(place, entry)| (place, &entry.transaction)))
    }

    /// Number of ready transactions.
    pub fn len(&self) -> usize {
        self.book.ready.len()
    }

    /// Whether no transaction is ready.
    pub fn is_empty(&self) -> bool {
        self.book.ready.is_empty()
    }

    /// Number of transactions that wait for an earlier nonce.
    pub fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// Canonical bytes of all transactions, waiting ones included.
    pub fn bytes(&self) -> usize {
        self.book.bytes.saturating_add(self.waiting.bytes())
    }

    /// How many left it, and why.
    pub const fn departures(&self) -> Departures {
        self.departures
    }

    /// An account after all ready transactions.
    ///
    /// # Errors
    /// Where the ledger could not be read.
    pub fn account<V: View>(&self, address: &Address, ledger: &V) -> Result<Account, SourceError> {
        match self.pending_account(address) {
            Some(account) => Ok(account),
            None => ledger.account(address),
        }
    }

    /// An account after all ready transactions; `None` where none of them has to do with it.
    pub fn pending_account(&self, address: &Address) -> Option<Account> {
        self.book.account(address)
    }

    /// The nonce that the sender's next transaction must have.
    ///
    /// # Errors
    /// Where the ledger could not be read.
    pub fn next_nonce<V: View>(&self, sender: &Address, ledger: &V) -> Result<Nonce, SourceError> {
        Ok(self.account(sender, ledger)?.nonce)
    }
}
