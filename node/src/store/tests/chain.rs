//! Chains to store: a builder that mines them in memory, and a node of engine and store that takes them.

use std::{path::Path, sync::Arc};

use bard_chain::{
    address::Address,
    block::Block,
    encoding,
    engine::{Effects, Engine, Outcome},
    hash::BlockId,
    ledger::{Account, Item, MemoryLedger, Undo, View},
    mempool::Mempool,
    pow,
    presets::{self, dev_key},
    rules::isolated::{self, Isolated, check_transactions},
    signature::SecretKey,
    source::{Source, SourceError},
    spec::ChainSpec,
    target::CompactTarget,
    template::Template,
    transaction::{Action, ItemName, Transaction},
    units::{Amount, Height, Timestamp},
};

use super::{history::Expected, simulated::SimDisk};
use crate::store::{Counts, Opened, Store, StoreError, StoreReader, index::CHECKED_LEN, open};

/// The `dev` chain, but that every other hash seals a block, and that a reorganisation is soon too deep.
pub(super) fn spec() -> Arc<ChainSpec> {
    let target = CompactTarget::new(0x207f_ffff);
    Arc::new(ChainSpec { initial_target: target, easiest_target: target, max_reorg_depth: 30, ..presets::dev() })
}

/// The key of one of the funded accounts.
pub(super) fn key(name: &str) -> SecretKey {
    dev_key(name).unwrap()
}

/// A ledger alone, for chains that only grow.
#[derive(Clone, Debug)]
struct Grown(MemoryLedger);

impl View for Grown {
    fn account(&self, address: &Address) -> Result<Account, SourceError> {
        self.0.account(address)
    }

    fn item(&self, name: &ItemName) -> Result<Option<Item>, SourceError> {
        self.0.item(name)
    }
}

impl Source for Grown {
    fn block(&self, id: &BlockId) -> Result<Arc<Isolated>, SourceError> {
        Err(SourceError(format!("{id}: this chain only grows")))
    }

    fn undo(&self, id: &BlockId) -> Result<Undo, SourceError> {
        Err(SourceError(format!("{id}: this chain only grows")))
    }
}

/// A chain in memory that blocks are mined on. To get a branch, clone it.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) engine: Engine,
    ledger: Grown,
    miner: Address,
    pub(super) blocks: Vec<Arc<Isolated>>,
}

impl Chain {
    pub(super) fn new(spec: Arc<ChainSpec>) -> Self {
        let mut ledger = MemoryLedger::default();
        ledger.apply(&spec.genesis_delta());
        let miner = Address::new([1; 32]);
        Self { engine: Engine::genesis(spec), ledger: Grown(ledger), miner, blocks: Vec::new() }
    }

    /// The same chain, whose further blocks are another miner's.
    pub(super) fn branch(&self, miner: u8) -> Self {
        Self { miner: Address::new([miner; 32]), ..self.clone() }
    }

    pub(super) fn ledger(&self) -> &MemoryLedger {
        &self.ledger.0
    }

    /// Signs an action as the sender's next transaction after `ahead` others.
    pub(super) fn sign(&self, sender: &SecretKey, ahead: u64, action: Action) -> Transaction {
        let nonce = self.ledger.account(&sender.address()).unwrap().nonce;
        let nonce = nonce.checked_add(bard_chain::units::Nonce::new(ahead)).unwrap();
        Transaction::sign(self.engine.chain(), sender, nonce, Amount::new(1), action)
    }

    fn template(&self, transactions: &[Transaction]) -> Template {
        template(&self.engine, &self.ledger, self.miner, transactions)
    }

    /// Mines the next block.
    pub(super) fn mine(&mut self, transactions: &[Transaction]) -> Arc<Isolated> {
        let template = self.template(transactions);
        assert_eq!(template.transactions().len(), transactions.len());
        let block = sealed(self.engine.spec(), &template);
        self.follow(&block);
        block
    }

