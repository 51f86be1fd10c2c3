//! What happened on the active chain, by whom it concerns: an account, an item, the records, a digest.
//!
//! # Keys
//! One entry for whom something in a block concerns: a tag and who it is, then the rank of the block's height, 8 bytes, the
//! most significant first. Where the newest comes first, the rank is the height's complement, so that all listings ascend.
//! The entry holds every such transaction of the block in the block's order. A block that leaves the active chain takes its
//! entries with it.
//!
//! # Digests
//! A record is found by the BLAKE3 or the SHA-256 digest of its bytes, as `b3sum` and `sha256sum` print them. A record that is
//! itself a digest is found by that too: 32 bytes, or 64 hex digits with white space around them at most.

use std::{collections::BTreeMap, fmt, ops::Bound, str::FromStr, sync::Arc};

use bard_chain::{
    address::Address,
    array_form, encoding,
    hash::{Hash32, TransactionId, content_digests},
    rules::isolated::Isolated,
    source::SourceError,
    transaction::{Action, ItemName},
    units::Height,
};

use super::{listing, reader::StoreReader};

/// Whom an entry concerns, and the rank of its block: see the top of this file.
pub(super) type HistoryKey = Box<[u8]>;
/// What an entry says: its [`Event`]s, encoded.
pub(super) type Events = Arc<[u8]>;

/// The height in the rank of a key is this many bytes long.
const RANK_LEN: usize = 8;

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
enum Subject<'a> {
    /// Sender or recipient.
    Account(&'a Address),
    Item(&'a ItemName),
    Records,
    Digest(&'a Hash32),
}

impl Subject<'_> {
    const fn newest_first(&self) -> bool {
        matches!(self, Self::Account(_) | Self::Records)
    }

    /// The rank of a height; and the other way round.
    const fn rank(&self, height: u64) -> u64 {
        if self.newest_first() { !height } else { height }
    }

    fn key(&self, rank: u64) -> HistoryKey {
        let (tag, who): (u8, &[u8]) = match self {
            Self::Account(address) => (b'a', address.as_bytes()),
            Self::Item(name) => (b'i', name.as_str().as_bytes()),
            Self::Records => (b'r', &[]),
            Self::Digest(digest) => (b'd', digest.as_bytes()),
        };
        let mut key = Vec::with_capacity(who.len().saturating_add(RANK_LEN).saturating_add(2));
        key.push(tag);
        key.extend_from_slice(who);
        if matches!(self, Self::Item(_)) {
            // No name has a control character, so none goes on where another ends.
            key.push(0);
        }
        key.extend_from_slice(&rank.to_be_bytes());
        key.into()
    }
}

fn rank_of(key: &[u8]) -> u64 {
    key.last_chunk::<RANK_LEN>().map_or(0, |rank| u64::from_be_bytes(*rank))
}

/// A transaction that concerns somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Its index in the block.
    position: u32,
    id: TransactionId,
    /// Who held its item before and afterwards, if it is about one.
    custody: Option<Custody>,
}

array_form!(Event { position: u32, id: TransactionId, custody: Option<Custody> });

/// Who held an item before and afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Custody {
    from: Option<Address>,
    to: Option<Address>,
}

array_form!(Custody { from: Option<Address>, to: Option<Address> });

/// Everything that a block of the active chain adds to histories.
pub(super) fn of_block(block: &Isolated) -> BTreeMap<HistoryKey, Vec<Event>> {
    let height = block.header().height.get();
    let mut all: BTreeMap<HistoryKey, Vec<Event>> = BTreeMap::new();
    let transactions = block.block().transactions.iter().zip(block.transaction_ids());
    for (position, (transaction, id)) in (0..).zip(transactions) {
        let mut add = |subject: &Subject<'_>, custody| {
            let events = all.entry(subject.key(subject.rank(height))).or_default();
            events.push(Event { position, id: *id, custody });
        };
        let sender = transaction.sender;
        add(&Subject::Account(&sender), None);
        if let Some(to) = recipient(&transaction.action).filter(|to| **to != sender) {
            add(&Subject::Account(to), None);
        }
        if let Some((item, custody)) = custody(sender, &transaction.action) {
            add(&Subject::Item(item), Some(custody));
        }
        if let Action::Record { bytes, .. } = &transaction.action {
            add(&Subject::Records, None);
            digests(bytes).iter().for_each(|digest| add(&Subject::Digest(digest), None));
        }
    }
    all
}

const fn recipient(action: &Action) -> Option<&Address> {
    match action {
        Action::Transfer { to, .. } | Action::ItemTransfer { to, .. } => Some(to),
        Action::Record { .. } | Action::ItemRequest { .. } | Action::ItemRelease { .. } => None,
    }
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

pub(super) fn encode(events: &Vec<Event>) -> Events {
    encoding::encode(events).into()
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
        let mut failure = None;
        // Every entry but the first, of which all may lie before the page, adds something; one more is the next page's.
        self.visit(&listing::HISTORIES, &range, limit.saturating_add(2), &mut |key, encoded| {
            let height = Height::new(subject.rank(rank_of(&key)));
            let mut events: Vec<Event> = match encoding::decode(&encoded, encoded.len()) {
                Ok(events) => events,
                Err(error) => {
                    failure = Some(SourceError(format!("a history in the index is {error}")));
                    return false;
                }
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
        failure.map_or(Ok(page), Err)
    }
}

const fn placed(place: Place, event: &Event) -> Placed {
    Placed { place, id: event.id }
}
