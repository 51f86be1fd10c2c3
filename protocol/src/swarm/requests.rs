//! Questions and answers: ours to peers, theirs to the node.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};

use libp2p::{
    Multiaddr, PeerId,
    request_response::{Event, InboundRequestId, Message, OutboundFailure, OutboundRequestId, ResponseChannel},
};
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use super::{Driver, circuits::Way, links::Link};
use crate::{
    address::{is_loopback, is_relayed},
    discovery::exchange,
    event::{Answer, NetworkEvent, Reply},
    handle::{AnswerFault, RequestError},
    peers::conduct::Fault,
    sync_behaviour::{Heard, Watched, fault_in},
    wire::{
        WireError,
        limits::ANSWER_TARGET_LEN,
        peers::{PeersRequest, PeersResponse},
        sync::{Expectation, RefusedReason, SyncRequest, SyncResponse},
    },
};

/// Our requests under way to one peer: beyond 16 nothing gets faster. When reached, the caller is told at once.
const OUTBOUND_PER_PEER: usize = 16;
/// A peer's requests that the node has not answered; above the former, for answers that are on their way. When reached,
/// the peer is told that we are busy.
const INBOUND_PER_PEER: usize = 32;
/// The same of all peers together: as many as the node lets wait, which it does fairly, and as many answers again, which may
/// be of megabytes and are on their way to the swarm. A question beyond that is declined, whosever it is, so it must not be
/// reached by those that only wait.
const INBOUND: usize = 256;
/// The longest answers on their way to one peer: as many as our own software asks for at once. While there are more bytes
/// than that, the peer is told that we are busy: whoever asks and does not read must not fill this node's memory.
const UNREAD_PER_PEER: usize = 3;
/// How often a peer is asked for its peers while there are too few connections, and while there are hardly any.
const ASK_INTERVAL: Duration = Duration::from_secs(60);
const ASK_INTERVAL_LONELY: Duration = Duration::from_secs(21);
/// How often in the first moments after a peer has come: others come too, or are only just finding out how they are reached.
const ASK_INTERVAL_FIRST: Duration = Duration::from_secs(4);
const FIRST: Duration = Duration::from_secs(10);
/// Fewer peers than these are hardly any.
const FEW: usize = 3;
/// How often a peer is told of others: so many times in an interval; above that it gets an empty answer, so that nobody can
/// map the network by asking again and again.
const TELLS: u32 = 4;
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// What is under way.
pub(super) struct Requests {
    outbound: HashMap<OutboundRequestId, Outbound>,
    outbound_per_peer: BTreeMap<PeerId, usize>,
    inbound_per_peer: BTreeMap<PeerId, usize>,
    /// Answers that were handed to libp2p and that the peer has not taken yet, with their bytes.
    unread: HashMap<InboundRequestId, (PeerId, usize)>,
    /// Answers of the node. Their places are reserved when the requests come in, so the queue is never full for them.
    pub(super) answers: mpsc::Receiver<Answer>,
    places: mpsc::Sender<Answer>,
}

struct Outbound {
    peer: PeerId,
    expectation: Expectation,
    /// What has come of the answer.
    heard: Heard,
    answer: oneshot::Sender<Result<SyncResponse, RequestError>>,
}

impl Requests {
    pub(super) fn new() -> Self {
        let (places, answers) = mpsc::channel(INBOUND);
        Self {
            outbound: HashMap::new(),
            outbound_per_peer: BTreeMap::new(),
            inbound_per_peer: BTreeMap::new(),
            unread: HashMap::new(),
            answers,
            places,
        }
    }
}

impl Requests {
    /// Bytes of the answers that a peer has not taken yet.
    fn unread_by(&self, peer: &PeerId) -> usize {
        self.unread.values().filter(|(by, _)| by == peer).map(|(_, bytes)| bytes).sum()
    }
}

fn is_direct_loopback(address: &Multiaddr) -> bool {
    is_loopback(address) && !is_relayed(address)
}

