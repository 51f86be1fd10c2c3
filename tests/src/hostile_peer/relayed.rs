//! A hostile peer that is reached through a relay alone.

use bard_chain::spec::ChainSpec;
use futures::StreamExt;
use libp2p::{Multiaddr, Swarm, multiaddr::Protocol, swarm::SwarmEvent};

use super::{Behaviour, Guise, HostilePeer};

impl HostilePeer {
    /// Waits at a relay for whoever connects, as somebody. Returns where it is reached, too.
    ///
    /// # Panics
    /// Where the relay does not take it.
    pub fn at_relay(relay: &str, spec: &ChainSpec, guise: Guise) -> (Self, Multiaddr) {
        let relay: Multiaddr = relay.parse().expect("an address");
        let listen = async |swarm: &mut Swarm<Behaviour>| {
            swarm.listen_on(relay.with(Protocol::P2pCircuit)).map_err(|error| error.to_string())?;
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::NewListenAddr { address, .. } => return Ok(address),
                    SwarmEvent::ListenerClosed { reason, .. } => return Err(format!("{reason:?}")),
                    _ => {}
                }
            }
        };
        Self::start(spec, guise, listen).expect("the relay has a place")
    }
}
