//! Ways to find other nodes that need files or HTTP, which the protocol does without.
//!
//! ```text
//! --peers-file --> peers_file --> place --(multiaddress)----------------------> network: candidates
//!                                   \--(host:port, http://)--> nodes --\            ^
//! Handle::add_http_node -------------------------------------> nodes ---> http_peer +
//! --tracker ------------------------------> tracker --(APIs it names)--/            |
//!                                            \--(nodes it names)--------------------+
//! peers.json <-> book_file <-> network: known nodes
//! bans.json <-> ban_file <-> network: bans
//! ```
//!
//! | room | what it does |
//! |---|---|
//! | `place` | how people name a node |
//! | `http` | short calls to servers that nobody vouches for |
//! | [`http_peer`] | asks a node's API who it is and where it listens |
//! | `nodes` | nodes known by HTTP addresses, asked until they answer |
//! | `peers_file` | the file of `--peers-file` |
//! | `tracker`, `tracker_answer` | a client of HTTP trackers |
//! | [`book_file`] | `peers.json`, the peers of earlier runs |
//! | `ban_file` | `bans.json`, who is banned, over restarts; `json_file` reads and writes both |
//! | `backoff`, `health` | when to try again, and when to say so |

mod backoff;
mod ban_file;
pub mod book_file;
mod health;
mod http;
pub mod http_peer;
mod json_file;
mod nodes;
mod peers_file;
mod place;
#[cfg(test)]
mod tests;
mod tracker;
mod tracker_answer;

use std::{path::Path, time::Duration};

use bard_chain::hash::ChainId;
use bard_protocol::{Ban, Bans, Candidate, KnownNode, Multiaddr, NetworkHandle, Origin};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use http_peer::AskError;
pub use place::{HostPort, NotAPlace, NotAUrl, Place};

use self::{
    ban_file::{BanFile, Progress},
    book_file::BookFile,
    http::Client,
    http_peer::Own,
    nodes::{Listed, Nodes, Wanted},
    tracker::Tracker,
};

/// Trackers that one node may be told of.
const MAX_TRACKERS: usize = 16;
/// HTTP addresses on their way to the table of nodes; one more is refused, to be tried again.
const QUEUE: usize = 64;
/// How long a ban may take to reach the disk.
const KEEPING: Duration = Duration::from_secs(5);
const FILE_OF_BANS: &str = ban_file::FILE;
/// How long a stop may take: a farewell to the trackers and the last write of the book, side by side, each within 1 s.
const STOP_DEADLINE: Duration = Duration::from_millis(1500);

/// What a person said about where to find others, checked.
#[derive(Clone, Debug, Default)]
pub struct Configured {
    places: Vec<Place>,
    trackers: Vec<HostPort>,
}

/// Why that cannot be used: one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfiguredError(String);

impl Configured {
    /// Reads the peers file, if there is one, and the URLs of trackers.
    ///
    /// # Errors
    /// Names the option, and the file and its entry, or the URL.
    pub fn read(peers_file: Option<&Path>, trackers: &[String]) -> Result<Self, ConfiguredError> {
        let places = peers_file.map_or(Ok(Vec::new()), peers_file::read).map_err(ConfiguredError)?;
        if trackers.len() > MAX_TRACKERS {
            return Err(ConfiguredError(format!("--tracker: at most {MAX_TRACKERS} can be named")));
        }
        let mut read: Vec<HostPort> = Vec::new();
        for text in trackers {
            let tracker = HostPort::from_url(text).map_err(|error| ConfiguredError(format!("--tracker: {error}")))?;
            if !read.contains(&tracker) {
                read.push(tracker);
            }
        }
        Ok(Self { places, trackers: read })
    }
}

/// What this room needs of the node.
pub struct Parts {
    /// The network that is told.
    pub network: NetworkHandle,
    /// The chain.
    pub chain: ChainId,
    /// Its name, for people.
    pub chain_name: String,
    /// Addresses that are announced as they are.
    pub external: Vec<Multiaddr>,
}

/// The files of a data directory that are about other nodes, read and not yet kept.
pub struct Files {
    book: BookFile,
    bans: BanFile,
}

/// What an earlier run knew of other nodes.
pub struct Remembered {
    /// Those that it was connected to.
    pub known: Vec<KnownNode>,
    /// Those that it banned.
    pub bans: Vec<Ban>,
}

/// Reads `peers.json` and `bans.json` of a data directory. A damaged file is set aside with one line of the log; nothing
/// fails.
pub fn open_files(data_dir: &Path) -> (Files, Remembered) {
    let (book, known) = BookFile::open(data_dir);
    let (file, bans) = BanFile::open(data_dir);
    (Files { book, bans: file }, Remembered { known, bans })
}

/// The way to this room for others. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    client: Client,
    own: Own,
    nodes: mpsc::Sender<Wanted>,
    listed: Listed,
    kept: watch::Receiver<Progress>,
}

/// Why an HTTP address was not taken: one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// It is none.
    #[error(transparent)]
    NotAUrl(#[from] NotAUrl),
    /// Too many at once, or the node stops.
    #[error("too many addresses at once; try again in a second")]
    Busy,
    /// The table is full.
    #[error("{} nodes are known by HTTP addresses, no more are taken", nodes::MAX_NODES)]
    Full,
}

