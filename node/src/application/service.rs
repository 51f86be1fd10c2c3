//! The one place that does what is asked.

use std::{sync::Arc, time::Instant};

use bard_chain::{
    address::Address,
    encoding,
    hash::TransactionId,
    ledger::View,
    mempool::PoolRefusal,
    rules::isolated::{CheckedTransaction, Isolated},
    signature::SecretKey,
    source::{Source, SourceError},
    target::Target,
    transaction::{Action, ItemName, Transaction},
    units::{Amount, Height, Nonce, Work},
};
use bard_protocol::NetworkHandle;

use super::{
    command::{BlockChoice, Command, ItemFilter},
    connect::connect,
    events::Journal,
    health::ReadyRules,
    reply::{self, Reply},
    verify,
};
use crate::{
    catch_up,
    keeper::{self, Closed},
    meeting,
    metrics::Metrics,
    miner,
    relay::Relay,
    wallet::{OWN_NAME, UnknownName, Wallet},
};

/// The most blocks in one answer.
pub const MAX_BLOCKS: usize = 1_000;
/// The most items in one answer.
pub const MAX_ITEMS: usize = 10_000;
/// The content type of a record that was typed.
const TEXT: &str = "text/plain";

/// Why something could not be done: one line for a person, and of what kind it is for a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// Of what kind it is.
    pub kind: FailureKind,
    /// What was wrong and what to do.
    pub message: String,
}

/// Of what kind a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The question itself is malformed.
    Malformed,
    /// There is no such thing.
    NotFound,
    /// It contradicts the state of the chain or the pool.
    Conflict,
    /// Well-formed, but it breaks a rule.
    Invalid,
    /// Not now: the pool is full, a peer does not answer, the node stops.
    Unavailable,
    /// A fault of this machine.
    Internal,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl From<Closed> for Failure {
    fn from(error: Closed) -> Self {
        Self::new(FailureKind::Unavailable, error.to_string())
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::new(FailureKind::Internal, error.to_string())
    }
}

impl From<UnknownName> for Failure {
    fn from(error: UnknownName) -> Self {
        Self::new(FailureKind::Malformed, error.to_string())
    }
}

impl From<PoolRefusal> for Failure {
    fn from(refusal: PoolRefusal) -> Self {
        use bard_chain::invalid::Blame;
        let kind = match &refusal {
            PoolRefusal::AlreadyKnown => FailureKind::Conflict,
            PoolRefusal::Full | PoolRefusal::SenderFull { .. } => FailureKind::Unavailable,
            PoolRefusal::Fault(fault) if fault.blame() == Blame::Sender => FailureKind::Invalid,
            PoolRefusal::Fault(_) => FailureKind::Conflict,
            PoolRefusal::Source(_) => FailureKind::Internal,
        };
        Self::new(kind, refusal.to_string())
    }
}

/// The parts of a node that the service speaks to.
#[derive(Clone)]
pub struct Parts {
    /// The chain.
    pub keeper: keeper::Handle,
    /// The network.
    pub network: NetworkHandle,
    /// Finding nodes over HTTP.
    pub meeting: meeting::Handle,
    /// Gossip of our own.
    pub relay: Relay,
    /// Who is ahead.
    pub catch_up: catch_up::Handle,
    /// The miner.
    pub miner: miner::Handle,
    /// The keys.
    pub wallet: Arc<Wallet>,
    /// Addresses announced as they are.
    pub external: Vec<String>,
    /// What happens.
    pub events: Journal,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// When this node is ready.
    pub ready: ReadyRules,
}

/// Does what is asked. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    parts: Parts,
    started: Instant,
    /// Who signs with one key does it one after the other: the nonce of a transaction follows the one before.
    signing: Arc<tokio::sync::Mutex<()>>,
}

impl Service {
    /// A service of these parts.
    pub fn new(parts: Parts) -> Self {
        Self { parts, started: Instant::now(), signing: Arc::default() }
    }

