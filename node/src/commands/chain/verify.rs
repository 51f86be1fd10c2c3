//! `bard chain verify`: the whole chain from its genesis block, as if it came from a stranger.

use std::{
    cell::Cell,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use bard_chain::{hash::ChainId, units::Height};
use clap::Args;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::place::{Place, with_keeper};
use crate::{
    application::{Mark, verify_chain},
    commands::{
        output::{print, tell},
        progress,
    },
    whole_file::{self, Readers},
};

/// How far a check has come that is not done, in the data directory.
const UNFINISHED: &str = "verify.unfinished";
/// How often that is written: so much work is lost at most when a check is cut short.
const EVERY: Duration = Duration::from_secs(5);

/// Which chain to check.
#[derive(Args, Clone, Debug)]
pub struct VerifyOptions {
    #[command(flatten)]
    place: Place,
    /// Check all again, also where an earlier check was cut short and could be gone on with
    #[arg(long)]
    from_start: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Checks it.
pub(super) fn run(options: &VerifyOptions) -> Result<(), String> {
    let (spec, dir, opened) = options.place.open()?;
    let unfinished =
        Unfinished { path: dir.join(UNFINISHED), chain: spec.chain_id(), written: Cell::new(Instant::now()) };
    let from = unfinished.read().filter(|_| !options.from_start);
    let verified = with_keeper(&spec, opened, |_, keeper| {
        let bar = progress::blocks("verify", keeper.tip().height.get());
        let begun = Cell::new(false);
        let result = verify_chain(keeper, &CancellationToken::new(), from.as_ref(), &|mark| {
            let goes_on = from.as_ref().filter(|from| !begun.replace(true) && from.height.next() == Some(mark.height));
            if let Some(from) = goes_on {
                let height = from.height;
                tell(&format!(
                    "going on after height {height}, where an earlier check was cut short; --from-start checks all again"
                ));
            }
            bar.set_position(mark.height.get());
            unfinished.note(mark);
        });
        bar.finish_and_clear();
        result.map_err(|failure| failure.to_string())
    })?;
    unfinished.remove();
    let (from, height, transactions) = (verified.from.get(), verified.height.get(), verified.transactions);
    if options.json {
        let (valid, problem) = (verified.problem.is_none(), &verified.problem);
        print(
            &json!({ "valid": valid, "from_height": from, "height": height, "transactions": transactions, "problem": problem })
                .to_string(),
        )?;
    }
    match verified.problem {
        Some(problem) => Err(format!("the chain {} is not valid: {problem}", spec.name)),
        None if options.json => Ok(()),
        None if from > 0 => print(&format!(
            "the chain {} is valid: {height} headers, the state at height {from} that it began with, and the {transactions} transactions since",
            spec.name
        )),
        None => print(&format!("the chain {} is valid: {height} blocks, {transactions} transactions", spec.name)),
    }
}

/// The file that says how far a check has come.
struct Unfinished {
    path: PathBuf,
    chain: ChainId,
    written: Cell<Instant>,
}

impl Unfinished {
    /// What it says; `None` where there is none, it is of another chain, or cannot be understood: then all is checked.
    fn read(&self) -> Option<Mark> {
        let value: Value = serde_json::from_slice(&fs::read(&self.path).ok()?).ok()?;
        let text = |name: &str| value.get(name)?.as_str();
        let number = |name: &str| value.get(name)?.as_u64();
        let of_chain = text("chain")? == self.chain.to_string();
        let mark = Mark {
            height: Height::new(number("height")?),
            id: text("block")?.parse().ok()?,
            transactions: number("transactions")?,
        };
        of_chain.then_some(mark)
    }

    /// Writes it now and then. Where it cannot be written, a check that is cut short begins anew.
    fn note(&self, mark: &Mark) {
        if self.written.get().elapsed() < EVERY {
            return;
        }
        let Mark { height, id, transactions } = mark;
        let content = json!({
            "chain": self.chain.to_string(), "height": height.get(), "block": id.to_string(), "transactions": transactions,
        });
        let _ = whole_file::write(&self.path, content.to_string().as_bytes(), Readers::Any);
        self.written.set(Instant::now());
    }

    fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}
