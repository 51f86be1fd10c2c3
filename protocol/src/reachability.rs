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

#[derive(Debug, Default)]
pub(crate) struct Observer;
#[allow(unused)]
impl Observer {
    pub(crate) fn observed(
        &mut self,
        _: PeerId,
        _: &Multiaddr,
        o: &Multiaddr,
        _: bool,
        _: &[Multiaddr],
    ) -> Option<Multiaddr> {
        Some(o.clone())
    }
    pub(crate) fn probed(&mut self, _: &Multiaddr, _: PeerId, _: bool) {}
    pub(crate) fn mapped(&mut self, _: &Multiaddr) {}
    pub(crate) fn unmapped(&mut self, _: &Multiaddr) {}
    pub(crate) fn reserved(&mut self, _: PeerId) {}
    pub(crate) fn lost(&mut self, _: &PeerId) {}
    pub(crate) fn gone(&mut self, _: &PeerId) {}
    pub(crate) fn inbound(&mut self, _: &Multiaddr, _: core::time::Duration) {}
    pub(crate) fn configured(&mut self, _: &[Multiaddr]) {}
    pub(crate) fn believed(&self) -> Vec<Multiaddr> {
        Vec::new()
    }
    pub(crate) fn verdict(&self, _: &[Multiaddr]) -> Reachability {
        Reachability::default()
    }
    pub(crate) fn wants_relay(&self, _: &[Multiaddr]) -> bool {
        false
    }
}
