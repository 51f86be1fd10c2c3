//! Blocks, transactions, and where they stand, as JSON.

use std::borrow::Cow;

use bard_chain::{
    block::Header as ChainHeader,
    engine::Outcome,
    hash::{BlockId, TransactionId},
    mempool,
    target::Target,
    transaction::{Action as ChainAction, Transaction as ChainTransaction},
    units::{Height, Work},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::primitive::{Address, Amount, Digits, Hash, Hex, Time};
use crate::{
    application::reply::{self, Accepted, Answered, Placed, Verdict},
    miner,
};

/// A block with its transactions: the field names of the programs that BlockBard replaces, and its own.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Block<'a> {
    /// The height, by its old name.
    pub index: u64,
    /// Its header.
    #[serde(flatten)]
    pub header: Header,
    /// The transactions in their order.
    #[schema(inline = false)]
    pub transactions: Vec<Transaction<'a>>,
    /// What is on record in it: the one record, several as a list, null where there is none.
    pub data: serde_json::Value,
    /// Length in canonical bytes.
    pub size: usize,
    /// Whether it is on the active chain.
    pub active: bool,
}

/// The header of a block.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Header {
    /// Distance from the genesis block.
    pub height: u64,
    /// The id.
    pub hash: Hash,
    /// The id of the block before.
    pub previous_hash: Hash,
    /// When the miner says it was made.
    pub timestamp: Time,
    /// What the miner varied until the hash met the target.
    pub nonce: u64,
    /// Version of the header.
    pub version: u8,
    /// What the hash must not exceed, in compact form.
    pub target: String,
    /// Expected hashes for a block of this target.
    pub difficulty: Digits,
    /// Who gets subsidy and fees.
    pub miner: Address,
    /// The root over the transactions.
    pub transactions_root: Hash,
    /// The root over the state after it.
    pub state_root: Hash,
}

/// A signed transaction.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Transaction<'a> {
    /// The id.
    pub id: Hash,
    /// Version of the transaction.
    pub version: u8,
    /// Who signed it.
    pub sender: Address,
    /// How many transactions of the sender come before it.
    pub nonce: u64,
    /// What the miner gets.
    pub fee: Amount,
    /// What it does.
    pub action: Action<'a>,
    /// The sender's signature, Ed25519.
    #[schema(value_type = Hex)]
    pub signature: Hex<'a>,
}

/// What a transaction does.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Action<'a> {
    /// Pays.
    Transfer {
        /// Who is paid.
        to: Address,
        /// How much.
        amount: Amount,
    },
    /// Puts content on record.
    Record {
        /// What it is, as a media type.
        content_type: Cow<'a, str>,
        /// The content, where it is text.
        #[schema(required)]
        text: Option<Cow<'a, str>>,
        /// The content.
        #[schema(value_type = Hex)]
        hex: Hex<'a>,
    },
    /// Takes a free item.
    ItemRequest {
        /// Its name.
        item: Cow<'a, str>,
    },
    /// Gives an item back.
    ItemRelease {
        /// Its name.
        item: Cow<'a, str>,
    },
    /// Hands an item on.
    ItemTransfer {
        /// Its name.
        item: Cow<'a, str>,
        /// Who holds it then.
        to: Address,
    },
}

/// A transaction with its place.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlacedTransaction<'a> {
    /// The id of the transaction.
    #[serde(flatten)]
    pub transaction: Transaction<'a>,
    /// Where it is mined; null while it is in the pool.
    #[schema(required)]
    pub block: Option<PlaceInBlock>,
}

/// Where a transaction is mined.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlaceInBlock {
    /// Height of the block.
    pub height: u64,
    /// Id of the block.
    pub hash: Hash,
    /// Index in the block, from 0.
    pub position: u32,
}

/// A page of blocks.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BlockPage<'a> {
    /// The blocks.
    pub blocks: Vec<Block<'a>>,
    /// What to give as `from` for the next page; null where there is none.
    #[schema(required)]
    pub next: Option<u64>,
}

/// A page of a history of transactions.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TransactionPage<'a> {
    /// The transactions.
    pub transactions: Vec<PlacedTransaction<'a>>,
    /// What to give as `from` for the next page; null where there is none.
    #[schema(required)]
    pub next: Option<String>,
    /// Height of the lowest block that the node has besides the genesis block: 1, or more where it began with a later state. What
    /// happened before is not in the list.
    #[serde(default = "super::first")]
    pub blocks_from: u64,
}

