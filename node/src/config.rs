//! What a node is told: options, environment and file, in this order of precedence, made into one checked value.
//!
//! Every option also reads `BARD_<OPTION>` from the environment, and the file given by `--config`: TOML, with the long names
//! of the options as keys. Nothing else in the node reads these variables; those that are not ours are read where they mean
//! something: `NO_COLOR` by what writes to a terminal, and what a service manager says by `service_manager`. A passphrase is no option, so that it is never
//! part of a command line: it comes from a file or a variable.

mod file;

use std::{
    ffi::OsString,
    io::Read,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bard_chain::{mempool::Limits, presets, spec::ChainSpec};
use bard_protocol::{ChainSecret, Multiaddr};
use clap::{Args, builder::FalseyValueParser};
use zeroize::Zeroizing;

pub use self::file::FileOptions;
use crate::{
    application::health::ReadyRules,
    chains::{self, ChainError},
    logging, miner,
    store::KEEP_FREE_DEFAULT,
    wallet::{MAX_PASSPHRASE, Passphrase},
};

/// Run a node: P2P, HTTP API, console on stdin.
#[derive(Args, Clone, Debug)]
pub struct NodeOptions {
    /// Address of the HTTP API
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", env = "BARD_HOST")]
    pub host: IpAddr,
    /// Port of the HTTP API; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 5000, env = "BARD_PORT")]
    pub port: u16,
    /// Where to listen for other nodes; TCP and QUIC on port 6000 if left out, or free ports where 6000 is taken
    #[arg(long, value_name = "MULTIADDR", env = "BARD_LISTEN", value_delimiter = ',')]
    pub listen: Vec<Multiaddr>,
    /// A node to connect to, with or without /p2p/<peer id>
    #[arg(long, value_name = "MULTIADDR", env = "BARD_BOOTSTRAP", value_delimiter = ',')]
    pub bootstrap: Vec<Multiaddr>,
    /// A file of nodes to connect to, {"nodes": [...]}: multiaddrs, host:port or URLs of other nodes' APIs
    #[arg(long, value_name = "FILE", env = "BARD_PEERS_FILE")]
    pub peers_file: Option<PathBuf>,
    /// An HTTP tracker to register at, such as http://192.168.1.7:5500
    #[arg(long, value_name = "URL", env = "BARD_TRACKER", value_delimiter = ',')]
    pub tracker: Vec<String>,
    /// A libp2p rendezvous point to register at
    #[arg(long, value_name = "MULTIADDR", env = "BARD_RENDEZVOUS", value_delimiter = ',')]
    pub rendezvous: Vec<Multiaddr>,
    /// An address by which others reach this node, announced as it is
    #[arg(long, value_name = "MULTIADDR", env = "BARD_EXTERNAL_ADDRESS", value_delimiter = ',')]
    pub external_address: Vec<Multiaddr>,
    /// Do not look for nodes on the local network
    #[arg(long, env = "BARD_NO_MDNS", value_parser = FalseyValueParser::new())]
    pub no_mdns: bool,
    /// Do not look for other nodes of this user on this machine
    #[arg(long, env = "BARD_NO_LOCAL", value_parser = FalseyValueParser::new())]
    pub no_local: bool,
    /// Do not find nodes by Kademlia
    #[arg(long, env = "BARD_NO_KADEMLIA", value_parser = FalseyValueParser::new())]
    pub no_kademlia: bool,
    /// Do not ask peers about their peers
    #[arg(long, env = "BARD_NO_EXCHANGE", value_parser = FalseyValueParser::new())]
    pub no_exchange: bool,
    /// Do not have peers try whether this node can be reached
    #[arg(long, env = "BARD_NO_AUTONAT", value_parser = FalseyValueParser::new())]
    pub no_autonat: bool,
    /// Relay connections between nodes that cannot reach each other
    #[arg(long, env = "BARD_RELAY_SERVER", value_parser = FalseyValueParser::new())]
    pub relay_server: bool,
    /// Do not ask the router to forward the port
    #[arg(long, env = "BARD_NO_UPNP", value_parser = FalseyValueParser::new())]
    pub no_upnp: bool,
    /// The chain: a built-in name (dev), a specification file, or the name of a chain that was made or joined here; that of
    /// --data-dir if left out, or dev
    #[arg(long, value_name = "NAME or FILE", env = "BARD_CHAIN")]
    pub chain: Option<String>,
    /// The secret of a closed chain, in a file; by default that which bard join or bard chain new kept
    #[arg(long, value_name = "FILE", env = "BARD_CHAIN_SECRET_FILE")]
    pub chain_secret_file: Option<PathBuf>,
    /// Everything the node keeps; by default a directory per user, chain and HTTP port
    #[arg(long, value_name = "DIR", env = "BARD_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Mine continuously
    #[arg(long, env = "BARD_MINE", value_parser = FalseyValueParser::new())]
    pub mine: bool,
    /// Threads to mine on; all cores but one if left out
    #[arg(long, value_name = "N", env = "BARD_MINE_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub mine_threads: Option<u16>,
    /// Who gets the reward of mined blocks; the node's own key if left out
    #[arg(long, value_name = "NAME or ADDRESS", env = "BARD_MINER")]
    pub miner: Option<String>,
    /// The most MiB of transactions that wait to be mined; when they are reached, those that pay least make room
    #[arg(long, value_name = "MIB", default_value_t = 64, env = "BARD_POOL_SIZE", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub pool_size: u16,
    /// Hours after which a transaction that was not mined is forgotten
    #[arg(long, value_name = "HOURS", default_value_t = 336, env = "BARD_POOL_EXPIRY", value_parser = clap::value_parser!(u16).range(1..=8760))]
    pub pool_expiry: u16,
    /// Never read stdin
    #[arg(long, env = "BARD_NO_CONSOLE", value_parser = FalseyValueParser::new())]
    pub no_console: bool,
    /// Stop when standard input ends, as it does when the program that started this node is gone
    #[arg(long, env = "BARD_STOP_WITH_STDIN", value_parser = FalseyValueParser::new())]
    pub stop_with_stdin: bool,
    /// What to log: error, warn, info, debug, trace, or a filter such as info,bard_node=debug
    #[arg(long, value_name = "FILTER", default_value = "info", env = "BARD_LOG")]
    pub log: String,
    /// How log lines look
    #[arg(long, value_name = "FORMAT", default_value = "text", env = "BARD_LOG_FORMAT")]
    pub log_format: logging::Format,
    /// Where log files go; the directory logs in the data directory if left out
    #[arg(long, value_name = "DIR", env = "BARD_LOG_DIR")]
    pub log_dir: Option<PathBuf>,
    /// Required for changing requests when --host is not loopback; made and printed where none is given
    #[arg(long, value_name = "TOKEN", env = "BARD_API_TOKEN", hide_env_values = true)]
    pub api_token: Option<String>,
    /// A file whose first line is the passphrase of the keystore; BARD_PASSPHRASE does the same, and without either a
    /// protected keystore stays locked until `wallet unlock`
    #[arg(long, value_name = "FILE", env = "BARD_PASSPHRASE_FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Peers that this node needs to call itself ready at /readyz
    #[arg(long, value_name = "N", default_value_t = 0, env = "BARD_READY_PEERS")]
    pub ready_peers: usize,
    /// Age of the last block, in seconds, above which it does not; any age if left out
    #[arg(long, value_name = "SECONDS", env = "BARD_READY_TIP_AGE")]
    pub ready_tip_age: Option<u64>,
    /// Free space of the disk, in MiB, below which no block is taken or mined; the node goes on answering
    #[arg(long, value_name = "MIB", default_value_t = KEEP_FREE_DEFAULT >> 20, env = "BARD_KEEP_FREE")]
    pub keep_free: u64,
    /// A TOML file with options, by their long names
    #[arg(long, value_name = "FILE", env = "BARD_CONFIG")]
    pub config: Option<PathBuf>,
}

/// Why options cannot be used: one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl NodeOptions {
    /// The chain's specification.
    ///
    /// # Errors
    /// Names the file or the unknown name, or both chains where the data directory has another than the one that is named.
    pub fn spec(&self) -> Result<Arc<ChainSpec>, ConfigError> {
        let spec = chain_of(self.chain.as_deref(), self.data_dir.as_deref())?;
        Ok(Arc::new(spec.unwrap_or_else(presets::dev)))
    }

    /// The data directory; `None` where that of a port is meant and any port is taken, or the user has no home directory.
    pub fn dir(&self, spec: &ChainSpec) -> Option<PathBuf> {
        match &self.data_dir {
            Some(dir) => Some(dir.clone()),
            None if self.port == 0 => None,
            None => chain_dir(spec).ok().map(|dir| dir.join(self.port.to_string())),
        }
    }

    /// The directory where the chain is at home: its specification and its secret are there.
    ///
    /// # Errors
    /// Where the user has no home directory and none is named.
    pub fn chain_home(&self, spec: &ChainSpec) -> Result<PathBuf, ConfigError> {
        self.data_dir.as_ref().map_or_else(|| chain_dir(spec), |dir| Ok(chains::home_of(dir, spec)))
    }

    /// The secret of the chain, if it is closed.
    ///
    /// # Errors
    /// Where a closed chain's secret is missing or cannot be read, an open one is given a secret, or a closed one is to meet at
    /// a place that does not know the secret.
    pub fn secret(&self, spec: &ChainSpec) -> Result<Option<ChainSecret>, ConfigError> {
        let said = |error: ChainError| ConfigError(error.0);
        if spec.closed && !self.rendezvous.is_empty() {
            let why = "a rendezvous point is no member of a closed chain; use --bootstrap or --tracker";
            return Err(ConfigError(format!("--rendezvous: {why}")));
        }
        match (&self.chain_secret_file, spec.closed) {
            (None, false) => Ok(None),
            (Some(_), false) => {
                Err(ConfigError(format!("--chain-secret-file: the chain {} is open and has no secret", spec.name)))
            }
            (Some(file), true) => chains::read_secret(file).map(Some).map_err(said),
            (None, true) => {
                let homes = homes(self.dir(spec).as_deref(), spec);
                let missing = || {
                    let name = &spec.name;
                    ConfigError(format!(
                        "the chain {name} is closed: join it by an invitation, or name a file with its secret by --chain-secret-file"
                    ))
                };
                chains::load_secret(&homes).map_err(said)?.ok_or_else(missing).map(Some)
            }
        }
    }

    /// When this node calls itself ready.
    pub fn ready(&self) -> ReadyRules {
        ReadyRules { peers: self.ready_peers, tip_age: self.ready_tip_age.map(Duration::from_secs) }
    }

    /// Free space below which no block is taken, in bytes.
    pub const fn keep_free(&self) -> u64 {
        self.keep_free.saturating_mul(1 << 20)
    }

    /// What the pool may hold, and for how long.
    pub fn pool_limits(&self) -> Limits {
        let age_ms = u64::from(self.pool_expiry) * 60 * 60 * 1000;
        Limits { bytes: usize::from(self.pool_size) << 20, age_ms, ..Limits::default() }
    }

    /// Threads to mine on.
    pub fn threads(&self) -> usize {
        self.mine_threads.map_or_else(miner::default_threads, usize::from)
    }
}