    /// Takes a block that was mined elsewhere.
    pub(super) fn follow(&mut self, block: &Arc<Isolated>) {
        let effects = self.engine.accept(block, far_future(), &self.ledger).unwrap();
        assert_eq!(effects.outcome, Outcome::Extended);
        self.ledger.0.apply(&effects.state);
        self.engine.adopt(&effects);
        self.blocks.push(Arc::clone(block));
    }

    /// Mines the next block with a payment and what is done with an item.
    pub(super) fn mine_some(&mut self) -> Arc<Isolated> {
        let height = self.engine.tip().height.get();
        let (alice, bob) = (key("alice"), key("bob"));
        let fresh = Address::new([height as u8; 32]);
        let pay = Action::Transfer { to: fresh, amount: Amount::new(5 + height % 7) };
        let item = ItemName::new("projector");
        let held = self.ledger.item(&item).unwrap().is_some_and(|item| item.holder.is_some());
        let about = if held { Action::ItemRelease { item } } else { Action::ItemRequest { item } };
        let transactions = [self.sign(&alice, 0, pay), self.sign(&bob, 0, about)];
        self.mine(&transactions)
    }

    pub(super) fn mine_many(&mut self, count: usize) {
        (0..count).for_each(|_| drop(self.mine_some()));
    }

    /// A block after the tip that says a wrong state root, and one after that; neither is added.
    pub(super) fn bad_pair(&self) -> [Arc<Isolated>; 2] {
        let spec = self.engine.spec();
        let mut header = self.template(&[]).header().clone();
        header.state_root = bard_chain::hash::Hash32::new([9; 32]);
        let bad = seal(spec, Block { header: header.clone(), transactions: Vec::new() });
        header.parent = bad.id();
        header.height = header.height.next().unwrap();
        header.timestamp = Timestamp::new(header.timestamp.get() + spec.target_interval_ms);
        let after = seal(spec, Block { header, transactions: Vec::new() });
        [bad, after]
    }
}

/// The next block of an engine, by what a ledger says.
fn template<V: View>(engine: &Engine, ledger: &V, miner: Address, transactions: &[Transaction]) -> Template {
    let spec = engine.spec();
    let bytes: Vec<_> = transactions.iter().map(encoding::encode).collect();
    let mut pool = Mempool::default();
    for checked in check_transactions(spec, engine.chain(), &bytes, &isolated::in_batches) {
        pool.admit(Arc::new(checked.unwrap()), Timestamp::ZERO, ledger).unwrap();
    }
    let now = Timestamp::new(engine.tip().timestamp.get() + spec.target_interval_ms);
    Template::build(engine, &pool, ledger, miner, now).unwrap()
}

fn sealed(spec: &ChainSpec, template: &Template) -> Arc<Isolated> {
    seal(spec, Block { header: template.header().clone(), transactions: template.transactions().to_vec() })
}

fn far_future() -> Timestamp {
    Timestamp::new(1 << 50)
}

fn seal(spec: &ChainSpec, mut block: Block) -> Arc<Isolated> {
    let target = block.header.target.expand().unwrap().to_be_bytes();
    block.header.nonce = pow::search(spec.pow, block.header.digest().as_bytes(), 0, 1 << 20, &target).unwrap();
    Arc::new(Isolated::read(spec, spec.chain_id(), &encoding::encode(&block)).unwrap())
}

/// An engine and a store in step, as the keeper has them.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) engine: Engine,
    pub(super) store: Store,
    pub(super) repairs: Vec<String>,
}

impl Node {
    pub(super) fn open(dir: &Path) -> Self {
        Self::try_open(dir).unwrap()
    }

    pub(super) fn try_open(dir: &Path) -> Result<Self, StoreError> {
        let spec = spec();
        let Opened { store, restored, repairs } = Store::open(dir, Arc::clone(&spec))?;
        Ok(Self { engine: Engine::restore(spec, restored), store, repairs })
    }

    /// On a disk in memory.
    pub(super) fn on(disk: &SimDisk) -> Result<Self, StoreError> {
        Self::with_index_checked(disk, CHECKED_LEN)
    }

