//! Keys of earlier versions, which kept each in a file of its own: taken over once, then removed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    OWN_NAME, Secret, WalletError,
    contents::{Access, Contents, Origin},
    file::{self, KeyFileError},
    is_name,
    keystore::Keystore,
};

/// The file of the node's own key.
const OWN_KEY_FILE: &str = "account.key";
/// The directory of the keys that were made by name: `NAME.key` each.
const KEYS_DIR: &str = "keys";

/// The files that there are, each with the name of its key.
pub(super) fn files(dir: &Path) -> Result<Vec<(String, PathBuf)>, WalletError> {
    let mut found = Vec::new();
    let own = dir.join(OWN_KEY_FILE);
    if own.exists() {
        found.push((OWN_NAME.to_owned(), own));
    }
    let keys = dir.join(KEYS_DIR);
    let io = |source| KeyFileError::Io { what: "read", path: keys.clone(), source };
    let entries = match fs::read_dir(&keys) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(io(error).into()),
    };
    let mut named = Vec::new();
    for entry in entries {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".key"));
        if let Some(name) = name.filter(|name| is_name(name)) {
            named.push((name.to_owned(), path.clone()));
        }
    }
    named.sort_unstable();
    found.extend(named);
    Ok(found)
}

/// Puts the keys of these files into a keystore. Returns the files that are no longer needed, once that is on disk.
pub(super) fn take_over(
    files: Vec<(String, PathBuf)>,
    keystore: &Keystore,
    contents: &mut Contents,
    access: &Access,
) -> Result<Vec<PathBuf>, WalletError> {
    let mut done = Vec::new();
    for (name, path) in files {
        let Some(secret) = file::read_secret(&path)? else { continue };
        match contents.find(&name) {
            // A crash came between writing the keystore and removing the file.
            Some(known) if is_of(&secret, known.address) => done.push(path),
            Some(_) => {
                tracing::warn!("{} holds another key than {name} of the keystore: it is left alone", path.display());
            }
            None => {
                let added = contents.add(&name, &secret, Origin::Imported, access);
                added.map_err(|refused| keystore.refused(refused))?;
                done.push(path);
            }
        }
    }
    Ok(done)
}

fn is_of(secret: &Secret, address: bard_chain::address::Address) -> bool {
    bard_chain::signature::SecretKey::from_seed(secret).address() == address
}

/// Removes files whose keys are in the keystore now.
pub(super) fn remove(files: &[PathBuf]) {
    for path in files {
        match fs::remove_file(path) {
            Ok(()) => tracing::info!("the key of {} is in {} now", path.display(), super::keystore::FILE),
            Err(error) => tracing::warn!("{} is no longer needed and cannot be removed: {error}", path.display()),
        }
    }
    if let Some(dir) = files.last().and_then(|path| path.parent()).filter(|dir| dir.ends_with(KEYS_DIR)) {
        // Where something else is in it, it stays.
        let _ = fs::remove_dir(dir);
    }
}
