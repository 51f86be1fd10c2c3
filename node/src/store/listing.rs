//! Going through entries in the order of their keys, over the layers in memory and the index below them.

use std::{collections::VecDeque, iter::Peekable, sync::Arc};

use bard_chain::{
    address::Address,
    hash::BlockId,
    ledger::{Account, Item},
    transaction::ItemName,
};

use super::{
    changes::Changes,
    history::{Events, HistoryKey},
    index::{Entries, IndexError, KeyRange, Snapshot},
    overlay::{Frozen, Layer, SideKey},
};

/// Finds the entries of the index in a range.
type Scan<K, V> = fn(&Snapshot, &KeyRange<K>) -> Result<Entries<K, V>, IndexError>;

/// What can be listed: where it is in a layer, and where in the index.
pub(super) struct Listing<K, V> {
    /// The changes in a layer.
    pub(super) layer: fn(&Layer) -> &Changes<K, V>,
    /// The entries of the index in a range.
    index: Scan<K, V>,
}

/// The active chain by height.
pub(super) const HEIGHTS: Listing<u64, BlockId> =
    Listing { layer: |layer| &layer.heights, index: Snapshot::heights_in };
/// Blocks beside it.
pub(super) const SIDES: Listing<SideKey, ()> = Listing { layer: |layer| &layer.sides, index: Snapshot::sides_in };
/// Accounts by address.
pub(super) const ACCOUNTS: Listing<Address, Account> =
    Listing { layer: |layer| &layer.accounts, index: Snapshot::accounts_in };
/// Items by name.
pub(super) const ITEMS: Listing<ItemName, Item> = Listing { layer: |layer| &layer.items, index: Snapshot::items_in };
/// What happened to whom.
pub(super) const HISTORIES: Listing<HistoryKey, Events> =
    Listing { layer: |layer| &layer.histories, index: Snapshot::histories_in };

/// The changes in a range until `limit` of them say that something is there: more of them no listing of `limit` entries
/// can reach.
pub(super) fn copy<K: Ord + Clone, V: Clone>(
    changes: &Changes<K, V>,
    range: &KeyRange<K>,
    limit: usize,
) -> Vec<(K, Option<V>)> {
    let mut left = limit;
    let mut copied = Vec::new();
    for (key, change) in changes.range(range) {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(usize::from(change.is_some()));
        copied.push((key.clone(), change.clone()));
    }
    copied
}

/// Takes entries one by one; says whether it wants more.
pub(super) type Visit<'a, K, V> = &'a mut dyn FnMut(K, V) -> bool;

/// One of the sequences that are merged.
type Changed<'a, K, V> = Peekable<Box<dyn Iterator<Item = (K, Option<V>)> + 'a>>;

/// Shows the entries of a range to `visit`, each as the newest layer has it, until it wants no more: `open` are copies of those
/// above the frozen ones, the newest first.
pub(super) fn merge<K: Ord + Clone, V: Clone>(
    listing: &Listing<K, V>,
    open: Vec<Vec<(K, Option<V>)>>,
    frozen: &VecDeque<Arc<Frozen>>,
    snapshot: &Snapshot,
    range: &KeyRange<K>,
    visit: Visit<'_, K, V>,
) -> Result<(), IndexError> {
    let mut failure = None;
    let index = (listing.index)(snapshot, range)?.map_while(|entry| match entry {
        Ok((key, value)) => Some((key, Some(value))),
        Err(error) => {
            failure = Some(error);
            None
        }
    });
    let mut layers: Vec<Changed<'_, K, V>> =
        Vec::with_capacity(open.len().saturating_add(frozen.len()).saturating_add(1));
    for open in open {
        layers.push((Box::new(open.into_iter()) as Box<dyn Iterator<Item = _>>).peekable());
    }
    for frozen in frozen.iter().rev() {
        let changes = (listing.layer)(&frozen.layer).range(range);
        let changes = changes.map(|(key, change)| (key.clone(), change.clone()));
        layers.push((Box::new(changes) as Box<dyn Iterator<Item = _>>).peekable());
    }
    layers.push((Box::new(index) as Box<dyn Iterator<Item = _>>).peekable());
    let mut listed =
        std::iter::from_fn(|| newest_of_lowest(&mut layers)).filter_map(|(key, value)| Some((key, value?)));
    // `all` stops at the first that is refused: a visitor who wants no more.
    listed.all(|(key, value)| visit(key, value));
    drop(layers);
    failure.map_or(Ok(()), Err)
}

/// Takes the lowest key off all sequences that begin with it; the value is that of the first of them, the newest.
fn newest_of_lowest<K: Ord + Clone, V>(layers: &mut [Changed<'_, K, V>]) -> Option<(K, Option<V>)> {
    let lowest = layers.iter_mut().filter_map(|layer| layer.peek().map(|(key, _)| key)).min()?.clone();
    let taken = layers.iter_mut().filter_map(|layer| layer.next_if(|(key, _)| *key == lowest));
    // All of them are taken, the first one kept.
    taken.reduce(|newest, _| newest)
}
