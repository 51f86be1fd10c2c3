//! Why a catching up ends early.

use std::sync::Arc;

use bard_chain::{
    hash::BlockId,
    units::{Height, Work},
};

use bard_protocol::RequestError;

use crate::keeper::Closed;

/// Why a session ended before the peer's tip was reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Stopped {
    /// The peer whose headers were followed failed.
    #[error("{0}")]
    Peer(String),
    /// It did not answer when it was asked for headers.
    #[error("asking for headers: {0}")]
    NoAnswer(RequestError),
    /// Its headers come to an end with this work, which is less than it claimed.
    #[error("its headers show less work than it claims")]
    LessShown(Work),
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
        /// Whether somebody is to blame for it.
        is_lie: bool,
    },
    /// This node has no room for more blocks: nobody else's fault.
    #[error("{0}")]
    NoRoom(Arc<str>),
    /// What this node has stored cannot be read.
    #[error("this node's store cannot be read: {0}")]
    Store(String),
    /// The node stops.
    #[error("the node is stopping")]
    Closed,
}

impl From<Closed> for Stopped {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}
