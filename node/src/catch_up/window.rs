//! Which blocks are still to be fetched, from whom they were asked, and which are ready to be accepted in order. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bard_chain::{hash::BlockId, units::Height};
use bard_protocol::PeerId;

/// A fetched block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its id, as its bytes claim.
    pub id: BlockId,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Who sent it.
    pub from: PeerId,
}

#[derive(Debug)]
enum Slot {
    Wanted,
    Asked(PeerId),
    /// The first one kept everybody waiting.
    AskedTwice(PeerId, PeerId),
    Fetched {
        bytes: Vec<u8>,
        from: PeerId,
    },
}

impl Slot {
    fn is_asked(&self, peer: PeerId) -> bool {
        match self {
            Self::Asked(asked) => *asked == peer,
            Self::AskedTwice(one, two) => *one == peer || *two == peer,
            Self::Wanted | Self::Fetched { .. } => false,
        }
    }
}

/// A sliding window over the blocks to fetch, in the order in which they must be accepted.
#[derive(Debug, Default)]
pub struct Window {
    slots: VecDeque<(BlockId, Height, Slot)>,
    places: BTreeMap<BlockId, u64>,
    /// Place of the first slot.
    first: u64,
    /// Bytes of fetched blocks that wait for their turn.
    bytes: usize,
    /// Peers that did not have what they were asked for.
    without: BTreeMap<PeerId, BTreeSet<BlockId>>,
}

impl Window {
    /// Adds blocks at the end; those already in it are left where they are.
    pub fn extend(&mut self, blocks: impl IntoIterator<Item = (BlockId, Height)>) {
        for (id, height) in blocks {
            let place = self.first + self.slots.len() as u64;
            if let std::collections::btree_map::Entry::Vacant(entry) = self.places.entry(id) {
                entry.insert(place);
                self.slots.push_back((id, height, Slot::Wanted));
            }
        }
    }

    /// Whether a block is in it.
    pub fn contains(&self, id: &BlockId) -> bool {
        self.places.contains_key(id)
    }

    /// Number of blocks in it.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether everything was fetched and handed out.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of fetched blocks that wait for their turn.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives a peer the first `most` wanted blocks within the first `reach` of the window, but none below the height from which
    /// it has blocks, and none it said it has not.
    pub fn assign(&mut self, peer: PeerId, most: usize, reach: usize, from: Height) -> Vec<BlockId> {
        let without = self.without.get(&peer);
        let mut ids = Vec::new();
        for (id, height, slot) in self.slots.iter_mut().take(reach) {
            if ids.len() == most {
                break;
            }
            if matches!(slot, Slot::Wanted) && *height >= from && !without.is_some_and(|ids| ids.contains(id)) {
                *slot = Slot::Asked(peer);
                ids.push(*id);
            }
        }
        ids
    }

    /// The first block, while one peer was asked for it and has not sent it.
    pub fn first_asked(&self) -> Option<BlockId> {
        self.slots.front().filter(|(.., slot)| matches!(slot, Slot::Asked(_))).map(|(id, ..)| *id)
    }

    /// Gives the first block, which another was asked for, to this peer too, unless it has none so low or said it has not this
    /// one.
    pub fn assign_first_again(&mut self, peer: PeerId, from: Height) -> Option<BlockId> {
        let (id, height, slot) = self.slots.front_mut()?;
        let lacks = self.without.get(&peer).is_some_and(|ids| ids.contains(id));
        match slot {
            Slot::Asked(asked) if *asked != peer && *height >= from && !lacks => {
                *slot = Slot::AskedTwice(*asked, peer);
                Some(*id)
            }
            _ => None,
        }
    }

    /// Takes a fetched block. `false` where it was not asked from this peer: unasked or a second copy.
    pub fn fetched(&mut self, id: BlockId, bytes: Vec<u8>, from: PeerId) -> bool {
        let Some(slot) = self.slot(&id) else { return false };
        if !slot.is_asked(from) {
            return false;
        }
        let length = bytes.len();
        *slot = Slot::Fetched { bytes, from };
        self.bytes += length;
        true
    }

    /// Ends a request: what of `ids` did not come is wanted again. With `lacking`, the peer said that it has none of them.
    pub fn finished(&mut self, ids: &[BlockId], peer: PeerId, lacking: bool) {
        for id in ids {
            if let Some(slot) = self.slot(id)
                && slot.is_asked(peer)
            {
                *slot = match slot {
                    Slot::AskedTwice(one, two) => Slot::Asked(if *one == peer { *two } else { *one }),
                    _ => Slot::Wanted,
                };
                if lacking {
                    self.without.entry(peer).or_default().insert(*id);
                }
            }
        }
    }

    /// The first block, if it is there: to be accepted next.
    pub fn next_ready(&mut self) -> Option<Fetched> {
        if !matches!(self.slots.front(), Some((_, _, Slot::Fetched { .. }))) {
            return None;
        }
        let (id, _, slot) = self.slots.pop_front()?;
        self.first += 1;
        self.places.remove(&id);
        self.without.values_mut().for_each(|ids| _ = ids.remove(&id));
        let Slot::Fetched { bytes, from } = slot else { return None };
        self.bytes -= bytes.len();
        Some(Fetched { id, bytes, from })
    }

