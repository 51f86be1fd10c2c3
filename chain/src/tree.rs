//! The known blocks near the tip, by their headers: which chain is active, which branches there are, what forks where.
//!
//! Only as much is held as a reorganisation may reach; older headers are the store's. Side branches are bounded in number:
//! when there are too many, a side tip that is one of many siblings is forgotten, or else the one with the least work.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    block::Header,
    hash::BlockId,
    invalid::Invalid,
    rules::in_chain::{MEDIAN_SPAN, Position},
    spec::ChainSpec,
    units::{Height, Timestamp, Work},
};

/// How many blocks beside the active chain are held beyond twice the deepest reorganisation.
const SPARE_SIDE_BLOCKS: usize = 1024;
/// More children of one block than these are not what miners make who only did not hear of each other in time.
const MOST_SIBLINGS: usize = 16;
/// Denser than this a locator does not get: the last so many blocks one by one.
const LOCATOR_DENSE: usize = 10;

/// A known block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its header.
    pub header: Header,
    /// Work of the chain up to it.
    pub work: Work,
    /// Time of block 1 of its branch.
    pub anchor: Option<Timestamp>,
    /// Place in the order of arrival; the first seen wins a tie.
    pub arrival: u64,
    /// Whether it, or a block before it, was found to break a rule of the state.
    pub invalid: bool,
}

/// Above all other ids.
const GREATEST: BlockId = BlockId::new([u8::MAX; 32]);

/// The known blocks near the tip.
#[derive(Clone, Debug)]
pub struct Tree {
    nodes: BTreeMap<BlockId, Node>,
    /// Ids of the active chain, the lowest held first; never empty.
    active: VecDeque<BlockId>,
    /// Height of the first of `active`.
    base: Height,
    /// Number of blocks of the active chain that are held.
    window: usize,
    next_arrival: u64,
    /// How many held blocks name this one as their parent; those that none names are not here.
    children: BTreeMap<BlockId, usize>,
    /// The blocks with more children than [`MOST_SIBLINGS`], by their number, so that the most crowded is found at once.
    crowded: BTreeSet<(usize, BlockId)>,
    /// The side tips: held, not on the active chain, no held block after them. By work, so that the weakest is found at once.
    side_tips: BTreeSet<(Work, BlockId)>,
    /// The same, each after its parent.
    side_tips_after: BTreeSet<(BlockId, Work, BlockId)>,
}

/// How many blocks beside the active chain are held at most.
fn most_side_blocks(spec: &ChainSpec) -> usize {
    let depth = usize::try_from(spec.max_reorg_depth).unwrap_or(usize::MAX);
    depth.saturating_mul(2).saturating_add(SPARE_SIDE_BLOCKS)
}

impl Tree {
    /// Holds nothing but the first block of a chain, or the lowest that is still of interest.
    pub fn new(spec: &ChainSpec, id: BlockId, node: Node) -> Self {
        let depth = usize::try_from(spec.max_reorg_depth).unwrap_or(usize::MAX);
        Self {
            base: node.header.height,
            next_arrival: node.arrival.saturating_add(1),
            children: BTreeMap::from([(node.header.parent, 1)]),
            crowded: BTreeSet::new(),
            side_tips: BTreeSet::new(),
            side_tips_after: BTreeSet::new(),
            nodes: BTreeMap::from([(id, node)]),
            active: VecDeque::from([id]),
            window: depth.saturating_add(MEDIAN_SPAN).saturating_add(1),
        }
    }

    /// Holds again what is stored: the active chain from `lowest` on, and the blocks beside it, parents before children, of which
    /// no more than twice as many are held at a time as there may be, however many they are.
    ///
    /// # Errors
    /// That of `beside`.
    pub fn restore<E>(
        spec: &ChainSpec,
        lowest: (BlockId, Node),
        above: impl IntoIterator<Item = (BlockId, Node)>,
        beside: impl IntoIterator<Item = Result<(BlockId, Node), E>>,
    ) -> Result<Self, E> {
        let mut tree = Self::new(spec, lowest.0, lowest.1);
        for (id, node) in above {
            tree.insert(spec, id, node);
            tree.activate(0, [id]);
        }
        tree.insert_all(spec, beside)?;
        Ok(tree)
    }

