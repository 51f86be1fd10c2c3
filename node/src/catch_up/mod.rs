//! Keeping up with the network: asks every peer how far it is, and follows the one with the most work.
//!
//! [`window`] is the pure part (what to fetch from whom), `session` drives one catching up, and this module decides when one
//! begins. A peer whose session failed is left alone for a while that doubles, and another is followed. On meeting, the
//! pools are exchanged too, so that a late joiner mines what everybody waits for.

mod demands;
mod leader;
mod pools;
mod session;
mod stopped;
mod watchdog;
pub mod window;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bard_chain::{engine::Tip, units::Work};
use bard_protocol::{NetworkHandle, PeerId, RequestError, Status, SyncRequest, SyncResponse};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use demands::Demands;
use pools::Exchange;
pub use session::Progress;
use session::{Session, Unfinished};
use stopped::Stopped;
use watchdog::Watchdog;

use crate::{
    keeper::{self, Closed},
    lab::Link,
    serve::Server,
};

/// How often every peer is asked how far it is, whatever else happens.
const POLL: Duration = Duration::from_secs(15);
/// How often it is looked whether a peer may be followed again, or the tip has changed.
const TICK: Duration = Duration::from_millis(500);
/// How long a peer may take to say how far it is.
const STATUS_DEADLINE: Duration = Duration::from_secs(5);
/// How long a peer is not followed after its first failure; doubles with each.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest that becomes.
const BACKOFF_MAX: Duration = Duration::from_secs(300);

/// What is known of a peer.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// What it last said.
    pub status: Option<Status>,
    failures: u32,
    /// What its headers showed when it was followed last, where that was less than it claimed.
    shown: Option<Work>,
    not_before: Option<Instant>,
    asked: bool,
    /// When it was met.
    met: Option<Instant>,
    /// When it was last asked for its pool.
    pool_asked: Option<Instant>,
    /// It was behind then: what its branch holds comes into the pool once that branch is lost.
    was_behind: bool,
}

impl Standing {
    /// Nothing is known of it but that it is there.
    fn begun_anew(&self) -> Self {
        Self { met: self.met, ..Self::default() }
    }
}

/// What asking every peer came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Peers that were asked.
    pub asked: usize,
    /// Peers that answered.
    pub answered: usize,
    /// Blocks that were accepted because of it.
    pub accepted: u64,
    /// Why peers that have more work could not be followed.
    pub problems: Vec<String>,
}

/// The way to the task.
#[derive(Clone)]
pub struct Handle {
    standings: watch::Receiver<Arc<BTreeMap<PeerId, Standing>>>,
    progress: watch::Receiver<Option<Progress>>,
    demands: mpsc::Sender<oneshot::Sender<Summary>>,
}

impl Handle {
    /// What is known of every peer.
    pub fn standings(&self) -> Arc<BTreeMap<PeerId, Standing>> {
        Arc::clone(&self.standings.borrow())
    }

    /// How far catching up is; `None` while there is nothing to catch up.
    pub fn progress(&self) -> Option<Progress> {
        *self.progress.borrow()
    }

    /// How far catching up is, to wait for its changes.
    pub fn watch_progress(&self) -> watch::Receiver<Option<Progress>> {
        self.progress.clone()
    }

    /// Blocks that the connected peer with the most work is ahead of this tip, as it says; 0 where none has more work.
    pub fn lag(&self, tip: &Tip) -> u64 {
        lag(&self.standings.borrow(), tip)
    }

    /// Asks every peer now, follows whoever is ahead, and tells what came of it.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn sync(&self) -> Result<Summary, Closed> {
        let (reply, answer) = oneshot::channel();
        self.demands.send(reply).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }
}

/// Whom a session followed, how many blocks it brought, whether it came to its end, and what may be gone on with.
type Ended = (PeerId, u64, Result<(), Stopped>, Option<Unfinished>);

