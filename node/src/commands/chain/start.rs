//! `bard chain start-from-snapshot`: a data directory from a snapshot, without replaying what led there.

use std::{fs::File, io::BufReader, path::PathBuf, sync::Arc};

use bard_chain::{hash::BlockId, snapshot::Checked};
use clap::Args;

use super::{
    archive::Reader,
    place::Place,
    snapshot::{SNAPSHOT, check, said},
};
use crate::{
    chains, clock,
    commands::{output::print, progress},
    store::{self, BeginError, Beginning, Store},
};

/// What to begin with, and where.
#[derive(Args, Clone, Debug)]
pub struct StartOptions {
    /// The snapshot, as `bard chain snapshot` writes it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    /// The last block of the snapshot, as it is known from elsewhere: a node, a person, a newspaper
    #[arg(long, value_name = "HASH")]
    known_block: Option<BlockId>,
    /// Believe whoever made the file, where its last block is not known from elsewhere: one block's work makes such a file of any
    /// state
    #[arg(long, conflicts_with = "known_block")]
    unverified: bool,
}

/// Makes it.
pub(super) fn run(options: &StartOptions) -> Result<(), String> {
    let file = options.file.display();
    if options.known_block.is_none() && !options.unverified {
        let (_, Checked { tip, height, .. }) = check(&options.file)?;
        return Err(format!(
            "{file} ends with block {tip} at height {height}, and whoever sealed that could put any state in it: compare it with a node that you trust, then say --known-block {tip}, or --unverified to believe the file"
        ));
    }
    let opened = File::open(&options.file).map_err(|error| format!("cannot read {file}: {error}"))?;
    let mut archive = Reader::begin(BufReader::with_capacity(1 << 20, opened), &SNAPSHOT)
        .map_err(|error| format!("{file}: {}", said(error)))?;
    let spec = Arc::new(archive.spec().clone());
    if let Some(named) = options.place.named_spec()?.filter(|named| named.chain_id() != spec.chain_id()) {
        let (ours, its) = (chains::full_name(&named), chains::full_name(&spec));
        return Err(format!("the snapshot is of the chain {its}, not of {ours}"));
    }
    let dir = options.place.dir_for(&spec)?;
    let bar = progress::blocks("start", 0);
    let mut parts = || {
        bar.inc_length(1);
        bar.inc(1);
        archive.next().map(|part| part.map(|part| part.bytes)).map_err(said)
    };
    let ready = || options.place.keep(&dir, &spec);
    let beginning =
        Beginning { spec: &spec, now: clock::now(), last: options.known_block, parts: &mut parts, ready: &ready };
    let begun = store::begin(&dir, beginning);
    bar.finish_and_clear();
    let checked = begun.map_err(|error| match error {
        BeginError::Unread(_) | BeginError::Snapshot(_) | BeginError::Empty | BeginError::OtherBlock { .. } => {
            format!("{file}: {error}")
        }
        BeginError::Taken { .. } | BeginError::Unready(_) | BeginError::Store(_) => error.to_string(),
    })?;
    // Makes the index, so that a node need not wait for it.
    let opened = Store::open(&dir, Arc::clone(&spec)).map_err(|error| error.to_string())?;
    opened.store.close().map_err(|error| error.to_string())?;
    print(&format!(
        "{} begins with the state at height {}, block {}: {} accounts, {} items; {} has the blocks after it",
        spec.name,
        checked.height,
        checked.tip,
        checked.accounts,
        checked.items,
        dir.display()
    ))
}
