//! Receipts: that a transaction is in a chain, and the work that stands behind it, checkable with no node and no network.
//!
//! A receipt holds the chain's specification, the transaction, the way from it to its block's transactions root, and headers
//! that follow one another: from the first block on where the chain is short enough, else from the transaction's block on.
//!
//! # Security
//! The headers before the transaction's block are public: whoever forges a receipt copies them, and makes his own from that block
//! on. So what stands behind the transaction is [the work from its block on](Checked::work), and never more. In a receipt [from
//! the first block on](Checked::from_start) that work must be as hard as the rules of difficulty and time ask; the first header of
//! a later one may have the easiest target there is. Either way whoever knows a block of the chain at or after the transaction's,
//! from a node or a newspaper, need not trust in work: that block commits to all before it, and to nothing after it. Neither shows
//! that no other branch has more work, nor that the transactions before it allowed this one: a block whose miner broke a rule has
//! work as well.

use crate::{
    array_form,
    block::{HEADER_MAX_LEN, Header},
    encoding::{self, EncodingError},
    hash::{BlockId, ChainId, TransactionId},
    invalid::{Invalid, TransactionFault},
    merkle::InclusionProof,
    rules::{
        in_chain::{Position, not_too_new},
        isolated::{self, check_transactions, in_batches},
    },
    spec::{self, BLOCK_BYTES_CEILING, ChainSpec, SpecError},
    transaction::Transaction,
    units::{Height, Timestamp, Work},
};

/// The version of receipts that this software knows.
pub const VERSION: u8 = 1;

/// The most headers in one receipt.
pub const MAX_HEADERS: usize = 10_000;

/// The longest receipt in canonical bytes, from what its parts may be: about 10 MiB.
#[allow(clippy::arithmetic_side_effects, reason = "a sum of constants, computed by the compiler")]
pub const MAX_LEN: usize = spec::MAX_FILE_LEN + BLOCK_BYTES_CEILING as usize + MAX_HEADERS * HEADER_MAX_LEN + 4096;

/// The receipt of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// [`VERSION`].
    pub version: u8,
    /// The specification of the chain, as TOML.
    pub specification: String,
    /// The transaction.
    pub transaction: Transaction,
    /// Height of its block.
    pub height: Height,
    /// That it is in that block.
    pub proof: InclusionProof,
    /// Headers, each the parent of the next; the block's is among them.
    pub headers: Vec<Header>,
}

array_form!(Receipt {
    version: u8,
    specification: String,
    transaction: Transaction,
    height: Height,
    proof: InclusionProof,
    headers: Vec<Header>,
});

/// A block that the reader of a receipt knows to be of the chain, and where it stands. As text: `HEIGHT:ID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub block: BlockId,
}

/// A text that is not a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected HEIGHT:ID, such as 120:00ab... with 64 hex digits")]
pub struct NotACheckpoint;

impl core::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}:{}", self.height, self.block)
    }
}

impl core::str::FromStr for Checkpoint {
    type Err = NotACheckpoint;

    fn from_str(text: &str) -> Result<Self, NotACheckpoint> {
        let (height, block) = text.split_once(':').ok_or(NotACheckpoint)?;
        let height = Height::new(height.parse().map_err(|_| NotACheckpoint)?);
        Ok(Self { height, block: block.parse().map_err(|_| NotACheckpoint)? })
    }
}

/// What a receipt shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The chain, as its specification names it.
    pub chain_name: String,
    /// The chain.
    pub chain: ChainId,
    /// The transaction.
    pub transaction: TransactionId,
    /// Its block.
    pub block: BlockId,
    /// The block's height.
    pub height: Height,
    /// When the block's miner says that it was made.
    pub timestamp: Timestamp,
    /// The blocks from that one to the [last](Self::last), both included.
    pub confirmations: u64,
    /// The last block that counts: the one that the reader knows, else the last of the receipt.
    pub last: BlockId,
    /// Its height.
    pub last_height: Height,
    /// The work of the headers from the transaction's block to the [last](Self::last), in hashes that it takes on average: what it
    /// takes to forge the receipt for one who knows the chain.
    pub work: Work,
    /// Whether the headers begin with the first block after the genesis block, and so obey all rules.
    pub from_start: bool,
}

