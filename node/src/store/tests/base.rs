//! A store that begins with a state: it goes on from there as any other, never goes back below, and is made whole or not at all.

use std::{collections::BTreeMap, ops::Range, path::Path};

use bard_chain::{
    engine::{Outcome, Refused},
    hash::BlockId,
    invalid::Invalid,
    ledger::{Account, View},
    snapshot::{Check, Checked, SnapshotError, accounts_part, end_part, headers_part, items_part},
    source::{Source, SourceError},
    units::{Height, Timestamp},
};
use rayon::prelude::*;

use super::{
    chain::{Chain, Node, key, spec},
    simulated::{Loss, Machine, SimDisk},
};
use crate::store::{
    BeginError, Beginning, NotHeld, PastError, StoreError,
    base::{UNFINISHED_LOG, begin_on},
    header::{BASE_LEN, HEADER_LEN},
    open::{INDEX, LOG},
};

const FLOOR: Height = Height::new(12);

/// The snapshot of a chain, a few entries a part.
fn parts(chain: &Chain) -> Vec<Vec<u8>> {
    let headers: Vec<_> = chain.blocks.iter().map(|block| block.header().clone()).collect();
    let accounts: Vec<_> = chain.ledger().accounts().map(|(address, account)| (*address, *account)).collect();
    let items: Vec<_> = chain.ledger().items().map(|(name, item)| (name.clone(), *item)).collect();
    let mut parts: Vec<_> = headers.chunks(5).map(headers_part).collect();
    parts.extend(accounts.chunks(4).map(accounts_part));
    parts.extend(items.chunks(4).map(items_part));
    parts.push(end_part(accounts.len() as u64, items.len() as u64));
    parts
}

fn begin(disk: &SimDisk, parts: Vec<Vec<u8>>, last: Option<BlockId>) -> Result<Checked, BeginError> {
    let (spec, mut parts) = (spec(), parts.into_iter());
    let mut next = || Ok(parts.next());
    let now = Timestamp::new(1 << 50);
    let beginning = Beginning { spec: &spec, now, last, parts: &mut next, ready: &|| Ok(()) };
    begin_on(disk, Path::new("/simulated"), beginning)
}

/// A chain with a state at [`FLOOR`], and as it was there.
fn chains() -> (Chain, Chain) {
    let mut chain = Chain::new(spec());
    chain.mine_many(12);
    let floor = chain.clone();
    chain.mine_many(9);
    (floor, chain)
}

/// A node that began with the state of a chain.
fn begun(floor: &Chain) -> (SimDisk, Node) {
    let disk = SimDisk::default();
    begin(&disk, parts(floor), None).unwrap();
    let node = Node::on(&disk).unwrap();
    (disk, node)
}

/// Checks that everything is as on a node that took the chain block by block, but for the blocks below.
fn assert_same(node: &Node, chain: &Chain) {
    let reader = node.reader();
    assert_eq!(node.engine.tip(), chain.engine.tip());
    assert_eq!(node.engine.tip_position(), chain.engine.tip_position());
    assert_eq!(node.engine.commitment(), chain.engine.commitment());
    assert_eq!((node.engine.floor(), reader.floor(), reader.blocks_from()), (FLOOR, FLOOR, Height::new(13)));
    let accounts: Vec<_> = chain.ledger().accounts().map(|(address, account)| (*address, *account)).collect();
    assert_eq!(reader.accounts(None, usize::MAX).unwrap(), accounts);
    let items: Vec<_> = chain.ledger().items().map(|(name, item)| (name.clone(), *item)).collect();
    assert_eq!(reader.items(None, usize::MAX).unwrap(), items);
    assert_eq!(reader.counts().accounts, accounts.len() as u64);
    let headers: Vec<_> = chain.blocks.iter().map(|block| block.header().clone()).collect();
    assert_eq!(reader.headers_after(&[], usize::MAX).unwrap(), headers, "headers are served from the first on");
    for block in &chain.blocks {
        let (id, height) = (block.id(), block.header().height);
        assert_eq!(reader.id_at(height).unwrap(), Some(id));
        if height > FLOOR {
            assert_eq!(reader.check_held(height), Ok(()));
            assert_eq!(reader.block(&id).unwrap(), *block);
            continue;
        }
        let not = NotHeld { height, floor: FLOOR };
        assert_eq!(reader.check_held(height), Err(not));
        assert_eq!(reader.block_bytes(&id).unwrap(), None);
        assert_eq!(reader.block(&id), Err(SourceError(not.to_string())));
        assert_eq!(reader.transaction(&block.transaction_ids()[0]).unwrap(), None);
    }
    assert_eq!(reader.check_held(Height::ZERO), Ok(()), "the genesis block follows from the specification");
    assert!(reader.block_bytes(&chain.engine.chain().into()).unwrap().is_some());
}

