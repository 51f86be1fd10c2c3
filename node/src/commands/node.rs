//! `bard node`.

use crate::{assemble, config::NodeOptions};

/// Runs a node until it is told to stop.
///
/// # Errors
/// One line.
pub fn run(options: NodeOptions) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let result = runtime.block_on(assemble::run(options)).map_err(|error| error.to_string());
    // Threads that wait for standard input or a search of nonces are not waited for.
    runtime.shutdown_background();
    result
}
