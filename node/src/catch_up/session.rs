//! One catching up: headers first from the peer that has more work, then bodies from every peer that has them.

mod bodies;
mod due;
mod headers;
mod proof;
mod relayed;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bard_chain::{
    hash::BlockId,
    rules::in_chain::Position,
    units::{Height, Work},
};
use bard_protocol::{NetworkHandle, PeerId, RequestError, SyncResponse};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

pub(super) use self::headers::Unfinished;
use self::{bodies::Stalls, proof::Proof, relayed::Holds};
use super::{Standing, stopped::Stopped, window::Window};
use crate::{
    keeper::{self, Submitted},
    lab::Link,
};

/// For how long nothing of an answer with bodies may come, at first; it doubles when that happens and decays when an answer
/// comes. The whole answer may take as long as the network lets it, for a slow line is nobody's fault.
const BODIES_SILENCE: Duration = Duration::from_secs(4);
/// When fewer blocks than this are left to fetch, the next headers are asked for.
const HEADERS_AHEAD: usize = 4_000;

/// How far a session is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Height of the last known header.
    pub target: Height,
    /// Blocks accepted in this session.
    pub accepted: u64,
}

/// Bodies of some blocks, from whom, and when they were asked for.
struct Bodies {
    peer: PeerId,
    ids: Vec<BlockId>,
    asked_at: Instant,
    answer: Result<SyncResponse, RequestError>,
}

/// A block that the keeper has not judged yet.
struct Waiting {
    id: BlockId,
    from: PeerId,
    /// In bytes.
    length: usize,
    reply: Submitted,
}

/// One catching up with one peer's chain.
pub(super) struct Session {
    keeper: keeper::Handle,
    network: NetworkHandle,
    link: Link,
    /// Whose headers are followed.
    leader: PeerId,
    peers: watch::Receiver<Arc<BTreeMap<PeerId, Standing>>>,
    progress: watch::Sender<Option<Progress>>,
    window: Window,
    /// Where the headers end that were checked.
    position: Option<Position>,
    /// The work that is claimed for these headers.
    claimed: Work,
    /// The height at which their chain is said to have it.
    claimed_height: Height,
    /// What they must show, and have.
    proof: Proof,
    /// Some came in this session.
    went_on: bool,
    /// They have shown more work than this node's chain had.
    is_ahead: bool,
    all_headers: bool,
    under_way: BTreeMap<PeerId, usize>,
    stalls: BTreeMap<PeerId, Stalls>,
    holds: Holds,
    /// Somebody could be asked for bodies, but for what has gone through its relay lately.
    paced: bool,
    /// Headers asked for at last.
    headers_asked: usize,
    /// When that was, how long all of them took so far, and how many came.
    headers_since: Instant,
    headers_took: Duration,
    headers_taken: u32,
    silence: Duration,
    /// Average size of the blocks so far, in bytes.
    average: usize,
    /// The block that is due, and since when.
    due: Option<(BlockId, Instant)>,
    /// When it began.
    began: Instant,
    submitted: VecDeque<Waiting>,
    /// Their bytes.
    submitted_len: usize,
    accepted: u64,
}

impl Session {
    /// With a peer whose headers have to show the work `claimed` before any block of theirs is taken.
    pub(super) fn new(
        keeper: keeper::Handle,
        network: NetworkHandle,
        link: Link,
        (leader, claimed): (PeerId, Work),
        peers: watch::Receiver<Arc<BTreeMap<PeerId, Standing>>>,
        progress: watch::Sender<Option<Progress>>,
    ) -> Self {
        let status = |standing: &Standing| standing.status.as_ref().map(|status| status.height);
        // Nothing said is nothing claimed.
        let claimed_height = peers.borrow().get(&leader).and_then(status).unwrap_or(Height::new(u64::MAX));
        Self {
            keeper,
            network,
            link,
            leader,
            peers,
            progress,
            window: Window::default(),
            position: None,
            claimed,
            claimed_height,
            proof: Proof::new(claimed),
            went_on: false,
            is_ahead: false,
            all_headers: false,
            under_way: BTreeMap::new(),
            stalls: BTreeMap::new(),
            holds: Holds::default(),
            paced: false,
            headers_asked: 0,
            headers_since: Instant::now(),
            headers_took: Duration::ZERO,
            headers_taken: 0,
            silence: BODIES_SILENCE,
            average: 0,
            due: None,
            began: Instant::now(),
            submitted: VecDeque::new(),
            submitted_len: 0,
            accepted: 0,
        }
    }

    /// Follows the leader's chain to its end. Returns how many blocks were accepted, how it ended, and what may be gone on with.
    pub(super) async fn run(mut self) -> (u64, Result<(), Stopped>, Option<Unfinished>) {
        let result = self.follow().await;
        // Blocks that are under way are still accepted; whoever asked for them is told nothing more.
        self.progress.send_replace(None);
        (self.accepted, result.clone(), self.unfinished(&result))
    }

    async fn follow(&mut self) -> Result<(), Stopped> {
        let mut bodies: FuturesUnordered<BoxFuture<'static, Bodies>> = FuturesUnordered::new();
        let mut headers: Option<BoxFuture<'static, Result<SyncResponse, RequestError>>> = None;
        loop {
            if headers.is_none() && !self.all_headers && self.window.len() < self.headers_at_once().min(HEADERS_AHEAD) {
                headers = Some(self.ask_headers().await?);
            }
            self.ask_bodies(&bodies).into_iter().for_each(|request| bodies.push(request));
            self.ask_again().into_iter().for_each(|request| bodies.push(request));
            self.submit_ready().await?;
            if headers.is_none() && self.window.is_empty() && self.submitted.is_empty() {
                return Ok(());
            }
            if headers.is_none() && bodies.is_empty() && self.submitted.is_empty() && !self.paced {
                return Err(self.no_bodies());
            }
            let second_chance = self.second_chance().filter(|at| *at > Instant::now());
            let next_headers = async {
                match &mut headers {
                    Some(request) => request.await,
                    None => std::future::pending().await,
                }
            };
            let next_reply = async {
                match self.submitted.front_mut() {
                    Some(block) => (block.id, block.from, block.length, (&mut block.reply).await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                (id, from, length, reply) = next_reply => {
                    self.submitted.pop_front();
                    self.submitted_len -= length;
                    self.judge(id, from, reply.map_err(|_| Stopped::Closed)?).await?;
                }
                Some(answer) = bodies.next() => self.take_bodies(answer).await,
                answer = next_headers => {
                    headers = None;
                    self.take_headers(answer).await?;
                }
                () = sleep_until(second_chance.unwrap_or_else(Instant::now)), if second_chance.is_some() => {}
                () = sleep(relayed::PACE), if self.paced => {}
            }
        }
    }

    /// Why there is nobody left to ask for blocks.
    fn no_bodies(&self) -> Stopped {
        let peers = self.peers.borrow();
        let lowest =
            peers.values().filter_map(|standing| standing.status.as_ref()).map(|status| status.blocks_from).min();
        lowest.filter(|lowest| *lowest > Height::new(1)).map_or(Stopped::NoBodies, Stopped::BodiesOnlyFrom)
    }
}
