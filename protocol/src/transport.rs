//! How bytes get from node to node: TCP and QUIC, names resolved, circuits through relays; on a closed chain with admission.

use core::time::Duration;
use std::io;

use libp2p::{
    Swarm, SwarmBuilder, Transport,
    core::upgrade::Version,
    dns::{ResolverConfig, ResolverOpts},
    identity::Keypair,
    noise, quic, relay,
    swarm::NetworkBehaviour,
    tcp,
};
use tracing::warn;

use crate::{
    admission::{Admission, Secured, over_streams},
    closing::{Doubts, Multiplexed},
    config::NetworkError,
};

/// A transport that has not connected by then has failed. Shorter than libp2p's 10 s, for a peer whose address is tried by
/// AutoNAT is to hear within 10 s that it cannot be reached.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(7);
/// Connections are never closed for being idle: the driver closes those that are of no use, and keeps all others.
pub(crate) const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A swarm with these transports and the behaviour that `make` makes. `doubts` are about all its connections but those over QUIC,
/// which tells by itself.
///
/// # Errors
/// [`NetworkError::Setup`] when the system lacks what a part needs.
pub(crate) fn swarm<B: NetworkBehaviour>(
    keypair: &Keypair,
    admission: Option<&Admission>,
    doubts: &Doubts,
    make: impl Fn(relay::client::Behaviour) -> Result<B, NetworkError>,
) -> Result<Swarm<B>, NetworkError> {
    match build(keypair, admission, doubts, &make, Resolver::System) {
        Ok(swarm) => Ok(swarm),
        Err(error) => {
            // As on a machine without a configured network: nodes may still be reached by number.
            warn!("the system's name servers are unknown, names of nodes will not be found: {error}");
            build(keypair, admission, doubts, &make, Resolver::None)
                .map_err(|error| NetworkError::Setup { part: "transports", reason: error.to_string() })
        }
    }
}

/// Where names are looked up.
#[derive(Clone, Copy)]
enum Resolver {
    System,
    None,
}

fn build<B: NetworkBehaviour>(
    keypair: &Keypair,
    admission: Option<&Admission>,
    doubts: &Doubts,
    make: &impl Fn(relay::client::Behaviour) -> Result<B, NetworkError>,
    resolver: Resolver,
) -> io::Result<Swarm<B>> {
    let configure = |config: libp2p::swarm::Config| {
        config
            .with_idle_connection_timeout(NEVER)
            // Saves a round trip for each new stream.
            .with_substream_upgrade_protocol_override(Version::V1Lazy)
    };
    let secured = |key: &Keypair| noise::Config::new(key).map(|noise| Secured::new(noise, admission.cloned()));
    let over_quic = |key: &Keypair| {
        let admission = admission.cloned();
        quic::tokio::Transport::new(quic::Config::new(key))
            .and_then(move |(peer, muxer), endpoint| Box::pin(over_streams(admission, peer, muxer, endpoint)))
    };
    let multiplexed = || Multiplexed::new(doubts);
    let behaviour = |_: &Keypair, relay| make(relay).map_err(Box::from);
    let transports = SwarmBuilder::with_existing_identity(keypair.clone())
        .with_tokio()
        .with_tcp(tcp::Config::default(), secured, multiplexed)
        .map_err(io::Error::other)?
        .with_other_transport(over_quic)
        .map_err(io::Error::other)?;
    Ok(match resolver {
        Resolver::System => transports
            .with_dns()?
            .with_relay_client(secured, multiplexed)
            .map_err(io::Error::other)?
            .with_behaviour(behaviour)
            .map_err(io::Error::other)?
            .with_swarm_config(configure)
            .with_connection_timeout(CONNECTION_TIMEOUT)
            .build(),
        Resolver::None => transports
            .with_dns_config(ResolverConfig::default(), ResolverOpts::default())
            .with_relay_client(secured, multiplexed)
            .map_err(io::Error::other)?
            .with_behaviour(behaviour)
            .map_err(io::Error::other)?
            .with_swarm_config(configure)
            .with_connection_timeout(CONNECTION_TIMEOUT)
            .build(),
    })
}
