//! What is held back goes out in the order in which it came, whatever is switched meanwhile.

use std::time::Duration;

use bard_chain::presets;
use bard_protocol::{Agent, Identity, Network, NetworkConfig, NetworkEvent};
use tokio::{sync::mpsc, task::JoinSet, time::timeout};

use super::{HELD, Link, link};
use crate::lab::Lab;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// For how long a block is held back.
const DELAY: Duration = Duration::from_millis(300);

async fn network(bootstrap: Vec<bard_protocol::Multiaddr>) -> Network {
    let config = NetworkConfig {
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
        bootstrap,
        ..NetworkConfig::alone(&presets::dev(), Identity::generate(), Agent::new("test"))
    };
    bard_protocol::start(config).await.expect("a network")
}

/// A link of one node, what another hears of it, and the tasks of both.
async fn pair() -> (Lab, Link, mpsc::Receiver<NetworkEvent>, JoinSet<()>) {
    let one = network(Vec::new()).await;
    let other = network(one.handle.listen_addresses()).await;
    let lab = Lab::new(&presets::dev());
    let (link, sender) = link(&lab, one.handle.clone());
    let (mut events, mut peers) = (one.events, one.handle.peers());
    let mut tasks = JoinSet::new();
    tasks.spawn(one.driver.run());
    tasks.spawn(other.driver.run());
    tasks.spawn(sender.run());
    tasks.spawn(async move { while events.recv().await.is_some() {} });
    timeout(PATIENCE, peers.wait_for(|all| !all.is_empty())).await.expect("they meet").expect("a network");
    // The other's own way out has to stay, or its network ends.
    let handle = other.handle;
    tasks.spawn(async move {
        let _handle = handle;
        std::future::pending::<()>().await;
    });
    (lab, link, other.events, tasks)
}

/// The next block that is heard of, by its number.
async fn heard(events: &mut mpsc::Receiver<NetworkEvent>) -> u8 {
    let block = async {
        loop {
            if let NetworkEvent::Block { bytes, .. } = events.recv().await.expect("a network") {
                return bytes.first().copied().expect("a byte");
            }
        }
    };
    timeout(PATIENCE, block).await.expect("a block is heard of")
}

#[tokio::test]
async fn what_is_held_back_goes_out_before_what_comes_later() {
    let (lab, link, mut events, _tasks) = pair().await;
    lab.switch(|settings| settings.delay = DELAY);
    for number in 0..3 {
        link.publish_block(vec![number; 64]).await;
    }
    lab.switch(|settings| settings.delay = Duration::ZERO);
    for number in 3..6 {
        link.publish_block(vec![number; 64]).await;
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(heard(&mut events).await);
    }
    assert_eq!(order, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn more_than_so_much_is_not_held_back_and_what_is_cut_off_is_not_told() {
    let (lab, link, mut events, _tasks) = pair().await;
    lab.switch(|settings| settings.delay = crate::lab::MAX_DELAY);
    for _ in 0..HELD * 2 {
        link.publish_block(vec![1; 64]).await;
    }
    let pending = link.pending.load(std::sync::atomic::Ordering::Acquire);
    assert!((HELD..=HELD + 1).contains(&pending), "{pending} are held back");
    lab.switch(|settings| settings.apart = true);
    link.publish_block(vec![2; 64]).await;
    assert_eq!(link.pending.load(std::sync::atomic::Ordering::Acquire), pending, "nothing is held back for nobody");
    // What was held back comes due while nobody is to hear of it.
    let all_gone = async {
        while link.pending.load(std::sync::atomic::Ordering::Acquire) > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, all_gone).await.expect("all came due");
    lab.switch(|settings| (settings.apart, settings.delay) = (false, Duration::ZERO));
    link.publish_block(vec![3; 64]).await;
    assert_eq!(heard(&mut events).await, 3);
}
