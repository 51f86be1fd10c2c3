//! Every reason to refuse a block or a transaction: one variant a rule, so that the list of variants is the rulebook.
//!
//! Payloads are plain numbers and hashes. [`Invalid::blame`] and [`TransactionFault::blame`] say whose fault a refusal is;
//! no arm of theirs is a wildcard, so a new rule cannot slip in without an answer.

use crate::{
    encoding::EncodingError,
    hash::BlockId,
    units::{Amount, Height, Nonce, Timestamp},
};

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Provably the sender's: it passed on what it had to know is wrong.
    Sender,
    /// Nobody's, or not provable: a race, a lag, a clock.
    Nobody,
}

/// Why a block is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    // Isolated: the block alone is enough to tell.
    /// The bytes are not a block in canonical form.
    #[error("not a block: {0}")]
    Encoding(EncodingError),
    /// Longer than the specification allows.
    #[error("the block has {length} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Its length in bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Of a version that this software does not know.
    #[error("block version {version} is unknown")]
    Version {
        /// What it says.
        version: u8,
    },
    /// The compact target is not one.
    #[error("target {bits:08x} is malformed")]
    TargetMalformed {
        /// What the header says.
        bits: u32,
    },
    /// The target is easier than the easiest of the chain.
    #[error("target {bits:08x} is easier than {easiest:08x}, the easiest of this chain")]
    TargetTooEasy {
        /// What the header says.
        bits: u32,
        /// The easiest of the specification.
        easiest: u32,
    },
    /// The id does not meet the target that the header itself names.
    #[error("block {id} does not meet its target: the work is missing")]
    WorkMissing {
        /// The id that was reached.
        id: BlockId,
    },
    /// Higher than any chain may grow.
    #[error("height {height} is beyond the last possible height")]
    HeightTooLarge {
        /// What the header says.
        height: Height,
    },
    /// The transactions are not those that the header commits to.
    #[error("the transactions root does not match the transactions")]
    TransactionsRoot,
    /// A transaction breaks a rule.
    #[error("transaction {index}: {fault}")]
    Transaction {
        /// Its position in the block, from 0.
        index: u64,
        /// Which rule.
        fault: TransactionFault,
    },

    // In the chain: the blocks before it are needed to tell.
    /// The parent is not known (yet).
    #[error("the parent block {parent} is unknown")]
    UnknownParent {
        /// What the header says.
        parent: BlockId,
    },
    /// An ancestor was refused.
    #[error("an ancestor of the block is invalid")]
    InvalidAncestor,
    /// The block was refused before.
    #[error("the block was refused before")]
    KnownInvalid,
    /// The height is not the parent's plus one.
    #[error("height {height} where {expected} follows")]
    Height {
        /// What the header says.
        height: Height,
        /// The parent's height plus one.
        expected: Height,
    },
    /// The target is not the one that the blocks before ask for.
    #[error("target {bits:08x} where the chain asks for {expected:08x}")]
    Target {
        /// What the header says.
        bits: u32,
        /// What the difficulty rule gives.
        expected: u32,
    },
    /// Not later than the median of the eleven blocks before.
    #[error("time {timestamp} is not after {median}, the median of the blocks before")]
    TimeTooOld {
        /// What the header says, in ms.
        timestamp: Timestamp,
        /// The median, in ms.
        median: Timestamp,
    },
    /// Too far in the future: to be tried again later, never remembered as bad.
    #[error("time {timestamp} is too far in the future: not before {acceptable_at} by this clock")]
    TimeTooNew {
        /// What the header says, in ms.
        timestamp: Timestamp,
        /// From when on it is acceptable, in ms.
        acceptable_at: Timestamp,
    },
    /// The branch left the chain further back than may be undone.
    #[error("the branch left the chain {depth} blocks back, at most {limit} may be undone")]
    ForkTooDeep {
        /// Number of blocks that it would undo.
        depth: u64,
        /// The limit of the specification.
        limit: u64,
    },
    /// The branch left the chain below the state that this node began with, whose blocks it never had.
    #[error(
        "the branch left the chain at height {fork}, and this node began with the state at height {floor}: it can go back no further"
    )]
    ForkBelowStart {
        /// Height of the last block that it has in common with the chain.
        fork: Height,
        /// Height of the state that the node began with.
        floor: Height,
    },
    /// As many side branches are known as are kept, none of them is one of many siblings, and this one has less work than each.
    #[error("too many side branches are known and this one has the least work")]
    TooManyBranches,

    // In the state: balances and items are needed to tell.
    /// The state after the block is not the one that the header commits to.
    #[error("the state root does not match the state after the block")]
    StateRoot,
    /// Subsidy and fees do not fit in the miner's account.
    #[error("the miner's reward overflows")]
    RewardOverflow,
}