/// The task, to be run.
pub struct Task {
    keeper: keeper::Handle,
    network: NetworkHandle,
    link: Link,
    server: Server,
    hints: mpsc::Receiver<PeerId>,
    demands: mpsc::Receiver<oneshot::Sender<Summary>>,
    standings: watch::Sender<Arc<BTreeMap<PeerId, Standing>>>,
    progress: watch::Sender<Option<Progress>>,
    questions: FuturesUnordered<BoxFuture<'static, (PeerId, Result<SyncResponse, RequestError>)>>,
    session: Option<BoxFuture<'static, Ended>>,
    /// Whom it follows, or the one before followed.
    followed: Option<PeerId>,
    /// What the last session left behind.
    unfinished: Option<Unfinished>,
    watchdog: Watchdog,
    /// Pools that are being fetched.
    exchanges: FuturesUnordered<BoxFuture<'static, ()>>,
    waiting: Demands,
    /// When a pool was last compared with this node's, beside those of peers that were just met.
    compared_at: Instant,
    /// The last session failed: those who claim the most are not to be trusted.
    is_misled: bool,
    /// This node was cut off, and has not told what waits in its pool since.
    healed: bool,
}

/// Makes the task. `hints` names peers that seem to know more than this node. At most 8 demands to sync are
/// waited for together and 8 more wait for their turn; whoever makes one more waits with it.
pub fn new(
    keeper: keeper::Handle,
    network: NetworkHandle,
    link: Link,
    server: Server,
    hints: mpsc::Receiver<PeerId>,
) -> (Handle, Task) {
    let (standings, standings_receiver) = watch::channel(Arc::default());
    let (progress, progress_receiver) = watch::channel(None);
    let (demand_sender, demands) = mpsc::channel(8);
    let handle = Handle { standings: standings_receiver, progress: progress_receiver, demands: demand_sender };
    let task = Task {
        keeper,
        network,
        link,
        server,
        hints,
        demands,
        standings,
        progress,
        questions: FuturesUnordered::new(),
        session: None,
        followed: None,
        unfinished: None,
        watchdog: Watchdog::new(Instant::now()),
        exchanges: FuturesUnordered::new(),
        waiting: Demands::new(Instant::now()),
        compared_at: Instant::now(),
        is_misled: false,
        healed: false,
    };
    (handle, task)
}