    /// On a disk in memory, the index checked before it is used if it is no longer than this.
    pub(super) fn with_index_checked(disk: &SimDisk, checked_len: u64) -> Result<Self, StoreError> {
        let (spec, on) = (spec(), Arc::new(disk.clone()));
        let opened = open::open_on(on, Path::new("/simulated"), None, Arc::clone(&spec), checked_len)?;
        let Opened { store, restored, repairs } = opened;
        Ok(Self { engine: Engine::restore(spec, restored), store: store.keeping_free(0), repairs })
    }

    pub(super) fn reader(&self) -> StoreReader {
        self.store.newest()
    }

    pub(super) fn accept(&self, block: &Arc<Isolated>) -> Effects {
        self.engine.accept(block, far_future(), &self.reader()).unwrap()
    }

    /// Takes a block as the keeper does.
    pub(super) fn take(&mut self, block: &Arc<Isolated>) -> Outcome {
        let outcome = self.try_append(block).unwrap();
        self.store.sync().unwrap();
        outcome
    }

    /// Takes a block as the keeper does that has more of them to take before it asks the disk to be done.
    pub(super) fn try_append(&mut self, block: &Arc<Isolated>) -> Result<Outcome, StoreError> {
        let effects = self.accept(block);
        self.store.append(&effects)?;
        self.engine.adopt(&effects);
        Ok(effects.outcome)
    }

    /// Mines the next block by what its own store says, and takes it.
    pub(super) fn mine(&mut self, transactions: &[Transaction]) -> Arc<Isolated> {
        let template = template(&self.engine, &self.reader(), Address::new([9; 32]), transactions);
        let block = sealed(self.engine.spec(), &template);
        assert_eq!(self.take(&block), Outcome::Extended);
        block
    }

    pub(super) fn take_all(&mut self, blocks: &[Arc<Isolated>]) {
        blocks.iter().for_each(|block| drop(self.take(block)));
    }

    /// Checks that everything is as if only this chain had ever been.
    pub(super) fn assert_is(&self, chain: &Chain) {
        let reader = self.reader();
        assert_eq!(self.engine.tip(), chain.engine.tip());
        assert_eq!(self.engine.commitment(), chain.engine.commitment());
        assert_eq!(reader.tip(), (chain.engine.tip().id, chain.engine.tip().height));
        let accounts: Vec<_> = chain.ledger().accounts().map(|(address, account)| (*address, *account)).collect();
        assert_eq!(reader.accounts(None, usize::MAX).unwrap(), accounts);
        let items: Vec<_> = chain.ledger().items().map(|(name, item)| (name.clone(), *item)).collect();
        assert_eq!(reader.items(None, usize::MAX).unwrap(), items);
        let items_held = items.iter().filter(|(_, item)| item.holder.is_some()).count() as u64;
        let counts = Counts { accounts: accounts.len() as u64, items: items.len() as u64, items_held };
        assert_eq!(reader.counts(), counts);
        for (height, block) in (1..).map(Height::new).zip(&chain.blocks) {
            assert_eq!(reader.id_at(height).unwrap(), Some(block.id()));
            assert_eq!(reader.height_of(&block.id()).unwrap(), Some(height));
            assert_eq!(reader.block(&block.id()).unwrap(), *block);
            assert_eq!(reader.block_bytes(&block.id()).unwrap().as_ref(), Some(block.bytes()));
            assert_eq!(reader.header(&block.id()).unwrap().as_ref(), Some(block.header()));
            for (index, id) in (0..).zip(block.transaction_ids()) {
                assert_eq!(reader.transaction(id).unwrap(), Some((height, index)));
            }
            reader.undo(&block.id()).unwrap();
        }
        Expected::of(chain).assert_read(&reader, 40);
        assert_eq!(reader.id_at(Height::new(chain.blocks.len() as u64 + 1)).unwrap(), None);
        let headers: Vec<_> = chain.blocks.iter().map(|block| block.header().clone()).collect();
        assert_eq!(reader.headers_after(&[], usize::MAX).unwrap(), headers);
    }
}
