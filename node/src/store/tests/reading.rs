//! Readers: listings over layers and index, locators, and while somebody writes.

use std::sync::atomic::{AtomicBool, Ordering};

use bard_chain::{
    hash::BlockId,
    ledger::View,
    source::Source,
    units::{Amount, Height},
};

use super::{
    super::StoreReader,
    chain::{Chain, Node, key, spec},
};

#[test]
fn listings_can_be_read_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(spec());
    chain.mine_many(300);
    let mut node = Node::open(dir.path());
    node.take_all(&chain.blocks);
    let reader = node.reader();
    let all = reader.accounts(None, usize::MAX).unwrap();
    let mut paged = Vec::new();
    loop {
        let page = reader.accounts(paged.last().map(|(address, _)| address), 7).unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    assert_eq!(reader.items(None, 0).unwrap(), []);
}

#[test]
fn what_is_not_durable_is_for_the_writer_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = Chain::new(spec());
    let (mut one, mut two) = (root.branch(2), root.branch(3));
    one.mine_many(3);
    two.mine_many(4);
    let mut node = Node::open(dir.path());
    node.take_all(&one.blocks);
    let (all, writer) = (node.store.reader(), node.store.newest());
    let picture = |reader: &StoreReader| {
        let tree = reader.known_tree(10, 10).unwrap().blocks;
        let transactions = two.blocks.iter().flat_map(|block| block.transaction_ids());
        let known: Vec<_> = transactions.map(|id| reader.transaction(id).unwrap()).collect();
        let bodies: Vec<_> = two.blocks.iter().map(|block| reader.block_bytes(&block.id()).unwrap()).collect();
        let accounts = reader.accounts(None, usize::MAX).unwrap();
        (reader.tip(), reader.counts(), tree, known, bodies, accounts, reader.items(None, usize::MAX).unwrap())
    };
    let before = picture(&all);
    for block in &two.blocks {
        node.give(block);
        assert_eq!(picture(&all), before);
    }
    let after = picture(&writer);
    assert_eq!(after.0, (two.blocks[3].id(), Height::new(4)));
    node.store.sync().unwrap();
    assert_eq!(picture(&all), after);
    assert_eq!(picture(&writer), after);
    node.assert_is(&two);
}

#[test]
fn accounts_that_a_reorganisation_takes_away_are_not_listed() {
    let dir = tempfile::tempdir().unwrap();
    let root = Chain::new(spec());
    let (mut one, mut two) = (root.branch(2), root.branch(3));
    one.mine_many(2);
    two.mine_many(3);
    let mut node = Node::open(dir.path());
    node.take_all(&one.blocks);
    node.store.close().unwrap();
    let mut node = Node::open(dir.path());
    node.take_all(&two.blocks);
    let listed = node.reader().accounts(None, 3).unwrap();
    let expected: Vec<_> = two.ledger().accounts().take(3).map(|(address, account)| (*address, *account)).collect();
    assert_eq!(listed, expected);
    node.assert_is(&two);
}

#[test]
fn headers_come_after_the_first_known_block_of_a_locator() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new(spec());
    chain.mine_many(4);
    let mut side = chain.branch(5);
    side.mine_many(1);
    chain.mine_many(6);
    let mut node = Node::open(dir.path());
    node.take_all(&chain.blocks);
    node.take(&side.blocks[4]);
    let reader = node.reader();
    let header = |index: usize| chain.blocks[index].header().clone();
    let locator = [BlockId::new([8; 32]), side.blocks[4].id(), chain.blocks[6].id(), chain.blocks[0].id()];
    assert_eq!(reader.headers_after(&locator, 2).unwrap(), [header(7), header(8)]);
    assert_eq!(reader.headers_after(&locator, 9).unwrap().len(), 3);
    assert_eq!(reader.headers_after(&locator[..2], 1).unwrap(), [header(0)]);
    assert_eq!(reader.headers_after(&[chain.blocks[9].id()], 9).unwrap(), []);
    assert!(!reader.is_active(&side.blocks[4].id()).unwrap());
    assert_eq!(reader.block(&side.blocks[4].id()).unwrap(), side.blocks[4]);
    assert_eq!(reader.block_bytes(&BlockId::new([8; 32])).unwrap(), None);
    assert!(reader.undo(&side.blocks[4].id()).is_err(), "it was never on the active chain");
}

#[test]
fn readers_see_whole_commits_while_somebody_writes() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec();
    let mut chain = Chain::new(spec.clone());
    let start = chain.ledger().account(&key("alice").address()).unwrap();
    chain.mine_many(600);
    let mut node = Node::open(dir.path());
    let reader = node.reader();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = || {
            let mut rounds = 0_u32;
            while !done.load(Ordering::Relaxed) || rounds == 0 {
                let height = reader.tip_height();
                let listed = reader.accounts(None, usize::MAX).unwrap();
                let total: u64 = listed.iter().map(|(_, account)| account.balance.get()).sum();
                let mined = (total - 4 * start.balance.get()) / spec.subsidy.at(Height::new(1)).get();
                assert!((height.get()..=reader.tip_height().get()).contains(&mined), "a listing is of one moment");
                let headers = reader.headers_after(&[], usize::MAX).unwrap();
                assert!(headers.windows(2).all(|pair| pair[0].height.next() == Some(pair[1].height)));
                rounds += 1;
            }
        };
        scope.spawn(watch);
        scope.spawn(watch);
        node.take_all(&chain.blocks);
        done.store(true, Ordering::Relaxed);
    });
    assert_ne!(reader.account(&key("alice").address()).unwrap().balance, Amount::ZERO);
    node.assert_is(&chain);
}
