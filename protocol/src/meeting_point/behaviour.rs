//! What a meeting point does, as a composition of libp2p behaviours, the gates first.

use core::time::Duration;
use std::io;

use libp2p::{
    PeerId, Swarm, SwarmBuilder, core::upgrade::Version, identify, noise, ping, relay, swarm::NetworkBehaviour, tcp,
};

use super::MeetingPointConfig;
use crate::{
    closing::Multiplexed,
    config::NetworkError,
    discovery::kademlia::{self, Kademlia},
    gate::Gate,
    limits::{Limits, Most},
    ranges::Ranges,
    relaying, rendezvous,
    topics::{MEETING_POINT, Names},
    transport::NEVER,
};

/// Connections to one peer: both ends may have dialled.
pub(super) const MAX_PER_PEER: u32 = 2;
/// Connections that are still shaking hands.
const MAX_PENDING_INBOUND: u32 = 64;
const MAX_PENDING_OUTBOUND: u32 = 16;
/// Connections that Kademlia itself may have made at once; the gate lets fewer pass. A dial above that fails, which a query
/// takes as a node that does not answer.
const MAX_OUTBOUND: u32 = 32;
/// A transport that has not connected by then has failed.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a round trip is measured, and how long the answer may take.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Nodes that may be reached through the relay at once: as many as may be connected at all.
const MAX_RESERVATIONS: usize = 512;

/// All behaviours of a meeting point, behind the gate of dials: strangers say where those of Kademlia lead, and the driver
/// makes none. Other gates come first, so that what they refuse never reaches the others.
pub(super) type Gated = Gate<Behaviour>;

/// All behaviours of a meeting point but the gate of dials.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: Limits,
    ranges: Ranges,
    ping: ping::Behaviour,
    identify: identify::Behaviour,
    pub(super) rendezvous: rendezvous::Behaviour,
    pub(super) kademlia: Kademlia,
    relay: relay::Behaviour,
}

impl Behaviour {
    fn new(config: &MeetingPointConfig) -> Result<Self, NetworkError> {
        let own = config.identity.peer_id();
        let kademlia = Names::new(config.chain).kademlia_protocol()?;
        Ok(Self {
            limits: Limits::new(most(config.max_peers)),
            ranges: Ranges::new(config.max_peers),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)),
            identify: identify::Behaviour::new(
                identify::Config::new(MEETING_POINT.to_owned(), config.identity.keypair().public())
                    .with_agent_version(config.agent.to_string())
                    .with_push_listen_addr_updates(true),
            ),
            rendezvous: rendezvous::behaviour(),
            kademlia: kademlia::behaviour(kademlia, own),
            relay: relaying::server(own, MAX_RESERVATIONS, MAX_PER_PEER as usize),
        })
    }
}

fn most(max_peers: u32) -> Most {
    Most {
        pending_inbound: MAX_PENDING_INBOUND,
        pending_outbound: MAX_PENDING_OUTBOUND,
        inbound: max_peers,
        outbound: MAX_OUTBOUND,
        to_one_peer: MAX_PER_PEER,
    }
}

/// The swarm of a meeting point: TCP and QUIC. It resolves no names: nobody here has to be dialled by one, and strangers
/// should not be able to have names looked up.
///
/// # Errors
/// [`NetworkError::Setup`] when the system lacks what a part needs.
pub(super) fn swarm(config: &MeetingPointConfig) -> Result<Swarm<Gated>, NetworkError> {
    let behaviour = Gate::new(Behaviour::new(config)?);
    let transports = |error: io::Error| NetworkError::Setup { part: "transports", reason: error.to_string() };
    let swarm = SwarmBuilder::with_existing_identity(config.identity.keypair().clone())
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, Multiplexed::default)
        .map_err(|error| transports(io::Error::other(error)))?
        .with_quic()
        .with_behaviour(|_| behaviour)
        .map_err(|error| transports(io::Error::other(error)))?
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(NEVER)
                // Saves a round trip for each new stream.
                .with_substream_upgrade_protocol_override(Version::V1Lazy)
        })
        .with_connection_timeout(CONNECTION_TIMEOUT)
        .build();
    Ok(swarm)
}

