//! The index: what the log adds up to, in an embedded store (redb), stamped with the place in the log that it stands for.
//!
//! It is made from the log alone, one layer of changes a transaction, stamp included; so it can lag behind the log, never
//! run ahead of it, and be thrown away at any time.

use std::{
    collections::HashMap,
    ops::{Bound, RangeBounds},
};

use bard_chain::{
    address::Address,
    array_form, encoding,
    hash::{BlockId, TransactionId},
    ledger::{Account, Item, commitment::Commitment},
    source::SourceError,
    transaction::ItemName,
    units::{Amount, Height, Nonce},
};
use redb::{
    AccessGuard, Builder, Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};

use super::{
    chunks,
    disk::Disk,
    header::Salt,
    history::{Events, HistoryKey},
    lately::Lately,
    log::Mark,
    overlay::{Counts, Entry, Frozen, Head, Layer, SideKey},
    reader::closed,
};

type Id = [u8; 32];
type HalfId = [u8; 16];

fn half(id: &TransactionId) -> &HalfId {
    id.as_bytes().first_chunk().unwrap_or(&[0; 16])
}

const BLOCKS: TableDefinition<'_, &Id, &[u8]> = TableDefinition::new("blocks");
const HEIGHTS: TableDefinition<'_, u64, &Id> = TableDefinition::new("heights");
const SIDES: TableDefinition<'_, (u64, u64, &Id), ()> = TableDefinition::new("sides");
const ACCOUNTS: TableDefinition<'_, &Id, (u64, u64)> = TableDefinition::new("accounts");
/// The holder, or nothing where the item is free.
const ITEMS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("items");
/// By the first half of the id, which nobody can make another transaction for: these keys come in no order, and the shorter they
/// are, the fewer pages are written anew for those of a layer. Whoever finds a place here looks whether the id there is the right
/// one, as after a reorganisation.
const TRANSACTIONS: TableDefinition<'_, &HalfId, (u64, u32)> = TableDefinition::new("transactions");
/// In chunks ([`super::chunks`]).
const HISTORIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("histories");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// Keys of `meta`: the format, the salt of the log, the sum that the state root commits to, all else of the stamp, and from where on
/// the log's verdicts count; where that is missing, all do.
const FORMAT_KEY: &str = "format";
const LOG_KEY: &str = "log";
const COMMITMENT_KEY: &str = "commitment";
const STAMP_KEY: &str = "stamp";
const VERDICTS_KEY: &str = "verdicts from";
/// What the tables hold, and how; an index of another format is made anew. In format 1 there were no histories, and items
/// that are held were not counted; in format 2 they did not say which blocks changed an account; in format 3 transactions had
/// their whole ids as keys.
pub(super) const FORMAT: u32 = 4;
/// Memory for pages of the index, in bytes.
const CACHE_BYTES: usize = 12 << 20;
/// The longest encoded value, in bytes.
const MAX_VALUE_LEN: usize = 4096;
/// An index up to this long, in bytes, is checked whole when opened: at most about half a second. In a longer one the ledger is
/// added up afterwards ([`super::suspect`]).
pub(super) const CHECKED_LEN: u64 = 256 << 20;

/// Why an index cannot be used.
#[derive(Debug)]
pub(super) enum IndexError {
    /// It is damaged: to be set aside and made anew.
    Damaged(String),
    /// It has another format: to be made anew.
    OtherFormat,
    /// The file system failed.
    Io(std::io::Error),
    /// Another store of this process, or another process, has it open.
    InUse,
    /// The store was closed while it was read.
    Closed,
}

impl std::fmt::Display for IndexError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Damaged(what) => f.write_str(what),
            Self::Io(error) => error.fmt(f),
            Self::OtherFormat => f.write_str("it has another format"),
            Self::InUse => f.write_str("it is in use"),
            Self::Closed => f.write_str("it is closed"),
        }
    }
}

