//! Receipts as files on the machine of whoever asks: fetched from a node, checked before anything is written, and told.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use bard_chain::{
    receipt::{Checked, Receipt},
    transaction::Action,
};

use super::client::Client;
use crate::{clock, whole_file};

/// Digits of the transaction's id in the name of a receipt's file.
const NAME_DIGITS: usize = 16;
/// Characters of a record that are shown.
const RECORD_SHOWN: usize = 200;

/// A receipt that holds.
pub struct Fetched {
    /// The bytes of its file.
    pub bytes: Vec<u8>,
    receipt: Receipt,
    checked: Checked,
}

/// Fetches the receipt of a mined transaction; `short` if its headers shall begin with its own block, `until` the height with
/// which they shall end.
///
/// # Errors
/// One line: what the node said, or what is wrong with what it sent.
pub async fn fetch(client: &Client, id: &str, short: bool, until: Option<u64>) -> Result<Fetched, String> {
    let bytes = Vec::from(client.receipt(id, short, until).await.map_err(|error| error.to_string())?);
    let (receipt, checked) = Receipt::read(&bytes)
        .and_then(|receipt| receipt.check(None, clock::now()).map(|checked| (receipt, checked)))
        .map_err(|fault| format!("{} sent a receipt that does not hold: {fault}", client.name()))?;
    if checked.transaction.to_string() != id.to_ascii_lowercase() {
        return Err(format!("{} sent the receipt of another transaction", client.name()));
    }
    Ok(Fetched { bytes, receipt, checked })
}

impl Fetched {
    /// What it shows, for a person.
    pub fn summary(&self) -> String {
        summary(&self.receipt, &self.checked, false)
    }
}

/// How the file of a receipt is called where nobody says.
pub fn default_name(id: &str) -> PathBuf {
    let digits: String = id.chars().take(NAME_DIGITS).collect();
    PathBuf::from(digits + ".receipt")
}

/// Writes a file that is not there yet: beside it first, so that no half of a receipt has its name.
///
/// # Errors
/// One line, which names the file.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => format!("{} is there already: choose another name", path.display()),
        _ => format!("cannot write {}: {error}", path.display()),
    };
    if path.exists() {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // It is made to be shown around: whoever may read any new file may read it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut beside = builder.prefix(".receipt-").tempfile_in(dir).map_err(failed)?;
    beside.write_all(bytes).and_then(|()| beside.as_file().sync_all()).map_err(failed)?;
    beside.persist_noclobber(path).map(drop).map_err(|error| failed(error.error))?;
    whole_file::sync_dir(path).map_err(failed)
}

/// What a receipt shows, for a person. `is_known`: they know its last block that counts.
pub fn summary(receipt: &Receipt, checked: &Checked, is_known: bool) -> String {
    let Checked { chain_name, chain, transaction, block, height, confirmations, last, last_height, .. } = checked;
    let sender = receipt.transaction.sender;
    let did = match &receipt.transaction.action {
        Action::Transfer { to, amount } => format!("paid {amount} to {to}"),
        Action::Record { bytes, .. } => format!("recorded {}", shown(bytes)),
        Action::ItemRequest { item } => format!("took item {}", item.as_str()),
        Action::ItemRelease { item } => format!("gave back item {}", item.as_str()),
        Action::ItemTransfer { item, to } => format!("handed item {} to {to}", item.as_str()),
    };
    let time = clock::local(checked.timestamp);
    let blocks = if *confirmations == 1 { "block" } else { "blocks" };
    let reach = if is_known {
        format!(
            "Block {last} at height {last_height}, which you know, is among its headers: it is as sure as that block is."
        )
    } else if checked.from_start {
        format!(
            "It holds every header from the first block on. To forge it takes about {} hashes, those from the transaction's \
             block on; or compare block {last} with a node you trust.",
            checked.work
        )
    } else {
        format!("It begins with that block: it is worth what block {last} is, so compare that with a node you trust.")
    };
    format!(
        "{sender}\n{did}\non chain {chain_name} {chain}\nin transaction {transaction}\nin block {height} {block}\n\
         of {time}, by the clock of its miner, with {confirmations} {blocks} from it up to height {last_height}.\n{reach}"
    )
}

/// The beginning of a record, with nothing in it that a terminal could take for a command.
fn shown(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else { return format!("{} bytes", bytes.len()) };
    let clean: String = text.chars().take(RECORD_SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(RECORD_SHOWN).is_some() { format!("{clean:?}...") } else { format!("{clean:?}") }
}
