//! What anybody may read while the keeper writes: the ledger, blocks, the active chain, transactions.

use std::{
    ops::Bound,
    sync::{
        Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use bard_chain::{
    address::Address,
    block::Header,
    encoding,
    hash::{BlockId, TransactionId},
    ledger::{Account, Item, Undo, View},
    rules::isolated::{Isolated, Unsigned},
    source::{Source, SourceError},
    spec::ChainSpec,
    transaction::ItemName,
    tree::Node,
    units::Height,
};

use super::{
    disk::Disk,
    history::{Events, HistoryKey},
    index::{IndexError, KeyRange, Snapshot},
    listing::{self, Listing, Visit},
    log::LogReader,
    overlay::{Counts, Entry, Head, Layer, Sight, State},
    recent::Recent,
    record::Location,
    suspect::Suspicion,
};

/// What the store and all its readers share.
pub(super) struct Shared {
    pub(super) spec: Arc<ChainSpec>,
    pub(super) genesis: Arc<Isolated>,
    pub(super) log: LogReader,
    pub(super) recent: Recent,
    state: RwLock<State>,
    /// How the file system failed when the index was read, how it was found garbled, or that the thread is gone that writes it: no more
    /// of it is read until the store is opened anew.
    pub(super) index_failed: OnceLock<String>,
    /// Whether the next start was left to know that the index makes no sense.
    condemned: AtomicBool,
    /// Whether nobody knows yet that the ledger in the index adds up to what it says.
    pub(super) unchecked: AtomicBool,
    pub(super) disk: Arc<dyn Disk>,
}

impl Shared {
    pub(super) fn new(
        spec: Arc<ChainSpec>,
        genesis: Arc<Isolated>,
        log: LogReader,
        state: State,
        disk: Arc<dyn Disk>,
    ) -> Self {
        let (recent, state, index_failed) = (Recent::default(), RwLock::new(state), OnceLock::new());
        let (condemned, unchecked) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { spec, genesis, log, recent, state, index_failed, condemned, unchecked, disk }
    }

    /// What was read of the index. That the file system failed is kept for whoever writes to see; that something makes no sense,
    /// for the next start: a question that can be asked again stops nobody now, but for whoever writes ([`StoreReader::read`]).
    pub(super) fn read<T>(&self, read: Result<T, IndexError>) -> Result<T, SourceError> {
        match &read {
            Err(IndexError::Io(error)) => drop(self.index_failed.get_or_init(|| error.to_string())),
            Err(IndexError::Damaged(_)) if !self.condemned.swap(true, Ordering::Relaxed) => {
                self.suspect_index(Suspicion::Certain);
            }
            _ => {}
        }
        Ok(read?)
    }

    /// Why no more of the index is to be read, if it is so.
    pub(super) fn index_failed(&self) -> Option<&str> {
        self.index_failed.get().map(String::as_str)
    }

    /// The state, to look at for a moment: nobody reads or writes a file while holding it.
    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, to change in a moment.
    pub(super) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the store as of the last durable commit, or, in the hands of whoever writes, as of the last one. Cheap to clone; never
/// waits for the disk writes of a commit.
///
/// Each answer is consistent in itself. Once the store is closed, every answer that is not in memory is an error.
#[derive(Clone)]
pub struct StoreReader {
    pub(super) shared: Arc<Shared>,
    pub(super) sight: Sight,
}

impl std::fmt::Debug for StoreReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreReader").finish_non_exhaustive()
    }
}

/// Why nothing is read from a store that was closed.
pub(super) fn closed() -> SourceError {
    SourceError("the store is closed".into())
}

impl StoreReader {
    /// Looks through the layers in memory, the newest first, then into the index.
    fn find<T>(
        &self,
        layer: impl Fn(&Layer) -> Option<T>,
        index: impl FnOnce(&Snapshot) -> Result<T, IndexError>,
    ) -> Result<T, SourceError> {
        let snapshot = {
            let state = self.shared.state();
            if let Some(found) = state.layers(self.sight).find_map(layer) {
                return Ok(found);
            }
            state.snapshot.clone().ok_or_else(closed)?
        };
        self.read(index(&snapshot))
    }

    /// Looks where no file is needed: into the layers in memory, then at what was read of the index lately.
    fn at_hand<T>(
        &self,
        layer: impl Fn(&Layer) -> Option<Option<T>>,
        index: impl FnOnce(&Snapshot) -> Option<Option<T>>,
    ) -> Option<Option<T>> {
        let state = self.shared.state();
        state.layers(self.sight).find_map(layer).or_else(|| index(state.snapshot.as_ref()?))
    }

    /// Goes through entries by ascending key, up to `limit`.
    pub(super) fn list<K: Ord + Clone, V: Clone>(
        &self,
        listing: &Listing<K, V>,
        range: &KeyRange<K>,
        limit: usize,
    ) -> Result<Vec<(K, V)>, SourceError> {
        let mut listed = Vec::new();
        if limit > 0 {
            self.visit(listing, range, limit, &mut |key, value| {
                listed.push((key, value));
                listed.len() < limit
            })?;
        }
        Ok(listed)
    }

    /// Shows entries to `visit` by ascending key, all of them as they are at one moment, until it wants no more. It sees at
    /// most `limit` for certain; of more, some may be out of date.
    pub(super) fn visit<K: Ord + Clone, V: Clone>(
        &self,
        listing: &Listing<K, V>,
        range: &KeyRange<K>,
        limit: usize,
        visit: Visit<'_, K, V>,
    ) -> Result<(), SourceError> {
        let (open, frozen, snapshot) = {
            let state = self.shared.state();
            let open = state.open_layers(self.sight).map(|layer| listing::copy((listing.layer)(layer), range, limit));
            (open.collect(), state.frozen.clone(), state.snapshot.clone().ok_or_else(closed)?)
        };
        self.read(listing::merge(listing, open, &frozen, &snapshot, range, visit))
    }

    /// The last entry of a history, whose first possible key is `low`, before the key `bound`.
    pub(super) fn last_history_before(
        &self,
        low: &HistoryKey,
        bound: &HistoryKey,
    ) -> Result<Option<(HistoryKey, Events)>, SourceError> {
        let mut bound = bound.clone();
        loop {
            let range = (Bound::Included(low.clone()), Bound::Excluded(bound.clone()));
            let (newest, snapshot) = {
                let state = self.shared.state();
                let last =
                    |layer: &Layer| layer.histories.last_in(&range).map(|(key, events)| (key.clone(), events.clone()));
                // Of layers that end with the same key the newest counts, which comes first.
                let newest =
                    state.layers(self.sight).filter_map(last).reduce(|one, two| if two.0 > one.0 { two } else { one });
                (newest, state.snapshot.clone().ok_or_else(closed)?)
            };
            let stored = self.read(snapshot.history_before(low, &bound))?;
            match (newest, stored) {
                (Some((key, Some(events))), stored) if stored.as_ref().is_none_or(|(below, _)| *below <= key) => {
                    return Ok(Some((key, events)));
                }
                // Taken back: what is in the index is out of date, and so on with what lies before.
                (Some((key, None)), stored) if stored.as_ref().is_none_or(|(below, _)| *below <= key) => bound = key,
                (_, stored) => return Ok(stored),
            }
        }
    }

    pub(super) fn entry(&self, id: &BlockId) -> Result<Option<Entry>, SourceError> {
        self.find(|layer| layer.blocks.get(id).cloned().map(Some), |index| index.block(id))
    }

    pub(super) fn known(&self, id: &BlockId) -> Result<Entry, SourceError> {
        self.entry(id)?.ok_or_else(|| SourceError(format!("block {id} is not stored")))
    }

    /// What the tree of known blocks holds of a stored block.
    ///
    /// # Errors
    /// Where there is none of this id, or the index could not be read.
    pub fn node(&self, id: &BlockId) -> Result<Node, SourceError> {
        Ok(self.known(id)?.into_node())
    }

    /// Reads a part of the log.
    fn part(&self, at: &Location) -> Result<Vec<u8>, SourceError> {
        let log = &self.shared.log;
        let failed = |what: String| SourceError(format!("cannot read {}: {what}", log.path().display()));
        match log.part(at) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(failed(format!("it is damaged at byte {}", at.offset))),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// The last block of the active chain, and its height.
    pub fn tip(&self) -> (BlockId, Height) {
        let state = self.shared.state();
        let head = state.head(self.sight);
        (head.tip, head.height)
    }

    /// Length of the log in bytes; 0 where the system does not tell.
    pub fn log_bytes(&self) -> u64 {
        self.shared.log.file_len().unwrap_or(0)
    }

    /// Height of the active chain.
    pub fn tip_height(&self) -> Height {
        self.shared.state().head(self.sight).height
    }

    /// Where the store stands.
    pub(super) fn head(&self) -> Head {
        self.shared.state().head(self.sight).clone()
    }

    /// The header of a stored block, on whichever branch.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn header(&self, id: &BlockId) -> Result<Option<Header>, SourceError> {
        Ok(self.entry(id)?.map(|entry| entry.header))
    }

    /// Whether a stored block is on the active chain or ever was: then it was found to be right.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn was_applied(&self, id: &BlockId) -> Result<bool, SourceError> {
        Ok(self.entry(id)?.is_some_and(|entry| entry.was_applied()))
    }

    /// The canonical bytes of a stored block, on whichever branch; `None` too where it is known by its header alone.
    ///
    /// # Errors
    /// Where index or log could not be read.
    pub fn block_bytes(&self, id: &BlockId) -> Result<Option<Arc<[u8]>>, SourceError> {
        if let Some(block) = self.shared.recent.get(id) {
            return Ok(Some(Arc::clone(block.bytes())));
        }
        self.entry(id)?.map_or(Ok(None), |entry| self.bytes_of(&entry))
    }

    /// [`Self::block_bytes`] of a block that [was applied](Self::was_applied); `None` of any other.
    ///
    /// # Errors
    /// Where index or log could not be read.
    pub fn applied_block_bytes(&self, id: &BlockId) -> Result<Option<Arc<[u8]>>, SourceError> {
        let Some(entry) = self.entry(id)?.filter(Entry::was_applied) else { return Ok(None) };
        match self.shared.recent.get(id) {
            Some(block) => Ok(Some(Arc::clone(block.bytes()))),
            None => self.bytes_of(&entry),
        }
    }

    fn bytes_of(&self, entry: &Entry) -> Result<Option<Arc<[u8]>>, SourceError> {
        match &entry.body {
            Some(at) => Ok(Some(self.part(at)?.into())),
            // Known by its header alone.
            None if entry.header.height > Height::ZERO => Ok(None),
            None => Ok(Some(Arc::clone(self.shared.genesis.bytes()))),
        }
    }

    /// The block of the active chain at a height.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn id_at(&self, height: Height) -> Result<Option<BlockId>, SourceError> {
        let height = height.get();
        self.find(|layer| layer.heights.get(&height).copied(), |index| index.height(height))
    }

    /// [`Self::id_at`], which is at hand from then on.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn ask_id_at(&self, height: Height) -> Result<Option<BlockId>, SourceError> {
        let height = height.get();
        self.find(|layer| layer.heights.get(&height).copied(), |index| index.ask_height(height))
    }

    /// The block of the active chain at a height, if that can be told without a file.
    pub fn id_at_hand(&self, height: Height) -> Option<BlockId> {
        let height = height.get();
        self.at_hand(|layer| layer.heights.get(&height).copied(), |index| index.height_at_hand(height))?
    }

    /// A stored block, if it is in memory.
    pub fn block_at_hand(&self, id: &BlockId) -> Option<Arc<Isolated>> {
        let genesis = &self.shared.genesis;
        self.shared.recent.get(id).or_else(|| (genesis.id() == *id).then(|| Arc::clone(genesis)))
    }

    /// An account, which is at hand from then on.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn ask_account(&self, address: &Address) -> Result<Account, SourceError> {
        let account = self.find(|layer| layer.accounts.get(address).copied(), |index| index.ask_account(address))?;
        Ok(account.unwrap_or_default())
    }

    /// An account, if it can be told without a file.
    pub fn account_at_hand(&self, address: &Address) -> Option<Account> {
        let found =
            self.at_hand(|layer| layer.accounts.get(address).copied(), |index| index.account_at_hand(address))?;
        Some(found.unwrap_or_default())
    }

    /// The height of a block of the active chain; `None` for any other.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn height_of(&self, id: &BlockId) -> Result<Option<Height>, SourceError> {
        let Some(Entry { header, .. }) = self.entry(id)? else { return Ok(None) };
        let active = self.id_at(header.height)?;
        Ok((active == Some(*id)).then_some(header.height))
    }

    /// Whether a block is on the active chain.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn is_active(&self, id: &BlockId) -> Result<bool, SourceError> {
        Ok(self.height_of(id)?.is_some())
    }

    /// Headers of the active chain, at most `limit`, after the first block of `locator` that is on it; after the genesis
    /// block where none is.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn headers_after(&self, locator: &[BlockId], limit: usize) -> Result<Vec<Header>, SourceError> {
        let mut active = Vec::new();
        for id in locator {
            if let Some(height) = self.height_of(id)? {
                active = self.ids((Bound::Included(height.get()), Bound::Unbounded), limit.saturating_add(1))?;
            }
            // Looked at again: the active chain may have changed in between.
            if active.first().is_some_and(|(_, first)| first == id) {
                break;
            }
            active.clear();
        }
        if active.is_empty() {
            active = self.ids((Bound::Unbounded, Bound::Unbounded), limit.saturating_add(1))?;
        }
        active.into_iter().skip(1).map(|(_, id)| Ok(self.known(&id)?.header)).collect()
    }

    /// The active chain in a range of heights, the lowest first.
    pub(super) fn ids(&self, range: KeyRange<u64>, limit: usize) -> Result<Vec<(u64, BlockId)>, SourceError> {
        self.list(&listing::HEIGHTS, &range, limit)
    }

    /// Where on the active chain a transaction is: height of its block, and its index in it.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn transaction(&self, id: &TransactionId) -> Result<Option<(Height, u32)>, SourceError> {
        let place = self.find(|layer| layer.transactions.get(id).copied(), |index| index.transaction(id))?;
        Ok(place.map(|(height, index)| (Height::new(height), index)))
    }

    /// Accounts that are not empty, by address, at most `limit`, those after `after`.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn accounts(&self, after: Option<&Address>, limit: usize) -> Result<Vec<(Address, Account)>, SourceError> {
        let low = after.map_or(Bound::Unbounded, |after| Bound::Excluded(*after));
        self.list(&listing::ACCOUNTS, &(low, Bound::Unbounded), limit)
    }

    /// Items ever named, by name, at most `limit`, those after `after`.
    ///
    /// # Errors
    /// Where the index could not be read.
    pub fn items(&self, after: Option<&ItemName>, limit: usize) -> Result<Vec<(ItemName, Item)>, SourceError> {
        let low = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        self.list(&listing::ITEMS, &(low, Bound::Unbounded), limit)
    }

    /// How many accounts and items there are, counted as they come and go: this costs nothing.
    pub fn counts(&self) -> Counts {
        self.shared.state().head(self.sight).counts
    }

    /// Reads a block from its bytes in the log.
    pub(super) fn read_block(&self, id: &BlockId, bytes: &[u8]) -> Result<Arc<Isolated>, SourceError> {
        let damaged = |what: &str| SourceError(format!("block {id} is not stored as it was: {what}"));
        let block = Unsigned::read(&self.shared.spec, bytes).map_err(|fault| damaged(&fault.to_string()))?;
        if block.id() != *id {
            return Err(damaged("another one is in its place"));
        }
        Ok(Arc::new(block.trust_stored()))
    }
}

