//! The file system, as far as the store needs it.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::Path,
};

use super::error::StoreError;

/// Less free space than this, in bytes, and nothing more is written: enough to close the store in good order.
pub(super) const FREE_BYTES_WANTED: u64 = 32 << 20;

/// What the log is written to: a file, or in tests one that fails.
pub(super) trait Medium {
    /// Writes all of `bytes` at `offset`, in bytes from the start.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts or extends to `length` bytes.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Returns when all that was written would survive a loss of power.
    fn sync_data(&self) -> io::Result<()>;
}

impl Medium for File {
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

/// Fills `buffer` from `offset`, in bytes from the start.
#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

/// Fills `buffer` from `offset`, in bytes from the start.
#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        let read = std::os::windows::fs::FileExt::seek_read(file, buffer, offset)?;
        buffer = buffer.get_mut(read..).filter(|_| read > 0).ok_or(io::ErrorKind::UnexpectedEof)?;
        offset = offset.saturating_add(read as u64);
    }
    Ok(())
}

/// Creates a directory that nobody but its owner may read, if it is not there.
pub(super) fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Makes created and renamed files of a directory survive a loss of power.
#[cfg(unix)]
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes created and renamed files of a directory survive a loss of power: here the file system does so by itself.
#[cfg(not(unix))]
pub(super) fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

/// Free space for this user in the file system of `path`, in bytes; `None` where it cannot be told.
#[cfg(unix)]
pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    let stats = rustix::fs::statvfs(path).ok()?;
    Some(stats.f_bavail.saturating_mul(stats.f_frsize))
}

/// Free space: not told here; a full disk shows when writing fails.
#[cfg(not(unix))]
pub(super) fn free_bytes(_path: &Path) -> Option<u64> {
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