fn count_down(counts: &mut BTreeMap<PeerId, usize>, peer: &PeerId) {
    if let Some(count) = counts.get_mut(peer) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(peer);
        }
    }
}

impl Driver {
    pub(super) fn request(
        &mut self,
        peer: PeerId,
        question: Watched,
        answer: oneshot::Sender<Result<SyncResponse, RequestError>>,
    ) {
        let connected = self.links.get(&peer).is_some_and(|link| link.confirmed.is_some());
        let under_way = self.requests.outbound_per_peer.get(&peer).copied().unwrap_or_default();
        if !connected || under_way >= OUTBOUND_PER_PEER {
            let error = if connected { RequestError::Busy } else { RequestError::NotConnected };
            // Whoever asked may have given up.
            let _ = answer.send(Err(error));
            return;
        }
        let (expectation, heard) = (question.request.expectation(), question.heard.clone());
        let id = self.swarm.behaviour_mut().sync.send_request(&peer, Ok(question));
        self.requests.outbound.insert(id, Outbound { peer, expectation, heard, answer });
        self.requests.outbound_per_peer.insert(peer, under_way + 1);
    }

    pub(super) fn send_answer(&mut self, answer: Answer) {
        let Answer { peer, id, channel, mut response } = answer;
        count_down(&mut self.requests.inbound_per_peer, &peer);
        let most = UNREAD_PER_PEER * self.max_block_len.max(ANSWER_TARGET_LEN);
        if self.requests.unread_by(&peer) > most {
            debug!(%peer, "a peer does not read its answers, another is declined");
            response = SyncResponse::Refused(RefusedReason::Busy);
        }
        let (now, weight) = (self.now(), response.weight());
        if let Some(link) = self.links.get_mut(&peer) {
            link.quota.charge(weight, now);
        }
        self.charge_relay(peer, Way::Served, u64::try_from(weight).unwrap_or(u64::MAX));
        self.requests.unread.insert(id, (peer, weight));
        if self.swarm.behaviour_mut().sync.send_response(channel, response).is_err() {
            debug!(%peer, "the peer has gone before its answer");
            self.requests.unread.remove(&id);
        }
    }

    pub(super) fn sync_event(&mut self, event: Event<Result<Watched, WireError>, SyncResponse>) {
        if let Event::Message { peer, connection_id, .. } = &event {
            self.hears(*peer, *connection_id);
        }
        match event {
            Event::Message { peer, message: Message::Request { request_id, request, channel }, .. } => {
                self.asked(peer, request_id, request.map(|question| question.request), channel);
            }
            Event::Message { message: Message::Response { request_id, response }, .. } => {
                self.conclude(request_id, Ok(response));
            }
            Event::OutboundFailure { request_id, error, .. } => self.conclude(request_id, Err(&error)),
            Event::InboundFailure { peer, request_id, error, .. } => {
                self.requests.unread.remove(&request_id);
                debug!(%peer, "an answer did not arrive: {error}");
            }
            Event::ResponseSent { request_id, .. } => drop(self.requests.unread.remove(&request_id)),
        }
    }

    /// A peer asks: the node answers if it has room for the question.
    fn asked(
        &mut self,
        peer: PeerId,
        id: InboundRequestId,
        request: Result<SyncRequest, WireError>,
        channel: ResponseChannel<SyncResponse>,
    ) {
        let request = match request {
            Ok(request) => request,
            Err(fault) => {
                self.refuse(channel, RefusedReason::Malformed);
                return self.penalise(peer, Fault::Serious, &format!("request: {fault}"));
            }
        };
        let now = self.now();
        if !self.links.get_mut(&peer).is_some_and(|link| link.quota.allows(&request, now)) {
            debug!(%peer, "a peer asks too much in too short a time");
            return self.refuse(channel, RefusedReason::Busy);
        }
        let relay = self.links.get(&peer).and_then(Link::relay);
        let is_open = |relay: &PeerId| self.circuits.is_open(relay, Way::Served, now);
        if matches!(request, SyncRequest::Blocks { .. }) && !relay.as_ref().is_none_or(is_open) {
            debug!(%peer, "enough has gone through its relay for a while");
            return self.refuse(channel, RefusedReason::Busy);
        }
        let waiting = self.requests.inbound_per_peer.get(&peer).copied().unwrap_or_default();
        if waiting >= INBOUND_PER_PEER {
            return self.refuse(channel, RefusedReason::Busy);
        }
        let Ok(place) = self.requests.places.clone().try_reserve_owned() else {
            return self.refuse(channel, RefusedReason::Busy);
        };
        self.requests.inbound_per_peer.insert(peer, waiting + 1);
        let answer_len = relay.map_or(ANSWER_TARGET_LEN, |relay| self.circuits.answer_len(&relay));
        let reply = Reply::new(peer, id, channel, place, answer_len);
        if let Err(error) = self.events.try_send(NetworkEvent::Request { peer, request, reply }) {
            debug!(%peer, "a question is declined: {error}");
            // Dropping the reply inside answers "busy".
        }
    }

