//! `bard send`, `record`, `item`, `mine`, `connect`, `verify`: what a running node does, once.

use clap::{Args, Subcommand, ValueEnum};

use super::remote::Output;
use crate::interface::ask::{Answer, ItemState, Question, host_and_port};

/// A payment.
#[derive(Args, Clone, Debug)]
pub struct Send {
    /// Who pays: a name of the node's keystore; the node's own key if left out. Then who is paid, and how much
    #[arg(value_name = "[FROM] TO AMOUNT", num_args = 2..=3, required = true)]
    words: Vec<String>,
    /// What the miner gets
    #[arg(long, default_value_t = 0)]
    fee: u64,
    #[command(flatten)]
    output: Output,
}

impl Send {
    /// Pays.
    ///
    /// # Errors
    /// One line.
    pub fn run(&self) -> Result<(), String> {
        let (from, to, amount) = match self.words.as_slice() {
            [to, amount] => (None, to, amount),
            [from, to, amount] => (Some(from.clone()), to, amount),
            _ => return Err("[FROM] TO AMOUNT are expected".to_owned()),
        };
        let amount = amount.parse().map_err(|_| format!("AMOUNT: {amount:?} is not a whole number"))?;
        self.output.ask(Question::Send { from, to: to.clone(), amount, fee: self.fee })
    }
}

/// A text to put on record.
#[derive(Args, Clone, Debug)]
pub struct Record {
    /// Who signs: a name of the node's keystore; the node's own key if left out
    #[arg(long = "as", value_name = "NAME")]
    signer: Option<String>,
    /// The text
    #[arg(required = true, num_args = 1..)]
    text: Vec<String>,
    #[command(flatten)]
    output: Output,
}

impl Record {
    /// Puts it on record.
    ///
    /// # Errors
    /// One line.
    pub fn run(&self) -> Result<(), String> {
        self.output.ask(Question::Record { signer: self.signer.clone(), text: self.text.join(" ") })
    }
}

/// How many blocks to mine.
#[derive(Args, Clone, Debug)]
pub struct Mine {
    /// How many
    #[arg(default_value_t = 1)]
    blocks: u32,
    /// Recorded in the first of them
    #[arg(long, value_name = "TEXT")]
    data: Option<String>,
    #[command(flatten)]
    output: Output,
}

impl Mine {
    /// Mines them and waits for them.
    ///
    /// # Errors
    /// One line.
    pub fn run(&self) -> Result<(), String> {
        self.output.ask(Question::Mine { blocks: self.blocks, data: self.data.clone() })
    }
}

/// Whom to connect to.
#[derive(Args, Clone, Debug)]
pub struct Connect {
    /// A multiaddress, HOST:PORT, or the URL of another node's API
    #[arg(value_name = "ADDRESS or HOST")]
    address: String,
    /// The port, where a host is named alone
    port: Option<u16>,
    #[command(flatten)]
    output: Output,
}

impl Connect {
    /// Connects.
    ///
    /// # Errors
    /// One line.
    pub fn run(&self) -> Result<(), String> {
        let address = match self.port {
            Some(port) => host_and_port(&self.address, port),
            None if self.address.contains([':', '/']) => self.address.clone(),
            None => return Err(format!("{}: a port is expected after a host", self.address)),
        };
        self.output.ask(Question::Connect { address })
    }
}

/// A check of the whole chain.
#[derive(Args, Clone, Debug)]
pub struct Verify {
    #[command(flatten)]
    output: Output,
}

impl Verify {
    /// Has it checked and prints what was found.
    ///
    /// # Errors
    /// One line, also where the chain is not valid.
    pub fn run(&self) -> Result<(), String> {
        match self.output.answer(Question::Verify)? {
            Answer::Verified(found) if !found.valid => Err("the chain is not valid".to_owned()),
            _ => Ok(()),
        }
    }
}

/// What to do with items.
#[derive(Clone, Debug, Subcommand)]
pub enum Item {
    /// Take free items, all of them or none
    Request {
        /// Their names
        #[arg(required = true, value_name = "ITEM")]
        items: Vec<String>,
        /// Who acts.
        #[command(flatten)]
        act: Act,
    },
    /// Give an item back
    Release {
        /// Its name
        item: String,
        /// Who acts.
        #[command(flatten)]
        act: Act,
    },
    /// Hand an item on
    Transfer {
        /// Its name
        item: String,
        /// Name or address of who holds it then
        to: String,
        /// Who acts.
        #[command(flatten)]
        act: Act,
    },
    /// An item and who held it
    #[command(visible_alias = "history")]
    Show {
        /// Its name
        item: String,
        /// Who held it after the block at this height
        #[arg(long, value_name = "N")]
        height: Option<u64>,
        /// Which node is asked, and how the answer is printed.
        #[command(flatten)]
        output: Output,
    },
    /// Items that were ever requested, with their holders
    List {
        /// Only those that somebody holds, or those that are free again
        state: Option<State>,
        /// Which node is asked, and how the answer is printed.
        #[command(flatten)]
        output: Output,
    },
}

/// Who acts.
#[derive(Args, Clone, Debug)]
pub struct Act {
    /// Who signs: a name of the node's keystore; the node's own key if left out
    #[arg(long = "as", value_name = "NAME")]
    signer: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Which items.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum State {
    /// Those that somebody holds
    Reserved,
    /// Those that were held once and are free
    Available,
}

impl Item {
    /// Does it.
    ///
    /// # Errors
    /// One line.
    pub fn run(self) -> Result<(), String> {
        match self {
            Self::Request { items, act: Act { signer, output } } => {
                output.ask(Question::RequestItems { signer, items })
            }
            Self::Release { item, act: Act { signer, output } } => output.ask(Question::ReleaseItem { signer, item }),
            Self::Transfer { item, to, act: Act { signer, output } } => {
                output.ask(Question::TransferItem { signer, item, to })
            }
            Self::Show { item, height, output } => output.ask(Question::Item { item, height }),
            Self::List { state, output } => {
                let state = state.map(|state| match state {
                    State::Reserved => ItemState::Reserved,
                    State::Available => ItemState::Available,
                });
                output.ask(Question::Items { state })
            }
        }
    }
}