impl<E: Into<redb::Error>> From<E> for IndexError {
    fn from(error: E) -> Self {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof};
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            redb::Error::DatabaseClosed => Self::Closed,
            // After a failure of the file system nothing more is read or written until it is opened anew.
            redb::Error::PreviousIo => Self::Io(std::io::Error::other("an earlier read or write of it failed")),
            redb::Error::Io(error) if !matches!(error.kind(), InvalidData | UnexpectedEof) => Self::Io(error),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<IndexError> for SourceError {
    fn from(error: IndexError) -> Self {
        if matches!(error, IndexError::Closed) {
            return closed();
        }
        Self(format!("the index cannot be read, start the node again to have it repaired: {error}"))
    }
}

/// What an index says it stands for, but for log and commitment.
struct Stamp {
    /// Start, end and checksum of the last record in it.
    mark: (u64, u64, u32),
    tip: BlockId,
    height: Height,
    counts: Counts,
}

array_form!(Stamp { mark: (u64, u64, u32), tip: BlockId, height: Height, counts: Counts });

/// An open index.
#[derive(Debug)]
pub(super) struct Index {
    database: Database,
}

impl Index {
    /// Opens the index `name` of a directory, or creates an empty one, and checks it if it is not longer than `checked_len`.
    pub(super) fn open(disk: &dyn Disk, name: &str, checked_len: u64) -> Result<Self, IndexError> {
        let length = disk.length(name).map_err(IndexError::Io)?.unwrap_or(0);
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let mut database = disk.database(&builder, name)?;
        if (1..=checked_len).contains(&length) {
            database.check_integrity()?;
        }
        Ok(Self { database })
    }

