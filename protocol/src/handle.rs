//! The way to the network for all other tasks.

use core::time::Duration;
use std::sync::Arc;

use libp2p::{Multiaddr, PeerId};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

use crate::{
    discovery::{Candidate, KnownNode, Origin},
    event::{Departure, GossipId, PeerInfo},
    notice::Notice,
    peers::conduct::{Ban, Fault},
    reachability::Reachability,
    sync_behaviour::{Heard, TIMEOUT, Watched},
    wire::{
        WireError, compact,
        sync::{RefusedReason, SyncRequest, SyncResponse},
    },
};

/// Bytes a second of an answer below which it counts as not coming: what a modem of 1995 carries.
const PACE: u64 = 2 << 10;

/// How long [`NetworkHandle::connect`] tries.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the node thinks of a gossiped message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good: it is forwarded.
    Accept,
    /// Provably bad, whoever sent it should have known: it is not forwarded and not taken again. Whether the sender is
    /// penalised is said apart, by [`NetworkHandle::penalise`].
    Reject,
    /// Neither forwarded nor held against anybody.
    Ignore,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The peer is not connected, or not yet known to be of our chain.
    #[error("the peer is not connected")]
    NotConnected,
    /// No answer within the deadline.
    #[error("the peer did not answer in time")]
    Timeout,
    /// Too many requests to this peer are under way; none was sent.
    #[error("too many requests to this peer are under way")]
    Busy,
    /// The peer declined.
    #[error(transparent)]
    Refused(RefusedReason),
    /// The peer answered nonsense; this has been counted as its fault.
    #[error("malformed answer: {0}")]
    Malformed(AnswerFault),
    /// The connection ended before the answer came, or the network was stopped.
    #[error("the connection was closed")]
    Closed,
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// Its bytes.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Its kind, or the number of its elements.
    #[error("not what was asked for")]
    Unexpected,
}

/// Why [`NetworkHandle::connect`] failed, in one line for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nothing answered there, or not in our language.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// The address as asked for.
        address: Multiaddr,
        /// The reason in a few words.
        reason: String,
    },
    /// The peer closed the connection, or this node keeps none to it.
    #[error("{address} refused the connection: {reason}")]
    Refused {
        /// The address as asked for.
        address: Multiaddr,
        /// The reason in a few words.
        reason: String,
    },
    /// A node, but of another chain.
    #[error("the node at {address} is on another chain: {chain}")]
    OtherChain {
        /// The address as asked for.
        address: Multiaddr,
        /// Which chain, or which software.
        chain: String,
    },
    /// The address leads back to this node, or to one that runs with a copy of its identity.
    #[error("{address} is this node itself, or a copy of its identity")]
    OwnAddress {
        /// The address as asked for.
        address: Multiaddr,
    },
    /// Not an address that can be dialled.
    #[error("{address} is not an address to connect to")]
    Unusable {
        /// The address as asked for.
        address: Multiaddr,
    },
    /// Nothing was decided within [`CONNECT_TIMEOUT`].
    #[error("no answer from {address} within {seconds} s", seconds = CONNECT_TIMEOUT.as_secs())]
    Timeout {
        /// The address as asked for.
        address: Multiaddr,
    },
    /// The network was stopped.
    #[error("the network is stopped")]
    Closed,
}

/// Waits until next to nothing of an answer came for so long.
async fn fallen_silent(heard: &Heard, silence: Duration) {
    let least = PACE.saturating_mul(silence.as_secs());
    let mut before = 0;
    loop {
        tokio::time::sleep(silence).await;
        let now = heard.bytes();
        if now.saturating_sub(before) < least.max(1) {
            return;
        }
        before = now;
    }
}

/// Who is banned, as of some moment.
#[derive(Clone, Debug, Default)]
pub struct Bans {
    /// Grows with every change.
    pub version: u64,
    /// When [`Ban::remaining`] was true.
    pub at: Option<Instant>,
    /// The bans, by peer.
    pub all: Arc<Vec<Ban>>,
}

impl Bans {
    /// The bans with what remains of them now.
    pub fn now(&self) -> Vec<Ban> {
        let passed = self.at.map_or(Duration::ZERO, |at| at.elapsed());
        let aged = |ban: &Ban| Ban { remaining: ban.remaining.saturating_sub(passed), ..ban.clone() };
        self.all.iter().map(aged).collect()
    }
}

