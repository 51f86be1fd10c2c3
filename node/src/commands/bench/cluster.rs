//! Whole nodes in one process, over real sockets on loopback, without HTTP, console and miner.

use std::{path::Path, sync::Arc, time::Duration};

use bard_chain::{
    address::Address, engine::Engine, hash::BlockId, mempool::Limits, rules::isolated::CheckedTransaction,
    spec::ChainSpec, target::Target,
};
use bard_protocol::{Agent, Identity, NetworkConfig, NetworkHandle};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    assemble, catch_up, clock, keeper,
    lab::{self, Inbound, Lab},
    metrics::Metrics,
    relay::{self, Relay},
    serve,
    store::{Opened, Store},
};

/// How long nodes may take to meet, and news to reach all.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many nodes that came before it a node is told of.
const TOLD_OF: usize = 4;
/// How long after the last connection gossip has settled: a few heartbeats of 0.7 s.
const SETTLING: Duration = Duration::from_secs(4);

/// A node.
pub(super) struct Cell {
    pub(super) keeper: keeper::Handle,
    pub(super) network: NetworkHandle,
    relay: Relay,
}

/// Connected nodes. They end with this value.
pub(super) struct Cluster {
    pub(super) cells: Vec<Cell>,
    tasks: JoinSet<()>,
    _dirs: Vec<tempfile::TempDir>,
}

impl Cluster {
    /// Starts so many nodes of a chain and waits until they are one network.
    pub(super) async fn start(spec: &Arc<ChainSpec>, nodes: usize) -> Result<Self, String> {
        let mut cluster = Self { cells: Vec::new(), tasks: JoinSet::new(), _dirs: Vec::new() };
        for number in 0..nodes {
            let dir = super::chain::temporary()?;
            // Spread over those that came before: neither a star nor a line.
            let told: Vec<_> = (1..=TOLD_OF.min(number))
                .filter_map(|step| cluster.cells.get(scattered(number, step) % number))
                .filter_map(|cell| cell.network.listen_addresses().into_iter().next())
                .collect();
            cluster.add(spec, dir.path(), number, told).await?;
            cluster._dirs.push(dir);
        }
        for cell in &cluster.cells {
            let mut peers = cell.network.peers();
            let enough = TOLD_OF.min(nodes.saturating_sub(1));
            let met = timeout(PATIENCE, peers.wait_for(|peers| peers.len() >= enough)).await;
            met.map_err(|_| "the nodes do not meet")?.map_err(|error| error.to_string())?;
        }
        tokio::time::sleep(SETTLING).await;
        Ok(cluster)
    }

