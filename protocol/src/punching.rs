//! Hole punching (DCUtR), as much of it as may be.
//!
//! # Security
//! libp2p's own counts the streams of a connection in one byte, and panics at the 256th; and it keeps an entry for each hole
//! that it ever tried to punch. A peer behind a relay needs a handful of each. So more streams than that are closed unheard,
//! and connections through relays that come faster than holes are punched by honest company go without.

use core::{
    task::{Context, Poll},
    time::Duration,
};
use std::time::Instant;

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    dcutr,
    swarm::{
        ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
        SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, behaviour::toggle::Toggle,
        handler::ConnectionEvent,
    },
};

use crate::{
    address::is_relayed,
    swarm::bucket::{Bucket, Rate},
};

/// Streams that the other end of a circuit may open to agree on a hole: libp2p tries three times.
const STREAMS: u8 = 16;
/// Circuits for which holes are punched: some hundred bytes each are kept for as long as the node runs.
const CIRCUITS: Rate = Rate::every(128, Duration::from_secs(10));

/// libp2p's hole punching behind these bounds.
pub(crate) struct Punching {
    inner: Toggle<dcutr::Behaviour>,
    /// Makes handlers that punch nothing.
    none: Toggle<dcutr::Behaviour>,
    circuits: Bucket,
    started: Instant,
}

impl Punching {
    pub(crate) fn new(own: PeerId) -> Self {
        Self {
            inner: Some(dcutr::Behaviour::new(own)).into(),
            none: None.into(),
            circuits: Bucket::default(),
            started: Instant::now(),
        }
    }

    /// What punches holes for a connection there, or nothing.
    fn of(&mut self, address: &Multiaddr) -> &mut Toggle<dcutr::Behaviour> {
        let is_fair = !is_relayed(address) || self.circuits.take(1, CIRCUITS, self.started.elapsed());
        if is_fair { &mut self.inner } else { &mut self.none }
    }
}

impl NetworkBehaviour for Punching {
    type ConnectionHandler = Counted<THandler<Toggle<dcutr::Behaviour>>>;
    type ToSwarm = dcutr::Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let made = self.of(local).handle_established_inbound_connection(id, peer, local, remote);
        made.map(Counted::new)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let made = self.of(address).handle_established_outbound_connection(id, peer, address, role, port);
        made.map(Counted::new)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, id: ConnectionId, event: THandlerOutEvent<Self>) {
        self.inner.on_connection_handler_event(peer, id, event);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.inner.poll(cx)
    }
}

/// A handler that takes so many streams of the other end, and no more.
pub(crate) struct Counted<H> {
    inner: H,
    left: u8,
}

impl<H> Counted<H> {
    const fn new(inner: H) -> Self {
        Self { inner, left: STREAMS }
    }
}

impl<H: ConnectionHandler> ConnectionHandler for Counted<H> {
    type FromBehaviour = H::FromBehaviour;
    type ToBehaviour = H::ToBehaviour;
    type InboundProtocol = H::InboundProtocol;
    type OutboundProtocol = H::OutboundProtocol;
    type InboundOpenInfo = H::InboundOpenInfo;
    type OutboundOpenInfo = H::OutboundOpenInfo;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, Self::InboundOpenInfo> {
        self.inner.listen_protocol()
    }

    fn connection_keep_alive(&self) -> bool {
        self.inner.connection_keep_alive()
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>> {
        self.inner.poll(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::ToBehaviour>> {
        self.inner.poll_close(cx)
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        self.inner.on_behaviour_event(event);
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            '_,
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        if matches!(event, ConnectionEvent::FullyNegotiatedInbound(_)) {
            // Dropped, the stream is closed.
            let Some(left) = self.left.checked_sub(1) else { return };
            self.left = left;
        }
        self.inner.on_connection_event(event);
    }
}

#[cfg(test)]
mod tests {
    use core::{convert::Infallible, future::Ready, iter};

    use libp2p::{
        Stream,
        core::{
            UpgradeInfo,
            upgrade::{DeniedUpgrade, InboundUpgrade},
        },
        swarm::handler::FullyNegotiatedInbound,
    };

    use super::*;

    /// A stream of which nothing is left.
    #[derive(Clone, Copy, Debug)]
    struct Nothing;

    impl UpgradeInfo for Nothing {
        type Info = &'static str;
        type InfoIter = iter::Once<&'static str>;

        fn protocol_info(&self) -> Self::InfoIter {
            iter::once("/nothing")
        }
    }

    impl InboundUpgrade<Stream> for Nothing {
        type Output = ();
        type Error = Infallible;
        type Future = Ready<Result<(), Infallible>>;

        fn upgrade_inbound(self, _: Stream, _: Self::Info) -> Self::Future {
            core::future::ready(Ok(()))
        }
    }

    /// Counts the streams that it is given in one byte, as libp2p's does.
    #[derive(Default)]
    struct Frail(u8);

    impl ConnectionHandler for Frail {
        type FromBehaviour = Infallible;
        type ToBehaviour = Infallible;
        type InboundProtocol = Nothing;
        type OutboundProtocol = DeniedUpgrade;
        type InboundOpenInfo = ();
        type OutboundOpenInfo = ();

        fn listen_protocol(&self) -> SubstreamProtocol<Nothing> {
            SubstreamProtocol::new(Nothing, ())
        }

        fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<DeniedUpgrade, (), Infallible>> {
            Poll::Pending
        }

        fn on_behaviour_event(&mut self, event: Infallible) {
            match event {}
        }

        fn on_connection_event(&mut self, _: ConnectionEvent<'_, Nothing, DeniedUpgrade>) {
            self.0 += 1;
        }
    }

    #[test]
    fn streams_beyond_a_handful_are_not_handed_on() {
        let mut counted = Counted::new(Frail::default());
        for _ in 0..1_000 {
            let come = FullyNegotiatedInbound { protocol: (), info: () };
            counted.on_connection_event(ConnectionEvent::FullyNegotiatedInbound(come));
        }
        assert_eq!(counted.inner.0, STREAMS);
    }

    #[test]
    fn circuits_that_come_too_fast_go_without_holes() {
        let address = |text: &str| text.parse::<Multiaddr>().expect("an address");
        let from = address("/ip4/10.0.0.2/tcp/2");
        let relayed = address("/ip4/10.0.0.3/tcp/3/p2p-circuit");
        let mut punching = Punching::new(PeerId::random());
        let mut comes = |number, local| {
            let id = ConnectionId::new_unchecked(number);
            let handler = punching.handle_established_inbound_connection(id, PeerId::random(), local, &from);
            handler.expect("nobody is refused").connection_keep_alive()
        };
        let punched = (0..1_000).filter(|number| comes(*number, &relayed)).count();
        // A slow machine may have earned some more meanwhile.
        assert!((128..140).contains(&punched), "holes for {punched} circuits");
    }
}
