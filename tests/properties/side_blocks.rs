//! The tree of known blocks keeps count of its side tips; what it holds is what the plain definition holds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bard_chain::{
    block::{Block, Header},
    hash::BlockId,
    spec::ChainSpec,
    tree::{Node, Tree},
    units::{Height, Timestamp, Work},
};
use bard_tests::chain_builder::easy_spec;
use proptest::{collection::vec, prelude::*, sample::Index};
use ruint::aliases::U256;

use crate::cases;

const DEPTH: u64 = 3;
/// Twice the depth, and what is spared besides.
const MOST_SIDE_BLOCKS: usize = 2 * 3 + 1_024;
/// Above so many children of one block, they make way first.
const MOST_SIBLINGS: usize = 16;
/// The depth, the span of the median time, and the block below.
const WINDOW: usize = 3 + 11 + 1;

/// The same by going through everything every time.
struct Plain {
    nodes: BTreeMap<BlockId, Node>,
    active: VecDeque<BlockId>,
    base: u64,
}

impl Plain {
    /// The side tips but one, by work and id.
    fn side_tips(&self, except: &BlockId) -> BTreeSet<(Work, BlockId)> {
        let parents: BTreeSet<_> = self.nodes.values().map(|node| node.header.parent).collect();
        let tips = self.nodes.iter().filter(|(id, _)| !parents.contains(*id) && !self.active.contains(*id));
        tips.filter(|(id, _)| *id != except).map(|(id, node)| (node.work, *id)).collect()
    }

    fn weakest_side_tip(&self, except: &BlockId) -> Option<(BlockId, Work)> {
        self.side_tips(except).first().map(|(work, id)| (*id, *work))
    }

    /// Of the block with the most children, where those are many, the weakest side tip; of equals the one with the greatest id.
    fn crowded_side_tip(&self, except: &BlockId) -> Option<BlockId> {
        let mut children: BTreeMap<BlockId, usize> = BTreeMap::new();
        self.nodes.values().for_each(|node| *children.entry(node.header.parent).or_default() += 1);
        let (parent, count) = children.into_iter().max_by_key(|(id, count)| (*count, *id))?;
        if count <= MOST_SIBLINGS || !self.nodes.contains_key(&parent) {
            return None;
        }
        let mut siblings = self.side_tips(except);
        siblings.retain(|(_, id)| self.nodes[id].header.parent == parent);
        let least = siblings.first()?.0;
        siblings.into_iter().rev().find(|(work, _)| *work == least).map(|(_, id)| id)
    }

    fn side_blocks(&self) -> usize {
        self.nodes.len() - self.active.len()
    }

    fn has_room_for(&self, node: &Node) -> bool {
        self.side_blocks() < MOST_SIDE_BLOCKS
            || self.crowded_side_tip(&node.header.parent).is_some()
            || self.weakest_side_tip(&node.header.parent).is_some_and(|(_, work)| work < node.work)
    }

    fn insert(&mut self, id: BlockId, node: Node) {
        self.nodes.insert(id, node);
        while self.side_blocks() > MOST_SIDE_BLOCKS {
            let weakest = || self.weakest_side_tip(&id).map(|(weakest, _)| weakest);
            let Some(leaving) = self.crowded_side_tip(&id).or_else(weakest) else { return };
            self.nodes.remove(&leaving);
        }
    }

    fn activate(&mut self, disconnected: usize, connected: &[BlockId]) {
        self.active.truncate((self.active.len() - disconnected.min(self.active.len())).max(1));
        self.active.extend(connected);
        while self.active.len() > WINDOW {
            let old = self.active.pop_front().expect("many");
            self.nodes.remove(&old);
            self.base += 1;
            if self.active.len() == WINDOW && self.nodes.len() > WINDOW && self.base.is_multiple_of(64) {
                self.nodes.retain(|_, node| node.header.height.get() >= self.base);
            }
        }
    }
}

/// Both, and the blocks there were.
struct Both {
    spec: ChainSpec,
    header: Header,
    tree: Tree,
    plain: Plain,
    made: u64,
}

