//! The store under ordinary use, crashes and bad disks.

#![allow(clippy::unwrap_used)]

mod base;
mod chain;
mod crash;
mod damage;
mod failures;
mod faults;
mod forks;
mod history;
mod past;
mod picture;
mod reading;
mod recovery;
pub(crate) mod simulated;
mod starts;
mod suspicion;
mod undone;

use std::{path::Path, sync::Arc};

use bard_chain::spec::ChainSpec;

use super::{Opened, index, open};

/// Opens a store on a disk in memory, for the tests of who uses it.
pub(crate) fn open_on_disk(disk: &simulated::SimDisk, dir: &Path, spec: Arc<ChainSpec>) -> Opened {
    open::open_on(Arc::new(disk.clone()), dir, None, spec, index::CHECKED_LEN).unwrap()
}

/// A chain on which every other hash seals a block.
pub(crate) fn easy_spec() -> Arc<ChainSpec> {
    chain::spec()
}
