//! Another node, asked over its HTTP API who it is and where it listens.

use std::net::IpAddr;

use bard_chain::hash::ChainId;
use bard_protocol::{Candidate, Multiaddr, Origin, PeerId, wire::limits::MAX_ADDRESSES};
use serde::Deserialize;

use super::{
    http::{Client, HttpError},
    place::HostPort,
};

/// Where a node tells of itself.
const PATH: &str = "/api/v1/node";
/// Addresses of one answer that are looked at; honest nodes have one for each interface and transport.
const MAX_LOOKED_AT: usize = 64;
/// The longest address that is looked at, in characters.
pub(super) const MAX_TEXT: usize = 512;
/// Characters of a chain's name that are shown.
const MAX_NAME: usize = 40;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) peer: PeerId,
    pub(super) chain: ChainId,
    pub(super) chain_name: String,
}

/// Why a node could not be found over HTTP: one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No connection.
    #[error("http://{api} cannot be reached: {reason}")]
    Unreachable {
        /// Where.
        api: HostPort,
        /// The reason in a few words.
        reason: String,
    },
    /// A connection that nothing came through in time.
    #[error("http://{api} did not answer in time")]
    Silent {
        /// Where.
        api: HostPort,
    },
    /// Something else than HTTP.
    #[error("http://{api} does not speak HTTP")]
    NotHttp {
        /// Where.
        api: HostPort,
    },
    /// HTTP, but not what a node says.
    #[error("http://{api} is not the API of a BlockBard node: {reason}")]
    NotANode {
        /// Where.
        api: HostPort,
        /// What is wrong with the answer.
        reason: String,
    },
    /// A node of another chain.
    #[error("the node at http://{api} is on another chain: {theirs}, not {ours}")]
    OtherChain {
        /// Where.
        api: HostPort,
        /// Name and id of its chain.
        theirs: String,
        /// Name and id of ours.
        ours: String,
    },
    /// This node.
    #[error("http://{api} is this node itself, or a copy of its identity")]
    Ourselves {
        /// Where.
        api: HostPort,
    },
    /// A node of our chain, of no use from here.
    #[error("the node at http://{api} listens on no address that can be reached from here; see its --listen")]
    NoAddress {
        /// Where.
        api: HostPort,
    },
}

/// What a node says of itself, as far as it matters here.
#[derive(Deserialize)]
struct Described {
    peer_id: String,
    listen: Vec<String>,
    #[serde(default)]
    external: Vec<String>,
    chain: DescribedChain,
}

#[derive(Deserialize)]
struct DescribedChain {
    name: String,
    id: String,
}

/// Asks the node whose API is at `api`.
pub(super) async fn ask(client: &Client, api: &HostPort, own: &Own, origin: Origin) -> Result<Candidate, AskError> {
    let api = api.clone();
    let answer = match client.get(&api, PATH).await {
        Ok(answer) => answer,
        Err(HttpError::Unreachable(reason)) => return Err(AskError::Unreachable { api, reason }),
        Err(HttpError::Silent) => return Err(AskError::Silent { api }),
        Err(HttpError::NotHttp) => return Err(AskError::NotHttp { api }),
        Err(error @ (HttpError::Status(_) | HttpError::TooLong)) => {
            return Err(AskError::NotANode { api, reason: format!("it {error}") });
        }
    };
    read(&answer.body, &answer.ips, api, own, origin)
}

fn read(body: &[u8], ips: &[IpAddr], api: HostPort, own: &Own, origin: Origin) -> Result<Candidate, AskError> {
    let Ok(described) = serde_json::from_slice::<Described>(body) else {
        return Err(AskError::NotANode { api, reason: "its answer is something else".to_owned() });
    };
    let Ok(peer) = described.peer_id.parse::<PeerId>() else {
        return Err(AskError::NotANode { api, reason: "its answer has no peer id".to_owned() });
    };
    let Ok(chain) = described.chain.id.parse::<ChainId>() else {
        return Err(AskError::NotANode { api, reason: "its answer has no id of a chain".to_owned() });
    };
    if chain != own.chain {
        let theirs = format!("{} ({})", plain(&described.chain.name), chain.short());
        return Err(AskError::OtherChain { api, theirs, ours: format!("{} ({})", own.chain_name, own.chain.short()) });
    }
    if peer == own.peer {
        return Err(AskError::Ourselves { api });
    }
    let told = described.listen.iter().chain(&described.external).map(String::as_str);
    let addresses = reachable(told, peer, ips);
    if addresses.is_empty() {
        return Err(AskError::NoAddress { api });
    }
    Ok(Candidate { peer: Some(peer), addresses, origin })
}