/// What the driver is asked to do.
pub(crate) enum Command {
    PublishBlock(Vec<u8>),
    PublishTransactions(Vec<Vec<u8>>),
    Report(GossipId, Verdict),
    Request(PeerId, Watched, oneshot::Sender<Result<SyncResponse, RequestError>>),
    Connect(Multiaddr, Origin, oneshot::Sender<Result<PeerId, ConnectError>>),
    AddCandidates(Vec<Candidate>),
    Penalise(PeerId, Fault, String),
    Disconnect(PeerId),
    Woke,
    Ban(Ban, oneshot::Sender<Bans>),
    LiftBans(Option<PeerId>, oneshot::Sender<(usize, Bans)>),
    KnownNodes(oneshot::Sender<Vec<KnownNode>>),
    Answer(oneshot::Sender<()>),
    Stop(oneshot::Sender<()>),
}

/// The way to the network. Cheap to clone.
///
/// Every method waits for a place in the driver's queue of commands, never longer than the driver takes to come round. Once
/// the network is stopped, commands without an answer are dropped.
#[derive(Clone, Debug)]
pub struct NetworkHandle {
    pub(crate) own: PeerId,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) peers: watch::Receiver<Arc<Vec<PeerInfo>>>,
    pub(crate) listening: watch::Receiver<Vec<Multiaddr>>,
    pub(crate) reachability: watch::Receiver<Reachability>,
    pub(crate) notices: watch::Receiver<Arc<Vec<Notice>>>,
    pub(crate) bans: watch::Receiver<Bans>,
    pub(crate) departures: watch::Receiver<Arc<Vec<Departure>>>,
}

impl NetworkHandle {
    /// This node's own id.
    pub fn peer_id(&self) -> PeerId {
        self.own
    }

