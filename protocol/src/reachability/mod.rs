//! Whether others can reach this node, and how: one verdict.

pub(crate) mod address;
mod grounds;
pub(crate) mod observer;

use core::fmt;

use libp2p::{Multiaddr, PeerId};

pub use self::grounds::{Grounds, Router, Tried};

/// What is known of how others reach this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reachability {
    /// The verdict.
    pub verdict: ReachabilityVerdict,
    /// Addresses that others are told, besides those this node listens on; at most 16.
    pub external: Vec<Multiaddr>,
    /// What the verdict rests on.
    pub grounds: Grounds,
}

impl Reachability {
    /// What was seen, tried and told, a line each.
    pub fn reasons(&self) -> Vec<String> {
        self.grounds.reasons()
    }

    /// What a person can do, a line each; nothing where nothing has to be done.
    pub fn advice(&self) -> Vec<String> {
        self.grounds.advice(&self.verdict)
    }
}

/// The verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReachabilityVerdict {
    /// Nobody has tried yet.
    #[default]
    Unknown,
    /// This node listens on the loopback interface alone.
    ThisMachine,
    /// Reachable from the public internet.
    Public {
        /// Where.
        address: Multiaddr,
        /// How this is known.
        evidence: Evidence,
    },
    /// Reachable through relays, for those who cannot reach it directly.
    Relayed {
        /// The relays; at most 8.
        relays: Vec<PeerId>,
        /// Hosts of the local network from which peers have connected directly.
        local: usize,
    },
    /// Reachable from the local network; from outside, not or not known.
    LocalNetwork {
        /// Hosts of the local network from which peers have connected.
        local: usize,
        /// Attempts of peers to reach it from outside that failed.
        failed: usize,
        /// What to forward on the router.
        ports: Vec<ListenPort>,
    },
    /// Nobody reaches it from outside, and no relay helps.
    Unreachable {
        /// Attempts of peers to reach it that failed.
        failed: usize,
        /// What to forward on the router.
        ports: Vec<ListenPort>,
    },
}

/// How a public address is known to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A person said so.
    Configured,
    /// So many peers reached it when they were asked to try (AutoNAT).
    Probes(usize),
    /// The router forwards it (UPnP).
    Mapped,
    /// This machine has the address itself, and peers from so many hosts outside have connected.
    Inbound(usize),
}

/// A port that this node listens on. Ordered by transport and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListenPort {
    /// Of TCP.
    Tcp(u16),
    /// Of UDP, for QUIC.
    Udp(u16),
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured => f.write_str("configured"),
            Self::Probes(1) => f.write_str("1 peer reached it, AutoNAT"),
            Self::Probes(peers) => write!(f, "{peers} peers reached it, AutoNAT"),
            Self::Mapped => f.write_str("the router forwards it, UPnP"),
            Self::Inbound(hosts) => {
                let noun = if *hosts == 1 { "host" } else { "hosts" };
                write!(f, "this machine has that address, and {hosts} {noun} from outside connected")
            }
        }
    }
}

impl fmt::Display for ListenPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(f, "TCP port {port}"),
            Self::Udp(port) => write!(f, "UDP port {port}"),
        }
    }
}

impl fmt::Display for Reachability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verdict.fmt(f)
    }
}

impl fmt::Display for ReachabilityVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown: nobody has tried yet"),
            Self::ThisMachine => f.write_str("this machine only: no other address than loopback is listened on"),
            Self::Public { address, evidence } => write!(f, "publicly reachable at {address} ({evidence})"),
            Self::Relayed { relays, local } => {
                let ids: Vec<_> = relays.iter().map(PeerId::to_string).collect();
                let noun = if ids.len() == 1 { "relay" } else { "relays" };
                write!(f, "behind a NAT or firewall, reachable through {noun} {}", ids.join(", "))?;
                if *local > 0 {
                    write!(f, "; directly on the local network ({})", hosts(*local))?;
                }
                Ok(())
            }
            Self::LocalNetwork { local, failed: 0, .. } => {
                write!(f, "reachable on the local network ({}); from outside nobody has tried yet", hosts(*local))
            }
            Self::LocalNetwork { local, failed, ports } => {
                let advice = advice(ports);
                write!(f, "reachable on the local network only ({}): {}; {advice}", hosts(*local), probes(*failed))
            }
            Self::Unreachable { failed, ports } => {
                write!(f, "not reachable from outside: {}, no relay; {}", probes(*failed), advice(ports))
            }
        }
    }
}

fn hosts(local: usize) -> String {
    if local == 1 { "1 host connected from there".to_owned() } else { format!("{local} hosts connected from there") }
}

fn probes(failed: usize) -> String {
    if failed == 1 { "1 probe failed".to_owned() } else { format!("{failed} probes failed") }
}

/// What a person can do about it.
fn advice(ports: &[ListenPort]) -> String {
    let ports: Vec<_> = ports.iter().map(ListenPort::to_string).collect();
    let forward = if ports.is_empty() { "a port".to_owned() } else { ports.join(" and ") };
    format!("forward {forward} on the router, or use a relay: --relay-server on a reachable node")
}

#[cfg(test)]
mod tests;