    fn refuse(&mut self, channel: ResponseChannel<SyncResponse>, reason: RefusedReason) {
        // An error means that the peer has gone.
        let _ = self.swarm.behaviour_mut().sync.send_response(channel, SyncResponse::Refused(reason));
    }

    /// An answer to one of our requests, or none.
    fn conclude(&mut self, id: OutboundRequestId, outcome: Result<SyncResponse, &OutboundFailure>) {
        let Some(Outbound { peer, expectation, heard, answer }) = self.requests.outbound.remove(&id) else { return };
        count_down(&mut self.requests.outbound_per_peer, &peer);
        self.charge_relay(peer, Way::Fetched, heard.bytes());
        let result = match outcome {
            Ok(response) if expectation.is_met_by(&response) => Ok(response),
            Ok(_) => Err(RequestError::Malformed(AnswerFault::Unexpected)),
            Err(OutboundFailure::Timeout) => Err(RequestError::Timeout),
            Err(OutboundFailure::Io(error)) => Err(match fault_in(error) {
                Some(fault) => RequestError::Malformed(AnswerFault::Wire(fault)),
                None => RequestError::Closed,
            }),
            // The other software may know a later version of the protocol only.
            Err(OutboundFailure::UnsupportedProtocols) => Err(RequestError::Refused(RefusedReason::Unknown)),
            Err(OutboundFailure::DialFailure | OutboundFailure::ConnectionClosed) => Err(RequestError::Closed),
        };
        if let Err(RequestError::Malformed(fault)) = &result {
            self.penalise(peer, Fault::Serious, &format!("answer: {fault}"));
        }
        // Whoever asked may have given up.
        let _ = answer.send(result);
    }

    /// Counts what has gone through a relay, and tells whether there is room for more.
    fn charge_relay(&mut self, peer: PeerId, way: Way, bytes: u64) {
        let now = self.now();
        let Some(link) = self.links.get_mut(&peer) else { return };
        let Some(relay) = link.relay() else { return };
        link.carried = link.carried.saturating_add(bytes);
        self.circuits.charge(relay, way, bytes, now);
        if let Some(measures) = &self.measures {
            measures.relayed(way, bytes);
        }
        self.publish_peers();
    }

    /// Asks some peer for its peers as long as there are too few connections of this node's own choice: those that came may be
    /// of one mind.
    pub(super) fn ask_for_peers(&mut self, now: Duration) {
        let confirmed = || self.links.iter().filter(|(_, link)| link.confirmed.is_some());
        let count = confirmed().count();
        let first = confirmed().any(|(_, link)| now.saturating_sub(link.since) < FIRST);
        let interval = match (count < FEW, first) {
            (true, true) => ASK_INTERVAL_FIRST,
            (true, false) => ASK_INTERVAL_LONELY,
            (false, _) => ASK_INTERVAL,
        };
        let chosen = confirmed().filter(|(_, link)| !link.is_inbound()).count();
        if count == 0 || chosen >= self.target_outbound || now.saturating_sub(self.asked_at) < interval {
            return;
        }
        // Another one each time: the count of intervals serves as a number that changes.
        let turn = usize::try_from(now.as_secs() / interval.as_secs()).unwrap_or_default();
        let peer = confirmed().nth(turn % count).map(|(peer, _)| *peer);
        self.asked_at = now;
        if let Some(peer) = peer {
            self.ask_peer_for_peers(peer);
        }
    }