    /// What it stands for; `None` where nothing was ever written to it.
    pub(super) fn head(&self, log: &Salt) -> Result<Option<Head>, IndexError> {
        let damaged = |what: &str| IndexError::Damaged(what.into());
        let transaction = self.database.begin_read()?;
        let meta = match transaction.open_table(META) {
            Ok(meta) => meta,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let read = |key| -> Result<Vec<u8>, IndexError> {
            Ok(meta.get(key)?.ok_or_else(|| damaged("its stamp is incomplete"))?.value().to_vec())
        };
        if read(FORMAT_KEY)? != FORMAT.to_be_bytes() {
            return Err(IndexError::OtherFormat);
        }
        if read(LOG_KEY)? != log {
            return Err(damaged("it was made from another log"));
        }
        let Stamp { mark: (start, end, crc), tip, height, counts } = encoding::decode(&read(STAMP_KEY)?, MAX_VALUE_LEN)
            .map_err(|error| IndexError::Damaged(error.to_string()))?;
        let commitment =
            Commitment::from_bytes(&read(COMMITMENT_KEY)?).ok_or_else(|| damaged("its commitment is too short"))?;
        Ok(Some(Head { mark: Mark { start, end, crc }, tip, height, commitment, counts }))
    }

    /// Writes the first layer, and from where on in the log, in bytes, it counts which blocks were found invalid.
    pub(super) fn begin(&self, frozen: &Frozen, log: &Salt, verdicts_from: u64) -> Result<(), IndexError> {
        let transaction = self.fill(frozen, log)?;
        transaction.open_table(META)?.insert(VERDICTS_KEY, verdicts_from.to_be_bytes().as_slice())?;
        transaction.commit()?;
        Ok(())
    }

    /// The log was cut off at `end`: what is written from there on counts.
    pub(super) fn end_of_log_is(&self, end: u64) -> Result<(), IndexError> {
        if self.verdicts_from()? <= end {
            return Ok(());
        }
        let mut transaction = self.database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.open_table(META)?.insert(VERDICTS_KEY, end.to_be_bytes().as_slice())?;
        transaction.commit()?;
        Ok(())
    }

    /// What [`Self::begin`] was told, or [`Self::end_of_log_is`] since.
    pub(super) fn verdicts_from(&self) -> Result<u64, IndexError> {
        let meta = self.database.begin_read()?.open_table(META)?;
        let Some(from) = meta.get(VERDICTS_KEY)? else { return Ok(0) };
        let from = from.value().try_into().map(u64::from_be_bytes);
        from.map_err(|_| IndexError::Damaged("from where on verdicts count is no number".into()))
    }

    /// Writes a layer and its stamp: all or nothing.
    pub(super) fn write(&self, frozen: &Frozen, log: &Salt) -> Result<(), IndexError> {
        self.fill(frozen, log)?.commit()?;
        Ok(())
    }

    fn fill(&self, frozen: &Frozen, log: &Salt) -> Result<WriteTransaction, IndexError> {
        let mut transaction = self.database.begin_write()?;
        // Saves what a reopening after a kill would otherwise have to find out by walking through everything.
        transaction.set_quick_repair(true);
        write_blocks(&transaction, &frozen.layer)?;
        write_chain(&transaction, &frozen.layer)?;
        write_ledger(&transaction, &frozen.layer)?;
        write_transactions(&transaction, &frozen.layer)?;
        let before = written_height(&transaction)?;
        chunks::write(&mut transaction.open_table(HISTORIES)?, &frozen.layer, before)?;
        write_stamp(&transaction, &frozen.head, log)?;
        Ok(transaction)
    }

    /// A view of the index as it is now, that later writes do not change.
    pub(super) fn snapshot(&self) -> Result<Snapshot, IndexError> {
        let transaction = self.database.begin_read()?;
        Ok(Snapshot {
            blocks: transaction.open_table(BLOCKS)?,
            heights: transaction.open_table(HEIGHTS)?,
            sides: transaction.open_table(SIDES)?,
            accounts: transaction.open_table(ACCOUNTS)?,
            items: transaction.open_table(ITEMS)?,
            transactions: transaction.open_table(TRANSACTIONS)?,
            histories: transaction.open_table(HISTORIES)?,
            heights_lately: Lately::default(),
            accounts_lately: Lately::default(),
        })
    }
}

/// The entries of a hash map in the order of their keys: what lies together on the disk is written together.
fn sorted<K: Ord, V>(entries: &HashMap<K, V>) -> Vec<(&K, &V)> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

fn write_blocks(transaction: &WriteTransaction, layer: &Layer) -> Result<(), IndexError> {
    let mut blocks = transaction.open_table(BLOCKS)?;
    for (id, entry) in sorted(&layer.blocks) {
        blocks.insert(id.as_bytes(), encoding::encode(entry).as_slice())?;
    }
    Ok(())
}

fn write_chain(transaction: &WriteTransaction, layer: &Layer) -> Result<(), IndexError> {
    let mut heights = transaction.open_table(HEIGHTS)?;
    for (height, id) in layer.heights.iter() {
        match id {
            Some(id) => heights.insert(height, id.as_bytes())?,
            None => heights.remove(height)?,
        };
    }
    let mut sides = transaction.open_table(SIDES)?;
    for ((height, arrival, id), change) in layer.sides.iter() {
        let key = (*height, *arrival, id.as_bytes());
        match change {
            Some(()) => sides.insert(key, ())?,
            None => sides.remove(key)?,
        };
    }
    Ok(())
}

fn write_ledger(transaction: &WriteTransaction, layer: &Layer) -> Result<(), IndexError> {
    let mut accounts = transaction.open_table(ACCOUNTS)?;
    for (address, account) in layer.accounts.iter() {
        match account {
            Some(account) => accounts.insert(address.as_bytes(), (account.balance.get(), account.nonce.get()))?,
            None => accounts.remove(address.as_bytes())?,
        };
    }
    let mut items = transaction.open_table(ITEMS)?;
    for (name, item) in layer.items.iter() {
        match item {
            Some(Item { holder: Some(holder) }) => items.insert(name.as_str(), holder.as_bytes().as_slice())?,
            Some(Item { holder: None }) => items.insert(name.as_str(), [].as_slice())?,
            None => items.remove(name.as_str())?,
        };
    }
    Ok(())
}

fn write_transactions(transaction: &WriteTransaction, layer: &Layer) -> Result<(), IndexError> {
    let mut transactions = transaction.open_table(TRANSACTIONS)?;
    for (id, place) in layer.transactions.iter() {
        match place {
            Some(place) => transactions.insert(half(id), place)?,
            None => transactions.remove(half(id))?,
        };
    }
    Ok(())
}

/// The height of the chain that the index stood for before this transaction.
fn written_height(transaction: &WriteTransaction) -> Result<Option<Height>, IndexError> {
    let meta = transaction.open_table(META)?;
    let Some(stamp) = meta.get(STAMP_KEY)? else { return Ok(None) };
    let stamp = encoding::decode::<Stamp>(stamp.value(), MAX_VALUE_LEN);
    stamp.map(|stamp| Some(stamp.height)).map_err(|error| IndexError::Damaged(error.to_string()))
}

fn write_stamp(transaction: &WriteTransaction, head: &Head, log: &Salt) -> Result<(), IndexError> {
    let Head { mark, tip, height, commitment, counts } = head;
    let mark = (mark.start, mark.end, mark.crc);
    let stamp = Stamp { mark, tip: *tip, height: *height, counts: *counts };
    let mut meta = transaction.open_table(META)?;
    meta.insert(FORMAT_KEY, FORMAT.to_be_bytes().as_slice())?;
    meta.insert(LOG_KEY, log.as_slice())?;
    meta.insert(COMMITMENT_KEY, commitment.to_bytes().as_slice())?;
    meta.insert(STAMP_KEY, encoding::encode(&stamp).as_slice())?;
    Ok(())
}

/// The index at one moment.
pub(super) struct Snapshot {
    blocks: ReadOnlyTable<&'static Id, &'static [u8]>,
    heights: ReadOnlyTable<u64, &'static Id>,
    sides: ReadOnlyTable<(u64, u64, &'static Id), ()>,
    accounts: ReadOnlyTable<&'static Id, (u64, u64)>,
    items: ReadOnlyTable<&'static str, &'static [u8]>,
    transactions: ReadOnlyTable<&'static HalfId, (u64, u32)>,
    histories: ReadOnlyTable<&'static [u8], &'static [u8]>,
    heights_lately: Lately<u64, Option<BlockId>>,
    accounts_lately: Lately<Address, Option<Account>>,
}

type Chunk<'a> = (AccessGuard<'a, &'static [u8]>, AccessGuard<'a, &'static [u8]>);

fn read_chunk(chunk: Result<Chunk<'_>, redb::StorageError>) -> Result<Vec<(HistoryKey, Events)>, IndexError> {
    let (key, chunk) = chunk?;
    chunks::read(key.value(), chunk.value())
}

/// Entries of a table, in the order of their keys.
pub(super) type Entries<K, V> = Box<dyn Iterator<Item = Result<(K, V), IndexError>>>;

/// A range of keys.
pub(super) type KeyRange<K> = (Bound<K>, Bound<K>);

fn account((balance, nonce): (u64, u64)) -> Account {
    Account { balance: Amount::new(balance), nonce: Nonce::new(nonce) }
}

fn item(holder: &[u8]) -> Item {
    Item { holder: holder.try_into().ok().map(Address::new) }
}

impl Snapshot {
    /// A stored block.
    pub(super) fn block(&self, id: &BlockId) -> Result<Option<Entry>, IndexError> {
        let Some(bytes) = self.blocks.get(id.as_bytes())? else { return Ok(None) };
        let entry = encoding::decode(bytes.value(), MAX_VALUE_LEN);
        entry.map(Some).map_err(|error| IndexError::Damaged(format!("the entry of block {id} is {error}")))
    }

