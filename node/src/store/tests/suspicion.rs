//! An index that is too long to be checked when it is opened, and is garbled: it is noticed, and made anew.

use std::{collections::BTreeMap, path::Path};

use bard_chain::{
    engine::Outcome,
    hash::BlockId,
    invalid::Invalid,
    ledger::View,
    transaction::{Action, Transaction},
    units::Amount,
};
use redb::{Builder, ReadableDatabase, TableDefinition};

use super::{
    chain::{Chain, Node, key, spec},
    garble_entry,
    simulated::SimDisk,
};
use crate::store::{
    StoreError, cut,
    disk::Disk,
    index::IndexError,
    open::INDEX,
    overlay::LARGE_COMMITS,
    suspect::{self, SUSPECT, Suspicion},
};

const ACCOUNTS: TableDefinition<'_, &[u8; 32], (u64, u64)> = TableDefinition::new("accounts");

/// The disk of a node in whose index there is a balance that nobody has; every page of it is as it was written.
fn garbled(chain: &Chain) -> SimDisk {
    let disk = SimDisk::default();
    let mut node = Node::on(&disk).unwrap();
    node.take_all(&chain.blocks);
    node.store.close().unwrap();
    garble_balance(disk.files())
}

/// The disk with these files, but that carol has one more.
pub(super) fn garble_balance(files: BTreeMap<String, Vec<u8>>) -> SimDisk {
    let disk = SimDisk::holding(files);
    let database = disk.database(&Builder::new(), INDEX).unwrap();
    let address = key("carol").address();
    let read = database.begin_read().unwrap().open_table(ACCOUNTS).unwrap();
    let (balance, nonce) = read.get(address.as_bytes()).unwrap().unwrap().value();
    drop(read);
    let write = database.begin_write().unwrap();
    write.open_table(ACCOUNTS).unwrap().insert(address.as_bytes(), (balance + 1, nonce)).unwrap();
    write.commit().unwrap();
    drop(database);
    SimDisk::holding(disk.files())
}

fn chain() -> Chain {
    let mut chain = Chain::new(spec());
    chain.mine_many(5);
    chain
}

#[test]
fn an_index_that_lacks_a_block_of_its_own_chain_is_made_anew_at_once() {
    const BLOCKS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("blocks");
    let (chain, disk) = (chain(), SimDisk::default());
    let mut node = Node::on(&disk).unwrap();
    node.take_all(&chain.blocks);
    node.store.close().unwrap();
    let database = disk.database(&Builder::new(), INDEX).unwrap();
    let write = database.begin_write().unwrap();
    assert!(write.open_table(BLOCKS).unwrap().remove(chain.blocks[1].id().as_bytes()).unwrap().is_some());
    write.commit().unwrap();
    drop(database);
    for repairs in [1, 0] {
        let node = Node::with_index_checked(&disk, 0).unwrap();
        assert_eq!(node.repairs.iter().filter(|repair| repair.contains("set aside")).count(), repairs);
        node.assert_is(&chain);
        node.store.close().unwrap();
    }
}

/// Something that changes what carol has.
pub(super) fn by_carol<V: View>(ledger: &V) -> Transaction {
    let carol = key("carol");
    let nonce = ledger.account(&carol.address()).unwrap().nonce;
    let action = Action::Record { content_type: "text/plain".into(), bytes: b"carol was here".to_vec() };
    Transaction::sign(spec().chain_id(), &carol, nonce, Amount::new(1), action)
}

/// Opens a disk whose index is taken for too long to be checked.
fn unchecked(disk: &SimDisk) -> Node {
    Node::with_index_checked(disk, 0).unwrap()
}

