//! What crosses the wire: bytes to meaning and back, by total functions, every limit in one table.
//!
//! Nothing here knows libp2p or tokio. `protocol/wire.cddl` describes the same in the language of RFC 8610.
//!
//! # Security
//! Every reader takes a limit and compares it with the length of its input before it allocates; every list has a limit of
//! its own on the number of its elements, because a list of empty strings takes far more memory than bytes.

pub(crate) mod bounded;
pub mod compact;
pub mod frame;
pub mod gossip;
pub mod limits;
pub mod peers;
pub mod spec;
pub mod status;
pub mod sync;

use bard_chain::encoding::EncodingError;

/// Why bytes from the wire were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Longer than a message of this kind may be.
    #[error("a message of {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// The length in bytes that was found or claimed.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A message without any content.
    #[error("an empty message")]
    Empty,
    /// A frame of a version that this software does not know.
    #[error("frame version {version}, only version {known} is known", known = limits::FRAME_VERSION)]
    UnknownVersion {
        /// The version that was found.
        version: u8,
    },
    /// Not the canonical encoding of a message of this kind.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
}