impl Both {
    fn new() -> Self {
        let spec = ChainSpec { max_reorg_depth: DEPTH, ..easy_spec() };
        let Block { header, .. } = spec.genesis();
        let id = BlockId::from(spec.chain_id());
        let node = Node { header: header.clone(), work: Work::ZERO, anchor: None, arrival: 0, invalid: false };
        let tree = Tree::new(&spec, id, node.clone());
        let plain = Plain { nodes: BTreeMap::from([(id, node)]), active: VecDeque::from([id]), base: 0 };
        Self { spec, header, tree, plain, made: 0 }
    }

    /// A block after another, with so much more work, where there is room for it.
    fn insert(&mut self, parent: BlockId, work: u64) -> Option<BlockId> {
        let before = &self.plain.nodes[&parent];
        self.made += 1;
        // Spread over the order of ids.
        let id = blake3::hash(&self.made.to_le_bytes());
        let header = Header {
            height: before.header.height.next().expect("low"),
            parent,
            timestamp: Timestamp::new(self.made),
            ..self.header.clone()
        };
        let work = before.work.saturating_add(Work::new(U256::from(work)));
        let node = Node { header, work, anchor: None, arrival: self.made, invalid: false };
        let id = BlockId::new(*id.as_bytes());
        let room = self.plain.has_room_for(&node);
        assert_eq!(self.tree.has_room_for(&self.spec, &node), room);
        if !room {
            return None;
        }
        self.plain.insert(id, node.clone());
        self.tree.insert(&self.spec, id, node);
        Some(id)
    }

    /// Makes the chain go to a block, as far as a reorganisation may.
    fn activate(&mut self, id: BlockId) {
        let Ok((fork, path)) = self.tree.path_from_active(&self.spec, &id) else { return };
        let above = self.tree.active_above(&fork).len();
        self.plain.activate(above, &path);
        self.tree.activate(above, path);
    }

    fn wins(&mut self, parent: BlockId, work: u64) {
        if let Some(id) = self.insert(parent, work) {
            self.activate(id);
        }
    }

    fn same(&self) -> bool {
        self.tree.nodes().eq(self.plain.nodes.iter())
            && self.tree.active_at(Height::new(self.plain.base)) == self.plain.active.front().copied()
            && self.tree.tip_id() == *self.plain.active.back().expect("never empty")
    }

    /// One of those that are held, mostly of the last ones made.
    fn held(&self, index: Index) -> BlockId {
        let mut held: Vec<_> = self.plain.nodes.iter().map(|(id, node)| (node.arrival, *id)).collect();
        held.sort_unstable();
        let last = held.len().min(40);
        held[held.len() - 1 - index.index(held.len()) % last].1
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// A block comes after one that is held.
    Comes(Index, u64),
    /// One comes after one that is held, and its branch becomes the chain.
    Wins(Index, u64),
    /// The chain grows by so many.
    Grows(u8),
    /// So many come after the tip, each a branch of its own: the bound is reached.
    Crowd(Vec<u64>),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (any::<Index>(), 1..9_u64).prop_map(|(at, work)| Event::Comes(at, work)),
        4 => (any::<Index>(), 1..9_u64).prop_map(|(at, work)| Event::Wins(at, work)),
        1 => (1..40_u8).prop_map(Event::Grows),
        1 => vec(1..9_u64, 1..40).prop_map(Event::Crowd),
    ]
}

proptest! {
    #![proptest_config(cases(12))]

    #[test]
    fn side_tips_are_kept_as_they_are_defined(events in vec(event(), 1..200), crowd in 1_000..1_100_u64) {
        let mut both = Both::new();
        let mut last = both.tree.tip_id();
        for number in 0..crowd {
            // Every third comes after the one before it, so that what goes is not always a branch of one block.
            let parent = if number % 3 == 0 { last } else { both.tree.tip_id() };
            last = both.insert(parent, 1 + number % 13).unwrap_or_else(|| both.tree.tip_id());
        }
        for event in &events {
            match event {
                Event::Comes(at, work) => {
                    both.insert(both.held(*at), *work);
                }
                Event::Wins(at, work) => both.wins(both.held(*at), *work),
                Event::Grows(by) => (0..*by).for_each(|_| both.wins(both.tree.tip_id(), 1)),
                Event::Crowd(works) => {
                    for work in works {
                        both.insert(both.tree.tip_id(), *work);
                    }
                }
            }
            prop_assert!(both.same(), "after {event:?}");
        }
    }
}
