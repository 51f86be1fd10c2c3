//! A whole node's chain in memory: engine, ledger, bodies and undo; and blocks mined, tampered with and sealed again.
//!
//! What a real node stores goes through its bytes here too, so that a value which does not survive its encoding shows.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use bard_chain::{
    address::Address,
    block::{self, Block, Header},
    encoding,
    engine::{Effects, Engine, Outcome, Refused, Restored},
    hash::{BlockId, Hash32, TransactionId},
    invalid::{Invalid, TransactionFault},
    ledger::{
        Account, Change, Delta, Item, MemoryLedger, Undo, View,
        apply::{ApplyError, apply_block},
        commitment::Commitment,
    },
    mempool::{Mempool, Step},
    merkle, pow, presets,
    rules::{
        in_chain::Position,
        isolated::{CheckedTransaction, Isolated, Unsigned, check_transactions, from_block, in_batches},
    },
    source::{Source, SourceError},
    spec::ChainSpec,
    target::CompactTarget,
    transaction::{Action, ItemName, Transaction},
    tree::{Node, Tree},
    units::{Amount, Nonce, Timestamp},
};

use crate::actions::key;

/// The easiest target of all, met by every second hash.
pub const EASIEST: CompactTarget = CompactTarget::new(0x207f_ffff);

/// The `dev` chain with the easiest target.
pub fn easy_spec() -> ChainSpec {
    ChainSpec { initial_target: EASIEST, easiest_target: EASIEST, ..presets::dev() }
}

/// Varies the nonce until the block meets the target that it names.
///
/// # Panics
/// Where that target is not one.
pub fn seal(spec: &ChainSpec, mut block: Block) -> Block {
    let target = block.header.target.expand().expect("a target").to_be_bytes();
    let digest = block.header.digest();
    block.header.nonce = pow::search(spec.pow, digest.as_bytes(), 0, u64::MAX, &target).expect("an easy target");
    block
}

/// Varies the nonce until the block does *not* meet the target that it names.
pub fn unseal(spec: &ChainSpec, mut block: Block) -> Block {
    let target = block.header.target.expand().expect("a target");
    while target.is_met_by(block.header.id(spec.pow).as_bytes()) {
        block.header.nonce += 1;
    }
    block
}

/// The transactions root that belongs to a block's transactions.
pub fn transactions_root(block: &Block) -> Hash32 {
    let ids: Vec<TransactionId> = block.transactions.iter().map(Transaction::id).collect();
    merkle::root(&ids)
}

/// A whole node's chain in memory. A clone is a node that goes its own way from here.
#[derive(Clone, Debug)]
pub struct MemoryNode {
    spec: Arc<ChainSpec>,
    engine: Engine,
    ledger: MemoryLedger,
    bodies: BTreeMap<BlockId, Arc<[u8]>>,
    undo: BTreeMap<BlockId, Vec<u8>>,
    nodes: BTreeMap<BlockId, Node>,
    /// Who mines the blocks of this node; two nodes with different miners never make the same block.
    pub miner: Address,
}

impl Default for MemoryNode {
    fn default() -> Self {
        Self::new(easy_spec())
    }
}