#[test]
fn a_ledger_that_does_not_add_up_ends_the_store_and_is_made_anew() {
    let chain = chain();
    let disk = garbled(&chain);
    let mut node = unchecked(&disk);
    node.store.checking.as_mut().unwrap().ended();
    let failure = node.store.failure().unwrap();
    assert!(matches!(failure, StoreError::Index(_)), "{failure}");
    assert!(failure.to_string().ends_with("what it holds does not add up to what it says"), "{failure}");
    assert!(node.store.is_uncertain());
    assert!(disk.files().contains_key(SUSPECT));
    drop(node);

    let node = unchecked(&disk);
    assert_eq!(node.repairs.len(), 1);
    assert!(node.repairs[0].contains("found garbled when it was used") && node.repairs[0].contains("set aside"));
    node.assert_is(&chain);
    assert!(!disk.files().contains_key(SUSPECT));
    node.store.close().unwrap();
    let mut node = unchecked(&disk);
    assert_eq!(node.repairs, Vec::<String>::new());
    node.store.checking.as_mut().unwrap().ended();
    assert!(node.store.failure().is_none() && !node.store.is_uncertain(), "what is whole adds up");
    node.assert_is(&chain);
}

#[test]
fn flipped_bits_do_no_harm_for_long() {
    let chain = chain();
    let disk = SimDisk::default();
    let mut node = Node::on(&disk).unwrap();
    node.take_all(&chain.blocks);
    node.store.close().unwrap();
    let files = disk.files();
    let (length, mut found) = (files[INDEX].len(), 0);
    for at in (0..length).step_by(length / 90) {
        let mut rotten = files.clone();
        rotten.get_mut(INDEX).unwrap()[at] ^= 0x10;
        let disk = SimDisk::holding(rotten);
        let mut node = unchecked(&disk);
        if let Some(checking) = &mut node.store.checking {
            checking.ended();
        }
        if node.store.failure().is_none() {
            continue;
        }
        found += 1;
        drop(node);
        unchecked(&disk).assert_is(&chain);
    }
    assert!(found > 0);
}

#[test]
fn what_makes_no_sense_when_it_is_read_is_made_anew_at_the_next_start() {
    let chain = chain();
    let disk = SimDisk::default();
    let mut node = Node::on(&disk).unwrap();
    node.take_all(&chain.blocks);
    for _ in 0..2 {
        let read = node.store.reader.shared.read::<()>(Err(IndexError::Damaged("a history is garbled".into())));
        assert!(read.is_err() && node.store.failure().is_none());
    }
    node.store.close().unwrap();
    let node = Node::on(&disk).unwrap();
    assert_eq!(node.repairs.len(), 1);
    node.assert_is(&chain);
    assert!(!disk.files().contains_key(SUSPECT));
}

#[test]
fn who_still_reads_when_the_store_is_closed_raises_no_suspicion() {
    let chain = chain();
    let disk = SimDisk::default();
    let mut node = Node::on(&disk).unwrap();
    node.take_all(&chain.blocks);
    node.store.close().unwrap();
    let node = unchecked(&disk);
    let shared = std::sync::Arc::clone(&node.store.reader.shared);
    node.store.close().unwrap();
    // As redb says of what is not in its memory.
    let read = shared.read::<()>(Err(redb::Error::DatabaseClosed.into())).unwrap_err();
    assert_eq!(read.0, "the store is closed");
    assert!(shared.index_failed().is_none() && !disk.files().contains_key(SUSPECT));
    unchecked(&disk).assert_is(&chain);
}

