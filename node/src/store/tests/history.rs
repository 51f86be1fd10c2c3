//! Histories: what the active chain says, whatever was reorganised, flushed, killed or cut off.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use bard_chain::{
    address::Address,
    hash::{Hash32, content_digests},
    ledger::View,
    transaction::{Action, ItemName},
    units::{Amount, Height},
};

use super::chain::{Chain, Node, key, spec};
use crate::store::{Handover, Page, Place, Placed, StoreReader};

/// What the blocks of a chain say, told without the store.
#[derive(Default)]
pub(super) struct Expected {
    accounts: BTreeMap<Address, Vec<Placed>>,
    items: BTreeMap<ItemName, Vec<Handover>>,
    records: Vec<Placed>,
    digests: BTreeMap<Hash32, Vec<Placed>>,
}

impl Expected {
    /// All that a chain says.
    pub(super) fn of(chain: &Chain) -> Self {
        let mut all = Self::default();
        for (height, block) in (1..).map(Height::new).zip(&chain.blocks) {
            for (position, transaction) in (0..).zip(&block.block().transactions) {
                let place = Place { height, position };
                let placed = Placed { place, id: transaction.id() };
                let sender = transaction.sender;
                let mut concerned = BTreeSet::from([sender]);
                let mut hand = |item: &ItemName, from, to| {
                    let handover = Handover { place, id: placed.id, from, to };
                    assert_eq!(handover.action(), transaction.action.name());
                    all.items.entry(item.clone()).or_default().push(handover);
                };
                match &transaction.action {
                    Action::Transfer { to, .. } => drop(concerned.insert(*to)),
                    Action::Record { bytes, .. } => {
                        all.records.insert(0, placed);
                        let own = bytes.as_slice().try_into().ok().map(Hash32::new);
                        let own = own.or_else(|| String::from_utf8_lossy(bytes).trim().to_lowercase().parse().ok());
                        for digest in content_digests(bytes).into_iter().chain(own) {
                            all.digests.entry(digest).or_default().push(placed);
                        }
                    }
                    Action::ItemRequest { item } => hand(item, None, Some(sender)),
                    Action::ItemRelease { item } => hand(item, Some(sender), None),
                    Action::ItemTransfer { item, to } => {
                        concerned.insert(*to);
                        hand(item, Some(sender), Some(*to));
                    }
                }
                for address in concerned {
                    all.accounts.entry(address).or_default().insert(0, placed);
                }
            }
        }
        all.records.sort_by_key(|placed| std::cmp::Reverse(placed.place));
        all
    }

    /// Names whom another chain mentions too, so that their absence is looked at.
    fn mention(&mut self, other: &Self) {
        for address in other.accounts.keys() {
            self.accounts.entry(*address).or_default();
        }
        for item in other.items.keys() {
            self.items.entry(item.clone()).or_default();
        }
        for digest in other.digests.keys() {
            self.digests.entry(*digest).or_default();
        }
    }

    /// Checks that a reader says the same, in pages of this many.
    pub(super) fn assert_read(&self, reader: &StoreReader, limit: usize) {
        for (address, expected) in &self.accounts {
            assert_pages(expected, limit, |from, limit| reader.account_transactions(address, from, limit).unwrap());
        }
        for (item, expected) in &self.items {
            assert_pages(expected, limit, |from, limit| reader.item_history(item, from, limit).unwrap());
        }
        assert_pages(&self.records, limit, |from, limit| reader.records(from, limit).unwrap());
        for (digest, expected) in &self.digests {
            assert_pages(expected, limit, |from, limit| reader.records_by_digest(digest, from, limit).unwrap());
        }
    }

    /// Checks pages that begin anywhere, at places of no transaction too.
    fn assert_cursor(&self, reader: &StoreReader, from: Place) {
        for (address, all) in &self.accounts {
            let page = reader.account_transactions(address, Some(from), 1_000).unwrap();
            assert!(all.iter().filter(|placed| placed.place <= from).eq(&page.entries));
        }
        for (item, all) in &self.items {
            let page = reader.item_history(item, Some(from), 1_000).unwrap();
            assert!(all.iter().filter(|handover| handover.place >= from).eq(&page.entries));
        }
    }
}

