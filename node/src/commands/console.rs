//! `bard console`.

use clap::Args;

use super::remote::NodeChoice;
use crate::{
    config,
    interface::{console, news::Since},
    supervise::Signals,
};

/// Attach the console to a running node.
#[derive(Args, Clone, Debug)]
pub struct ConsoleOptions {
    #[command(flatten)]
    node: NodeChoice,
}

/// Runs the console until `quit` or the end of input; the node goes on.
///
/// # Errors
/// One line.
pub fn run(options: &ConsoleOptions) -> Result<(), String> {
    let client = options.node.client()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let result = runtime.block_on(async {
        client.node().await.map_err(|error| error.to_string())?;
        let mut signals = Signals::new().map_err(|error| error.to_string())?;
        let history = config::user_dir().map(|dir| console::history_file(&dir)).map_err(|error| error.to_string());
        tokio::select! {
            _ = console::run(client, Since::Now, history) => {}
            // What a signal would cut off is the console's own way to leave the terminal as it was.
            () = signals.stop() => {}
        }
        Ok(())
    });
    runtime.shutdown_background();
    result
}