/// A page of the pool, in the order of arrival.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PoolPage<'a> {
    /// The transactions.
    pub transactions: Vec<Transaction<'a>>,
    /// What to give as `from` for the next page; null where there is none.
    #[schema(required)]
    pub next: Option<u64>,
}

/// The known blocks near the tip.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Forks {
    /// By height, then the active one first, then by arrival.
    pub blocks: Vec<KnownBlock>,
    /// Whether there are more blocks beside the active chain than were asked for.
    pub more: bool,
}

/// A known block, on whatever branch.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KnownBlock {
    /// Distance from the genesis block.
    pub height: u64,
    /// The id.
    pub hash: Hash,
    /// The id of the block before.
    pub previous_hash: Hash,
    /// When the miner says it was made.
    pub timestamp: Time,
    /// Who gets subsidy and fees.
    pub miner: Address,
    /// Work of the chain up to it.
    pub total_work: Digits,
    /// Whether it is on the active chain.
    pub active: bool,
    /// What is known of its transactions.
    pub verdict: BlockVerdict,
}

/// What is known of a block's transactions.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlockVerdict {
    /// They apply.
    Valid,
    /// Nobody tried: the block was never on the chain with the most work.
    Untried,
    /// The block, or one before it, breaks a rule.
    Invalid,
}

/// What came of a submitted block.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BlockTaken {
    /// The id.
    pub hash: Hash,
    /// What it did.
    pub outcome: BlockOutcome,
}

/// What a block did.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlockOutcome {
    /// It is the new tip.
    Extended,
    /// Its branch has more work and is the active chain now.
    Reorganised,
    /// It is kept, on a branch without more work.
    SideBranch,
}

/// Blocks that this node mined.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MinedBlocks {
    /// The blocks.
    pub blocks: Vec<MinedBlock>,
}

/// A block that this node mined.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MinedBlock {
    /// Distance from the genesis block.
    pub height: u64,
    /// The id.
    pub hash: Hash,
}

/// Transactions that went into the pool, or what came of each.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Admitted<'a> {
    /// The transactions.
    pub transactions: Vec<Transaction<'a>>,
}

/// Where an admitted transaction is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PoolState {
    /// It can be mined.
    Ready,
    /// It waits for transactions of its sender that come before it.
    Waiting,
}

/// A transaction that was taken.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TransactionTaken {
    /// The id.
    pub id: Hash,
    /// Where it is.
    pub state: PoolState,
}

impl<'a> From<&'a reply::Block> for Block<'a> {
    fn from(block: &'a reply::Block) -> Self {
        let (id, header) = (block.block.id(), block.header());
        let ids = block.block.transaction_ids().iter();
        let both = ids.zip(&block.block.block().transactions);
        Self {
            index: header.height.get(),
            header: Header::new(id, header),
            transactions: both.map(|(id, one)| Transaction::new(*id, one)).collect(),
            data: super::super::replaced::data(block),
            size: block.block.bytes().len(),
            active: block.active,
        }
    }
}

impl Header {
    pub(super) fn new(id: BlockId, header: &ChainHeader) -> Self {
        Self {
            height: header.height.get(),
            hash: id.into(),
            previous_hash: header.parent.into(),
            timestamp: Time(header.timestamp),
            nonce: header.nonce,
            version: header.version,
            target: header.target.to_string(),
            difficulty: Digits::of(header.target.expand().map_or(Work::ZERO, Target::work)),
            miner: Address(header.miner),
            transactions_root: header.transactions_root.into(),
            state_root: header.state_root.into(),
        }
    }
}

impl<'a> Transaction<'a> {
    /// A transaction with its id.
    pub fn new(id: TransactionId, transaction: &'a ChainTransaction) -> Self {
        Self {
            id: id.into(),
            version: transaction.version,
            sender: Address(transaction.sender),
            nonce: transaction.nonce.get(),
            fee: transaction.fee.into(),
            action: (&transaction.action).into(),
            signature: Hex(Cow::Borrowed(transaction.signature.as_bytes())),
        }
    }
}

