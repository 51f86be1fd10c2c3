//! A part of the relay that fails by its own fault.

use std::{path::Path, sync::Arc, time::Duration};

use bard_chain::{engine::Engine, hash::BlockId, presets, units::Timestamp};
use bard_protocol::{Agent, Identity, NetworkConfig, PeerId};
use tokio::{sync::mpsc, time::timeout};

use super::{Announcers, Blocks, Hints};
use crate::{
    fair, keeper,
    metrics::Metrics,
    store::{
        Opened,
        tests::{open_on_disk, simulated::SimDisk},
    },
};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_rebuild_that_panics_is_as_one_of_which_nobody_told_the_rest() {
    let (disk, spec) = (SimDisk::default(), crate::store::tests::easy_spec());
    let Opened { store, restored, .. } = open_on_disk(&disk, Path::new("/simulated"), Arc::clone(&spec));
    let metrics = Metrics::new("dev", "", Timestamp::ZERO);
    let engine = Engine::restore(Arc::clone(&spec), restored);
    let limits = bard_chain::mempool::Limits::default();
    let (keeper, _ended) = keeper::start(engine, store, limits, metrics.chain.clone()).expect("a keeper");
    let config = NetworkConfig::alone(&presets::dev(), Identity::generate(), Agent::new("test"));
    let network = bard_protocol::start(config).await.expect("a network");
    let (hints, mut hinted) = mpsc::channel(8);
    let hints = Hints::new(hints, network.handle.clone());
    let mut blocks = Blocks::new(keeper, network.handle.clone(), hints, metrics.relay.clone());
    let (block, announcer) = (BlockId::new([7; 32]), PeerId::random());
    let task = blocks.rebuilds.spawn(async { panic!("as a fault of this software would") }).id();
    blocks.rebuilding.insert(block, (task, Announcers::new(announcer)));
    let (inbox, queue) = fair::queue(fair::Room { per_peer: 1, all: 1 });
    let judge = tokio::spawn(blocks.run(queue));
    let hint = timeout(PATIENCE, hinted.recv()).await.expect("the announcer is asked by catching up");
    assert_eq!(hint, Some(announcer));
    assert!(!judge.is_finished(), "the judge goes on");
    drop(inbox);
    let ended = timeout(PATIENCE, judge).await.expect("it ends with its queue");
    assert!(ended.expect("no panic").is_ok());
}
