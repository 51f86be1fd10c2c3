//! Mining: on demand, a number of blocks, or continuously.
//!
//! The search runs on its own threads, in slices of a few milliseconds; when the tip changes, the work is dropped within one
//! slice and begins anew on the new tip.

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bard_chain::{
    address::Address,
    engine::{Outcome, Refused},
    hash::{BlockId, TransactionId},
    invalid::Invalid,
    pow::{self, PowFunction},
    spec::{ChainSpec, Difficulty},
    target::Target,
    template::Template,
    units::{Height, Timestamp},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use crate::{
    clock,
    keeper::{self, Closed},
    relay::Relay,
};

/// Orders that wait for the miner to look at them, and orders for blocks that it works at; whoever gives one more waits.
const ORDERS: usize = 16;
/// Nonces a thread tries before it looks whether the work is still wanted: 2 to 10 ms.
const SLICE: u64 = 1 << 16;
/// After so long a template is made anew, for its time and its transactions.
const REFRESH: Duration = Duration::from_secs(5);
/// A transaction that is in the pool for longer has mostly come to all others, in milliseconds.
const GOSSIPED_WITHIN: Timestamp = Timestamp::new(1_000);
/// How long it waits where no block can be made.
const PAUSE: Duration = Duration::from_secs(1);
/// The most blocks that one order may ask for.
pub const MAX_BLOCKS: u32 = 100_000;

/// A block that this node mined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mined {
    /// Its id.
    pub id: BlockId,
    /// Its height.
    pub height: Height,
}

/// What the miner is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Activity {
    /// Whether it mines continuously.
    pub continuous: bool,
    /// Threads it searches on.
    pub threads: usize,
    /// Hashes a second of the last search, 0.0 while it rests.
    pub hash_rate: f64,
    /// Blocks it found since the start that became part of the chain.
    pub mined: u64,
    /// Where the next block must have a time that is further ahead of this machine's clock than the chain allows: that time.
    pub too_early_for: Option<Timestamp>,
}

enum Order {
    Mine { blocks: u32, reply: oneshot::Sender<Vec<Mined>> },
    Continuous { enabled: bool, threads: Option<usize> },
}

/// The way to the miner.
#[derive(Clone)]
pub struct Handle {
    orders: mpsc::Sender<Order>,
    /// Apart from the others, which may have to wait.
    switches: mpsc::Sender<Order>,
    activity: watch::Receiver<Activity>,
    hashes: Arc<AtomicU64>,
}

impl Handle {
    /// Mines blocks now, at most [`MAX_BLOCKS`], and waits for them. Blocks of others that come between do not count. Who
    /// stops waiting ends the order within seconds; what is mined by then stays.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn mine(&self, blocks: u32) -> Result<Vec<Mined>, Closed> {
        let (reply, answer) = oneshot::channel();
        self.orders.send(Order::Mine { blocks: blocks.min(MAX_BLOCKS), reply }).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }

    /// Begins or ends continuous mining.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn set_continuous(&self, enabled: bool, threads: Option<usize>) -> Result<(), Closed> {
        self.switches.send(Order::Continuous { enabled, threads }).await.map_err(|_| Closed)
    }

    /// What it is doing.
    pub fn activity(&self) -> Activity {
        *self.activity.borrow()
    }

    /// What it is doing, to wait for its changes.
    pub fn watch(&self) -> watch::Receiver<Activity> {
        self.activity.clone()
    }

    /// Hashes tried since the start.
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }
}

/// Blocks that somebody waits for.
struct Job {
    left: u32,
    mined: Vec<Mined>,
    reply: oneshot::Sender<Vec<Mined>>,
}

/// The task, to be run.
pub struct Task {
    keeper: keeper::Handle,
    relay: Relay,
    miner: Address,
    orders: mpsc::Receiver<Order>,
    switches: mpsc::Receiver<Order>,
    activity: watch::Sender<Activity>,
    jobs: VecDeque<Job>,
    /// Continuous mining on a chain of fixed difficulty rests until then.
    rest_until: Option<Instant>,
    hashes: Arc<AtomicU64>,
}

