//! A keeper whose disk gets full or rots: it refuses, says why, answers what is asked, and goes on by itself.

#![allow(clippy::unwrap_used)]

use std::{path::Path, sync::Arc};

use bard_chain::{
    address::Address,
    block::Block,
    encoding,
    engine::{Engine, Outcome, Refused},
    pow,
    spec::ChainSpec,
    template::Template,
    units::Height,
};
use tokio::sync::oneshot;

use super::{Handle, Keeper, handle::Request, start};
use crate::{
    metrics::Metrics,
    store::{
        Opened,
        tests::{open_on_disk, simulated::SimDisk},
    },
};

fn keeper(disk: &SimDisk, spec: &Arc<ChainSpec>, keep_free: u64) -> (Handle, Keeper) {
    let Opened { store, restored, .. } = open_on_disk(disk, Path::new("/simulated"), Arc::clone(spec));
    let metrics = Metrics::new("dev", "", bard_chain::units::Timestamp::ZERO);
    let engine = Engine::restore(Arc::clone(spec), restored);
    start(engine, store.keeping_free(keep_free), bard_chain::mempool::Limits::default(), metrics.chain.clone()).unwrap()
}

/// The bytes of the next block, sealed.
async fn mined(keeper: &Handle) -> Result<Vec<u8>, Refused> {
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
async fn branch(keeper: &Handle, count: usize) -> Vec<Vec<u8>> {
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

async fn look(keeper: &Handle) {
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
async fn a_check_that_panics_costs_what_it_checked_and_not_the_node() {
    let (disk, spec) = (SimDisk::default(), crate::store::tests::easy_spec());
    let (handle, ended) = keeper(&disk, &spec, 0);
    let (reply, checked) = oneshot::channel::<()>();
    handle.workers.spawn(move || {
        let _reply = reply;
        panic!("on purpose");
    });
    assert!(checked.await.is_err(), "whoever waits is told");
    handle.accept(mined(&handle).await.unwrap()).await.unwrap().expect("the node lives");
    handle.stop().await;
    ended.ended().await.unwrap();
}