/// A stranger's name without anything that a terminal could take for a command.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).take(MAX_NAME).collect()
}

/// The addresses of `peer` as this machine can reach them, if its host has the addresses `ips` from here: those of the same
/// host first. Each ends with `/p2p/<peer>`; at most [`MAX_ADDRESSES`].
fn reachable<'a>(told: impl Iterator<Item = &'a str>, peer: PeerId, ips: &[IpAddr]) -> Vec<Multiaddr> {
    let same_machine = ips.iter().any(IpAddr::is_loopback);
    let mut found: Vec<Multiaddr> = Vec::new();
    for text in told.filter(|text| text.len() <= MAX_TEXT).take(MAX_LOOKED_AT) {
        let Ok(address) = text.parse::<Multiaddr>() else { continue };
        let meant: Vec<Multiaddr> = match address.ip_addr() {
            Some(ip) if ip.is_unspecified() => ips.iter().filter_map(|host| with_ip(&address, ip, *host)).collect(),
            Some(ip) if ip.is_loopback() && !same_machine => Vec::new(),
            _ if address.is_empty() => Vec::new(),
            _ => vec![address],
        };
        for address in meant.into_iter().filter_map(|address| address.with_p2p(peer).ok()) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    found.sort_by_key(|address| !address.ip_addr().is_some_and(|ip| ips.contains(&ip)));
    found.truncate(MAX_ADDRESSES);
    found
}

/// The address with the IP address of its host in place of `any`, where both are of one family.
fn with_ip(address: &Multiaddr, any: IpAddr, host: IpAddr) -> Option<Multiaddr> {
    if any.is_ipv4() != host.is_ipv4() {
        return None;
    }
    let mut meant = Multiaddr::from(host);
    address.iter().skip(1).for_each(|part| meant.push(part));
    Some(meant)
}

/// Whether an address means this machine to whoever dials it.
pub(super) fn is_loopback(address: &Multiaddr) -> bool {
    address.ip_addr().is_some_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(told: &[&str], ips: &[&str]) -> Vec<String> {
        let peer = PeerId::random();
        let ips: Vec<IpAddr> = ips.iter().map(|ip| ip.parse().expect("an IP address")).collect();
        let tail = format!("/p2p/{peer}");
        let found = reachable(told.iter().copied(), peer, &ips);
        let text = |address: &Multiaddr| address.to_string().strip_suffix(&tail).expect("with the peer id").to_owned();
        found.iter().map(text).collect()
    }

    #[test]
    fn addresses_are_those_that_can_be_reached_from_here() {
        let told = ["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.5/tcp/1", "/ip4/192.168.1.7/tcp/1", "/dns/a.example/tcp/1"];
        let far = ["/ip4/192.168.1.7/tcp/1", "/ip4/10.0.0.5/tcp/1", "/dns/a.example/tcp/1"];
        assert_eq!(reached(&told, &["192.168.1.7"]), far);
        assert_eq!(reached(&told, &["127.0.0.1"]), told);
        assert_eq!(reached(&["/ip4/0.0.0.0/tcp/1"], &["10.0.0.5", "::1"]), ["/ip4/10.0.0.5/tcp/1"]);
        assert_eq!(reached(&["/ip6/::/udp/1/quic-v1"], &["10.0.0.5", "fd00::1"]), ["/ip6/fd00::1/udp/1/quic-v1"]);
        assert!(reached(&["", "/", "nonsense", "/ip4/127.0.0.1/tcp/1"], &["10.0.0.5"]).is_empty());
        let many: Vec<String> = (1..100).map(|port| format!("/ip4/10.0.0.5/tcp/{port}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(reached(&many, &["10.0.0.5"]).len(), MAX_ADDRESSES);
    }

    #[test]
    fn an_address_of_somebody_else_is_left_out() {
        let (peer, other) = (PeerId::random(), PeerId::random());
        let told = [format!("/ip4/10.0.0.1/tcp/1/p2p/{other}"), format!("/ip4/10.0.0.1/tcp/2/p2p/{peer}")];
        let found = reachable(told.iter().map(String::as_str), peer, &["10.0.0.1".parse().expect("one")]);
        assert_eq!(found, [told[1].parse().expect("a multiaddress")]);
    }
}