#[test]
fn what_is_only_suspect_is_checked() {
    let chain = chain();
    let disk = SimDisk::default();
    let mut node = Node::on(&disk).unwrap();
    node.take_all(&chain.blocks);
    node.reader().suspect_index();
    node.store.close().unwrap();
    let node = unchecked(&disk);
    assert!(node.store.checking.is_none(), "it was checked before");
    assert_eq!(node.repairs, ["index.redb was suspect: it was checked, and is whole"]);
    node.assert_is(&chain);
    drop(node);
    assert_eq!(unchecked(&disk).repairs, Vec::<String>::new());

    let disk = garbled(&chain);
    suspect::leave(&disk, Suspicion::Possible).unwrap();
    let node = unchecked(&disk);
    assert!(node.repairs[0].contains("set aside"), "{:?}", node.repairs);
    node.assert_is(&chain);
    drop(node);
    suspect::leave(&disk, Suspicion::Certain).unwrap();
    suspect::leave(&disk, Suspicion::Possible).unwrap();
    assert_eq!(suspect::found(&disk).unwrap(), Some(Suspicion::Certain), "it does not get better by itself");
    disk.remove(INDEX).unwrap();
    let node = unchecked(&disk);
    assert_eq!(node.repairs.len(), 1);
    assert!(node.repairs[0].contains("was missing"), "{:?}", node.repairs);
    node.assert_is(&chain);
}

#[test]
fn what_was_mined_on_a_garbled_index_is_cut_off_the_log() {
    let mut chain = chain();
    let disk = garbled(&chain);
    let before = disk.files()["chain.log"].len();
    let mut node = unchecked(&disk);
    node.mine(&[by_carol(chain.ledger())]);
    node.mine(&[]);
    node.store.checking.as_mut().unwrap().ended();
    assert!(node.store.failure().is_some());
    drop(node);
    let whole = disk.files()["chain.log"].clone();
    assert!(whole.len() > before);

    let mut node = unchecked(&disk);
    assert_eq!(node.repairs.len(), 2, "{:?}", node.repairs);
    assert!(node.repairs[0].contains("found garbled when it was used"), "{:?}", node.repairs);
    let said =
        format!("from byte {before} on: its last {} bytes were set aside as chain.log.cut-1", whole.len() - before);
    assert!(node.repairs[1].contains(&said), "{:?}", node.repairs);
    node.assert_is(&chain);
    assert_eq!(disk.files()["chain.log.cut-1"], whole[before..]);
    assert_eq!(disk.files()["chain.log"], whole[..before]);
    // It goes on as everybody else does.
    node.take(&chain.mine(&[by_carol(chain.ledger())]));
    drop(node);
    let node = unchecked(&disk);
    assert_eq!(node.repairs, Vec::<String>::new());
    node.assert_is(&chain);
}

/// The files of a node that mined so much on an index that was garbled, and its log before that.
fn mined_on_garbled(chain: &Chain, count: usize) -> (BTreeMap<String, Vec<u8>>, Vec<u8>) {
    let disk = garbled(chain);
    let before = disk.files()["chain.log"].clone();
    let mut node = unchecked(&disk);
    node.mine(&[by_carol(chain.ledger())]);
    for _ in 1..count {
        node.mine(&[]);
    }
    node.store.checking.as_mut().unwrap().ended();
    drop(node);
    (disk.files(), before)
}

#[test]
fn a_verdict_in_the_place_of_what_was_cut_off_is_kept() {
    let mut chain = chain();
    let (files, before) = mined_on_garbled(&chain, 20);
    let whole = files["chain.log"].len();
    let disk = SimDisk::holding(files);
    let mut node = unchecked(&disk);
    assert_eq!(disk.files()["chain.log"], before);
    let [bad, after] = chain.bad_pair();
    chain.mine_some();
    node.take_all(&chain.blocks[5..]);
    assert_eq!(node.take(&bad), Outcome::SideBranch);
    assert!(matches!(node.take(&after), Outcome::BranchRefused { .. }));
    drop(node);
    assert!(disk.files()["chain.log"].len() < whole);
    assert!(is_invalid(&unchecked(&disk), &bad.id()));
}

