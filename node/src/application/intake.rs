//! Signed transactions on their way in. Those that come at about the same time are checked together and go into the pool
//! together: a batch of signatures costs half of what each costs alone, and the keeper is asked once for all.
//!
//! Whoever asked may go away at any moment. What was taken is told to the other nodes all the same.

use std::sync::Arc;

use bard_chain::mempool::PoolRefusal;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Failure, reply::Answered};
use crate::{
    keeper::{self, Closed},
    pool::Journal,
    relay::Relay,
};

/// Requests that wait; whoever brings one more waits before the door.
const QUEUE: usize = 256;
/// With so many transactions nothing more is added to what is checked together: two full requests, for two threads.
const TOGETHER: usize = 2_000;
/// So many are checked or admitted at a time: while one waits for the pool, the next is being checked.
const TURNS: usize = 2;
/// So many are being written to the disk at a time, which takes as long for one as for all: while they wait, more are checked.
/// With so many waiting, nothing more is taken.
const KEPT_TOGETHER: usize = 32;

/// Transactions of one request, and who waits for what comes of them.
struct Offer {
    all: Vec<Vec<u8>>,
    reply: oneshot::Sender<Result<Vec<Answered>, Failure>>,
}

/// The way in. Cheap to clone.
#[derive(Clone)]
pub struct Intake(mpsc::Sender<Offer>);

/// The task behind it, to be run.
pub struct Task {
    keeper: keeper::Handle,
    journal: Journal,
    relay: Relay,
    offers: mpsc::Receiver<Offer>,
}

/// Makes a way in. What is taken is kept in `journal` before anybody is told so.
pub fn new(keeper: keeper::Handle, journal: Journal, relay: Relay) -> (Intake, Task) {
    let (sender, offers) = mpsc::channel(QUEUE);
    (Intake(sender), Task { keeper, journal, relay, offers })
}

impl Intake {
    /// Takes transactions' canonical bytes, each for itself: one answer each.
    ///
    /// # Errors
    /// Where the node is stopping.
    pub async fn submit(&self, all: Vec<Vec<u8>>) -> Result<Vec<Answered>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Offer { all, reply }).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)?
    }
}

impl Task {
    /// Runs until the node stops.
    pub async fn run(mut self) {
        let (turns, kept) = (Arc::new(Semaphore::new(TURNS)), Arc::new(Semaphore::new(KEPT_TOGETHER)));
        while let (Ok(turn), Ok(keeping)) =
            (Arc::clone(&turns).acquire_owned().await, Arc::clone(&kept).acquire_owned().await)
        {
            let Some(first) = self.offers.recv().await else { return };
            let mut count = first.all.len();
            let mut offers = vec![first];
            while count < TOGETHER
                && let Ok(next) = self.offers.try_recv()
            {
                count = count.saturating_add(next.all.len());
                offers.push(next);
            }
            let (keeper, journal, relay) = (self.keeper.clone(), self.journal.clone(), self.relay.clone());
            tokio::spawn(async move {
                let (waiting, answered) = take(&keeper, offers).await;
                drop(turn);
                answer(&journal, &relay, waiting, answered).await;
                drop(keeping);
            });
        }
    }
}

/// How many transactions somebody offered, and the way to tell what comes of them.
type Waiting = (usize, oneshot::Sender<Result<Vec<Answered>, Failure>>);

/// Takes what is offered into the pool. What comes of it is to be told when it is kept.
async fn take(keeper: &keeper::Handle, offers: Vec<Offer>) -> (Vec<Waiting>, Result<Verdicts, Failure>) {
    let mut all = Vec::new();
    let mut waiting = Vec::with_capacity(offers.len());
    for Offer { all: mut some, reply } in offers {
        waiting.push((some.len(), reply));
        all.append(&mut some);
    }
    (waiting, answer_all(keeper, all).await)
}

/// Keeps what is in the pool, then answers everybody, then tells the other nodes of what is new.
async fn answer(journal: &Journal, relay: &Relay, waiting: Vec<Waiting>, answered: Result<Verdicts, Failure>) {
    let Verdicts { mut answers, here, pooled, admitted } = match answered {
        Ok(verdicts) => verdicts,
        Err(failure) => {
            waiting.into_iter().for_each(|(_, reply)| drop(reply.send(Err(failure.clone()))));
            return;
        }
    };
    if let Err(error) = journal.keep(&pooled).await {
        let not_kept = Failure::from(error);
        let promised = answers.iter_mut().zip(here).filter(|(_, here)| *here);
        promised.for_each(|(one, _)| one.outcome = Err(not_kept.clone()));
    }
    let mut answers = answers.into_iter();
    for (count, reply) in waiting {
        // Whoever asked may be gone.
        let _ = reply.send(Ok(answers.by_ref().take(count).collect()));
    }
    relay.announce_transactions(admitted).await;
}

type Checked = Arc<bard_chain::rules::isolated::CheckedTransaction>;

/// What came of some transactions.
#[derive(Default)]
struct Verdicts {
    /// Of each.
    answers: Vec<Answered>,
    /// Of each, whether it is in the pool, as its answer says: admitted now or before.
    here: Vec<bool>,
    /// Those that are. One that was there before came from another node, say, or could not be written when it came: that it is in
    /// the pool is told to nobody before it is on the disk.
    pooled: Vec<Checked>,
    /// Those that were admitted now.
    admitted: Vec<Checked>,
}

async fn answer_all(keeper: &keeper::Handle, all: Vec<Vec<u8>>) -> Result<Verdicts, Failure> {
    let checked = keeper.check_transactions(all).await?;
    let good: Vec<_> = checked.iter().flatten().cloned().collect();
    let mut verdicts = keeper.admit(good).await?.into_iter();
    let mut told = Verdicts::default();
    for result in checked {
        let (id, verdict) = match result {
            // The keeper answers each; were one left out, that one would have had no answer.
            Ok(transaction) => {
                let verdict = verdicts.next().unwrap_or(Err(PoolRefusal::Full { least: None }));
                let id = transaction.id();
                if verdict.is_ok() {
                    told.admitted.push(Arc::clone(&transaction));
                }
                if matches!(verdict, Ok(_) | Err(PoolRefusal::AlreadyKnown)) {
                    told.pooled.push(transaction);
                }
                (Some(id), verdict)
            }
            Err(fault) => (None, Err(PoolRefusal::from(fault))),
        };
        told.here.push(matches!(verdict, Ok(_) | Err(PoolRefusal::AlreadyKnown)));
        told.answers.push(Answered { id, outcome: verdict.map_err(Failure::from) });
    }
    Ok(told)
}
