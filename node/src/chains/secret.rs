//! The secret of a closed chain, in a file for its owner alone.

use std::{fs, path::Path};

use bard_protocol::ChainSecret;

use super::ChainError;
use crate::whole_file::{self, Readers};

/// The name of the file.
pub const SECRET_FILE: &str = "chain.secret";
/// The longest such file that is read, in bytes.
const MAX_LEN: u64 = 256;

/// A new secret.
///
/// # Errors
/// Where the system gives no randomness.
pub fn make_secret() -> Result<ChainSecret, ChainError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| ChainError(format!("the system gives no randomness: {error}")))?;
    Ok(ChainSecret::new(bytes))
}

/// Reads a secret from a file.
///
/// # Errors
/// Names the file and what is wrong with it, never its content.
pub fn read_secret(path: &Path) -> Result<ChainSecret, ChainError> {
    let trouble = |what: String| ChainError(format!("{}: {what}", path.display()));
    let length = fs::metadata(path).map_err(|error| trouble(format!("cannot be read: {error}")))?.len();
    if length > MAX_LEN {
        return Err(trouble("too long for the secret of a chain".to_owned()));
    }
    let text = fs::read_to_string(path).map_err(|error| trouble(format!("cannot be read: {error}")))?;
    text.trim().parse().map_err(|error| trouble(format!("no secret of a chain: {error}")))
}

/// The secret that is kept in the first of these directories that has one.
///
/// # Errors
/// Where there is one that cannot be read.
pub fn load_secret(homes: &[impl AsRef<Path>]) -> Result<Option<ChainSecret>, ChainError> {
    let mut files = homes.iter().map(|home| home.as_ref().join(SECRET_FILE));
    files.find(|file| file.exists()).map(|file| read_secret(&file)).transpose()
}

/// Keeps a secret in a directory, instead of one that is there.
///
/// # Errors
/// Where it cannot be written.
pub fn save_secret(home: &Path, secret: &ChainSecret) -> Result<(), ChainError> {
    let path = home.join(SECRET_FILE);
    let line = format!("{}\n", secret.to_hex());
    let written = whole_file::make_dir(home).and_then(|()| whole_file::write(&path, line.as_bytes(), Readers::Owner));
    written.map_err(|error| ChainError(format!("cannot write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_kept_for_its_owner_alone() {
        let home = tempfile::tempdir().expect("a directory");
        let homes = [home.path().join("5000"), home.path().to_owned()];
        assert_eq!(load_secret(&homes), Ok(None));
        let secret = make_secret().expect("randomness");
        save_secret(home.path(), &secret).expect("saved");
        assert_eq!(load_secret(&homes), Ok(Some(secret)));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let file = home.path().join(SECRET_FILE);
            assert_eq!(fs::metadata(file).expect("there").permissions().mode() & 0o777, 0o600);
        }
        fs::write(home.path().join(SECRET_FILE), "hunter2").expect("written");
        let problem = load_secret(&homes).expect_err("no secret").to_string();
        assert!(problem.contains(SECRET_FILE) && !problem.contains("hunter2"), "{problem}");
    }
}