impl Task {
    /// Runs until the node stops.
    pub async fn run(mut self) {
        let mut peers = self.network.peers();
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut tip = self.keeper.watch_tip();
        let (mut lab, mut cut) = (self.link.watch(), false);
        loop {
            let session = async {
                match &mut self.session {
                    Some(session) => session.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = peers.changed() => match changed {
                    Ok(()) => self.meet(&peers.borrow_and_update().iter().map(|peer| peer.id).collect::<Vec<_>>()),
                    Err(_) => return,
                },
                hint = self.hints.recv() => match hint {
                    Some(peer) => self.ask(peer),
                    None => return,
                },
                demand = self.demands.recv(), if self.waiting.has_room() => match demand {
                    Some(reply) => self.demand(reply),
                    None => return,
                },
                Some((peer, answer)) = self.questions.next(), if !self.questions.is_empty() => {
                    self.answered(peer, answer);
                }
                (leader, accepted, result, unfinished) = session => {
                    (self.session, self.unfinished) = (None, unfinished);
                    self.ended(leader, accepted, result).await;
                }
                // There is room for the next.
                Some(()) = self.exchanges.next(), if !self.exchanges.is_empty() => {}
                _ = poll.tick() => {
                    self.ask_all();
                    self.compare_pools();
                },
                Ok(()) = lab.changed() => if std::mem::replace(&mut cut, lab.borrow_and_update().apart) != cut {
                    self.cut_or_healed();
                },
                // After a new tip, whether the peers have come along is asked once it has had time to reach them.
                _ = tick.tick() => {
                    if tip.has_changed().unwrap_or(false) {
                        tip.borrow_and_update();
                        self.ask_all();
                    }
                    self.watch();
                },
            }
            self.begin();
            if self.session.is_none() {
                self.exchange_pools();
                self.tell_again();
            }
            let is_done = self.session.is_none() && self.questions.is_empty();
            self.waiting.report(is_done, *self.progress.borrow(), Instant::now());
        }
    }

    /// This node was cut off from its peers, or is no longer: what is known of them is of before. Whoever is followed no
    /// longer is, and once it is possible all are asked anew.
    fn cut_or_healed(&mut self) {
        self.session = None;
        self.progress.send_replace(None);
        (self.questions, self.exchanges) = (FuturesUnordered::new(), FuturesUnordered::new());
        self.update(|standings| standings.values_mut().for_each(|standing| *standing = standing.begun_anew()));
        self.healed = !self.link.is_cut();
        self.ask_all();
    }

    /// Once this node has caught up after it was cut off, the pool holds what its lost branch held: others hear of it.
    fn tell_again(&mut self) {
        if self.questions.is_empty() && std::mem::take(&mut self.healed) {
            let (link, keeper) = (self.link.clone(), self.keeper.clone());
            tokio::spawn(async move { link.tell_again(&keeper).await });
        }
    }

    /// Follows the list of connected peers.
    fn meet(&mut self, connected: &[PeerId]) {
        let known = Arc::clone(&self.standings.borrow());
        self.update(|standings| standings.retain(|peer, _| connected.contains(peer)));
        for peer in connected.iter().filter(|peer| !known.contains_key(*peer)) {
            self.update(|standings| {
                standings.insert(*peer, Standing { met: Some(Instant::now()), ..Standing::default() });
            });
            self.ask(*peer);
        }
    }

    /// Begins to fetch the pools that are due, a few at a time.
    fn exchange_pools(&self) {
        let room = pools::AT_ONCE.saturating_sub(self.exchanges.len());
        let due = pools::due(&self.standings.borrow(), self.keeper.tip().work, room);
        for (peer, is_behind) in due {
            self.update(|standings| {
                standings.entry(peer).and_modify(|standing| {
                    standing.pool_asked = Some(Instant::now());
                    standing.was_behind = is_behind;
                });
            });
            let (keeper, network, link) = (self.keeper.clone(), self.network.clone(), self.link.clone());
            self.exchanges.push(Box::pin(Exchange { keeper, network, link, peer }.run()));
        }
    }

    /// Has the peer asked for its pool again whose answer is oldest, once a minute.
    fn compare_pools(&mut self) {
        if self.compared_at.elapsed() < pools::APART {
            return;
        }
        let oldest = pools::oldest(&self.standings.borrow(), Instant::now());
        if let Some(peer) = oldest {
            self.compared_at = Instant::now();
            self.update(|standings| {
                standings.entry(peer).and_modify(|standing| standing.pool_asked = None);
            });
        }
    }

    fn ask_all(&mut self) {
        let all: Vec<_> = self.standings.borrow().keys().copied().collect();
        all.into_iter().for_each(|peer| self.ask(peer));
    }

    fn ask(&mut self, peer: PeerId) {
        let asked = self.standings.borrow().get(&peer).is_none_or(|standing| standing.asked);
        if asked || self.link.is_cut() {
            return;
        }
        self.update(|standings| {
            standings.entry(peer).and_modify(|standing| standing.asked = true);
        });
        let (network, status) = (self.network.clone(), self.server.status());
        self.questions.push(Box::pin(async move {
            (peer, network.request(peer, SyncRequest::Status(status), STATUS_DEADLINE).await)
        }));
    }

    fn answered(&mut self, peer: PeerId, answer: Result<SyncResponse, RequestError>) {
        let status = match answer {
            Ok(SyncResponse::Status(status)) if status.chain == self.keeper.chain() => Some(status),
            Ok(_) => None,
            Err(error) => {
                tracing::debug!(%peer, %error, "a peer did not say how far it is");
                None
            }
        };
        if status.is_some() {
            self.waiting.answered(&peer);
        }
        self.update(|standings| {
            standings.entry(peer).and_modify(|standing| {
                standing.asked = false;
                standing.status = status.or(standing.status.take());
            });
        });
    }

    fn demand(&mut self, reply: oneshot::Sender<Summary>) {
        let connected = self.standings.borrow().keys().copied().collect();
        self.waiting.add(reply, connected, Instant::now());
        // Who failed before gets another chance: a person asks.
        self.update(|standings| standings.values_mut().for_each(|standing| standing.not_before = None));
        self.ask_all();
    }

    /// Begins to follow a peer that has more work than this node, see [`leader::of`].
    fn begin(&mut self) {
        // A disk that is full is looked at by the keeper; at the first tick after there is room again, this goes on.
        if self.session.is_some() || self.keeper.space().shortage.is_some() {
            return;
        }
        let ours = self.keeper.tip().work;
        let trust = leader::Trust::of(&self.network.peers().borrow(), self.is_misled);
        let leader = leader::of(&self.standings.borrow(), &trust, ours, Instant::now());
        let Some((leader, claimed)) = leader else { return };
        tracing::debug!(peer = %leader, "catching up");
        self.followed = Some(leader);
        let session = Session::new(
            self.keeper.clone(),
            self.network.clone(),
            self.link.clone(),
            (leader, claimed),
            self.standings.subscribe(),
            self.progress.clone(),
        );
        let session = session.resume(self.unfinished.take());
        self.session = Some(Box::pin(async move {
            let (accepted, result, unfinished) = session.run().await;
            (leader, accepted, result, unfinished)
        }));
    }

    async fn ended(&mut self, leader: PeerId, accepted: u64, result: Result<(), Stopped>) {
        let behind = self.standings.borrow().get(&leader).and_then(|standing| standing.status.as_ref()).map(|s| s.work)
            > Some(self.keeper.tip().work);
        // A leader that ends well without the work it claimed is as useless as one that fails.
        let failed = match &result {
            Err(Stopped::NoRoom(_)) => false,
            Err(_) => true,
            Ok(()) => behind && accepted == 0,
        };
        self.is_misled = failed;
        self.waiting.ended(accepted, result.as_ref().err().map(|reason| format!("{leader}: {reason}")));
        if let Err(reason) = &result {
            tracing::info!(peer = %leader, accepted, %reason, "catching up was cut short");
        } else if accepted > 0 {
            let height = self.keeper.tip().height.get();
            tracing::info!(peer = %leader, accepted, height, "caught up");
        }
        // Who brought something, and then failed, may have a bad line: that is not held against it for long.
        let lied = matches!(result, Err(Stopped::Invalid { is_lie: true, .. }));
        self.note(leader, failed, (accepted > 0 || self.unfinished.is_some()) && !lied);
        self.update(|standings| {
            standings.entry(leader).and_modify(|standing| {
                standing.shown = match &result {
                    Err(Stopped::LessShown(shown)) => Some(*shown),
                    // What it claims, this node has.
                    Ok(()) if !behind => None,
                    Ok(()) | Err(_) => standing.shown,
                };
            });
        });
        if accepted > 0 {
            // Peers that were waiting behind this node hear of the tip, and find their way to the rest.
            if let Ok(Some(bytes)) = self.keeper.reader().block_bytes(&self.keeper.tip().id) {
                self.link.publish_block(bytes.to_vec()).await;
            }
        }
        self.ask(leader);
    }

    /// Notes whether a peer failed, and for how long it is not followed; with `is_pardoned`, what was before does not count.
    fn note(&self, peer: PeerId, failed: bool, is_pardoned: bool) {
        self.update(|standings| {
            standings.entry(peer).and_modify(|standing| {
                let before = if is_pardoned { 0 } else { standing.failures };
                standing.failures = if failed { before.saturating_add(1) } else { 0 };
                let wait = BACKOFF.saturating_mul(1 << standing.failures.saturating_sub(1).min(16)).min(BACKOFF_MAX);
                standing.not_before = failed.then(|| Instant::now() + wait);
            });
        });
    }

    /// Where this node stays behind and nothing moves, people are told, and catching up begins anew, with others first.
    fn watch(&mut self) {
        let tip = self.keeper.tip().work;
        // Who was seen to have less does not count, and a full disk is told of by the keeper.
        let is_ahead = |standing: &Standing| {
            let claims = standing.status.as_ref().is_some_and(|status| status.work > tip);
            claims && standing.shown.is_none_or(|shown| shown > tip)
        };
        let is_behind = self.keeper.space().shortage.is_none() && self.standings.borrow().values().any(is_ahead);
        if !self.watchdog.look(tip, *self.progress.borrow(), is_behind, Instant::now()) {
            return;
        }
        let (lag, minutes) = (lag(&self.standings.borrow(), &self.keeper.tip()), watchdog::PATIENCE.as_secs() / 60);
        tracing::warn!(
            lag,
            "no block and no header came for {minutes} minutes, and peers claim more: it is begun anew"
        );
        self.session = None;
        self.progress.send_replace(None);
        self.is_misled = true;
        self.update(|standings| standings.values_mut().for_each(|standing| standing.not_before = None));
        if let Some(peer) = self.followed.take() {
            self.note(peer, true, false);
        }
        self.ask_all();
    }

    fn update(&self, change: impl FnOnce(&mut BTreeMap<PeerId, Standing>)) {
        self.standings.send_modify(|standings| change(Arc::make_mut(standings)));
    }
}

fn lag(standings: &BTreeMap<PeerId, Standing>, tip: &Tip) -> u64 {
    let best = standings.values().filter_map(|standing| standing.status.as_ref()).max_by_key(|status| status.work);
    best.filter(|best| best.work > tip.work).map_or(0, |best| best.height.saturating_sub(tip.height).get().max(1))
}