    /// The block of the active chain at a height.
    pub(super) fn height(&self, height: u64) -> Result<Option<BlockId>, IndexError> {
        Ok(self.heights.get(height)?.map(|id| BlockId::new(*id.value())))
    }

    /// An account.
    pub(super) fn account(&self, address: &Address) -> Result<Option<Account>, IndexError> {
        Ok(self.accounts.get(address.as_bytes())?.map(|value| account(value.value())))
    }

    /// [`Self::height`], which is at hand from then on.
    pub(super) fn ask_height(&self, height: u64) -> Result<Option<BlockId>, IndexError> {
        let found = self.height(height)?;
        self.heights_lately.put(height, found);
        Ok(found)
    }

    /// [`Self::account`], which is at hand from then on.
    pub(super) fn ask_account(&self, address: &Address) -> Result<Option<Account>, IndexError> {
        let found = self.account(address)?;
        self.accounts_lately.put(*address, found);
        Ok(found)
    }

    /// What was asked for lately of a height.
    pub(super) fn height_at_hand(&self, height: u64) -> Option<Option<BlockId>> {
        self.heights_lately.get(&height)
    }

    /// What was asked for lately of an account.
    pub(super) fn account_at_hand(&self, address: &Address) -> Option<Option<Account>> {
        self.accounts_lately.get(address)
    }

