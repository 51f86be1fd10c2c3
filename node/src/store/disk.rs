//! The file system, as far as the store needs it.

use std::{
    fmt::Debug,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Builder, Database, DatabaseError};

use super::error::StoreError;

/// Less free space than this, in bytes, and no block is stored any more, unless it was configured otherwise: enough to bring
/// the index up to date and to close the store in good order, whatever else writes to the disk meanwhile.
pub const KEEP_FREE_DEFAULT: u64 = 64 << 20;

/// A data directory as the store needs it: one of the file system, or in tests one that loses what was not synced.
///
/// Names are those of files in the directory. What is created, renamed or deleted survives a loss of power from the next
/// [`Disk::sync_dir`] on, what is written to a file from its next [`Medium::sync_data`] on.
pub(super) trait Disk: Debug + Send + Sync {
    /// Creates the directory for its owner alone, if it is not there.
    fn create_dir(&self) -> io::Result<()>;
    /// Makes the directory itself, which may be new, survive a loss of power.
    fn sync_place(&self) -> io::Result<()>;
    /// Length of a file in bytes; `None` where there is none of this name.
    fn length(&self, name: &str) -> io::Result<Option<u64>>;
    /// Creates a file, or empties the one that is there.
    fn create(&self, name: &str) -> io::Result<OpenFile>;
    /// Opens a file to read and write.
    fn open(&self, name: &str) -> io::Result<OpenFile>;
    /// Gives a file another name, from which another file vanishes.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Deletes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes created, renamed and deleted files survive a loss of power.
    fn sync_dir(&self) -> io::Result<()>;
    /// Free space for this user, in bytes; `None` where it cannot be told.
    fn free_bytes(&self) -> Option<u64>;
    /// Opens the embedded store in a file, created if it is not there.
    fn database(&self, builder: &Builder, name: &str) -> Result<Database, DatabaseError>;
}

/// An open file, for any thread.
pub(super) type OpenFile = Arc<dyn Medium + Send + Sync>;

/// What the log is written to and read from: a file, or in tests one that fails.
pub(super) trait Medium: Debug {
    /// Length in bytes.
    fn length(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset`, in bytes from the start.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`, in bytes from the start.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts or extends to `length` bytes.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Returns when all that was written would survive a loss of power.
    fn sync_data(&self) -> io::Result<()>;
}

impl Medium for OpenFile {
    fn length(&self) -> io::Result<u64> {
        (**self).length()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        (**self).write_all_at(bytes, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        (**self).set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        (**self).sync_data()
    }
}

impl Medium for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, offset)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(self, buffer, offset)?;
            buffer = buffer.get_mut(read..).filter(|_| read > 0).ok_or(io::ErrorKind::UnexpectedEof)?;
            offset = offset.saturating_add(read as u64);
        }
        Ok(())
    }

    #[cfg(unix)]
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, offset)
    }

    #[cfg(windows)]
    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(self, bytes, offset)?;
            bytes = bytes.get(written..).filter(|_| written > 0).ok_or(io::ErrorKind::WriteZero)?;
            offset = offset.saturating_add(written as u64);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Self::set_len(self, length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }
}

/// A directory of the file system.
#[derive(Debug)]
pub(super) struct Dir(pub(super) PathBuf);

impl Disk for Dir {
    fn create_dir(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0)
    }

    fn sync_place(&self) -> io::Result<()> {
        // A directory above that this user may not open is none that was made for this one.
        fs::canonicalize(&self.0)?.ancestors().skip(1).filter_map(|above| sync(above).err()).for_each(drop);
        Ok(())
    }

    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        match self.0.join(name).metadata() {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, name: &str) -> io::Result<OpenFile> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(self.0.join(name))?;
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<OpenFile> {
        Ok(Arc::new(File::options().read(true).write(true).open(self.0.join(name))?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        sync(&self.0)
    }

    /// Where it cannot be told, a full disk shows when writing fails.
    fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.0)
    }

    fn database(&self, builder: &Builder, name: &str) -> Result<Database, DatabaseError> {
        builder.create(self.0.join(name))
    }
}

/// Makes created and renamed files of a directory survive a loss of power; where this is not unix, the file system does so
/// by itself.
fn sync(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(dir)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

#[cfg(unix)]
fn free_bytes(path: &Path) -> Option<u64> {
    let stats = rustix::fs::statvfs(path).ok()?;
    Some(stats.f_bavail.saturating_mul(stats.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_path: &Path) -> Option<u64> {
    None
}

/// The claim to a data directory, given up when dropped, or by the system when the process ends, however it ends.
#[derive(Debug)]
pub struct DirLock(#[expect(dead_code, reason = "held for the lock on it")] File);

impl DirLock {
    /// Claims a directory.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another process has it, [`StoreError::Io`] where the system refuses.
    pub fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("lock");
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(StoreError::io("open", path.clone()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { dir: dir.into() }),
            Err(TryLockError::Error(source)) => Err(StoreError::Io { action: "lock", path, source }),
        }
    }
}