    pub(super) fn ask_peer_for_peers(&mut self, peer: PeerId) {
        if !self.exchange {
            return;
        }
        self.swarm.behaviour_mut().peers.send_request(&peer, Ok(PeersRequest));
    }

    pub(super) fn peers_event(&mut self, event: Event<Result<PeersRequest, WireError>, PeersResponse>) {
        match event {
            Event::Message { peer, message: Message::Request { request, channel, .. }, .. } => {
                let response = request.map(|PeersRequest| self.tell(peer));
                let fault = response.as_ref().err().map(ToString::to_string);
                // An error means that the peer has gone.
                let _ = self.swarm.behaviour_mut().peers.send_response(channel, response.unwrap_or_default());
                if let Some(fault) = fault {
                    self.penalise(peer, Fault::Serious, &format!("request for peers: {fault}"));
                }
            }
            Event::Message { peer, message: Message::Response { response, .. }, .. } => self.told(peer, response),
            Event::OutboundFailure { peer, error: OutboundFailure::Io(error), .. } => {
                if let Some(fault) = fault_in(&error) {
                    self.penalise(peer, Fault::Serious, &format!("answer about peers: {fault}"));
                }
            }
            Event::OutboundFailure { .. } | Event::InboundFailure { .. } | Event::ResponseSent { .. } => {}
        }
    }

    fn tell(&mut self, asker: PeerId) -> PeersResponse {
        let now = self.now();
        let same_machine = self.is_on_this_machine(&asker);
        let Some(link) = self.links.get_mut(&asker) else { return PeersResponse::default() };
        let (since, times) =
            link.told.filter(|(since, _)| now.saturating_sub(*since) < TELL_INTERVAL).unwrap_or((now, 0));
        if times >= TELLS {
            return PeersResponse::default();
        }
        link.told = Some((since, times + 1));
        // Two nodes with one identity are told of each other, or they could not notice.
        let twins = link.connections.iter().flat_map(|connection| &connection.claims);
        let twins: Vec<Multiaddr> = if link.two_places { twins.cloned().collect() } else { Vec::new() };
        let twins = Some((asker, twins.iter().filter(|address| same_machine || !is_loopback(address)).collect()));
        exchange::response(self.book.tell(asker, same_machine).into_iter().chain(twins))
    }

    fn told(&mut self, peer: PeerId, response: PeersResponse) {
        let same_machine = self.is_on_this_machine(&peer);
        for mut candidate in exchange::candidates(response) {
            let (open, others) = self.open_and_others(candidate.addresses, same_machine);
            candidate.addresses = open;
            if let Some(known) = candidate.peer.filter(|_| !others.is_empty()) {
                self.book.doubt(known, others, self.now());
                self.book.learnt(known, candidate.origin);
            }
            self.learn(candidate);
        }
    }

    /// Of what a stranger says: where may be dialled for strangers now, and the rest. Loopback addresses of another machine are
    /// neither.
    pub(super) fn open_and_others(
        &self,
        addresses: Vec<Multiaddr>,
        same_machine: bool,
    ) -> (Vec<Multiaddr>, Vec<Multiaddr>) {
        let gate = self.swarm.behaviour();
        let of_use = addresses.into_iter().filter(|address| same_machine || !is_loopback(address));
        of_use.partition(|address| gate.is_open(address))
    }

    /// Whether a peer is connected over the loopback interface, so that its loopback addresses are ours too.
    pub(super) fn is_on_this_machine(&self, peer: &PeerId) -> bool {
        self.links
            .get(peer)
            .is_some_and(|link| link.connections.iter().any(|connection| is_direct_loopback(&connection.address)))
    }
}