/// The token of `--api-token` or `BARD_API_TOKEN`; an empty one is none.
///
/// # Errors
/// Where no header could carry it as it is. It is not shown.
pub fn api_token(given: Option<&str>) -> Result<Option<String>, ConfigError> {
    let Some(token) = given.filter(|token| !token.is_empty()) else { return Ok(None) };
    let fits = token.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !fits || token.trim_matches(' ') != token {
        let what = "only visible ASCII characters and spaces between them can be sent";
        return Err(ConfigError(format!("--api-token: {what}")));
    }
    Ok(Some(token.to_owned()))
}

/// The variable that may hold the passphrase of the keystore.
pub const PASSPHRASE: &str = "BARD_PASSPHRASE";
/// The variable that may hold a new one.
pub const NEW_PASSPHRASE: &str = "BARD_NEW_PASSPHRASE";

/// The passphrase from the first line of a file, or else from a variable of the environment; `None` where there is neither.
///
/// # Errors
/// Names the file or the variable and what is wrong with it, and never what it holds.
pub fn passphrase(file: Option<&Path>, variable: &str) -> Result<Option<Passphrase>, ConfigError> {
    let Some(file) = file else {
        let Some(text) = std::env::var_os(variable) else { return Ok(None) };
        let text = text.into_string().map_err(|_| ConfigError(format!("{variable} is not UTF-8")))?;
        return Passphrase::new(text).map(Some).map_err(|problem| ConfigError(format!("{variable}: {problem}")));
    };
    let trouble = |what: String| ConfigError(format!("{}: {what}", file.display()));
    let opened = std::fs::File::open(file).map_err(|error| trouble(format!("cannot be read: {error}")))?;
    // Room for the longest passphrase and the end of its line, and no more: the file may be endless.
    let mut text = Zeroizing::new(String::with_capacity(MAX_PASSPHRASE + 3));
    let limit = u64::try_from(MAX_PASSPHRASE + 2).unwrap_or_default();
    opened.take(limit).read_to_string(&mut text).map_err(|error| trouble(format!("cannot be read: {error}")))?;
    let line = text.lines().next().unwrap_or_default();
    Passphrase::new(Zeroizing::new(line.to_owned())).map(Some).map_err(trouble)
}