    fn slot(&mut self, id: &BlockId) -> Option<&mut Slot> {
        let index = usize::try_from(self.places.get(id)?.checked_sub(self.first)?).ok()?;
        self.slots.get_mut(index).map(|(_, _, slot)| slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the blocks of a node with the whole chain begin.
    const FIRST: Height = Height::new(1);

    fn id(n: u8) -> BlockId {
        BlockId::new([n; 32])
    }

    fn window(count: u8) -> Window {
        let mut window = Window::default();
        window.extend((0..count).map(|n| (id(n), Height::new(u64::from(n) + 1))));
        window
    }

    #[test]
    fn blocks_come_out_in_order_whoever_sends_them() {
        let (one, two) = (PeerId::random(), PeerId::random());
        let mut window = window(4);
        assert_eq!(window.assign(one, 2, 100, FIRST), [id(0), id(1)]);
        assert_eq!(window.assign(two, 2, 100, FIRST), [id(2), id(3)]);
        assert!(window.fetched(id(2), vec![2], two));
        assert_eq!(window.next_ready(), None, "the first is missing");
        assert!(window.fetched(id(0), vec![0], one));
        assert_eq!(window.next_ready().map(|fetched| fetched.id), Some(id(0)));
        window.finished(&[id(0), id(1)], one, false);
        assert_eq!(window.assign(two, 9, 100, FIRST), [id(1)], "what did not come is asked from another");
        assert!(window.fetched(id(1), vec![1], two));
        assert!(window.fetched(id(3), vec![3], two));
        let rest: Vec<_> = std::iter::from_fn(|| window.next_ready()).map(|fetched| fetched.id).collect();
        assert_eq!(rest, [id(1), id(2), id(3)]);
        assert!(window.is_empty());
        assert_eq!(window.bytes(), 0);
    }

    #[test]
    fn what_was_not_asked_is_not_taken() {
        let (one, two) = (PeerId::random(), PeerId::random());
        let mut window = window(2);
        window.assign(one, 1, 100, FIRST);
        assert!(!window.fetched(id(0), vec![0], two));
        assert!(!window.fetched(id(9), vec![9], one));
        assert!(window.fetched(id(0), vec![0], one));
        assert!(!window.fetched(id(0), vec![0], one), "a second copy");
    }

    #[test]
    fn a_peer_is_not_asked_again_for_what_it_lacks() {
        let (one, two) = (PeerId::random(), PeerId::random());
        let mut window = window(1);
        assert_eq!(window.assign(one, 1, 100, FIRST), [id(0)]);
        window.finished(&[id(0)], one, true);
        assert!(window.assign(one, 1, 100, FIRST).is_empty());
        assert_eq!(window.assign(two, 1, 100, FIRST), [id(0)]);
    }

    #[test]
    fn what_is_due_may_be_asked_of_a_second_peer() {
        let (slow, quick, third) = (PeerId::random(), PeerId::random(), PeerId::random());
        let mut window = window(2);
        assert_eq!(window.first_asked(), None);
        assert_eq!(window.assign(slow, 9, 100, FIRST), [id(0), id(1)]);
        assert_eq!(window.first_asked(), Some(id(0)));
        assert_eq!(window.assign_first_again(slow, FIRST), None, "it has it");
        assert_eq!(window.assign_first_again(quick, FIRST), Some(id(0)));
        assert_eq!(window.first_asked(), None);
        assert_eq!(window.assign_first_again(third, FIRST), None, "two are enough");
        assert!(window.fetched(id(0), vec![0], quick));
        assert!(!window.fetched(id(0), vec![0], slow), "a second copy");
        assert_eq!(window.next_ready().map(|fetched| fetched.from), Some(quick));
        assert_eq!(window.assign_first_again(quick, FIRST), Some(id(1)));
        window.finished(&[id(1)], slow, true);
        assert!(window.fetched(id(1), vec![1], quick), "the other one still has it");
    }

    #[test]
    fn what_peers_lack_is_forgotten_with_the_block() {
        let (one, two) = (PeerId::random(), PeerId::random());
        let mut window = window(1);
        window.assign(one, 1, 100, FIRST);
        window.finished(&[id(0)], one, true);
        window.assign(two, 1, 100, FIRST);
        assert!(window.fetched(id(0), vec![0], two) && window.next_ready().is_some());
        assert!(window.without.values().all(BTreeSet::is_empty));
    }

    #[test]
    fn nothing_is_asked_of_a_peer_below_where_its_blocks_begin() {
        let (late, whole) = (PeerId::random(), PeerId::random());
        let mut window = window(4);
        assert!(window.assign(late, 9, 2, Height::new(3)).is_empty(), "both within reach are below");
        assert_eq!(window.assign(late, 9, 100, Height::new(3)), [id(2), id(3)]);
        assert_eq!(window.assign(whole, 9, 100, FIRST), [id(0), id(1)]);
    }

    #[test]
    fn nothing_beyond_reach_is_asked() {
        let mut window = window(10);
        assert_eq!(window.assign(PeerId::random(), 10, 3, FIRST).len(), 3);
        assert!(window.assign(PeerId::random(), 10, 3, FIRST).is_empty());
    }
}