/// Reads page after page, all but the last full.
fn assert_pages<T: PartialEq + std::fmt::Debug>(
    expected: &[T],
    limit: usize,
    read: impl Fn(Option<Place>, usize) -> Page<T>,
) {
    let mut all = Vec::new();
    let mut from = None;
    loop {
        let page = read(from, limit);
        all.extend(page.entries);
        from = page.next;
        if from.is_none() {
            break;
        }
        assert_eq!(all.len() % limit, 0, "a page that is not the last is full");
        assert!(all.len() < expected.len(), "there is something on the next page");
    }
    assert_eq!(all, expected);
}

/// A random number below `below`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }
}

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// A few contents, some of which are digests of others.
fn content(number: usize) -> Vec<u8> {
    let text = format!("content {}", number % 3);
    let [blake3, sha256] = content_digests(text.as_bytes());
    match number {
        0..3 => text.into_bytes(),
        3..6 => blake3.as_bytes().to_vec(),
        6..9 => format!("{sha256}\n").into_bytes(),
        _ => sha256.to_string().to_uppercase().into_bytes(),
    }
}

/// Mines a block of random actions; no item is in it twice.
fn mine_random(chain: &mut Chain, dice: &mut Dice) {
    let mut transactions = Vec::new();
    let mut touched = BTreeSet::new();
    for name in NAMES {
        let sender = key(name);
        for ahead in 0..dice.roll(4) as u64 {
            let other = key(NAMES[dice.roll(4)]).address();
            let item = ItemName::new(["easel", "easel 2", "ease"][dice.roll(3)]);
            let holder = chain.ledger().item(&item).unwrap().and_then(|item| item.holder);
            let action = match (dice.roll(4), holder) {
                (0, _) => Action::Record { content_type: "text/plain".into(), bytes: content(dice.roll(10)) },
                (1 | 2, None) if touched.insert(item.clone()) => Action::ItemRequest { item },
                (1, Some(holder)) if holder == sender.address() && touched.insert(item.clone()) => {
                    Action::ItemRelease { item }
                }
                (2, Some(holder)) if holder == sender.address() && touched.insert(item.clone()) => {
                    Action::ItemTransfer { item, to: other }
                }
                _ => Action::Transfer { to: other, amount: Amount::new(1) },
            };
            transactions.push(chain.sign(&sender, ahead, action));
        }
    }
    chain.mine(&transactions);
}

/// Reopens the node: in good order, which flushes everything, or as a kill would, which leaves all since to be replayed.
fn reopened(node: Node, dir: &std::path::Path, good: bool) -> Node {
    if good {
        node.store.close().unwrap();
    } else {
        drop(node);
    }
    let node = Node::open(dir);
    assert_eq!(node.repairs, Vec::<String>::new());
    node
}

#[test]
fn histories_are_what_the_active_chain_says() {
    for seed in 1..=6_u64 {
        let dir = tempfile::tempdir().unwrap();
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut node = Node::open(dir.path());
        let mut chain = Chain::new(spec());
        // The same chain at each of its heights.
        let mut before = vec![chain.clone()];
        let mut mentioned = Expected::default();
        let mut reorganised = 0;
        for round in 0..24_u8 {
            let back = dice.roll(6).min(before.len() - 1);
            let wins = dice.roll(2) == 0;
            let kept = before.len() - back;
            let mut branch = before[kept - 1].branch(round);
            let mut grown: Vec<_> = before[..kept].to_vec();
            for _ in 0..back + usize::from(wins || back == 0) {
                mine_random(&mut branch, &mut dice);
                grown.push(branch.clone());
            }
            node.take_all(&branch.blocks[kept - 1..]);
            mentioned.mention(&Expected::of(&branch));
            if branch.blocks.len() > chain.blocks.len() {
                reorganised += usize::from(back > 0);
                (chain, before) = (branch, grown);
            }
            if dice.roll(3) == 0 {
                node = reopened(node, dir.path(), dice.roll(2) == 0);
            }
            let mut expected = Expected::of(&chain);
            expected.mention(&mentioned);
            expected.assert_read(&node.reader(), [1, 2, 3, 1_000][dice.roll(4)]);
            let height = Height::new(dice.roll(chain.blocks.len() + 3) as u64);
            expected.assert_cursor(&node.reader(), Place { height, position: dice.roll(7) as u32 });
        }
        assert!(reorganised > 2, "{reorganised} reorganisations");
        node.assert_is(&chain);
    }
}

