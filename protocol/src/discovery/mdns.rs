//! Nodes that announce themselves on the local network. Every libp2p program does so under the same name, so many of them
//! are not ours: that shows when they are met.

use core::time::Duration;
use std::{collections::BTreeMap, io};

use libp2p::{Multiaddr, PeerId, mdns};

use super::{Candidate, Origin};

/// How often the local network is asked. The default of 5 minutes would be a long time in a classroom.
const QUERY_INTERVAL: Duration = Duration::from_secs(30);

/// How long to wait before trying again after mDNS could not be started.
pub(crate) const RETRY_INTERVAL: Duration = Duration::from_secs(30);

/// Addresses on the local network that are known at once: of 500 nodes, each with TCP and QUIC. libp2p keeps each until the
/// time that its sender names, and looks through all of them at each new one; whoever is on the network can make up endless
/// ones. Above this mDNS begins anew, after [`RETRY_INTERVAL`].
pub(crate) const MAX_FOUND: usize = 1_024;

/// Starts mDNS.
///
/// # Errors
/// When the system does not tell about its network interfaces.
pub(crate) fn behaviour(own: PeerId) -> io::Result<mdns::tokio::Behaviour> {
    let config = mdns::Config { query_interval: QUERY_INTERVAL, ..mdns::Config::default() };
    mdns::tokio::Behaviour::new(config, own)
}

/// One candidate for each peer in what mDNS has found.
pub(crate) fn candidates(found: Vec<(PeerId, Multiaddr)>) -> Vec<Candidate> {
    let mut peers: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
    for (peer, address) in found {
        peers.entry(peer).or_default().push(address);
    }
    let candidate = |(peer, addresses)| Candidate { peer: Some(peer), addresses, origin: Origin::Mdns };
    peers.into_iter().map(candidate).collect()
}
