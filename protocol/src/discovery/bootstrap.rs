//! Configured nodes: dialled for ever, whether or not any other way to find peers works.

use libp2p::Multiaddr;

use super::{Candidate, Origin};

/// One candidate for each configured address.
pub fn candidates(addresses: &[Multiaddr]) -> Vec<Candidate> {
    addresses.iter().map(|address| Candidate::from_address(address.clone(), Origin::Bootstrap)).collect()
}
