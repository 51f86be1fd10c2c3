//! gossipsub's messages, spelled by hand: what its library would never send can be sent too.

/// The protocol that every version of gossipsub speaks.
pub const PROTOCOL: &str = "/meshsub/1.1.0";

/// An RPC that subscribes to a topic.
pub fn subscription(topic: &str) -> Vec<u8> {
    let options = [vec![0x08, 1], field(2, topic.as_bytes())].concat();
    field(1, &options)
}

/// An RPC with one anonymous message.
pub fn publication(topic: &str, data: &[u8]) -> Vec<u8> {
    field(2, &[field(2, data), field(4, topic.as_bytes())].concat())
}

/// An RPC with one message that names a source and a sequence number, as it must not on BlockBard's topics.
pub fn signed_publication(topic: &str, data: &[u8]) -> Vec<u8> {
    let message =
        [field(1, &[7; 38]), field(2, data), field(3, &[0; 8]), field(4, topic.as_bytes()), field(5, &[1; 64])];
    field(2, &message.concat())
}

/// An RPC that claims to have messages with these ids.
pub fn offer<'a>(topic: &str, ids: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let ids: Vec<u8> = ids.into_iter().flat_map(|id| field(2, id)).collect();
    field(3, &field(1, &[field(1, topic.as_bytes()), ids].concat()))
}

/// An RPC that ends the subscription to a topic.
pub fn unsubscription(topic: &str) -> Vec<u8> {
    field(1, &[vec![0x08, 0], field(2, topic.as_bytes())].concat())
}

/// An RPC that asks for the messages with these ids.
pub fn wish<'a>(ids: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    field(3, &field(2, &all(ids)))
}

/// An RPC that joins a topic's mesh.
pub fn graft(topic: &str) -> Vec<u8> {
    field(3, &field(3, &field(1, topic.as_bytes())))
}

/// An RPC that leaves a topic's mesh, for so many seconds.
pub fn prune(topic: &str, seconds: u64) -> Vec<u8> {
    let backoff = [vec![0x18], varint(usize::try_from(seconds).expect("64 bits"))].concat();
    field(3, &field(4, &[field(1, topic.as_bytes()), backoff].concat()))
}

/// An RPC that declines the messages with these ids.
pub fn refusal<'a>(ids: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    field(3, &field(5, &all(ids)))
}

fn all<'a>(ids: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    ids.into_iter().flat_map(|id| field(1, id)).collect()
}

/// An RPC as it lies in a stream: its length as a varint, then itself.
pub fn framed(rpc: &[u8]) -> Vec<u8> {
    [varint(rpc.len()), rpc.to_vec()].concat()
}

/// A number in protobuf's variable length.
pub fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A protobuf field of bytes.
pub fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(content.len()), content.to_vec()].concat()
}
