//! All that may be asked, as data.

use bard_chain::{
    hash::{BlockId, Hash32, TransactionId},
    units::{Amount, Height},
};

use super::reply::Place;
use crate::wallet::Passphrase;

/// Which block is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockChoice {
    /// The last of the active chain.
    Tip,
    /// The one of the active chain at this height.
    Height(Height),
    /// The one with this id, on whatever branch.
    Id(BlockId),
}

/// Which items are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemFilter {
    /// Those that somebody holds.
    Reserved,
    /// Those that were held once and are free.
    Available,
}

/// With which block the headers of a receipt begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// With the first after the genesis block.
    Whole,
    /// With that of the transaction.
    Short,
}

/// All that may be asked of a node. Names and addresses are still as they were typed: the service knows what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Who and where the node is.
    Node,
    /// The numbers of the chain.
    Spec,
    /// How the chain, the pool, the miner and the peers are.
    Status,
    /// The connected peers.
    Peers,
    /// Connect to a multiaddress, `host:port`, or the URL of a node's API.
    Connect {
        /// As typed.
        address: String,
    },
    /// Close the connections to a peer.
    Disconnect {
        /// Its id, as typed.
        peer: String,
    },
    /// Who is banned.
    Bans,
    /// Ban a peer, or change its ban.
    Ban {
        /// Its id, as typed.
        peer: String,
        /// For how long; a day if left out.
        seconds: Option<u64>,
        /// Why.
        reason: String,
    },
    /// End bans before their time.
    LiftBans {
        /// Whose, as typed; all if left out.
        peer: Option<String>,
    },
    /// Mine blocks now and wait for them.
    Mine {
        /// How many.
        blocks: u32,
        /// Recorded in the first of them, by the node's own key.
        data: Option<String>,
    },
    /// Mine continuously, or stop.
    SetMining {
        /// Whether to mine.
        enabled: bool,
        /// On how many threads; as before if left out.
        threads: Option<usize>,
    },
    /// What of the laboratory is switched on.
    Lab,
    /// Switch some of the laboratory; what is left out stays as it is.
    SetLab {
        /// Whether this node is cut off.
        apart: Option<bool>,
        /// For how long blocks and transactions are held back, in ms.
        delay_ms: Option<u64>,
        /// Whether a rival mines.
        rival: Option<bool>,
    },
    /// Blocks of the active chain, by ascending height.
    Blocks {
        /// The first; the last ten of the chain if left out.
        from: Option<Height>,
        /// How many at most.
        limit: usize,
    },
    /// Blocks of the active chain, by descending height.
    BlocksDown {
        /// The first; the tip if left out, or where the chain does not reach so far.
        from: Option<Height>,
        /// How many at most.
        limit: usize,
    },
    /// One block.
    Block {
        /// Which.
        block: BlockChoice,
    },
    /// The header of a block.
    Header {
        /// Which.
        block: BlockChoice,
    },
    /// The canonical bytes of a block.
    RawBlock {
        /// Which.
        block: BlockChoice,
    },
    /// The known blocks near the tip, those of other branches included.
    Forks {
        /// How far below the tip.
        depth: u64,
        /// How many blocks beside the active chain at most.
        limit: usize,
    },
    /// Take a block that was sealed elsewhere, and tell the others.
    SubmitBlock {
        /// Its canonical bytes.
        bytes: Vec<u8>,
    },
    /// Take transactions that were signed elsewhere, each for itself, and tell the others.
    SubmitTransactions {
        /// The canonical bytes of each.
        all: Vec<Vec<u8>>,
    },
    /// One transaction, mined or in the pool.
    Transaction {
        /// Which.
        id: TransactionId,
    },
    /// A part of what is in the pool.
    PoolPage {
        /// The first, as the page before named it; the oldest if left out.
        from: Option<u64>,
        /// How many at most.
        limit: usize,
    },
    /// Pay.
    Send {
        /// Whose money; the node's own if left out.
        from: Option<String>,
        /// To whom.
        to: String,
        /// How much.
        amount: Amount,
        /// What the miner gets.
        fee: Amount,
    },
    /// Put content of any type on record.
    RecordContent {
        /// Who signs; the node itself if left out.
        signer: Option<String>,
        /// What it is, as a media type.
        content_type: String,
        /// The content.
        bytes: Vec<u8>,
        /// What the miner gets.
        fee: Amount,
    },
    /// Take free items: all of them or none.
    RequestItems {
        /// Who takes; the node itself if left out.
        signer: Option<String>,
        /// Which.
        items: Vec<String>,
    },
    /// Give an item back.
    ReleaseItem {
        /// Who holds it; the node itself if left out.
        signer: Option<String>,
        /// Which.
        item: String,
    },
    /// Hand an item on.
    TransferItem {
        /// Who holds it; the node itself if left out.
        signer: Option<String>,
        /// Which.
        item: String,
        /// To whom.
        to: String,
    },
    /// A part of the items that were ever named, by name.
    ItemsPage {
        /// Which; all if left out.
        filter: Option<ItemFilter>,
        /// The name after which to begin; with the first if left out.
        after: Option<String>,
        /// How many at most.
        limit: usize,
    },
    /// One item.
    Item {
        /// Which.
        item: String,
        /// As it was after the block at this height; at the tip if left out.
        height: Option<Height>,
    },
    /// Who held an item, the oldest first.
    ItemHistory {
        /// Which.
        item: String,
        /// The first, as the page before named it.
        from: Option<Place>,
        /// How many at most.
        limit: usize,
    },
    /// A record, by the id of its transaction.
    RecordOf {
        /// Which.
        id: TransactionId,
    },
    /// That a transaction is in a block of the active chain.
    Proof {
        /// Its id.
        id: TransactionId,
    },
    /// A receipt for a transaction of the active chain.
    Receipt {
        /// Its id.
        id: TransactionId,
        /// With which block its headers begin; with the first one where the chain is short enough, if left out.
        extent: Option<Extent>,
        /// The height with which the headers end; the tip's, if left out.
        until: Option<Height>,
    },
    /// Records, the newest first; those with a digest, the oldest first.
    Records {
        /// The BLAKE3 or SHA-256 digest of the content, or the content itself where it is a digest.
        digest: Option<Hash32>,
        /// Those on record at this height; at the tip if left out.
        height: Option<Height>,
        /// The first, as the page before named it.
        from: Option<Place>,
        /// How many at most.
        limit: usize,
    },
    /// Accounts that are not empty, by address.
    Accounts {
        /// The address after which to begin, as typed; with the first if left out.
        after: Option<String>,
        /// How many at most.
        limit: usize,
    },
    /// Transactions that an account sent or that were for it, the newest first.
    AccountTransactions {
        /// Whose.
        who: String,
        /// The first, as the page before named it.
        from: Option<Place>,
        /// How many at most.
        limit: usize,
    },
    /// What an account has.
    Balance {
        /// Whose; that of the node itself if left out.
        who: Option<String>,
        /// As it was after the block at this height; at the tip if left out.
        height: Option<Height>,
    },
    /// The names this node has keys for.
    Wallets,
    /// Make a key.
    NewKey {
        /// Its name.
        name: String,
    },
    /// Open the keys with the passphrase of the keystore.
    Unlock {
        /// The passphrase.
        passphrase: Passphrase,
    },
    /// Forget the secrets of the keys until the passphrase is given again.
    Lock,
    /// Check the whole chain anew.
    Verify,
    /// Ask every peer now whether it knows more.
    Sync,
}
