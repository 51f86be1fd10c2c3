//! What the network counts, where somebody wants to know: libp2p's own measures, faults of peers and bans.

use libp2p::{
    Multiaddr, identify,
    metrics::{Metrics, Recorder},
    swarm::SwarmEvent,
};
use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::{Driver, circuits::Way};
use crate::{address::is_relayed, behaviour::BehaviourEvent, discovery::is_dialable, peers::conduct::Fault};

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
        if !names_what_others_chose(event) {
            self.libp2p.record(event);
        }
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.libp2p.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.identify(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.libp2p.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::Kademlia(event)) => self.libp2p.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::RelayServer(event)) => self.libp2p.record(event),
            SwarmEvent::Behaviour(BehaviourEvent::HolePunching(event)) => self.libp2p.record(event),
            _ => {}
        }
    }

    /// libp2p keeps what each connected peer says, and labels with the forms of all addresses in it: those of an honest node
    /// have few forms.
    fn identify(&self, event: &identify::Event) {
        let identify::Event::Received { connection_id, peer_id, info } = event else {
            return self.libp2p.record(event);
        };
        let mut info = info.clone();
        info.listen_addrs.retain(is_dialable);
        if !is_dialable(&info.observed_addr) {
            info.observed_addr = Multiaddr::empty();
        }
        let (connection_id, peer_id) = (*connection_id, *peer_id);
        self.libp2p.record(&identify::Event::Received { connection_id, peer_id, info });
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

/// Whether an event of the swarm is about addresses that a stranger may have made up. libp2p counts such events by the
/// form of the address and keeps each form for ever; a stranger has endless ones, and says so as often as he likes.
fn names_what_others_chose(event: &SwarmEvent<BehaviourEvent>) -> bool {
    match event {
        SwarmEvent::NewExternalAddrCandidate { .. } => true,
        // Where this node is reached is what it listens on, but for what relays say.
        SwarmEvent::NewListenAddr { address, .. }
        | SwarmEvent::ExpiredListenAddr { address, .. }
        | SwarmEvent::ExternalAddrConfirmed { address }
        | SwarmEvent::ExternalAddrExpired { address } => is_relayed(address),
        SwarmEvent::ListenerClosed { addresses, .. } => addresses.iter().any(is_relayed),
        // Of all others the addresses are those of connections, whose forms the transports know.
        _ => false,
    }
}

impl Driver {
    /// Counts what happens from now on in this registry: libp2p's own measures under `libp2p_`, faults and bans under `bard_`.
    pub fn measure(&mut self, registry: &mut Registry) {
        self.measures = Some(Measures::new(registry));
    }
}

#[cfg(test)]
mod tests {
    use libp2p::{PeerId, core::transport::ListenerId, identity::Keypair, swarm::ConnectionId};

    use super::*;

    /// The text of all measures after some events.
    fn counted(events: impl IntoIterator<Item = SwarmEvent<BehaviourEvent>>) -> String {
        let mut registry = Registry::default();
        let measures = Measures::new(&mut registry);
        events.into_iter().for_each(|event| measures.record(&event));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("a text");
        text
    }

    #[test]
    fn addresses_that_strangers_make_up_leave_no_trace() {
        let made_up = |number: u64| -> Multiaddr {
            let parts = (0..6).map(|bit| if number >> bit & 1 == 0 { "/tcp/1" } else { "/udp/1" });
            format!("/ip4/8.8.8.8{}/p2p/{}/p2p-circuit", parts.collect::<String>(), PeerId::random())
                .parse()
                .expect("a multiaddress")
        };
        let events = (0..64).flat_map(|number| {
            let (address, listener_id) = (made_up(number), ListenerId::next());
            let info = identify::Info {
                public_key: Keypair::generate_ed25519().public(),
                protocol_version: String::new(),
                agent_version: String::new(),
                listen_addrs: vec![address.clone()],
                protocols: Vec::new(),
                observed_addr: address.clone(),
                signed_peer_record: None,
            };
            let (peer_id, connection_id) = (PeerId::random(), ConnectionId::new_unchecked(1));
            let received = identify::Event::Received { connection_id, peer_id, info };
            [
                SwarmEvent::NewExternalAddrCandidate { address: address.clone() },
                SwarmEvent::NewListenAddr { listener_id, address: address.clone() },
                SwarmEvent::ExpiredListenAddr { listener_id, address: address.clone() },
                SwarmEvent::ExternalAddrConfirmed { address: address.clone() },
                SwarmEvent::ExternalAddrExpired { address: address.clone() },
                SwarmEvent::ListenerClosed { listener_id, addresses: vec![address], reason: Ok(()) },
                SwarmEvent::Behaviour(BehaviourEvent::Identify(received)),
            ]
        });
        let text = counted(events);
        assert!(!text.contains("p2p-circuit"), "{text}");
        assert!(text.contains("libp2p_identify_received_total 64"), "{text}");
    }

    #[test]
    fn what_this_node_listens_on_is_counted() {
        let address = "/ip4/10.0.0.1/tcp/6000".parse().expect("a multiaddress");
        let text = counted([SwarmEvent::NewListenAddr { listener_id: ListenerId::next(), address }]);
        assert!(text.contains("new_listen_addr_total{protocols=\"/ip4/tcp\"} 1"), "{text}");
    }
}