/// The variable with the port of a node's API.
const PORT: &str = "BARD_PORT";

/// The port of the node that the environment speaks of; `None` where it names none, or 0, which may be any.
///
/// # Errors
/// Names the variable where it holds no port.
pub fn port_of_environment() -> Result<Option<u16>, ConfigError> {
    match std::env::var(PORT) {
        Err(_) => Ok(None),
        Ok(text) => port(&text).map_err(|what| ConfigError(format!("{PORT}: {what}"))),
    }
}

fn port(text: &str) -> Result<Option<u16>, String> {
    let port: u16 = text.parse().map_err(|_| format!("{text:?} is not a port: 0 to 65535"))?;
    Ok(Some(port).filter(|port| *port != 0))
}

/// Whether a variable of the environment is set to anything.
pub fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// The names of all variables that options are read from, as they are set now.
pub fn variables() -> Vec<OsString> {
    std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("BARD_")).collect()
}

/// The chain that is named, or else the one that is at home in a data directory; `None` where neither says which.
///
/// # Errors
/// As with [`load_spec`], and where the two are not one.
pub fn chain_of(chain: Option<&str>, data_dir: Option<&Path>) -> Result<Option<ChainSpec>, ConfigError> {
    let here = data_dir.map(chains::at_home).transpose().map_err(|error| ConfigError(error.0))?.flatten();
    let Some(chain) = chain else { return Ok(here.map(|here| here.spec)) };
    let named = find_spec(chain, data_dir)?;
    match here.filter(|here| here.spec != named) {
        None => Ok(Some(named)),
        Some(here) => Err(ConfigError(format!(
            "--chain {chain}: that is {}, and {} is a data directory of {}: leave --chain out, or choose another --data-dir",
            chains::full_name(&named),
            here.home.display(),
            here.full_name()
        ))),
    }
}

