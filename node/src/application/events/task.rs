//! The one who hears of everything and writes it down.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bard_protocol::{NetworkHandle, PeerId, PeerInfo};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use super::{
    Change, Journal, SyncState,
    journal::{self, Writer},
};
use crate::{
    catch_up, keeper,
    keeper::ChainEvent,
    lab::{self, Lab},
    miner,
};

/// How often the progress of catching up is told.
const SYNC_PERIOD: Duration = Duration::from_secs(1);

/// Who knows of what happens.
pub struct Sources {
    /// The chain and the pool.
    pub keeper: keeper::Handle,
    /// The peers.
    pub network: NetworkHandle,
    /// The miner.
    pub miner: miner::Handle,
    /// Catching up.
    pub catch_up: catch_up::Handle,
    /// The laboratory.
    pub lab: Lab,
}

/// The task, to be run.
pub struct Task {
    keeper: keeper::Handle,
    chain: broadcast::Receiver<ChainEvent>,
    peers: watch::Receiver<Arc<Vec<PeerInfo>>>,
    miner: watch::Receiver<miner::Activity>,
    sync: watch::Receiver<Option<catch_up::Progress>>,
    lab: watch::Receiver<lab::Settings>,
    writer: Writer,
    known: BTreeSet<PeerId>,
    activity: miner::Activity,
    settings: lab::Settings,
    progress: Option<catch_up::Progress>,
    told: Instant,
    /// Blocks that catching up had brought when it last ended.
    fetched: u64,
}

/// A journal, and the task that fills it. `run` is a number greater than that of every run before.
pub fn new(run: u64, sources: &Sources) -> (Journal, Task) {
    let (journal, writer) = journal::new(run);
    let task = Task {
        keeper: sources.keeper.clone(),
        chain: sources.keeper.events(),
        peers: sources.network.peers(),
        miner: sources.miner.watch(),
        sync: sources.catch_up.watch_progress(),
        lab: sources.lab.watch(),
        writer,
        known: BTreeSet::new(),
        activity: sources.miner.activity(),
        settings: sources.lab.settings(),
        progress: None,
        told: Instant::now(),
        fetched: 0,
    };
    (journal, task)
}

impl Task {
    /// Runs until the node stops. Then those who follow hear that it does.
    pub async fn run(mut self) {
        loop {
            tokio::select! {
                // The chain first: what a block led to is told after it.
                biased;
                event = self.chain.recv() => match event {
                    Ok(event) => self.chain_event(event),
                    Err(broadcast::error::RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, "more happened at once than can be told; whoever follows begins anew");
                        self.writer.gap();
                    }
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                changed = self.peers.changed() => match changed {
                    Ok(()) => self.peers_changed(),
                    Err(_) => return,
                },
                changed = self.miner.changed() => match changed {
                    Ok(()) => self.miner_changed(),
                    Err(_) => return,
                },
                changed = self.sync.changed() => match changed {
                    Ok(()) => self.sync_changed(),
                    Err(_) => return,
                },
                changed = self.lab.changed() => match changed {
                    Ok(()) => self.lab_changed(),
                    Err(_) => return,
                },
            }
        }
    }

    fn chain_event(&self, event: ChainEvent) {
        let change = match event {
            ChainEvent::Block { block } => Change::block(&block),
            ChainEvent::Reorg { disconnected, connected, fork, old_tip } => {
                self.keeper.counts().left(u32::try_from(disconnected).unwrap_or(u32::MAX));
                Change::Reorg { disconnected, connected, fork, old_tip }
            }
            ChainEvent::BranchRefused { at, reason } => Change::BranchRefused { at, reason: reason.to_string() },
            ChainEvent::Transactions { transactions } => {
                self.writer.push_all(transactions.iter().map(|one| Change::transaction(one)));
                return;
            }
        };
        self.writer.push(change);
    }

    fn peers_changed(&mut self) {
        let peers = Arc::clone(&self.peers.borrow_and_update());
        let now: BTreeSet<_> = peers.iter().map(|peer| peer.id).collect();
        for peer in peers.iter().filter(|peer| !self.known.contains(&peer.id)) {
            // Faults come later; a journal needs none.
            let info = PeerInfo { faults: Vec::new(), ..peer.clone() };
            self.writer.push(Change::Connected(Box::new(info)));
        }
        for lost in self.known.difference(&now) {
            self.writer.push(Change::Lost(*lost));
        }
        self.known = now;
    }

    /// The hash rate changes all the time and is told with the rest.
    fn miner_changed(&mut self) {
        let now = *self.miner.borrow_and_update();
        let of = |activity: &miner::Activity| (activity.continuous, activity.threads, activity.mined);
        if of(&now) != of(&self.activity) {
            self.writer.push(Change::Mining(now));
        }
        self.activity = now;
    }

    fn sync_changed(&mut self) {
        let now = *self.sync.borrow_and_update();
        match (self.progress, now) {
            (None, Some(progress)) => self.tell(SyncState::Started, progress),
            (Some(_), Some(progress)) if self.told.elapsed() >= SYNC_PERIOD => self.tell(SyncState::Progress, progress),
            (Some(_), Some(_)) => {}
            (Some(last), None) => self.tell(SyncState::Finished, last),
            // It began and ended before this task came round.
            (None, None) => {
                let target = self.keeper.tip().height;
                let accepted = self.keeper.counts().fetched.get().saturating_sub(self.fetched);
                self.tell(SyncState::Started, catch_up::Progress { target, accepted: 0 });
                self.tell(SyncState::Finished, catch_up::Progress { target, accepted });
            }
        }
        self.progress = now;
        if now.is_none() {
            self.fetched = self.keeper.counts().fetched.get();
        }
    }

    /// A switch that was put where it stood already is no news.
    fn lab_changed(&mut self) {
        let now = *self.lab.borrow_and_update();
        if now != self.settings {
            self.writer.push(Change::Lab(now));
        }
        self.settings = now;
    }

    fn tell(&mut self, state: SyncState, progress: catch_up::Progress) {
        self.told = Instant::now();
        self.writer.push(Change::Sync { state, progress, height: self.keeper.tip().height });
    }
}
