//! All that can be read of a store, to be compared with what was there at another time.

use std::{collections::BTreeMap, sync::Arc};

use bard_chain::{
    address::Address,
    hash::{BlockId, Hash32, TransactionId},
    ledger::{Account, Change, Delta, Item, commitment::Commitment},
    rules::isolated::Isolated,
    source::Source,
    transaction::{Action, ItemName},
    units::Height,
};

use super::{
    chain::{Chain, Node, key, spec},
    simulated::SimDisk,
};
use crate::store::{Counts, Handover, Placed, StoreReader};

/// What a reader sees, and what the engine goes on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    tip: (BlockId, Height),
    root: Hash32,
    counts: Counts,
    accounts: Vec<(Address, Account)>,
    items: Vec<(ItemName, Item)>,
    heights: Vec<BlockId>,
    /// The blocks that are stored.
    stored: Vec<BlockId>,
    /// What the tree of known blocks holds, with whether it is invalid and its place in the order of arrival.
    known: BTreeMap<BlockId, (bool, u64)>,
    transactions: BTreeMap<TransactionId, (Height, u32)>,
    of_accounts: Vec<Vec<Placed>>,
    of_items: Vec<Vec<Handover>>,
    records: Vec<Placed>,
}

/// The sum over all entries of a ledger, made from nothing.
pub(super) fn root_of(accounts: &[(Address, Account)], items: &[(ItemName, Item)]) -> Hash32 {
    let mut delta = Delta::default();
    let change = |after: Account| Change { before: Account::default(), after };
    delta.accounts = accounts.iter().map(|(address, account)| (*address, change(*account))).collect();
    let change = |after: Item| Change { before: None, after: Some(after) };
    delta.items = items.iter().map(|(name, item)| (name.clone(), change(*item))).collect();
    let mut sum = Commitment::default();
    sum.apply(&delta);
    sum.root()
}

/// The state root of everything that a reader lists.
pub(super) fn listed_root(reader: &StoreReader) -> Hash32 {
    root_of(&reader.accounts(None, usize::MAX).unwrap(), &reader.items(None, usize::MAX).unwrap())
}

impl Picture {
    /// What there is of these blocks. The state must add up to what the tip's header says, which another ledger said.
    pub(super) fn of(node: &Node, blocks: &[Arc<Isolated>]) -> Self {
        let reader = node.reader();
        let accounts = reader.accounts(None, usize::MAX).unwrap();
        let items = reader.items(None, usize::MAX).unwrap();
        let root = root_of(&accounts, &items);
        let tip = reader.tip();
        assert_eq!(node.engine.tip().id, tip.0);
        assert_eq!(reader.header(&tip.0).unwrap().unwrap().state_root, root, "what is listed is not what is sealed");
        assert_eq!(node.engine.commitment().root(), root);
        let heights = (0..).map_while(|height| reader.id_at(Height::new(height)).unwrap()).collect();
        let mut stored = Vec::new();
        let mut transactions = BTreeMap::new();
        for block in blocks {
            if let Some(bytes) = reader.block_bytes(&block.id()).unwrap() {
                assert_eq!(&bytes, block.bytes());
                stored.push(block.id());
            }
            if reader.is_active(&block.id()).unwrap() {
                reader.undo(&block.id()).unwrap();
            }
            for id in block.transaction_ids() {
                transactions.extend(reader.transaction(id).unwrap().map(|place| (*id, place)));
            }
        }
        let nodes = node.engine.tree().nodes();
        let known = nodes.map(|(id, node)| (*id, (node.invalid, node.arrival))).collect();
        let of = |address: &Address| reader.account_transactions(address, None, usize::MAX).unwrap().entries;
        let of_accounts = ["alice", "bob"].iter().map(|name| of(&key(name).address())).collect();
        let of = |name| reader.item_history(&ItemName::new(name), None, usize::MAX).unwrap().entries;
        let of_items = ["projector", "easel"].into_iter().map(of).collect();
        let records = reader.records(None, usize::MAX).unwrap().entries;
        let counts = reader.counts();
        Self {
            tip,
            root,
            counts,
            accounts,
            items,
            heights,
            stored,
            known,
            transactions,
            of_accounts,
            of_items,
            records,
        }
    }

    /// The same, had no block been found invalid: an index that is made anew forgets which were.
    pub(super) fn without_verdicts(&self) -> Self {
        let known = self.known.iter().map(|(id, (_, arrival))| (*id, (false, *arrival))).collect();
        Self { known, ..self.clone() }
    }

    /// The blocks of the active chain.
    pub(super) fn length(&self) -> usize {
        self.heights.len()
    }
}

/// Blocks in the order in which a node hears of them, and what there is after each.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) blocks: Vec<Arc<Isolated>>,
    /// After so many blocks; one more than there are blocks.
    pub(super) pictures: Vec<Picture>,
}

impl Story {
    /// A chain that grows, a branch that overtakes it, one that is found invalid, a record, and the way back.
    pub(super) fn eventful() -> Self {
        let mut one = Chain::new(spec());
        one.mine_many(2);
        let mut two = one.branch(3);
        one.mine_many(2);
        let (first, content) = (key("carol"), b"the kiln was cleaned".to_vec());
        let record = Action::Record { content_type: "text/plain".into(), bytes: content };
        two.mine(&[
            two.sign(&first, 0, Action::ItemRequest { item: ItemName::new("easel") }),
            two.sign(&first, 1, record),
        ]);
        two.mine_many(2);
        let mut blocks = [one.blocks.as_slice(), &two.blocks[2..]].concat();
        // The branch that `one` was is overtaken by now. A bad block beside the tip, and one that gives it more work.
        let bad = two.bad_pair();
        two.mine_some();
        blocks.push(Arc::clone(&two.blocks[5]));
        blocks.extend(bad);
        one.mine_many(3);
        blocks.extend(one.blocks[4..].iter().cloned());
        Self::of(blocks)
    }

    /// What there is after each of the blocks, on a disk that nothing happens to.
    fn of(blocks: Vec<Arc<Isolated>>) -> Self {
        let mut node = Node::on(&SimDisk::default()).unwrap();
        let mut pictures = vec![Picture::of(&node, &blocks)];
        for block in &blocks {
            node.give(block);
            node.store.sync().unwrap();
            pictures.push(Picture::of(&node, &blocks));
        }
        Self { blocks, pictures }
    }

    /// After how many of the blocks there was this.
    pub(super) fn place_of(&self, picture: &Picture) -> Option<usize> {
        self.pictures.iter().rposition(|known| known == picture)
    }
}

impl Node {
    /// Offers a block, which may be refused.
    pub(super) fn give(&mut self, block: &Arc<Isolated>) {
        let far = bard_chain::units::Timestamp::new(1 << 50);
        if let Ok(effects) = self.engine.accept(block, far, &self.reader()) {
            self.store.append(&effects).unwrap();
            self.engine.adopt(&effects);
        }
    }
}