impl<'a> From<&'a ChainAction> for Action<'a> {
    fn from(action: &'a ChainAction) -> Self {
        match action {
            ChainAction::Transfer { to, amount } => Self::Transfer { to: Address(*to), amount: (*amount).into() },
            ChainAction::Record { content_type, bytes } => Self::Record {
                content_type: Cow::Borrowed(content_type),
                text: std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
                hex: Hex(Cow::Borrowed(bytes)),
            },
            ChainAction::ItemRequest { item } => Self::ItemRequest { item: Cow::Borrowed(item.as_str()) },
            ChainAction::ItemRelease { item } => Self::ItemRelease { item: Cow::Borrowed(item.as_str()) },
            ChainAction::ItemTransfer { item, to } => {
                Self::ItemTransfer { item: Cow::Borrowed(item.as_str()), to: Address(*to) }
            }
        }
    }
}

impl<'a> From<&'a Placed> for PlacedTransaction<'a> {
    fn from(placed: &'a Placed) -> Self {
        let block =
            placed.mined.map(|(height, id, position)| PlaceInBlock { height: height.get(), hash: id.into(), position });
        Self { transaction: Transaction::new(placed.id, &placed.transaction), block }
    }
}

impl<'a> BlockPage<'a> {
    pub(super) fn new(blocks: &'a [reply::Block], next: Option<Height>) -> Self {
        Self { blocks: blocks.iter().map(Into::into).collect(), next: next.map(Height::get) }
    }
}

impl<'a> TransactionPage<'a> {
    pub(super) fn new(transactions: &'a [Placed], next: Option<reply::Place>, blocks_from: Height) -> Self {
        let transactions = transactions.iter().map(Into::into).collect();
        Self { transactions, next: next.map(|place| place.to_string()), blocks_from: blocks_from.get() }
    }
}

type Pooled = std::sync::Arc<bard_chain::rules::isolated::CheckedTransaction>;

fn pooled(all: &[Pooled]) -> Vec<Transaction<'_>> {
    all.iter().map(|one| Transaction::new(one.id(), one.transaction())).collect()
}

impl<'a> PoolPage<'a> {
    pub(super) fn new(all: &'a [Pooled], next: Option<u64>) -> Self {
        Self { transactions: pooled(all), next }
    }
}

impl<'a> Admitted<'a> {
    pub(super) fn new(all: &'a [Pooled]) -> Self {
        Self { transactions: pooled(all) }
    }
}

impl From<&reply::KnownTree> for Forks {
    fn from(tree: &reply::KnownTree) -> Self {
        Self { blocks: tree.blocks.iter().map(Into::into).collect(), more: tree.more }
    }
}

impl From<&reply::KnownBlock> for KnownBlock {
    fn from(block: &reply::KnownBlock) -> Self {
        Self {
            height: block.header.height.get(),
            hash: block.id.into(),
            previous_hash: block.header.parent.into(),
            timestamp: Time(block.header.timestamp),
            miner: Address(block.header.miner),
            total_work: Digits::of(block.work),
            active: block.active,
            verdict: match block.verdict {
                Verdict::Valid => BlockVerdict::Valid,
                Verdict::Untried => BlockVerdict::Untried,
                Verdict::Invalid => BlockVerdict::Invalid,
            },
        }
    }
}

impl From<&Accepted> for BlockTaken {
    fn from(accepted: &Accepted) -> Self {
        let outcome = match accepted.outcome {
            Outcome::Extended => BlockOutcome::Extended,
            Outcome::Reorganised => BlockOutcome::Reorganised,
            // A refused branch is kept as one, and told as a failure.
            Outcome::SideBranch | Outcome::BranchRefused { .. } => BlockOutcome::SideBranch,
        };
        Self { hash: accepted.id.into(), outcome }
    }
}

impl MinedBlocks {
    pub(super) fn new(all: &[miner::Mined]) -> Self {
        let mined = |one: &miner::Mined| MinedBlock { height: one.height.get(), hash: one.id.into() };
        Self { blocks: all.iter().map(mined).collect() }
    }
}

impl TransactionTaken {
    /// What came of a transaction that was taken; `None` for one that was not.
    pub fn of(answered: &Answered) -> Option<Self> {
        let state = match answered.outcome {
            Ok(mempool::Admitted::Ready) => PoolState::Ready,
            Ok(mempool::Admitted::Waiting) => PoolState::Waiting,
            Err(_) => return None,
        };
        answered.id.map(|id| Self { id: id.into(), state })
    }
}
