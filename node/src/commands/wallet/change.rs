//! What changes a keystore.

use std::{fs, io::IsTerminal, io::Read, path::Path};

use bard_chain::address::Address;
use zeroize::Zeroizing;

use super::{Import, place::Place, show, terminal};
use crate::{
    config,
    wallet::{Keystore, OWN_NAME, Origin, Phrase, Secret, WalletError, secret_from_hex},
};

/// The longest file with a secret that is read, in bytes.
const MAX_SECRET_FILE: u64 = 1 << 10;

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err hands on")]
fn text(error: WalletError) -> String {
    error.to_string()
}

/// A name that is nobody's already on this chain.
fn check_public(place: &Place, name: &str) -> Result<(), String> {
    match place.public_key(name)? {
        Some(_) => Err(format!("{name} is a public account of the dev chain; for another chain name it by --chain")),
        None => Ok(()),
    }
}

pub(super) fn new(place: &Place, name: &str, phrase: bool) -> Result<(), String> {
    check_public(place, name)?;
    let keystore = place.keystore()?;
    let passphrase = place.passphrase(&keystore)?;
    let made = keystore.make(name, passphrase.as_ref()).map_err(text)?;
    terminal::print(&format!("{name} {}", made.address));
    if phrase || (made.first && std::io::stdout().is_terminal()) {
        show::print_phrase(&keystore, passphrase.as_ref())
    } else {
        if made.first {
            terminal::tell("write down the recovery phrase of this keystore: `bard wallet phrase` shows it");
        }
        Ok(())
    }
}

pub(super) fn import(place: &Place, import: Import) -> Result<(), String> {
    let Import { name, phrase, index, secret_file, address } = import;
    check_public(place, &name)?;
    let keystore = place.keystore()?;
    if let Some(address) = address {
        let address: Address = address.trim().parse().map_err(|error| format!("{address}: {error}"))?;
        keystore.watch(&name, address).map_err(text)?;
        terminal::print(&format!("{name} {address}"));
        return Ok(());
    }
    let address = if phrase {
        let words = terminal::read_secret_text("Recovery phrase, on one line (it is shown as you type):")?;
        let phrase = Phrase::parse(&words).map_err(|error| error.to_string())?;
        let passphrase = place.passphrase(&keystore)?;
        keystore.import_phrase(&name, &phrase, index, passphrase.as_ref())
    } else {
        let secret = read_secret(secret_file.as_deref().unwrap_or(Path::new("-")))?;
        let passphrase = place.passphrase(&keystore)?;
        keystore.import_secret(&name, &secret, passphrase.as_ref())
    };
    terminal::print(&format!("{name} {}", address.map_err(text)?));
    Ok(())
}

/// The secret in a file. What the file holds instead is not repeated.
fn read_secret(path: &Path) -> Result<Secret, String> {
    let content = if path == Path::new("-") {
        terminal::read_secret_text("The 64 hex digits of the secret (they are shown as you type):")?
    } else {
        let trouble = |error| format!("{} cannot be read: {error}", path.display());
        let mut content = Zeroizing::new(String::with_capacity(usize::try_from(MAX_SECRET_FILE).unwrap_or_default()));
        let file = fs::File::open(path).map_err(trouble)?;
        file.take(MAX_SECRET_FILE).read_to_string(&mut content).map_err(trouble)?;
        content
    };
    secret_from_hex(content.trim()).ok_or_else(|| format!("{} does not hold 64 hex digits", path.display()))
}

pub(super) fn remove(place: &Place, name: &str, yes: bool) -> Result<(), String> {
    let keystore = place.keystore()?;
    let overview = keystore.look().map_err(text)?;
    let key = overview.find(name).map_err(text)?;
    if key.name == OWN_NAME {
        return Err(format!("{OWN_NAME} is the node's own account: a node cannot be without it"));
    }
    let what = match key.origin {
        Origin::Phrase { index } => format!("the recovery phrase brings it back, as number {index}"),
        Origin::Imported => "without a copy of its secret, what it owns is lost".to_owned(),
        Origin::Watched => "its secret is elsewhere".to_owned(),
    };
    if !yes {
        if !terminal::is_there() {
            return Err(format!("removing {} needs --yes where nobody can be asked: {what}", key.name));
        }
        if !terminal::confirm(&format!("Remove {} {}? {what}.", key.name, key.address))? {
            return Err("nothing was removed".to_owned());
        }
    }
    keystore.remove(&key.name).map_err(text)?;
    terminal::print(&format!("removed {} {}", key.name, key.address));
    Ok(())
}

pub(super) fn passphrase(place: &Place, remove: bool, new_file: Option<&Path>) -> Result<(), String> {
    let keystore: Keystore = place.keystore()?;
    let before = place.passphrase(&keystore)?;
    let said = match (&before, remove) {
        (None, true) => return Err("the keystore has no passphrase".to_owned()),
        (Some(_), true) => "the passphrase is removed: whoever may read the file has the keys",
        (None, false) => "the keystore is protected: without the passphrase or the recovery phrase its keys are lost",
        (Some(_), false) => "the passphrase is changed",
    };
    let after = if remove {
        None
    } else {
        let given = config::passphrase(new_file, config::NEW_PASSPHRASE).map_err(|error| error.to_string())?;
        let after = given.map_or_else(terminal::ask_new_passphrase, Ok)?;
        after.fit_to_protect()?;
        Some(after)
    };
    keystore.protect(before.as_ref(), after.as_ref()).map_err(text)?;
    terminal::print(said);
    Ok(())
}
