//! A keeper whose disk gets full or rots: it refuses, says why, answers what is asked, and goes on by itself.

#![allow(clippy::unwrap_used)]

use std::{path::Path, sync::Arc, time::Duration};

use bard_chain::{
    address::Address,
    block::Block,
    branch::Branch,
    encoding,
    engine::{Engine, Outcome, Refused},
    hash::{Hash32, TransactionId},
    invalid::Invalid,
    mempool::{Admitted, Limits},
    pow, presets,
    rules::isolated::Isolated,
    spec::{ChainSpec, Difficulty},
    template::Template,
    transaction::{Action, Transaction},
    units::{Amount, Height, Nonce, Timestamp},
};
use tokio::sync::oneshot;

use super::{ChainEvent, Closed, CutOff, Handle, Keeper, KeeperError, handle::Request, start};
use crate::{
    metrics::Metrics,
    store::{
        Opened, StoreError,
        tests::{be_checked, garble_entry, open_on_disk, simulated::SimDisk},
    },
};

/// A keeper on a disk in memory.
pub(crate) fn keeper(disk: &SimDisk, spec: &Arc<ChainSpec>, keep_free: u64) -> (Handle, Keeper) {
    keeper_within(disk, spec, keep_free, Limits::default())
}

/// The same with a pool that holds as much as these limits say.
pub(crate) fn keeper_within(disk: &SimDisk, spec: &Arc<ChainSpec>, keep_free: u64, limits: Limits) -> (Handle, Keeper) {
    let Opened { store, restored, .. } = open_on_disk(disk, Path::new("/simulated"), Arc::clone(spec));
    let metrics = Metrics::new("dev", "", Timestamp::ZERO);
    let engine = Engine::restore(Arc::clone(spec), restored);
    start(engine, store.keeping_free(keep_free), limits, metrics.chain.clone()).unwrap()
}

/// The bytes of the next block, sealed.
pub(crate) async fn mined(keeper: &Handle) -> Result<Vec<u8>, Refused> {
    let template = keeper.template(Address::new([1; 32])).await.unwrap()?;
    let mut block = Block { header: template.header().clone(), transactions: template.transactions().to_vec() };
    block.header.nonce = nonce_of(keeper, &template);
    Ok(encoding::encode(&block))
}

fn nonce_of(keeper: &Handle, template: &Template) -> u64 {
    let target = template.header().target.expand().unwrap().to_be_bytes();
    pow::search(keeper.spec().pow, template.digest().as_bytes(), 0, 1 << 24, &target).unwrap()
}

/// Blocks of a branch beside the chain, from the tip as it is now.
pub(crate) async fn branch(keeper: &Handle, count: usize) -> Vec<Vec<u8>> {
    let mut branch = keeper.branch(Address::new([2; 32])).await.unwrap().unwrap();
    let mut blocks = Vec::new();
    for _ in 0..count {
        let now = crate::clock::now();
        let template = branch.template(keeper.spec(), now).unwrap();
        let nonce = nonce_of(keeper, &template);
        branch.go_on(keeper.spec(), &template, nonce, now).unwrap();
        blocks.push(template.sealed(nonce));
    }
    blocks
}

/// Has the keeper look how disk and index stand.
pub(crate) async fn look(keeper: &Handle) {
    let (reply, looked) = oneshot::channel();
    keeper.inbox.send(Request::Room { reply }).await.unwrap();
    looked.await.unwrap();
}