/// What is wrong with a receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptFault {
    /// Not a receipt in canonical form.
    #[error("not a receipt: {0}")]
    Encoding(EncodingError),
    /// Of a version that this software does not know.
    #[error("receipt version {version} is unknown")]
    Version {
        /// What it says.
        version: u8,
    },
    /// It has more headers than a receipt may.
    #[error("{count} headers, at most {MAX_HEADERS} are allowed")]
    TooManyHeaders {
        /// How many it has.
        count: usize,
    },
    /// Its specification is none.
    #[error("the specification in it: {0}")]
    Specification(SpecError),
    /// A header breaks a rule, or does not follow the one before.
    #[error("the header of block {height}: {reason}")]
    Header {
        /// What the header says its height is.
        height: Height,
        /// The rule.
        reason: Invalid,
    },
    /// The header of the transaction's block is not among the headers.
    #[error("the header of block {height}, which the transaction is said to be in, is missing")]
    BlockMissing {
        /// The height.
        height: Height,
    },
    /// The transaction breaks a rule by itself, or its signature does not hold on this chain.
    #[error("the transaction: {0}")]
    Transaction(TransactionFault),
    /// The way from the transaction does not lead to the block's transactions root.
    #[error("the transaction is not in block {block}")]
    NotIncluded {
        /// The block.
        block: BlockId,
    },
    /// The block that its reader relies on is not among the headers.
    #[error("block {block} is not among those of the receipt")]
    NotAnchored {
        /// The block.
        block: BlockId,
    },
    /// The block that its reader knows is on the way to the transaction's, and so shows nothing of what comes after it.
    #[error(
        "block {block} at height {known} is before the transaction's, at height {height}: what you know must be at or after that"
    )]
    KnownBefore {
        /// The block that is known.
        block: BlockId,
        /// Its height.
        known: Height,
        /// The height of the transaction's block.
        height: Height,
    },
    /// Where its reader knows a block to be, the receipt has another one, or none.
    #[error("at height {} the receipt does not have block {}", checkpoint.height, checkpoint.block)]
    OtherThanCheckpoint {
        /// What the reader knows.
        checkpoint: Checkpoint,
    },
}

impl Receipt {
    /// The canonical bytes: the content of a receipt's file.
    pub fn to_bytes(&self) -> Vec<u8> {
        encoding::encode(self)
    }

    /// Reads a receipt; nothing of what it says is checked yet.
    ///
    /// # Errors
    /// [`ReceiptFault::Encoding`].
    pub fn read(bytes: &[u8]) -> Result<Self, ReceiptFault> {
        encoding::decode(bytes, MAX_LEN).map_err(ReceiptFault::Encoding)
    }

