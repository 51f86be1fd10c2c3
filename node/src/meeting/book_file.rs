//! `peers.json` in the data directory: the nodes that earlier runs were connected to.
//!
//! It is a help and no truth: a node without it finds its peers by other ways. So nothing that is wrong with it stops the
//! node: a damaged one is set aside at the start. It is written at most once a minute, whole.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bard_chain::units::Timestamp;
use bard_protocol::{KnownNode, Multiaddr, NetworkHandle, Origin, PeerId, wire::limits::MAX_ADDRESSES};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::json_file::Kind;
use crate::clock;

/// The name of the file in a data directory.
pub const FILE: &str = "peers.json";
/// Its format. It is read up to four times what [`MAX_NODES`] with [`MAX_ADDRESSES`] each come to.
const KIND: Kind = Kind { format: 1, max_len: 4 << 20 };
/// Nodes kept.
const MAX_NODES: usize = 1000;
/// A node that was not seen for so long is forgotten, in ms: 30 days.
const MAX_AGE: u64 = 30 * 24 * 60 * 60 * 1000;
/// How often it is written, if something has changed.
const EVERY: Duration = Duration::from_secs(60);
/// How soon it is written after the first peer has come: a run may be short.
const AFTER_FIRST: Duration = Duration::from_secs(5);
/// That a peer is still there is no change worth writing before so much time, in ms.
const SEEN_STEP: u64 = 10 * 60 * 1000;
/// How long the network may take to tell of its nodes when this one stops.
const FAREWELL: Duration = Duration::from_secs(1);

#[derive(Serialize, Deserialize)]
struct Content {
    nodes: Vec<Kept>,
}

/// A node as it is written.
#[derive(Serialize, Deserialize)]
struct Kept {
    peer_id: String,
    addresses: Vec<String>,
    origins: Vec<String>,
    last_seen: String,
    /// Whether this node dialled it; not in files of before this was noted.
    #[serde(default)]
    dialled: bool,
}

/// A node with the time instead of its age.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    node: KnownNode,
    last_seen: Timestamp,
}

/// The file, and what is in it.
pub(super) struct BookFile {
    path: PathBuf,
    written: Vec<Entry>,
    failing: bool,
}

impl BookFile {
    /// Reads the book of a data directory. A file that cannot be read or understood is set aside, with one line of the log.
    pub(super) fn open(dir: &Path) -> (Self, Vec<KnownNode>) {
        let path = dir.join(FILE);
        let now = clock::now();
        let written = KIND.open(&path, |content| entries_of(content, now)).unwrap_or_else(|problem| {
            tracing::warn!("{} {problem}, and the book of peers begins anew", path.display());
            None
        });
        let written = written.unwrap_or_default();
        let nodes = written.iter().map(|entry| entry.node.clone()).collect();
        (Self { path, written, failing: false }, nodes)
    }

    /// Writes what has changed; `last` says that there is no later time for it. An empty list is never written: a network
    /// that has ended knows nobody. Never fails: that it begins to is one line of the log.
    fn save(&mut self, nodes: Vec<KnownNode>, now: Timestamp, last: bool) {
        let step = if last { 1 } else { SEEN_STEP };
        let entries = entries(nodes, now);
        if entries.is_empty() || !has_changed(&self.written, &entries, step) {
            return;
        }
        match write(&self.path, &entries) {
            Ok(()) => {
                self.written = entries;
                self.failing = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!("{} cannot be written: {error}; the node goes on without", self.path.display());
                }
            }
        }
    }
}

/// Keeps the book until `stop`, then writes it once more.
pub(super) async fn keep(mut book: BookFile, network: NetworkHandle, stop: CancellationToken) {
    let mut peers = network.peers();
    let mut met = false;
    let mut next = Instant::now() + EVERY;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            changed = peers.changed(), if !met => {
                // An error says that the network has ended: there is nothing to wait for.
                met = changed.is_err() || !peers.borrow_and_update().is_empty();
                if met {
                    next = next.min(Instant::now() + AFTER_FIRST);
                }
            }
            () = tokio::time::sleep_until(next) => {
                next = Instant::now() + EVERY;
                let nodes = network.known_nodes().await;
                let Some(same) = save(book, nodes, false).await else { return stop.cancelled().await };
                book = same;
            }
        }
    }
    let nodes = tokio::time::timeout(FAREWELL, network.known_nodes()).await.unwrap_or_default();
    save(book, nodes, true).await;
}

/// Writes where waiting for the disk disturbs nobody. `None` where the runtime ends.
async fn save(mut book: BookFile, nodes: Vec<KnownNode>, last: bool) -> Option<BookFile> {
    let work = move || {
        book.save(nodes, clock::now(), last);
        book
    };
    tokio::task::spawn_blocking(work).await.ok()
}

