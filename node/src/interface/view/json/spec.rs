//! The specification of a chain.

use bard_chain::spec::{ChainSpec, Difficulty};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Address, Amount, Hash, Time};

/// The numbers of a chain.
#[derive(Serialize, ToSchema)]
pub struct Spec<'a> {
    name: &'a str,
    /// The id of the chain, which commits to every number here.
    id: Hash,
    /// Whether only nodes that know the group's secret take part.
    closed: bool,
    /// The proof-of-work function.
    #[schema(examples("sha256d", "blake3"))]
    pow: &'static str,
    /// When the genesis block is said to be made.
    genesis_time: Time,
    /// Intended time between two blocks, in ms.
    target_interval_ms: u64,
    /// How far behind schedule doubles the target, in ms; null where the difficulty is fixed.
    half_life_ms: Option<u64>,
    /// Compact target of the first blocks, 8 hex digits.
    #[schema(examples("1f00ffff"))]
    initial_target: String,
    /// The easiest compact target that any block may have, 8 hex digits.
    easiest_target: String,
    /// The longest block, in bytes.
    max_block_bytes: u64,
    /// The longest content of a record, in bytes.
    max_record_bytes: u64,
    /// How many blocks a reorganisation may undo.
    max_reorg_depth: u64,
    /// How far ahead of a node's clock a block's time may be, in ms.
    max_drift_ms: u64,
    subsidy: Subsidy,
    /// Who has what at the start, by address.
    allocations: Vec<Allocation>,
}

/// What a miner gets besides the fees.
#[derive(Serialize, ToSchema)]
pub struct Subsidy {
    amount: u64,
    /// Every so many blocks it halves; 0: never.
    halving_interval: u64,
    /// The last block that gets any.
    last_height: u64,
}

/// What an account has at the start.
#[derive(Serialize, ToSchema)]
pub struct Allocation {
    address: Address,
    amount: Amount,
}

impl<'a> From<&'a ChainSpec> for Spec<'a> {
    fn from(spec: &'a ChainSpec) -> Self {
        Self {
            name: &spec.name,
            id: spec.chain_id().into(),
            closed: spec.closed,
            pow: spec.pow.as_str(),
            genesis_time: Time(spec.genesis_time),
            target_interval_ms: spec.target_interval_ms,
            half_life_ms: match spec.difficulty {
                Difficulty::Fixed => None,
                Difficulty::Asert { half_life_ms } => Some(half_life_ms),
            },
            initial_target: spec.initial_target.to_string(),
            easiest_target: spec.easiest_target.to_string(),
            max_block_bytes: spec.max_block_bytes,
            max_record_bytes: spec.max_record_bytes,
            max_reorg_depth: spec.max_reorg_depth,
            max_drift_ms: spec.max_drift_ms,
            subsidy: Subsidy {
                amount: spec.subsidy.amount,
                halving_interval: spec.subsidy.halving_interval,
                last_height: spec.subsidy.last_height,
            },
            allocations: spec
                .allocations
                .iter()
                .map(|(address, amount)| Allocation { address: Address(*address), amount: (*amount).into() })
                .collect(),
        }
    }
}
