//! `node.json`: what a running node says of itself to scripts and to other nodes of the same user and machine.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use bard_protocol::{Multiaddr, NetworkHandle, discovery::local};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::whole_file::{self, Readers};

/// The name of the file in a data directory.
pub const FILE: &str = "node.json";
/// How often other nodes' files are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// The longest such file that is read, in bytes.
const MAX_LEN: u64 = 64 << 10;
/// Directories that are looked into: nobody runs more nodes on one machine.
const MAX_NODES: usize = 64;

/// What a running node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFile {
    /// Its process.
    pub pid: u32,
    /// Its id in the network.
    pub peer_id: String,
    /// Where it listens: multiaddresses with `/p2p/`.
    pub listen: Vec<String>,
    /// URL of its API.
    pub api: String,
    /// Name of its chain.
    pub chain: String,
    /// Version of its software.
    pub version: String,
}

impl NodeFile {
    /// Writes it whole.
    ///
    /// # Errors
    /// Where the directory cannot be written.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        whole_file::write(&dir.join(FILE), &text, Readers::Any)
    }

    /// Reads that of a data directory, if there is one.
    pub fn read(dir: &Path) -> Option<Self> {
        read(&dir.join(FILE))
    }

    /// Whether its process runs: one that was killed leaves its file behind.
    pub fn is_alive(&self) -> bool {
        is_alive(self.pid)
    }

    /// Removes it; it is not an error if it is gone.
    pub fn remove(dir: &Path) {
        if let Err(error) = fs::remove_file(dir.join(FILE))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "{FILE} could not be removed");
        }
    }
}

/// Looks for other nodes beside `own` until `stop`, and tells the network of them.
///
/// # Errors
/// None: a directory that cannot be read is looked into again later.
pub async fn look_around(own: PathBuf, network: NetworkHandle, stop: CancellationToken) -> Result<(), String> {
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        let dir = own.clone();
        let found = tokio::task::spawn_blocking(move || others(&dir)).await.unwrap_or_default();
        let own_id = network.peer_id().to_string();
        let connected: Vec<_> = network.peers().borrow().iter().map(|peer| peer.id.to_string()).collect();
        let fresh = found.into_iter().filter(|node| node.peer_id != own_id && !connected.contains(&node.peer_id));
        let candidates: Vec<_> = fresh.filter_map(|node| local::candidate(addresses(&node))).collect();
        if !candidates.is_empty() {
            network.add_candidates(candidates).await;
        }
    }
}

fn addresses(node: &NodeFile) -> Vec<Multiaddr> {
    node.listen.iter().filter_map(|address| address.parse().ok()).collect()
}

/// The nodes that run in the default directories of this user, each with its data directory.
pub fn running(user_dir: &Path) -> Vec<(PathBuf, NodeFile)> {
    let below =
        |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).take(MAX_NODES);
    let dirs = below(user_dir).flat_map(|chain| below(&chain).collect::<Vec<_>>()).take(MAX_NODES);
    let nodes = dirs.filter_map(|dir| NodeFile::read(&dir).map(|node| (dir, node)));
    nodes.filter(|(_, node)| node.is_alive()).collect()
}

/// Whether there is such a process; where the system does not tell, there is.
fn is_alive(pid: u32) -> bool {
    #[cfg(unix)]
    {
        use rustix::{io::Errno, process};
        let Some(pid) = i32::try_from(pid).ok().and_then(process::Pid::from_raw) else { return false };
        !matches!(process::test_kill_process(pid), Err(Errno::SRCH))
    }
    #[cfg(not(unix))]
    {
        let _ = pid;
        true
    }
}

/// The files of the nodes whose data directories are beside `own`.
fn others(own: &Path) -> Vec<NodeFile> {
    let Some(entries) = own.parent().and_then(|parent| fs::read_dir(parent).ok()) else { return Vec::new() };
    let dirs = entries.flatten().map(|entry| entry.path()).filter(|path| path != own).take(MAX_NODES);
    dirs.filter_map(|dir| read(&dir.join(FILE))).collect()
}

fn read(path: &Path) -> Option<NodeFile> {
    let mut text = Vec::new();
    let file = fs::File::open(path).ok()?;
    io::Read::read_to_end(&mut io::Read::take(file, MAX_LEN), &mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_beside_this_one_are_seen() {
        let root = tempfile::tempdir().expect("a directory");
        let (own, other) = (root.path().join("5000"), root.path().join("5001"));
        fs::create_dir(&own).expect("made");
        fs::create_dir(&other).expect("made");
        let file = NodeFile {
            pid: 1,
            peer_id: "12D3".into(),
            listen: vec!["/ip4/127.0.0.1/tcp/6000".into()],
            api: "http://127.0.0.1:5001/".into(),
            chain: "dev".into(),
            version: "0".into(),
        };
        file.write(&own).expect("written");
        file.write(&other).expect("written");
        assert_eq!(others(&own), [file]);
        fs::write(other.join(FILE), "{").expect("written");
        assert!(others(&own).is_empty(), "half a file is none");
        NodeFile::remove(&own);
        NodeFile::remove(&own);
        assert!(!own.join(FILE).exists());
    }
}