    /// Checks all that the receipt says. `known`, if given, is a block that its reader knows to be of the chain, at or after the
    /// transaction's; whatever comes after it counts for nothing. `now` is the reader's clock: headers from the future are refused.
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self, known: Option<&BlockId>, now: Timestamp) -> Result<Checked, ReceiptFault> {
        let found = |ids: &[BlockId]| match known {
            Some(known) => ids.iter().position(|id| id == known).ok_or(ReceiptFault::NotAnchored { block: *known }),
            None => Ok(ids.len().saturating_sub(1)),
        };
        self.check_up_to(&found, now)
    }

    /// [`Self::check`] by a reader who knows which block is at a height.
    ///
    /// # Errors
    /// The first fault.
    pub fn check_against(&self, checkpoint: &Checkpoint, now: Timestamp) -> Result<Checked, ReceiptFault> {
        let found = |ids: &[BlockId]| {
            let place = ids.iter().position(|id| *id == checkpoint.block);
            let there =
                place.filter(|place| self.headers.get(*place).map(|header| header.height) == Some(checkpoint.height));
            there.ok_or(ReceiptFault::OtherThanCheckpoint { checkpoint: *checkpoint })
        };
        self.check_up_to(&found, now)
    }

    /// Checks all, and counts up to the header whose place among the ids `found` says.
    fn check_up_to(
        &self,
        found: &dyn Fn(&[BlockId]) -> Result<usize, ReceiptFault>,
        now: Timestamp,
    ) -> Result<Checked, ReceiptFault> {
        if self.version != VERSION {
            return Err(ReceiptFault::Version { version: self.version });
        }
        if self.headers.len() > MAX_HEADERS {
            return Err(ReceiptFault::TooManyHeaders { count: self.headers.len() });
        }
        let spec = ChainSpec::from_toml(&self.specification).map_err(ReceiptFault::Specification)?;
        let from_start = self.headers.first().is_some_and(|first| first.height == Height::new(1));
        let ids = if from_start { self.check_from_start(&spec, now)? } else { self.check_links(&spec, now)? };
        let missing = ReceiptFault::BlockMissing { height: self.height };
        let place = self.headers.iter().position(|header| header.height == self.height).ok_or(missing.clone())?;
        let (Some(header), Some(block)) = (self.headers.get(place), ids.get(place)) else { return Err(missing) };
        let transaction = self.check_transaction(&spec)?;
        if !self.proof.verify(&transaction, &header.transactions_root) {
            return Err(ReceiptFault::NotIncluded { block: *block });
        }
        let end = found(&ids)?;
        let (Some(last), Some(last_header)) = (ids.get(end), self.headers.get(end)) else { return Err(missing) };
        let counted = self.headers.get(place..=end).unwrap_or_default();
        if counted.is_empty() {
            return Err(ReceiptFault::KnownBefore { block: *last, known: last_header.height, height: self.height });
        }
        let work = |header: &Header| header.target.expand().map_or(Work::ZERO, |target| target.work());
        Ok(Checked {
            chain: spec.chain_id(),
            chain_name: spec.name,
            transaction,
            block: *block,
            height: self.height,
            timestamp: header.timestamp,
            confirmations: u64::try_from(counted.len()).unwrap_or(u64::MAX),
            last: *last,
            last_height: last_header.height,
            work: counted.iter().fold(Work::ZERO, |sum, header| sum.saturating_add(work(header))),
            from_start,
        })
    }

    /// Every rule that headers have.
    fn check_from_start(&self, spec: &ChainSpec, now: Timestamp) -> Result<Vec<BlockId>, ReceiptFault> {
        let mut position = Position::genesis(spec);
        let mut ids = Vec::with_capacity(self.headers.len());
        for header in &self.headers {
            position = position
                .step_unchecked_header(spec, header, now)
                .map_err(|reason| ReceiptFault::Header { height: header.height, reason })?;
            ids.push(position.id());
        }
        Ok(ids)
    }

    /// What can be told without the blocks before: each header's own claims, its time, and that it follows the one before.
    fn check_links(&self, spec: &ChainSpec, now: Timestamp) -> Result<Vec<BlockId>, ReceiptFault> {
        let mut ids: Vec<BlockId> = Vec::with_capacity(self.headers.len());
        let mut next: Option<Height> = None;
        for header in &self.headers {
            let fault = |reason| ReceiptFault::Header { height: header.height, reason };
            if let Some(parent) = ids.last()
                && header.parent != *parent
            {
                return Err(fault(Invalid::UnknownParent { parent: header.parent }));
            }
            if let Some(expected) = next
                && header.height != expected
            {
                return Err(fault(Invalid::Height { height: header.height, expected }));
            }
            ids.push(isolated::check_header(spec, header).map_err(fault)?);
            not_too_new(spec, header, now).map_err(fault)?;
            next = header.height.next();
        }
        Ok(ids)
    }

    fn check_transaction(&self, spec: &ChainSpec) -> Result<TransactionId, ReceiptFault> {
        let bytes = encoding::encode(&self.transaction);
        let checked = check_transactions(spec, spec.chain_id(), &[bytes], &in_batches).pop();
        let checked = checked.unwrap_or(Err(TransactionFault::Signature));
        checked.map(|checked| checked.id()).map_err(ReceiptFault::Transaction)
    }
}