impl MemoryNode {
    /// At the genesis block of a chain.
    pub fn new(spec: ChainSpec) -> Self {
        let spec = Arc::new(spec);
        let mut ledger = MemoryLedger::default();
        ledger.apply(&spec.genesis_delta());
        let engine = Engine::genesis(Arc::clone(&spec));
        let (bodies, undo, nodes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { spec, engine, ledger, bodies, undo, nodes, miner: Address::new([0xaa; 32]) }
    }

    /// A clone with another miner, whose blocks therefore differ.
    pub fn rival(&self) -> Self {
        let mut miner = *self.miner.as_bytes();
        miner[0] = miner[0].wrapping_add(1);
        Self { miner: Address::new(miner), ..self.clone() }
    }

    /// The specification.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Replaces the engine, as a restart does.
    pub fn replace_engine(&mut self, engine: Engine) {
        self.engine = engine;
    }

    /// The ledger at the tip.
    pub fn ledger(&self) -> &MemoryLedger {
        &self.ledger
    }

    /// The id of the tip.
    pub fn tip(&self) -> BlockId {
        self.engine.tip().id
    }

    /// The height of the tip.
    pub fn height(&self) -> u64 {
        self.engine.tip().height.get()
    }

    /// A clock that is later than any block a test makes without saying otherwise.
    pub fn late(&self) -> Timestamp {
        Timestamp::new(self.spec.genesis_time.get() + 100_000_000_000)
    }

    /// A transaction of a `dev` account.
    pub fn sign(&self, sender: &str, nonce: u64, fee: u64, action: Action) -> Transaction {
        Transaction::sign(self.engine.chain(), &key(sender), Nonce::new(nonce), Amount::new(fee), action)
    }

    /// Checks a transaction as one that came alone.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn check(&self, transaction: &Transaction) -> Result<Arc<CheckedTransaction>, TransactionFault> {
        self.check_bytes(&encoding::encode(transaction))
    }

    /// Checks a transaction's bytes as ones that came alone.
    ///
    /// # Errors
    /// The rule they break.
    pub fn check_bytes(&self, bytes: &[u8]) -> Result<Arc<CheckedTransaction>, TransactionFault> {
        let mut answers = check_transactions(&self.spec, self.engine.chain(), &[bytes], &in_batches);
        answers.remove(0).map(Arc::new)
    }

    /// The block after the tip, right in all but the nonce. Where the transactions cannot apply, its state root stays zero.
    pub fn draft(&self, transactions: Vec<Transaction>) -> Block {
        let position = self.engine.tip_position();
        let timestamp = position.earliest_time().max(self.next_time(&position));
        let mut header = Header {
            version: block::VERSION,
            height: position.height().next().expect("far from the last height"),
            parent: position.id(),
            transactions_root: Hash32::ZERO,
            state_root: Hash32::ZERO,
            timestamp,
            target: position.next_target(&self.spec),
            miner: self.miner,
            nonce: 0,
        };
        let mut block = Block { header: header.clone(), transactions };
        header.transactions_root = transactions_root(&block);
        header.state_root = self.state_root_after(&block).unwrap_or(Hash32::ZERO);
        block.header = header;
        block
    }

    fn next_time(&self, position: &Position) -> Timestamp {
        let last = if position.height().get() == 0 { self.spec.genesis_time } else { self.engine.tip().timestamp };
        Timestamp::new(last.get() + self.spec.target_interval_ms)
    }

    /// The state root after a block on the tip.
    ///
    /// # Errors
    /// The rule by which it cannot apply.
    ///
    /// # Panics
    /// Never: the ledger is in memory.
    pub fn state_root_after(&self, block: &Block) -> Result<Hash32, Invalid> {
        match apply_block(&self.spec, &self.ledger, block) {
            Ok(delta) => {
                let mut commitment = self.engine.commitment().clone();
                commitment.apply(&delta);
                Ok(commitment.root())
            }
            Err(ApplyError::Fault(reason)) => Err(reason),
            Err(ApplyError::Source(error)) => panic!("{error}"),
        }
    }

    /// Reads a block as one that came from a peer.
    ///
    /// # Errors
    /// The rule it breaks in itself.
    pub fn read(&self, block: &Block) -> Result<Arc<Isolated>, Invalid> {
        Isolated::read(&self.spec, self.engine.chain(), &encoding::encode(block)).map(Arc::new)
    }

    /// A block on the tip, sealed and read, but not accepted.
    ///
    /// # Panics
    /// Where it is not right in itself.
    pub fn mine(&self, transactions: Vec<Transaction>) -> Arc<Isolated> {
        self.seal(self.draft(transactions))
    }