#[tokio::test]
async fn a_keeper_without_room_waits_for_it() {
    const KEPT: u64 = 1 << 20;
    let (disk, spec) = (SimDisk::default(), crate::store::tests::easy_spec());
    let (handle, ended) = keeper(&disk, &spec, KEPT);
    handle.accept(mined(&handle).await.unwrap()).await.unwrap().unwrap();
    let next = mined(&handle).await.unwrap();
    assert_eq!(handle.space().shortage, None);

    disk.hold_at_most(Some(disk.used() + KEPT / 2));
    look(&handle).await;
    let why = handle.space().shortage.expect("a shortage");
    assert!(why.contains("nearly full") && !why.contains('\n'), "{why}");
    assert_eq!(handle.accept(next.clone()).await.unwrap(), Err(Refused::NoRoom(Arc::clone(&why))));
    assert_eq!(mined(&handle).await.unwrap_err(), Refused::NoRoom(why), "nothing is mined");
    assert!(handle.reader().id_at(Height::new(1)).unwrap().is_some(), "what is stored can be read");

    // A little more than is kept free is not enough yet, or it would come and go with every block.
    disk.hold_at_most(Some(disk.used() + KEPT + 4096));
    look(&handle).await;
    assert!(handle.space().shortage.is_some());
    disk.hold_at_most(Some(disk.used() + 2 * KEPT));
    look(&handle).await;
    assert_eq!(handle.space().shortage, None);
    handle.accept(next).await.unwrap().expect("the block that was refused is as good as before");
    assert_eq!(handle.tip().height, Height::new(2));

    // Full between two looks: the block itself finds out.
    let third = mined(&handle).await.unwrap();
    disk.hold_at_most(Some(disk.used() + KEPT / 2));
    assert!(matches!(handle.accept(third.clone()).await.unwrap(), Err(Refused::NoRoom(_))));
    assert!(handle.space().shortage.is_some());
    disk.hold_at_most(None);
    look(&handle).await;
    handle.accept(third).await.unwrap().unwrap();
    handle.stop().await;
    ended.ended().await.unwrap();
}

/// Two blocks after the tip, of which the first says a state that is not.
async fn wrong(keeper: &Handle) -> [Vec<u8>; 2] {
    let mut branch = keeper.branch(Address::new([3; 32])).await.unwrap().unwrap();
    let now = crate::clock::now();
    let target = |block: &Block| block.header.target.expand().unwrap().to_be_bytes();
    let seal = |block: &mut Block| {
        let digest = block.header.digest();
        block.header.nonce = pow::search(keeper.spec().pow, digest.as_bytes(), 0, 1 << 24, &target(block)).unwrap();
        encoding::encode(block)
    };
    let template = branch.template(keeper.spec(), now).unwrap();
    let mut first = Block { header: template.header().clone(), transactions: Vec::new() };
    branch.go_on(keeper.spec(), &template, nonce_of(keeper, &template), now).unwrap();
    let mut second = Block { header: branch.template(keeper.spec(), now).unwrap().header().clone(), ..first.clone() };
    first.header.state_root = Hash32::new([9; 32]);
    let bytes = seal(&mut first);
    second.header.parent = first.header.id(keeper.spec().pow);
    [bytes, seal(&mut second)]
}

#[tokio::test]
async fn while_the_index_is_checked_nothing_is_mined_and_nobody_is_blamed() {
    let (disk, spec) = (SimDisk::default(), crate::store::tests::easy_spec());
    let (handle, ended) = keeper(&disk, &spec, 0);
    let (other, _) = keeper(&SimDisk::default(), &spec, 0);
    let [bad, after] = wrong(&handle).await;
    be_checked(handle.reader(), true);
    look(&handle).await;
    let space = handle.space();
    assert_eq!(space.shortage, None);
    let why = space.mining_waits.expect("mining waits");
    assert!(why.contains("is being checked") && !why.contains('\n'), "{why}");
    assert_eq!(mined(&handle).await.unwrap_err(), Refused::NoRoom(Arc::clone(&why)));
    assert!(matches!(handle.branch(Address::new([2; 32])).await.unwrap(), Err(Refused::NoRoom(_))));

    let refused = async |block: &Vec<u8>| handle.accept(block.clone()).await.unwrap();
    assert!(matches!(refused(&bad).await, Err(Refused::Source(_))), "nobody knows whether it is bad");
    let good = mined(&other).await.unwrap();
    handle.accept(good).await.unwrap().expect("blocks are taken");
    assert_eq!(refused(&bad).await.unwrap().outcome, Outcome::SideBranch);
    assert!(matches!(refused(&after).await, Err(Refused::Source(_))), "nor that of a branch");

    be_checked(handle.reader(), false);
    mined(&handle).await.expect("it goes on by itself");
    look(&handle).await;
    assert_eq!(handle.space().why_not_mined(), None);
    let outcome = refused(&after).await.unwrap().outcome;
    assert!(matches!(outcome, Outcome::BranchRefused { reason: Invalid::StateRoot, .. }), "{outcome:?}");
    handle.stop().await;
    ended.ended().await.unwrap();
}

