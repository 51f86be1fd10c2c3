//! `bard tracker`.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use bard_protocol::Multiaddr;
use clap::Args;

use crate::{
    config, logging,
    tracker::{self, Settings},
};

/// Run a meeting point only: HTTP tracker, libp2p rendezvous server, Kademlia server, relay.
#[derive(Args, Clone, Debug)]
pub struct TrackerOptions {
    /// Address of the HTTP tracker
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", env = "BARD_HOST")]
    pub host: IpAddr,
    /// Port of the HTTP tracker; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 5500, env = "BARD_PORT")]
    pub port: u16,
    /// Where to listen for libp2p; TCP and QUIC on port 6500 if left out, or free ports where 6500 is taken
    #[arg(long, value_name = "MULTIADDR", env = "BARD_LISTEN", value_delimiter = ',')]
    pub listen: Vec<Multiaddr>,
    /// An address by which others reach this tracker, announced as it is
    #[arg(long, value_name = "MULTIADDR", env = "BARD_EXTERNAL_ADDRESS", value_delimiter = ',')]
    pub external_address: Vec<Multiaddr>,
    /// The chain whose Kademlia is served: a built-in name (dev) or a specification file; all else serves every chain
    #[arg(long, value_name = "NAME or FILE", default_value = "dev", env = "BARD_CHAIN")]
    pub chain: String,
    /// Everything the tracker keeps; by default a directory per user and HTTP port
    #[arg(long, value_name = "DIR", env = "BARD_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// What to log: error, warn, info, debug, trace, or a filter such as info,bard_node=debug
    #[arg(long, value_name = "FILTER", default_value = "info", env = "BARD_LOG")]
    pub log: String,
    /// How log lines look
    #[arg(long, value_name = "FORMAT", default_value = "text", env = "BARD_LOG_FORMAT")]
    pub log_format: logging::Format,
    /// A TOML file with options, by their long names
    #[arg(long, value_name = "FILE", env = "BARD_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Runs a tracker until it is told to stop.
///
/// # Errors
/// One line.
pub fn run(options: TrackerOptions) -> Result<(), String> {
    super::node::keep_private();
    let spec = config::load_spec(&options.chain).map_err(|error| error.to_string())?;
    let settings = Settings {
        host: options.host,
        port: options.port,
        listen: options.listen,
        external: options.external_address,
        spec: Arc::new(spec),
        data_dir: options.data_dir,
        log: options.log,
        log_format: options.log_format,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let result = runtime.block_on(tracker::run(settings));
    runtime.shutdown_background();
    result
}
