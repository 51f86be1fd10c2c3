//! `bard tx`: a transaction is made, signed and submitted in three steps, each of which may be done on another machine. Only
//! the second needs the keystore, and it needs no network.

mod file;
mod words;

use std::path::{Path, PathBuf};

use bard_chain::{
    address::Address,
    encoding,
    hash::ChainId,
    presets,
    signature::SecretKey,
    spec::ChainSpec,
    transaction::{Action, ItemName},
    units::{Amount, Nonce},
};
use clap::{Args, Subcommand};

use self::file::TransactionFile;
use super::{
    remote::{self, NodeChoice},
    wallet::{
        place::Place,
        terminal::{self, print},
    },
};
use crate::{
    interface::{client::Client, view::json::PoolState},
    wallet::{self, OWN_NAME, Overview, UnknownName},
};

/// Transactions that are made, signed and submitted on different machines.
#[derive(Args, Clone, Debug)]
pub struct TxOptions {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand, Clone, Debug)]
enum Step {
    /// Make an unsigned transaction
    Make(Make),
    /// Sign one, with a key of the keystore; needs no network
    Sign {
        /// The file; the signature is added to it
        file: PathBuf,
        /// Another file to write the signed transaction to; - is standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Hand a signed one to a running node
    Submit {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        node: NodeChoice,
    },
    /// Show what one does
    Show {
        /// The file
        file: PathBuf,
    },
}

#[derive(Args, Clone, Debug)]
struct Make {
    #[command(subcommand)]
    what: What,
    /// Who acts and signs: a name of the keystore or an address; the node's own key if left out
    #[arg(long, value_name = "NAME or ADDRESS", global = true)]
    from: Option<String>,
    /// What the miner gets
    #[arg(long, value_name = "N", default_value_t = 0, global = true)]
    fee: u64,
    /// How many transactions of the sender come before this one; a running node is asked if left out
    #[arg(long, value_name = "N", global = true)]
    nonce: Option<u64>,
    /// URL of that node's API; the node that runs on this machine if left out
    #[arg(long, value_name = "URL", env = "BARD_API", global = true)]
    api: Option<String>,
    /// The file to write; standard output if left out
    #[arg(long, value_name = "FILE", global = true)]
    out: Option<PathBuf>,
}

#[derive(Subcommand, Clone, Debug)]
enum What {
    /// Pay
    Transfer {
        /// Who is paid
        #[arg(value_name = "NAME or ADDRESS")]
        to: String,
        /// In the smallest unit
        amount: u64,
    },
    /// Put a text or a file on record
    Record {
        /// The text
        #[arg(required_unless_present = "file", conflicts_with = "file")]
        text: Option<String>,
        /// A file, instead of a text
        #[arg(long)]
        file: Option<PathBuf>,
        /// What it is; text/plain for a text and application/octet-stream for a file if left out
        #[arg(long, value_name = "TYPE")]
        content_type: Option<String>,
    },
    /// Take a free item
    ItemRequest {
        /// Its name
        item: String,
    },
    /// Give an item back
    ItemRelease {
        /// Its name
        item: String,
    },
    /// Hand an item on
    ItemTransfer {
        /// Its name
        item: String,
        /// Who holds it then
        #[arg(value_name = "NAME or ADDRESS")]
        to: String,
    },
}

/// Does one of the steps.
///
/// # Errors
/// One line.
pub fn run(options: TxOptions) -> Result<(), String> {
    wallet::keep_memory_private();
    let TxOptions { place, step } = options;
    match step {
        Step::Make(make) => self::make(&place, make),
        Step::Sign { file, out, yes } => sign(&place, &file, out.as_deref(), yes),
        Step::Submit { file, node } => submit(&file, &node),
        Step::Show { file } => show(&place, &file),
    }
}

/// The names that may be used: of the keystore, and on the `dev` chain the public ones.
struct Names<'a> {
    place: &'a Place,
    overview: Overview,
}

impl<'a> Names<'a> {
    fn of(place: &'a Place) -> Result<Self, String> {
        let overview = place.keystore()?.look().map_err(|error| error.to_string())?;
        Ok(Self { place, overview })
    }

    fn address(&self, text: &str) -> Result<Address, String> {
        if let Some(public) = self.place.public_key(text)? {
            return Ok(public.address());
        }
        let problem = |error: UnknownName| error.to_string();
        self.overview.address(text).map_err(problem)
    }

    fn name(&self, address: &Address) -> Option<String> {
        let own = self.overview.keys.iter().find(|key| key.address == *address).map(|key| key.name.clone());
        own.or_else(|| presets::dev_name(address).map(str::to_owned))
    }
}

