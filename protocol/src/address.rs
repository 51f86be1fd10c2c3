//! What a multiaddress says about where it leads.

use core::net::IpAddr;

use libp2p::{Multiaddr, multiaddr::Protocol};

/// The IP address with which it begins. One of IPv4 that is written as one of IPv6 is one of IPv4.
pub(crate) fn ip(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => Some(ip.into()),
        Some(Protocol::Ip6(ip)) => Some(ip.to_canonical()),
        _ => None,
    }
}

/// Whether it leads through a relay.
pub(crate) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| part == Protocol::P2pCircuit)
}

/// Whether what comes on a connection to it, or from it, is watched ([`crate::closing`]): all but QUIC, which tells by itself.
pub(crate) fn tells_by_bytes(address: &Multiaddr) -> bool {
    is_relayed(address) || address.iter().any(|part| matches!(part, Protocol::Tcp(_)))
}

/// Whether it means this machine to whoever dials it, and so is of no use to a node elsewhere.
pub(crate) fn is_loopback(address: &Multiaddr) -> bool {
    ip(address).is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_is_seen_within_ipv6() {
        let address = |text: &str| text.parse::<Multiaddr>().expect("a multiaddress");
        for here in ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/1", "/ip6/::ffff:127.0.0.1/tcp/1"] {
            assert!(is_loopback(&address(here)), "{here}");
        }
        assert_eq!(ip(&address("/ip6/::ffff:10.0.0.1/tcp/1")), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(ip(&address("/dns4/example.org/tcp/1")), None);
    }
}
