//! What happened on the active chain, by whom it concerns: an account, an item, the records, a digest.
//!
//! # Keys
//! One entry for whom something in a block concerns: a tag and who it is, then the rank of the block's height, 8 bytes, the
//! most significant first. Where the newest comes first, the rank is the height's complement, so that all listings ascend.
//! The entry holds every such transaction of the block in the block's order. A block that leaves the active chain takes its
//! entries with it. Who mined a block that paid something has an entry of its own, which is empty: it tells when an account
//! changed ([`super::past`]), and is no transaction.
//!
//! # Digests
//! A record is found by the BLAKE3 or the SHA-256 digest of its bytes, as `b3sum` and `sha256sum` print them. A record that is
//! itself a digest is found by that too: 32 bytes, or 64 hex digits with white space around them at most.

use std::{
    cmp::Ordering,
    fmt,
    ops::{Bound, Deref},
    str::FromStr,
};

use bard_chain::{
    address::Address,
    hash::{Hash32, TransactionId, content_digests},
    rules::isolated::Isolated,
    source::SourceError,
    spec::ChainSpec,
    transaction::{Action, ItemName},
    units::{Amount, Height},
};
use smallvec::SmallVec;

use super::{listing, reader::StoreReader};

/// Whom an entry concerns, and the rank of its block: see the top of this file. That of an account needs no memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HistoryKey(SmallVec<[u8; 48]>);
/// What an entry says: its [`Event`]s as they are written. One of an account needs no memory of its own.
pub(super) type Events = SmallVec<[u8; 40]>;

impl Deref for HistoryKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for HistoryKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for HistoryKey {
    fn from(key: Vec<u8>) -> Self {
        Self(SmallVec::from_vec(key))
    }
}

impl PartialOrd for HistoryKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// That of the bytes. The first eight nearly always decide, and comparing them as one number costs a tenth of a call.
impl Ord for HistoryKey {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.first_chunk(), other.first_chunk()) {
            (Some(one), Some(two)) if one != two => u64::from_be_bytes(*one).cmp(&u64::from_be_bytes(*two)),
            _ => (**self).cmp(&**other),
        }
    }
}

/// The tags of keys.
const ACCOUNT: u8 = b'a';
const DIGEST: u8 = b'd';
const ITEM: u8 = b'i';
const MINED: u8 = b'm';
const RECORDS: u8 = b'r';
/// The tags of histories whose newest entry comes first.
const NEWEST_FIRST: [u8; 2] = [ACCOUNT, RECORDS];
/// Length of the rank that ends a key, in bytes.
pub(super) const RANK_LEN: usize = 8;

/// A transaction's place on the active chain. As text, a cursor of the interfaces: `height-position`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Height of its block.
    pub height: Height,
    /// Its index in the block.
    pub position: u32,
}

/// A text that is not a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected HEIGHT-POSITION, as a page gave it")]
pub struct NotAPlace;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.height.get(), self.position)
    }
}

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let (height, position) = text.split_once('-').ok_or(NotAPlace)?;
        let height = Height::new(height.parse().map_err(|_| NotAPlace)?);
        let place = Self { height, position: position.parse().map_err(|_| NotAPlace)? };
        // One spelling only.
        if place.to_string() == text { Ok(place) } else { Err(NotAPlace) }
    }
}

/// A transaction of the active chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where it is.
    pub place: Place,
    /// Its id.
    pub id: TransactionId,
}

/// What a transaction of the active chain did to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// Where the transaction is.
    pub place: Place,
    /// Its id.
    pub id: TransactionId,
    /// Who held the item before; `None` where it was free.
    pub from: Option<Address>,
    /// Who held it afterwards; `None` where it was free.
    pub to: Option<Address>,
}

impl Handover {
    /// The name of the action, as [`Action::name`] has it.
    pub const fn action(&self) -> &'static str {
        match (self.from, self.to) {
            (None, _) => "item_request",
            (Some(_), None) => "item_release",
            (Some(_), Some(_)) => "item_transfer",
        }
    }
}

/// A part of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// Its entries.
    pub entries: Vec<T>,
    /// Where the next page begins; `None` where there was nothing more.
    pub next: Option<Place>,
}

