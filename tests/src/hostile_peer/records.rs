//! Kademlia's messages, spelled by hand.

use libp2p::{Multiaddr, PeerId};

use super::gossip::{field, varint};

/// Kinds of messages.
const PUT_VALUE: u8 = 0;
const ADD_PROVIDER: u8 = 2;
const FIND_NODE: u8 = 4;

fn message(kind: u8, rest: &[u8]) -> Vec<u8> {
    let message = [&[0x08, kind], rest].concat();
    [varint(message.len()), message].concat()
}

/// A peer and where it is said to be, in a field of this number.
fn peer(number: u8, id: PeerId, addresses: &[Multiaddr]) -> Vec<u8> {
    let addresses: Vec<u8> = addresses.iter().flat_map(|address| field(2, &address.to_vec())).collect();
    field(number, &[field(1, &id.to_bytes()), addresses, vec![0x18, 1]].concat())
}

/// Wants a record stored.
pub fn put(key: &[u8], value: &[u8]) -> Vec<u8> {
    let record = [field(1, key), field(2, value)].concat();
    message(PUT_VALUE, &[field(2, key), field(3, &record)].concat())
}

/// Says that somebody has what belongs to a key.
pub fn provide(key: &[u8], id: PeerId, addresses: &[Multiaddr]) -> Vec<u8> {
    message(ADD_PROVIDER, &[field(2, key), peer(9, id, addresses)].concat())
}

/// Asks who is near a key.
pub fn find(key: &[u8]) -> Vec<u8> {
    message(FIND_NODE, &field(2, key))
}

/// Tells of peers near a key.
pub fn found<'a>(peers: impl IntoIterator<Item = (PeerId, &'a [Multiaddr])>) -> Vec<u8> {
    let peers: Vec<u8> = peers.into_iter().flat_map(|(id, addresses)| peer(8, id, addresses)).collect();
    message(FIND_NODE, &peers)
}