#[tokio::test]
async fn a_block_that_rotted_costs_the_branch_that_needs_it_and_not_the_node() {
    let (disk, spec) = (SimDisk::default(), crate::store::tests::easy_spec());
    let (handle, ended) = keeper(&disk, &spec, 0);
    handle.accept(mined(&handle).await.unwrap()).await.unwrap().unwrap();
    let heavier = branch(&handle, 3).await;
    let rotten = mined(&handle).await.unwrap();
    handle.accept(rotten.clone()).await.unwrap().unwrap();
    handle.accept(mined(&handle).await.unwrap()).await.unwrap().unwrap();
    let tip = handle.tip();
    handle.stop().await;
    ended.ended().await.unwrap();

    let mut files = disk.files();
    let log = files.get_mut("chain.log").unwrap();
    let at = log.windows(rotten.len()).position(|bytes| bytes == rotten).unwrap();
    log[at + rotten.len() / 2] ^= 0x10;
    let disk = SimDisk::holding(files);
    let (handle, ended) = keeper(&disk, &spec, 0);
    for block in &heavier[..2] {
        assert_eq!(handle.accept(block.clone()).await.unwrap().unwrap().outcome, Outcome::SideBranch);
    }
    let refused = handle.accept(heavier[2].clone()).await.unwrap();
    assert!(matches!(refused, Err(Refused::Source(_))), "{refused:?}");
    assert_eq!(handle.tip(), tip, "nothing was changed");
    handle.accept(mined(&handle).await.unwrap()).await.unwrap().expect("the node lives");
    handle.stop().await;
    ended.ended().await.unwrap();
}

#[tokio::test]
async fn after_a_branch_of_fewer_blocks_another_may_leave_as_far_back_as_before() {
    const DEPTH: u64 = 6;
    let easy = crate::store::tests::easy_spec();
    let interval = easy.target_interval_ms;
    // A block that comes at once makes the next one four times as hard.
    let difficulty = Difficulty::Asert { half_life_ms: interval / 2 };
    let spec = Arc::new(ChainSpec { max_reorg_depth: DEPTH, difficulty, ..(*easy).clone() });
    let (handle, ended) = keeper(&SimDisk::default(), &spec, 0);
    let mut time = spec.genesis_time.get();
    let mut main = handle.branch(Address::new([2; 32])).await.unwrap().unwrap();
    let next = async |branch: &mut Branch, time: u64| {
        let template = branch.template(&spec, Timestamp::new(time)).unwrap();
        let nonce = nonce_of(&handle, &template);
        branch.go_on(&spec, &template, nonce, Timestamp::new(time)).unwrap();
        handle.accept(template.sealed(nonce)).await.unwrap().unwrap().outcome
    };
    let mut left = Vec::new();
    for height in 1..=46 {
        time += interval;
        assert_eq!(next(&mut main, time).await, Outcome::Extended);
        if [37, 40].contains(&height) {
            left.push((main.clone(), time));
        }
    }
    let (mut short, mut time) = left.pop().unwrap();
    for outcome in [Outcome::SideBranch, Outcome::SideBranch, Outcome::Reorganised] {
        time += 1;
        assert_eq!(next(&mut short, time).await, outcome);
    }
    assert_eq!(handle.tip().height, Height::new(43));
    let (mut deep, mut time) = left.pop().unwrap();
    while handle.tip().id != deep.id() {
        time += 1;
        next(&mut deep, time).await;
    }
    assert_eq!(handle.tip().height, Height::new(41));
    handle.stop().await;
    ended.ended().await.unwrap();
}

