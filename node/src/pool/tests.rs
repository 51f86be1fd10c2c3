//! What an earlier run left comes back, whatever the clock says and whatever was undone meanwhile.

#![allow(clippy::unwrap_used)]

use std::{path::Path, sync::Arc};

use bard_chain::{
    address::Address,
    encoding,
    hash::BlockId,
    mempool::Limits,
    presets,
    transaction::{Action, Transaction},
    units::{Amount, Nonce, Timestamp},
};

use super::{
    earlier::{bounds, came},
    file::Found,
    places::put_in_order,
    *,
};
use crate::{
    keeper::tests::{branch, keeper, keeper_within, look, mined},
    store::tests::{easy_spec, simulated::SimDisk},
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn pay(keeper: &keeper::Handle, nonce: u64, amount: u64) -> Vec<u8> {
    pay_from(keeper, "alice", nonce, amount, 1)
}

fn pay_from(keeper: &keeper::Handle, sender: &str, nonce: u64, amount: u64, fee: u64) -> Vec<u8> {
    let action = Action::Transfer { to: Address::new([3; 32]), amount: Amount::new(amount) };
    let key = presets::dev_key(sender).unwrap();
    encoding::encode(&Transaction::sign(keeper.chain(), &key, Nonce::new(nonce), Amount::new(fee), action))
}

async fn checked(keeper: &keeper::Handle, bytes: Vec<u8>) -> Arc<CheckedTransaction> {
    keeper.check_transactions(vec![bytes]).await.unwrap().remove(0).unwrap()
}

/// Leaves a file with transactions that came into the pool at these times, when it stood on `tip`.
async fn leave(dir: &Path, keeper: &keeper::Handle, tip: BlockId, all: &[Found]) {
    let mut kept = Vec::new();
    for (since, bytes) in all {
        kept.push((*since, checked(keeper, bytes.clone()).await));
    }
    PoolFile::new(dir, keeper.chain()).rewrite(&tip, &kept).unwrap();
}

fn pooled(keeper: &keeper::Handle) -> Vec<Vec<u8>> {
    keeper.pool().transactions().map(|one| one.bytes().to_vec()).collect()
}

/// A chain that these were mined on and that left for `longer` blocks, and the tip that it had.
async fn undo(disk: &SimDisk, all: &[Vec<u8>], longer: usize) -> BlockId {
    let (handle, ended) = keeper(disk, &easy_spec(), 0);
    let heavier = branch(&handle, longer).await;
    for one in all {
        let one = checked(&handle, one.clone()).await;
        handle.admit(vec![one]).await.unwrap().remove(0).unwrap();
    }
    handle.accept(mined(&handle).await.unwrap()).await.unwrap().unwrap();
    let tip = handle.tip().id;
    for block in heavier {
        handle.accept(block).await.unwrap().unwrap();
    }
    assert!(!handle.reader().is_active(&tip).unwrap());
    handle.stop().await;
    ended.ended().await.unwrap();
    tip
}

/// For whoever only signs.
fn signer() -> keeper::Handle {
    keeper(&SimDisk::default(), &easy_spec(), 0).0
}

#[tokio::test]
async fn what_was_undone_does_not_keep_out_what_took_its_place() {
    let (disk, spec, signer) = (SimDisk::default(), easy_spec(), signer());
    let (old, next) = (pay(&signer, 0, 5), pay(&signer, 1, 6));
    let tip = undo(&disk, &[old, next.clone()], 2).await;

    let (handle, ended) = keeper(&disk, &spec, 0);
    let dir = tempfile::tempdir().unwrap();
    let new = pay(&handle, 0, 7);
    leave(dir.path(), &handle, tip, &[(clock::now(), new.clone())]).await;
    let _kept = open(dir.path(), handle.clone()).await.unwrap();
    assert_eq!(pooled(&handle), [new, next], "what was acknowledged last");
    handle.stop().await;
    ended.ended().await.unwrap();
}

#[tokio::test]
async fn what_was_undone_is_back_however_far_the_chain_went_on_since_the_file_was_written() {
    let (disk, spec, signer) = (SimDisk::default(), easy_spec(), signer());
    let one = pay(&signer, 0, 5);
    let longer = 2 * usize::try_from(spec.max_reorg_depth).unwrap();
    let tip = undo(&disk, std::slice::from_ref(&one), longer).await;

    let (handle, ended) = keeper(&disk, &spec, 0);
    let dir = tempfile::tempdir().unwrap();
    leave(dir.path(), &handle, tip, &[]).await;
    let (journal, task) = open(dir.path(), handle.clone()).await.unwrap();
    assert_eq!(pooled(&handle), std::slice::from_ref(&one));
    // Written anew, the file has it, and says on which tip.
    let stop = CancellationToken::new();
    stop.cancel();
    task.run(stop).await;
    drop(journal);
    let content = PoolFile::new(dir.path(), handle.chain()).read(1_000);
    assert_eq!(content.tip, Some(handle.tip().id));
    assert_eq!(content.found.into_iter().map(|(_, bytes)| bytes).collect::<Vec<_>>(), [one]);
    handle.stop().await;
    ended.ended().await.unwrap();
}

#[tokio::test]
async fn what_was_undone_leaves_room_for_what_was_acknowledged() {
    let (disk, spec, signer) = (SimDisk::default(), easy_spec(), signer());
    let undone: Vec<_> = (0..3).map(|nonce| pay(&signer, nonce, 5)).collect();
    let tip = undo(&disk, &undone, 2).await;

    let found: Vec<_> = (0..2).map(|nonce| pay_from(&signer, "bob", nonce, 5, 1)).collect();
    let bytes = undone[0].len() + found.iter().map(Vec::len).sum::<usize>();
    let (handle, ended) = keeper_within(&disk, &spec, 0, Limits { bytes, ..Limits::default() });
    let dir = tempfile::tempdir().unwrap();
    let with_times: Vec<_> = found.iter().map(|one| (clock::now(), one.clone())).collect();
    leave(dir.path(), &handle, tip, &with_times).await;
    let _kept = open(dir.path(), handle.clone()).await.unwrap();
    assert_eq!(pooled(&handle), [undone[0].clone(), found[0].clone(), found[1].clone()]);
    handle.stop().await;
    ended.ended().await.unwrap();
}

#[tokio::test]
async fn what_pays_more_stays_whichever_was_written_first() {
    let (disk, spec) = (SimDisk::default(), easy_spec());
    for turned in [false, true] {
        let (handle, ended) = keeper(&disk, &spec, 0);
        let dir = tempfile::tempdir().unwrap();
        let (cheap, next, dear) = (pay(&handle, 0, 5), pay(&handle, 1, 6), pay_from(&handle, "alice", 0, 5, 10));
        let mut all = [&cheap, &next, &dear].map(|one| (clock::now(), one.clone()));
        if turned {
            all.reverse();
        }
        leave(dir.path(), &handle, handle.tip().id, &all).await;
        let _kept = open(dir.path(), handle.clone()).await.unwrap();
        assert_eq!(pooled(&handle), [dear, next], "turned around: {turned}");
        handle.stop().await;
        ended.ended().await.unwrap();
    }
}

#[tokio::test]
async fn what_pays_more_and_is_no_longer_possible_keeps_nothing_out() {
    let (disk, spec) = (SimDisk::default(), easy_spec());
    let (handle, ended) = keeper(&disk, &spec, 0);
    let dir = tempfile::tempdir().unwrap();
    let (poor, good) = (pay_from(&handle, "alice", 0, 1 << 50, 10), pay(&handle, 0, 5));
    let all = [&poor, &good].map(|one| (clock::now(), one.clone()));
    leave(dir.path(), &handle, handle.tip().id, &all).await;
    let _kept = open(dir.path(), handle.clone()).await.unwrap();
    assert_eq!(pooled(&handle), [good]);
    handle.stop().await;
    ended.ended().await.unwrap();
}

#[tokio::test]
async fn nothing_is_added_where_the_disk_has_less_than_is_kept_free() {
    const KEPT: u64 = 1 << 20;
    let (disk, spec) = (SimDisk::default(), easy_spec());
    let (handle, ended) = keeper(&disk, &spec, KEPT);
    let dir = tempfile::tempdir().unwrap();
    let (journal, task) = open(dir.path(), handle.clone()).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(task.run(stop.clone()));
    let mut all = Vec::new();
    for nonce in 0..3 {
        let one = checked(&handle, pay(&handle, nonce, 5)).await;
        handle.admit(vec![Arc::clone(&one)]).await.unwrap().remove(0).unwrap();
        all.push(one);
    }
    let on_disk = || PoolFile::new(dir.path(), handle.chain()).read(1_000).found.len();
    journal.keep(&all[..1]).await.unwrap();
    assert_eq!(on_disk(), 1);

    disk.hold_at_most(Some(disk.used() + KEPT));
    look(&handle).await;
    let refused = journal.keep(&all[1..2]).await.unwrap_err().to_string();
    assert!(refused.contains("1 KiB are needed, 1 MiB are free, 1 MiB are kept free (--keep-free)"), "{refused}");
    assert!(refused.contains(FILE), "{refused}");
    journal.keep(&all[..1]).await.expect("it is there already");
    assert_eq!(on_disk(), 1, "what is there stays");
    disk.hold_at_most(None);
    look(&handle).await;
    journal.keep(&all[1..2]).await.unwrap();
    assert_eq!(on_disk(), 2, "it is added to what was there");

    disk.hold_at_most(Some(disk.used()));
    look(&handle).await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(on_disk(), 2, "nor is it written anew");
    handle.stop().await;
    ended.ended().await.unwrap();
}

#[tokio::test]
async fn a_clock_that_is_wrong_at_the_start_loses_nothing_at_once() {
    let (disk, spec) = (SimDisk::default(), easy_spec());
    let (handle, ended) = keeper(&disk, &spec, 0);
    let dir = tempfile::tempdir().unwrap();
    let one = pay(&handle, 0, 5);
    // As seen by a clock that is a month ahead.
    let long_ago = Timestamp::new(clock::now().get() - 30 * DAY_MS);
    leave(dir.path(), &handle, handle.tip().id, &[(long_ago, one.clone())]).await;
    let _kept = open(dir.path(), handle.clone()).await.unwrap();
    // Answered after whatever was asked before.
    let template = async || drop(handle.template(Address::new([1; 32])).await.unwrap().unwrap());
    template().await;
    assert_eq!(pooled(&handle), [one]);
    handle.expire().await.unwrap();
    template().await;
    assert!(pooled(&handle).is_empty(), "what is too old leaves when the pool is looked at");
    handle.stop().await;
    ended.ended().await.unwrap();
}

#[test]
fn a_clock_behind_the_chain_makes_nothing_older() {
    let (tip, came_at) = (Timestamp::new(100 * DAY_MS), Timestamp::new(99 * DAY_MS));
    let behind = Timestamp::new(5 * DAY_MS);
    assert_eq!(came(came_at, behind, tip), came_at);
    assert_eq!(came(Timestamp::new(101 * DAY_MS), behind, tip), tip);
    let right = Timestamp::new(102 * DAY_MS);
    assert_eq!(came(Timestamp::new(101 * DAY_MS), right, tip), Timestamp::new(101 * DAY_MS));
    assert_eq!(came(Timestamp::new(200 * DAY_MS), right, tip), right, "a clock that was set back since");
}

#[test]
fn what_was_undone_is_not_older_than_the_pool_lets_it_be_and_leaves_room() {
    let limits = Limits { bytes: 1_000, age_ms: 14 * DAY_MS, ..Limits::default() };
    let found = [(Timestamp::ZERO, vec![0; 300]), (Timestamp::ZERO, vec![0; 100])];
    let now = Timestamp::new(100 * DAY_MS);
    assert_eq!(bounds(&limits, now, &found), (Timestamp::new(86 * DAY_MS), 600));
    let much = [(Timestamp::ZERO, vec![0; 1_001])];
    assert_eq!(bounds(&limits, Timestamp::new(DAY_MS), &much), (Timestamp::ZERO, 250));
}

#[test]
fn of_each_sender_and_nonce_what_pays_most_is_tried_first_and_all_of_the_file() {
    let chain = presets::dev().chain_id();
    let key = presets::dev_key("alice").unwrap();
    let pay = |nonce, amount, fee| {
        let action = Action::Transfer { to: Address::new([3; 32]), amount: Amount::new(amount) };
        let signed = Transaction::sign(chain, &key, Nonce::new(nonce), Amount::new(fee), action);
        (Timestamp::ZERO, encoding::encode(&signed))
    };
    let garbled = (Timestamp::ZERO, vec![7]);
    let mut undone = vec![pay(0, 1, 9), pay(1, 1, 0), pay(2, 1, 0), garbled.clone()];
    let (cheap, dear, other) = (pay(0, 3, 0), pay(0, 4, 2), pay(0, 5, 1));
    let found = vec![cheap.clone(), pay(1, 1, 0), dear.clone(), other.clone(), garbled.clone()];
    let found = put_in_order(&mut undone, found);
    assert_eq!(undone, [dear.clone(), pay(1, 1, 0), pay(2, 1, 0), garbled.clone()], "the newer one in its place");
    assert_eq!(found, [dear.clone(), pay(1, 1, 0), dear, cheap, other, garbled]);
    let equals = [pay(0, 1, 1), pay(0, 2, 1), pay(1, 1, 0)];
    let ordered = put_in_order(&mut [], equals.to_vec());
    assert_eq!(ordered, [&equals[1], &equals[1], &equals[0], &equals[2]].map(Clone::clone), "of equals the later");
    assert_eq!(put_in_order(&mut [], equals[1..].to_vec()), equals[1..]);
}
