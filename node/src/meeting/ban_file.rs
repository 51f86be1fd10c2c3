//! `bans.json` in the data directory: who is banned, until when, by whom and why. It outlives restarts.
//!
//! It is written when a ban begins or ends, at most once a second, to the disk before it gets its name; whoever bans a peer
//! is answered after that. A damaged file is set aside with one line of the log, and the node starts without bans.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bard_chain::units::Timestamp;
use bard_protocol::{BAN, Ban, BannedBy, Bans, PeerId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::json_file::Kind;
use crate::clock;

/// The name of the file in a data directory.
pub(super) const FILE: &str = "bans.json";
/// Its format. It is read up to four times what [`MAX_BANS`] come to.
const KIND: Kind = Kind { format: 1, max_len: 4 << 20 };
/// Bans kept, as many as the network knows.
const MAX_BANS: usize = 1000;
/// How often it is written at most: strangers can get themselves banned as often as they like.
const EVERY: Duration = Duration::from_secs(1);
/// When writing is tried again that failed.
const AGAIN: Duration = Duration::from_secs(3);

#[derive(Serialize, Deserialize)]
struct Content {
    bans: Vec<Kept>,
}

/// A ban as it is written.
#[derive(Serialize, Deserialize)]
struct Kept {
    peer_id: String,
    until: String,
    by: By,
    reason: String,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Fault,
    Person,
}

/// How far the bans have come to the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The version that is there.
    written: u64,
    /// The last attempt, where it failed: of which version, and why.
    failed: Option<(u64, String)>,
}

impl Progress {
    /// What is known of a version or a later one: whether it is on disk, or why not; `None` where that is not tried yet.
    pub(super) fn of(&self, version: u64) -> Option<Result<(), &str>> {
        if self.written >= version {
            return Some(Ok(()));
        }
        self.failed.as_ref().filter(|(tried, _)| *tried >= version).map(|(_, why)| Err(why.as_str()))
    }
}

/// The file of a data directory.
pub(super) struct BanFile {
    path: PathBuf,
    /// Whether there is one with bans in it.
    in_use: bool,
}

impl BanFile {
    /// Reads the bans that have not ended.
    pub(super) fn open(dir: &Path) -> (Self, Vec<Ban>) {
        let path = dir.join(FILE);
        let bans = KIND.open(&path, |content| bans_of(content, clock::now())).unwrap_or_else(|problem| {
            tracing::warn!("{} {problem}, and nobody is banned", path.display());
            None
        });
        let bans = bans.unwrap_or_default();
        let in_use = path.exists();
        (Self { path, in_use }, bans)
    }

    /// Writes these bans, where there are any or were.
    fn save(&mut self, bans: &Bans) -> io::Result<()> {
        let all = bans.now();
        if self.in_use || !all.is_empty() {
            write(&self.path, &all, clock::now())?;
            self.in_use = true;
        }
        Ok(())
    }
}

/// Writes the bans now and whenever they change, until `stop`, and once more then; `kept` says how far they are on disk. What
/// could not be written is tried again, as it is by then. That writing begins to fail is one line of the log.
pub(super) async fn keep(
    mut file: BanFile,
    mut bans: watch::Receiver<Bans>,
    kept: watch::Sender<Progress>,
    stop: CancellationToken,
) {
    bans.mark_changed();
    loop {
        let is_due = kept.borrow().failed.is_some();
        let stopping = stop.run_until_cancelled(wanted(&mut bans, is_due)).await.is_none_or(|goes_on| !goes_on);
        if stopping && !is_due && !bans.has_changed().unwrap_or(false) {
            return;
        }
        let now = bans.borrow_and_update().clone();
        let version = now.version;
        // Where waiting for the disk disturbs nobody.
        let work = move || (file.save(&now), file);
        let Ok((written, same)) = tokio::task::spawn_blocking(work).await else { return };
        file = same;
        if let (Err(error), false) = (&written, is_due) {
            tracing::warn!("{} cannot be written: {error}; bans end with this run", file.path.display());
        }
        kept.send_modify(|kept| match written {
            Ok(()) => *kept = Progress { written: version, failed: None },
            Err(error) => kept.failed = Some((version, error.to_string())),
        });
        if stopping {
            return;
        }
        // Cut short by a stop.
        let _ = stop.run_until_cancelled(tokio::time::sleep(EVERY)).await;
    }
}

/// Waits until there is something to write; whether there will be more.
async fn wanted(bans: &mut watch::Receiver<Bans>, is_due: bool) -> bool {
    let changed = async { bans.changed().await.is_ok() };
    if is_due { tokio::time::timeout(AGAIN, changed).await.unwrap_or(true) } else { changed.await }
}

/// The bans that have not ended.
fn bans_of(Content { bans }: Content, now: Timestamp) -> Result<Vec<Ban>, String> {
    let mut read = Vec::new();
    for kept in bans.into_iter().take(MAX_BANS) {
        let until = clock::from_rfc3339(&kept.until).ok_or("is damaged (a time)")?;
        let peer: PeerId = kept.peer_id.parse().map_err(|_| "is damaged (a peer id)")?;
        let remaining = Duration::from_millis(until.saturating_sub(now).get());
        // The clock may have been wrong when it was written.
        let (by, remaining) = match kept.by {
            By::Fault => (BannedBy::Fault, remaining.min(BAN)),
            By::Person => (BannedBy::Person, remaining),
        };
        if !remaining.is_zero() {
            read.push(Ban { peer, remaining, by, reason: kept.reason });
        }
    }
    Ok(read)
}

