//! `bard notarise`, `bard receipt`: files put on record, and what shows it later. [`verify`] checks that.

pub mod verify;

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use bard_chain::hash::{ContentHasher, Hash32};
use clap::Args;

use super::{
    output::{print, tell},
    remote::{NodeChoice, block_on},
};
use crate::interface::{
    client::Client,
    receipt_file,
    view::json::{NewRecord, PlacedTransaction},
};

/// What a record of a digest says it is: 64 hex digits, as `sha256sum` prints them.
const DIGEST_TYPE: &str = "text/plain";
/// How much of a file is read at a time, in bytes.
const PART: usize = 64 << 10;

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
        let fetched = block_on(receipt_file::fetch(&client, &self.id, self.short, self.until))?;
        if self.out.as_deref() == Some(Path::new("-")) {
            let mut out = std::io::stdout().lock();
            return out.write_all(&fetched.bytes).map_err(|error| format!("cannot write to stdout: {error}"));
        }
        let path = self.out.clone().unwrap_or_else(|| receipt_file::default_name(&self.id));
        receipt_file::write_new(&path, &fetched.bytes)?;
        tell(&fetched.summary());
        print(&path.display().to_string())
    }
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
