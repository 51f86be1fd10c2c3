//! `bard verify-receipt`: what a receipt shows, found out with no node and no network.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use bard_chain::{
    hash::{BlockId, content_digests},
    receipt::{Checked, Checkpoint, MAX_LEN, Receipt},
    transaction::Action,
};
use clap::Args;
use serde_json::json;

use super::digests_of;
use crate::{clock, commands::output::print, config, interface::receipt_file::summary};

/// Which receipt, and what else is known.
#[derive(Args, Clone, Debug)]
pub struct VerifyReceipt {
    /// The receipt
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,
    /// The file that is said to be on record
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The chain that is expected: a built-in name or a specification file
    #[arg(long, value_name = "NAME or FILE")]
    chain: Option<String>,
    /// A block that is known to be of the chain, by its id: the transaction's or one after it
    #[arg(long, value_name = "HASH")]
    known_block: Option<BlockId>,
    /// A block that is known to be of the chain, with its height: the transaction's or one after it
    #[arg(long, value_name = "HEIGHT:HASH", conflicts_with = "known_block")]
    checkpoint: Option<Checkpoint>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl VerifyReceipt {
    /// Checks it and prints what it shows.
    ///
    /// # Errors
    /// One line: the first thing that is wrong.
    pub fn run(&self) -> Result<(), String> {
        let name = self.receipt.display();
        let receipt = Receipt::read(&self.read()?).map_err(|fault| format!("{name}: {fault}"))?;
        let checked = match &self.checkpoint {
            Some(checkpoint) => receipt.check_against(checkpoint, clock::now()),
            None => receipt.check(self.known_block.as_ref(), clock::now()),
        };
        let checked = checked.map_err(|fault| format!("{name}: {fault}"))?;
        if let Some(chain) = &self.chain {
            let expected = config::find_spec(chain, None).map_err(|error| error.to_string())?;
            let (ours, theirs) = (expected.chain_id(), checked.chain);
            if ours != theirs {
                let (expected, found) = (&expected.name, &checked.chain_name);
                return Err(format!("{name} is of chain {found} {theirs}, not of {expected} {ours}"));
            }
        }
        let of_file = self.file.as_deref().map(|file| is_of_file(&receipt, file)).transpose()?;
        if self.json {
            return print(&self.document(&receipt, &checked).to_string());
        }
        let is_known = self.known_block.is_some() || self.checkpoint.is_some();
        print(&summary(&receipt, &checked, is_known))?;
        if let Some(how) = of_file {
            let file = self.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
            print(&format!("The record is {how} of {file}."))?;
        }
        Ok(())
    }

    fn read(&self) -> Result<Vec<u8>, String> {
        let failed = |error: std::io::Error| format!("cannot read {}: {error}", self.receipt.display());
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_LEN).unwrap_or(u64::MAX).saturating_add(1);
        File::open(&self.receipt).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(failed)?;
        Ok(bytes)
    }

    fn document(&self, receipt: &Receipt, checked: &Checked) -> serde_json::Value {
        json!({
            "valid": true,
            "chain_name": checked.chain_name,
            "chain": checked.chain.to_string(),
            "transaction": checked.transaction.to_string(),
            "sender": receipt.transaction.sender.to_string(),
            "kind": receipt.transaction.action.name(),
            "block": checked.block.to_string(),
            "height": checked.height.get(),
            "timestamp": clock::rfc3339(checked.timestamp),
            "confirmations": checked.confirmations,
            "last_block": checked.last.to_string(),
            "last_height": checked.last_height.get(),
            "work": checked.work.to_string(),
            "from_start": checked.from_start,
            "known_block": self.known_block.map(|block| block.to_string()),
            "checkpoint": self.checkpoint.map(|checkpoint| checkpoint.to_string()),
            "file": self.file,
        })
    }
}

/// How the record and the file belong together.
fn is_of_file(receipt: &Receipt, file: &Path) -> Result<&'static str, String> {
    let Action::Record { bytes, .. } = &receipt.transaction.action else {
        return Err("the transaction of this receipt is no record, and so of no file".to_owned());
    };
    let [blake3, sha256] = digests_of(file)?;
    if content_digests(bytes).contains(&sha256) {
        return Ok("the whole content");
    }
    let said = std::str::from_utf8(bytes).map(str::trim).unwrap_or_default();
    for (digest, how) in [(sha256, "the SHA-256 digest"), (blake3, "the BLAKE3 digest")] {
        if bytes.as_slice() == digest.as_bytes() || said.eq_ignore_ascii_case(&digest.to_string()) {
            return Ok(how);
        }
    }
    Err(format!("the record is neither the content of {} nor its digest", file.display()))
}