    /// The names of addresses.
    pub fn wallet(&self) -> &Wallet {
        &self.parts.wallet
    }

    /// What happens, for those who follow it.
    pub fn events(&self) -> &Journal {
        &self.parts.events
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// [`Failure`]; then nothing has changed.
    pub async fn execute(&self, command: Command) -> Result<Reply, Failure> {
        match command {
            Command::Node => Ok(Reply::Node(self.node())),
            Command::Status => Ok(Reply::Status(Box::new(self.status()?))),
            Command::Peers => Ok(Reply::Peers(self.peers())),
            Command::Connect { address } => {
                connect(&self.parts.network, &self.parts.meeting, &address).await.map(Reply::Connected)
            }
            Command::Mine { blocks, data } => self.mine(blocks, data).await,
            Command::SetMining { enabled, threads } => {
                self.parts.miner.set_continuous(enabled, threads).await?;
                let before = self.parts.miner.activity();
                let threads = threads.unwrap_or(before.threads);
                Ok(Reply::Mining(miner::Activity { continuous: enabled, threads, ..before }))
            }
            Command::Blocks { from, limit } => self.blocking(move |service| service.blocks(from, limit)).await,
            Command::Block { block } => self.blocking(move |service| service.block(block)).await,
            Command::Transaction { id } => self.blocking(move |service| service.transaction(id)).await,
            Command::Pool => Ok(Reply::Pool(self.parts.keeper.pool().transactions().cloned().collect())),
            Command::Send { from, to, amount, fee } => self.send(from, &to, amount, fee).await,
            Command::Record { signer, text } => {
                let action = Action::Record { content_type: TEXT.to_owned(), bytes: text.into_bytes() };
                self.submit(signer, Amount::ZERO, vec![action]).await
            }
            Command::RequestItems { signer, items } => {
                let request = |item| Action::ItemRequest { item: ItemName::new(item) };
                self.submit(signer, Amount::ZERO, items.into_iter().map(request).collect()).await
            }
            Command::ReleaseItem { signer, item } => {
                let action = Action::ItemRelease { item: ItemName::new(item) };
                self.submit(signer, Amount::ZERO, vec![action]).await
            }
            Command::Items { filter } => self.blocking(move |service| service.items(filter)).await,
            Command::Balance { who } => {
                let address = self.parts.wallet.address(who.as_deref().unwrap_or(OWN_NAME))?;
                Ok(Reply::Balance(self.balance(address)?))
            }
            Command::Wallets => {
                let balances = self.parts.wallet.names().map(|(_, address)| self.balance(address));
                Ok(Reply::Wallets(balances.collect::<Result<_, _>>()?))
            }
            Command::Verify => {
                self.blocking(|service| verify::verify(&service.parts.keeper).map(Reply::Verified)).await
            }
            Command::Sync => {
                let summary = self.parts.catch_up.sync().await?;
                Ok(Reply::Synced(summary, self.parts.keeper.tip().height))
            }
        }
    }

    /// Runs what may wait for the disk where waiting disturbs nobody.
    async fn blocking<F>(&self, work: F) -> Result<Reply, Failure>
    where
        F: FnOnce(&Self) -> Result<Reply, Failure> + Send + 'static,
    {
        let service = self.clone();
        tokio::task::spawn_blocking(move || work(&service))
            .await
            .unwrap_or_else(|_| Err(Failure::new(FailureKind::Internal, "the work was cut off")))
    }

    fn node(&self) -> reply::Node {
        let network = &self.parts.network;
        let reachability = network.reachability().borrow().clone();
        let mut external = self.parts.external.clone();
        for address in reachability.external.iter().map(ToString::to_string) {
            let bare = address.rsplit_once("/p2p/").map_or(address.as_str(), |(bare, _)| bare);
            if !external.iter().any(|known| *known == address || known == bare) {
                external.push(address);
            }
        }
        reply::Node {
            version: env!("CARGO_PKG_VERSION"),
            peer_id: network.peer_id(),
            listen: network.listen_addresses().iter().map(ToString::to_string).collect(),
            external,
            chain_name: self.parts.keeper.spec().name.clone(),
            chain: self.parts.keeper.chain(),
            address: self.parts.wallet.own(),
            reachability: reachability.to_string(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn status(&self) -> Result<reply::Status, Failure> {
        let keeper = &self.parts.keeper;
        let tip = keeper.tip();
        let header = keeper.reader().header(&tip.id)?;
        let standings = self.parts.catch_up.standings();
        let same = |standing: &&catch_up::Standing| standing.status.as_ref().is_some_and(|status| status.tip == tip.id);
        let items = keeper.reader().items(None, MAX_ITEMS)?;
        let items_reserved = items.iter().filter(|(_, item)| item.holder.is_some()).count();
        let (pool, pool_bytes) = {
            let pool = keeper.pool();
            (pool.len(), pool.bytes())
        };
        Ok(reply::Status {
            chain_name: keeper.spec().name.clone(),
            height: tip.height,
            tip: tip.id,
            tip_time: tip.timestamp,
            state_root: header.as_ref().map(|header| header.state_root).unwrap_or_default(),
            work: tip.work,
            difficulty: header.and_then(|header| header.target.expand()).map_or(Work::ZERO, Target::work),
            target_interval_ms: keeper.spec().target_interval_ms,
            peers: self.parts.network.peers().borrow().len(),
            agreeing: standings.values().filter(same).count(),
            pool,
            pool_bytes,
            mining: self.parts.miner.activity(),
            sync: self.parts.catch_up.progress(),
            reachability: self.parts.network.reachability().borrow().to_string(),
            items_reserved,
            items_available: items.len() - items_reserved,
        })
    }

    fn peers(&self) -> Vec<reply::Peer> {
        let standings = self.parts.catch_up.standings();
        let peers = Arc::clone(&self.parts.network.peers().borrow());
        let with_status = |info: &bard_protocol::PeerInfo| reply::Peer {
            status: standings.get(&info.id).and_then(|standing| standing.status.clone()),
            info: info.clone(),
        };
        peers.iter().map(with_status).collect()
    }

    async fn mine(&self, blocks: u32, data: Option<String>) -> Result<Reply, Failure> {
        if blocks == 0 || blocks > miner::MAX_BLOCKS {
            let message = format!("blocks: {blocks} is not in 1 to {}", miner::MAX_BLOCKS);
            return Err(Failure::new(FailureKind::Malformed, message));
        }
        if let Some(text) = data {
            let action = Action::Record { content_type: TEXT.to_owned(), bytes: text.into_bytes() };
            self.submit(None, Amount::ZERO, vec![action]).await?;
        }
        Ok(Reply::Mined(self.parts.miner.mine(blocks).await?))
    }

    fn blocks(&self, from: Option<Height>, limit: usize) -> Result<Reply, Failure> {
        let limit = limit.clamp(1, MAX_BLOCKS) as u64;
        let tip = self.parts.keeper.tip().height;
        let first = from.unwrap_or(Height::new((tip.get() + 1).saturating_sub(limit)));
        let last = first.get().saturating_add(limit - 1).min(tip.get());
        let reader = self.parts.keeper.reader();
        let mut blocks = Vec::new();
        for height in first.get()..=last {
            let Some(id) = reader.id_at(Height::new(height))? else { break };
            blocks.push(reply::Block { block: reader.block(&id)?, active: true });
        }
        let next = (last < tip.get() && !blocks.is_empty()).then(|| Height::new(last + 1));
        Ok(Reply::Blocks { blocks, next })
    }

    fn block(&self, choice: BlockChoice) -> Result<Reply, Failure> {
        let reader = self.parts.keeper.reader();
        let tip = self.parts.keeper.tip();
        let (id, what) = match choice {
            BlockChoice::Tip => (Some(tip.id), String::new()),
            BlockChoice::Height(height) => {
                let what = format!("there is no block at height {height}: the chain ends at {}", tip.height);
                (reader.id_at(height)?, what)
            }
            BlockChoice::Id(id) => (reader.header(&id)?.map(|_| id), format!("no block with id {id} is known")),
        };
        let id = id.ok_or_else(|| Failure::new(FailureKind::NotFound, what))?;
        Ok(Reply::Block(reply::Block { block: reader.block(&id)?, active: reader.is_active(&id)? }))
    }

    fn transaction(&self, id: TransactionId) -> Result<Reply, Failure> {
        if let Some(pooled) = self.parts.keeper.pool().get(&id) {
            let transaction = pooled.transaction().clone();
            return Ok(Reply::Transaction(Box::new(reply::Placed { id, transaction, mined: None })));
        }
        let reader = self.parts.keeper.reader();
        let found = match reader.transaction(&id)? {
            Some((height, index)) => reader.id_at(height)?.map(|block| (height, block, index)),
            None => None,
        };
        let unknown = || Failure::new(FailureKind::NotFound, format!("no transaction with id {id} is known"));
        let (height, block_id, index) = found.ok_or_else(unknown)?;
        let block: Arc<Isolated> = reader.block(&block_id)?;
        let position = usize::try_from(index).unwrap_or(usize::MAX);
        let transaction = block.block().transactions.get(position).cloned().ok_or_else(unknown)?;
        Ok(Reply::Transaction(Box::new(reply::Placed { id, transaction, mined: Some((height, block_id, index)) })))
    }

    async fn send(&self, from: Option<String>, to: &str, amount: Amount, fee: Amount) -> Result<Reply, Failure> {
        let to = self.parts.wallet.address(to)?;
        self.submit(from, fee, vec![Action::Transfer { to, amount }]).await
    }

    /// Signs actions as transactions one after the other and puts all of them in the pool, or none.
    async fn submit(&self, signer: Option<String>, fee: Amount, actions: Vec<Action>) -> Result<Reply, Failure> {
        let key = self.parts.wallet.key(signer.as_deref().unwrap_or(OWN_NAME))?.clone();
        let _turn = self.signing.lock().await;
        let keeper = &self.parts.keeper;
        let mut nonce = {
            let pool = keeper.pool();
            pool.next_nonce(&key.address(), keeper.reader())?
        };
        let mut signed = Vec::with_capacity(actions.len());
        for action in actions {
            signed.push(self.sign(&key, nonce, fee, action));
            nonce = nonce.next().unwrap_or(nonce);
        }
        let checked: Vec<Arc<CheckedTransaction>> = keeper
            .check_transactions(signed)
            .await?
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|fault| Failure::from(PoolRefusal::from(fault)))?;
        keeper.admit_all(checked.clone()).await?.map_err(|(_, refusal)| Failure::from(refusal))?;
        self.parts.relay.announce_transactions(checked.clone()).await;
        Ok(Reply::Admitted(checked))
    }

    fn sign(&self, key: &SecretKey, nonce: Nonce, fee: Amount, action: Action) -> Vec<u8> {
        encoding::encode(&Transaction::sign(self.parts.keeper.chain(), key, nonce, fee, action))
    }

    fn items(&self, filter: Option<ItemFilter>) -> Result<Reply, Failure> {
        let all = self.parts.keeper.reader().items(None, MAX_ITEMS)?.into_iter();
        let items = all.map(|(name, item)| (name, item.holder));
        let items = items.filter(|(_, holder)| match filter {
            None => true,
            Some(ItemFilter::Reserved) => holder.is_some(),
            Some(ItemFilter::Available) => holder.is_none(),
        });
        Ok(Reply::Items { filter, items: items.collect() })
    }

    fn balance(&self, address: Address) -> Result<reply::Balance, Failure> {
        let keeper = &self.parts.keeper;
        let confirmed = keeper.reader().account(&address)?;
        let pending = keeper.pool().account(&address, keeper.reader())?;
        let name = self.parts.wallet.name_of(&address).map(str::to_owned);
        Ok(reply::Balance { name, address, confirmed, pending })
    }
}
