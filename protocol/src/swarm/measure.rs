//! What the network counts, where somebody wants to know: libp2p's own measures, faults of peers and bans.

use libp2p::{
    metrics::{Metrics, Recorder},
    swarm::SwarmEvent,
};
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{Driver, circuits::Way};
use crate::{behaviour::BehaviourEvent, peers::conduct::Fault};

/// The one label of faults: how grave.
type Severity = [(&'static str, String); 1];

/// The counters.
pub(super) struct Measures {
    libp2p: Metrics,
    penalties: Family<Severity, Counter>,
    bans: Family<Severity, Counter>,
    relayed: [Counter; 2],
}

impl Measures {
    fn new(registry: &mut Registry) -> Self {
        let libp2p = Metrics::new(registry);
        let (penalties, bans): (Family<Severity, Counter>, Family<_, _>) = (Family::default(), Family::default());
        let own = registry.sub_registry_with_prefix("bard");
        own.register("peer_penalties", "Provable faults of peers, by how grave", penalties.clone());
        own.register("peer_bans", "Peers banned, by how grave the last fault was", bans.clone());
        // From 0, or the first of each would be no change to whoever looks at rates.
        for family in [&penalties, &bans] {
            for fault in [Fault::Minor, Fault::Serious, Fault::Fatal] {
                drop(family.get_or_create(&[("severity", fault.to_string())]));
            }
        }
        let ways = Family::<[(&'static str, &'static str); 1], Counter>::default();
        let text = "Bytes of answers about the chain that went through relays, by way";
        own.register("circuit_bytes", text, ways.clone());
        let relayed = ["fetched", "served"].map(|way| ways.get_or_create(&[("way", way)]).clone());
        Self { libp2p, penalties, bans, relayed }
    }

    pub(super) fn record(&self, event: &SwarmEvent<BehaviourEvent>) {
        self.libp2p.record(event);
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.libp2p.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.libp2p.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.libp2p.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Kademlia(event)) => self.libp2p.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::RelayServer(event)) => self.libp2p.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::HolePunching(event)) => self.libp2p.record(event),
            _ => {}
        }
    }

    /// So many bytes of answers went through a relay.
    pub(super) fn relayed(&self, way: Way, bytes: u64) {
        let [fetched, served] = &self.relayed;
        match way {
            Way::Fetched => fetched.inc_by(bytes),
            Way::Served => served.inc_by(bytes),
        };
    }

    pub(super) fn fault(&self, fault: Fault, banned: bool) {
        let severity = [("severity", fault.to_string())];
        self.penalties.get_or_create(&severity).inc();
        if banned {
            self.bans.get_or_create(&severity).inc();
        }
    }
}

impl Driver {
    /// Counts what happens from now on in this registry: libp2p's own measures under `libp2p_`, faults and bans under `bard_`.
    pub fn measure(&mut self, registry: &mut Registry) {
        self.measures = Some(Measures::new(registry));
    }
}
