//! The composition of libp2p behaviours, the gates first. No policy: that is the driver's.

use core::time::Duration;

use libp2p::{
    Swarm, allow_block_list, autonat, identify, mdns, ping, relay,
    swarm::{NetworkBehaviour, behaviour::toggle::Toggle},
    upnp,
};
use rand::{SeedableRng, rngs::StdRng};
use tracing::info;

use crate::{
    admission::Admission,
    closing::Doubts,
    config::{NetworkConfig, NetworkError},
    discovery::{self, kademlia::Kademlia},
    gate::Gate,
    limits::{Limits, Most},
    peers::MAX_ANCHORS,
    probes::Probes,
    punching::Punching,
    ranges::Ranges,
    relaying, rendezvous,
    swarm::crowd::SPARE,
    sync_behaviour::{self, PeersBehaviour, SpecBehaviour, SyncBehaviour},
    topics::{Gossip, Names},
    transport,
};

/// Connections to one peer: both ends may dial at once, and either of the two may be the one that lasts; a third may lead
/// through a relay, or be a probe. The driver soon closes all but one.
const MAX_PER_PEER: u32 = 3;
/// Connections that are still shaking hands.
const MAX_PENDING_INBOUND: u32 = 32;
const MAX_PENDING_OUTBOUND: u32 = 32;
/// How often the round trip is measured, and how long the answer may take.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Peers that may be reached through this node at once, and reservations of one.
const RELAY_RESERVATIONS: usize = 64;
const RELAY_RESERVATIONS_OF_PEER: usize = 4;

/// All behaviours of a node, behind the gate of dials. Other gates come first, so that what they refuse never reaches the
/// others.
pub(crate) type Gated = Gate<Behaviour>;

/// All behaviours of a node but the gate of dials.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) limits: Limits,
    pub(crate) banned: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    pub(crate) ranges: Ranges,
    pub(crate) ping: ping::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) gossip: Gossip,
    pub(crate) sync: SyncBehaviour,
    pub(crate) peers: PeersBehaviour,
    pub(crate) spec: SpecBehaviour,
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
    pub(crate) kademlia: Toggle<Kademlia>,
    pub(crate) rendezvous: Toggle<rendezvous::client::Behaviour>,
    pub(crate) upnp: Toggle<upnp::tokio::Behaviour>,
    pub(crate) probes: Toggle<Probes>,
    pub(crate) probed: Toggle<autonat::v2::server::Behaviour>,
    pub(crate) relay_client: relay::client::Behaviour,
    pub(crate) relay_server: Toggle<relay::Behaviour>,
    pub(crate) hole_punching: Punching,
}

impl Behaviour {
    fn new(
        config: &NetworkConfig,
        names: &Names,
        relay_client: relay::client::Behaviour,
    ) -> Result<Self, NetworkError> {
        let keypair = config.identity.keypair();
        let own = config.identity.peer_id();
        let setup = |part| move |reason: String| NetworkError::Setup { part, reason };
        let mdns = config.mdns.then(|| discovery::mdns::behaviour(own)).and_then(|started| {
            started.inspect_err(|error| info!("not looking for nodes on the local network yet: {error}")).ok()
        });
        let kademlia = names.kademlia_protocol()?;
        Ok(Self {
            limits: Limits::new(most(config)),
            banned: allow_block_list::Behaviour::default(),
            ranges: Ranges::new(config.max_peers),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)),
            identify: identify::Behaviour::new(
                identify::Config::new(names.protocol_version(), keypair.public())
                    .with_agent_version(config.agent.to_string())
                    .with_push_listen_addr_updates(true),
            ),
            gossip: names.gossip(config.max_block_len).map_err(setup("gossip"))?,
            sync: sync_behaviour::sync(names.sync_protocol()?, config.max_block_len),
            peers: sync_behaviour::peers(names.peers_protocol()?),
            spec: sync_behaviour::spec(names.spec_protocol()?),
            mdns: mdns.into(),
            kademlia: config.kademlia.then(|| discovery::kademlia::behaviour(kademlia, own)).into(),
            rendezvous: (!config.rendezvous.is_empty()).then(rendezvous::client::behaviour).into(),
            upnp: config.upnp.then(upnp::tokio::Behaviour::default).into(),
            probes: config.autonat.then(|| Probes::new(config.seed)).into(),
            probed: config
                .autonat
                .then(|| autonat::v2::server::Behaviour::new(StdRng::seed_from_u64(config.seed)))
                .into(),
            relay_client,
            relay_server: config
                .relay_server
                .then(|| relaying::server(own, RELAY_RESERVATIONS, RELAY_RESERVATIONS_OF_PEER))
                .into(),
            hole_punching: Punching::new(own),
        })
    }
}

/// Whom people name later, in a peers file or by hand, is wanted as much as the configured ones: what the peer book dials for
/// ever must have a place, or it would be dialled, and refused here, for ever.
fn most(config: &NetworkConfig) -> Most {
    let wanted = config.target_outbound.saturating_add(config.bootstrap.len()).saturating_add(config.rendezvous.len());
    let chosen = u32::try_from(wanted).unwrap_or(u32::MAX).saturating_mul(MAX_PER_PEER).max(MAX_PENDING_OUTBOUND);
    let outbound = chosen.saturating_add(u32::try_from(MAX_ANCHORS).unwrap_or(u32::MAX));
    Most {
        pending_inbound: MAX_PENDING_INBOUND,
        pending_outbound: MAX_PENDING_OUTBOUND,
        inbound: config.max_peers.saturating_add(SPARE),
        outbound,
        to_one_peer: MAX_PER_PEER,
    }
}

/// The swarm of a node; `doubts` are about its connections.
///
/// # Errors
/// [`NetworkError::Setup`] when the system lacks what a part needs.
pub(crate) fn swarm(config: &NetworkConfig, names: &Names, doubts: &Doubts) -> Result<Swarm<Gated>, NetworkError> {
    let own = config.identity.peer_id();
    let admission = config.secret.as_ref().map(|secret| Admission::new(config.chain, secret, own));
    transport::swarm(config.identity.keypair(), admission.as_ref(), doubts, |relay| {
        Behaviour::new(config, names, relay).map(Gate::new)
    })
}

#[cfg(test)]
mod tests {
    use bard_chain::presets;

    use super::*;
    use crate::{identity::Identity, wire::status::Agent};

    #[test]
    fn all_that_people_name_have_a_place() {
        let config = NetworkConfig::alone(&presets::dev(), Identity::generate(), Agent::new("test"));
        let chosen = u32::try_from(config.target_outbound).expect("a few");
        assert!(most(&config).outbound >= 256 + chosen, "a peers file has up to 256 lines");
        assert!(most(&config).inbound < config.max_peers * 2, "strangers have what the configuration says");
    }
}