    async fn add(
        &mut self,
        spec: &Arc<ChainSpec>,
        dir: &Path,
        number: usize,
        bootstrap: Vec<bard_protocol::Multiaddr>,
    ) -> Result<(), String> {
        let failed = |error: &dyn std::error::Error| error.to_string();
        let metrics = Metrics::new(&spec.name, &spec.chain_id().to_string(), clock::now());
        let Opened { store, restored, .. } = Store::open(dir, Arc::clone(spec)).map_err(|error| failed(&error))?;
        let engine = Engine::restore(Arc::clone(spec), restored);
        let (keeper, task) =
            keeper::start(engine, store, Limits::default(), metrics.chain.clone()).map_err(|error| failed(&error))?;
        let config = NetworkConfig {
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().map_err(|_| "no address")?],
            bootstrap,
            seed: u64::try_from(number).unwrap_or_default(),
            ..NetworkConfig::alone(spec, Identity::generate(), Agent::new("bard-bench"))
        };
        let network = bard_protocol::start(config).await.map_err(|error| failed(&error))?;
        let (server, answering) = serve::new(keeper.clone(), Agent::new("bard-bench"));
        let (hints, hinted) = mpsc::channel(assemble::HINTS);
        let handle = network.handle.clone();
        let lab = Lab::new(spec);
        let (link, sending) = lab::link(&lab, handle.clone());
        let inbound = Inbound::new(&lab, handle.clone(), network.events);
        let (relay, relaying) =
            relay::new(keeper.clone(), handle.clone(), link.clone(), hints.clone(), metrics.relay.clone());
        let (_, catching_up) = catch_up::new(keeper.clone(), handle.clone(), link, server.clone(), hinted);
        self.tasks.spawn(async move { drop(task.ended().await) });
        self.tasks.spawn(relaying.run());
        self.tasks.spawn(catching_up.run());
        self.tasks.spawn(sending.run());
        self.tasks.spawn(answering.run());
        self.tasks.spawn(assemble::route(inbound, relay.clone(), server, hints));
        self.tasks.spawn(network.driver.run());
        self.cells.push(Cell { keeper, network: handle, relay });
        Ok(())
    }

    /// A node.
    pub(super) fn cell(&self, number: usize) -> Result<&Cell, String> {
        self.cells.get(number).ok_or_else(|| "there is no such node".to_owned())
    }

    /// The first node makes a block of what is in its pool, takes it, and announces it. Returns how long after it had taken
    /// it the others have it as their tip, ascending.
    pub(super) async fn spread_block(&self) -> Result<Vec<Duration>, String> {
        let first = self.cell(0)?;
        let template = first.keeper.template(Address::NOBODY).await.map_err(|error| error.to_string())?;
        let template = template.map_err(|error| error.to_string())?;
        let target = template.header().target.expand().unwrap_or(Target::HARDEST).to_be_bytes();
        let nonce =
            bard_chain::pow::search(first.keeper.spec().pow, template.digest().as_bytes(), 0, u64::MAX, &target);
        let bytes = template.sealed(nonce.ok_or("no nonce was found")?);
        let accepted = first.keeper.accept(bytes.as_slice()).await.map_err(|error| error.to_string())?;
        let id = accepted.map_err(|error| error.to_string())?.id;
        let began = Instant::now();
        let others = self.cells.iter().skip(1).map(|cell| arrival(cell, id, began));
        let (_, arrived) = tokio::join!(first.relay.announce_block(bytes), futures::future::join_all(others));
        let mut took = arrived.into_iter().collect::<Result<Vec<_>, _>>()?;
        took.sort_unstable();
        Ok(took)
    }

    /// A node takes transactions and announces them. Returns when all others have them in their pools, ascending.
    pub(super) async fn spread_transactions(
        &self,
        from: usize,
        transactions: Vec<Vec<u8>>,
    ) -> Result<Vec<Duration>, String> {
        let cell = self.cell(from)?;
        let began = Instant::now();
        let checked = cell.keeper.check_transactions(transactions).await.map_err(|error| error.to_string())?;
        let checked: Vec<Arc<CheckedTransaction>> =
            checked.into_iter().collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let ids: Vec<_> = checked.iter().map(|one| one.id()).collect();
        cell.keeper
            .admit_all(checked.clone())
            .await
            .map_err(|error| error.to_string())?
            .map_err(|(_, e)| e.to_string())?;
        let others = self.cells.iter().enumerate().filter(|(number, _)| *number != from);
        let others = others.map(|(_, cell)| async {
            let mut changes = cell.keeper.watch_pool();
            let all_there = || ids.iter().all(|id| cell.keeper.pool().contains(id));
            let waited = timeout(PATIENCE, async {
                while !all_there() {
                    changes.changed().await.map_err(|error| error.to_string())?;
                }
                Ok::<_, String>(began.elapsed())
            });
            waited.await.map_err(|_| "transactions do not arrive".to_owned())?
        });
        let (_, arrived) = tokio::join!(cell.relay.announce_transactions(checked), futures::future::join_all(others));
        let mut took = arrived.into_iter().collect::<Result<Vec<_>, _>>()?;
        took.sort_unstable();
        Ok(took)
    }

    /// A node takes a transaction and announces it.
    pub(super) async fn submit(&self, to: usize, transaction: Vec<u8>) -> Result<(), String> {
        let cell = self.cell(to)?;
        let checked = cell.keeper.check_transactions(vec![transaction]).await.map_err(|error| error.to_string())?;
        let checked: Vec<_> = checked.into_iter().collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        cell.keeper.admit(checked.clone()).await.map_err(|error| error.to_string())?;
        cell.relay.announce_transactions(checked).await;
        Ok(())
    }

    /// Ends all nodes.
    pub(super) async fn stop(mut self) {
        for cell in &self.cells {
            cell.network.stop().await;
            cell.keeper.stop().await;
        }
        self.tasks.shutdown().await;
    }
}

/// A number that looks like chance and is the same in every run.
fn scattered(number: usize, step: usize) -> usize {
    number.wrapping_mul(2_654_435_761).wrapping_add(step.wrapping_mul(40_503_001)) >> 9
}

async fn arrival(cell: &Cell, id: BlockId, began: Instant) -> Result<Duration, String> {
    let mut tip = cell.keeper.watch_tip();
    let arrived = timeout(PATIENCE, tip.wait_for(|tip| tip.id == id)).await;
    let missing = || {
        let (height, peers) = (cell.keeper.tip().height, cell.network.peers().borrow().len());
        format!("a block does not arrive at a node with {peers} peers and height {height}")
    };
    arrived.map_err(|_| missing())?.map_err(|error| error.to_string())?;
    Ok(began.elapsed())
}
