//! A libp2p behaviour without manners: opens any protocol as a raw stream, and takes in raw streams of those it offers.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    io,
    sync::Arc,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol,
    core::{
        Endpoint,
        transport::PortUse,
        upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo},
    },
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        NotifyHandler, StreamUpgradeError, SubstreamProtocol, THandlerInEvent, ToSwarm,
        handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound},
    },
};
use tokio::sync::{mpsc, oneshot};

/// Where a stream that was asked for is delivered.
pub(super) type Delivery = oneshot::Sender<io::Result<Stream>>;

/// A wish for a stream of a protocol.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) protocol: StreamProtocol,
    pub(super) delivery: Delivery,
}

/// A stream that the other side opened.
pub(super) type Arrived = (StreamProtocol, Stream);

/// Any of some protocols, without anything that would follow the agreement on one.
#[derive(Clone, Debug)]
pub(super) struct AnyOf(Arc<[StreamProtocol]>);

impl UpgradeInfo for AnyOf {
    type Info = StreamProtocol;
    type InfoIter = Vec<StreamProtocol>;

    fn protocol_info(&self) -> Vec<StreamProtocol> {
        self.0.to_vec()
    }
}

impl InboundUpgrade<Stream> for AnyOf {
    type Output = Arrived;
    type Error = Infallible;
    type Future = Ready<Result<Arrived, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((protocol, stream)))
    }
}

impl OutboundUpgrade<Stream> for AnyOf {
    type Output = Arrived;
    type Error = Infallible;
    type Future = Ready<Result<Arrived, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((protocol, stream)))
    }
}

/// The behaviour.
pub(super) struct Streams {
    offered: Arc<[StreamProtocol]>,
    arrivals: mpsc::Sender<Arrived>,
    wishes: VecDeque<(PeerId, Open)>,
}

impl Streams {
    /// Offers some protocols; streams of them that arrive go into `arrivals`, or are dropped where it is full.
    pub(super) fn new(offered: Vec<StreamProtocol>, arrivals: mpsc::Sender<Arrived>) -> Self {
        Self { offered: offered.into(), arrivals, wishes: VecDeque::new() }
    }

    /// Opens a stream to a connected peer.
    pub(super) fn open(&mut self, peer: PeerId, wish: Open) {
        self.wishes.push_back((peer, wish));
    }

    fn handler(&self) -> Handler {
        Handler { offered: AnyOf(Arc::clone(&self.offered)), arrivals: self.arrivals.clone(), wishes: VecDeque::new() }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: Infallible) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        match self.wishes.pop_front() {
            Some((peer_id, event)) => {
                Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::Any, event })
            }
            None => Poll::Pending,
        }
    }
}

/// The part of the behaviour that belongs to one connection.
pub(super) struct Handler {
    offered: AnyOf,
    arrivals: mpsc::Sender<Arrived>,
    wishes: VecDeque<Open>,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Open;
    type ToBehaviour = Infallible;
    type InboundProtocol = AnyOf;
    type OutboundProtocol = AnyOf;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Delivery;

    fn listen_protocol(&self) -> SubstreamProtocol<AnyOf> {
        SubstreamProtocol::new(self.offered.clone(), ())
    }

    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<AnyOf, Delivery, Infallible>> {
        match self.wishes.pop_front() {
            Some(Open { protocol, delivery }) => {
                let protocol = SubstreamProtocol::new(AnyOf([protocol].into()), delivery);
                Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
            }
            None => Poll::Pending,
        }
    }

    fn on_behaviour_event(&mut self, wish: Open) {
        self.wishes.push_back(wish);
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, AnyOf, AnyOf, (), Delivery>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                // A full queue: whoever floods this peer is not served.
                let _ = self.arrivals.try_send(protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, info }) => {
                // Whoever asked may have given up.
                let _ = info.send(Ok(protocol.1));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                let _ = info.send(Err(not_opened(error)));
            }
            _ => {}
        }
    }
}

fn not_opened(error: StreamUpgradeError<Infallible>) -> io::Error {
    match error {
        StreamUpgradeError::Timeout => io::ErrorKind::TimedOut.into(),
        StreamUpgradeError::NegotiationFailed => io::ErrorKind::Unsupported.into(),
        StreamUpgradeError::Apply(never) => match never {},
        StreamUpgradeError::Io(error) => error,
    }
}
