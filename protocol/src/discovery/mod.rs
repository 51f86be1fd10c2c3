//! Ways to find peers. Each works alone, knows nothing of the others, and yields [`Candidate`]s for the peer book.

pub mod bootstrap;
pub mod exchange;
pub(crate) mod kademlia;
pub mod local;
pub(crate) mod mdns;
pub(crate) mod rendezvous;

use core::{fmt, net::IpAddr, time::Duration};

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

use crate::{
    address::{is_loopback, is_relayed},
    wire::limits::{MAX_ADDRESS_LEN, MAX_ADDRESSES},
};

/// How this node learnt of another. In descending order of trust: an address is not dialled less because somebody less
/// trusted tells it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A person asked for it.
    Manual,
    /// It is configured.
    Bootstrap,
    /// The peers file names it.
    PeersFile,
    /// A node of the same user on the same machine.
    Local,
    /// It announced itself on the local network.
    Mdns,
    /// It connected to this node.
    Inbound,
    /// An HTTP tracker lists it.
    Tracker,
    /// It registered at a libp2p rendezvous point.
    Rendezvous,
    /// This node was connected to it in an earlier run.
    Book,
    /// A Kademlia query led to it.
    Kademlia,
    /// A peer told of it.
    Exchange,
}

impl Origin {
    /// Every one, in descending order of trust.
    pub const ALL: [Self; 11] = [
        Self::Manual,
        Self::Bootstrap,
        Self::PeersFile,
        Self::Local,
        Self::Mdns,
        Self::Inbound,
        Self::Tracker,
        Self::Rendezvous,
        Self::Book,
        Self::Kademlia,
        Self::Exchange,
    ];

    /// Whether the node is wanted for itself: dialled for ever, whatever else is connected.
    pub const fn is_persistent(self) -> bool {
        matches!(self, Self::Manual | Self::Bootstrap | Self::PeersFile)
    }

    /// Its name, as people and programs see it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Bootstrap => "bootstrap",
            Self::PeersFile => "peers-file",
            Self::Local => "local",
            Self::Mdns => "mdns",
            Self::Inbound => "inbound",
            Self::Tracker => "tracker",
            Self::Rendezvous => "rendezvous",
            Self::Book => "book",
            Self::Kademlia => "kademlia",
            Self::Exchange => "exchange",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.name() == name)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A node that this one has been connected to, as it is kept from one run to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownNode {
    /// Its id.
    pub peer: PeerId,
    /// Where it may be reached; what worked last comes first. At most [`MAX_ADDRESSES`].
    pub addresses: Vec<Multiaddr>,
    /// How this node learnt of it, the most trusted first.
    pub origins: Vec<Origin>,
    /// For how long it has not been connected; zero while it is.
    pub unseen: Duration,
    /// Whether this node has dialled it, and found it to be of our chain: it is kept and dialled before those that only came.
    pub dialled: bool,
}

/// A node that may be worth dialling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who it is, if that is known.
    pub peer: Option<PeerId>,
    /// Where it may be reached.
    pub addresses: Vec<Multiaddr>,
    /// How this node learnt of it.
    pub origin: Origin,
}

impl Candidate {
    /// From one address as people write it, with or without `/p2p/<peer id>` at the end.
    pub fn from_address(address: Multiaddr, origin: Origin) -> Self {
        let (address, peer) = split_peer_id(address);
        Self { peer, addresses: vec![address], origin }
    }

    /// Only what can be dialled and does not lead back to `own`; `None` if nothing is left.
    pub(crate) fn usable(self, own: PeerId) -> Option<Self> {
        let Self { peer, addresses, origin } = self;
        let mut kept: Vec<Multiaddr> = Vec::new();
        for address in addresses {
            let (address, named) = split_peer_id(address);
            let same = named.is_none() || peer.is_none() || named == peer;
            if same
                && named != Some(own)
                && is_dialable(&address)
                && !kept.contains(&address)
                && kept.len() < MAX_ADDRESSES
            {
                kept.push(address);
            }
        }
        (peer != Some(own) && !kept.is_empty()).then_some(Self { peer, addresses: kept, origin })
    }
}

/// Takes `/p2p/<peer id>` off the end.
pub(crate) fn split_peer_id(mut address: Multiaddr) -> (Multiaddr, Option<PeerId>) {
    match address.pop() {
        Some(Protocol::P2p(peer)) => (address, Some(peer)),
        Some(other) => (address.with(other), None),
        None => (address, None),
    }
}

/// Whether an address without a peer id is one that this node can dial: a usable IP address or a name, and TCP or QUIC; or
/// a circuit through a relay at such an address.
pub fn is_dialable(address: &Multiaddr) -> bool {
    if address.len() > MAX_ADDRESS_LEN {
        return false;
    }
    let mut parts = address.iter();
    let host = match parts.next() {
        Some(Protocol::Ip4(ip)) => is_host(IpAddr::V4(ip)),
        Some(Protocol::Ip6(ip)) => is_host(IpAddr::V6(ip)),
        Some(Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name)) => !name.is_empty(),
        _ => false,
    };
    let transport = match parts.next() {
        Some(Protocol::Tcp(port)) => port != 0,
        Some(Protocol::Udp(port)) => port != 0 && parts.next() == Some(Protocol::QuicV1),
        _ => false,
    };
    let circuit = match (parts.next(), parts.next()) {
        (None, _) => true,
        (Some(Protocol::P2p(_)), Some(Protocol::P2pCircuit)) => parts.next().is_none(),
        _ => false,
    };
    host && transport && circuit
}

