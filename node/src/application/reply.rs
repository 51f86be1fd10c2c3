//! What comes back, as data. [`crate::interface::view`] turns it into text and JSON.

use std::sync::Arc;

use bard_chain::{
    address::Address,
    block::Header,
    hash::{BlockId, ChainId, Hash32, TransactionId},
    ledger::Account,
    mempool::Admitted,
    merkle::InclusionProof,
    receipt::Receipt,
    rules::isolated::{CheckedTransaction, Isolated},
    spec::ChainSpec,
    transaction::{ItemName, Transaction},
    units::{Height, Timestamp, Work},
};
use bard_protocol::{BannedBy, PeerId, PeerInfo, Status as PeerStatus};

use super::Failure;
pub use crate::keeper::{Accepted, Handover, KnownBlock, KnownTree, NotAPlace, Place, Verdict};
pub use crate::wallet::Protection;
use crate::{catch_up, keeper, lab, miner};

/// Who and where a node is.
#[derive(Clone, Debug)]
pub struct Node {
    /// Version of the software.
    pub version: &'static str,
    /// Its id in the network.
    pub peer_id: PeerId,
    /// Where it listens, whole multiaddresses.
    pub listen: Vec<String>,
    /// Where it says others may reach it.
    pub external: Vec<String>,
    /// Name of its chain.
    pub chain_name: String,
    /// Id of its chain.
    pub chain: ChainId,
    /// Its own account.
    pub address: Address,
    /// Whether others can reach it, in one line.
    pub reachability: String,
    /// What that rests on, a line each.
    pub reasons: Vec<String>,
    /// What a person can do about it, a line each.
    pub advice: Vec<String>,
    /// What it noticed that keeps nodes apart, a line each.
    pub notices: Vec<String>,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
}

/// How a node is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// Name of its chain.
    pub chain_name: String,
    /// Height of the tip.
    pub height: Height,
    /// Height of the lowest block that the node has besides the genesis block; it has all above it.
    pub blocks_from: Height,
    /// The tip.
    pub tip: BlockId,
    /// Time of the tip.
    pub tip_time: Timestamp,
    /// State root of the tip.
    pub state_root: Hash32,
    /// Work of the chain.
    pub work: Work,
    /// Expected hashes of the next block.
    pub difficulty: Work,
    /// Intended time between blocks, in ms.
    pub target_interval_ms: u64,
    /// Connected peers of this chain.
    pub peers: usize,
    /// Peers at the same tip.
    pub agreeing: usize,
    /// Ready transactions in the pool.
    pub pool: usize,
    /// Bytes of the pool.
    pub pool_bytes: usize,
    /// What the miner does.
    pub mining: miner::Activity,
    /// How far catching up is; `None` when there is nothing to catch up.
    pub sync: Option<catch_up::Progress>,
    /// Whether others can reach it, in one line.
    pub reachability: String,
    /// How the disk stands.
    pub space: keeper::Space,
    /// Items that somebody holds.
    pub items_reserved: usize,
    /// Items that were held once and are free.
    pub items_available: usize,
}

/// The laboratory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lab {
    /// Whether the chain is for teaching: elsewhere nothing can be switched on.
    pub teaching: bool,
    /// What is switched on.
    pub settings: lab::Settings,
}

/// A connected peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// What the network knows of it.
    pub info: PeerInfo,
    /// What it last said of its chain.
    pub status: Option<PeerStatus>,
}

/// The peers.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Those that are connected, the longest connected first.
    pub connected: Vec<Peer>,
    /// The last ones that no longer are, the latest first.
    pub departed: Vec<Departed>,
}

/// A peer that is no longer connected.
#[derive(Clone, Debug)]
pub struct Departed {
    /// Who.
    pub peer: PeerId,
    /// The other end of the last connection.
    pub address: String,
    /// When it ended.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// A peer that is not spoken to.
#[derive(Clone, Debug)]
pub struct Ban {
    /// Who.
    pub peer: PeerId,
    /// Until when.
    pub until: Timestamp,
    /// Whose decision it was.
    pub by: BannedBy,
    /// Why.
    pub reason: String,
}

/// A block with its place.
#[derive(Clone, Debug)]
pub struct Block {
    /// The block.
    pub block: Arc<Isolated>,
    /// Whether it is on the active chain.
    pub active: bool,
}

impl Block {
    /// Its header.
    pub fn header(&self) -> &Header {
        self.block.header()
    }
}

/// The header of a block with its place.
#[derive(Clone, Debug)]
pub struct HeaderOf {
    /// Id of the block.
    pub id: BlockId,
    /// The header.
    pub header: Header,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub name: ItemName,
    /// Who holds it; `None` while it is free.
    pub holder: Option<Address>,
    /// At which height, if one was asked for.
    pub height: Option<Height>,
}

/// What came of one of several transactions.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Its id; `None` where the bytes are no transaction.
    pub id: Option<TransactionId>,
    /// Where it is now, or why it is refused.
    pub outcome: Result<Admitted, Failure>,
}

