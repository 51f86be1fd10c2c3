//! The one place that does what is asked.

mod bans;
mod changing;
mod failure;
mod lab;
mod proofs;
mod reading;
mod replaced;
mod shared;

use std::{net::SocketAddr, sync::Arc, time::Instant};

use bard_chain::{target::Target, units::Work};
use bard_protocol::NetworkHandle;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

pub use self::{
    failure::{Failure, FailureKind},
    replaced::{Recorded, Resolved},
};
use super::{
    command::Command,
    connect::connect,
    events::Journal,
    health::ReadyRules,
    intake::Intake,
    reply::{self, Reply},
    verify,
};
use crate::{
    catch_up, keeper,
    lab::Lab,
    meeting,
    metrics::Metrics,
    miner, pool,
    relay::Relay,
    wallet::{OWN_NAME, Wallet},
};

/// The most blocks in one answer.
pub const MAX_BLOCKS: usize = 1_000;
/// Questions that wait for the disk at the same time; one more waits for its turn. Each holds at most a page of blocks.
const READING: usize = 64;
/// The content type of a record that was typed.
const TEXT: &str = "text/plain";

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
    /// Signed transactions of others.
    pub intake: Intake,
    /// Keeps what is submitted here from one run to the next.
    pub journal: pool::Journal,
    /// Who is ahead.
    pub catch_up: catch_up::Handle,
    /// The miner.
    pub miner: miner::Handle,
    /// What makes forks on purpose.
    pub lab: Lab,
    /// The keys.
    pub wallet: Arc<Wallet>,
    /// Addresses announced as they are.
    pub external: Vec<String>,
    /// Where the API listens.
    pub api: SocketAddr,
    /// What happens.
    pub events: Journal,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// When this node is ready.
    pub ready: ReadyRules,
}

/// Does what is asked. Cheap to clone, which every request does many times.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

/// What all clones share.
struct Inner {
    parts: Parts,
    started: Instant,
    /// Who signs with one key does it one after the other: the nonce of a transaction follows the one before.
    signing: Mutex<()>,
    /// The chain is checked by one at a time: a check keeps a core busy for as long as the chain is.
    verifying: Arc<Semaphore>,
    /// What is read from the disk takes memory and a thread.
    reading: Semaphore,
    /// What only the calls of the replaced programs need.
    replaced: replaced::Limits,
}