impl View for StoreReader {
    fn account(&self, address: &Address) -> Result<Account, SourceError> {
        let account = self.find(|layer| layer.accounts.get(address).copied(), |index| index.account(address))?;
        Ok(account.unwrap_or_default())
    }

    fn item(&self, name: &ItemName) -> Result<Option<Item>, SourceError> {
        self.find(|layer| layer.items.get(name).copied(), |index| index.item(name))
    }
}

impl Source for StoreReader {
    fn block(&self, id: &BlockId) -> Result<Arc<Isolated>, SourceError> {
        if let Some(block) = self.shared.recent.get(id) {
            return Ok(block);
        }
        let entry = self.known(id)?;
        self.check_held(entry.header.height).map_err(|not| SourceError(not.to_string()))?;
        let Some(at) = entry.body else { return Ok(Arc::clone(&self.shared.genesis)) };
        let block = self.read_block(id, &self.part(&at)?)?;
        // What everybody finds there is durable.
        if self.sight == Sight::Durable {
            self.shared.recent.put(&block);
        }
        Ok(block)
    }

    fn undo(&self, id: &BlockId) -> Result<Undo, SourceError> {
        let at = self.known(id)?.undo.ok_or_else(|| SourceError(format!("block {id} has no undo")))?;
        let bytes = self.part(&at)?;
        encoding::decode(&bytes, bytes.len()).map_err(|error| SourceError(format!("the undo of block {id}: {error}")))
    }
}
