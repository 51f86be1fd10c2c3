//! Nodes of the same user on the same machine. mDNS skips the loopback interface, so two nodes on one computer without a
//! network would never meet; the node leaves its addresses in a file, and whoever reads that file makes candidates of it.

use libp2p::Multiaddr;

use super::{Candidate, Origin};
use crate::address::is_loopback;

/// A candidate from the addresses that another node of this machine listens on; loopback first, because it always works.
pub fn candidate(mut listening: Vec<Multiaddr>) -> Option<Candidate> {
    listening.sort_by_key(|address| !is_loopback(address));
    let peer = listening.iter().find_map(|address| super::split_peer_id(address.clone()).1);
    let addresses: Vec<_> = listening.into_iter().map(|address| super::split_peer_id(address).0).collect();
    (!addresses.is_empty()).then_some(Candidate { peer, addresses, origin: Origin::Local })
}

#[cfg(test)]
mod tests {
    use libp2p::PeerId;

    use super::*;

    #[test]
    fn loopback_comes_first() {
        let peer = PeerId::random();
        let listening = ["/ip4/10.0.0.5/tcp/4001", "/ip4/127.0.0.1/tcp/4001"]
            .map(|text| format!("{text}/p2p/{peer}").parse().expect("a multiaddress"));
        let candidate = candidate(listening.to_vec()).expect("two addresses");
        assert_eq!(candidate.peer, Some(peer));
        assert_eq!(candidate.addresses[0].to_string(), "/ip4/127.0.0.1/tcp/4001");
        assert_eq!(super::candidate(Vec::new()), None);
    }
}
