//! Who a node is on the network: a key pair, and the peer id derived from it. It signs connections, nothing on the chain.

use core::fmt;

use libp2p::{PeerId, identity::Keypair};

/// The key pair of a node.
#[derive(Clone)]
pub struct Identity(Keypair);

/// Bytes that are not the seed of a key pair of the kind this software uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the seed of an ed25519 key pair")]
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
    fn follows_from_its_seed() {
        let [one, same, other] = [7, 7, 8].map(|byte| Identity::from_seed([byte; 32]).expect("a seed"));
        assert_eq!(one.peer_id(), same.peer_id());
        assert_ne!(one.peer_id(), other.peer_id());
    }
}
