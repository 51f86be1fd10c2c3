//! What an address says about who can use it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeSet;

use libp2p::{Multiaddr, multiaddr::Protocol};

use super::ListenPort;
use crate::{
    address::{ip, is_relayed},
    discovery::split_peer_id,
};

/// Whether an address is one of the public internet: not private (RFC 1918, ULA), of this host or link, shared by a
/// provider's customers (100.64.0.0/10), for documentation or benchmarks, multicast, or reserved.
pub(crate) fn global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => global_v4(ip),
        IpAddr::V6(ip) => ip.to_ipv4_mapped().map_or_else(|| global_v6(ip), global_v4),
    }
}

fn global_v4(ip: Ipv4Addr) -> bool {
    let [first, second, third, _] = ip.octets();
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || first == 0
        || (first == 100 && second & 0xc0 == 64)
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && second & 0xfe == 18);
    // From 224.0.0.0 on: multicast, reserved, broadcast.
    !special && first < 224
}

fn global_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    let documentation = (first == 0x2001 && second == 0x0db8) || (first == 0x3fff && second < 0x1000);
    // All that is assigned for the internet is in 2000::/3.
    first & 0xe000 == 0x2000 && !documentation
}

/// Whether an address can be that of a node as others see it: no loopback, unspecified or link-local one.
pub(super) fn is_of_use(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !link_local
}

/// The port of a direct address.
pub(super) fn port(address: &Multiaddr) -> Option<ListenPort> {
    match address.iter().nth(1) {
        Some(Protocol::Tcp(port)) => Some(ListenPort::Tcp(port)),
        Some(Protocol::Udp(port)) => Some(ListenPort::Udp(port)),
        _ => None,
    }
}

/// Direct addresses without the peer id.
pub(super) fn direct(addresses: &[Multiaddr]) -> Vec<Multiaddr> {
    let direct = addresses.iter().filter(|address| !is_relayed(address));
    direct.map(|address| split_peer_id(address.clone()).0).collect()
}

/// The ports listened on for others than this machine.
pub(super) fn ports(listening: &[Multiaddr]) -> Vec<ListenPort> {
    let open = listening.iter().filter(|address| ip(address).is_some_and(|ip| !ip.is_loopback()));
    open.filter_map(port).collect::<BTreeSet<_>>().into_iter().collect()
}

/// `observed` with the port that we listen on: a connection that we opened has a port of its own, which leads nowhere.
/// `None` if it is not known which port that is.
pub(super) fn translated(observed: &Multiaddr, listening: &[Multiaddr]) -> Option<Multiaddr> {
    let (seen, ports) = (port(observed)?, ports(&direct(listening)));
    if ports.contains(&seen) {
        return Some(observed.clone());
    }
    let same = |port: &&ListenPort| core::mem::discriminant(*port) == core::mem::discriminant(&seen);
    let mut candidates = ports.iter().filter(same);
    let (Some(ours), None) = (candidates.next(), candidates.next()) else { return None };
    let replaced = match *ours {
        ListenPort::Tcp(port) => Protocol::Tcp(port),
        ListenPort::Udp(port) => Protocol::Udp(port),
    };
    observed.replace(1, |_| Some(replaced))
}

/// Whether two addresses are of one IPv6 subnet, as those of one home or school are although they are public.
pub(super) fn same_subnet(one: IpAddr, other: IpAddr) -> bool {
    match (one, other) {
        (IpAddr::V6(one), IpAddr::V6(other)) => one.segments().iter().take(4).eq(other.segments().iter().take(4)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().expect("a multiaddress")).collect()
    }

    #[test]
    fn public_addresses_and_others() {
        for public in [
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "223.255.255.254",
            "2a00:1450::1",
            "2001:4860::8888",
            "::ffff:8.8.8.8",
        ] {
            assert!(global(public.parse().expect("an IP address")), "{public}");
        }
        for other in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "198.18.0.1",
            "192.0.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "fc00::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!global(other.parse().expect("an IP address")), "{other}");
        }
    }

    #[test]
    fn the_port_of_a_connection_is_replaced_by_ours() {
        let listening = addresses(&[
            "/ip4/10.0.0.1/tcp/6000",
            "/ip4/127.0.0.1/tcp/7000",
            "/ip4/10.0.0.1/udp/6001/quic-v1",
            "/ip6/fd00::1/tcp/6000",
        ]);
        for (observed, expected) in [
            ("/ip4/8.8.8.8/tcp/41234", Some("/ip4/8.8.8.8/tcp/6000")),
            ("/ip4/8.8.8.8/tcp/6000", Some("/ip4/8.8.8.8/tcp/6000")),
            ("/ip4/8.8.8.8/udp/41234/quic-v1", Some("/ip4/8.8.8.8/udp/6001/quic-v1")),
            ("/ip4/8.8.8.8", None),
        ] {
            let observed = observed.parse().expect("a multiaddress");
            assert_eq!(translated(&observed, &listening).map(|address| address.to_string()).as_deref(), expected);
        }
        let observed = addresses(&["/ip4/8.8.8.8/tcp/41234"]).remove(0);
        assert_eq!(translated(&observed, &addresses(&["/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/2"])), None);
        assert_eq!(translated(&observed, &addresses(&["/ip4/10.0.0.1/udp/1/quic-v1"])), None);
    }
}