fn entries_of(Content { nodes }: Content, now: Timestamp) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    for kept in nodes.into_iter().take(MAX_NODES) {
        let last_seen = clock::from_rfc3339(&kept.last_seen).ok_or("is damaged (a time)")?;
        let peer: PeerId = kept.peer_id.parse().map_err(|_| "is damaged (a peer id)")?;
        let unseen = now.saturating_sub(last_seen);
        let addresses: Vec<Multiaddr> =
            kept.addresses.iter().filter_map(|text| text.parse().ok()).take(MAX_ADDRESSES).collect();
        if unseen.get() > MAX_AGE || addresses.is_empty() {
            continue;
        }
        let mut origins: Vec<_> =
            kept.origins.iter().filter_map(|name| Origin::from_name(name)).take(Origin::ALL.len()).collect();
        if origins.is_empty() {
            origins.push(Origin::Book);
        }
        let unseen = Duration::from_millis(unseen.get());
        // A time that is still to come is that of a clock which was set back since.
        let last_seen = last_seen.min(now);
        let dialled = kept.dialled;
        entries.push(Entry { node: KnownNode { peer, addresses, origins, unseen, dialled }, last_seen });
    }
    Ok(entries)
}

/// The most recently seen first; at most [`MAX_NODES`], none older than [`MAX_AGE`].
fn entries(nodes: Vec<KnownNode>, now: Timestamp) -> Vec<Entry> {
    let entry = |node: KnownNode| {
        let unseen = u64::try_from(node.unseen.as_millis()).unwrap_or(u64::MAX);
        (unseen <= MAX_AGE).then(|| Entry { last_seen: now.saturating_sub(Timestamp::new(unseen)), node })
    };
    let mut entries: Vec<_> = nodes.into_iter().filter_map(entry).collect();
    entries.sort_by_key(|entry| (entry.node.unseen, entry.node.peer));
    entries.truncate(MAX_NODES);
    entries
}

/// Whether there are other nodes, other ways to them, or a time that is at least `step` ms later.
fn has_changed(old: &[Entry], new: &[Entry], step: u64) -> bool {
    let differs = |entry: &Entry| {
        old.iter().find(|known| known.node.peer == entry.node.peer).is_none_or(|known| {
            known.node.addresses != entry.node.addresses
                || known.node.origins != entry.node.origins
                || known.node.dialled != entry.node.dialled
                || entry.last_seen.get().abs_diff(known.last_seen.get()) >= step
        })
    };
    old.len() != new.len() || new.iter().any(differs)
}