impl Handle {
    /// Asks the node whose API is at `api` who it is and where it can be reached from here: a candidate with its peer id and
    /// at least one address, each with `/p2p/` at the end.
    ///
    /// # Errors
    /// [`AskError`], one line for a person, within about 6 s once there is a place among the few calls at once.
    pub async fn ask(&self, api: &HostPort, origin: Origin) -> Result<Candidate, AskError> {
        http_peer::ask(&self.client, api, &self.own, origin).await
    }

    /// Has the node whose API is at this URL (`http://host:port`, with or without `/` at the end) asked until it answers and
    /// connected for ever, as one that a person asked for. The table of such nodes has 256 places.
    ///
    /// # Errors
    /// [`AddError`]: no such URL, too many at once, or no place left.
    pub fn add_http_node(&self, url: &str) -> Result<HostPort, AddError> {
        let api = HostPort::from_url(url)?;
        let known = self.listed.to_vec().contains(&api);
        if !self.listed.add(&api) {
            return Err(AddError::Full);
        }
        let wanted = Wanted { api: api.clone(), origin: Origin::Manual, maybe_p2p: false };
        if self.nodes.try_send(wanted).is_err() {
            if !known {
                self.listed.remove(&api);
            }
            return Err(AddError::Busy);
        }
        Ok(api)
    }

    /// Waits until bans are on disk, as of this change or a later one.
    ///
    /// # Errors
    /// One line: why they are not.
    pub async fn bans_kept(&self, bans: &Bans) -> Result<(), String> {
        let mut kept = self.kept.clone();
        let is_known = |kept: &Progress| kept.of(bans.version).is_some();
        let waited = tokio::time::timeout(KEEPING, kept.wait_for(is_known)).await;
        let problem = |why: &str| format!("it holds, but only until the node stops: {FILE_OF_BANS} {why}");
        match waited {
            Ok(Ok(kept)) => {
                let written = kept.of(bans.version).unwrap_or(Ok(()));
                written.map_err(|error| problem(&format!("cannot be written: {error}")))
            }
            Ok(Err(_)) => Err(problem("is no longer written, the node is stopping")),
            Err(_) => Err(problem("takes too long to write")),
        }
    }

    /// The nodes that are known by HTTP addresses: from the peers file and those that were added. One that turned out to be
    /// this node is not among them.
    pub fn http_nodes(&self) -> Vec<HostPort> {
        self.listed.to_vec()
    }
}

/// The tasks of this room, to be run.
pub struct Tasks {
    network: NetworkHandle,
    candidates: Vec<Candidate>,
    nodes: Nodes,
    trackers: Vec<Tracker>,
    files: Files,
    kept: watch::Sender<Progress>,
    stop: CancellationToken,
    done: oneshot::Sender<()>,
}

/// Ends the tasks before the network ends.
pub struct Stopper {
    stop: CancellationToken,
    done: oneshot::Receiver<()>,
}

impl Stopper {
    /// Tells the tasks to end, and waits until the trackers are told and the book is written, 1.5 s at most.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        // An error says that the tasks have ended already.
        let _ = tokio::time::timeout(STOP_DEADLINE, &mut self.done).await;
    }
}

/// Makes the tasks and the ways to them. They end with `stop`, or earlier by the [`Stopper`].
pub fn new(configured: Configured, files: Files, parts: Parts, stop: &CancellationToken) -> (Handle, Tasks, Stopper) {
    let Parts { network, chain, chain_name, external } = parts;
    let own = Own { peer: network.peer_id(), chain, chain_name };
    let client = Client::new();
    let (nodes, inbox) = mpsc::channel(QUEUE);
    let listed = Listed::default();
    let (kept, is_kept) = watch::channel(Progress::default());
    let handle = Handle { client: client.clone(), own: own.clone(), nodes, listed: listed.clone(), kept: is_kept };
    let origin = Origin::PeersFile;
    let (mut candidates, mut wanted) = (Vec::new(), Vec::new());
    for place in configured.places {
        match place {
            Place::Multiaddr(address) => candidates.push(Candidate::from_address(address, origin)),
            Place::HostPort(api) => wanted.push(Wanted { api, origin, maybe_p2p: true }),
            Place::Api(api) => wanted.push(Wanted { api, origin, maybe_p2p: false }),
        }
    }
    let tracker = |server| Tracker::new(server, network.clone(), client.clone(), own.clone(), external.clone());
    let trackers = configured.trackers.into_iter().map(tracker).collect();
    let nodes = Nodes::new(network.clone(), client.clone(), own.clone(), wanted, inbox, listed);
    let stop = stop.child_token();
    let (done, ended) = oneshot::channel();
    let tasks = Tasks { network, candidates, nodes, trackers, files, kept, stop: stop.clone(), done };
    (handle, tasks, Stopper { stop, done: ended })
}

impl Tasks {
    /// Runs until it is told to stop.
    pub async fn run(self) {
        let Self { network, candidates, nodes, trackers, files, kept, stop, done } = self;
        if !candidates.is_empty() {
            network.add_candidates(candidates).await;
        }
        let trackers = trackers.into_iter().map(|tracker| tracker.run(stop.clone()));
        tokio::join!(
            nodes.run(stop.clone()),
            futures::future::join_all(trackers),
            ban_file::keep(files.bans, network.bans(), kept, stop.clone()),
            book_file::keep(files.book, network, stop.clone())
        );
        // An error says that nobody waits for it.
        let _ = done.send(());
    }
}
