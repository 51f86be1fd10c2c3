//! The way out to other nodes, as the laboratory lets it be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bard_protocol::NetworkHandle;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use super::{Lab, Settings};
use crate::keeper;

/// Blocks and batches that are held back on their way out; one more is dropped (peers catch up with it).
const HELD: usize = 256;
/// Transactions of the pool that are told again in one go once this node is no longer cut off; for the rest they are asked.
const RETOLD: usize = 10_000;

/// What goes out.
enum Parcel {
    Block(Vec<u8>),
    Transactions(Vec<Vec<u8>>),
}

/// The way out. Cheap to clone.
#[derive(Clone)]
pub struct Link {
    lab: Lab,
    network: NetworkHandle,
    held: mpsc::Sender<(Instant, Parcel)>,
    /// How many are held back, the one that waits to be sent included.
    pending: Arc<AtomicUsize>,
}

/// What sends that was held back, to be run.
pub struct Sender {
    lab: Lab,
    network: NetworkHandle,
    held: mpsc::Receiver<(Instant, Parcel)>,
    pending: Arc<AtomicUsize>,
}

/// Makes the way out. At most 256 blocks and batches are held back; one more is dropped.
pub fn link(lab: &Lab, network: NetworkHandle) -> (Link, Sender) {
    let (sender, held) = mpsc::channel(HELD);
    let pending = Arc::new(AtomicUsize::new(0));
    let link = Link { lab: lab.clone(), network: network.clone(), held: sender, pending: Arc::clone(&pending) };
    (link, Sender { lab: lab.clone(), network, held, pending })
}

impl Link {
    /// Gossips a block, given as its canonical bytes.
    pub async fn publish_block(&self, bytes: Vec<u8>) {
        self.publish(Parcel::Block(bytes)).await;
    }

    /// Gossips transactions, given as their canonical bytes.
    pub async fn publish_transactions(&self, transactions: Vec<Vec<u8>>) {
        self.publish(Parcel::Transactions(transactions)).await;
    }

    /// Whether this node is cut off.
    pub fn is_cut(&self) -> bool {
        self.lab.settings().apart
    }

    /// What is switched on, to wait for its changes.
    pub fn watch(&self) -> watch::Receiver<Settings> {
        self.lab.watch()
    }

    /// Waits for as long as blocks and transactions are held back now, before they are asked for.
    pub async fn slow(&self) {
        let delay = self.lab.settings().delay;
        if delay > Duration::ZERO {
            sleep(delay).await;
        }
    }

    /// Tells of what waits in the pool: while this node was cut off, nobody heard of it. Blocks are caught up with.
    pub async fn tell_again(&self, keeper: &keeper::Handle) {
        let waiting: Vec<Arc<[u8]>> = {
            let pool = keeper.pool();
            pool.transactions().take(RETOLD).map(|one| Arc::clone(one.bytes())).collect()
        };
        if !waiting.is_empty() {
            self.publish_transactions(waiting.iter().map(|bytes| bytes.to_vec()).collect()).await;
        }
    }

    async fn publish(&self, parcel: Parcel) {
        let settings = self.lab.settings();
        if settings.apart {
            return;
        }
        // What is still held back goes first.
        if settings.delay == Duration::ZERO && self.pending.load(Ordering::Acquire) == 0 {
            return send(&self.network, parcel).await;
        }
        self.pending.fetch_add(1, Ordering::AcqRel);
        if self.held.try_send((Instant::now() + settings.delay, parcel)).is_err() {
            self.pending.fetch_sub(1, Ordering::AcqRel);
            tracing::debug!("too much is held back: a block or a batch of transactions is not told");
        }
    }
}

async fn send(network: &NetworkHandle, parcel: Parcel) {
    match parcel {
        Parcel::Block(bytes) => network.publish_block(bytes).await,
        Parcel::Transactions(all) => network.publish_transactions(all).await,
    }
}

impl Sender {
    /// Runs until the node stops.
    pub async fn run(mut self) {
        while let Some((due, parcel)) = self.held.recv().await {
            sleep_until(due).await;
            if !self.lab.settings().apart {
                send(&self.network, parcel).await;
            }
            self.pending.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests;
