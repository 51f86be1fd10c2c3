//! A meeting point as a program: the HTTP tracker and its libp2p counterpart, started, watched and stopped together.
//!
//! ```text
//! HTTP -> listener (places, deadlines) -> http (calls) -> registry (pure)
//! libp2p -> bard_protocol::meeting_point (rendezvous, Kademlia, relay)
//! ```

mod address;
mod http;
mod registry;

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bard_chain::spec::ChainSpec;
use bard_protocol::{
    Agent, Identity, Multiaddr,
    meeting_point::{self, MeetingPoint, MeetingPointConfig, MeetingPointHandle},
};
use tokio::net::TcpListener;

use crate::{
    clock, config,
    listener::{self, Limits},
    logging, ports,
    registry::{self as node_file, NodeFile},
    service_manager::ServiceManager,
    store::DirLock,
    supervise::{Signals, Supervisor},
    wallet,
};

/// The port for libp2p unless told otherwise.
const DEFAULT_P2P_PORT: u16 = 6500;
/// The file of the tracker's identity in the network.
const IDENTITY_FILE: &str = "identity.key";
/// How long an ordered stop may take before what is left is cut off.
const STOP_DEADLINE: Duration = Duration::from_secs(4);

/// What connections of the HTTP tracker may take: a request takes milliseconds.
const LIMITS: Limits = Limits {
    connections: 256,
    head: Duration::from_secs(10),
    head_bytes: 16 << 10,
    header_lines: 64,
    stall: Duration::from_secs(10),
    lifetime: Some(Duration::from_secs(60)),
};

/// What a tracker is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Address of the HTTP tracker.
    pub host: IpAddr,
    /// Its port; 0 takes a free one.
    pub port: u16,
    /// Where to listen for libp2p; the default ports, or free ones, where it is empty.
    pub listen: Vec<Multiaddr>,
    /// Addresses by which others reach it.
    pub external: Vec<Multiaddr>,
    /// The chain whose Kademlia it serves.
    pub spec: Arc<ChainSpec>,
    /// What it keeps; beside the nodes' directories where there is none.
    pub data_dir: Option<PathBuf>,
    /// What to log.
    pub log: String,
    /// How log lines look.
    pub log_format: logging::Format,
}

/// Runs a tracker until it is told to stop.
///
/// # Errors
/// One line: why it did not start, or what made it stop.
pub async fn run(settings: Settings) -> Result<(), String> {
    let mut signals = Signals::new().map_err(text)?;
    let (listener, address) = ports::bind(settings.host, settings.port).await?;
    let data_dir = match &settings.data_dir {
        Some(dir) => dir.clone(),
        None => config::user_dir().map_err(text)?.join(format!("tracker-{}", address.port())),
    };
    let _log = logging::start(&settings.log, settings.log_format, &data_dir.join("logs"), false)?;
    let manager = ServiceManager::of_environment();
    let _lock = DirLock::take(&data_dir).map_err(text)?;
    let mut supervisor = Supervisor::default();
    let point = tokio::select! {
        started = start(&settings, &data_dir, listener, &mut supervisor) => started?,
        () = signals.stop() => return Ok(()),
    };
    let file = NodeFile {
        pid: std::process::id(),
        peer_id: point.peer_id().to_string(),
        listen: point.listen_addresses().iter().map(ToString::to_string).collect(),
        api: format!("http://{address}/"),
        chain: settings.spec.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    file.write(&data_dir).map_err(|e| format!("cannot write {}: {e}", data_dir.join(node_file::FILE).display()))?;
    tracing::info!(api = file.api, peer = file.peer_id, chain = file.chain, data = %data_dir.display(), "ready");
    manager.ready(&format!("tracker at {}", file.api));
    let failed = tokio::select! {
        reason = supervisor.failed() => Some(reason),
        () = signals.stop() => None,
    };
    manager.stopping();
    // A second signal ends the process at once, whatever is still being done.
    tokio::select! {
        () = stop(&point, supervisor) => {}
        () = signals.stop() => {}
    }
    NodeFile::remove(&data_dir);
    failed.map_or(Ok(()), Err)
}

async fn start(
    settings: &Settings,
    data_dir: &Path,
    listener: TcpListener,
    supervisor: &mut Supervisor,
) -> Result<MeetingPointHandle, String> {
    let seed = wallet::load_or_create(&data_dir.join(IDENTITY_FILE)).map_err(text)?;
    let config = MeetingPointConfig {
        identity: Identity::from_seed(seed).map_err(text)?,
        listen: if settings.listen.is_empty() { default_listen() } else { settings.listen.clone() },
        listen_optional: settings.listen.is_empty(),
        external: settings.external.clone(),
        chain: settings.spec.chain_id(),
        agent: Agent::new(concat!("bard/", env!("CARGO_PKG_VERSION"))),
        max_peers: MeetingPointConfig::DEFAULT_MAX_PEERS,
        patience: meeting_point::PATIENCE,
        first_number: clock::now().get().saturating_mul(1000),
    };
    let MeetingPoint { handle, driver } = meeting_point::start(config).await.map_err(text)?;
    let stop = supervisor.stop_token();
    supervisor.spawn("meeting point", async move {
        driver.run().await;
        Ok::<(), String>(())
    });
    let router = http::Tracker::new(handle.clone(), settings.host.is_loopback()).router();
    supervisor.spawn("http", listener::serve(listener, router, LIMITS, stop));
    Ok(handle)
}

async fn stop(point: &MeetingPointHandle, supervisor: Supervisor) {
    let (problems, _) =
        tokio::join!(supervisor.stopped(STOP_DEADLINE), tokio::time::timeout(STOP_DEADLINE, point.stop()));
    for problem in problems {
        tracing::warn!("{problem}");
    }
}

fn default_listen() -> Vec<Multiaddr> {
    let any = SocketAddr::from(([0, 0, 0, 0], DEFAULT_P2P_PORT));
    let texts =
        [format!("/ip4/{}/tcp/{}", any.ip(), any.port()), format!("/ip4/{}/udp/{}/quic-v1", any.ip(), any.port())];
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