impl Invalid {
    /// Whose fault it is.
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Encoding(_)
            | Self::TooLarge { .. }
            | Self::Version { .. }
            | Self::TargetMalformed { .. }
            | Self::TargetTooEasy { .. }
            | Self::WorkMissing { .. }
            | Self::HeightTooLarge { .. }
            | Self::TransactionsRoot
            | Self::Transaction { .. }
            | Self::InvalidAncestor
            | Self::KnownInvalid
            | Self::Height { .. }
            | Self::Target { .. }
            | Self::TimeTooOld { .. }
            | Self::StateRoot
            | Self::RewardOverflow => Blame::Sender,
            Self::UnknownParent { .. }
            | Self::TimeTooNew { .. }
            | Self::ForkTooDeep { .. }
            | Self::ForkBelowStart { .. }
            | Self::TooManyBranches => Blame::Nobody,
        }
    }

    /// Whether the verdict is final for this id: the body is the one the header commits to, the work is done, and neither
    /// time nor further blocks can change it. Only such a block is remembered as bad.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Transaction { .. }
            | Self::InvalidAncestor
            | Self::KnownInvalid
            | Self::Height { .. }
            | Self::Target { .. }
            | Self::TimeTooOld { .. }
            | Self::StateRoot
            | Self::RewardOverflow => true,
            Self::Encoding(_)
            | Self::TooLarge { .. }
            | Self::Version { .. }
            | Self::TargetMalformed { .. }
            | Self::TargetTooEasy { .. }
            | Self::WorkMissing { .. }
            | Self::HeightTooLarge { .. }
            | Self::TransactionsRoot
            | Self::UnknownParent { .. }
            | Self::TimeTooNew { .. }
            | Self::ForkTooDeep { .. }
            | Self::ForkBelowStart { .. }
            | Self::TooManyBranches => false,
        }
    }
}

/// Why a transaction is refused, in a block or in the pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionFault {
    // Isolated.
    /// The bytes are not a transaction in canonical form.
    #[error("not a transaction: {0}")]
    Encoding(EncodingError),
    /// Of a version that this software does not know.
    #[error("transaction version {version} is unknown")]
    Version {
        /// What it says.
        version: u8,
    },
    /// A transfer of nothing.
    #[error("a transfer must be of more than nothing")]
    AmountZero,
    /// The amount is larger than any supply.
    #[error("amount {amount} is larger than any supply")]
    AmountTooLarge {
        /// What it says.
        amount: Amount,
    },
    /// The fee is larger than any supply.
    #[error("fee {fee} is larger than any supply")]
    FeeTooLarge {
        /// What it says.
        fee: Amount,
    },
    /// The item's name breaks the rules of names.
    #[error("an item's name has 1 to 64 bytes, no control characters and no space at its ends")]
    ItemName,
    /// The record is longer than the specification allows.
    #[error("the record has {length} bytes, at most {limit} are allowed")]
    RecordTooLarge {
        /// Its length in bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The record's content type is not 1 to 64 visible ASCII characters.
    #[error("a content type has 1 to 64 visible ASCII characters")]
    RecordContentType,
    /// The signature is not the sender's over this transaction on this chain.
    #[error("the signature is not the sender's over this transaction on this chain")]
    Signature,

    // In the state.
    /// The nonce was used before.
    #[error("nonce {nonce} was used before: {expected} follows")]
    NonceUsed {
        /// What it says.
        nonce: Nonce,
        /// What the account asks for.
        expected: Nonce,
    },
    /// Transactions of the sender before this one are missing.
    #[error("nonce {nonce} leaves a gap: {expected} follows")]
    NonceGap {
        /// What it says.
        nonce: Nonce,
        /// What the account asks for.
        expected: Nonce,
    },
    /// The sender has less than it spends.
    #[error("the sender has {balance} and spends {spent}")]
    BalanceTooSmall {
        /// What the sender has.
        balance: Amount,
        /// Amount and fee together.
        spent: Amount,
    },
    /// Amount and fee, or the recipient's new balance, do not fit.
    #[error("the amounts overflow")]
    Overflow,
    /// A request for an item that somebody holds.
    #[error("item {item} is not available: it is held")]
    ItemHeld {
        /// Which item.
        item: String,
    },
    /// A release or a transfer of an item that nobody holds.
    #[error("item {item} is held by nobody")]
    ItemFree {
        /// Which item.
        item: String,
    },
    /// A release or a transfer of an item that another holds.
    #[error("item {item} is held by another")]
    ItemOfAnother {
        /// Which item.
        item: String,
    },
}

impl TransactionFault {
    /// Whose fault it is, where the transaction came alone. (In a block, all are the sender's: it claims to have applied it.)
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Encoding(_)
            | Self::Version { .. }
            | Self::AmountZero
            | Self::AmountTooLarge { .. }
            | Self::FeeTooLarge { .. }
            | Self::ItemName
            | Self::RecordTooLarge { .. }
            | Self::RecordContentType
            | Self::Signature => Blame::Sender,
            Self::NonceUsed { .. }
            | Self::NonceGap { .. }
            | Self::BalanceTooSmall { .. }
            | Self::Overflow
            | Self::ItemHeld { .. }
            | Self::ItemFree { .. }
            | Self::ItemOfAnother { .. } => Blame::Nobody,
        }
    }
}