#[test]
fn a_store_that_begins_with_a_state_goes_on_from_it() {
    let (floor, chain) = chains();
    let (disk, mut node) = begun(&floor);
    assert_same(&node, &floor);
    node.take_all(&chain.blocks[12..]);
    assert_same(&node, &chain);
    node.store.close().unwrap();
    let node = Node::on(&disk).unwrap();
    assert_eq!(node.repairs, Vec::<String>::new());
    assert_same(&node, &chain);
    drop(node);
    // The state is in the log: the index is made from that, as always.
    let mut files = disk.files();
    files.remove(INDEX);
    let node = Node::on(&SimDisk::holding(files)).unwrap();
    assert_eq!(node.repairs.len(), 1);
    assert_same(&node, &chain);
}

#[test]
fn the_past_is_told_down_to_the_state_and_not_below() {
    let (floor, chain) = chains();
    let (_disk, mut node) = begun(&floor);
    let mut then: Vec<(Account, Option<bard_chain::ledger::Item>)> = Vec::new();
    let item = bard_chain::transaction::ItemName::new("projector");
    let alice = key("alice").address();
    let mut along = floor.clone();
    then.push((along.ledger().account(&alice).unwrap(), along.ledger().item(&item).unwrap()));
    for block in &chain.blocks[12..] {
        node.take(block);
        along.follow(block);
        then.push((along.ledger().account(&alice).unwrap(), along.ledger().item(&item).unwrap()));
    }
    let reader = node.reader();
    for (height, (account, held)) in (12..).map(Height::new).zip(&then) {
        assert_eq!(reader.account_at(&alice, height).as_ref(), Ok(account), "{height}");
        assert_eq!(reader.item_at(&item, height).as_ref(), Ok(held), "{height}");
    }
    let below = PastError::BelowStart { asked: 11, floor: 12 };
    assert_eq!(reader.account_at(&alice, Height::new(11)), Err(below.clone()));
    assert_eq!(reader.item_at(&item, Height::new(11)), Err(below));
}

#[test]
fn branches_are_followed_down_to_the_state_and_not_below() {
    let (floor, chain) = chains();
    let mut at_floor = floor.branch(7);
    at_floor.mine_many(11);
    let mut below = Chain::new(spec());
    chain.blocks[..11].iter().for_each(|block| below.follow(block));
    let mut below = below.branch(8);
    below.mine_many(13);
    let (disk, mut node) = begun(&floor);
    node.take_all(&chain.blocks[12..]);
    let refused = node.engine.accept(&below.blocks[11], Timestamp::new(1 << 50), &node.reader()).unwrap_err();
    assert_eq!(refused, Refused::Invalid(Invalid::ForkBelowStart { fork: Height::new(11), floor: FLOOR }));
    node.take_all(&at_floor.blocks[12..21]);
    assert_same(&node, &chain);
    assert_eq!(node.take(&at_floor.blocks[21]), Outcome::Reorganised);
    node.take(&at_floor.blocks[22]);
    assert_same(&node, &at_floor);
    // Killed: what is opened again is the same.
    drop(node);
    assert_same(&Node::on(&disk).unwrap(), &at_floor);
}