#[test]
fn a_start_that_was_to_cut_off_the_log_and_was_cut_short_is_begun_again() {
    const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
    let chain = chain();
    let (mut files, before) = mined_on_garbled(&chain, 2);
    // Made anew as far as the log is right.
    let half_made = SimDisk::holding(BTreeMap::from([("chain.log".to_owned(), before.clone())]));
    Node::on(&half_made).unwrap().store.close().unwrap();
    let database = half_made.database(&Builder::new(), INDEX).unwrap();
    let write = database.begin_write().unwrap();
    let end = (files["chain.log"].len() as u64).to_be_bytes();
    write.open_table(META).unwrap().insert("verdicts from", end.as_slice()).unwrap();
    write.commit().unwrap();
    drop(database);
    files.insert(INDEX.to_owned(), half_made.files()[INDEX].clone());
    files.remove(SUSPECT);
    let disk = SimDisk::holding(files);
    let node = unchecked(&disk);
    assert_eq!(node.repairs.len(), 2, "{:?}", node.repairs);
    assert!(node.repairs[0].contains("was being made anew"), "{:?}", node.repairs);
    assert!(node.repairs[1].contains("does not add up from byte"), "{:?}", node.repairs);
    node.assert_is(&chain);
    assert_eq!(disk.files()["chain.log"], before);
    assert!(!disk.files().keys().any(|name| name.contains("damaged")), "what is of no use is not kept");
}

/// A chain, and a branch that leaves it three blocks before the tip, that has two blocks more, and whose first changes what carol has.
fn with_branch() -> (Chain, Chain) {
    let mut chain = Chain::new(spec());
    chain.mine_many(2);
    let mut branch = chain.branch(3);
    branch.mine(&[by_carol(branch.ledger())]);
    branch.mine_many(4);
    chain.mine_many(3);
    (chain, branch)
}

fn is_invalid(node: &Node, id: &BlockId) -> bool {
    node.engine.tree().get(id).unwrap().invalid
}

#[test]
fn a_verdict_that_a_garbled_index_led_to_is_not_kept() {
    // The index is found garbled, or is gone when somebody looks; and the node ends well after that, or does not.
    for (gone, closes) in [(false, false), (false, true), (true, false), (true, true)] {
        let (chain, branch) = with_branch();
        let disk = garbled(&chain);
        let mut node = unchecked(&disk);
        for block in &branch.blocks[2..5] {
            assert_eq!(node.take(block), Outcome::SideBranch);
        }
        let first = branch.blocks[2].id();
        let wrong = Outcome::BranchRefused { at: first, reason: Invalid::StateRoot };
        assert_eq!(node.take(&branch.blocks[5]), wrong);
        assert!(is_invalid(&node, &first));
        drop(node);
        if gone {
            disk.remove(INDEX).unwrap();
        } else {
            suspect::leave(&disk, Suspicion::Certain).unwrap();
        }
        for round in 0..3 {
            let mut node = unchecked(&disk);
            assert_eq!(node.repairs.len(), usize::from(round == 0), "{:?}", node.repairs);
            node.assert_is(&chain);
            assert!(!is_invalid(&node, &first), "round {round}");
            if closes {
                node.store.close().unwrap();
            } else if round == 2 {
                assert_eq!(node.take(&branch.blocks[5]), Outcome::Reorganised);
                node.take(&branch.blocks[6]);
                node.assert_is(&branch);
            }
        }
    }
}

#[test]
fn a_verdict_after_an_index_was_made_anew_is_kept() {
    let mut chain = chain();
    let disk = garbled(&chain);
    suspect::leave(&disk, Suspicion::Certain).unwrap();
    let [bad, after] = chain.bad_pair();
    chain.mine_some();
    let mut node = unchecked(&disk);
    node.take_all(&chain.blocks[5..]);
    assert_eq!(node.take(&bad), Outcome::SideBranch);
    assert!(matches!(node.take(&after), Outcome::BranchRefused { .. }));
    drop(node);
    let node = unchecked(&disk);
    assert!(is_invalid(&node, &bad.id()));
    node.store.close().unwrap();
    assert!(is_invalid(&unchecked(&disk), &bad.id()));
}

