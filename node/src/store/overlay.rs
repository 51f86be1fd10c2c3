//! What was committed lately and is not in the index yet: layers of changes in memory, the newest on top.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bard_chain::{
    address::Address,
    array_form,
    block::Header,
    hash::{BlockId, TransactionId},
    ledger::{Account, Delta, Item, commitment::Commitment},
    transaction::ItemName,
    tree::Node,
    units::{Height, Timestamp, Work},
};

use super::{
    changes::Changes,
    history::{Events, HistoryKey},
    index::Snapshot,
    log::Mark,
    record::Location,
};

/// From so many commits on, the top layer is handed to the flusher: the more of them together, the fewer pages of the index are
/// written for each, and the longer a replay after a kill.
pub(super) const LARGE_COMMITS: usize = 512;
/// From so many bytes on, as estimated, the top layer is handed to the flusher.
const LARGE_BYTES: usize = 8 << 20;

/// A stored block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its header.
    pub(super) header: Header,
    /// Work of the chain up to it.
    pub(super) work: Work,
    /// Time of block 1 of its branch.
    pub(super) anchor: Option<Timestamp>,
    /// Place in the order of arrival.
    pub(super) arrival: u64,
    /// Whether it was found to break a rule of the state.
    pub(super) invalid: bool,
    /// Its bytes in the log; the genesis block has none there.
    pub(super) body: Option<Location>,
    /// Its undo, if it ever was on the active chain.
    pub(super) undo: Option<Location>,
}

array_form!(Entry {
    header: Header,
    work: Work,
    anchor: Option<Timestamp>,
    arrival: u64,
    invalid: bool,
    body: Option<Location>,
    undo: Option<Location>,
});

impl Entry {
    /// Whether it is on the active chain or ever was.
    pub(super) fn was_applied(&self) -> bool {
        self.undo.is_some() || self.header.height == Height::ZERO
    }

    /// What the tree of known blocks holds of it.
    pub(super) fn into_node(self) -> Node {
        let Self { header, work, anchor, arrival, invalid, .. } = self;
        Node { header, work, anchor, arrival, invalid }
    }
}

/// Place of a block beside the active chain: height, arrival, id.
pub(super) type SideKey = (u64, u64, BlockId);

/// The changes of one or more commits.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// Stored blocks; none is ever removed.
    pub(super) blocks: HashMap<BlockId, Entry>,
    /// The active chain by height.
    pub(super) heights: Changes<u64, BlockId>,
    /// Blocks beside it.
    pub(super) sides: Changes<SideKey, ()>,
    /// Accounts; an empty one is gone.
    pub(super) accounts: Changes<Address, Account>,
    /// Items.
    pub(super) items: Changes<ItemName, Item>,
    /// What happened to whom on the active chain, by [`super::history`]'s keys.
    pub(super) histories: Changes<HistoryKey, Events>,
    /// Transactions of the active chain: height and index in the block.
    pub(super) transactions: Changes<TransactionId, (u64, u32)>,
    /// How many commits were put together here; 0 of a single one that was not put anywhere yet.
    commits: usize,
    bytes: usize,
}

impl Layer {
    /// Adds the changes of later commits: of one, or of several that were put together before.
    pub(super) fn absorb(&mut self, later: Self) {
        let (commits, bytes) = if later.is_empty() { (1, later.weight()) } else { (later.commits, later.bytes) };
        if self.is_empty() {
            *self = Self { bytes, commits, ..later };
            return;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.commits = self.commits.saturating_add(commits);
        self.blocks.extend(later.blocks);
        self.heights.absorb(later.heights);
        self.sides.absorb(later.sides);
        self.accounts.absorb(later.accounts);
        self.items.absorb(later.items);
        self.histories.absorb(later.histories);
        self.transactions.absorb(later.transactions);
    }

    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        let ledger = self.accounts.len().saturating_add(self.items.len()).saturating_add(self.transactions.len());
        let blocks = self.blocks.len().saturating_add(self.heights.len()).saturating_add(self.sides.len());
        ledger.saturating_add(blocks).saturating_add(self.histories.len())
    }

    /// Whether nothing was committed.
    pub(super) const fn is_empty(&self) -> bool {
        self.commits == 0
    }

    /// Whether it is time to hand it to the flusher.
    pub(super) const fn is_large(&self) -> bool {
        self.commits >= LARGE_COMMITS || self.bytes >= LARGE_BYTES
    }

    /// Estimated memory, in bytes: keys, values, and what is held twice while two sequences become one.
    fn weight(&self) -> usize {
        let weigh = |count: usize, each: usize| count.saturating_mul(each);
        let events = self.histories.iter().filter_map(|(_, events)| events.as_ref());
        let apart = events.filter(|events| events.spilled()).map(|events| events.capacity());
        weigh(self.blocks.len(), 400)
            .saturating_add(weigh(self.heights.len().saturating_add(self.sides.len()), 80))
            .saturating_add(weigh(self.accounts.len(), 80))
            .saturating_add(weigh(self.items.len(), 150))
            .saturating_add(weigh(self.transactions.len(), 80))
            .saturating_add(weigh(self.histories.len(), 160))
            .saturating_add(apart.sum())
    }
}

