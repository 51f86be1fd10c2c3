//! The past: at every height, what a ledger that was replayed that far says.

use bard_chain::{
    address::Address,
    ledger::{Item, MemoryLedger, View},
    transaction::{Action, ItemName},
    units::{Amount, Height},
};

use super::chain::{Chain, Node, key, spec};
use crate::store::{PastError, StoreReader};

/// The ledgers after each block of a chain, made from the specification and the blocks alone.
fn replayed(chain: &Chain) -> Vec<MemoryLedger> {
    let mut again = Chain::new(spec());
    let mut all = vec![again.ledger().clone()];
    for block in &chain.blocks {
        again.follow(block);
        all.push(again.ledger().clone());
    }
    all
}

/// Compares every account and every item at every height.
fn assert_past(reader: &StoreReader, chain: &Chain) {
    let ledgers = replayed(chain);
    let last = ledgers.last().unwrap();
    let accounts: Vec<Address> =
        last.accounts().map(|(address, _)| *address).chain([Address::new([0xee; 32])]).collect();
    let items: Vec<ItemName> = last.items().map(|(name, _)| name.clone()).chain([ItemName::new("nobody's")]).collect();
    for (height, ledger) in (0..).map(Height::new).zip(&ledgers) {
        for address in &accounts {
            let found = reader.account_at(address, height).unwrap();
            assert_eq!(found, ledger.account(address).unwrap(), "{address} at {height}");
        }
        for name in &items {
            assert_eq!(reader.item_at(name, height).unwrap(), ledger.item(name).unwrap(), "{name:?} at {height}");
        }
    }
    let above = Height::new(ledgers.len() as u64);
    let tip = above.get() - 1;
    let refused = PastError::AboveTip { asked: above.get(), tip };
    assert_eq!(reader.account_at(&accounts[0], above).unwrap_err(), refused);
    assert_eq!(reader.item_at(&items[0], above).unwrap_err(), refused);
    assert_eq!(refused.to_string(), format!("there is no height {above} yet: the chain ends at height {tip}"));
}

#[test]
fn every_height_is_as_it_was() {
    let mut chain = Chain::new(spec());
    chain.mine_many(30);
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::open(dir.path());
    node.take_all(&chain.blocks);
    assert_past(&node.reader(), &chain);
    node.store.close().unwrap();
    assert_past(&Node::open(dir.path()).reader(), &chain);
}

#[test]
fn what_was_taken_back_never_was() {
    let mut root = Chain::new(spec());
    root.mine_many(3);
    let (mut one, mut two) = (root.branch(2), root.branch(3));
    one.mine_many(3);
    two.mine(&[two.sign(&key("carol"), 0, Action::ItemRequest { item: ItemName::new("easel") })]);
    two.mine_many(4);
    for in_the_index in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut node = Node::open(dir.path());
        node.take_all(&one.blocks);
        if in_the_index {
            node.store.close().unwrap();
            node = Node::open(dir.path());
        }
        node.take_all(&two.blocks[3..]);
        assert_past(&node.reader(), &two);
        // Its own changes reach further back than what the index has of these accounts.
        node.store.close().unwrap();
        assert_past(&Node::open(dir.path()).reader(), &two);
    }
}

#[test]
fn over_layers_and_chunks_the_next_change_is_found() {
    let mut chain = Chain::new(spec());
    chain.mine_many(700);
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::open(dir.path());
    node.take_all(&chain.blocks);
    let ledgers = replayed(&chain);
    let (alice, item) = (key("alice").address(), ItemName::new("projector"));
    for height in (0..=700).step_by(23) {
        let ledger = &ledgers[height];
        let at = Height::new(height as u64);
        for address in [alice, key("bob").address(), Address::new([1; 32]), Address::new([77; 32])] {
            assert_eq!(node.reader().account_at(&address, at).unwrap(), ledger.account(&address).unwrap(), "{at}");
        }
        assert_eq!(node.reader().item_at(&item, at).unwrap(), ledger.item(&item).unwrap());
    }
}

/// Whoever is handed items is named in blocks that leave his account as it was.
#[test]
fn an_item_that_is_handed_on_changes_no_account() {
    let mut chain = Chain::new(spec());
    let (alice, desk) = (key("alice"), Address::new([0xdd; 32]));
    let pay = Action::Transfer { to: desk, amount: Amount::new(9) };
    chain.mine(&[chain.sign(&alice, 0, pay.clone())]);
    for number in 0..8 {
        let item = ItemName::new(format!("key {number}"));
        let request = Action::ItemRequest { item: item.clone() };
        let hand_on = Action::ItemTransfer { item, to: desk };
        chain.mine(&[chain.sign(&alice, 0, request), chain.sign(&alice, 1, hand_on)]);
    }
    chain.mine(&[chain.sign(&alice, 0, pay)]);
    let dir = tempfile::tempdir().unwrap();
    let mut node = Node::open(dir.path());
    node.take_all(&chain.blocks);
    assert_past(&node.reader(), &chain);
    let named = node.reader().account_transactions(&desk, None, 100).unwrap().entries;
    assert_eq!(named.len(), 10, "his history has them all");
    assert!(named.iter().all(|placed| placed.place.position < 2), "the mark is not part of the place");
    let held = node.reader().item_at(&ItemName::new("key 3"), Height::new(5)).unwrap();
    assert_eq!(held, Some(Item { holder: Some(desk) }));
}
