//! The keystore of a data directory: one file, `keystore.json`.
//!
//! One file for all keys, not one a key: a passphrase is changed for all of them or for none, the recovery phrase counts the
//! keys that came from it, and a rename makes either happen whole. What one file costs, writing a thousand keys to add one,
//! is less than the wait for the disk.
//!
//! Several processes may use it at once, such as a node and `bard wallet`. Who changes it holds the lock of a file beside it,
//! which is never renamed, from reading to renaming, so that nothing is lost. Who only reads needs no lock: a rename swaps the
//! whole content. A node notices that the file is another by its times, length and number.

use std::{
    fs, io,
    io::Read,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use super::{
    WalletError,
    contents::{Contents, Damage, Refused},
    file::{self, KeyFileError},
    seal::NotOpened,
};

/// The file in a data directory.
pub const FILE: &str = "keystore.json";
/// The file whose lock is held while the other is changed.
const LOCK_FILE: &str = "keystore.lock";
/// The longest keystore that is read, in bytes.
const MAX_LEN: u64 = 2 << 20;
/// How long another process may hold the lock: it makes a key of a passphrase meanwhile, no more.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the lock is tried.
const RETRY: Duration = Duration::from_millis(10);

/// The keystore of a data directory.
#[derive(Clone, Debug)]
pub struct Keystore {
    dir: PathBuf,
}

/// What tells one content of the file from the next without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    length: u64,
    marks: (i64, i64, u64),
}

/// When a file was written, to the nanosecond, and its number, which a rename changes.
#[cfg(unix)]
fn marks(metadata: &fs::Metadata) -> (i64, i64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.mtime(), metadata.mtime_nsec(), metadata.ino())
}

/// When a file was written.
#[cfg(windows)]
fn marks(metadata: &fs::Metadata) -> (i64, i64, u64) {
    (0, 0, std::os::windows::fs::MetadataExt::last_write_time(metadata))
}

impl Keystore {
    /// That of a data directory, whether there is one yet or not.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// The data directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the file is now; `None` where it is not there.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let metadata = fs::metadata(self.path()).ok()?;
        Some(Stamp { length: metadata.len(), marks: marks(&metadata) })
    }

    /// What it holds; `None` where there is no file.
    pub(super) fn read(&self) -> Result<Option<Contents>, WalletError> {
        let path = self.path();
        let io = |source| KeyFileError::Io { what: "read", path: path.clone(), source };
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(error).into()),
        };
        let length = file.metadata().map_err(io)?.len();
        if length > MAX_LEN {
            return Err(self.damaged(format!("{length} bytes are too many")));
        }
        let mut bytes =
            Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or_default().saturating_add(1)));
        file.take(MAX_LEN).read_to_end(&mut bytes).map_err(io)?;
        Contents::from_bytes(&bytes).map(Some).map_err(|Damage(what)| self.damaged(what))
    }

    /// Changes it: nobody else changes it meanwhile, and it is on disk, whole, when this returns. Where `work` fails, nothing
    /// has changed. A keystore that is not there begins empty.
    pub(super) fn change<T>(
        &self,
        work: impl FnOnce(&mut Contents) -> Result<T, WalletError>,
    ) -> Result<T, WalletError> {
        file::make_dir(&self.dir)?;
        let _lock = self.lock()?;
        let mut contents = self.read()?.unwrap_or_default();
        let done = work(&mut contents)?;
        contents.generation = contents.generation.saturating_add(1);
        file::write_private(&self.path(), &contents.to_bytes())?;
        Ok(done)
    }

    /// Takes the lock, which the system gives back when the file is closed, be it by a crash.
    fn lock(&self) -> Result<fs::File, WalletError> {
        let path = self.dir.join(LOCK_FILE);
        let lock = file::open_lock(&path)?;
        let began = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(fs::TryLockError::WouldBlock) if began.elapsed() < PATIENCE => std::thread::sleep(RETRY),
                Err(fs::TryLockError::WouldBlock) => return Err(WalletError::Busy { path: self.path() }),
                Err(fs::TryLockError::Error(source)) => {
                    return Err(KeyFileError::Io { what: "lock", path, source }.into());
                }
            }
        }
    }

    fn damaged(&self, what: impl Into<String>) -> WalletError {
        WalletError::Damaged { path: self.path(), what: what.into() }
    }

    /// Why the content refused something, as an error that names the file where it is at fault.
    pub(super) fn refused(&self, refused: Refused) -> WalletError {
        match refused {
            Refused::Locked => WalletError::Locked,
            Refused::Full => WalletError::Full,
            Refused::Damaged(Damage(what)) | Refused::NotOpened(NotOpened::Parameters(what)) => self.damaged(what),
            Refused::NotOpened(NotOpened::Wrong) => WalletError::WrongPassphrase,
            Refused::NotOpened(NotOpened::Randomness(what)) => KeyFileError::Randomness(what).into(),
        }
    }
}
