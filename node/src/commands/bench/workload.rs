//! Blocks to measure with: every transfer of a block is by another sender, the least favourable case for batches.

use std::{path::Path, sync::Arc};

use bard_chain::{
    address::Address,
    block::{self, Block, Header},
    encoding,
    engine::Engine,
    hash::{ChainId, Domain, Hash32, TransactionId},
    ledger::apply::{ApplyError, apply_block},
    merkle, pow, presets,
    rules::isolated::Unsigned,
    signature::SecretKey,
    spec::ChainSpec,
    target::Target,
    transaction::{Action, Transaction},
    units::{Amount, Nonce, Timestamp},
};
use rayon::prelude::*;

use crate::store::{Opened, Store};

/// A chain with funded senders, and where it ends.
pub(super) struct Workload {
    pub(super) spec: Arc<ChainSpec>,
    /// The blocks' canonical bytes, by height from 1 on.
    pub(super) blocks: Vec<Vec<u8>>,
}

/// Whose transfers follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Senders {
    /// The same in each block, as in a group: a node knows their keys.
    Known,
    /// Others in each block, until so many have been that a node has forgotten the first ones.
    Strangers,
}

/// Senders of whom a node has forgotten each when its turn comes again: more than the keys that it keeps.
const CROWD: u32 = 8_000;

/// Makes a chain of `blocks` blocks of `transfers` transfers in a data directory.
pub(super) fn make(dir: &Path, blocks: u32, transfers: u32, who: Senders) -> Result<Workload, String> {
    let each = transfers.max(1);
    let groups = match who {
        Senders::Known => 1,
        Senders::Strangers => CROWD.div_ceil(each),
    };
    let senders: Vec<SecretKey> = (0..each.saturating_mul(groups)).map(sender).collect();
    let spec = Arc::new(spec(&senders));
    let chain = spec.chain_id();
    let Opened { mut store, restored, .. } = Store::open(dir, Arc::clone(&spec)).map_err(|error| error.to_string())?;
    let mut engine = Engine::restore(Arc::clone(&spec), restored);
    let mut all = Vec::with_capacity(blocks as usize);
    for round in 0..blocks {
        let (turn, group) = (round / groups, round % groups);
        let senders = senders.chunks(each as usize).nth(group as usize).filter(|_| transfers > 0).unwrap_or_default();
        let transactions = transfers_of(chain, senders, Nonce::new(turn.into()));
        let bytes = seal(&engine, &store, transactions)?;
        let unsigned = Unsigned::read(&spec, &bytes).map_err(|error| error.to_string())?;
        // Signed a moment ago by this very process.
        let block = Arc::new(unsigned.trust_stored());
        let now = block.header().timestamp;
        let effects = engine.accept(&block, now, &store.newest()).map_err(|error| error.to_string())?;
        store.append(&effects).map_err(|error| error.to_string())?;
        engine.adopt(&effects);
        all.push(bytes);
    }
    store.close().map_err(|error| error.to_string())?;
    Ok(Workload { spec, blocks: all })
}

/// The key of a sender.
pub(super) fn sender(number: u32) -> SecretKey {
    SecretKey::from_seed(Domain::DevAccount.hash(&[b"bench sender", &number.to_be_bytes()]).as_bytes())
}

/// A chain on which so many senders have money.
pub(super) fn funded(senders: u32) -> ChainSpec {
    spec(&(0..senders).map(sender).collect::<Vec<_>>())
}

/// The `dev` chain with the easiest target and money for every sender.
pub(super) fn spec(senders: &[SecretKey]) -> ChainSpec {
    let mut allocations: Vec<_> = senders.iter().map(|key| (key.address(), Amount::new(1_000_000_000))).collect();
    allocations.sort_unstable();
    let easiest = Target::EASIEST.compact();
    ChainSpec {
        name: "bench".to_owned(),
        initial_target: easiest,
        easiest_target: easiest,
        allocations,
        ..presets::dev()
    }
}

/// A transfer of each sender to the next one.
pub(super) fn transfers_of(chain: ChainId, senders: &[SecretKey], nonce: Nonce) -> Vec<Transaction> {
    let to = |index: usize| senders.get((index + 1) % senders.len()).map_or(Address::NOBODY, SecretKey::address);
    let sign = |(index, key): (usize, &SecretKey)| {
        let action = Action::Transfer { to: to(index), amount: Amount::new(1) };
        Transaction::sign(chain, key, nonce, Amount::ZERO, action)
    };
    senders.par_iter().enumerate().map(sign).collect()
}

/// The bytes of the block after the tip, sealed.
pub(super) fn seal(engine: &Engine, store: &Store, transactions: Vec<Transaction>) -> Result<Vec<u8>, String> {
    let (spec, position) = (engine.spec(), engine.tip_position());
    let ids: Vec<TransactionId> = transactions.iter().map(Transaction::id).collect();
    let header = Header {
        version: block::VERSION,
        height: position.height().next().ok_or("the chain is full")?,
        parent: position.id(),
        transactions_root: merkle::root(&ids),
        state_root: Hash32::ZERO,
        timestamp: Timestamp::new(engine.tip().timestamp.get() + 1000),
        target: position.next_target(spec),
        miner: Address::NOBODY,
        nonce: 0,
    };
    let mut block = Block { header, transactions };
    let delta = apply_block(spec, store.newest(), &block).map_err(|error| match error {
        ApplyError::Fault(fault) => fault.to_string(),
        ApplyError::Source(error) => error.to_string(),
    })?;
    let mut commitment = engine.commitment().clone();
    commitment.apply(&delta);
    block.header.state_root = commitment.root();
    let target = block.header.target.expand().unwrap_or(Target::HARDEST).to_be_bytes();
    let digest = *block.header.digest().as_bytes();
    block.header.nonce = pow::search(spec.pow, &digest, 0, u64::MAX, &target).ok_or("no nonce was found")?;
    Ok(encoding::encode(&block))
}
