//! That a transaction is in a block, as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Hash, Header};
use crate::application::reply;

/// That a transaction is in a block: the way from its id to the transactions root of the block's header, as in RFC 9162,
/// section 2.1.3.2, with the hash function of this chain's trees.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Proof {
    /// The id of the transaction.
    pub id: Hash,
    /// The header of its block.
    pub header: Header,
    /// Index of the transaction in the block, from 0.
    pub index: u64,
    /// Number of transactions in the block.
    pub size: u64,
    /// The hashes beside the way from the transaction to the root, the lowest first.
    pub path: Vec<Hash>,
}

impl From<&reply::Proof> for Proof {
    fn from(proof: &reply::Proof) -> Self {
        Self {
            id: proof.id.into(),
            header: Header::new(proof.header.id, &proof.header.header),
            index: proof.proof.index,
            size: proof.proof.size,
            path: proof.proof.path.iter().map(|hash| (*hash).into()).collect(),
        }
    }
}