/// Those addresses of a node by which others may reach it, at most `most`, the most likely first: without its peer id where
/// that can be left out; TCP before QUIC, direct ones before relayed; loopback only where there is nothing else.
pub fn routable(addresses: impl IntoIterator<Item = Multiaddr>, most: usize) -> Vec<Multiaddr> {
    let mut usable: Vec<Multiaddr> = Vec::new();
    for address in addresses {
        let (bare, _) = split_peer_id(address.clone());
        let shortest = if is_relayed(&address) { address } else { bare.clone() };
        if is_dialable(&bare) && !usable.contains(&shortest) {
            usable.push(shortest);
        }
    }
    usable.sort_by_key(|address| {
        (is_loopback(address), is_relayed(address), address.iter().any(|part| part == Protocol::QuicV1))
    });
    if usable.iter().any(|address| !is_loopback(address)) {
        usable.retain(|address| !is_loopback(address));
    }
    usable.truncate(most);
    usable
}

fn is_host(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let special = match ip {
        IpAddr::V4(ip) => ip.is_broadcast(),
        // It needs the name of an interface, which an address cannot hold.
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !ip.is_unspecified() && !ip.is_multicast() && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddress")
    }

    #[test]
    fn addresses_that_lead_nowhere_are_left_out() {
        for good in [
            "/ip4/127.0.0.1/tcp/4001",
            "/ip6/fd77::1/tcp/1",
            "/ip4/10.0.0.1/udp/9/quic-v1",
            "/dns/teacher.local/tcp/4001",
            "/dns4/example.org/udp/4001/quic-v1",
            "/ip4/10.0.0.1/tcp/1/p2p/12D3KooWSJgjtp4T8jtCzMsdDx4QMgL68vnbtsRAcwY2HtFaKGBY/p2p-circuit",
        ] {
            assert!(is_dialable(&address(good)), "{good}");
        }
        for bad in [
            "/ip4/0.0.0.0/tcp/4001",
            "/ip6/::/tcp/4001",
            "/ip6/fe80::1/tcp/4001",
            "/ip4/224.0.0.251/udp/5353/quic-v1",
            "/ip4/255.255.255.255/tcp/1",
            "/ip6/::ffff:224.0.0.1/tcp/1",
            "/ip6/::ffff:0.0.0.0/tcp/1",
            "/ip6/ff02::1/tcp/1",
            "/ip4/10.0.0.1/tcp/0",
            "/ip4/10.0.0.1/udp/9",
            "/ip4/10.0.0.1/tcp/1/ws",
            "/memory/5",
            "/ip4/10.0.0.1/tcp/1/p2p-circuit",
            "/ip4/0.0.0.0/tcp/1/p2p/12D3KooWSJgjtp4T8jtCzMsdDx4QMgL68vnbtsRAcwY2HtFaKGBY/p2p-circuit",
            "/p2p-circuit",
        ] {
            assert!(!is_dialable(&address(bad)), "{bad}");
        }
    }

    #[test]
    fn others_are_told_what_leads_here() {
        let own = PeerId::random();
        let of = |texts: &[&str], most| {
            let all = texts.iter().map(|text| address(&format!("{text}/p2p/{own}")));
            routable(all, most).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let (tcp, quic) = ("/ip4/10.0.0.5/tcp/6000", "/ip4/10.0.0.5/udp/6000/quic-v1");
        let here = "/ip4/127.0.0.1/tcp/6000";
        assert_eq!(of(&[here, quic, tcp, tcp, "/ip6/fe80::1/tcp/6000"], 4), [tcp, quic]);
        assert_eq!(of(&[here, quic, tcp], 1), [tcp]);
        assert_eq!(of(&[here], 4), [here]);
        let relayed = format!("/ip4/10.0.0.9/tcp/1/p2p/{}/p2p-circuit", PeerId::random());
        assert_eq!(of(&[relayed.as_str()], 4), [format!("{relayed}/p2p/{own}")], "it needs to be said who is behind");
    }

    #[test]
    fn a_candidate_keeps_only_what_is_usable() {
        let (own, other) = (PeerId::random(), PeerId::random());
        let text = format!("/ip4/10.0.0.1/tcp/1/p2p/{other}");
        let candidate = Candidate::from_address(address(&text), Origin::Manual);
        assert_eq!(candidate.peer, Some(other));
        assert_eq!(candidate.addresses, [address("/ip4/10.0.0.1/tcp/1")]);

        let mixed = Candidate {
            peer: Some(other),
            addresses: vec![
                address("/ip4/0.0.0.0/tcp/1"),
                address(&text),
                address("/ip4/10.0.0.1/tcp/1"),
                address(&format!("/ip4/10.0.0.2/tcp/1/p2p/{own}")),
            ],
            origin: Origin::Mdns,
        };
        assert_eq!(mixed.usable(own).map(|usable| usable.addresses), Some(vec![address("/ip4/10.0.0.1/tcp/1")]));
        let ourselves =
            Candidate { peer: Some(own), addresses: vec![address("/ip4/10.0.0.1/tcp/1")], origin: Origin::Mdns };
        assert_eq!(ourselves.usable(own), None);
    }
}
