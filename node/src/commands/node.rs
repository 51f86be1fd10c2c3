//! `bard node`.

use crate::{assemble, config::NodeOptions};

/// Runs a node until it is told to stop.
///
/// # Errors
/// One line.
pub fn run(options: NodeOptions) -> Result<(), String> {
    keep_private();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let result = runtime.block_on(assemble::run(options)).map_err(|error| error.to_string());
    // Threads that wait for standard input or a search of nonces are not waited for.
    runtime.shutdown_background();
    result
}

/// Makes every file that this process creates its user's alone: what a node keeps is what its group wrote down, and of a closed
/// chain nobody else's business.
#[cfg(unix)]
pub(super) fn keep_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

#[cfg(not(unix))]
pub(super) const fn keep_private() {}