impl Service {
    /// A service of these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            parts,
            started: Instant::now(),
            signing: Mutex::default(),
            verifying: Arc::new(Semaphore::new(1)),
            reading: Semaphore::new(READING),
            replaced: replaced::Limits::default(),
        }))
    }

    /// The names of addresses.
    pub fn wallet(&self) -> &Wallet {
        &self.parts().wallet
    }

    /// What happens, for those who follow it.
    pub fn events(&self) -> &Journal {
        &self.parts().events
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.parts().metrics
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    /// The longest block of the chain, in bytes.
    pub fn max_block_len(&self) -> usize {
        self.parts().keeper.spec().max_block_len()
    }

    /// Does what is asked. Who no longer waits for the answer ends what has not changed anything yet.
    ///
    /// # Errors
    /// [`Failure`]; then nothing has changed.
    pub async fn execute(&self, command: Command) -> Result<Reply, Failure> {
        match command {
            Command::Node => Ok(Reply::Node(Box::new(self.node()))),
            Command::Spec => Ok(Reply::Spec(Arc::clone(self.parts().keeper.spec()))),
            Command::Status => Ok(Reply::Status(Box::new(self.status()?))),
            Command::Peers => Ok(Reply::Peers(self.peers())),
            Command::Connect { address } => {
                connect(&self.parts().network, &self.parts().meeting, &address).await.map(Reply::Connected)
            }
            Command::Disconnect { peer } => self.disconnect(&peer).await,
            Command::Bans => Ok(Reply::Bans(self.bans())),
            Command::Ban { peer, seconds, reason } => self.ban(&peer, seconds, reason).await,
            Command::LiftBans { peer } => self.lift_bans(peer).await,
            Command::Mine { blocks, data } => self.mine(blocks, data).await,
            Command::SetMining { enabled, threads } => self.set_mining(enabled, threads).await,
            Command::Lab => Ok(Reply::Lab(self.lab())),
            Command::SetLab { apart, delay_ms, rival } => self.set_lab(apart, delay_ms, rival).await,
            Command::SubmitBlock { bytes } => self.submit_block(bytes).await,
            Command::SubmitTransactions { all } => self.parts().intake.submit(all).await.map(Reply::Answers),
            Command::PoolPage { from, limit } => Ok(self.pool_page(from, limit)),
            Command::Send { from, to, amount, fee } => self.send(from, &to, amount, fee).await,
            Command::RecordContent { signer, content_type, bytes, fee } => {
                self.record(signer, content_type, bytes, fee).await
            }
            Command::RequestItems { signer, items } => self.request_items(signer, items).await,
            Command::ReleaseItem { signer, item } => self.release_item(signer, item).await,
            Command::TransferItem { signer, item, to } => self.transfer_item(signer, item, &to).await,
            Command::Verify => self.verify().await,
            Command::Sync => {
                let summary = self.parts().catch_up.sync().await?;
                Ok(Reply::Synced(summary, self.parts().keeper.tip().height))
            }
            reading => match self.at_hand(&reading)? {
                Some(reply) => Ok(reply),
                None => {
                    let _turn = self.0.reading.acquire().await;
                    self.blocking(move |service| service.read(reading)).await
                }
            },
        }
    }

    /// Answers what is only read.
    fn read(&self, command: Command) -> Result<Reply, Failure> {
        match command {
            Command::Blocks { from, limit } => self.blocks(from, limit),
            Command::BlocksDown { from, limit } => self.blocks_down(from, limit),
            Command::Block { block } => self.block(block),
            Command::Header { block } => self.header(block),
            Command::RawBlock { block } => self.raw_block(block),
            Command::Forks { depth, limit } => self.forks(depth, limit),
            Command::Transaction { id } => Ok(Reply::Transaction(Box::new(self.transaction(id)?))),
            Command::Proof { id } => self.proof(id),
            Command::Receipt { id, extent, until } => self.receipt(id, extent, until),
            Command::ItemsPage { filter, after, limit } => self.items_page(filter, after, limit),
            Command::Item { item, height } => self.item(item, height),
            Command::ItemHistory { item, from, limit } => self.item_history(item, from, limit),
            Command::RecordOf { id } => self.record_of(id),
            Command::Records { digest, height, from, limit } => self.records(digest, height, from, limit),
            Command::Accounts { after, limit } => self.accounts(after, limit),
            Command::AccountTransactions { who, from, limit } => self.account_transactions(&who, from, limit),
            Command::Balance { who, height } => {
                let address = self.parts().wallet.address(who.as_deref().unwrap_or(OWN_NAME))?;
                Ok(Reply::Balance(height.map_or_else(|| self.balance(address), |at| self.balance_at(address, at))?))
            }
            Command::Wallets => {
                let balances = self.parts().wallet.names().into_iter().map(|(_, address)| self.balance(address));
                Ok(Reply::Wallets(balances.collect::<Result<_, _>>()?))
            }
            Command::NewKey { name } => {
                let address = self.parts().wallet.create(&name)?;
                Ok(Reply::NewKey { name, address })
            }
            Command::Unlock { passphrase } => {
                self.parts().wallet.unlock(&passphrase)?;
                Ok(Reply::Protection(self.parts().wallet.protection()))
            }
            Command::Lock => {
                self.parts().wallet.lock()?;
                Ok(Reply::Protection(self.parts().wallet.protection()))
            }
            other => Err(Failure::new(FailureKind::Internal, format!("{other:?} is not only read"))),
        }
    }

    /// Checks the whole chain, until the end or until nobody waits for it any more.
    async fn verify(&self) -> Result<Reply, Failure> {
        let busy = |_| Failure::new(FailureKind::Unavailable, "the chain is being checked already; try again later");
        let permit = Arc::clone(&self.0.verifying).try_acquire_owned().map_err(busy)?;
        let gone = CancellationToken::new();
        let for_check = gone.clone();
        let _waiting = gone.drop_guard();
        self.blocking(move |service| {
            let verified = verify::verify(&service.parts().keeper, &for_check, None, &|_| {});
            drop(permit);
            verified.map(Reply::Verified)
        })
        .await
    }

    /// Runs what may wait for the disk where waiting disturbs nobody.
    async fn blocking<F, T>(&self, work: F) -> Result<T, Failure>
    where
        F: FnOnce(&Self) -> Result<T, Failure> + Send + 'static,
        T: Send + 'static,
    {
        let service = self.clone();
        tokio::task::spawn_blocking(move || work(&service))
            .await
            .unwrap_or_else(|_| Err(Failure::new(FailureKind::Internal, "the work was cut off")))
    }

    fn node(&self) -> reply::Node {
        let network = &self.parts().network;
        let reachability = network.reachability().borrow().clone();
        let mut external = self.parts().external.clone();
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
            chain_name: self.parts().keeper.spec().name.clone(),
            chain: self.parts().keeper.chain(),
            address: self.parts().wallet.own(),
            reachability: reachability.to_string(),
            reasons: reachability.reasons(),
            advice: reachability.advice(),
            notices: network.notices().borrow().iter().map(ToString::to_string).collect(),
            uptime_ms: u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Height of the lowest block that this node has besides the genesis block.
    fn blocks_from(&self) -> bard_chain::units::Height {
        self.parts().keeper.reader().blocks_from()
    }

    fn status(&self) -> Result<reply::Status, Failure> {
        let keeper = &self.parts().keeper;
        let tip = keeper.tip();
        let header = keeper.reader().header(&tip.id)?;
        let standings = self.parts().catch_up.standings();
        let same = |standing: &&catch_up::Standing| standing.status.as_ref().is_some_and(|status| status.tip == tip.id);
        let items = keeper.reader().counts();
        let (pool, pool_bytes) = {
            let pool = keeper.pool();
            (pool.len(), pool.bytes())
        };
        Ok(reply::Status {
            chain_name: keeper.spec().name.clone(),
            height: tip.height,
            blocks_from: self.blocks_from(),
            tip: tip.id,
            tip_time: tip.timestamp,
            state_root: header.as_ref().map(|header| header.state_root).unwrap_or_default(),
            work: tip.work,
            difficulty: header.and_then(|header| header.target.expand()).map_or(Work::ZERO, Target::work),
            target_interval_ms: keeper.spec().target_interval_ms,
            peers: self.parts().network.peers().borrow().len(),
            agreeing: standings.values().filter(same).count(),
            pool,
            pool_bytes,
            mining: self.parts().miner.activity(),
            sync: self.parts().catch_up.progress(),
            reachability: self.parts().network.reachability().borrow().to_string(),
            space: keeper.space(),
            items_reserved: usize::try_from(items.items_held).unwrap_or(usize::MAX),
            items_available: usize::try_from(items.items_free()).unwrap_or(usize::MAX),
        })
    }
}