fn write(path: &Path, bans: &[Ban], now: Timestamp) -> io::Result<()> {
    let kept = |ban: &Ban| Kept {
        peer_id: ban.peer.to_string(),
        until: clock::rfc3339(clock::after(now, ban.remaining)),
        by: match ban.by {
            BannedBy::Fault => By::Fault,
            BannedBy::Person => By::Person,
        },
        reason: ban.reason.clone(),
    };
    KIND.write(path, &Content { bans: bans.iter().map(kept).collect() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(path: &Path, now: Timestamp) -> Result<Vec<Ban>, String> {
        bans_of(KIND.read(path)?.ok_or("there is none")?, now)
    }

    const NOW: Timestamp = Timestamp::new(1_767_225_600_000);

    fn ban(seconds: u64, by: BannedBy) -> Ban {
        let reason = "sent a block with \"false\" work".to_owned();
        Ban { peer: PeerId::random(), remaining: Duration::from_secs(seconds), by, reason }
    }

    #[test]
    fn what_is_written_is_read_and_ends() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        let bans = [ban(60, BannedBy::Fault), ban(3600, BannedBy::Person)];
        write(&path, &bans, NOW).expect("written");
        assert_eq!(read(&path, NOW).expect("good"), bans);
        let later = Timestamp::new(NOW.get() + 60_000);
        let left = Ban { remaining: Duration::from_secs(3540), ..bans[1].clone() };
        assert_eq!(read(&path, later).expect("good"), [left], "one has ended");
        assert!(BanFile::open(&dir.path().join("none")).1.is_empty(), "no file is no news");
    }

    #[test]
    fn a_clock_that_was_wrong_makes_no_ban_longer() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        let bans = [ban(60, BannedBy::Fault), ban(3600, BannedBy::Person)];
        let (ahead, year) = (Timestamp::new(NOW.get() + 365 * 86_400_000), Duration::from_secs(365 * 86_400));
        write(&path, &bans, ahead).expect("written");
        let read = read(&path, NOW).expect("good");
        assert_eq!(read[0].remaining, BAN);
        assert_eq!(read[1].remaining, bans[1].remaining + year, "a person meant what he said");
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        let odd = r#"{"format": 1, "bans": [{"peer_id": "x", "until": "2030-01-01T00:00:00Z", "by": "person", "reason": ""}]}"#;
        for text in ["", "{", "[]", r#"{"format": 2, "bans": {}}"#, odd] {
            fs::write(&path, text).expect("written");
            let (_, bans) = BanFile::open(dir.path());
            assert!(bans.is_empty() && !path.exists(), "{text}");
        }
        assert!(dir.path().join("bans.json.damaged").exists());
    }

    #[tokio::test]
    async fn changes_are_kept_and_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, none) = BanFile::open(dir.path());
        assert!(none.is_empty());
        let (changes, bans) = watch::channel(Bans::default());
        let (kept, mut told) = watch::channel(Progress::default());
        let stop = CancellationToken::new();
        let task = tokio::spawn(keep(file, bans, kept, stop.clone()));
        let one = ban(3600, BannedBy::Person);
        let version = |version, all: Vec<Ban>| Bans { version, at: Some(tokio::time::Instant::now()), all: all.into() };
        changes.send_replace(version(1, vec![one.clone()]));
        told.wait_for(|kept| kept.of(1) == Some(Ok(()))).await.expect("written");
        assert_eq!(BanFile::open(dir.path()).1[0].peer, one.peer);
        changes.send_replace(version(2, Vec::new()));
        stop.cancel();
        task.await.expect("ended");
        assert_eq!(BanFile::open(dir.path()).1, [], "the last change is not lost by a stop");
    }

    #[tokio::test]
    async fn what_could_not_be_written_is_tried_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, _) = BanFile::open(dir.path());
        // What has the name of the file cannot be replaced by one.
        let way = dir.path().join(FILE);
        let bar = || fs::create_dir_all(way.join("x")).expect("made");
        let one = ban(3600, BannedBy::Person);
        let version = |version, all: Vec<Ban>| Bans { version, at: Some(tokio::time::Instant::now()), all: all.into() };
        let (changes, bans) = watch::channel(Bans::default());
        let (kept, mut told) = watch::channel(Progress::default());
        let stop = CancellationToken::new();
        bar();
        let task = tokio::spawn(keep(file, bans, kept, stop.clone()));
        changes.send_replace(version(1, vec![one.clone()]));
        let failed = told.wait_for(|kept| kept.of(1).is_some()).await.expect("tried").clone();
        assert!(failed.of(1).is_some_and(|kept| kept.is_err()), "{failed:?}");
        assert_eq!((failed.of(0), failed.of(2)), (Some(Ok(())), None), "it says nothing of a later change");
        fs::remove_dir_all(&way).expect("removed");
        told.wait_for(|kept| kept.of(1) == Some(Ok(()))).await.expect("written without another change");
        fs::remove_file(&way).expect("removed");
        bar();
        changes.send_replace(version(2, vec![one.clone()]));
        told.wait_for(|kept| kept.of(2).is_some()).await.expect("tried");
        fs::remove_dir_all(&way).expect("removed");
        stop.cancel();
        task.await.expect("ended");
        assert_eq!(BanFile::open(dir.path()).1[0].peer, one.peer, "at the latest by the stop");
    }
}
