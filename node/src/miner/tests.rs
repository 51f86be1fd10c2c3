//! A miner that may not mine now: orders end, and it goes on by itself.

use bard_protocol::{Agent, Identity, NetworkConfig};

use super::*;
use crate::{
    lab::{self, Lab},
    metrics::Metrics,
    relay,
    store::tests::{be_checked, simulated::SimDisk},
};

/// A miner that mines continuously, and what must stay as long as it does.
async fn miner_of(keeper: &keeper::Handle) -> (Handle, tokio::task::JoinHandle<()>, impl Sized) {
    let config = NetworkConfig::alone(keeper.spec(), Identity::generate(), Agent::new("test"));
    let network = bard_protocol::start(config).await.expect("a network").handle;
    let (link, sending) = lab::link(&Lab::new(keeper.spec()), network.clone());
    let (hints, hinted) = mpsc::channel(1);
    let counts = Metrics::new("dev", "", Timestamp::ZERO).relay;
    let (relay, tasks) = relay::new(keeper.clone(), network, link, hints, counts);
    let (miner, task) = new(keeper.clone(), relay, Address::new([1; 32]), true, 1);
    (miner, tokio::spawn(task.run()), (sending, hinted, tasks))
}

#[tokio::test]
async fn where_the_clock_is_behind_the_chain_orders_end_and_no_work_is_done() {
    let (keeper, ended) = keeper::tests::keeper_ahead(&crate::store::tests::easy_spec());
    let (miner, running, _held) = miner_of(&keeper).await;
    for _ in 0..2 {
        assert_eq!(miner.mine(3).await, Ok(Vec::new()));
        let Activity { too_early_for, hash_rate, .. } = miner.activity();
        assert!(too_early_for.is_some_and(|time| time > clock::now()));
        assert!(hash_rate == 0.0 && miner.hashes() == 0);
    }
    running.abort();
    keeper.stop().await;
    ended.ended().await.expect("stopped");
}

#[tokio::test]
async fn while_the_index_is_checked_orders_end_and_then_it_goes_on_by_itself() {
    let (keeper, ended) = keeper::tests::keeper(&SimDisk::default(), &crate::store::tests::easy_spec(), 0);
    be_checked(keeper.reader(), true);
    keeper::tests::look(&keeper).await;
    let (miner, running, _held) = miner_of(&keeper).await;
    for _ in 0..2 {
        assert_eq!(miner.mine(3).await, Ok(Vec::new()));
        assert!(miner.activity().hash_rate == 0.0 && miner.hashes() == 0);
    }
    be_checked(keeper.reader(), false);
    keeper::tests::look(&keeper).await;
    let mut tip = keeper.watch_tip();
    let mined = tip.wait_for(|tip| tip.height > Height::ZERO);
    tokio::time::timeout(Duration::from_secs(60), mined).await.expect("it mines").expect("a tip");
    running.abort();
    keeper.stop().await;
    ended.ended().await.expect("stopped");
}
