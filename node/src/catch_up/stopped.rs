//! Why a catching up ends early.

use std::sync::Arc;

use bard_chain::{hash::BlockId, units::Height};

use crate::keeper::Closed;

/// Why a session ended before the peer's tip was reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stopped {
    /// The peer whose headers were followed failed.
    #[error("{0}")]
    Peer(String),
    /// Nobody has the bodies any more.
    #[error("no connected peer has the blocks that are missing")]
    NoBodies,
    /// The connected peers began with later states.
    #[error("the connected peers have blocks from height {0} on only: one with the whole chain is needed")]
    BodiesOnlyFrom(Height),
    /// A block is invalid.
    #[error("block {id} is invalid: {reason}")]
    Invalid {
        /// Which block.
        id: BlockId,
        /// Why.
        reason: String,
    },
    /// This node has no room for more blocks: nobody else's fault.
    #[error("{0}")]
    NoRoom(Arc<str>),
    /// The node stops, or its store fails.
    #[error("the node is stopping")]
    Closed,
}

impl From<Closed> for Stopped {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}