/// Threads that leave one core to the rest of the node.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1))
}

/// Makes a miner that mines for `miner`, continuously from the start if `continuous`.
pub fn new(keeper: keeper::Handle, relay: Relay, miner: Address, continuous: bool, threads: usize) -> (Handle, Task) {
    let (order_sender, orders) = mpsc::channel(ORDERS);
    let (switch_sender, switches) = mpsc::channel(1);
    let (activity, activity_receiver) =
        watch::channel(Activity { continuous, threads: threads.max(1), ..Activity::default() });
    let hashes = Arc::new(AtomicU64::new(0));
    let task = Task {
        keeper,
        relay,
        miner,
        orders,
        switches,
        activity,
        jobs: VecDeque::new(),
        rest_until: None,
        hashes: Arc::clone(&hashes),
    };
    (Handle { orders: order_sender, switches: switch_sender, activity: activity_receiver, hashes }, task)
}

/// Why a search ended.
enum Ended {
    Found(u64),
    Stale,
    Stopping,
}

impl Task {
    /// Runs until the node stops.
    pub async fn run(mut self) {
        while self.step().await.is_ok() {}
    }

    async fn step(&mut self) -> Result<(), Closed> {
        self.forget_abandoned();
        if self.jobs.is_empty() && !self.activity.borrow().continuous {
            let order = self.order().await?;
            self.take(order);
            return Ok(());
        }
        if self.jobs.is_empty()
            && let Some(until) = self.rest_until
        {
            tokio::select! {
                order = self.order() => self.take(order?),
                () = tokio::time::sleep_until(until) => self.rest_until = None,
            }
            return Ok(());
        }
        let template = match self.keeper.template(self.miner).await? {
            Ok(template) => template,
            Err(Refused::NoRoom(_)) => return self.wait_for_room().await,
            Err(Refused::Invalid(Invalid::TimeTooNew { timestamp, .. })) => return self.wait_for_time(timestamp).await,
            Err(error) => {
                tracing::error!(%error, "no block can be made now");
                tokio::time::sleep(PAUSE).await;
                return Ok(());
            }
        };
        if self.activity.borrow().too_early_for.is_some() {
            self.activity.send_modify(|activity| activity.too_early_for = None);
        }
        match self.search(&template).await {
            Ended::Found(nonce) => self.found(&template, nonce).await,
            Ended::Stale => Ok(()),
            Ended::Stopping => Err(Closed),
        }
    }

    /// Ends the orders, for whoever waits for them learns why, and goes on mining continuously once there is room and the index of the
    /// store was checked.
    async fn wait_for_room(&mut self) -> Result<(), Closed> {
        self.jobs.drain(..).for_each(|Job { mined, reply, .. }| drop(reply.send(mined)));
        self.activity.send_modify(|activity| activity.hash_rate = 0.0);
        let mut space = self.keeper.watch_space();
        tokio::select! {
            order = self.order() => self.take(order?),
            room = space.wait_for(|space| space.why_not_mined().is_none()) => drop(room.map_err(|_| Closed)?),
        }
        Ok(())
    }

    /// Ends the orders, for whoever waits for them learns why, and tries again in a second: until then no block would be taken,
    /// whatever work went into it.
    async fn wait_for_time(&mut self, time: Timestamp) -> Result<(), Closed> {
        if self.activity.borrow().too_early_for.is_none() {
            tracing::warn!(
                earliest = clock::rfc3339(time),
                "nothing is mined: the next block would be too far ahead of this machine's clock; check it"
            );
        }
        self.activity.send_modify(|activity| {
            activity.hash_rate = 0.0;
            activity.too_early_for = Some(time);
        });
        self.jobs.drain(..).for_each(|Job { mined, reply, .. }| drop(reply.send(mined)));
        tokio::select! {
            order = self.order() => self.take(order?),
            () = tokio::time::sleep(PAUSE) => {}
        }
        Ok(())
    }