    /// Where this node listens now, each address with `/p2p/<peer id>` at the end. It changes with the network interfaces.
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.listening.borrow().clone()
    }

    /// The connected peers of our chain, the longest connected first. A change is seen by [`watch::Receiver::changed`];
    /// none can be missed, though several may be seen as one.
    pub fn peers(&self) -> watch::Receiver<Arc<Vec<PeerInfo>>> {
        self.peers.clone()
    }

    /// Whether and how others can reach this node, as far as is known. It changes with what peers see and try.
    pub fn reachability(&self) -> watch::Receiver<Reachability> {
        self.reachability.clone()
    }

    /// What was noticed since the start that keeps nodes apart, the latest last.
    pub fn notices(&self) -> watch::Receiver<Arc<Vec<Notice>>> {
        self.notices.clone()
    }

    /// Nodes that are worth remembering for another run: those that this one has been connected to. Empty once the network
    /// is stopped.
    pub async fn known_nodes(&self) -> Vec<KnownNode> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::KnownNodes(sender)).await;
        receiver.await.unwrap_or_default()
    }

    /// Gossips a block, given as its canonical bytes. If nobody listens yet, it is kept, with a few others, and published
    /// when the first peer subscribes.
    pub async fn publish_block(&self, bytes: Vec<u8>) {
        // Here and not in the driver: of a large block it takes some milliseconds.
        self.send(Command::PublishBlock(compact::announce(bytes))).await;
    }

    /// Gossips transactions, given as their canonical bytes, in as few batches as fit. Kept as blocks are if nobody listens.
    pub async fn publish_transactions(&self, transactions: Vec<Vec<u8>>) {
        self.send(Command::PublishTransactions(transactions)).await;
    }

    /// Gives the verdict on a gossiped message: once for each, within some seconds, or it is forgotten unforwarded.
    pub async fn report(&self, id: GossipId, verdict: Verdict) {
        self.send(Command::Report(id, verdict)).await;
    }

    /// Asks a peer and waits for its answer, at most for `deadline`.
    ///
    /// # Errors
    /// [`RequestError`]. A peer that answers nonsense is penalised here; all else is for the caller to judge.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the answer, not the request: it counts as under way until the peer has answered or
    /// libp2p's own limit has passed.
    pub async fn request(
        &self,
        peer: PeerId,
        request: SyncRequest,
        deadline: Duration,
    ) -> Result<SyncResponse, RequestError> {
        let exchange = self.exchange(peer, request.into());
        tokio::time::timeout(deadline, exchange).await.unwrap_or(Err(RequestError::Timeout))
    }

    /// [`Self::request`] whose answer may be long: as long as it comes, be it slowly, it is waited for. It is given up when
    /// next to nothing of it came for `silence`, and in any case after `deadline` and after three minutes.
    ///
    /// # Errors
    /// As there.
    pub async fn request_at_length(
        &self,
        peer: PeerId,
        request: SyncRequest,
        silence: Duration,
        deadline: Duration,
    ) -> Result<SyncResponse, RequestError> {
        let question = Watched::from(request);
        let heard = question.heard.clone();
        tokio::select! {
            answer = self.exchange(peer, question) => answer,
            () = fallen_silent(&heard, silence) => Err(RequestError::Timeout),
            () = tokio::time::sleep(deadline.min(TIMEOUT)) => Err(RequestError::Timeout),
        }
    }

    async fn exchange(&self, peer: PeerId, question: Watched) -> Result<SyncResponse, RequestError> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Request(peer, question, sender)).await;
        match receiver.await.unwrap_or(Err(RequestError::Closed)) {
            Ok(SyncResponse::Refused(reason)) => Err(RequestError::Refused(reason)),
            answer => answer,
        }
    }

    /// Connects to an address, with or without `/p2p/<peer id>`, and waits until the peer has turned out to be of our
    /// chain. Then the address is kept: should the connection end, it is dialled again, for ever.
    ///
    /// # Errors
    /// [`ConnectError`], one line for a person.
    pub async fn connect(&self, address: Multiaddr, origin: Origin) -> Result<PeerId, ConnectError> {
        let (sender, receiver) = oneshot::channel();
        let attempt = async {
            self.send(Command::Connect(address.clone(), origin, sender)).await;
            receiver.await.unwrap_or(Err(ConnectError::Closed))
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
            Ok(result) => result,
            Err(_) => Err(ConnectError::Timeout { address }),
        }
    }

    /// Tells of nodes that may be worth dialling.
    pub async fn add_candidates(&self, candidates: Vec<Candidate>) {
        self.send(Command::AddCandidates(candidates)).await;
    }

    /// Notes a fault of a peer; enough of them, or a fatal one, ban it for an hour.
    pub async fn penalise(&self, peer: PeerId, fault: Fault, reason: String) {
        self.send(Command::Penalise(peer, fault, reason)).await;
    }

    /// Closes all connections to a peer. It may be dialled again.
    pub async fn disconnect(&self, peer: PeerId) {
        self.send(Command::Disconnect(peer)).await;
    }

    /// The last peers that were connected and are no longer, and why; the latest last, at most 32.
    pub fn departures(&self) -> watch::Receiver<Arc<Vec<Departure>>> {
        self.departures.clone()
    }

    /// Who is banned. It changes with every ban, and with every end of one.
    pub fn bans(&self) -> watch::Receiver<Bans> {
        self.bans.clone()
    }

    /// Bans a peer, or changes its ban, and closes its connections; returns who is banned then. `None` once the network is
    /// stopped.
    pub async fn ban(&self, ban: Ban) -> Option<Bans> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Ban(ban, sender)).await;
        receiver.await.ok()
    }

    /// Ends the ban of a peer, or all of them; returns how many that were, and who is banned then. `None` once the network
    /// is stopped.
    pub async fn lift_bans(&self, peer: Option<PeerId>) -> Option<(usize, Bans)> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::LiftBans(peer, sender)).await;
        receiver.await.ok()
    }

    /// Says that this machine has slept: every connection has to show soon that it lives, and whoever waits to be dialled is
    /// dialled.
    pub async fn woke(&self) {
        self.send(Command::Woke).await;
    }

    /// Waits for its turn like any command and tells whether the driver still answers.
    pub async fn answers(&self) -> bool {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Answer(sender)).await;
        receiver.await.is_ok()
    }

    /// Closes all connections and ends the driver; returns when that is done.
    pub async fn stop(&self) {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Stop(sender)).await;
        // An error means that the driver ended without an answer: it is stopped all the same.
        let _ = receiver.await;
    }

    async fn send(&self, command: Command) {
        // An error means that the driver has ended; what a caller waits for then ends with it, as closed.
        let _ = self.commands.send(command).await;
    }
}