    /// An empty block after any other, right in itself and in its place. Its state root is its parent's and so wrong
    /// wherever there is a subsidy; that shows only when its branch gets the most work.
    ///
    /// # Panics
    /// At the end of all heights.
    pub fn child_of(&self, parent: &Isolated) -> Arc<Isolated> {
        let before = parent.header();
        let header = Header {
            height: before.height.next().expect("far from the last height"),
            parent: parent.id(),
            transactions_root: merkle::root(&[]),
            timestamp: Timestamp::new(before.timestamp.get() + self.spec.target_interval_ms),
            miner: self.miner,
            ..before.clone()
        };
        self.seal(Block { header, transactions: Vec::new() })
    }

    /// Seals a draft and reads it.
    ///
    /// # Panics
    /// Where it is not right in itself.
    pub fn seal(&self, draft: Block) -> Arc<Isolated> {
        self.read(&seal(&self.spec, draft)).expect("right in itself")
    }

    /// Accepts a block at a time: stores what it does, then adopts it.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn accept_at(&mut self, block: &Arc<Isolated>, now: Timestamp) -> Result<Effects, Refused> {
        let effects = self.engine.accept(block, now, self)?;
        if let Some((block, node)) = &effects.stored {
            self.bodies.insert(block.id(), Arc::clone(block.bytes()));
            self.nodes.insert(block.id(), node.clone());
        }
        for id in &effects.disconnected {
            self.undo.remove(id);
        }
        for connected in &effects.connected {
            self.undo.insert(connected.block.id(), encoding::encode(&connected.undo));
        }
        self.ledger.apply(&effects.state);
        self.engine.adopt(&effects);
        let stored =
            |id: &BlockId| self.nodes.get(id).cloned().ok_or_else(|| SourceError(format!("no header of {id}")));
        // The genesis block alone is in no commit, and is at no node's lowest height but 0.
        let _ = self.engine.deepen(stored);
        Ok(effects)
    }

    /// Accepts a block long after it was made.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn accept(&mut self, block: &Arc<Isolated>) -> Result<Outcome, Refused> {
        self.accept_at(block, self.late()).map(|effects| effects.outcome)
    }

    /// Accepts a block and lets a pool follow.
    ///
    /// # Errors
    /// Why it is refused.
    ///
    /// # Panics
    /// Never: the ledger is in memory.
    pub fn accept_with_pool(&mut self, block: &Arc<Isolated>, pool: &mut Mempool) -> Result<Outcome, Refused> {
        let effects = self.accept_at(block, self.late())?;
        let step = self.step(&effects);
        pool.follow(step, Timestamp::ZERO, &self.ledger).expect("the ledger is in memory");
        Ok(effects.outcome)
    }

    /// What a pool has to follow of a block that was accepted.
    pub fn step(&self, effects: &Effects) -> Step {
        let undone = effects.disconnected.iter().rev().filter_map(|id| self.block(id).ok());
        let undone = undone.flat_map(|block| from_block(&block)).collect();
        let joined = effects.connected.iter().flat_map(|connected| connected.block.transaction_ids());
        let mut step = Step { confirmed: joined.copied().collect(), undone, ..Step::default() };
        step.touch(&effects.state);
        step
    }

    /// Mines a block with these transactions and takes it as the new tip.
    ///
    /// # Panics
    /// Where it is not accepted.
    pub fn extend(&mut self, transactions: Vec<Transaction>) -> Arc<Isolated> {
        let block = self.mine(transactions);
        assert_eq!(self.accept(&block), Ok(Outcome::Extended));
        block
    }

    /// Mines so many empty blocks.
    pub fn extend_by(&mut self, count: usize) -> Vec<Arc<Isolated>> {
        (0..count).map(|_| self.extend(Vec::new())).collect()
    }

    /// The blocks of the active chain after the genesis block, the lowest first.
    ///
    /// # Panics
    /// Where a body is missing.
    pub fn active_blocks(&self) -> Vec<Arc<Isolated>> {
        let mut blocks = Vec::new();
        let mut at = self.tip();
        while at != self.engine.chain().into() {
            let block = self.block(&at).expect("stored");
            at = block.header().parent;
            blocks.push(block);
        }
        blocks.reverse();
        blocks
    }

    /// The last blocks of the active chain as a store has them, to go on with.
    ///
    /// # Panics
    /// Where there are not so many.
    pub fn stored(&self, blocks: usize) -> Restored {
        let active = self.active_blocks().split_off(self.active_blocks().len().saturating_sub(blocks));
        let mut active = active.iter().map(|block| (block.id(), self.nodes.get(&block.id()).expect("stored").clone()));
        let lowest = active.next().expect("at least one block");
        let Ok(tree) = Tree::restore::<Infallible>(self.spec(), lowest, active, []);
        Restored { tree, commitment: self.engine.commitment().clone(), floor: self.engine.floor() }
    }

    /// A new node that gets the active chain of this one, block by block.
    ///
    /// # Panics
    /// Where it refuses a block.
    pub fn replayed(&self) -> Self {
        let mut fresh = Self::new((*self.spec).clone());
        for block in self.active_blocks() {
            assert_eq!(fresh.accept(&block), Ok(Outcome::Extended));
        }
        fresh
    }

    /// What all accounts hold together.
    pub fn supply(&self) -> u128 {
        self.ledger.accounts().map(|(_, account)| u128::from(account.balance.get())).sum()
    }

    /// What must hold at every tip: the commitment is to exactly the ledger, the header names it, money is conserved.
    ///
    /// # Panics
    /// Where one of them does not hold.
    pub fn assert_invariants(&self) {
        let whole = commitment_of(&self.ledger);
        assert_eq!(&whole, self.engine.commitment(), "the running commitment is to the ledger");
        let blocks = self.active_blocks();
        let named = blocks.last().map_or_else(|| self.spec.genesis().header.state_root, |tip| tip.header().state_root);
        assert_eq!(whole.root(), named, "the tip names it");
        let issued: u128 = self.spec.allocations.iter().map(|(_, amount)| u128::from(amount.get())).sum();
        let subsidies = blocks.iter().map(|block| u128::from(self.spec.subsidy.at(block.header().height).get()));
        assert_eq!(self.supply(), issued + subsidies.sum::<u128>(), "money is conserved");
    }

    /// That two nodes hold the same: tip, work, ledger and commitment.
    ///
    /// # Panics
    /// Where they differ.
    pub fn assert_same_as(&self, other: &Self) {
        assert_eq!(self.engine.tip(), other.engine.tip());
        assert_eq!(self.ledger, other.ledger);
        assert_eq!(self.engine.commitment(), other.engine.commitment());
    }
}

