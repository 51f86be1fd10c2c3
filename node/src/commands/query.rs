//! `bard status`, `peers`, `blocks`, `block`, `pool`, `balance`: what a running node knows.

use clap::Args;

use super::remote::Output;
use crate::interface::ask::{MAX_BLOCKS, Question};

/// Blocks that are shown when nothing says how many.
const BLOCKS_SHOWN: usize = 10;

/// A question with nothing more to say.
#[derive(Args, Clone, Debug)]
pub struct Plain {
    #[command(flatten)]
    output: Output,
}

impl Plain {
    /// Asks it.
    ///
    /// # Errors
    /// One line.
    pub fn run(&self, question: Question) -> Result<(), String> {
        self.output.ask(question)
    }
}

/// Which blocks.
#[derive(Args, Clone, Debug)]
pub struct Blocks {
    /// Height of the first; the last ten blocks if left out
    from: Option<u64>,
    /// Height of the last; ten blocks if left out
    to: Option<u64>,
    #[command(flatten)]
    output: Output,
}

impl Blocks {
    /// Prints them.
    ///
    /// # Errors
    /// One line.
    pub fn run(&self) -> Result<(), String> {
        let count = match (self.from, self.to) {
            (Some(from), Some(to)) => {
                let more = to.checked_sub(from).ok_or_else(|| format!("TO {to} is below FROM {from}"))?;
                usize::try_from(more.saturating_add(1)).unwrap_or(usize::MAX)
            }
            _ => BLOCKS_SHOWN,
        };
        if count > MAX_BLOCKS {
            return Err(format!("{count} blocks are too many for one answer, {MAX_BLOCKS} are shown at most"));
        }
        self.output.ask(Question::Blocks { from: self.from, count })
    }
}

/// Which block.
#[derive(Args, Clone, Debug)]
pub struct Block {
    /// Its height, its hash, or tip
    #[arg(default_value = "tip")]
    block: String,
    #[command(flatten)]
    output: Output,
}

impl Block {
    /// Prints it.
    ///
    /// # Errors
    /// One line.
    pub fn run(&self) -> Result<(), String> {
        self.output.ask(Question::Block { block: self.block.clone() })
    }
}

/// Whose balance.
#[derive(Args, Clone, Debug)]
pub struct Balance {
    /// A name of the node's keystore or an address; the node's own account if left out
    who: Option<String>,
    /// What the account sent and got, the newest first
    #[arg(long)]
    history: bool,
    /// What it had after the block at this height
    #[arg(long, value_name = "N", conflicts_with = "history")]
    height: Option<u64>,
    #[command(flatten)]
    output: Output,
}

impl Balance {
    /// Prints it.
    ///
    /// # Errors
    /// One line.
    pub fn run(&self) -> Result<(), String> {
        let who = self.who.clone();
        self.output.ask(if self.history {
            Question::History { who }
        } else {
            Question::Balance { who, height: self.height }
        })
    }
}
