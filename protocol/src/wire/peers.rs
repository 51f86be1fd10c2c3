//! Which other nodes a peer knows: asked after meeting, so that the network outlives the node that brought it together.
//!
//! Ids and addresses travel in their binary multiformats; what they mean is for the peer book.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::{ByteBuf, Bytes};

use super::{
    bounded::{Bounded, ByteStrings},
    frame,
    limits::{MAX_ADDRESSES, MAX_PEERS},
};

/// "Whom do you know?"
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeersRequest;

/// One node, as a peer describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPeer {
    /// Its binary peer id.
    pub id: Vec<u8>,
    /// Its binary multiaddresses; at most [`MAX_ADDRESSES`].
    pub addresses: Vec<Vec<u8>>,
}

/// Some of the nodes that the answerer is connected to; at most [`MAX_PEERS`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeersResponse {
    /// The nodes, in no particular order.
    pub peers: Vec<KnownPeer>,
}

impl frame::Answer for PeersResponse {
    fn too_large() -> Self {
        Self::default()
    }
}

impl Serialize for PeersRequest {
    /// An empty array.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [(); 0].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PeersRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bounded::<(), 0>::deserialize(deserializer).map(|_| Self)
    }
}

impl Serialize for KnownPeer {
    /// `[id, addresses]`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (Bytes::new(&self.id), ByteStrings(&self.addresses)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KnownPeer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (id, addresses) = <(ByteBuf, Bounded<ByteBuf, MAX_ADDRESSES>)>::deserialize(deserializer)?;
        Ok(Self { id: id.into_vec(), addresses: addresses.into_byte_strings() })
    }
}

impl Serialize for PeersResponse {
    /// An array of [`KnownPeer`]s.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.peers.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PeersResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bounded::<KnownPeer, MAX_PEERS>::deserialize(deserializer).map(|list| Self { peers: list.0 })
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::encoding;
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::wire::limits::{MAX_ADDRESS_LEN, MAX_PEER_ID_LEN, PEERS_REQUEST_MAX_LEN, PEERS_RESPONSE_MAX_LEN};

    #[test]
    fn the_request_is_an_empty_array() {
        assert_eq!(encoding::encode(&PeersRequest), [0x80]);
        assert_eq!(encoding::decode(&[0x80], PEERS_REQUEST_MAX_LEN), Ok(PeersRequest));
        assert!(encoding::decode::<PeersRequest>(&[0x81, 0xf6], PEERS_REQUEST_MAX_LEN).is_err());
    }

    #[test]
    fn the_fullest_response_fits_its_limit() {
        let peer = KnownPeer { id: vec![1; MAX_PEER_ID_LEN], addresses: vec![vec![2; MAX_ADDRESS_LEN]; MAX_ADDRESSES] };
        let response = PeersResponse { peers: vec![peer.clone(); MAX_PEERS] };
        let frame = frame::seal(&response, PEERS_RESPONSE_MAX_LEN).expect("within the limit");
        assert_eq!(frame::open(&frame[4..], PEERS_RESPONSE_MAX_LEN), Ok(response));
        let one_more = encoding::encode(&PeersResponse { peers: vec![peer; MAX_PEERS + 1] });
        assert!(encoding::decode::<PeersResponse>(&one_more, 1 << 20).is_err());
    }

    proptest! {
        #[test]
        fn junk_never_panics(bytes in vec(any::<u8>(), 0..512)) {
            let _ = encoding::decode::<PeersResponse>(&bytes, 512);
        }
    }
}