#[tokio::test]
async fn an_index_that_makes_no_sense_to_the_keeper_ends_the_node_and_is_made_anew() {
    let easy = crate::store::tests::easy_spec();
    // Blocks that come at once are ever harder, and so many are held: one more than that is stored.
    let difficulty = Difficulty::Asert { half_life_ms: easy.target_interval_ms / 2 };
    let spec = Arc::new(ChainSpec { max_reorg_depth: 6, difficulty, ..(*easy).clone() });
    let disk = SimDisk::default();
    let (handle, ended) = keeper(&disk, &spec, 0);
    let mut branch = handle.branch(Address::new([2; 32])).await.unwrap().unwrap();
    let sealed = |branch: &mut Branch, time: u64| {
        let template = branch.template(&spec, Timestamp::new(time)).unwrap();
        let nonce = nonce_of(&handle, &template);
        branch.go_on(&spec, &template, nonce, Timestamp::new(time)).unwrap();
        template.sealed(nonce)
    };
    let (mut time, mut short, mut old) = (spec.genesis_time.get(), None, None);
    for height in 1..=46 {
        time += spec.target_interval_ms;
        handle.accept(sealed(&mut branch, time)).await.unwrap().unwrap();
        short = short.or_else(|| (height == 40).then(|| (branch.clone(), time)));
        old = old.or_else(|| (height == 28).then(|| branch.id()));
    }
    let ((mut short, mut time), old) = (short.unwrap(), old.unwrap());
    let heavier: Vec<_> = (0..3)
        .map(|_| {
            time += 1;
            sealed(&mut short, time)
        })
        .collect();
    handle.stop().await;
    ended.ended().await.unwrap();

    let disk = garble_entry(disk.files(), &old);
    let (handle, ended) = keeper(&disk, &spec, 0);
    assert!(handle.reader().header(&old).is_err());
    for (block, outcome) in heavier.iter().zip([Outcome::SideBranch, Outcome::SideBranch, Outcome::Reorganised]) {
        // Who brought the block that showed it hears what came of it.
        assert_eq!(handle.accept(block.clone()).await.unwrap().unwrap().outcome, outcome);
    }
    let failure = tokio::time::timeout(Duration::from_secs(60), ended.ended()).await.expect("it ends").unwrap_err();
    assert!(matches!(failure, KeeperError::Store(StoreError::Index(_))), "{failure}");
    drop(handle);
    let open = || open_on_disk(&disk, Path::new("/simulated"), Arc::clone(&spec));
    let repairs = open().repairs;
    assert!(repairs.len() == 1 && repairs[0].contains("set aside"), "{repairs:?}");
    let (handle, ended) = keeper(&disk, &spec, 0);
    assert_eq!(handle.tip().id, short.id());
    handle.stop().await;
    ended.ended().await.unwrap();
}

#[tokio::test]
async fn a_keeper_that_panics_has_the_index_checked_at_the_next_start() {
    let (disk, spec) = (SimDisk::default(), crate::store::tests::easy_spec());
    let (handle, ended) = keeper(&disk, &spec, 0);
    handle.accept(mined(&handle).await.unwrap()).await.unwrap().unwrap();
    let next = mined(&handle).await.unwrap();
    disk.panic_once();
    assert_eq!(handle.accept(next.clone()).await, Err(Closed));
    assert!(matches!(ended.ended().await, Err(KeeperError::Panicked)));
    drop(handle);
    let open = || open_on_disk(&disk, Path::new("/simulated"), Arc::clone(&spec));
    assert_eq!(open().repairs, ["index.redb was suspect: it was checked, and is whole"]);
    assert_eq!(open().repairs, Vec::<String>::new());
    let (handle, ended) = keeper(&disk, &spec, 0);
    handle.accept(next).await.unwrap().unwrap();
    handle.stop().await;
    ended.ended().await.unwrap();
}

/// A keeper whose last blocks were taken by a clock that was an hour ahead of what it is now.
pub(crate) fn keeper_ahead(spec: &Arc<ChainSpec>) -> (Handle, Keeper) {
    let Opened { mut store, restored, .. } =
        open_on_disk(&SimDisk::default(), Path::new("/simulated"), Arc::clone(spec));
    let mut engine = Engine::restore(Arc::clone(spec), restored);
    let later = Timestamp::new(crate::clock::now().get() + 3_600_000);
    let mut branch = Branch::from_tip(&engine, &store.newest(), Address::new([2; 32])).unwrap();
    for _ in 0..12 {
        let template = branch.template(spec, later).unwrap();
        let target = template.header().target.expand().unwrap().to_be_bytes();
        let nonce = pow::search(spec.pow, template.digest().as_bytes(), 0, 1 << 24, &target).unwrap();
        branch.go_on(spec, &template, nonce, later).unwrap();
        let block = Isolated::read(spec, spec.chain_id(), &template.sealed(nonce)).unwrap();
        let effects = engine.accept(&Arc::new(block), later, &store.newest()).unwrap();
        store.append(&effects).unwrap();
        engine.adopt(&effects);
    }
    store.sync().unwrap();
    let metrics = Metrics::new("dev", "", Timestamp::ZERO);
    start(engine, store.keeping_free(0), Limits::default(), metrics.chain.clone()).unwrap()
}