/// Where the secret of a chain may be, the first that has one counts: at the home of a data directory, in that itself, and at
/// the chain's home among those of this user.
pub fn homes(data_dir: Option<&Path>, spec: &ChainSpec) -> Vec<PathBuf> {
    let of_dir = data_dir.into_iter().flat_map(|dir| [chains::home_of(dir, spec), dir.to_owned()]);
    of_dir.chain(chain_dir(spec).ok()).collect()
}

/// The specification of a built-in chain, from a file, or of a chain that was saved for this user.
///
/// # Errors
/// Names the file, or the name that is unknown or has several chains.
pub fn load_spec(chain: &str) -> Result<ChainSpec, ConfigError> {
    find_spec(chain, None)
}

/// The same; of chains by one name, that of `data_dir` is meant.
///
/// # Errors
/// As with [`load_spec`].
pub fn find_spec(chain: &str, data_dir: Option<&Path>) -> Result<ChainSpec, ConfigError> {
    if let Some(spec) = presets::built_in(chain) {
        return Ok(spec);
    }
    let path = Path::new(chain);
    let trouble = |error: ChainError| ConfigError(format!("--chain {chain}: {error}"));
    if path.is_file() {
        return chains::read_spec(path).map_err(trouble);
    }
    let found = chains::by_name(chain, user_dir().ok().as_deref(), data_dir).map_err(trouble)?;
    found.map(|saved| saved.spec).ok_or_else(|| {
        ConfigError(format!(
            "--chain {chain}: no built-in chain (dev), no file, and no chain that was made or joined here"
        ))
    })
}

