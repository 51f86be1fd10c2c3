//! What a log says that does not add up, and is cut off it.
//!
//! A node whose index is garbled may mine a block by a balance that nobody has, and take it, for its own ledger says the same.
//! Nobody else does. By the log, from which the index is made anew, the block is wrong: what comes from it on is cut off, and
//! kept in a file of its own.

use std::path::Path;

use super::{
    disk::Disk,
    error::StoreError,
    log::{self, LogReader},
    open::LOG,
};

/// So many ends of the log are kept; the last of them makes way for another one.
const MAX_CUT: u32 = 3;

/// Keeps the end of a log, from `start` to `end`, in a file of its own; what was done, in a line for people. Nothing is cut off yet.
pub(super) fn keep(
    disk: &dyn Disk,
    dir: &Path,
    log: &LogReader,
    (start, end): (u64, u64),
) -> Result<String, StoreError> {
    let length = end.saturating_sub(start);
    if disk.free_bytes().is_some_and(|free| free < length) {
        return Err(StoreError::Full { path: dir.into(), needed: length });
    }
    let mut name = String::new();
    for number in 1..=MAX_CUT {
        name = format!("{LOG}.cut-{number}");
        if disk.length(&name).map_err(StoreError::io("look for", dir.join(&name)))?.is_none() {
            break;
        }
    }
    let unfinished = format!("{LOG}.cut");
    let written = disk.create(&unfinished).and_then(|file| {
        log.copy(start, end, &file)?;
        log::finish(disk, &file, &unfinished, &name)
    });
    written.map_err(StoreError::io("write", dir.join(&name)))?;
    Ok(format!(
        "{LOG} does not add up from byte {start} on: its last {length} bytes were set aside as {name}, and what is right of them is \
         fetched again"
    ))
}
