//! Puts a node together, runs it, takes it apart: the one place that knows every part.

mod tasks;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bard_chain::{address::Address, engine::Engine, spec::ChainSpec, units::Timestamp};
use bard_protocol::{Agent, ChainSecret, Identity, Multiaddr, Network, NetworkConfig, NetworkEvent, NetworkHandle};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::sync::CancellationToken;

use self::tasks::{Tasks, unfailing};
use crate::{
    application::{
        Sample, Service, events, health, intake,
        service::{Failure, Parts},
    },
    catch_up, chains, clock,
    config::{self, NodeOptions},
    interface::{
        client::Client,
        console,
        http::{Access, Api},
        news::Since,
    },
    keeper,
    lab::{self, Inbound, Lab, rival::Rival},
    logging,
    meeting::{self, Configured, Remembered},
    metrics::Metrics,
    miner, pool, ports,
    registry::{self, NodeFile},
    relay::{self, Relay},
    serve::{self, Server},
    service_manager::ServiceManager,
    store::{DirLock, Opened, Store},
    supervise::{Signals, Supervisor},
    wake,
    wallet::{self, Wallet},
};

/// How long an ordered stop may take before what is left is cut off.
const STOP_DEADLINE: Duration = Duration::from_secs(4);
/// The port for other nodes unless told otherwise.
const DEFAULT_P2P_PORT: u16 = 6000;
/// The file of the node's identity in the network.
pub const IDENTITY_FILE: &str = "identity.key";
/// Hints about peers that seem to know more; one too many is dropped, for one is as good as many.
pub(crate) const HINTS: usize = 64;

/// Why a node did not start or had to stop: one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NodeError(pub String);

impl<E: std::error::Error> From<Box<E>> for NodeError {
    fn from(error: Box<E>) -> Self {
        Self(error.to_string())
    }
}

fn error(error: impl std::fmt::Display) -> NodeError {
    NodeError(error.to_string())
}

/// What a node has on this machine: its port, its directory, its keys, its chain.
struct Ground {
    spec: Arc<ChainSpec>,
    /// What the members of a closed chain know.
    secret: Option<ChainSecret>,
    listener: TcpListener,
    address: SocketAddr,
    data_dir: PathBuf,
    /// Whether other nodes of this user are looked for: where they all keep their directories side by side.
    look_around: bool,
    /// Where a person said that others are.
    configured: Configured,
    /// The token that a person gave it.
    token: Option<String>,
    _log: tracing_appender::non_blocking::WorkerGuard,
}

/// Runs a node until it is told to stop.
///
/// # Errors
/// One line: why it did not start, or what made it stop.
pub async fn run(options: NodeOptions) -> Result<(), NodeError> {
    ports::allow_connections();
    wallet::keep_memory_private();
    let mut signals = Signals::new().map_err(error)?;
    let ground = Ground::prepare(&options).await?;
    let manager = Arc::new(ServiceManager::of_environment());
    let (data_dir, address) = (ground.data_dir.clone(), ground.address);
    let mut supervisor = Supervisor::default();
    let mut running = tokio::select! {
        started = start(&options, ground, &mut supervisor) => started?,
        () = signals.stop() => return Ok(()),
    };
    let file = running.node_file(address);
    file.write(&data_dir)
        .map_err(|e| error(format!("cannot write {}: {e}", data_dir.join(registry::FILE).display())))?;
    tracing::info!(api = file.api, peer = file.peer_id, chain = file.chain, data = %data_dir.display(), "ready");
    manager.ready(&format!("chain {}, API at {}", file.chain, file.api));
    supervisor.spawn("watchdog", watch(Arc::clone(&manager), running.service.clone(), supervisor.stop_token()));
    let failed = running.wait(&options, &mut supervisor, &mut signals).await;
    manager.stopping();
    // A second signal ends the process at once, whatever is still being done.
    tokio::select! {
        () = running.stop(supervisor) => {}
        () = signals.stop() => {}
    }
    NodeFile::remove(&data_dir);
    failed.map_or(Ok(()), |reason| Err(NodeError(reason)))
}