    /// An item.
    pub(super) fn item(&self, name: &ItemName) -> Result<Option<Item>, IndexError> {
        Ok(self.items.get(name.as_str())?.map(|value| item(value.value())))
    }

    /// Height and index of a transaction.
    pub(super) fn transaction(&self, id: &TransactionId) -> Result<Option<(u64, u32)>, IndexError> {
        Ok(self.transactions.get(half(id))?.map(|place| place.value()))
    }

    /// The active chain in a range of heights.
    pub(super) fn heights_in(&self, range: &KeyRange<u64>) -> Result<Entries<u64, BlockId>, IndexError> {
        let entries = self.heights.range(*range)?;
        Ok(Box::new(entries.map(|entry| {
            let (height, id) = entry?;
            Ok((height.value(), BlockId::new(*id.value())))
        })))
    }

    /// Blocks beside the active chain.
    pub(super) fn sides_in(&self, range: &KeyRange<SideKey>) -> Result<Entries<SideKey, ()>, IndexError> {
        fn key((height, arrival, id): &SideKey) -> (u64, u64, &Id) {
            (*height, *arrival, id.as_bytes())
        }
        let entries = self.sides.range((range.0.as_ref().map(key), range.1.as_ref().map(key)))?;
        Ok(Box::new(entries.map(|entry| {
            let (key, _) = entry?;
            let (height, arrival, id) = key.value();
            Ok(((height, arrival, BlockId::new(*id)), ()))
        })))
    }

    /// What happened to whom.
    pub(super) fn histories_in(&self, range: &KeyRange<HistoryKey>) -> Result<Entries<HistoryKey, Events>, IndexError> {
        let (low, high) = (range.0.as_ref().map(AsRef::as_ref), range.1.as_ref().map(AsRef::as_ref));
        let chunks = self.histories.range::<&[u8]>((low, high))?;
        let entries = chunks.flat_map(|chunk| match read_chunk(chunk) {
            Ok(entries) => entries.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        // Of the first chunk the first entries may lie below.
        let range = range.clone();
        Ok(Box::new(entries.filter(move |entry| entry.as_ref().map_or(true, |(key, _)| range.contains(key)))))
    }

    /// The last entry of a history that begins with `low` before the key `bound`.
    pub(super) fn history_before(&self, low: &[u8], bound: &[u8]) -> Result<Option<(HistoryKey, Events)>, IndexError> {
        // The chunk that ends at or after the bound may begin before it.
        if let Some(chunk) = self.histories.range::<&[u8]>(bound..)?.next() {
            let entries = read_chunk(chunk)?;
            let before = entries.into_iter().rev().find(|(key, _)| **key < *bound);
            if let Some(found) = before.filter(|(key, _)| **key >= *low) {
                return Ok(Some(found));
            }
        }
        let Some(chunk) = self.histories.range::<&[u8]>(low..bound)?.next_back() else { return Ok(None) };
        Ok(read_chunk(chunk)?.pop())
    }

    /// Accounts by address.
    pub(super) fn accounts_in(&self, range: &KeyRange<Address>) -> Result<Entries<Address, Account>, IndexError> {
        let (low, high) = (range.0.as_ref().map(Address::as_bytes), range.1.as_ref().map(Address::as_bytes));
        let entries = self.accounts.range::<&Id>((low, high))?;
        Ok(Box::new(entries.map(|entry| {
            let (address, value) = entry?;
            Ok((Address::new(*address.value()), account(value.value())))
        })))
    }

    /// Items by name.
    pub(super) fn items_in(&self, range: &KeyRange<ItemName>) -> Result<Entries<ItemName, Item>, IndexError> {
        let (low, high) = (range.0.as_ref().map(ItemName::as_str), range.1.as_ref().map(ItemName::as_str));
        let entries = self.items.range::<&str>((low, high))?;
        Ok(Box::new(entries.map(|entry| {
            let (name, value) = entry?;
            Ok((ItemName::new(name.value()), item(value.value())))
        })))
    }
}