#[test]
fn nothing_is_made_from_what_is_not_good() {
    let (floor, _) = chains();
    let good = parts(&floor);
    let mut other_state = good.clone();
    other_state[3] = accounts_part(&[(key("alice").address(), Account::default())]);
    let disk = SimDisk::default();
    let refused = begin(&disk, other_state, None).unwrap_err();
    assert!(matches!(refused, BeginError::Snapshot(SnapshotError::Entries)), "{refused}");
    let refused = begin(&disk, good[..good.len() - 1].to_vec(), None).unwrap_err();
    assert!(matches!(refused, BeginError::Snapshot(SnapshotError::Counts)), "{refused}");
    let refused = begin(&disk, good.clone(), Some(BlockId::ZERO)).unwrap_err();
    assert!(matches!(refused, BeginError::OtherBlock { height: FLOOR, .. }), "{refused}");
    let refused = begin(&disk, parts(&Chain::new(spec())), None).unwrap_err();
    assert!(matches!(refused, BeginError::Empty), "{refused}");
    assert_eq!(disk.files(), BTreeMap::new(), "nothing is left");
    let checked = begin(&disk, good.clone(), Some(floor.engine.tip().id)).unwrap();
    let mut check = Check::new(floor.engine.spec(), Timestamp::new(1 << 50));
    good.iter().for_each(|part| check.part(part).unwrap());
    assert_eq!(checked, check.finish().unwrap());
    let before = disk.files();
    assert!(matches!(begin(&disk, good, None), Err(BeginError::Taken { .. })), "there is a chain");
    assert_eq!(disk.files(), before);
}

/// Where the records of the state lie in a log.
fn base_of(log: &[u8]) -> Range<usize> {
    let number = u64::from_le_bytes(log[HEADER_LEN + 8..HEADER_LEN + 16].try_into().unwrap());
    HEADER_LEN + BASE_LEN..number as usize
}

#[test]
fn a_damaged_state_is_never_taken_for_a_torn_end() {
    let (floor, chain) = chains();
    let (disk, mut node) = begun(&floor);
    let whole = disk.files()[LOG].clone();
    let base = base_of(&whole);
    assert_eq!(base.end, whole.len());
    node.take_all(&chain.blocks[12..]);
    node.store.close().unwrap();
    let longer = disk.files()[LOG].clone();
    let open = |log: Vec<u8>| Node::on(&SimDisk::holding(BTreeMap::from([(LOG.into(), log)])));
    for log in [whole, longer] {
        for at in base.clone().step_by(base.len() / 40) {
            let mut flipped = log.clone();
            flipped[at] ^= 1;
            let refused = open(flipped).unwrap_err();
            assert!(matches!(refused, StoreError::Damaged { .. }), "flipped at {at}: {refused}");
            let refused = open(log[..at].to_vec()).unwrap_err();
            assert!(matches!(refused, StoreError::Damaged { .. }), "cut at {at}: {refused}");
        }
        for at in HEADER_LEN..HEADER_LEN + BASE_LEN {
            let mut flipped = log.clone();
            flipped[at] ^= 1;
            assert!(matches!(open(flipped), Err(StoreError::Damaged { offset: 0, .. })), "flipped at {at}");
        }
    }
}

#[test]
fn crash_matrix_of_beginnings() {
    let (floor, chain) = chains();
    let disk = SimDisk::default();
    begin(&disk, parts(&floor), None).unwrap();
    let named = disk.count();
    Node::on(&disk).unwrap().store.close().unwrap();
    let ops = disk.done();
    let mut machine = Machine::default();
    let mut begun = 0;
    for done in 0..=ops.len() {
        let outcomes: Vec<_> = Loss::ALL
            .into_par_iter()
            .map(|loss| {
                let disk = SimDisk::holding(machine.stopped(loss));
                let is_begun = disk.files().contains_key(LOG);
                assert!(is_begun || done < named, "{done}: what was made is lost");
                let mut node = if is_begun {
                    Node::on(&disk).unwrap()
                } else {
                    // As if nothing had been tried: the same command makes it.
                    begin(&disk, parts(&floor), None).unwrap();
                    Node::on(&disk).unwrap()
                };
                assert_same(&node, &floor);
                node.take_all(&chain.blocks[12..]);
                assert_same(&node, &chain);
                assert!(!disk.files().contains_key(UNFINISHED_LOG), "{done}: half of a log is left");
                usize::from(is_begun)
            })
            .collect();
        begun += outcomes.iter().sum::<usize>();
        if let Some(op) = ops.get(done) {
            machine.run(op);
        }
    }
    assert!(begun > 0 && ops.len() > named, "{begun}, {named} of {}", ops.len());
}

#[test]
fn a_node_can_be_started_where_making_a_state_was_cut_short() {
    let disk = SimDisk::holding(BTreeMap::from([(UNFINISHED_LOG.into(), vec![1; 9_000])]));
    let node = Node::on(&disk).unwrap();
    assert_eq!(node.reader().floor(), Height::ZERO);
    assert!(!disk.files().contains_key(UNFINISHED_LOG));
}