impl Ground {
    async fn prepare(options: &NodeOptions) -> Result<Self, NodeError> {
        let token = config::api_token(options.api_token.as_deref()).map_err(error)?;
        let spec = options.spec().map_err(error)?;
        let secret = options.secret(&spec).map_err(error)?;
        let configured = Configured::read(options.peers_file.as_deref(), &options.tracker).map_err(error)?;
        let (listener, address) = ports::bind(options.host, options.port).await.map_err(NodeError)?;
        let (data_dir, look_around) = match &options.data_dir {
            Some(dir) => (dir.clone(), false),
            None => (config::chain_dir(&spec).map_err(error)?.join(address.port().to_string()), !options.no_local),
        };
        wallet::make_dir(&data_dir).map_err(error)?;
        // Before anything is written there, so that a directory in use or on a read-only disk is named for what it is.
        drop(DirLock::take(&data_dir).map_err(error)?);
        let log_dir = options.log_dir.clone().unwrap_or_else(|| data_dir.join("logs"));
        let quiet = !options.no_console && std::io::IsTerminal::is_terminal(&std::io::stdin()) && options.log == "info";
        let log = logging::start(&options.log, options.log_format, &log_dir, quiet).map_err(NodeError)?;
        Ok(Self { spec, secret, listener, address, data_dir, look_around, configured, token, _log: log })
    }
}

/// The parts of a running node.
struct Running {
    client: Client,
    service: Service,
    keeper: keeper::Handle,
    network: NetworkHandle,
    meeting: meeting::Stopper,
    chain: String,
    _log: tracing_appender::non_blocking::WorkerGuard,
}

/// What stands before anything is found, sent or answered.
struct Base {
    metrics: Metrics,
    keeper: keeper::Handle,
    journal: pool::Journal,
    pool: pool::Task,
    wallet: Arc<Wallet>,
    /// Who gets the reward of mined blocks.
    miner: Address,
    files: meeting::Files,
    network: NetworkHandle,
    lab: Lab,
}

impl Base {
    async fn open(
        options: &NodeOptions,
        ground: &Ground,
        started: Timestamp,
        supervisor: &mut Supervisor,
    ) -> Result<(Self, Network), NodeError> {
        let Ground { spec, secret, data_dir, .. } = ground;
        let mut metrics = Metrics::new(&spec.name, &spec.chain_id().to_string(), started);
        metrics.watch_disk(data_dir);
        let keeper = start_keeper(options, spec, data_dir, &metrics, supervisor).await?;
        // Before anybody can ask for a nonce: what was in the pool has the first ones.
        let (journal, pool) = pool::open(data_dir, keeper.clone()).await.map_err(error)?;
        // Who says where the secret is keeps it there alone.
        let kept = secret.as_ref().filter(|_| options.chain_secret_file.is_none());
        chains::keep(&options.chain_home(spec).map_err(error)?, data_dir, spec, kept).map_err(error)?;
        let wallet = Arc::new(open_wallet(options, spec, data_dir).await?);
        let miner = miner_address(options, &wallet)?;
        let (files, remembered) = meeting::open_files(data_dir);
        let mut network = start_network(options, spec, secret.clone(), data_dir, remembered).await?;
        network.driver.measure(metrics.registry());
        let (handle, lab) = (network.handle.clone(), Lab::new(spec));
        Ok((Self { metrics, keeper, journal, pool, wallet, miner, files, network: handle, lab }, network))
    }

