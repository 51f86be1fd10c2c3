//! One catching up: headers first from the peer that has more work, then bodies from every peer that has them.

mod due;
mod relayed;

use std::{
    collections::{BTreeMap, VecDeque},
    ops::RangeInclusive,
    sync::Arc,
    time::Duration,
};

use bard_chain::{
    block::{self, Header},
    engine::{Outcome, Refused},
    hash::BlockId,
    invalid::{Blame, Invalid},
    rules::in_chain::Position,
    units::Height,
};
use bard_protocol::{
    Fault, NetworkHandle, PeerId, RefusedReason, RequestError, SyncRequest, SyncResponse,
    wire::limits::ANSWER_TARGET_LEN,
};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use self::relayed::Holds;
use super::{
    Standing,
    stopped::Stopped,
    window::{Fetched, Window},
};
use crate::{
    clock,
    keeper::{self, Submitted},
    lab::Link,
};

/// For how long nothing of an answer of headers may come.
const HEADERS_SILENCE: Duration = Duration::from_secs(15);
/// How long the whole answer may take: 384,000 bytes at 68 kbit/s. Whoever leads can hold up a session for so long.
const HEADERS_DEADLINE: Duration = Duration::from_secs(45);
/// How long a leader may take to show headers with more work than this node's chain has.
const PROOF_DEADLINE: Duration = Duration::from_secs(90);
/// For how long nothing of an answer with bodies may come, at first; it doubles when that happens and decays when an answer
/// comes. The whole answer may take as long as the network lets it, for a slow line is nobody's fault.
const BODIES_SILENCE: Duration = Duration::from_secs(4);
/// The longest that becomes.
const BODIES_SILENCE_MAX: Duration = Duration::from_secs(64);
/// Requests for bodies under way to one peer: enough to hide a round trip.
const REQUESTS_PER_PEER: usize = 3;
/// Requests for bodies under way to all peers together.
const MAX_REQUESTS: usize = 64;
/// Blocks asked for at once before their size is known.
const FIRST_REQUEST: usize = 16;
/// How far ahead of the block that is due others are fetched, in blocks.
const REACH: usize = 2_048;
/// Bytes of fetched blocks that may wait for their turn; beyond it nothing more is asked for.
const BUFFER: usize = 32 << 20;
/// The fewest and the most blocks handed to the keeper that are not yet accepted. Fewer than its inbox holds, or asking for more
/// would wait too; small ones are many, so that it can make a group of them durable while the next are checked.
const SUBMITTED: RangeInclusive<usize> = 48..=192;
/// Bytes of these blocks, about.
const SUBMITTED_LEN: usize = 8 << 20;
/// When fewer blocks than this are left to fetch, the next headers are asked for.
const HEADERS_AHEAD: usize = 4_000;
/// Headers kept before their chain has shown more work than ours: at about 250 bytes each, 25 MB.
const MAX_UNPROVEN_HEADERS: usize = 100_000;
/// How often a peer may fall silent before it is asked no more in this session. Requests that were under way together count
/// as one, and every answer takes one back.
const MAX_STALLS: u32 = 3;

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

/// How often a peer fell silent.
#[derive(Clone, Copy, Debug)]
struct Stalls {
    count: u32,
    latest: Instant,
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
    /// Ids whose chain does not yet have more work than ours.
    unproven: Vec<(BlockId, Height)>,
    all_headers: bool,
    under_way: BTreeMap<PeerId, usize>,
    stalls: BTreeMap<PeerId, Stalls>,
    holds: Holds,
    /// Somebody could be asked for bodies, but for what has gone through its relay lately.
    paced: bool,
    /// Headers asked for at last.
    headers_asked: usize,
    silence: Duration,
    /// Average size of the blocks so far, in bytes.
    average: usize,
    /// The block that is due, and since when.
    due: Option<(BlockId, Instant)>,
    /// When it began.
    began: Instant,
    submitted: VecDeque<(BlockId, PeerId, Submitted)>,
    accepted: u64,
}

impl Session {
    pub(super) fn new(
        keeper: keeper::Handle,
        network: NetworkHandle,
        link: Link,
        leader: PeerId,
        peers: watch::Receiver<Arc<BTreeMap<PeerId, Standing>>>,
        progress: watch::Sender<Option<Progress>>,
    ) -> Self {
        Self {
            keeper,
            network,
            link,
            leader,
            peers,
            progress,
            window: Window::default(),
            position: None,
            unproven: Vec::new(),
            all_headers: false,
            under_way: BTreeMap::new(),
            stalls: BTreeMap::new(),
            holds: Holds::default(),
            paced: false,
            headers_asked: 0,
            silence: BODIES_SILENCE,
            average: 0,
            due: None,
            began: Instant::now(),
            submitted: VecDeque::new(),
            accepted: 0,
        }
    }