/// A transaction with its place.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its id.
    pub id: TransactionId,
    /// The transaction.
    pub transaction: Transaction,
    /// Block and position where it is mined; `None` while it is in the pool.
    pub mined: Option<(Height, BlockId, u32)>,
}

/// That a transaction is in a block of the active chain.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The id of the transaction.
    pub id: TransactionId,
    /// The transaction.
    pub transaction: Transaction,
    /// The header of its block.
    pub header: HeaderOf,
    /// The way from the transaction to the header's transactions root.
    pub proof: InclusionProof,
}

/// An account.
#[derive(Clone, Debug)]
pub struct Balance {
    /// Its name here, if it has one.
    pub name: Option<String>,
    /// Its address.
    pub address: Address,
    /// As confirmed at the tip.
    pub confirmed: Account,
    /// After what is in the pool.
    pub pending: Account,
    /// At which height, if one was asked for: then nothing is pending.
    pub height: Option<Height>,
}

/// What a check of the whole chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Height of the state that was checked as a whole, for the node began with it: 0 where the check began with block 1.
    pub from: Height,
    /// Height that was reached.
    pub height: Height,
    /// Transactions that were checked.
    pub transactions: u64,
    /// What is wrong; `None` where everything holds.
    pub problem: Option<String>,
}

/// What comes back.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Who and where the node is.
    Node(Box<Node>),
    /// The numbers of its chain.
    Spec(Arc<ChainSpec>),
    /// How it is doing.
    Status(Box<Status>),
    /// The connected peers.
    Peers(Peers),
    /// Who is banned.
    Bans(Vec<Ban>),
    /// The ban that holds now.
    Banned(Ban),
    /// How many bans were ended.
    Lifted(usize),
    /// Connected to this peer.
    Connected(PeerId),
    /// The connections to this peer are closed.
    Disconnected(PeerId),
    /// The blocks that were mined.
    Mined(Vec<miner::Mined>),
    /// What the miner was told.
    Mining(miner::Activity),
    /// What of the laboratory is switched on.
    Lab(Lab),
    /// Blocks of the active chain.
    Blocks {
        /// The blocks, in the order asked for.
        blocks: Vec<Block>,
        /// Where the next page begins, if there is one.
        next: Option<Height>,
    },
    /// One block.
    Block(Block),
    /// The header of a block.
    Header(Box<HeaderOf>),
    /// The canonical bytes of a block.
    RawBlock {
        /// Its id.
        id: BlockId,
        /// The bytes.
        bytes: Arc<[u8]>,
    },
    /// The known blocks near the tip.
    Forks(KnownTree),
    /// A block that was taken.
    BlockAccepted(Accepted),
    /// What came of each transaction.
    Answers(Vec<Answered>),
    /// One transaction.
    Transaction(Box<Placed>),
    /// That a transaction is in a block.
    Proof(Box<Proof>),
    /// The receipt of a transaction.
    Receipt {
        /// The id of the transaction.
        id: TransactionId,
        /// The receipt.
        receipt: Box<Receipt>,
    },
    /// A part of the pool.
    PoolPage {
        /// Transactions, in the order of arrival.
        transactions: Vec<Arc<CheckedTransaction>>,
        /// Where the next page begins, if there is one.
        next: Option<u64>,
    },
    /// A part of a history of transactions.
    Transactions {
        /// The transactions.
        transactions: Vec<Placed>,
        /// Where the next page begins, if there is one.
        next: Option<Place>,
        /// The height from which on the history is known.
        blocks_from: Height,
    },
    /// Transactions that went into the pool.
    Admitted(Vec<Arc<CheckedTransaction>>),
    /// A part of the items.
    ItemsPage {
        /// The items by name.
        items: Vec<Item>,
        /// The name after which the next page begins, if there is one.
        next: Option<ItemName>,
    },
    /// One item.
    Item(Item),
    /// A part of an item's history.
    ItemHistory {
        /// The item.
        item: ItemName,
        /// What happened.
        entries: Vec<Handover>,
        /// Where the next page begins, if there is one.
        next: Option<Place>,
        /// The height from which on the history is known.
        blocks_from: Height,
    },
    /// A part of the accounts.
    Accounts {
        /// The accounts by address.
        accounts: Vec<Balance>,
        /// The address after which the next page begins, if there is one.
        next: Option<Address>,
    },
    /// An account.
    Balance(Balance),
    /// The names, each with its balance.
    Wallets(Vec<Balance>),
    /// A key that was made.
    NewKey {
        /// Its name.
        name: String,
        /// Its address.
        address: Address,
    },
    /// Whether the node can sign with its keys.
    Protection(Protection),
    /// What the check of the chain found.
    Verified(Verified),
    /// What asking every peer came to.
    Synced(catch_up::Summary, Height),
}