#[test]
fn damage_that_the_writer_reads_ends_the_store_and_that_which_others_read_does_not() {
    let mut chain = Chain::new(spec());
    // More than is looked at when the store is opened.
    chain.mine_many(60);
    let disk = SimDisk::default();
    let mut node = Node::on(&disk).unwrap();
    node.take_all(&chain.blocks);
    node.store.close().unwrap();
    let id = chain.blocks[0].id();
    let disk = garble_entry(disk.files(), &id);
    let node = Node::on(&disk).unwrap();
    assert_eq!(node.repairs, Vec::<String>::new());
    let (others, own) = (node.store.reader(), node.store.newest());
    assert!(others.header(&id).is_err() && others.known_tree(100, 10).is_err());
    assert!(node.store.failure().is_none(), "a question stops nobody");
    assert!(own.header(&id).is_err());
    let failure = node.store.failure().expect("a failure");
    assert!(failure.to_string().contains("start the node again to have it repaired: the entry of block"), "{failure}");
    drop(node);
    let node = Node::on(&disk).unwrap();
    assert!(node.repairs[0].contains("set aside"), "{:?}", node.repairs);
    node.assert_is(&chain);
}

#[test]
fn a_panic_of_the_thread_that_writes_the_index_ends_the_store() {
    let mut chain = Chain::new(spec());
    chain.mine_many(LARGE_COMMITS);
    let disk = SimDisk::default();
    let mut node = Node::on(&disk).unwrap();
    let (last, most) = chain.blocks.split_last().unwrap();
    node.take_all(most);
    node.try_append(last).unwrap();
    node.store.settle().unwrap();
    assert!(node.store.failure().is_none());
    disk.panic_once();
    let shared = std::sync::Arc::clone(&node.store.reader.shared);
    node.store.flusher.tend(&shared);
    node.store.flusher.stop();
    let failure = node.store.failure().expect("a failure");
    assert!(failure.to_string().ends_with("the thread that writes it ended in a panic"), "{failure}");
    drop(node);
    let node = Node::on(&disk).unwrap();
    assert_eq!(node.repairs, ["index.redb was suspect: it was checked, and is whole"]);
    node.assert_is(&chain);
}

#[test]
fn that_the_thread_that_writes_the_index_is_gone_is_noticed_without_an_order_to_it() {
    let mut node = Node::on(&SimDisk::default()).unwrap();
    let shared = std::sync::Arc::clone(&node.store.reader.shared);
    node.store.flusher.tend(&shared);
    assert!(node.store.flusher.failure().is_ok());
    node.store.flusher.stop();
    node.store.flusher.tend(&shared);
    assert!(matches!(node.store.flusher.failure(), Err(StoreError::Index(_))));
}

#[test]
fn so_many_ends_of_a_log_are_kept_and_none_that_does_not_fit() {
    let chain = chain();
    let disk = SimDisk::default();
    let mut node = Node::on(&disk).unwrap();
    node.take_all(&chain.blocks);
    let (log, dir) = (node.store.reader.shared.log.clone(), Path::new("/simulated"));
    let whole = disk.files()["chain.log"].clone();
    let ends = [100, 200, 300, 400].map(|start| (start, whole.len() as u64));
    for ((start, end), name) in ends.into_iter().zip(["cut-1", "cut-2", "cut-3", "cut-3"]) {
        let said = cut::keep(&disk, dir, &log, (start, end)).unwrap();
        assert!(said.contains(&format!("set aside as chain.log.{name},")), "{said}");
        assert_eq!(disk.files()[&format!("chain.log.{name}")], whole[start as usize..]);
    }
    assert_eq!(disk.files()["chain.log.cut-1"], whole[100..]);
    let files = disk.files();
    disk.hold_at_most(Some(disk.used() + 50));
    let full = cut::keep(&disk, dir, &log, ends[0]).unwrap_err();
    assert!(matches!(full, StoreError::Full { .. }), "{full}");
    assert_eq!(disk.files(), files);
}
