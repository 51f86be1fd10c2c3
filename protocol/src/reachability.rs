//! Whether others can reach this node, and how: one verdict.

use core::fmt;

use libp2p::{Multiaddr, PeerId};

/// What is known of how others reach this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reachability {
    /// The verdict.
    pub verdict: ReachabilityVerdict,
    /// Addresses that others are told, besides those this node listens on.
    pub external: Vec<Multiaddr>,
}

/// The verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReachabilityVerdict {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// Reachable through these relays only.
    Relayed {
        /// The relays.
        relays: Vec<PeerId>,
    },
}

impl fmt::Display for Reachability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not known yet")
    }
}