fn make(place: &Place, make: Make) -> Result<(), String> {
    let Make { what, from, fee, nonce, api, out } = make;
    let spec = place.spec()?;
    let names = Names::of(place)?;
    let sender = names.address(from.as_deref().unwrap_or(OWN_NAME)).map_err(|problem| format!("--from: {problem}"))?;
    let action = match what {
        What::Transfer { to, amount } => Action::Transfer { to: names.address(&to)?, amount: Amount::new(amount) },
        What::Record { text, file, content_type } => {
            let (bytes, usual) = match (text, file) {
                (_, Some(file)) => (read(&file, spec.max_record_bytes)?, "application/octet-stream"),
                (text, None) => (text.unwrap_or_default().into_bytes(), "text/plain"),
            };
            Action::Record { content_type: content_type.unwrap_or_else(|| usual.to_owned()), bytes }
        }
        What::ItemRequest { item } => Action::ItemRequest { item: ItemName::new(item) },
        What::ItemRelease { item } => Action::ItemRelease { item: ItemName::new(item) },
        What::ItemTransfer { item, to } => Action::ItemTransfer { item: ItemName::new(item), to: names.address(&to)? },
    };
    wallet::check_recipient(&action)?;
    let nonce = match nonce {
        Some(nonce) => nonce,
        None => next_nonce(&NodeChoice { api, api_token: None }, &spec, &sender)
            .map_err(|problem| format!("the nonce is not known ({problem}): give it by --nonce"))?,
    };
    TransactionFile::new(&spec, sender, Nonce::new(nonce), Amount::new(fee), action).write(out.as_deref())
}

/// The nonce of the next transaction of a sender, as a running node knows it.
fn next_nonce(node: &NodeChoice, spec: &ChainSpec, sender: &Address) -> Result<u64, String> {
    let client = node.client()?;
    remote::block_on(async {
        check_node(&client, &spec.name, &spec.chain_id()).await?;
        let account = client.account(&sender.to_string()).await.map_err(|error| error.to_string())?;
        Ok(account.pending.nonce)
    })
}

/// Refuses a node of another chain.
async fn check_node(client: &Client, chain: &str, id: &ChainId) -> Result<(), String> {
    let node = client.node().await.map_err(|error| error.to_string())?;
    let other = node.chain.id.to_string();
    if other == id.to_string() {
        return Ok(());
    }
    let short = other.get(..16).unwrap_or_default();
    let (name, own) = (client.name(), id.short());
    Err(format!("the transaction is for the chain {chain} ({own}), and {name} follows {} ({short})", node.chain.name))
}

fn submit(path: &Path, node: &NodeChoice) -> Result<(), String> {
    let file = TransactionFile::read(path)?;
    let transaction = file.signed()?;
    let client = node.client()?;
    let taken = remote::block_on(async {
        check_node(&client, &file.chain, &file.chain_id()?).await?;
        let bytes = hex::encode(encoding::encode(&transaction));
        client.submit_transaction(bytes).await.map_err(|error| error.to_string())
    })?;
    let state = match taken.state {
        PoolState::Ready => "in the pool",
        PoolState::Waiting => "in the pool, waiting for an earlier one of its sender",
    };
    print(&format!("{state}: {}", taken.id));
    Ok(())
}

/// The content of a file that is put on record.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let trouble = |what: String| format!("{}: {what}", path.display());
    let length = std::fs::metadata(path).map_err(|error| trouble(error.to_string()))?.len();
    if length > limit {
        return Err(trouble(format!("{length} bytes are too many: a record of this chain has at most {limit}")));
    }
    std::fs::read(path).map_err(|error| trouble(error.to_string()))
}

fn sign(place: &Place, path: &Path, out: Option<&Path>, yes: bool) -> Result<(), String> {
    let mut file = TransactionFile::read(path)?;
    check_chain(place, &file)?;
    let transaction = file.transaction()?;
    terminal::tell(&in_words(place, &file)?);
    if !yes && terminal::is_there() && !terminal::confirm("Sign this?")? {
        return Err("nothing was signed".to_owned());
    }
    let key = match presets::dev_name(&transaction.sender).and_then(presets::dev_key) {
        Some(public) => public,
        None => {
            let keystore = place.keystore()?;
            let passphrase = place.passphrase(&keystore)?;
            let secret = keystore.secret(&transaction.sender.to_string(), passphrase.as_ref());
            let secret = secret.map_err(|error| error.to_string())?;
            SecretKey::from_seed(&secret)
        }
    };
    file.sign(&key)?;
    file.write(Some(out.unwrap_or(path)))?;
    terminal::tell(&format!("signed: {}", file.signed()?.id()));
    Ok(())
}

/// Refuses a transaction of another chain than the one that is meant: one that is named, or dev where not even the data
/// directory is.
fn check_chain(place: &Place, file: &TransactionFile) -> Result<(), String> {
    if place.chain.is_none() && place.data_dir.is_some() {
        return Ok(());
    }
    let spec = place.spec()?;
    let (own, other) = (spec.chain_id(), file.chain_id()?);
    if own == other {
        return Ok(());
    }
    let (own_name, other_name) = (&spec.name, &file.chain);
    Err(format!(
        "the transaction is for the chain {other_name} ({}), not for {own_name} ({}): name its chain by --chain",
        other.short(),
        own.short()
    ))
}

fn in_words(place: &Place, file: &TransactionFile) -> Result<String, String> {
    let names = Names::of(place)?;
    Ok(words::of(&file.transaction()?, &file.chain, &file.chain_id()?.to_string(), |address| names.name(address)))
}

fn show(place: &Place, path: &Path) -> Result<(), String> {
    let file = TransactionFile::read(path)?;
    let state =
        if file.is_signed() { format!("signed    {}", file.signed()?.id()) } else { "signed    not yet".to_owned() };
    print(&format!("{}\n{state}", in_words(place, &file)?));
    Ok(())
}
