//! What the old programs answered with. Fields are in the order of their names, as those programs sent them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::interface::view::replaced_json::{OldBlock, OldTransaction};

/// Something was done.
#[derive(Serialize, ToSchema)]
pub(super) struct OldMessage {
    pub(super) message: &'static str,
}

/// Why something was not done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OldRefusal {
    /// What can be done, or why a block is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) details: Option<String>,
    /// What was wrong: as the old program said it, or exactly.
    pub(super) error: String,
    /// The other of the two.
    pub(super) message: String,
    /// What asking the others came to, for a block that is not known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resolve_response: Option<Value>,
}

/// A block that was mined.
#[derive(Serialize, ToSchema)]
pub(super) struct OldMined {
    #[schema(value_type = OldBlock)]
    pub(super) block: Value,
    /// How busy the processors were, such as `41.67%`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_utilization: Option<String>,
    pub(super) message: &'static str,
    /// How long it took, such as `0.31 seconds`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time_taken: Option<String>,
}

/// A payment in the pool.
#[derive(Serialize, ToSchema)]
pub(super) struct OldPaid {
    pub(super) message: &'static str,
    #[schema(value_type = OldTransaction)]
    pub(super) transaction: Value,
}

/// A balance.
#[derive(Serialize, ToSchema)]
pub(super) struct OldBalance {
    /// As it was asked for.
    pub(super) address: String,
    /// As confirmed.
    pub(super) balance: u64,
    /// With what is in the pool.
    pub(super) pending: u64,
}

/// What the names of this node have.
#[derive(Serialize, ToSchema)]
pub(super) struct OldWallets {
    pub(super) wallets: BTreeMap<String, u64>,
}

/// Nodes that are known by HTTP addresses.
#[derive(Serialize, ToSchema)]
pub(super) struct OldNodeList {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<&'static str>,
    /// As URLs.
    pub(super) nodes: Vec<String>,
    /// As `host:port`.
    pub(super) total_nodes: Vec<String>,
}

/// What a discovery came to.
#[derive(Serialize, ToSchema)]
pub(super) struct OldDiscovery {
    pub(super) chain_length: u64,
    pub(super) message: &'static str,
    /// Nodes that are known by HTTP addresses, as URLs.
    pub(super) peers: Vec<String>,
}

/// A block that this node has, or got just now.
#[derive(Serialize, ToSchema)]
pub(super) struct OldAdded {
    /// Whether it is on the active chain.
    pub(super) active: bool,
    pub(super) message: String,
}

/// What kind of chain this is.
#[derive(Serialize, ToSchema)]
pub(super) struct OldInfo {
    /// Hex digits at the beginning of a hash that must be zero.
    pub(super) difficulty: u32,
    pub(super) is_valid: bool,
    pub(super) mining_reward: u64,
    pub(super) name: &'static str,
    pub(super) pending_transactions: usize,
    pub(super) total_blocks: u64,
    pub(super) total_nodes: usize,
    pub(super) version: &'static str,
}

/// Whether the chain is valid.
#[derive(Serialize, ToSchema)]
pub(super) struct OldValidity {
    pub(super) valid: bool,
}

/// A chain that was found valid.
#[derive(Serialize, ToSchema)]
pub(super) struct OldVerified {
    /// How busy the processors were, such as `41.67%`.
    pub(super) cpu_utilization: String,
    pub(super) message: &'static str,
    /// How long it took, such as `0.31 seconds`.
    pub(super) time_taken: String,
    pub(super) valid: bool,
}

/// A chain that was found invalid.
#[derive(Serialize, ToSchema)]
pub(super) struct OldInvalid {
    pub(super) details: String,
    pub(super) error: String,
    pub(super) valid: bool,
}