fn write(path: &Path, entries: &[Entry]) -> io::Result<()> {
    let kept = |entry: &Entry| Kept {
        peer_id: entry.node.peer.to_string(),
        addresses: entry.node.addresses.iter().map(ToString::to_string).take(MAX_ADDRESSES).collect(),
        origins: entry.node.origins.iter().map(|origin| origin.name().to_owned()).collect(),
        last_seen: clock::rfc3339(entry.last_seen),
        dialled: entry.node.dialled,
    };
    KIND.write(path, &Content { nodes: entries.iter().map(kept).collect() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::meeting::json_file::MAX_DAMAGED;

    const NOW: Timestamp = Timestamp::new(1_767_225_600_000);

    fn node(unseen: Duration) -> KnownNode {
        KnownNode {
            peer: PeerId::random(),
            addresses: vec!["/ip4/10.0.0.1/tcp/6000".parse().expect("one"), "/dns/a.b/tcp/1".parse().expect("one")],
            origins: vec![Origin::Tracker, Origin::Exchange],
            unseen,
            dialled: unseen.is_zero(),
        }
    }

    fn book(dir: &Path) -> BookFile {
        BookFile { path: dir.join(FILE), written: Vec::new(), failing: false }
    }

    fn read(dir: &Path, now: Timestamp) -> Vec<KnownNode> {
        let content = KIND.read(&dir.join(FILE)).expect("readable").expect("there");
        entries_of(content, now).expect("good").into_iter().map(|entry| entry.node).collect()
    }

    #[test]
    fn what_is_written_is_read_and_ages() {
        let dir = tempfile::tempdir().expect("a directory");
        let nodes = vec![node(Duration::ZERO), node(Duration::from_secs(60))];
        book(dir.path()).save(nodes.clone(), NOW, false);
        assert_eq!(read(dir.path(), NOW), nodes);
        let day = 24 * 60 * 60 * 1000;
        let later = read(dir.path(), Timestamp::new(NOW.get() + day));
        assert_eq!(later[1].unseen, Duration::from_secs(60 + 24 * 60 * 60));
        assert_eq!(read(dir.path(), Timestamp::new(NOW.get() + 30 * day)).len(), 1, "one is older than 30 days");
        let before = read(dir.path(), Timestamp::new(NOW.get() - day));
        assert!(before.iter().all(|node| node.unseen == Duration::ZERO), "a time to come counts as now");
    }

    #[test]
    fn it_is_written_when_something_has_changed() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut book, path) = (book(dir.path()), dir.path().join(FILE));
        let mut written = |nodes: &[KnownNode], now, last| {
            let _ = fs::remove_file(&path);
            book.save(nodes.to_vec(), Timestamp::new(now), last);
            path.exists()
        };
        let one = node(Duration::ZERO);
        let now = NOW.get();
        assert!(!written(&[], now, true), "nobody is known");
        assert!(written(std::slice::from_ref(&one), now, false));
        assert!(!written(std::slice::from_ref(&one), now + 1000, false), "only the time has changed");
        assert!(written(std::slice::from_ref(&one), now + 1000, true), "it is the last occasion");
        assert!(written(std::slice::from_ref(&one), now + 2000 + SEEN_STEP, false));
        let moved = KnownNode { addresses: one.addresses[1..].to_vec(), ..one.clone() };
        assert!(written(std::slice::from_ref(&moved), now + 2000 + SEEN_STEP, false));
        assert!(written(&[moved, node(Duration::ZERO)], now + 2000 + SEEN_STEP, false));
        assert!(!written(&[], now, true), "a network that has ended");
    }

    #[test]
    fn a_book_has_its_bounds() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut nodes: Vec<_> = (0..MAX_NODES as u64 + 5).map(|age| node(Duration::from_secs(age))).collect();
        nodes.push(node(Duration::from_secs(31 * 24 * 60 * 60)));
        nodes.reverse();
        book(dir.path()).save(nodes, NOW, false);
        let read = read(dir.path(), NOW);
        assert_eq!((read.len(), read[0].unseen), (MAX_NODES, Duration::ZERO), "the most recent ones");
        let length = fs::metadata(dir.path().join(FILE)).expect("there").len();
        assert!(length * 4 < KIND.max_len * 2, "{length}");
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        let good = |peer: &str, time: &str| {
            format!(
                r#"{{"format": 1, "nodes": [{{"peer_id": "{peer}", "addresses": ["/ip4/10.0.0.1/tcp/1", "x"], "origins": ["future"], "last_seen": "{time}"}}]}}"#
            )
        };
        let peer = PeerId::random().to_string();
        fs::write(&path, good(&peer, "2026-01-01T00:00:00Z")).expect("written");
        let entries = entries_of(KIND.read(&path).expect("readable").expect("there"), NOW).expect("good");
        assert_eq!((entries[0].node.addresses.len(), &entries[0].node.origins[..]), (1, &[Origin::Book][..]));
        let bad = [
            String::new(),
            "{".to_owned(),
            "[]".to_owned(),
            r#"{"format": 2, "nodes": {}}"#.to_owned(),
            r#"{"nodes": []}"#.to_owned(),
            good("nobody", "2026-01-01T00:00:00Z"),
            good(&peer, "yesterday"),
            " ".repeat(usize::try_from(KIND.max_len).expect("small") + 1),
        ];
        for text in &bad {
            fs::write(&path, text).expect("written");
            let (mut book, nodes) = BookFile::open(dir.path());
            assert!(nodes.is_empty() && !path.exists(), "{}", text.get(..80).unwrap_or(text));
            book.save(vec![node(Duration::ZERO)], NOW, false);
            assert_eq!(read(dir.path(), NOW).len(), 1);
        }
        let names = |name: &str| fs::read_to_string(dir.path().join(name)).expect("kept");
        assert_eq!((names("peers.json.damaged"), names("peers.json.damaged.1")), (bad[0].clone(), bad[1].clone()));
        assert_eq!(names("peers.json.damaged.2"), bad[bad.len() - 1], "the last place is given away");
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1 + MAX_DAMAGED);
        fs::remove_file(&path).expect("removed");
        assert!(BookFile::open(dir.path()).1.is_empty(), "no file is no news");
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), MAX_DAMAGED);
    }

    #[test]
    fn a_place_that_cannot_be_written_does_no_harm() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join(FILE)).expect("made");
        let mut book = book(dir.path());
        book.save(vec![node(Duration::ZERO)], NOW, false);
        assert!(book.failing && book.written.is_empty());
        fs::remove_dir(dir.path().join(FILE)).expect("removed");
        book.save(vec![node(Duration::ZERO)], NOW, false);
        assert!(!book.failing && book.written.len() == 1);
    }
}
