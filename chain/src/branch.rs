//! A branch that one miner builds beside the chain, whatever the chain does meanwhile: blocks without transactions, each on the
//! one before.
//!
//! It needs no ledger of its own: an empty block changes nothing but its miner's account, so the state after each follows from
//! the commitment and that one account where the branch began. [`crate::template::Template`] is for the chain itself.

use crate::{
    address::Address,
    block::{self, Block, Header},
    engine::{Engine, Refused},
    hash::{BlockId, Hash32},
    ledger::{Account, Item, View, apply::apply_block, commitment::Commitment},
    merkle,
    rules::in_chain::Position,
    source::SourceError,
    spec::ChainSpec,
    template::Template,
    transaction::ItemName,
    units::{Height, Timestamp},
};

/// Where a branch stands: all that its next block needs.
#[derive(Clone, Debug)]
pub struct Branch {
    position: Position,
    commitment: Commitment,
    miner: Miner,
}

/// A ledger in which there is nobody but the miner.
#[derive(Clone, Copy, Debug)]
struct Miner {
    address: Address,
    account: Account,
}

impl View for Miner {
    fn account(&self, address: &Address) -> Result<Account, SourceError> {
        Ok(if *address == self.address { self.account } else { Account::default() })
    }

    fn item(&self, _: &ItemName) -> Result<Option<Item>, SourceError> {
        Ok(None)
    }
}

impl Branch {
    /// A branch that begins with the tip, and whose blocks are for `miner`. `ledger` is that of the tip.
    ///
    /// # Errors
    /// Where the ledger could not be read.
    pub fn from_tip<V: View>(engine: &Engine, ledger: &V, miner: Address) -> Result<Self, SourceError> {
        Ok(Self {
            position: engine.tip_position(),
            commitment: engine.commitment().clone(),
            miner: Miner { address: miner, account: ledger.account(&miner)? },
        })
    }

    /// The id of its last block.
    pub const fn id(&self) -> BlockId {
        self.position.id()
    }

    /// The height of its last block.
    pub const fn height(&self) -> Height {
        self.position.height()
    }

    /// Its next block, which lacks nothing but the nonce. `now` is the miner's clock.
    ///
    /// # Errors
    /// Where the reward would be more than an account can hold.
    pub fn template(&self, spec: &ChainSpec, now: Timestamp) -> Result<Template, Refused> {
        let mut block = self.block(spec, now);
        let mut commitment = self.commitment.clone();
        commitment.apply(&apply_block(spec, self.miner, &block)?);
        block.header.state_root = commitment.root();
        Ok(Template::of(block))
    }

    fn block(&self, spec: &ChainSpec, now: Timestamp) -> Block {
        let header = Header {
            version: block::VERSION,
            height: self.position.height().next().unwrap_or(self.position.height()),
            parent: self.position.id(),
            transactions_root: merkle::root(&[]),
            state_root: Hash32::ZERO,
            timestamp: now.max(self.position.earliest_time()),
            target: self.position.next_target(spec),
            miner: self.miner.address,
            nonce: 0,
        };
        Block { header, transactions: Vec::new() }
    }

    /// Goes on to the block of a template of this branch, sealed with `nonce`. `now` is the miner's clock.
    ///
    /// # Errors
    /// Where it is not the next block of this branch: the rule that it breaks.
    pub fn go_on(&mut self, spec: &ChainSpec, template: &Template, nonce: u64, now: Timestamp) -> Result<(), Refused> {
        let header = Header { nonce, ..template.header().clone() };
        let position = self.position.step(spec, &header, header.id(spec.pow), now)?;
        let delta = apply_block(spec, self.miner, &Block { header, transactions: Vec::new() })?;
        self.commitment.apply(&delta);
        if let Some(change) = delta.accounts.get(&self.miner.address) {
            self.miner.account = change.after;
        }
        self.position = position;
        Ok(())
    }
}