#[test]
fn a_reorganisation_cut_off_the_log_never_was() {
    for flushed in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut dice = Dice(77);
        let mut root = Chain::new(spec());
        (0..4).for_each(|_| mine_random(&mut root, &mut dice));
        let (mut one, mut two) = (root.branch(2), root.branch(3));
        (0..2).for_each(|_| mine_random(&mut one, &mut dice));
        (0..3).for_each(|_| mine_random(&mut two, &mut dice));
        let mut node = Node::open(dir.path());
        node.take_all(&one.blocks);
        node.take_all(&two.blocks[4..6]);
        node = reopened(node, dir.path(), flushed);
        node.take(&two.blocks[6]);
        node.assert_is(&two);
        drop(node);
        let log = dir.path().join("chain.log");
        let length = fs::metadata(&log).unwrap().len();
        fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(length - 1).unwrap();
        let node = Node::open(dir.path());
        assert_eq!(node.repairs.len(), 1);
        let mut expected = Expected::of(&one);
        expected.mention(&Expected::of(&two));
        expected.assert_read(&node.reader(), 2);
        node.assert_is(&one);
    }
}

#[test]
fn a_history_goes_over_index_and_layers() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(spec());
    chain.mine_many(600);
    let mut node = Node::open(dir.path());
    node.take_all(&chain.blocks);
    Expected::of(&chain).assert_read(&node.reader(), 50);
    let alice = key("alice").address();
    let newest = node.reader().account_transactions(&alice, None, 1).unwrap();
    assert_eq!(newest.entries[0].place.height, Height::new(600));
    assert_eq!(newest.next.unwrap().height, Height::new(599));
    assert_eq!(node.reader().account_transactions(&alice, None, 0).unwrap(), newest, "a page has at least one entry");
}

#[test]
fn records_are_found_by_what_people_call_their_digest() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(spec());
    let [blake3, sha256] = content_digests(b"a painting");
    let spaced = format!(" {sha256}\r\n").into_bytes();
    let contents = [b"a painting".to_vec(), blake3.as_bytes().to_vec(), spaced, b"another".to_vec()];
    let record = |bytes: &Vec<u8>| Action::Record { content_type: "text/plain".into(), bytes: bytes.clone() };
    let signed: Vec<_> =
        (0..).zip(&contents).map(|(ahead, bytes)| chain.sign(&key("alice"), ahead, record(bytes))).collect();
    chain.mine(&signed);
    let mut node = Node::open(dir.path());
    node.take_all(&chain.blocks);
    let found = |digest| {
        let page = node.reader().records_by_digest(&digest, None, 10).unwrap();
        page.entries.into_iter().map(|placed| placed.place.position).collect::<Vec<_>>()
    };
    assert_eq!(found(blake3), [0, 1]);
    assert_eq!(found(sha256), [0, 2]);
    assert_eq!(found(content_digests(b"another")[1]), [3]);
    assert_eq!(found(Hash32::ZERO), Vec::<u32>::new());
    let all = node.reader().records(None, 3).unwrap();
    assert_eq!(all.entries.iter().map(|placed| placed.place.position).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(all.next, Some(Place { height: Height::new(1), position: 0 }));
}

#[test]
fn places_as_text() {
    let place = Place { height: Height::new(12), position: 3 };
    assert_eq!(place.to_string(), "12-3");
    assert_eq!("12-3".parse(), Ok(place));
    for bad in ["", "12", "12-", "-3", "012-3", "12-+3", "12-3-4", "12-4294967296", "18446744073709551616-0", "12- 3"] {
        assert!(bad.parse::<Place>().is_err(), "{bad}");
    }
}