    /// The node of a block, if it is held.
    pub fn get(&self, id: &BlockId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// The id of the active tip.
    pub fn tip_id(&self) -> BlockId {
        self.active.back().copied().unwrap_or(BlockId::ZERO)
    }

    /// Height of the active tip.
    pub fn tip_height(&self) -> Height {
        let above = u64::try_from(self.active.len()).unwrap_or(u64::MAX).saturating_sub(1);
        Height::new(self.base.get().saturating_add(above))
    }

    /// Work of the active chain.
    pub fn tip_work(&self) -> Work {
        self.get(&self.tip_id()).map_or(Work::ZERO, |node| node.work)
    }

    /// The id at a height of the active chain, if it is held.
    pub fn active_at(&self, height: Height) -> Option<BlockId> {
        let index = usize::try_from(height.checked_sub(self.base)?.get()).ok()?;
        self.active.get(index).copied()
    }

    /// Whether a block is on the active chain (and held).
    pub fn is_active(&self, id: &BlockId) -> bool {
        self.get(id).is_some_and(|node| self.active_at(node.header.height) == Some(*id))
    }

    /// Where the next block after `id` stands; `None` where the block is not held, or too few before it are to tell their median
    /// time: a good block would look as if it were too old.
    pub fn position(&self, id: &BlockId) -> Option<Position> {
        let node = self.get(id)?;
        let mut times = Vec::with_capacity(MEDIAN_SPAN);
        let (mut next, mut lowest) = (Some(node), node.header.height);
        while let Some(ancestor) = next.filter(|_| times.len() < MEDIAN_SPAN) {
            times.push(ancestor.header.timestamp);
            lowest = ancestor.header.height;
            next = self.get(&ancestor.header.parent);
        }
        if times.len() < MEDIAN_SPAN && lowest > Height::ZERO {
            return None;
        }
        times.reverse();
        Some(Position::restore((*id, &node.header), node.work, node.anchor, times))
    }

    /// The way from the active chain to a block: the last common block, and the ids after it up to `id`, lowest first.
    ///
    /// # Errors
    /// [`Invalid::ForkTooDeep`] where the way leaves what is held or the limit of the specification.
    pub fn path_from_active(&self, spec: &ChainSpec, id: &BlockId) -> Result<(BlockId, Vec<BlockId>), Invalid> {
        let limit = spec.max_reorg_depth;
        let mut path = Vec::new();
        let mut at = *id;
        while !self.is_active(&at) {
            path.push(at);
            // Where the way leaves what is held, at least all that is held would have to go.
            let node = self.get(&at).ok_or(Invalid::ForkTooDeep { depth: self.active.len() as u64, limit })?;
            at = node.header.parent;
        }
        let height = self.get(&at).map_or(Height::ZERO, |node| node.header.height);
        let depth = self.tip_height().saturating_sub(height).get();
        if depth > limit {
            return Err(Invalid::ForkTooDeep { depth, limit });
        }
        path.reverse();
        Ok((at, path))
    }

    /// The ids of the active chain above a block of it, the tip first.
    pub fn active_above(&self, id: &BlockId) -> Vec<BlockId> {
        self.active.iter().rev().take_while(|above| *above != id).copied().collect()
    }

    /// The place in the order of arrival that the next block gets.
    pub const fn next_arrival(&self) -> u64 {
        self.next_arrival
    }

    /// Whether a side block would be kept: there is room, or a side tip other than its parent goes for it, because it is one of
    /// many siblings or has less work.
    pub fn has_room_for(&self, spec: &ChainSpec, node: &Node) -> bool {
        let parent = &node.header.parent;
        self.side_blocks() < most_side_blocks(spec)
            || self.crowded_side_tip(parent).is_some()
            || self.weakest_side_tip(parent).is_some_and(|(weakest, _)| weakest < node.work)
    }

    /// Adds a block whose parent is held. Where too many side blocks are held, forgets a side tip that is one of many siblings,
    /// or else the one with the least work; never the one just added, which may be the next tip of the chain.
    pub fn insert(&mut self, spec: &ChainSpec, id: BlockId, node: Node) {
        self.hold(id, node);
        self.trim(spec, &id);
    }

    /// [`Self::insert`] of many, parents before children, of which none is the next tip: only when twice as many are held as may
    /// be it is seen which are too many, or a parent might be forgotten before its child comes. More at a time, and somebody who
    /// had made a great many would make this take for ever. A child of what was forgotten is left out.
    fn insert_all<E>(
        &mut self,
        spec: &ChainSpec,
        all: impl IntoIterator<Item = Result<(BlockId, Node), E>>,
    ) -> Result<(), E> {
        for stored in all {
            let (id, node) = stored?;
            if node.header.height > self.base && self.get(&node.header.parent).is_none() {
                continue;
            }
            self.hold(id, node);
            if self.side_blocks() > most_side_blocks(spec).saturating_mul(2) {
                self.trim(spec, &BlockId::ZERO);
            }
        }
        self.trim(spec, &BlockId::ZERO);
        Ok(())
    }

    /// Forgets side tips, all but one, until no more side blocks are held than may be.
    fn trim(&mut self, spec: &ChainSpec, except: &BlockId) {
        while self.side_blocks() > most_side_blocks(spec) {
            let weakest = || self.weakest_side_tip(except).map(|(_, weakest)| weakest);
            let Some(leaving) = self.crowded_side_tip(except).or_else(weakest) else { return };
            self.forget(&leaving);
        }
    }

    /// Holds a block, and keeps count of children and side tips.
    fn hold(&mut self, id: BlockId, node: Node) {
        self.forget(&id);
        self.next_arrival = self.next_arrival.max(node.arrival.saturating_add(1));
        let parent = node.header.parent;
        let siblings = self.children.get(&parent).copied().unwrap_or_default();
        self.count_children(parent, siblings, siblings.saturating_add(1));
        self.nodes.insert(id, node);
        self.see_whether_side_tip(&parent);
        self.see_whether_side_tip(&id);
    }

    /// Lets go of a block, and keeps count of children and side tips.
    fn forget(&mut self, id: &BlockId) {
        let Some(node) = self.nodes.remove(id) else { return };
        let parent = node.header.parent;
        self.side_tips.remove(&(node.work, *id));
        self.side_tips_after.remove(&(parent, node.work, *id));
        if let Some(siblings) = self.children.get(&parent).copied() {
            self.count_children(parent, siblings, siblings.saturating_sub(1));
            self.see_whether_side_tip(&parent);
        }
    }

    /// Notes that a block has another number of children.
    fn count_children(&mut self, parent: BlockId, before: usize, after: usize) {
        self.crowded.remove(&(before, parent));
        if after > MOST_SIBLINGS {
            self.crowded.insert((after, parent));
        }
        if after > 0 {
            self.children.insert(parent, after);
        } else {
            self.children.remove(&parent);
        }
    }

    /// Keeps a held block among the side tips if it is one.
    fn see_whether_side_tip(&mut self, id: &BlockId) {
        let Some((work, parent)) = self.get(id).map(|node| (node.work, node.header.parent)) else { return };
        if self.children.contains_key(id) || self.is_active(id) {
            self.side_tips.remove(&(work, *id));
            self.side_tips_after.remove(&(parent, work, *id));
        } else {
            self.side_tips.insert((work, *id));
            self.side_tips_after.insert((parent, work, *id));
        }
    }

    /// A side tip other than `except` of the block with the most children, where those are more than honest miners make: with as
    /// much work as the tip they would keep out every other branch, which begins with less. Which one is left to chance: the
    /// one with the greatest id.
    fn crowded_side_tip(&self, except: &BlockId) -> Option<BlockId> {
        let (_, parent) = *self.crowded.last().filter(|(_, parent)| self.get(parent).is_some())?;
        let others = |(_, _, id): &&(BlockId, Work, BlockId)| id != except;
        // All children of a block have the same target, and so the same work.
        let after = self.side_tips_after.range((parent, Work::ZERO, BlockId::ZERO)..);
        let (_, work, _) = *after.take_while(|(of, _, _)| *of == parent).find(others)?;
        let siblings = self.side_tips_after.range((parent, work, BlockId::ZERO)..=(parent, work, GREATEST));
        siblings.rev().find(others).map(|(_, _, id)| *id)
    }

    fn side_blocks(&self) -> usize {
        self.nodes.len().saturating_sub(self.active.len())
    }

    /// The side tip with the least work, of all but one.
    fn weakest_side_tip(&self, except: &BlockId) -> Option<(Work, BlockId)> {
        self.side_tips.iter().find(|(_, id)| id != except).copied()
    }

    /// The ids of a block and of all after it.
    pub fn descendants(&self, id: &BlockId) -> Vec<BlockId> {
        let mut children: BTreeMap<BlockId, Vec<BlockId>> = BTreeMap::new();
        for (child, node) in &self.nodes {
            children.entry(node.header.parent).or_default().push(*child);
        }
        let mut all = vec![*id];
        let mut next = 0;
        while let Some(at) = all.get(next) {
            let below = children.remove(at).unwrap_or_default();
            all.extend(below);
            next = next.saturating_add(1);
        }
        all
    }

    /// Marks blocks as invalid.
    pub fn mark_invalid(&mut self, ids: &[BlockId]) {
        for id in ids {
            if let Some(node) = self.nodes.get_mut(id) {
                node.invalid = true;
            }
        }
    }

    /// Moves the active chain: takes `disconnected` blocks off its end, then adds those that are held of `connected`.
    pub fn activate(&mut self, disconnected: usize, connected: impl IntoIterator<Item = BlockId>) {
        let keep = self.active.len().saturating_sub(disconnected).max(1);
        let left = self.active.split_off(keep);
        let kept = self.active.len();
        self.active.extend(connected);
        let joined: Vec<_> = self.active.iter().skip(kept).copied().collect();
        // Only now it is known who is on the active chain and who is not.
        for id in left.iter().chain(&joined) {
            self.see_whether_side_tip(id);
        }
        if self.active.len() > self.window {
            self.forget_old();
        }
    }

    /// Lets go of the active chain's blocks below the window, and of every side block that is no longer above it.
    fn forget_old(&mut self) {
        while self.active.len() > self.window {
            let old = self.active.pop_front();
            self.base = Height::new(self.base.get().saturating_add(1));
            if let Some(old) = old {
                self.forget(&old);
            }
        }
        // Side blocks are looked for only now and then: going through all of them at every block would cost more than it frees.
        if self.nodes.len() > self.active.len() && self.base.get().is_multiple_of(64) {
            let below = self.nodes.iter().filter(|(_, node)| node.header.height < self.base);
            let below: Vec<_> = below.map(|(id, _)| *id).collect();
            below.iter().for_each(|id| self.forget(id));
        }
    }

    /// The block below the lowest that is held of the active chain, where it should be held too: when a branch of fewer blocks
    /// becomes the chain, its lowest block is no longer as far below the tip as a reorganisation may reach.
    pub fn wanted_below(&self) -> Option<BlockId> {
        let lowest = self.get(self.active.front()?)?;
        (self.active.len() < self.window && self.base > Height::ZERO).then_some(lowest.header.parent)
    }

    /// Holds the block that [`Self::wanted_below`] names. Whether it was that one.
    pub fn deepen(&mut self, id: BlockId, node: Node) -> bool {
        let below = self.base.saturating_sub(Height::new(1));
        let is_it = self.wanted_below() == Some(id) && node.header.height == below;
        if is_it {
            self.active.push_front(id);
            self.base = below;
            self.hold(id, node);
        }
        is_it
    }

    /// Ids of the active chain for another node to find the last common block: the last ten, then ever sparser, to the lowest
    /// that a chain may leave this one at and of which the median time can be told.
    pub fn locator(&self) -> Vec<BlockId> {
        let mut ids = Vec::new();
        let mut back = 0_usize;
        let mut step = 1_usize;
        let lowest = if self.base == Height::ZERO { 0 } else { MEDIAN_SPAN.min(self.active.len().saturating_sub(1)) };
        let held = |back: usize| {
            let at = self.active.len().checked_sub(back.saturating_add(1)).filter(|at| *at >= lowest)?;
            self.active.get(at)
        };
        while let Some(id) = held(back) {
            ids.push(*id);
            if ids.len() >= LOCATOR_DENSE {
                step = step.saturating_mul(2);
            }
            back = back.saturating_add(step);
        }
        ids.extend(self.active.get(lowest).filter(|first| ids.last() != Some(first)).copied());
        ids
    }

    /// Every held block.
    pub fn nodes(&self) -> impl Iterator<Item = (&BlockId, &Node)> {
        self.nodes.iter()
    }
}
