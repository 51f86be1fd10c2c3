//! What a record changes: the same answer when it is written and when it is replayed.

use std::sync::Arc;

use bard_chain::{hash::BlockId, rules::isolated::Isolated, source::SourceError};

use super::{
    history,
    overlay::{Entry, Layer, SideKey},
    reader::StoreReader,
    record::{Commit, Location, Parts, StoredBlock},
};

/// Finds the body of a block that a commit speaks of.
pub(super) type Bodies<'a> = &'a dyn Fn(&BlockId) -> Result<Arc<Isolated>, SourceError>;

/// The changes that `commit` makes to what `reader` sees. `parts` is what follows its head, at `offset` of the log.
pub(super) fn plan(
    reader: &StoreReader,
    commit: &Commit,
    parts: &[u8],
    offset: u64,
    bodies: Bodies<'_>,
) -> Result<Layer, SourceError> {
    let lengths = || SourceError("the lengths in a record of the log do not add up".into());
    let Parts { block, undos } = commit.locate(parts, offset).ok_or_else(lengths)?;
    let mut plan = Plan { reader, bodies, layer: Layer::default() };
    if let (Some(stored), Some(at)) = (&commit.stored, block) {
        plan.store(stored, at)?;
    }
    for id in &commit.disconnected {
        plan.disconnect(id)?;
    }
    for ((id, _), undo) in commit.connected.iter().zip(undos) {
        plan.connect(id, undo)?;
    }
    for id in &commit.invalidated {
        plan.invalidate(id)?;
    }
    let mut layer = plan.layer;
    let accounts = commit.accounts.iter();
    layer.accounts =
        accounts.map(|(address, after)| (*address, Some(*after).filter(|after| !after.is_empty()))).collect();
    layer.items = commit.items.iter().cloned().collect();
    Ok(layer)
}

struct Plan<'a> {
    reader: &'a StoreReader,
    bodies: Bodies<'a>,
    layer: Layer,
}

fn side_key(id: &BlockId, entry: &Entry) -> SideKey {
    (entry.header.height.get(), entry.arrival, *id)
}

impl Plan<'_> {
    fn entry(&self, id: &BlockId) -> Result<Entry, SourceError> {
        self.layer.blocks.get(id).map_or_else(|| self.reader.known(id), |entry| Ok(entry.clone()))
    }

    /// Adds a block, at first beside the active chain.
    fn store(&mut self, stored: &StoredBlock, at: Location) -> Result<(), SourceError> {
        let StoredBlock { id, length: _, work, anchor, arrival } = stored;
        let header = (self.bodies)(id)?.header().clone();
        // The tree forgets side blocks when there are too many; then one may come a second time, with another arrival. It is
        // looked for among them, who are few, and not among all blocks: on a long chain that would cost more than all else.
        let mut undo = None;
        for earlier in self.reader.sides_at(header.height)?.into_iter().filter(|(_, _, side)| side == id) {
            self.layer.sides.insert(earlier, None);
            // Where it was active once, it was found to be right, and still is.
            undo = self.reader.known(id)?.undo;
        }
        let (work, anchor, arrival) = (*work, *anchor, *arrival);
        let entry = Entry { header, work, anchor, arrival, invalid: false, body: Some(at), undo };
        self.layer.sides.insert(side_key(id, &entry), Some(()));
        self.layer.blocks.insert(*id, entry);
        Ok(())
    }

    fn disconnect(&mut self, id: &BlockId) -> Result<(), SourceError> {
        let entry = self.entry(id)?;
        self.layer.heights.insert(entry.header.height.get(), None);
        self.layer.sides.insert(side_key(id, &entry), Some(()));
        let block = (self.bodies)(id)?;
        self.layer.transactions.absorb(block.transaction_ids().iter().map(|id| (*id, None)).collect());
        let histories = history::of_block(&self.reader.shared.spec, &block).into_iter();
        self.layer.histories.absorb(histories.map(|(key, _)| (key, None)).collect());
        Ok(())
    }

    fn connect(&mut self, id: &BlockId, undo: Location) -> Result<(), SourceError> {
        let mut entry = self.entry(id)?;
        entry.undo = Some(undo);
        let height = entry.header.height.get();
        self.layer.heights.insert(height, Some(*id));
        self.layer.sides.insert(side_key(id, &entry), None);
        self.layer.blocks.insert(*id, entry);
        let block = (self.bodies)(id)?;
        let places = (0..).map(|index| Some((height, index)));
        self.layer.transactions.absorb(block.transaction_ids().iter().copied().zip(places).collect());
        let histories = history::of_block(&self.reader.shared.spec, &block).into_iter();
        self.layer.histories.absorb(histories.map(|(key, events)| (key, Some(events))).collect());
        Ok(())
    }

    fn invalidate(&mut self, id: &BlockId) -> Result<(), SourceError> {
        let mut entry = self.entry(id)?;
        entry.invalid = true;
        self.layer.blocks.insert(*id, entry);
        Ok(())
    }
}