    /// The next order. One for blocks waits where there are as many as the miner works at.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    async fn order(&mut self) -> Result<Order, Closed> {
        let has_room = self.jobs.len() < ORDERS;
        let order = tokio::select! {
            switch = self.switches.recv() => switch,
            order = self.orders.recv(), if has_room => order,
        };
        order.ok_or(Closed)
    }

    /// An order ends with whoever gave it.
    fn forget_abandoned(&mut self) {
        let before = self.jobs.len();
        self.jobs.retain(|job| !job.reply.is_closed());
        if self.jobs.len() < before && self.idle() {
            self.activity.send_modify(|activity| activity.hash_rate = 0.0);
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Mine { blocks: 0, reply } => {
                let _ = reply.send(Vec::new());
            }
            Order::Mine { blocks, reply } => self.jobs.push_back(Job { left: blocks, mined: Vec::new(), reply }),
            Order::Continuous { enabled, threads } => {
                self.rest_until = None;
                self.activity.send_modify(|activity| {
                    activity.continuous = enabled;
                    activity.threads = threads.unwrap_or(activity.threads).max(1);
                    activity.hash_rate = if enabled { activity.hash_rate } else { 0.0 };
                });
            }
        }
    }

    /// Searches until the nonce is found, the tip changes, the template is old, or an order comes.
    async fn search(&mut self, template: &Template) -> Ended {
        let mut tip = self.keeper.watch_tip();
        if tip.borrow_and_update().id != template.header().parent {
            return Ended::Stale;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let began = Instant::now();
        let before = self.hashes.load(Ordering::Relaxed);
        let threads = self.activity.borrow().threads;
        let mut search =
            start_search(self.keeper.spec().pow, template, threads, (Arc::clone(&stop), Arc::clone(&self.hashes)));
        let refresh = tokio::time::sleep(REFRESH);
        tokio::pin!(refresh);
        let ended = loop {
            let is_at_work = !self.jobs.is_empty();
            tokio::select! {
                biased;
                found = &mut search => return self.searched(found.ok().flatten(), began, before),
                changed = tip.changed() => break if changed.is_ok() { Ended::Stale } else { Ended::Stopping },
                order = self.order() => match order {
                    // One more behind others changes nothing yet: its turn begins with a template of its own.
                    Ok(order @ Order::Mine { .. }) if is_at_work => self.take(order),
                    Ok(order) => {
                        self.take(order);
                        break Ended::Stale;
                    }
                    Err(Closed) => break Ended::Stopping,
                },
                () = &mut refresh => break Ended::Stale,
            }
        };
        stop.store(true, Ordering::Relaxed);
        // The threads notice within a slice; a nonce found in that slice is as good as any if the work is still wanted.
        let found = search.await.ok().flatten();
        let found = found.filter(|_| self.keeper.tip().id == template.header().parent && !self.idle());
        let result = self.searched(found, began, before);
        if matches!(result, Ended::Found(_)) { result } else { ended }
    }

    fn idle(&self) -> bool {
        self.jobs.is_empty() && !self.activity.borrow().continuous
    }

    fn searched(&self, found: Option<u64>, began: Instant, before: u64) -> Ended {
        let hashes = self.hashes.load(Ordering::Relaxed).wrapping_sub(before);
        let seconds = began.elapsed().as_secs_f64();
        if seconds > 0.0 {
            #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = hashes as f64 / seconds;
            self.activity
                .send_modify(|activity| activity.hash_rate = if self.idle_with(activity) { 0.0 } else { rate });
        }
        found.map_or(Ended::Stale, Ended::Found)
    }

    fn idle_with(&self, activity: &Activity) -> bool {
        self.jobs.is_empty() && !activity.continuous
    }

    async fn found(&mut self, template: &Template, nonce: u64) -> Result<(), Closed> {
        let bytes = template.sealed(nonce);
        // Before the block takes them out of the pool.
        let fresh = self.fresh();
        let accepted = match self.keeper.accept(bytes.as_slice()).await? {
            Ok(accepted) => accepted,
            Err(reason) => {
                // Another block came first, or the clock went back: the next template is made from what is true now.
                tracing::debug!(%reason, "a mined block was not accepted");
                return Ok(());
            }
        };
        if accepted.outcome == Outcome::SideBranch {
            // Another block came first by the blink of an eye: this one is kept, but it is no part of the chain, and what was not
            // applied is served to nobody.
            return Ok(());
        }
        self.relay.announce_own_block(bytes, &fresh).await;
        let height = template.header().height;
        tracing::info!(height = height.get(), id = %accepted.id, transactions = template.transactions().len(), "mined");
        self.activity.send_modify(|activity| activity.mined += 1);
        self.credit(Mined { id: accepted.id, height });
        Ok(())
    }

    /// What came into the pool a moment ago: gossip has hardly brought it to others yet.
    fn fresh(&self) -> HashSet<TransactionId> {
        let since = clock::now().saturating_sub(GOSSIPED_WITHIN);
        let pool = self.keeper.pool();
        pool.contents().filter(|(came, _)| *came > since).map(|(_, transaction)| transaction.id()).collect()
    }

    fn credit(&mut self, mined: Mined) {
        let Some(job) = self.jobs.front_mut() else {
            self.rest();
            return;
        };
        job.mined.push(mined);
        job.left = job.left.saturating_sub(1);
        if job.left == 0
            && let Some(job) = self.jobs.pop_front()
        {
            // Whoever asked may be gone by now; the blocks are mined all the same.
            let _ = job.reply.send(job.mined);
            if self.idle() {
                self.activity.send_modify(|activity| activity.hash_rate = 0.0);
            }
        }
    }

    /// On a chain of fixed difficulty nothing but restraint keeps blocks apart: a continuous miner waits for about the
    /// target interval, a little more or less, so that two of them seldom meet.
    fn rest(&mut self) {
        let spec = self.keeper.spec();
        if spec.difficulty == Difficulty::Fixed {
            self.rest_until = Some(Instant::now() + restraint(spec));
        }
    }
}

