//! Who a node is on the network: a key pair, and the peer id derived from it. It signs connections, nothing on the chain.

use core::fmt;

use libp2p::{PeerId, identity::Keypair};

/// The key pair of a node.
#[derive(Clone)]
pub struct Identity(Keypair);

/// Bytes that are not a key pair of a kind this software uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the protobuf form of an ed25519 key pair")]
pub struct IdentityError;

impl Identity {
    /// A new identity from the randomness of the operating system.
    pub fn generate() -> Self {
        Self(Keypair::generate_ed25519())
    }

    /// The identity that follows from the 32-byte seed of an ed25519 key.
    ///
    /// # Errors
    /// [`IdentityError`] cannot happen for 32 bytes; libp2p's signature allows it.
    pub fn from_seed(seed: [u8; 32]) -> Result<Self, IdentityError> {
        Keypair::ed25519_from_bytes(seed).map(Self).map_err(|_| IdentityError)
    }

    /// Reads what [`Identity::to_protobuf_bytes`] wrote.
    ///
    /// # Errors
    /// [`IdentityError`] for anything else.
    pub fn from_protobuf_bytes(bytes: &[u8]) -> Result<Self, IdentityError> {
        Keypair::from_protobuf_encoding(bytes).map(Self).map_err(|_| IdentityError)
    }

    /// The form that is kept on disk. It is secret.
    ///
    /// # Errors
    /// [`IdentityError`] cannot happen for an ed25519 key, the only kind there is here; libp2p's signature allows it.
    pub fn to_protobuf_bytes(&self) -> Result<Vec<u8>, IdentityError> {
        self.0.to_protobuf_encoding().map_err(|_| IdentityError)
    }

    /// The id by which others know this node.
    pub fn peer_id(&self) -> PeerId {
        self.0.public().to_peer_id()
    }

    pub(crate) fn keypair(&self) -> &Keypair {
        &self.0
    }
}

impl fmt::Debug for Identity {
    /// Shows the public half alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.peer_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_its_encoding() {
        let identity = Identity::generate();
        let bytes = identity.to_protobuf_bytes().expect("ed25519");
        assert_eq!(Identity::from_protobuf_bytes(&bytes).map(|read| read.peer_id()), Ok(identity.peer_id()));
        assert!(Identity::from_protobuf_bytes(&bytes[1..]).is_err());
    }
}
