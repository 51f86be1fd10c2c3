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

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use bard_chain::{hash::BlockId, spec::ChainSpec};
use redb::{Builder, TableDefinition};

use super::{Opened, StoreReader, disk::Disk, index, open};

/// Opens a store on a disk in memory, for the tests of who uses it.
pub(crate) fn open_on_disk(disk: &simulated::SimDisk, dir: &Path, spec: Arc<ChainSpec>) -> Opened {
    open::open_on(Arc::new(disk.clone()), dir, None, spec, index::CHECKED_LEN).unwrap()
}

/// A chain on which every other hash seals a block.
pub(crate) fn easy_spec() -> Arc<ChainSpec> {
    chain::spec()
}

/// A disk with these files, but that in the index a block's entry makes no sense; every page of it is as it was written.
pub(crate) fn garble_entry(files: BTreeMap<String, Vec<u8>>, id: &BlockId) -> simulated::SimDisk {
    const BLOCKS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("blocks");
    let disk = simulated::SimDisk::holding(files);
    let database = disk.database(&Builder::new(), open::INDEX).unwrap();
    let write = database.begin_write().unwrap();
    assert!(write.open_table(BLOCKS).unwrap().insert(id.as_bytes(), b"rot".as_slice()).unwrap().is_some());
    write.commit().unwrap();
    drop(database);
    simulated::SimDisk::holding(disk.files())
}

/// Has a store as it is while its index is being checked, or as it is after that.
pub(crate) fn be_checked(reader: &StoreReader, is_checked: bool) {
    reader.shared.unchecked.store(is_checked, Ordering::Relaxed);
}
