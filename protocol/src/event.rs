//! What the network tells the node.

use core::time::Duration;
use std::sync::Arc;

use libp2p::{
    Multiaddr, PeerId,
    gossipsub::MessageId,
    request_response::{InboundRequestId, ResponseChannel},
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{
    discovery::Origin,
    swarm::circuits::Relayed,
    wire::{
        compact::Compact,
        status::Agent,
        sync::{RefusedReason, SyncRequest, SyncResponse},
    },
};

/// Something that the node must decide about.
///
/// The queue of events is bounded. When it is full, gossip is dropped (it may come again from another peer, and blocks can
/// always be asked for) and requests are answered [`RefusedReason::Busy`].
#[derive(Debug)]
pub enum NetworkEvent {
    /// A gossiped block, not larger than a block may be, otherwise unexamined. It is not forwarded before
    /// [`NetworkHandle::report`](crate::NetworkHandle::report) says so.
    Block {
        /// Who sent it, not necessarily who made it.
        source: PeerId,
        /// To be given back with the verdict.
        id: GossipId,
        /// Canonical bytes, if it is a block at all.
        bytes: Vec<u8>,
    },
    /// A gossiped compact block, unexamined but for its form. It may be forwarded before its bytes are there.
    CompactBlock {
        /// Who sent it.
        source: PeerId,
        /// To be given back with the verdict.
        id: GossipId,
        /// The block.
        compact: Box<Compact>,
    },
    /// A gossiped batch of transactions, split but otherwise unexamined. As with a block, a verdict decides on forwarding.
    Transactions {
        /// Who sent it.
        source: PeerId,
        /// To be given back with the verdict.
        id: GossipId,
        /// The canonical bytes of each, if they are transactions at all; at least one.
        batch: Vec<Vec<u8>>,
    },
    /// A question of a peer.
    Request {
        /// Who asks.
        peer: PeerId,
        /// What.
        request: SyncRequest,
        /// The way back.
        reply: Reply,
    },
}

/// A gossiped message that awaits its verdict.
///
/// Its bytes count against the memory set aside for unexamined gossip until the last clone of this is gone.
#[derive(Clone, Debug)]
pub struct GossipId {
    pub(crate) message: MessageId,
    pub(crate) source: PeerId,
    pub(crate) space: Arc<OwnedSemaphorePermit>,
}

impl GossipId {
    /// How much memory is set aside for it, in KiB.
    pub fn kib(&self) -> u32 {
        u32::try_from(self.space.num_permits()).unwrap_or(u32::MAX)
    }
}

/// The one answer to a request. Dropped unused, it answers [`RefusedReason::Busy`].
#[derive(Debug)]
pub struct Reply {
    peer: PeerId,
    id: InboundRequestId,
    /// The channel back and the place reserved for the answer in the driver's queue; `None` once it is used.
    way: Option<(ResponseChannel<SyncResponse>, mpsc::OwnedPermit<Answer>)>,
    answer_len: usize,
}

/// An answer on its way to the driver.
pub(crate) struct Answer {
    pub(crate) peer: PeerId,
    pub(crate) id: InboundRequestId,
    pub(crate) channel: ResponseChannel<SyncResponse>,
    pub(crate) response: SyncResponse,
}

impl Reply {
    pub(crate) fn new(
        peer: PeerId,
        id: InboundRequestId,
        channel: ResponseChannel<SyncResponse>,
        place: mpsc::OwnedPermit<Answer>,
        answer_len: usize,
    ) -> Self {
        Self { peer, id, way: Some((channel, place)), answer_len }
    }

    /// Bytes that the answer should have at most: [`ANSWER_TARGET_LEN`](crate::wire::limits::ANSWER_TARGET_LEN), and less
    /// where it goes through a relay.
    pub fn answer_len(&self) -> usize {
        self.answer_len
    }

    /// Sends the answer. It is never lost on the way: its place was reserved when the request came in.
    pub fn send(mut self, response: SyncResponse) {
        self.answer(response);
    }

    fn answer(&mut self, response: SyncResponse) {
        if let Some((channel, place)) = self.way.take() {
            place.send(Answer { peer: self.peer, id: self.id, channel, response });
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.answer(SyncResponse::Refused(RefusedReason::Busy));
    }
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The peer.
    Inbound,
    /// This node.
    Outbound,
}

/// A peer that was connected and is no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Who.
    pub peer: PeerId,
    /// The other end of the last connection to it.
    pub address: Multiaddr,
    /// When the last connection to it ended.
    pub at: tokio::time::Instant,
    /// Why, in one line: what this node had against it, or what the connection ended with.
    pub reason: String,
}

/// A connected peer that is known to be of our chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its id.
    pub id: PeerId,
    /// The other ends of the connections to it, the oldest first: one, or two when both dialled at once.
    pub addresses: Vec<Multiaddr>,
    /// How this node learnt of it, the most trusted way first; never empty.
    pub origins: Vec<Origin>,
    /// Who opened the oldest connection.
    pub direction: Direction,
    /// `tcp`, `quic` or `relay`: the transport of the oldest connection.
    pub transport: &'static str,
    /// What may be asked of it, where it is reached through a relay alone.
    pub relayed: Option<Relayed>,
    /// Its software.
    pub agent: Agent,
    /// When the oldest connection was made, counted from the start of the network.
    pub since: Duration,
    /// The latest round trip; none before the first ping.
    pub rtt: Option<Duration>,
    /// Its recent faults, the oldest first, as they were reported.
    pub faults: Vec<String>,
}