    /// Makes those who carry blocks and transactions, from `inbound` on: relay, catching up, serving, the miner and the laboratory.
    fn carriers(
        &self,
        options: &NodeOptions,
        inbound: mpsc::Receiver<NetworkEvent>,
        tasks: &mut Tasks,
    ) -> (Relay, events::Sources) {
        let Self { keeper, network, lab, .. } = self;
        let (server, answering) = serve::new(keeper.clone(), agent());
        let (hints, hinted) = mpsc::channel(HINTS);
        let (link, link_sender) = lab::link(lab, network.clone());
        let inbound = Inbound::new(lab, network.clone(), inbound);
        let (relay, relay_tasks) =
            relay::new(keeper.clone(), network.clone(), link.clone(), hints.clone(), self.metrics.relay.clone());
        let (catch_up, catch_up_task) =
            catch_up::new(keeper.clone(), network.clone(), link.clone(), server.clone(), hinted);
        let (miner, miner_task) =
            miner::new(keeper.clone(), relay.clone(), self.miner, options.mine, options.threads());
        let rival = Rival::new(lab, keeper.clone(), link, miner.clone());
        tasks.add("relay", relay_tasks.run());
        tasks.add("catch-up", catch_up_task.run());
        tasks.add("serve", answering.run());
        tasks.add("miner", miner_task.run());
        tasks.add("link", link_sender.run());
        tasks.add("rival", rival.run());
        tasks.add("space", keeper.clone().mind_space());
        tasks.add("router", route(inbound, relay.clone(), server, hints));
        let (keeper, network, lab) = (keeper.clone(), network.clone(), lab.clone());
        (relay, events::Sources { keeper, network, miner, catch_up, lab })
    }
}

async fn start(options: &NodeOptions, ground: Ground, supervisor: &mut Supervisor) -> Result<Running, NodeError> {
    let started = clock::now();
    let mut tasks = Tasks::default();
    let (base, Network { events: inbound, driver, .. }) = Base::open(options, &ground, started, supervisor).await?;
    let (relay, sources) = base.carriers(options, inbound, &mut tasks);
    let (events, events_task) = events::new(started.get(), &sources);
    let Ground { spec, listener, address, data_dir, look_around, configured, token, _log, .. } = ground;
    let Base { mut metrics, keeper, journal, pool, wallet, files, network, lab, .. } = base;
    let (miner, catch_up) = (sources.miner.clone(), sources.catch_up.clone());
    metrics.sample(Box::new(Sample { sources, events: events.clone() }));
    let stop = supervisor.stop_token();
    let (meeting, meeting_tasks, stopper) =
        meeting::new(configured, files, for_meeting(options, &spec, &network), &stop);
    let (intake, intake_task) = intake::new(keeper.clone(), journal.clone(), relay.clone());
    let service = Service::new(Parts {
        intake,
        journal,
        keeper: keeper.clone(),
        network: network.clone(),
        meeting,
        relay,
        catch_up,
        miner,
        lab,
        wallet,
        external: options.external_address.iter().map(ToString::to_string).collect(),
        api: address,
        events,
        metrics: Arc::new(metrics),
        ready: options.ready(),
    });
    tasks.add("events", events_task.run());
    tasks.add("intake", intake_task.run());
    tasks.add("wake", wake::watch(network.clone()));
    tasks.add("network", driver.run());
    tasks.spawn(supervisor);
    // Not cut off by the stop as the others are: one says farewell first, the other writes the pool.
    supervisor.spawn("meeting", unfailing(meeting_tasks.run()));
    supervisor.spawn("pool", unfailing(pool.run(stop.clone())));
    let access = Access { token: token_of(token, address)?, address };
    let api = Api::new(service.clone(), access.clone());
    let client = Client::of_this_process(api.in_process(), access.token);
    supervisor.spawn("http", api.serve(listener, stop.clone()));
    if look_around {
        supervisor.spawn("local", registry::look_around(data_dir, network.clone(), stop));
    }
    Ok(Running { client, service, keeper, network, meeting: stopper, chain: spec.name.clone(), _log })
}