    /// Follows the leader's chain to its end. Returns how many blocks were accepted.
    pub(super) async fn run(mut self) -> (u64, Result<(), Stopped>) {
        let result = self.follow().await;
        // Blocks that are under way are still accepted; whoever asked for them is told nothing more.
        self.progress.send_replace(None);
        (self.accepted, result)
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
                    Some((id, from, reply)) => (*id, *from, reply.await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                (id, from, reply) = next_reply => {
                    self.submitted.pop_front();
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

    async fn ask_headers(&mut self) -> Result<BoxFuture<'static, Result<SyncResponse, RequestError>>, Stopped> {
        let locator = match &self.position {
            Some(position) => vec![position.id()],
            None => self.keeper.locator().await?,
        };
        // Headers that everybody knows cost their teller nothing: he has so long to tell others.
        let left =
            if self.window.is_empty() { PROOF_DEADLINE.saturating_sub(self.began.elapsed()) } else { Duration::MAX };
        if left.is_zero() {
            return Err(Stopped::Peer(
                "its headers have not shown more work than this node's chain has in time".to_owned(),
            ));
        }
        let deadline = HEADERS_DEADLINE.min(left);
        let (network, link, leader) = (self.network.clone(), self.link.clone(), self.leader);
        self.headers_asked = self.headers_at_once();
        let limit = u32::try_from(self.headers_asked).unwrap_or(u32::MAX);
        let request = SyncRequest::Headers { locator, limit };
        Ok(Box::pin(async move {
            link.slow().await;
            network.request_at_length(leader, request, HEADERS_SILENCE, deadline).await
        }))
    }

    async fn take_headers(&mut self, answer: Result<SyncResponse, RequestError>) -> Result<(), Stopped> {
        let headers = match answer {
            Ok(SyncResponse::Headers(headers)) => headers,
            Ok(_) => return Err(Stopped::Peer("it answered something else than headers".to_owned())),
            Err(error) => return Err(Stopped::Peer(format!("asking for headers: {error}"))),
        };
        self.all_headers = headers.len() < self.headers_asked;
        let Some(first) = headers.first() else { return Ok(()) };
        let position = match self.position.take() {
            // The leader's chain changed under our hands: begin anew, by a new locator.
            Some(position) if position.id() != first.parent => {
                return Err(Stopped::Peer("its chain changed while it was followed".to_owned()));
            }
            Some(position) => position,
            None => self.position_before(&headers).await?.ok_or_else(|| {
                Stopped::Peer("its chain left ours further back than this chain lets a reorganisation reach".to_owned())
            })?,
        };
        let (position, ids, fault) = self.check_headers(position, headers).await?;
        if let Some(reason) = fault {
            self.fault_of_leader(&reason).await?;
        }
        let target = position.height();
        let proven = position.work() > self.keeper.tip().work;
        self.position = Some(position);
        self.unproven.extend(ids);
        if proven || !self.window.is_empty() {
            let fresh = std::mem::take(&mut self.unproven);
            // Blocks that are known already, as after a session that was cut off, need not be fetched again. Some that are
            // stored were forgotten since, and must.
            let held = self.keeper.held(fresh.iter().map(|(id, _)| *id).collect()).await?;
            self.window.extend(fresh.into_iter().zip(held).filter(|(_, held)| !held).map(|(block, _)| block));
        } else if self.unproven.len() > MAX_UNPROVEN_HEADERS {
            return Err(Stopped::Peer("its headers do not show more work than this node's chain has".to_owned()));
        }
        self.progress.send_replace(Some(Progress { target, accepted: self.accepted }));
        Ok(())
    }

    /// Where these headers begin, the first of which follows a known block. This node cannot follow a chain that left its own
    /// below the state it began with.
    async fn position_before(&self, headers: &[Header]) -> Result<Option<Position>, Stopped> {
        let Some(parent) = headers.first().map(|first| first.parent) else { return Ok(None) };
        let (reader, floor, pow) = (self.keeper.reader(), self.keeper.reader().floor(), self.keeper.spec().pow);
        // What cannot be read is not known either.
        let before = reader.header(&parent).ok().flatten().map(|header| header.height);
        if let Some(before) = before.filter(|before| *before < floor) {
            // The leader begins with a block that both have, which is not always the last of them.
            let same =
                headers.iter().take_while(|header| reader.is_active(&header.id(pow)).unwrap_or_default()).count();
            let fork = Height::new(before.get().saturating_add(same as u64));
            if fork < floor && same < headers.len() {
                let reason = Invalid::ForkBelowStart { fork, floor };
                tracing::warn!(peer = %self.leader, %reason, "a chain with more work cannot be followed");
                return Err(Stopped::Peer(reason.to_string()));
            }
        }
        Ok(self.keeper.position(parent).await?)
    }

    /// Why there is nobody left to ask for blocks.
    fn no_bodies(&self) -> Stopped {
        let peers = self.peers.borrow();
        let lowest =
            peers.values().filter_map(|standing| standing.status.as_ref()).map(|status| status.blocks_from).min();
        lowest.filter(|lowest| *lowest > Height::new(1)).map_or(Stopped::NoBodies, Stopped::BodiesOnlyFrom)
    }

    /// Checks headers one after the other, off this thread, up to the first that breaks a rule.
    async fn check_headers(
        &self,
        from: Position,
        headers: Vec<Header>,
    ) -> Result<(Position, Vec<(BlockId, Height)>, Option<Invalid>), Stopped> {
        let spec = Arc::clone(self.keeper.spec());
        let check = move || {
            let now = clock::now();
            let (mut position, mut ids) = (from, Vec::with_capacity(headers.len()));
            for header in &headers {
                match position.step_unchecked_header(&spec, header, now) {
                    Ok(after) => position = after,
                    Err(reason) => return (position, ids, Some(reason)),
                }
                ids.push((position.id(), position.height()));
            }
            (position, ids, None)
        };
        tokio::task::spawn_blocking(check).await.map_err(|_| Stopped::Closed)
    }

    async fn fault_of_leader(&mut self, reason: &Invalid) -> Result<(), Stopped> {
        // What was good before it is followed all the same.
        self.all_headers = true;
        if reason.blame() == Blame::Sender || matches!(reason, Invalid::UnknownParent { .. }) {
            self.network.penalise(self.leader, Fault::Fatal, format!("sent an invalid header: {reason}")).await;
            return Err(Stopped::Peer(format!("it sent an invalid header: {reason}")));
        }
        tracing::warn!(peer = %self.leader, %reason, "headers are followed only so far");
        Ok(())
    }

    /// Requests for bodies to every peer that has room for one. Who kept us waiting before is asked again only when there is
    /// nobody else to wait for: blocks that are due must not be left with it.
    fn ask_bodies(
        &mut self,
        under_way: &FuturesUnordered<BoxFuture<'static, Bodies>>,
    ) -> Vec<BoxFuture<'static, Bodies>> {
        let mut requests = Vec::new();
        self.paced = false;
        for (rank, peers) in self.able_peers().values().enumerate() {
            if rank == 0 || (under_way.is_empty() && requests.is_empty()) {
                self.ask_each(peers, under_way.len(), &mut requests);
            }
        }
        requests
    }

    fn ask_each(&mut self, peers: &[PeerId], under_way: usize, requests: &mut Vec<BoxFuture<'static, Bodies>>) {
        let relayed = self.relayed();
        for _ in 0..REQUESTS_PER_PEER {
            for peer in peers {
                if under_way + requests.len() >= MAX_REQUESTS {
                    return;
                }
                // With the buffer full, only the block that is due is asked for: it alone can make room.
                let reach = if self.window.bytes() >= BUFFER { 1 } else { REACH };
                // Who fell silent is asked for a little at a time, until answers come again.
                let slow = self.stalls.get(peer).is_some_and(|stalls| stalls.count > 0);
                let through = relayed.get(peer);
                if through.is_some_and(|through| !through.open || self.holds.is_held(peer)) {
                    self.paced = true;
                    continue;
                }
                let (most, size) = match through {
                    _ if slow => (1, 1),
                    Some(through) => (1, self.request_size(through.answer_len)),
                    None => (REQUESTS_PER_PEER, self.request_size(ANSWER_TARGET_LEN)),
                };
                if self.under_way.get(peer).is_some_and(|count| *count >= most) {
                    continue;
                }
                let from = self.blocks_from(peer);
                let ids = self.window.assign(*peer, size, reach, from);
                if ids.is_empty() {
                    continue;
                }
                requests.push(self.request(*peer, ids));
            }
        }
    }

    async fn take_bodies(&mut self, Bodies { peer, ids, asked_at, answer }: Bodies) {
        if let Some(count) = self.under_way.get_mut(&peer) {
            *count = count.saturating_sub(1);
        }
        match answer {
            Ok(SyncResponse::Blocks(blocks)) => {
                let limit = self.keeper.spec().max_block_len();
                // Blocks that the peer lacks are left out; who has none of them need not be asked for them again.
                let lacking = blocks.is_empty();
                for bytes in blocks {
                    let id = block::claimed_id(&bytes, limit, self.keeper.spec().pow);
                    self.average = if self.average == 0 { bytes.len() } else { (self.average * 7 + bytes.len()) / 8 };
                    // What a second peer sent meanwhile is asked for, and too late.
                    let is_asked = id.filter(|id| ids.contains(id));
                    if !is_asked.is_some_and(|id| self.window.fetched(id, bytes, peer) || !self.window.contains(&id)) {
                        self.network.penalise(peer, Fault::Serious, "sent a block nobody asked for".to_owned()).await;
                        self.stalls.insert(peer, Stalls { count: MAX_STALLS, latest: Instant::now() });
                    }
                }
                self.window.finished(&ids, peer, lacking);
                self.holds.answered(&peer);
                self.silence = (self.silence * 7 / 8).max(BODIES_SILENCE);
                if let Some(stalls) = self.stalls.get_mut(&peer).filter(|stalls| !lacking && stalls.count < MAX_STALLS)
                {
                    stalls.count = stalls.count.saturating_sub(1);
                }
            }
            Err(RequestError::Refused(RefusedReason::Unknown)) => self.window.finished(&ids, peer, true),
            Err(RequestError::Refused(RefusedReason::Busy))
                if self.relayed().contains_key(&peer) && self.holds.hold(peer) =>
            {
                self.window.finished(&ids, peer, false);
            }
            other => {
                self.window.finished(&ids, peer, false);
                if self.stalled(peer, asked_at) && other == Err(RequestError::Timeout) {
                    self.silence = (self.silence * 2).min(BODIES_SILENCE_MAX);
                }
                let reason = other.map_or_else(|error| error.to_string(), |_| "not what was asked for".to_owned());
                tracing::debug!(%peer, reason, "a request for blocks failed; another peer is tried");
            }
        }
    }

    /// Notes that a peer fell silent, or failed; says whether that is news.
    fn stalled(&mut self, peer: PeerId, asked_at: Instant) -> bool {
        let now = Instant::now();
        let stalls = self.stalls.entry(peer).or_insert(Stalls { count: 0, latest: asked_at });
        // Asked before the last time: the same silence, seen by another request.
        let news = stalls.count == 0 || asked_at > stalls.latest;
        if news {
            *stalls = Stalls { count: stalls.count.saturating_add(1), latest: now };
        }
        news
    }

    async fn submit_ready(&mut self) -> Result<(), Stopped> {
        let most = SUBMITTED_LEN.checked_div(self.average).unwrap_or(0).clamp(*SUBMITTED.start(), *SUBMITTED.end());
        while self.submitted.len() < most {
            let Some(Fetched { id, bytes, from }) = self.window.next_ready() else { return Ok(()) };
            self.submitted.push_back((id, from, self.keeper.submit(bytes).await?));
        }
        Ok(())
    }

    async fn judge(&mut self, id: BlockId, from: PeerId, reply: keeper::BlockReply) -> Result<(), Stopped> {
        let reason = match reply {
            Ok(accepted) => match accepted.outcome {
                Outcome::BranchRefused { at, reason } => (at, reason),
                Outcome::Extended | Outcome::Reorganised | Outcome::SideBranch => {
                    self.accepted += 1;
                    self.keeper.counts().fetched.inc();
                    if let Some(position) = &self.position {
                        let progress = Progress { target: position.height(), accepted: self.accepted };
                        self.progress.send_replace(Some(progress));
                    }
                    return Ok(());
                }
            },
            Err(Refused::AlreadyKnown) => return Ok(()),
            Err(Refused::Invalid(reason)) => (id, reason),
            Err(Refused::NoRoom(why)) => return Err(Stopped::NoRoom(why)),
            Err(Refused::Source(error)) => {
                tracing::error!(%error, "catching up stopped: the store cannot be read");
                return Err(Stopped::Closed);
            }
        };
        let (id, reason) = reason;
        if reason.blame() == Blame::Sender {
            let text = format!("sent an invalid block {id}: {reason}");
            self.network.penalise(from, Fault::Fatal, text.clone()).await;
            // A body that is not the header's is the sender's fault alone; for anything else the leader vouched, too.
            if self.leader != from && reason.is_final() {
                self.network.penalise(self.leader, Fault::Fatal, format!("its chain has an invalid block {id}")).await;
            }
        }
        Err(Stopped::Invalid { id, reason: reason.to_string() })
    }
}
