//! What a meeting point does, as a composition of libp2p behaviours, the gate first.

use core::{num::NonZeroU32, time::Duration};
use std::io;

use libp2p::{
    PeerId, Swarm, SwarmBuilder, connection_limits, core::upgrade::Version, identify, noise, ping, relay,
    swarm::NetworkBehaviour, tcp, yamux,
};

use super::MeetingPointConfig;
use crate::{
    config::NetworkError,
    discovery::kademlia::{self, Kademlia},
    rendezvous,
    topics::{MEETING_POINT, Names},
};

/// Connections to one peer: both ends may have dialled.
pub(super) const MAX_PER_PEER: u32 = 2;
/// Connections that are still shaking hands.
const MAX_PENDING_INBOUND: u32 = 64;
const MAX_PENDING_OUTBOUND: u32 = 16;
/// Connections that Kademlia itself may have made at once. A dial above that fails, which a query takes as a node that does
/// not answer.
const MAX_OUTBOUND: u32 = 32;
/// A transport that has not connected by then has failed.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections are never closed by the swarm for being idle: the driver knows better who is of use.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// How often a round trip is measured, and how long the answer may take.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a reservation at the relay lasts: as long as the connection that it needs. libp2p's relay panics at a client that
/// takes the answer to its renewal only after the reservation has run out, so none does.
pub(super) const RESERVATION: Duration = NEVER;
/// Nodes that may be reached through the relay at once: as many as may be connected at all.
const MAX_RESERVATIONS: usize = 512;
/// Circuits at once, and of one peer.
const MAX_CIRCUITS: usize = 64;
const MAX_CIRCUITS_OF_PEER: usize = 4;
/// How long a circuit may last: two nodes that cannot reach each other directly have nothing else, and an hour spares them
/// from being cut off in the middle of things.
const CIRCUIT_DURATION: Duration = Duration::from_secs(3600);
/// Bytes of one circuit, both ways: a ledger of some ten thousand blocks must come through.
const CIRCUIT_BYTES: u64 = 64 << 20;

/// All behaviours of a meeting point. The gate comes first, so that what it refuses never reaches the others.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    ping: ping::Behaviour,
    identify: identify::Behaviour,
    pub(super) rendezvous: rendezvous::Behaviour,
    pub(super) kademlia: Kademlia,
    relay: relay::Behaviour,
}

impl Behaviour {
    fn new(config: &MeetingPointConfig) -> Result<Self, NetworkError> {
        let own = config.identity.peer_id();
        let no_name = || NetworkError::Setup { part: "protocol names", reason: "not a protocol name".into() };
        let kademlia = Names::new(config.chain).kademlia_protocol().ok_or_else(no_name)?;
        let mut relay = relay::Behaviour::new(own, relay_config());
        // It is told to whoever asks, not only where others have confirmed that this place can be reached.
        relay.set_status(Some(relay::Status::Enable));
        Ok(Self {
            limits: connection_limits::Behaviour::new(limits(config.max_peers)),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)),
            identify: identify::Behaviour::new(
                identify::Config::new(MEETING_POINT.to_owned(), config.identity.keypair().public())
                    .with_agent_version(config.agent.to_string())
                    .with_push_listen_addr_updates(true),
            ),
            rendezvous: rendezvous::behaviour(),
            kademlia: kademlia::behaviour(kademlia, own),
            relay,
        })
    }
}

fn limits(max_peers: u32) -> connection_limits::ConnectionLimits {
    connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_PENDING_INBOUND))
        .with_max_pending_outgoing(Some(MAX_PENDING_OUTBOUND))
        .with_max_established_incoming(Some(max_peers))
        .with_max_established_outgoing(Some(MAX_OUTBOUND))
        .with_max_established_per_peer(Some(MAX_PER_PEER))
}

/// libp2p's own limits are for strangers on the public internet: 2 minutes, 128 KiB, and an address that asks once a minute.
/// A class shares one address, and what it sends through is its ledger.
fn relay_config() -> relay::Config {
    let every = |seconds| Duration::from_secs(seconds);
    let config = relay::Config {
        max_reservations: MAX_RESERVATIONS,
        max_reservations_per_peer: MAX_PER_PEER as usize,
        reservation_duration: RESERVATION,
        reservation_rate_limiters: Vec::new(),
        max_circuits: MAX_CIRCUITS,
        max_circuits_per_peer: MAX_CIRCUITS_OF_PEER,
        max_circuit_duration: CIRCUIT_DURATION,
        max_circuit_bytes: CIRCUIT_BYTES,
        circuit_src_rate_limiters: Vec::new(),
    };
    // So many at once, and one more each so many seconds.
    config
        .reservation_rate_per_peer(non_zero(30), every(60))
        .reservation_rate_per_ip(non_zero(512), every(5))
        .circuit_src_per_peer(non_zero(30), every(60))
        .circuit_src_per_ip(non_zero(256), every(10))
}

fn non_zero(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// The swarm of a meeting point: TCP and QUIC. It resolves no names: nobody here has to be dialled by one, and strangers
/// should not be able to have names looked up.
///
/// # Errors
/// [`NetworkError::Setup`] when the system lacks what a part needs.
pub(super) fn swarm(config: &MeetingPointConfig) -> Result<Swarm<Behaviour>, NetworkError> {
    let behaviour = Behaviour::new(config)?;
    let transports = |error: io::Error| NetworkError::Setup { part: "transports", reason: error.to_string() };
    let swarm = SwarmBuilder::with_existing_identity(config.identity.keypair().clone())
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
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
    /// The peer can be reached through the relay for [`RESERVATION`].
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
