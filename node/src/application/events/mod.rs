//! What happens in a node, as a journal that many may follow, each at its own pace and from where it left off.
//!
//! [`Task`] hears of everything and writes it down; [`Journal`] keeps the last of each kind; a [`Follower`] reads it. There
//! is one copy of an event however many follow: a follower is a place in the journal, so that thousands of them cost little,
//! and one that does not read costs nothing but its place.

mod journal;
mod task;

use std::sync::{Arc, OnceLock};

use bard_chain::{
    address::Address,
    block::Header,
    hash::{BlockId, TransactionId},
    rules::isolated::{CheckedTransaction, Isolated},
    transaction::Action,
    units::{Amount, Height, Nonce},
};
use bard_protocol::{PeerId, PeerInfo};
use tokio::time::Instant;

pub use self::{
    journal::{BACKLOG, Follower, Full, Journal, KEPT, MAX_FOLLOWERS, Missed, PATIENCE, Place, Reset},
    task::{Sources, Task, new},
};
use crate::{catch_up, lab, miner};

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A block joined the chain.
    Block,
    /// Another branch has more work.
    Reorg,
    /// A transaction came into the pool.
    Transaction,
    /// A peer came or went.
    Peer,
    /// The miner.
    Mining,
    /// Catching up with others.
    Sync,
    /// The laboratory.
    Lab,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 7] =
        [Self::Block, Self::Reorg, Self::Transaction, Self::Peer, Self::Mining, Self::Sync, Self::Lab];

    /// Its name to programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Reorg => "reorg",
            Self::Transaction => "transaction",
            Self::Peer => "peer",
            Self::Mining => "mining",
            Self::Sync => "sync",
            Self::Lab => "lab",
        }
    }
}

/// Some kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds([bool; Kind::ALL.len()]);

impl Kinds {
    /// All of them.
    pub const ALL: Self = Self([true; Kind::ALL.len()]);

    /// These.
    pub fn of(kinds: &[Kind]) -> Self {
        Self(Kind::ALL.map(|kind| kinds.contains(&kind)))
    }

    /// Whether this one is among them.
    pub fn contain(self, kind: Kind) -> bool {
        Kind::ALL.iter().zip(self.0).any(|(one, wanted)| wanted && *one == kind)
    }

    /// Names separated by commas.
    ///
    /// # Errors
    /// One line, where a name is none of them, or there is none.
    pub fn parse(names: &str) -> Result<Self, String> {
        let known = |name: &str| {
            let name = name.trim();
            let all = || Kind::ALL.map(Kind::name).join(", ");
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
            kind.ok_or_else(|| format!("types: {name:?} is none of {}", all()))
        };
        names.split(',').map(known).collect::<Result<Vec<_>, _>>().map(|kinds| Self::of(&kinds))
    }
}

/// Something that happened. Small, whatever it tells of: a journal of them is bounded in bytes too.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A block joined the chain, and is on disk.
    Block {
        /// Its id.
        id: BlockId,
        /// Its header.
        header: Header,
        /// How many transactions are in it.
        transactions: usize,
        /// Its length in bytes.
        size: usize,
    },
    /// Blocks left the chain for a branch with more work; those that joined follow, an event each.
    Reorg {
        /// How many left.
        disconnected: usize,
        /// How many joined.
        connected: usize,
        /// Height of the last block that stayed.
        fork: Height,
        /// The tip that was left.
        old_tip: BlockId,
    },
    /// A branch with more work is invalid; nothing changed.
    BranchRefused {
        /// The block that breaks a rule.
        at: BlockId,
        /// The rule, in a line.
        reason: String,
    },
    /// A transaction came into the pool.
    Transaction(Box<Brief>),
    /// A peer came.
    Connected(Box<PeerInfo>),
    /// A peer went.
    Lost(PeerId),
    /// The miner was switched, or its block joined the chain.
    Mining(miner::Activity),
    /// Catching up began, went on or ended.
    Sync {
        /// Which of these.
        state: SyncState,
        /// How far it is.
        progress: catch_up::Progress,
        /// Height of the chain.
        height: Height,
    },
    /// Something of the laboratory was switched: all that is on now.
    Lab(lab::Settings),
}

/// Where catching up stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncState {
    /// It began.
    Started,
    /// It goes on: at most one a second.
    Progress,
    /// It ended.
    Finished,
}

/// What is told of a transaction: all but a record's content and the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// Its id.
    pub id: TransactionId,
    /// Who signed it.
    pub sender: Address,
    /// Its number among those of its sender.
    pub nonce: Nonce,
    /// What it pays to the miner.
    pub fee: Amount,
    /// Its length in bytes.
    pub size: usize,
    /// What it does; a record without its content.
    pub action: Action,
}

impl Change {
    /// What a block joining the chain is told as.
    pub fn block(block: &Isolated) -> Self {
        Self::Block {
            id: block.id(),
            header: block.header().clone(),
            transactions: block.transaction_ids().len(),
            size: block.bytes().len(),
        }
    }

    /// What a transaction coming into the pool is told as.
    pub fn transaction(checked: &CheckedTransaction) -> Self {
        let one = checked.transaction();
        let action = match &one.action {
            Action::Record { content_type, .. } => {
                Action::Record { content_type: content_type.clone(), bytes: Vec::new() }
            }
            other => other.clone(),
        };
        Self::Transaction(Box::new(Brief {
            id: checked.id(),
            sender: one.sender,
            nonce: one.nonce,
            fee: one.fee,
            size: checked.bytes().len(),
            action,
        }))
    }

    /// What it is about.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Block { .. } => Kind::Block,
            Self::Reorg { .. } | Self::BranchRefused { .. } => Kind::Reorg,
            Self::Transaction(_) => Kind::Transaction,
            Self::Connected(_) | Self::Lost(_) => Kind::Peer,
            Self::Mining(_) => Kind::Mining,
            Self::Sync { .. } => Kind::Sync,
            Self::Lab(_) => Kind::Lab,
        }
    }
}

/// An event of the journal.
#[derive(Debug)]
pub struct Event {
    /// Its number in this run of the node, from 1.
    pub number: u64,
    /// What happened.
    pub change: Change,
    /// When it was written down.
    at: Instant,
    text: OnceLock<String>,
}

impl Event {
    fn new(number: u64, change: Change, at: Instant) -> Arc<Self> {
        Arc::new(Self { number, change, at, text: OnceLock::new() })
    }

    /// Its text, made once however many ask.
    pub fn text(&self, make: impl FnOnce(&Change) -> String) -> &str {
        self.text.get_or_init(|| make(&self.change))
    }
}
