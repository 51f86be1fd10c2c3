//! `bard notarise`, `bard receipt`: files put on record, and what shows it later. [`verify`] checks that.

pub mod verify;

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use bard_chain::{
    hash::{ContentHasher, Hash32},
    receipt::Receipt,
};
use clap::Args;

use super::{
    output::{print, tell},
    remote::{NodeChoice, block_on},
};
use crate::{
    clock,
    interface::{
        client::Client,
        view::json::{NewRecord, PlacedTransaction},
    },
};

/// What a record of a digest says it is: 64 hex digits, as `sha256sum` prints them.
const DIGEST_TYPE: &str = "text/plain";
/// How much of a file is read at a time, in bytes.
const PART: usize = 64 << 10;
/// Digits of the transaction's id in the name of a receipt's file.
const NAME_DIGITS: usize = 16;

/// A file to put on record.
#[derive(Args, Clone, Debug)]
pub struct Notarise {
    /// The file; its SHA-256 digest goes on record, nothing of its content
    file: PathBuf,
    /// Who signs: a name of the node's keystore; the node's own key if left out
    #[arg(long = "as", value_name = "NAME")]
    signer: Option<String>,
    /// What the miner gets
    #[arg(long, default_value_t = 0)]
    fee: u64,
    /// Put it on record once more, though it is already
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    node: NodeChoice,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Notarise {
    /// Puts the digest on record, unless it is.
    ///
    /// # Errors
    /// One line.
    pub fn run(&self) -> Result<(), String> {
        let [_, sha256] = digests_of(&self.file)?;
        let client = self.node.client()?;
        let digest = sha256.to_string();
        let (known, id) = block_on(self.put(&client, &digest))?;
        if self.json {
            let document = serde_json::json!({ "sha256": digest, "transaction": id, "already": known.is_some() });
            return print(&document.to_string());
        }
        print(&format!("{digest}  {}", self.file.display()))?;
        match known.as_ref().map(|known| known.block.as_ref()) {
            Some(Some(block)) => {
                print(&format!("on record already, in block {} by {}", block.height, id))?;
                print(&format!("get its receipt: bard receipt {id}"))
            }
            Some(None) => print(&format!("transaction {id} with it waits in the pool already")),
            None => {
                print(&format!("transaction {id} waits to be mined"))?;
                print(&format!("then get its receipt: bard receipt {id}"))
            }
        }
    }

    /// The record that is there already, if there is one and no other is wanted; and the id of its transaction.
    async fn put(&self, client: &Client, digest: &str) -> Result<(Option<PlacedTransaction<'static>>, String), String> {
        let error = |error: crate::interface::client::ClientError| error.to_string();
        if !self.again {
            let page = client.records_by_digest(digest, 1).await.map_err(error)?;
            if let Some(known) = page.transactions.into_iter().next() {
                let id = known.transaction.id.to_string();
                return Ok((Some(known), id));
            }
        }
        let record = NewRecord {
            from: self.signer.clone(),
            text: Some(digest.to_owned()),
            content_type: Some(DIGEST_TYPE.to_owned()),
            fee: self.fee,
            ..NewRecord::default()
        };
        let made = client.record(&record).await.map_err(error)?;
        Ok((None, made.id.to_string()))
    }
}

/// Which receipt.
#[derive(Args, Clone, Debug)]
pub struct GetReceipt {
    /// The id of the transaction
    #[arg(value_name = "TXID")]
    id: String,
    /// The file to write, - for standard output; if left out, the first 16 digits of the id with .receipt
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Begin with the transaction's own block: a smaller file, which shows less
    #[arg(long)]
    short: bool,
    /// End with the header at this height, such as that of a block that is known everywhere, at most 10,000 headers from the
    /// first; with the tip, or the last there is room for, if left out
    #[arg(long, value_name = "HEIGHT")]
    until: Option<u64>,
    #[command(flatten)]
    node: NodeChoice,
}

impl GetReceipt {
    /// Fetches it, checks it and writes it.
    ///
    /// # Errors
    /// One line; then no file is written.
    pub fn run(&self) -> Result<(), String> {
        let client = self.node.client()?;
        let receipt = client.receipt(&self.id, self.short, self.until);
        let bytes = block_on(async { receipt.await.map_err(|error| error.to_string()) })?;
        let (receipt, checked) = Receipt::read(&bytes)
            .and_then(|receipt| receipt.check(None, clock::now()).map(|checked| (receipt, checked)))
            .map_err(|fault| format!("{} sent a receipt that does not hold: {fault}", client.name()))?;
        if checked.transaction.to_string() != self.id {
            return Err(format!("{} sent the receipt of another transaction", client.name()));
        }
        match self.out.as_deref() {
            Some(path) if path == Path::new("-") => {
                let mut out = std::io::stdout().lock();
                return out.write_all(&bytes).map_err(|error| format!("cannot write to stdout: {error}"));
            }
            Some(path) => write_new(path, &bytes)?,
            None => write_new(&self.default_name(), &bytes)?,
        }
        let name = self.out.clone().unwrap_or_else(|| self.default_name());
        tell(&verify::summary(&receipt, &checked, false));
        print(&name.display().to_string())
    }

    fn default_name(&self) -> PathBuf {
        let digits: String = self.id.chars().take(NAME_DIGITS).collect();
        PathBuf::from(digits + ".receipt")
    }
}

/// Writes a file that is not there yet: beside it first, so that no half of a receipt has its name.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => format!("{} is there already: choose another with --out", path.display()),
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
    beside.persist_noclobber(path).map(drop).map_err(|error| failed(error.error))
}

/// The digests of a file, which may be of any length.
fn digests_of(path: &Path) -> Result<[Hash32; 2], String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    let (mut hasher, mut part) = (ContentHasher::default(), vec![0; PART]);
    loop {
        match file.read(&mut part).map_err(failed)? {
            0 => return Ok(hasher.finish()),
            length => hasher.update(part.get(..length).unwrap_or_default()),
        }
    }
}
