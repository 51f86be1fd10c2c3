//! This machine: its interfaces, multicast on them, its ports, and the ways that a node would have.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket as StdUdpSocket},
    time::Duration,
};

use bard_protocol::Multiaddr;
use tokio::net::UdpSocket;

use super::{Finding, Subject};
use crate::{assemble, meeting::Configured, ports};

/// The group on which nodes announce themselves (mDNS).
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
/// How long a packet may take from this machine to itself.
const ECHO: Duration = Duration::from_secs(1);

/// Where an address leads first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// An IP address or a name.
    pub(super) host: String,
    pub(super) port: u16,
    /// QUIC, where nothing tells a closed port from a silent one.
    pub(super) udp: bool,
}

impl Endpoint {
    /// Of a multiaddress; `None` for one of another form.
    pub(super) fn of(address: &Multiaddr) -> Option<Self> {
        let text = address.to_string();
        let mut parts = text.split('/').skip(1);
        let (kind, host, transport, port) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let known = matches!(kind, "ip4" | "ip6" | "dns" | "dns4" | "dns6") && matches!(transport, "tcp" | "udp");
        known.then_some(())?;
        Some(Self { host: host.to_owned(), port: port.parse().ok()?, udp: transport == "udp" })
    }
}

/// The interfaces by which other machines may be reached.
pub(super) fn interfaces(subject: &Subject<'_>) -> Vec<Finding> {
    let check = "interfaces";
    let all = match if_addrs::get_if_addrs() {
        Ok(all) => all,
        Err(error) => {
            let meaning = format!("the system does not tell its network interfaces: {error}");
            return vec![Finding::warning(check, meaning, "name a node with --bootstrap")];
        }
    };
    let usable: Vec<_> = all.iter().filter(|one| !one.is_loopback() && !one.is_link_local()).collect();
    if !usable.is_empty() {
        let names: Vec<_> = usable.iter().map(|one| format!("{} {}", one.name, one.ip())).collect();
        return vec![Finding::ok(check, names.join(", "))];
    }
    let near = subject
        .options
        .bootstrap
        .iter()
        .filter_map(Endpoint::of)
        .any(|endpoint| endpoint.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()));
    let meaning = match all.iter().find(|one| !one.is_loopback()) {
        Some(one) => format!("no address of a network, only {} {}, which leads nowhere", one.name, one.ip()),
        None => "no network but this machine's own loopback".to_owned(),
    };
    vec![Finding::fault_unless(near, check, meaning, "connect this machine to a network, by cable or Wi-Fi")]
}

/// Whether announcements go out on each interface and come back.
pub(super) async fn multicast(subject: &Subject<'_>) -> Vec<Finding> {
    let check = "multicast";
    if subject.options.no_mdns {
        return vec![Finding::ok(check, "not looked at: mDNS is off")];
    }
    let others = subject.has_other_ways();
    let mut addresses = BTreeMap::new();
    for one in if_addrs::get_if_addrs().unwrap_or_default() {
        if let (false, IpAddr::V4(ip)) = (one.is_loopback(), one.ip()) {
            addresses.insert(one.name.clone(), ip);
        }
    }
    let mut findings = Vec::new();
    for (name, ip) in &addresses {
        if let Err(why) = echo(*ip).await {
            let meaning = format!("{name} ({ip}): {why}: nodes on this network are not found by mDNS");
            let advice = "let UDP to 224.0.0.251 port 5353 through the firewall of this machine, or name a node with --bootstrap";
            findings.push(Finding::fault_unless(others, check, meaning, advice));
        }
    }
    if findings.is_empty() && !addresses.is_empty() {
        let names: Vec<_> = addresses.keys().map(String::as_str).collect();
        findings.push(Finding::ok(check, format!("packets to the group of mDNS come back on {}", names.join(", "))));
    }
    findings
}

/// Sends a packet to the group on the interface with this address and waits for it.
async fn echo(ip: Ipv4Addr) -> Result<(), String> {
    let sent = async {
        let ear = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        ear.join_multicast_v4(GROUP, ip)?;
        // Bound to the interface's address, it sends by that interface.
        let mouth = UdpSocket::bind((ip, 0)).await?;
        mouth.set_multicast_loop_v4(true)?;
        mouth.send_to(b"bard doctor", (GROUP, ear.local_addr()?.port())).await?;
        Ok::<_, io::Error>((ear, mouth.local_addr()?))
    };
    let (ear, from) = sent.await.map_err(|error| format!("the system sends no multicast ({error})"))?;
    let mut buffer = [0; 64];
    let heard = async {
        loop {
            match ear.recv_from(&mut buffer).await {
                Ok((_, sender)) if sender == from => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(format!("the system receives no multicast ({error})")),
            }
        }
    };
    let filtered = || "a packet to the group of mDNS does not come back, something filters it".to_owned();
    tokio::time::timeout(ECHO, heard).await.unwrap_or_else(|_| Err(filtered()))
}

/// Whether the API can have its port.
pub(super) async fn api_port(subject: &Subject<'_>) -> Option<Finding> {
    let check = "API port";
    let (host, port) = (subject.options.host, subject.options.port);
    if port == 0 {
        return None;
    }
    Some(match ports::bind(host, port).await {
        Ok(_) => Finding::ok(check, format!("{port} is free")),
        Err(error) => {
            let (what, advice) = error.split_once(": ").unwrap_or((&error, "choose another with --port"));
            let holder = subject.holder(port).map_or_else(String::new, |holder| format!(" ({holder})"));
            Finding::fault(check, format!("{what}{holder}"), advice)
        }
    })
}