/// Where the store stands after a commit.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// The commit's record in the log.
    pub(super) mark: Mark,
    /// The tip of the active chain.
    pub(super) tip: BlockId,
    /// Its height.
    pub(super) height: Height,
    /// The running commitment at the tip.
    pub(super) commitment: Commitment,
    /// How many accounts and items there are.
    pub(super) counts: Counts,
}

/// How many accounts and items there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accounts that are not empty.
    pub accounts: u64,
    /// Items ever named, held or free.
    pub items: u64,
    /// Those of them that somebody holds.
    pub items_held: u64,
}

array_form!(Counts { accounts: u64, items: u64, items_held: u64 });

impl Counts {
    /// Items that nobody holds.
    pub const fn items_free(&self) -> u64 {
        self.items.saturating_sub(self.items_held)
    }

    /// The numbers after a change of the ledger.
    pub(super) fn after(self, delta: &Delta) -> Self {
        let step = |before: bool, after: bool| i64::from(after).saturating_sub(i64::from(before));
        let held = |item: Option<Item>| item.is_some_and(|item| item.holder.is_some());
        let accounts = delta.accounts.values().map(|change| step(!change.before.is_empty(), !change.after.is_empty()));
        let items = delta.items.values().map(|change| step(change.before.is_some(), change.after.is_some()));
        let items_held = delta.items.values().map(|change| step(held(change.before), held(change.after)));
        Self {
            accounts: self.accounts.saturating_add_signed(accounts.sum()),
            items: self.items.saturating_add_signed(items.sum()),
            items_held: self.items_held.saturating_add_signed(items_held.sum()),
        }
    }
}

/// A layer that no longer changes, on its way to the index.
#[derive(Debug)]
pub(super) struct Frozen {
    /// The changes.
    pub(super) layer: Layer,
    /// Where the store stood after the last of them.
    pub(super) head: Head,
}

/// How much of the store a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// What would survive a loss of power.
    Durable,
    /// Also what was appended since: for whoever appends.
    Newest,
}

/// All that readers see: the index, then the frozen layers, then the top one, then what is not durable yet.
pub(super) struct State {
    /// The index as of its last flush; `None` once the store is closed.
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// Layers on their way to the index, the oldest first.
    pub(super) frozen: VecDeque<Arc<Frozen>>,
    /// The changes since.
    pub(super) active: Layer,
    /// Where the store stands.
    pub(super) head: Head,
    /// What was appended and is not durable yet, and where the store stands with it.
    pending: Option<(Layer, Head)>,
}

impl State {
    /// Nothing but what is in the index.
    pub(super) fn new(snapshot: Snapshot, head: Head) -> Self {
        let snapshot = Some(Arc::new(snapshot));
        Self { snapshot, frozen: VecDeque::new(), active: Layer::default(), head, pending: None }
    }

    /// The layers in memory that are still added to, the newest first.
    pub(super) fn open_layers(&self, sight: Sight) -> impl Iterator<Item = &Layer> {
        let pending = self.pending.iter().filter(move |_| sight == Sight::Newest);
        pending.map(|(layer, _)| layer).chain(std::iter::once(&self.active))
    }

    /// The layers in memory, the newest first.
    pub(super) fn layers(&self, sight: Sight) -> impl Iterator<Item = &Layer> {
        self.open_layers(sight).chain(self.frozen.iter().rev().map(|frozen| &frozen.layer))
    }

    /// Where the store stands.
    pub(super) fn head(&self, sight: Sight) -> &Head {
        match (&self.pending, sight) {
            (Some((_, head)), Sight::Newest) => head,
            (None, Sight::Newest) | (_, Sight::Durable) => &self.head,
        }
    }

    /// Adds a commit that is not durable yet.
    pub(super) fn append(&mut self, layer: Layer, head: Head) {
        let (pending, at) = self.pending.get_or_insert_with(|| (Layer::default(), head.clone()));
        pending.absorb(layer);
        *at = head;
    }

    /// Shows everybody what was appended: it is durable now.
    pub(super) fn settle(&mut self) {
        if let Some((layer, head)) = self.pending.take() {
            self.commit(layer, head);
        }
    }

    /// Adds a commit that is durable.
    pub(super) fn commit(&mut self, layer: Layer, head: Head) {
        self.active.absorb(layer);
        self.head = head;
    }

    /// Turns the top layer into a frozen one.
    pub(super) fn freeze(&mut self) {
        let layer = std::mem::take(&mut self.active);
        self.frozen.push_back(Arc::new(Frozen { layer, head: self.head.clone() }));
    }
}