/// Where nodes of this user that follow a chain keep their data directories, one a port.
///
/// # Errors
/// Where the user has no home directory.
pub fn chain_dir(spec: &ChainSpec) -> Result<PathBuf, ConfigError> {
    Ok(user_dir()?.join(chains::full_name(spec)))
}

/// Where all data directories of this user are, unless they are named.
///
/// # Errors
/// Where the user has no home directory.
pub fn user_dir() -> Result<PathBuf, ConfigError> {
    let dirs = directories::ProjectDirs::from("", "", "blockbard")
        .ok_or_else(|| ConfigError("there is no home directory: name a data directory with --data-dir".to_owned()))?;
    Ok(dirs.data_dir().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_specification_is_that_of_the_dev_chain() {
        assert!(
            include_str!("../../docs/chain.md").contains(&presets::dev().to_toml()),
            "{}",
            presets::dev().to_toml()
        );
    }

    #[test]
    fn a_passphrase_is_the_first_line_of_its_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("passphrase");
        let read = |text: &str| {
            std::fs::write(&file, text).expect("written");
            passphrase(Some(&file), "NO_SUCH_VARIABLE")
        };
        let expected = Passphrase::new("correct horse".to_owned()).expect("a passphrase");
        for text in ["correct horse", "correct horse\n", "correct horse\r\nmore"] {
            assert_eq!(read(text), Ok(Some(expected.clone())), "{text:?}");
        }
        let longest = "x".repeat(MAX_PASSPHRASE);
        assert!(read(&longest).is_ok() && read(&format!("{longest}x")).is_err());
        assert!(read("").expect_err("empty").0.contains("empty") && read("\n").is_err());
        assert!(
            passphrase(Some(Path::new("/nowhere/at/all")), "X").expect_err("missing").0.contains("/nowhere/at/all")
        );
        assert!(passphrase(Some(Path::new("/dev/zero")), "X").is_err());
        assert_eq!(passphrase(None, "NO_SUCH_VARIABLE"), Ok(None));
    }

    #[test]
    fn a_token_can_be_sent_or_is_refused() {
        assert_eq!((api_token(None), api_token(Some(""))), (Ok(None), Ok(None)));
        for token in ["sesame", "a long secret", "!~=/+"] {
            assert_eq!(api_token(Some(token)), Ok(Some(token.to_owned())));
        }
        for token in [" ", "x ", " x", "s\u{e9}same", "two\nlines", "a\tb", "\u{7f}"] {
            let said = api_token(Some(token)).expect_err(token).0;
            assert!(said.contains("--api-token") && said.lines().count() == 1 && !said.contains("same"), "{said}");
        }
    }

    #[test]
    fn a_data_directory_says_which_chain_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path();
        let dir = Some(home);
        assert_eq!((chain_of(None, None), chain_of(None, dir)), (Ok(None), Ok(None)));
        assert_eq!(chain_of(Some("dev"), dir), Ok(Some(presets::dev())));
        let kiln = ChainSpec { name: "kiln".to_owned(), ..presets::dev() };
        chains::save_spec(home, &kiln).expect("saved");
        for chain in [None, Some("kiln"), Some(chains::full_name(&kiln).as_str())] {
            assert_eq!(chain_of(chain, dir), Ok(Some(kiln.clone())), "{chain:?}");
        }
        let said = chain_of(Some("dev"), dir).expect_err("two chains").0;
        assert!(
            said.contains(&chains::full_name(&kiln)) && said.contains(&chains::full_name(&presets::dev())),
            "{said}"
        );
    }

    #[test]
    fn a_port_of_the_environment_is_one_or_none() {
        assert_eq!((port("5001"), port("0")), (Ok(Some(5001)), Ok(None)));
        for text in ["", "x", "-1", "65536"] {
            assert!(port(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn chains_are_built_in_or_files() {
        assert_eq!(load_spec("dev").expect("built in"), presets::dev());
        assert!(load_spec("/nowhere/at/all").expect_err("missing").0.contains("/nowhere/at/all"));
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("spec.toml");
        std::fs::write(&file, presets::dev().to_toml()).expect("written");
        assert_eq!(load_spec(file.to_str().expect("text")).expect("read"), presets::dev());
        std::fs::write(&file, "name = 1").expect("written");
        assert!(load_spec(file.to_str().expect("text")).expect_err("bad").0.contains("spec.toml"));
    }
}
