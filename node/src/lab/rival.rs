//! A second miner in the node, on a branch of its own.
//!
//! It begins at the tip, and goes on with its own last block, whatever the chain does, until the chain is clearly ahead; then
//! it begins anew. Its blocks go to the keeper as blocks do that came from elsewhere: so forks and reorganisations are real.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bard_chain::{address::Address, branch::Branch, spec::Difficulty, template::Template};
use tokio::sync::watch;

use super::{Lab, Link, Settings};
use crate::{
    clock,
    keeper::{self, Closed},
    miner,
};

/// The rival gives its branch up when the chain is so many blocks ahead of it.
const GIVEN_UP: u64 = 3;
/// How long it waits after something went wrong.
const PAUSE: Duration = Duration::from_secs(1);

/// The task, to be run.
pub struct Rival {
    keeper: keeper::Handle,
    link: Link,
    /// It searches on as many threads as the node's own miner: neither is the stronger one.
    miner: miner::Handle,
    settings: watch::Receiver<Settings>,
}

/// Threads that are told to stop when nobody waits for them any more.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Rival {
    /// One that mines while the laboratory has it switched on.
    pub fn new(lab: &Lab, keeper: keeper::Handle, link: Link, miner: miner::Handle) -> Self {
        Self { keeper, link, miner, settings: lab.watch() }
    }

    /// Runs until the node stops.
    pub async fn run(self) {
        let mut settings = self.settings.clone();
        loop {
            let wanted = settings.borrow_and_update().rival;
            let other = async { settings.wait_for(|now| now.rival != wanted).await.is_ok() };
            let goes_on = match wanted {
                None => other.await,
                Some(miner) => tokio::select! {
                    Closed = self.mine(miner) => false,
                    goes_on = other => goes_on,
                },
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Mines branch after branch, until the node stops.
    async fn mine(&self, miner: Address) -> Closed {
        loop {
            match self.branch(miner).await {
                Ok(()) => {}
                Err(closed) => return closed,
            }
        }
    }

    /// Mines one branch until it is given up.
    async fn branch(&self, miner: Address) -> Result<(), Closed> {
        let mut branch = match self.keeper.branch(miner).await? {
            Ok(branch) => branch,
            Err(reason) => return self.trouble(&reason).await,
        };
        tracing::info!(height = branch.height().get(), "a rival begins a branch");
        loop {
            let now = clock::now();
            let template = match branch.template(self.keeper.spec(), now) {
                Ok(template) => template,
                Err(reason) => return self.trouble(&reason).await,
            };
            let Some(nonce) = self.unless_behind(&branch, self.search(&template)).await.flatten() else {
                return Ok(());
            };
            let bytes = template.sealed(nonce);
            if let Err(reason) = self.keeper.accept(bytes.as_slice()).await? {
                return self.trouble(&reason).await;
            }
            self.link.publish_block(bytes).await;
            if let Err(reason) = branch.go_on(self.keeper.spec(), &template, nonce, now) {
                return self.trouble(&reason).await;
            }
            tracing::info!(height = branch.height().get(), id = %branch.id(), "the rival mined");
            if self.unless_behind(&branch, self.rest()).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn trouble(&self, reason: &(dyn std::fmt::Display + Sync)) -> Result<(), Closed> {
        tracing::debug!(%reason, "the rival begins anew");
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    /// Does something, unless the chain is clearly ahead of the branch or comes to be meanwhile: then `None`.
    async fn unless_behind<T>(&self, branch: &Branch, work: impl Future<Output = T>) -> Option<T> {
        let mut tip = self.keeper.watch_tip();
        let limit = branch.height().get().saturating_add(GIVEN_UP);
        tokio::select! {
            biased;
            // An error says that the node is stopping.
            _ = tip.wait_for(|tip| tip.height.get() >= limit) => None,
            done = work => Some(done),
        }
    }

    /// Searches for the nonce of a block, on as many threads as the miner. Dropped, the search ends within milliseconds.
    async fn search(&self, template: &Template) -> Option<u64> {
        let stop = Stop(Arc::new(AtomicBool::new(false)));
        let threads = self.miner.activity().threads;
        let counted = (Arc::clone(&stop.0), Arc::new(AtomicU64::new(0)));
        miner::start_search(self.keeper.spec().pow, template, threads, counted).await.ok().flatten()
    }

    /// On a chain of fixed difficulty nothing but restraint keeps blocks apart, as in [`miner`].
    async fn rest(&self) {
        if self.keeper.spec().difficulty == Difficulty::Fixed {
            tokio::time::sleep(miner::restraint(self.keeper.spec())).await;
        }
    }
}