/// The commitment to a whole ledger, from nothing.
pub fn commitment_of(ledger: &MemoryLedger) -> Commitment {
    let mut delta = Delta::default();
    for (address, account) in ledger.accounts() {
        delta.accounts.insert(*address, Change { before: Account::default(), after: *account });
    }
    for (name, item) in ledger.items() {
        delta.items.insert(name.clone(), Change { before: None, after: Some(*item) });
    }
    let mut commitment = Commitment::default();
    commitment.apply(&delta);
    commitment
}

impl View for MemoryNode {
    fn account(&self, address: &Address) -> Result<Account, SourceError> {
        self.ledger.account(address)
    }

    fn item(&self, name: &ItemName) -> Result<Option<Item>, SourceError> {
        self.ledger.item(name)
    }
}

impl Source for MemoryNode {
    fn block(&self, id: &BlockId) -> Result<Arc<Isolated>, SourceError> {
        let bytes = self.bodies.get(id).ok_or_else(|| SourceError(format!("no body of {id}")))?;
        let read = Unsigned::read(&self.spec, bytes).map_err(|error| SourceError(error.to_string()))?;
        Ok(Arc::new(read.trust_stored()))
    }

    fn undo(&self, id: &BlockId) -> Result<Undo, SourceError> {
        let bytes = self.undo.get(id).ok_or_else(|| SourceError(format!("no undo of {id}")))?;
        encoding::decode(bytes, bytes.len()).map_err(|error| SourceError(error.to_string()))
    }
}