/// Whom something concerns.
pub(super) enum Subject<'a> {
    /// Sender or recipient.
    Account(&'a Address),
    /// Who got the reward of the block; its entries are empty.
    Miner(&'a Address),
    Item(&'a ItemName),
    Records,
    Digest(&'a Hash32),
}

impl Subject<'_> {
    const fn newest_first(&self) -> bool {
        matches!(self, Self::Account(_) | Self::Records)
    }

    /// The rank of a height.
    pub(super) const fn rank(&self, height: u64) -> u64 {
        if self.newest_first() { !height } else { height }
    }

    pub(super) fn key(&self, rank: u64) -> HistoryKey {
        let (tag, who): (u8, &[u8]) = match self {
            Self::Account(address) => (ACCOUNT, address.as_bytes()),
            Self::Miner(address) => (MINED, address.as_bytes()),
            Self::Item(name) => (ITEM, name.as_str().as_bytes()),
            Self::Records => (RECORDS, &[]),
            Self::Digest(digest) => (DIGEST, digest.as_bytes()),
        };
        let mut key = SmallVec::new();
        key.push(tag);
        key.extend_from_slice(who);
        if matches!(self, Self::Item(_)) {
            // No name has a control character, so none goes on where another ends.
            key.push(0);
        }
        key.extend_from_slice(&rank.to_be_bytes());
        HistoryKey(key)
    }
}

/// The height of the block that an entry is about.
pub(super) fn height(key: &[u8]) -> Height {
    let rank = key.last_chunk::<RANK_LEN>().map_or(0, |rank| u64::from_be_bytes(*rank));
    let newest_first = key.first().is_some_and(|tag| NEWEST_FIRST.contains(tag));
    Height::new(if newest_first { !rank } else { rank })
}

/// Length of a written event, in bytes: position and id.
const EVENT_LEN: usize = 4 + TransactionId::LEN;
/// Length of a written holder, in bytes: whether there is one, and who.
const HOLDER_LEN: usize = 1 + 32;
/// Set in the position of an event that left the account as it was: an item was handed to it. No block has so many
/// transactions.
const NAMED_ONLY: u32 = 1 << 31;

/// A transaction that concerns somebody.
struct Event {
    /// Its index in the block.
    position: u32,
    id: TransactionId,
    /// Whether it left the account as it was.
    named_only: bool,
    /// Who held its item before and afterwards; only in the histories of items.
    custody: Option<Custody>,
}

/// Who held an item before and afterwards.
struct Custody {
    from: Option<Address>,
    to: Option<Address>,
}

impl Event {
    /// Numbers the most significant byte first, and all of fixed length: thousands are written for each full block.
    fn write(&self, events: &mut Events) {
        let flag = if self.named_only { NAMED_ONLY } else { 0 };
        events.extend_from_slice(&(self.position | flag).to_be_bytes());
        events.extend_from_slice(self.id.as_bytes());
        for holder in self.custody.iter().flat_map(|custody| [custody.from, custody.to]) {
            events.push(holder.is_some().into());
            events.extend_from_slice(holder.unwrap_or(Address::NOBODY).as_bytes());
        }
    }

    /// Takes an event off the front; `None` where there is no whole one.
    fn take(events: &mut &[u8], of_item: bool) -> Option<Self> {
        let (position, rest) = events.split_first_chunk()?;
        let (id, mut rest) = rest.split_first_chunk()?;
        let mut holder = || {
            let ([is_some, address @ ..], after) = rest.split_first_chunk::<HOLDER_LEN>()?;
            rest = after;
            Some((*is_some != 0).then_some(Address::new(*address)))
        };
        let custody = if of_item { Some(Custody { from: holder()?, to: holder()? }) } else { None };
        *events = rest;
        let position = u32::from_be_bytes(*position);
        let named_only = position & NAMED_ONLY != 0;
        Some(Self { position: position & !NAMED_ONLY, id: TransactionId::new(*id), named_only, custody })
    }
}

/// Reads an entry; `None` where it is garbled.
fn read(mut encoded: &[u8], of_item: bool) -> Option<Vec<Event>> {
    let mut events = Vec::with_capacity(encoded.len() / EVENT_LEN);
    while !encoded.is_empty() {
        events.push(Event::take(&mut encoded, of_item)?);
    }
    Some(events)
}

/// Whether something in an account's entry changed the account. A garbled entry is said to: who reads on finds out.
pub(super) fn moves(events: &[u8]) -> bool {
    read(events, false).is_none_or(|events| events.iter().any(|event| !event.named_only))
}

/// Everything that a block of the active chain adds to histories, by ascending key.
pub(super) fn of_block(spec: &ChainSpec, block: &Isolated) -> Vec<(HistoryKey, Events)> {
    let height = block.header().height.get();
    // Usually two of each transaction.
    let mut all = Vec::with_capacity(block.block().transactions.len().saturating_mul(2).saturating_add(1));
    let fees = block.block().transactions.iter().any(|transaction| transaction.fee != Amount::ZERO);
    if fees || spec.subsidy.at(block.header().height) != Amount::ZERO {
        let miner = Subject::Miner(&block.header().miner);
        all.push((miner.key(miner.rank(height)), Events::new()));
    }
    let transactions = block.block().transactions.iter().zip(block.transaction_ids());
    for (position, (transaction, id)) in (0..).zip(transactions) {
        let mut note = |subject: &Subject<'_>, named_only, custody| {
            let mut events = Events::new();
            Event { position, id: *id, named_only, custody }.write(&mut events);
            all.push((subject.key(subject.rank(height)), events));
        };
        let sender = transaction.sender;
        note(&Subject::Account(&sender), false, None);
        if let Some(to) = transaction.action.recipient().filter(|to| **to != sender) {
            note(&Subject::Account(to), !matches!(transaction.action, Action::Transfer { .. }), None);
        }
        let mut add = |subject: &Subject<'_>, custody| note(subject, false, custody);
        if let Some((item, custody)) = custody(sender, &transaction.action) {
            add(&Subject::Item(item), Some(custody));
        }
        if let Action::Record { bytes, .. } = &transaction.action {
            add(&Subject::Records, None);
            digests(bytes).iter().for_each(|digest| add(&Subject::Digest(digest), None));
        }
    }
    // What concerns the same subject stays in the order of the block.
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all.dedup_by(|(later, more), (kept, events)| {
        let same = later == kept;
        if same {
            events.extend_from_slice(more);
        }
        same
    });
    all
}

/// The item of a valid transaction, which is the sender's unless the transaction asks for it, and whose it becomes.
const fn custody(sender: Address, action: &Action) -> Option<(&ItemName, Custody)> {
    match action {
        Action::Transfer { .. } | Action::Record { .. } => None,
        Action::ItemRequest { item } => Some((item, Custody { from: None, to: Some(sender) })),
        Action::ItemRelease { item } => Some((item, Custody { from: Some(sender), to: None })),
        Action::ItemTransfer { item, to } => Some((item, Custody { from: Some(sender), to: Some(*to) })),
    }
}

/// The digests by which a record is found, none of them twice.
fn digests(content: &[u8]) -> Vec<Hash32> {
    let written = || std::str::from_utf8(content).ok()?.trim().to_ascii_lowercase().parse().ok();
    let itself = content.try_into().ok().map(Hash32::new).or_else(written);
    let mut all: Vec<_> = content_digests(content).into_iter().chain(itself).collect();
    all.sort_unstable();
    all.dedup();
    all
}

impl StoreReader {
    /// Transactions of the active chain that `address` sent, or that pay it or hand it an item, the newest first.
    ///
    /// Like every history, it begins at `from`, or with the first of its order where that is `None`, has at least one entry
    /// unless there is none, at most `limit`, and is of one moment; a reorganisation in between changes the next page.
    ///
    /// # Errors
    /// Where the index could not be read; so with all that follows.
    pub fn account_transactions(
        &self,
        address: &Address,
        from: Option<Place>,
        limit: usize,
    ) -> Result<Page<Placed>, SourceError> {
        self.history(&Subject::Account(address), from, limit, placed)
    }

    /// What happened to an item on the active chain, the oldest first; nothing for an item that nobody ever named.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn item_history(
        &self,
        item: &ItemName,
        from: Option<Place>,
        limit: usize,
    ) -> Result<Page<Handover>, SourceError> {
        self.history(&Subject::Item(item), from, limit, |place, event| {
            let (from, to) = event.custody.as_ref().map_or((None, None), |custody| (custody.from, custody.to));
            Handover { place, id: event.id, from, to }
        })
    }

    /// Records of the active chain, the newest first.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn records(&self, from: Option<Place>, limit: usize) -> Result<Page<Placed>, SourceError> {
        self.history(&Subject::Records, from, limit, placed)
    }

    /// Records of the active chain with this digest, the oldest first: those whose bytes have it as their BLAKE3 or SHA-256
    /// digest, and those whose bytes are it, as 32 bytes or as 64 hex digits with white space around them at most.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn records_by_digest(
        &self,
        digest: &Hash32,
        from: Option<Place>,
        limit: usize,
    ) -> Result<Page<Placed>, SourceError> {
        self.history(&Subject::Digest(digest), from, limit, placed)
    }

    fn history<T>(
        &self,
        subject: &Subject<'_>,
        from: Option<Place>,
        limit: usize,
        make: impl Fn(Place, &Event) -> T,
    ) -> Result<Page<T>, SourceError> {
        let limit = limit.max(1);
        let lowest = from.map_or(0, |from| subject.rank(from.height.get()));
        let range = (Bound::Included(subject.key(lowest)), Bound::Included(subject.key(u64::MAX)));
        let before_page =
            |place: &Place| from.is_some_and(|from| if subject.newest_first() { *place > from } else { *place < from });
        let mut page = Page { entries: Vec::new(), next: None };
        let mut garbled = false;
        // Every entry but the first, of which all may lie before the page, adds something; one more is the next page's.
        self.visit(&listing::HISTORIES, &range, limit.saturating_add(2), &mut |key, encoded| {
            let height = height(&key);
            let Some(mut events) = read(&encoded, matches!(subject, Subject::Item(_))) else {
                garbled = true;
                return false;
            };
            if subject.newest_first() {
                events.reverse();
            }
            for event in events {
                let place = Place { height, position: event.position };
                if before_page(&place) {
                    continue;
                }
                if page.entries.len() >= limit {
                    page.next = Some(place);
                    return false;
                }
                page.entries.push(make(place, &event));
            }
            true
        })?;
        if garbled {
            return Err(SourceError("a history in the index is garbled".into()));
        }
        Ok(page)
    }
}

const fn placed(place: Place, event: &Event) -> Placed {
    Placed { place, id: event.id }
}