/// Tells a service manager that wants to hear it, again and again, that those answer who own the chain and the connections.
/// Where one of them is stuck, it hears nothing and starts the node again.
async fn watch(manager: Arc<ServiceManager>, service: Service, stop: CancellationToken) -> Result<(), Failure> {
    let again = async {
        let Some(interval) = manager.interval() else { return std::future::pending().await };
        loop {
            tokio::time::sleep(interval).await;
            if health::answers(&service).await {
                manager.alive();
            }
        }
    };
    tokio::select! {
        () = again => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

/// The keys, open where the passphrase was given. A passphrase is tried where waiting disturbs nobody.
async fn open_wallet(options: &NodeOptions, spec: &ChainSpec, data_dir: &std::path::Path) -> Result<Wallet, NodeError> {
    let passphrase = config::passphrase(options.passphrase_file.as_deref(), config::PASSPHRASE).map_err(error)?;
    let (dir, dev) = (data_dir.to_owned(), spec.name == "dev");
    let opened = tokio::task::spawn_blocking(move || Wallet::open(&dir, dev, passphrase.as_ref()));
    let wallet = opened.await.map_err(error)?.map_err(error)?;
    if wallet.protection() == wallet::Protection::Locked {
        tracing::warn!("the keys are locked: `wallet unlock` at the console or POST /api/v1/wallet/unlock opens them");
    }
    Ok(wallet)
}

/// Who gets the reward of mined blocks.
fn miner_address(options: &NodeOptions, wallet: &Wallet) -> Result<Address, NodeError> {
    match &options.miner {
        Some(name) => wallet.address(name).map_err(|e| error(format!("--miner: {e}"))),
        None => Ok(wallet.own()),
    }
}

/// What finding other nodes needs to know of this one.
fn for_meeting(options: &NodeOptions, spec: &ChainSpec, network: &NetworkHandle) -> meeting::Parts {
    meeting::Parts {
        network: network.clone(),
        chain: spec.chain_id(),
        chain_name: spec.name.clone(),
        external: options.external_address.clone(),
    }
}

async fn start_keeper(
    options: &NodeOptions,
    spec: &Arc<ChainSpec>,
    data_dir: &std::path::Path,
    metrics: &Metrics,
    supervisor: &mut Supervisor,
) -> Result<keeper::Handle, NodeError> {
    let (dir, for_store) = (data_dir.to_owned(), Arc::clone(spec));
    let opened = tokio::task::spawn_blocking(move || Store::open(&dir, for_store)).await.map_err(error)?;
    let Opened { store, restored, repairs } = opened.map_err(error)?;
    for repair in repairs {
        tracing::warn!("{repair}");
    }
    let engine = Engine::restore(Arc::clone(spec), restored);
    let (handle, keeper) =
        keeper::start(engine, store.keeping_free(options.keep_free()), options.pool_limits(), metrics.chain.clone())
            .map_err(error)?;
    supervisor.spawn("keeper", keeper.ended());
    Ok(handle)
}

async fn start_network(
    options: &NodeOptions,
    spec: &ChainSpec,
    secret: Option<ChainSecret>,
    data_dir: &std::path::Path,
    remembered: Remembered,
) -> Result<Network, NodeError> {
    let seed = wallet::load_or_create(&data_dir.join(IDENTITY_FILE)).map_err(error)?;
    let identity = Identity::from_seed(seed).map_err(error)?;
    let listen = if options.listen.is_empty() { default_listen() } else { options.listen.clone() };
    let config = NetworkConfig {
        chain: spec.chain_id(),
        specification: spec.to_toml().into(),
        secret,
        max_block_len: spec.max_block_len(),
        identity,
        listen,
        listen_optional: options.listen.is_empty(),
        bootstrap: options.bootstrap.clone(),
        external: options.external_address.clone(),
        mdns: !options.no_mdns,
        upnp: !options.no_upnp,
        kademlia: !options.no_kademlia,
        exchange: !options.no_exchange,
        autonat: !options.no_autonat,
        relay_server: options.relay_server,
        rendezvous: options.rendezvous.clone(),
        known: remembered.known,
        bans: remembered.bans,
        max_peers: NetworkConfig::DEFAULT_MAX_PEERS,
        target_outbound: NetworkConfig::DEFAULT_TARGET_OUTBOUND,
        agent: agent(),
        // Jitter only needs to differ between nodes that start together.
        seed: clock::now().get() ^ (u64::from(std::process::id()) << 32),
    };
    bard_protocol::start(config).await.map_err(error)
}

/// Reads standard input for nothing but its end.
async fn read_to_the_end() -> bool {
    // What cannot be read has ended, too.
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
    true
}

/// Where a node listens for others unless told otherwise.
pub fn default_listen() -> Vec<Multiaddr> {
    let texts =
        [format!("/ip4/0.0.0.0/tcp/{DEFAULT_P2P_PORT}"), format!("/ip4/0.0.0.0/udp/{DEFAULT_P2P_PORT}/quic-v1")];
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn agent() -> Agent {
    Agent::new(concat!("bard/", env!("CARGO_PKG_VERSION")))
}

/// The token that changing requests need: always one where others than this machine can reach the API.
fn token_of(given: Option<String>, address: SocketAddr) -> Result<Option<String>, NodeError> {
    if given.is_some() || address.ip().is_loopback() {
        return Ok(given);
    }
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(error)?;
    let token = hex::encode(bytes);
    show_token(&token);
    Ok(Some(token))
}

#[allow(clippy::print_stderr, reason = "not a log line: logs are kept, and a secret must not be")]
fn show_token(token: &str) {
    eprintln!("API token for changing requests: {token}");
}

/// Hands what comes from the network to whoever decides about it.
pub(crate) async fn route(
    mut inbound: Inbound,
    relay: Relay,
    server: Server,
    hints: mpsc::Sender<bard_protocol::PeerId>,
) {
    while let Some(event) = inbound.next().await {
        match event {
            NetworkEvent::Block { source, id, bytes } => relay.block(source, id, bytes).await,
            NetworkEvent::CompactBlock { source, id, compact } => relay.compact(source, id, compact).await,
            NetworkEvent::Transactions { source, id, batch } => relay.batch(source, id, batch).await,
            NetworkEvent::Request { peer, request, reply } => {
                if let bard_protocol::SyncRequest::Status(status) = &request
                    && status.work > server.status().work
                {
                    // It is ahead: ask it back. A full queue of hints is hint enough.
                    let _ = hints.try_send(peer);
                }
                server.answer(peer, request, reply);
            }
        }
    }
}

impl Running {
    fn node_file(&self, address: SocketAddr) -> NodeFile {
        NodeFile {
            pid: std::process::id(),
            peer_id: self.network.peer_id().to_string(),
            listen: self.network.listen_addresses().iter().map(ToString::to_string).collect(),
            api: format!("http://{address}/"),
            chain: self.chain.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Waits for a reason to stop; `Some` where it is a failure.
    async fn wait(
        &mut self,
        options: &NodeOptions,
        supervisor: &mut Supervisor,
        signals: &mut Signals,
    ) -> Option<String> {
        let client = self.client.clone();
        let history = config::user_dir().map(|dir| console::history_file(&dir)).map_err(|error| error.to_string());
        let console = async {
            let ended = match options.no_console {
                false => console::run(client, Since::Start, history).await == console::Ended::EndOfInput,
                true if options.stop_with_stdin => read_to_the_end().await,
                true => true,
            };
            if ended && !options.stop_with_stdin {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            reason = supervisor.failed() => Some(reason),
            () = signals.stop() => None,
            () = console => None,
        }
    }

    /// Stops in order: first the ways to other nodes, which still need the network, then what brings work, then the chain,
    /// which is on disk when this returns.
    async fn stop(&mut self, supervisor: Supervisor) {
        let end = tokio::time::Instant::now() + STOP_DEADLINE;
        self.meeting.stop().await;
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        let network = self.network.clone();
        let keeper = self.keeper.clone();
        let orderly = async move {
            let _ = tokio::time::timeout(Duration::from_secs(1), network.stop()).await;
            keeper.stop().await;
        };
        let (problems, ()) = tokio::join!(supervisor.stopped(left), async {
            let _ = tokio::time::timeout(left, orderly).await;
        });
        for problem in problems {
            tracing::warn!("{problem}");
        }
    }
}