/// About the target interval, from half of it to one and a half.
pub(crate) fn restraint(spec: &ChainSpec) -> Duration {
    let half = spec.target_interval_ms / 2;
    let jitter = clock::now().get().wrapping_mul(0x9e37_79b9_7f4a_7c15).checked_rem(half * 2 + 1).unwrap_or(0);
    Duration::from_millis(half + jitter)
}

/// Starts threads that try disjoint ranges of nonces until one is found or `stop` is set.
pub(crate) fn start_search(
    function: PowFunction,
    template: &Template,
    threads: usize,
    (stop, hashes): (Arc<AtomicBool>, Arc<AtomicU64>),
) -> tokio::task::JoinHandle<Option<u64>> {
    let digest = *template.digest().as_bytes();
    let target = template.header().target.expand().unwrap_or(Target::HARDEST).to_be_bytes();
    let found = Arc::new(std::sync::OnceLock::new());
    tokio::task::spawn_blocking(move || {
        std::thread::scope(|scope| {
            for thread in 0..threads as u64 {
                let (stop, hashes, found) = (&stop, &hashes, &found);
                scope.spawn(move || {
                    let mut next = thread * SLICE;
                    while !stop.load(Ordering::Relaxed) {
                        if let Some(nonce) = pow::search(function, &digest, next, SLICE, &target) {
                            hashes.fetch_add(nonce.wrapping_sub(next) + 1, Ordering::Relaxed);
                            let _ = found.set(nonce);
                            stop.store(true, Ordering::Relaxed);
                            return;
                        }
                        hashes.fetch_add(SLICE, Ordering::Relaxed);
                        next = next.wrapping_add(SLICE * threads as u64);
                    }
                });
            }
        });
        found.get().copied()
    })
}

#[cfg(test)]
mod tests;
