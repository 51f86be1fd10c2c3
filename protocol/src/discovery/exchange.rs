//! Peers that tell of their peers: what keeps a network together when the node that everybody dialled first goes away.

use libp2p::{Multiaddr, PeerId};

use super::{Candidate, Origin, is_dialable};
use crate::wire::{
    limits::{MAX_ADDRESS_LEN, MAX_ADDRESSES, MAX_PEER_ID_LEN, MAX_PEERS},
    peers::{KnownPeer, PeersResponse},
};

/// What is told of some peers.
pub(crate) fn response<'a>(peers: impl Iterator<Item = (PeerId, Vec<&'a Multiaddr>)>) -> PeersResponse {
    let known = |(id, addresses): (PeerId, Vec<&Multiaddr>)| KnownPeer {
        id: id.to_bytes(),
        addresses: addresses.into_iter().take(MAX_ADDRESSES).map(|address| address.to_vec()).collect(),
    };
    PeersResponse { peers: peers.take(MAX_PEERS).map(known).filter(|peer| !peer.addresses.is_empty()).collect() }
}

/// What a peer told: entries that are no ids and no usable addresses are passed over.
pub(crate) fn candidates(response: PeersResponse) -> Vec<Candidate> {
    let candidate = |known: KnownPeer| {
        let id = Some(known.id).filter(|id| id.len() <= MAX_PEER_ID_LEN)?;
        let peer = PeerId::from_bytes(&id).ok()?;
        let addresses: Vec<_> = known
            .addresses
            .into_iter()
            .filter(|bytes| bytes.len() <= MAX_ADDRESS_LEN)
            .filter_map(|bytes| Multiaddr::try_from(bytes).ok())
            .filter(is_dialable)
            .collect();
        (!addresses.is_empty()).then_some(Candidate { peer: Some(peer), addresses, origin: Origin::Exchange })
    };
    response.peers.into_iter().filter_map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood_and_junk_passed_over() {
        let peer = PeerId::random();
        let address: Multiaddr = "/ip4/10.0.0.1/tcp/4001".parse().expect("a multiaddress");
        let mut told = response([(peer, vec![&address]), (PeerId::random(), vec![])].into_iter());
        assert_eq!(told.peers.len(), 1);
        told.peers.push(KnownPeer { id: vec![1, 2, 3], addresses: vec![address.to_vec()] });
        told.peers.push(KnownPeer { id: peer.to_bytes(), addresses: vec![vec![0xff; 40]] });
        let expected = Candidate { peer: Some(peer), addresses: vec![address], origin: Origin::Exchange };
        assert_eq!(candidates(told), [expected]);
    }
}
