//! All that may be asked, as data.

use bard_chain::{
    hash::{BlockId, TransactionId},
    units::{Amount, Height},
};

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

/// All that may be asked of a node. Names and addresses are still as they were typed: the service knows what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Who and where the node is.
    Node,
    /// How the chain, the pool, the miner and the peers are.
    Status,
    /// The connected peers.
    Peers,
    /// Connect to a multiaddress, `host:port`, or the URL of a node's API.
    Connect {
        /// As typed.
        address: String,
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
    /// Blocks of the active chain, by ascending height.
    Blocks {
        /// The first; the last ten of the chain if left out.
        from: Option<Height>,
        /// How many at most.
        limit: usize,
    },
    /// One block.
    Block {
        /// Which.
        block: BlockChoice,
    },
    /// One transaction, mined or in the pool.
    Transaction {
        /// Which.
        id: TransactionId,
    },
    /// What is in the pool.
    Pool,
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
    /// Put a text on record.
    Record {
        /// Who signs; the node itself if left out.
        signer: Option<String>,
        /// The text.
        text: String,
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
    /// Items that were ever named.
    Items {
        /// Which; all if left out.
        filter: Option<ItemFilter>,
    },
    /// What an account has.
    Balance {
        /// Whose; that of the node itself if left out.
        who: Option<String>,
    },
    /// The names this node has keys for.
    Wallets,
    /// Make a key.
    NewKey {
        /// Its name.
        name: String,
    },
    /// Check the whole chain anew.
    Verify,
    /// Ask every peer now whether it knows more.
    Sync,
}