#[tokio::test]
async fn nothing_is_mined_that_would_be_refused_for_its_time() {
    let (handle, ended) = keeper_ahead(&crate::store::tests::easy_spec());
    let refused = mined(&handle).await.unwrap_err();
    assert!(matches!(refused, Refused::Invalid(Invalid::TimeTooNew { .. })), "{refused}");
    handle.stop().await;
    ended.ended().await.unwrap();
}

#[tokio::test]
async fn what_comes_by_a_clock_that_is_behind_the_chain_is_no_older_than_that() {
    let (handle, ended) = keeper_ahead(&crate::store::tests::easy_spec());
    let all = handle.check_transactions((0..3).map(|nonce| record(&handle, nonce)).collect()).await.unwrap();
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    handle.admit(vec![Arc::clone(&all[2])]).await.unwrap();
    handle.admit_all(all[..1].to_vec()).await.unwrap().unwrap();
    handle.readmit(vec![(handle.tip().timestamp, Arc::clone(&all[1]))]).await.unwrap();
    let came: Vec<_> = handle.pool().contents().map(|(since, _)| since).collect();
    assert_eq!(came, [handle.tip().timestamp; 3]);
    handle.stop().await;
    ended.ended().await.unwrap();
}

/// The bytes of a record that alice signs.
fn record(keeper: &Handle, nonce: u64) -> Vec<u8> {
    let action = Action::Record { content_type: "text/plain".into(), bytes: b"hello".to_vec() };
    let key = presets::dev_key("alice").unwrap();
    encoding::encode(&Transaction::sign(keeper.chain(), &key, Nonce::new(nonce), Amount::ZERO, action))
}

#[tokio::test]
async fn whatever_becomes_ready_is_told() {
    let (disk, spec) = (SimDisk::default(), crate::store::tests::easy_spec());
    let (handle, ended) = keeper(&disk, &spec, 0);
    let all = handle.check_transactions((0..4).map(|nonce| record(&handle, nonce)).collect()).await.unwrap();
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    let mut events = handle.events();
    let mut told = || match events.try_recv() {
        Ok(ChainEvent::Transactions { transactions }) => transactions.iter().map(|one| one.id()).collect(),
        Ok(_) => vec![TransactionId::ZERO],
        Err(_) => Vec::new(),
    };
    let changes = handle.watch_pool();
    let admit = async |one: usize| handle.admit(vec![Arc::clone(&all[one])]).await.unwrap().remove(0).unwrap();
    assert_eq!(admit(1).await, Admitted::Waiting);
    assert!(told().is_empty());
    assert!(changes.has_changed().unwrap(), "it is to be kept for the next run");
    assert_eq!(admit(0).await, Admitted::Ready);
    assert_eq!(told(), [all[0].id(), all[1].id()], "what waited for it, too");
    // One that waits for what a block brings, which was in no pool here.
    assert_eq!(admit(3).await, Admitted::Waiting);
    let (other, _) = keeper(&SimDisk::default(), &spec, 0);
    other.admit(all[..3].to_vec()).await.unwrap();
    handle.accept(mined(&other).await.unwrap()).await.unwrap().unwrap();
    assert_eq!(told(), [TransactionId::ZERO], "the block");
    assert_eq!(told(), [all[3].id()]);
    handle.stop().await;
    ended.ended().await.unwrap();
}

#[tokio::test]
async fn a_check_that_panics_costs_what_it_checked_and_not_the_node() {
    let (disk, spec) = (SimDisk::default(), crate::store::tests::easy_spec());
    let (handle, ended) = keeper(&disk, &spec, 0);
    let cut_off = handle.check(|_| -> () { panic!("on purpose") }).await;
    assert_eq!(cut_off, Err(CutOff), "whoever waits is told");
    assert_eq!(handle.check_transactions(vec![vec![0]]).await.unwrap().len(), 1, "the next is checked");
    handle.accept(mined(&handle).await.unwrap()).await.unwrap().expect("the node lives");
    handle.stop().await;
    ended.ended().await.unwrap();
}
