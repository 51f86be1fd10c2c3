//! `bard chain verify`: the whole chain from its genesis block, as if it came from a stranger.

use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::place::{Place, with_keeper};
use crate::{
    application::verify_chain,
    commands::{output::print, progress},
};

/// Which chain to check.
#[derive(Args, Clone, Debug)]
pub struct VerifyOptions {
    #[command(flatten)]
    place: Place,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Checks it.
pub(super) fn run(options: &VerifyOptions) -> Result<(), String> {
    let (spec, _, opened) = options.place.open()?;
    let verified = with_keeper(&spec, opened, |_, keeper| {
        let bar = progress::blocks("verify", keeper.tip().height.get());
        let result = verify_chain(keeper, &CancellationToken::new(), &|height| bar.set_position(height.get()));
        bar.finish_and_clear();
        result.map_err(|failure| failure.to_string())
    })?;
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
