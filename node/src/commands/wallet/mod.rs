//! `bard wallet`: the keystore of a data directory, without a node. A node that runs on the same directory notices.

mod change;
pub mod place;
mod show;
pub mod terminal;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use self::place::Place;
use super::remote::{NodeChoice, Output};
use crate::{
    config,
    interface::{ask::Question, view::json::Unlock},
    wallet,
};

/// Names and addresses of keys, and their secrets.
#[derive(Args, Clone, Debug)]
pub struct WalletOptions {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Clone, Debug)]
enum Action {
    /// Make a key, the next of the recovery phrase
    New {
        /// What it is called
        name: String,
        /// Show the recovery phrase of the keystore, too
        #[arg(long)]
        phrase: bool,
    },
    /// The names and addresses
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// One key's address
    Show {
        /// Its name or address
        #[arg(value_name = "NAME or ADDRESS")]
        key: String,
        /// Draw a QR code of the address
        #[arg(long, conflicts_with = "json")]
        qr: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Bring in a key: from a recovery phrase, from its secret, or its address alone
    Import(Import),
    /// Write out a key: its address, or its secret where that is asked for
    Export {
        /// Its name or address
        #[arg(value_name = "NAME or ADDRESS")]
        key: String,
        /// Write the secret: whoever has it has the key
        #[arg(long, requires = "out")]
        secret: bool,
        /// A new file, which only you may read; - is standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Take out a key for good
    Remove {
        /// Its name
        name: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Set, change or remove the passphrase of the keystore
    Passphrase {
        /// Remove it: whoever may read the file has the keys then
        #[arg(long, conflicts_with = "new_passphrase_file")]
        remove: bool,
        /// A file whose first line is the new passphrase; BARD_NEW_PASSPHRASE does the same
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
    /// Show the recovery phrase of the keystore
    Phrase,
    /// Open the keys of a running node
    Unlock {
        #[command(flatten)]
        node: NodeChoice,
    },
    /// Have a running node forget the secrets of its keys until it is given the passphrase again
    Lock {
        #[command(flatten)]
        node: NodeChoice,
    },
}

/// What is brought in.
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("what").required(true).args(["phrase", "secret_file", "address"])))]
struct Import {
    /// What it is called here
    name: String,
    /// From a recovery phrase, which is read from standard input
    #[arg(long)]
    phrase: bool,
    /// Which key of the phrase, from 0
    #[arg(long, value_name = "N", default_value_t = 0, requires = "phrase",
        value_parser = clap::value_parser!(u32).range(0..=i64::from(wallet::MAX_INDEX)))]
    index: u32,
    /// From a file with the 64 hex digits of its secret; - is standard input
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Only this address: it is known by the name, and nothing can be signed
    #[arg(long)]
    address: Option<String>,
}

fn ask(node: &NodeChoice, question: Question) -> Result<(), String> {
    Output { node: node.clone(), json: false }.ask(question)
}

/// Does what is asked with a keystore.
///
/// # Errors
/// One line.
pub fn run(options: WalletOptions) -> Result<(), String> {
    wallet::keep_memory_private();
    let WalletOptions { place, action } = options;
    match action {
        Action::New { name, phrase } => change::new(&place, &name, phrase),
        Action::List { json } => show::list(&place, json),
        Action::Show { key, qr, json } => show::show(&place, &key, qr, json),
        Action::Import(import) => change::import(&place, import),
        Action::Export { key, secret, out } => show::export(&place, &key, secret, out.as_deref()),
        Action::Remove { name, yes } => change::remove(&place, &name, yes),
        Action::Passphrase { remove, new_passphrase_file } => {
            change::passphrase(&place, remove, new_passphrase_file.as_deref())
        }
        Action::Phrase => show::phrase(&place),
        Action::Unlock { node } => {
            let given = config::passphrase(place.passphrase_file.as_deref(), config::PASSPHRASE);
            let given = given.map_err(|error| error.to_string())?;
            let passphrase = given.map_or_else(|| terminal::ask_passphrase("Passphrase: "), Ok)?;
            ask(&node, Question::Unlock(Unlock { passphrase }))
        }
        Action::Lock { node } => ask(&node, Question::Lock),
    }
}
