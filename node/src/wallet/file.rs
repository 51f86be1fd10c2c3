//! Files for their owner alone, written whole or not at all.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Secret, hex};
use crate::whole_file::{self, Readers};

/// Why a file of secrets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{} is damaged: it must hold 64 hex digits; restore it from a backup, or move it away to get a new key",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("the system gives no randomness for a new key: {0}")]
    Randomness(String),
}

/// Reads the secret of a file of 64 hex digits, or makes a new one and writes it whole before anything uses it.
///
/// # Errors
/// [`KeyFileError`].
pub fn load_or_create(path: &Path) -> Result<[u8; 32], KeyFileError> {
    if let Some(secret) = read_secret(path)? {
        return Ok(*secret);
    }
    let mut secret = Secret::default();
    getrandom::fill(secret.as_mut()).map_err(|error| KeyFileError::Randomness(error.to_string()))?;
    write_private(path, hex::secret_to_hex(&secret).as_bytes())?;
    Ok(*secret)
}

/// The secret in a file of 64 hex digits; `None` where there is no file.
pub(super) fn read_secret(path: &Path) -> Result<Option<Secret>, KeyFileError> {
    let damaged = || KeyFileError::Damaged { path: path.to_owned() };
    match fs::read_to_string(path).map(zeroize::Zeroizing::new) {
        Ok(text) => hex::secret_from_hex(text.trim()).map(Some).ok_or_else(damaged),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(damaged()),
        Err(source) => Err(KeyFileError::Io { what: "read", path: path.to_owned(), source }),
    }
}

/// Makes a directory that only its owner may look into, unless it is there.
///
/// # Errors
/// [`KeyFileError`].
pub fn make_dir(dir: &Path) -> Result<(), KeyFileError> {
    whole_file::make_dir(dir).map_err(|source| KeyFileError::Io { what: "make", path: dir.to_owned(), source })
}

/// Opens a file, made if it is not there, that only its owner may read; for its lock, not for what is in it.
pub(super) fn open_lock(path: &Path) -> Result<fs::File, KeyFileError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| KeyFileError::Io { what: "write", path: path.to_owned(), source })
}

/// Writes a file for its owner alone: a crash leaves the old content or the new one. On disk when this returns.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), KeyFileError> {
    let io = |source| KeyFileError::Io { what: "write", path: path.to_owned(), source };
    whole_file::write(path, bytes, Readers::Owner).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        let secret = load_or_create(&path).expect("made");
        assert_eq!(load_or_create(&path).expect("read"), secret);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_file_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        for content in [b"".as_slice(), b"xyz", &[b'g'; 64], &[0xff; 64]] {
            fs::write(&path, content).expect("written");
            assert!(matches!(load_or_create(&path), Err(KeyFileError::Damaged { .. })));
            assert_eq!(fs::read(&path).expect("there"), content);
        }
    }
}