/// Whether others can be listened to where a node would.
pub(super) fn p2p_ports(subject: &Subject<'_>) -> Vec<Finding> {
    let wanted = !subject.options.listen.is_empty();
    let addresses = if wanted { subject.options.listen.clone() } else { assemble::default_listen() };
    let endpoints = addresses.iter().filter_map(|address| Endpoint::of(address).map(|endpoint| (address, endpoint)));
    endpoints
        .filter(|(_, endpoint)| endpoint.port != 0)
        .map(|(address, at)| p2p_port(subject, wanted, address, &at))
        .collect()
}

fn p2p_port(subject: &Subject<'_>, wanted: bool, address: &Multiaddr, endpoint: &Endpoint) -> Finding {
    let check = "P2P port";
    let Ok(ip) = endpoint.host.parse::<IpAddr>() else {
        return Finding::fault(check, format!("{address} is no address of this machine"), "listen on an IP address");
    };
    let error = match bind(SocketAddr::new(ip, endpoint.port), endpoint.udp) {
        Ok(_) => return Finding::ok(check, format!("{address} is free")),
        Err(error) => error,
    };
    let holder = subject.holder(endpoint.port).unwrap_or_else(|| "another program".to_owned());
    let free = bind(SocketAddr::new(ip, 0), endpoint.udp).map(|port| format!("{port} is free"));
    let free = free.unwrap_or_else(|_| "another port".to_owned());
    match error.kind() {
        io::ErrorKind::AddrInUse if wanted => Finding::fault(
            check,
            format!("{address} is taken by {holder}"),
            format!("choose another with --listen: {free}"),
        ),
        io::ErrorKind::AddrInUse => {
            Finding::ok(check, format!("{address} is taken by {holder}; the node takes a free port instead"))
        }
        io::ErrorKind::AddrNotAvailable => {
            let advice = "listen on an address of this machine, or leave --listen out";
            Finding::fault(check, format!("this machine does not have the address {ip}"), advice)
        }
        _ => Finding::fault(
            check,
            format!("{address} cannot be listened on: {error}"),
            format!("choose another with --listen: {free}"),
        ),
    }
}

/// Takes a port for a moment; returns which.
fn bind(address: SocketAddr, udp: bool) -> io::Result<u16> {
    let taken = if udp {
        StdUdpSocket::bind(address).and_then(|socket| socket.local_addr())
    } else {
        TcpListener::bind(address).and_then(|listener| listener.local_addr())
    };
    taken.map(|address| address.port())
}

/// Whether a node with these options hears of others at all.
pub(super) fn ways(subject: &Subject<'_>) -> Vec<Finding> {
    let options = subject.options;
    let check = "ways to meet";
    if let Err(error) = Configured::read(options.peers_file.as_deref(), &options.tracker) {
        return vec![Finding::fault(check, error.to_string(), "mend the file or the option")];
    }
    if subject.running.is_some() && !subject.has_other_ways() {
        // What a running node was told is not known here.
        return Vec::new();
    }
    let local = (options.data_dir.is_none() && !options.no_local).then_some("nodes of this user on this machine");
    let mut ways: Vec<&str> = local.into_iter().collect();
    for (is_there, way) in [
        (!options.no_mdns, "mDNS on the local network"),
        (!options.bootstrap.is_empty(), "--bootstrap"),
        (options.peers_file.is_some(), "--peers-file"),
        (!options.tracker.is_empty(), "--tracker"),
        (!options.rendezvous.is_empty(), "--rendezvous"),
    ] {
        if is_there {
            ways.push(way);
        }
    }
    vec![match ways.as_slice() {
        [] => Finding::fault(
            check,
            "nothing tells the node of others: mDNS is off and no address is given",
            "leave --no-mdns out, or name a node with --bootstrap",
        ),
        ways if options.no_mdns && !subject.has_other_ways() => Finding::warning(
            check,
            format!("only {}: nodes on other machines are not found", ways.join(", ")),
            "leave --no-mdns out, or name a node with --bootstrap",
        ),
        ways => Finding::ok(check, ways.join(", ")),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_addresses_lead() {
        let endpoint = |text: &str| Endpoint::of(&text.parse().expect("a multiaddress"));
        let expected = Endpoint { host: "10.0.0.1".to_owned(), port: 6000, udp: false };
        assert_eq!(endpoint("/ip4/10.0.0.1/tcp/6000"), Some(expected));
        let quic = endpoint("/dns/teacher.local/udp/6000/quic-v1").expect("an endpoint");
        assert_eq!((quic.host.as_str(), quic.port, quic.udp), ("teacher.local", 6000, true));
        assert_eq!(endpoint("/memory/1"), None);
    }

    #[test]
    fn a_port_that_is_taken_cannot_be_taken_again() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("its address");
        assert_eq!(bind(address, false).map_err(|error| error.kind()), Err(io::ErrorKind::AddrInUse));
        drop(taken);
        assert_eq!(bind(address, false).map_err(|error| error.kind()), Ok(address.port()));
    }
}
