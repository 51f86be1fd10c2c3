//! A file with one secret of 32 bytes in hex, for its owner alone.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

/// Why a key file cannot be used.
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

/// Reads the secret, or makes a new one and writes it whole before anything uses it.
///
/// # Errors
/// [`KeyFileError`].
pub fn load_or_create(path: &Path) -> Result<[u8; 32], KeyFileError> {
    let io = |what| move |source| KeyFileError::Io { what, path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(text) => parse(text.trim()).ok_or_else(|| KeyFileError::Damaged { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).map_err(|error| KeyFileError::Randomness(error.to_string()))?;
            write(path, &secret).map_err(io("write"))?;
            Ok(secret)
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(KeyFileError::Damaged { path: path.to_owned() })
        }
        Err(error) => Err(io("read")(error)),
    }
}

/// The names of the key files (`NAME.key`) in a directory, in their order; none where it is not there.
///
/// # Errors
/// [`KeyFileError`].
pub(super) fn names_in(dir: &Path) -> Result<Vec<String>, KeyFileError> {
    let io = |source| KeyFileError::Io { what: "read", path: dir.to_owned(), source };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(io)?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(".key")).map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes a directory that only its owner may look into, unless it is there.
///
/// # Errors
/// [`KeyFileError`].
pub(super) fn make_dir(dir: &Path) -> Result<(), KeyFileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|source| KeyFileError::Io { what: "make", path: dir.to_owned(), source })
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let mut secret = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in secret.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(secret)
}

/// Writes beside the file first and renames then, so that a crash leaves no half of a key.
fn write(path: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let beside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(dir) => fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    }
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