/// Whose reservation or circuit an event of the relay is about, and what became of it.
pub(super) enum RelayNews {
    /// The peer can be reached through the relay for [`RESERVATION`](crate::relaying::RESERVATION).
    Reserved(PeerId),
    /// Two peers are connected through it.
    Joined(PeerId, PeerId),
    /// They no longer are.
    Parted(PeerId, PeerId),
}

impl RelayNews {
    /// What an event means; `None` for one that changes nothing here.
    pub(super) fn of(event: &relay::Event) -> Option<Self> {
        match event {
            relay::Event::ReservationReqAccepted { src_peer_id, .. } => Some(Self::Reserved(*src_peer_id)),
            relay::Event::CircuitReqAccepted { src_peer_id, dst_peer_id } => {
                Some(Self::Joined(*src_peer_id, *dst_peer_id))
            }
            relay::Event::CircuitClosed { src_peer_id, dst_peer_id, .. } => {
                Some(Self::Parted(*src_peer_id, *dst_peer_id))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::presets;
    use libp2p::{
        Multiaddr,
        core::Endpoint,
        swarm::{ConnectionId, FromSwarm, ListenError, behaviour::ListenFailure},
    };

    use super::*;
    use crate::{identity::Identity, wire::status::Agent};

    fn gated() -> Gated {
        let config = MeetingPointConfig {
            identity: Identity::generate(),
            listen: Vec::new(),
            listen_optional: false,
            external: Vec::new(),
            chain: presets::dev().chain_id(),
            agent: Agent::new("test"),
            max_peers: MeetingPointConfig::DEFAULT_MAX_PEERS,
            patience: crate::meeting_point::PATIENCE,
            first_number: 1,
        };
        Gate::new(Behaviour::new(&config).expect("it is set up"))
    }

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddress")
    }

    #[test]
    fn silent_connections_of_one_range_keep_nobody_out() {
        let (mut gated, here) = (gated(), address("/ip4/10.0.0.1/tcp/1"));
        let mut comes = |number: usize, from: String| {
            let (connection_id, from) = (ConnectionId::new_unchecked(number), address(&from));
            let come = gated.handle_pending_inbound_connection(connection_id, &here, &from);
            let Err(cause) = come else { return true };
            // As the swarm does, for those who have let it in.
            let (local_addr, send_back_addr, error) = (&here, &from, &ListenError::Denied { cause });
            gated.on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
                local_addr,
                send_back_addr,
                error,
                connection_id,
                peer_id: None,
            }));
            false
        };
        let half_open = (0..100).filter(|number| comes(*number, format!("/ip4/8.8.8.{number}/tcp/1"))).count();
        assert!(half_open < MAX_PENDING_INBOUND as usize, "{half_open}");
        assert!(comes(100, "/ip4/9.9.9.9/tcp/1".to_owned()) && comes(101, "/ip4/192.168.1.1/tcp/1".to_owned()));
    }

    #[test]
    fn kademlia_dials_for_strangers_on_the_internet_alone() {
        let mut gated = gated();
        let mut dials = |number: usize, to: &str| {
            let peer = PeerId::random();
            kademlia::feed(&mut gated.kademlia, peer, vec![address(to)]);
            let id = ConnectionId::new_unchecked(number);
            gated.handle_pending_outbound_connection(id, Some(peer), &[], Endpoint::Dialer).unwrap_or_default()
        };
        for (number, nowhere) in ["/ip4/127.0.0.1/tcp/80", "/ip4/192.168.1.1/tcp/80"].into_iter().enumerate() {
            assert_eq!(dials(number, nowhere), Vec::<Multiaddr>::new(), "{nowhere}");
        }
        assert_eq!(dials(2, "/ip4/8.8.8.8/tcp/80").len(), 1);
    }
}
