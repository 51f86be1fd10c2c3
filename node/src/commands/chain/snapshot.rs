//! `bard chain snapshot` and `bard chain check-snapshot`: the ledger of a data directory in one file, and what such a file shows.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use bard_chain::{
    snapshot::{self, Check, Checked, MAX_ENTRIES, MAX_PART_LEN},
    spec::ChainSpec,
    units::Height,
};
use clap::Args;
use serde_json::json;

use super::{
    archive::{ArchiveError, Kind, Reader, Writer},
    place::Place,
};
use crate::{
    chains, clock,
    commands::{
        output::{print, tell},
        progress,
    },
    store::{Opened, StoreReader},
};

/// The file: an archive's, with the parts of a snapshot where that has blocks.
const SNAPSHOT: Kind = Kind { magic: *b"BARDSNAP", longest: |_| MAX_PART_LEN };

/// What to write where.
#[derive(Args, Clone, Debug)]
pub struct SnapshotOptions {
    /// The snapshot to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

/// What to check.
#[derive(Args, Clone, Debug)]
pub struct CheckOptions {
    /// The snapshot
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Writes a snapshot of the tip.
pub(super) fn run(options: &SnapshotOptions) -> Result<(), String> {
    let file = &options.file;
    if !options.force && file.exists() {
        return Err(format!("{} is there already: choose another file, or replace it with --force", file.display()));
    }
    let (spec, _, Opened { store, .. }) = options.place.open()?;
    let reader = store.reader();
    let done = write_whole(file, &spec, &reader);
    store.close().map_err(|error| error.to_string())?;
    done?;
    let counts = reader.counts();
    tell(&format!(
        "the state of {} at height {} written to {}: {} accounts, {} items",
        spec.name,
        reader.tip_height(),
        file.display(),
        counts.accounts,
        counts.items
    ));
    Ok(())
}

/// Writes beside the file, looks whether that is a good snapshot, and renames then.
fn write_whole(file: &Path, spec: &ChainSpec, reader: &StoreReader) -> Result<(), String> {
    let trouble = |error: io::Error| format!("cannot write {}: {error}", file.display());
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let opened = File::create(&beside).map_err(trouble)?;
    let done = write(opened, spec, reader)
        .and_then(|written| written.sync_all().map_err(trouble))
        .and_then(|()| check(&beside).map(drop))
        .and_then(|()| fs::rename(&beside, file).map_err(trouble));
    if done.is_err() {
        // What failed is what matters.
        let _ = fs::remove_file(&beside);
    }
    done
}

fn write<W: Write>(to: W, spec: &ChainSpec, reader: &StoreReader) -> Result<W, String> {
    let trouble = |error: io::Error| format!("cannot write the snapshot: {error}");
    let stored = |error: bard_chain::source::SourceError| error.to_string();
    let mut writer = Writer::begin(BufWriter::with_capacity(1 << 20, to), spec, &SNAPSHOT).map_err(trouble)?;
    let tip = reader.tip_height().get();
    let bar = progress::blocks("snapshot", tip);
    let mut height = 0;
    while height < tip {
        let last = height.saturating_add(MAX_ENTRIES as u64).min(tip);
        let some = (height.saturating_add(1)..=last).map(|height| {
            let id = reader.id_at(Height::new(height)).map_err(stored)?;
            let header = id.map(|id| reader.header(&id)).transpose().map_err(stored)?.flatten();
            header.ok_or_else(|| format!("block {height} is missing in the data directory"))
        });
        writer.block(&snapshot::headers_part(&some.collect::<Result<Vec<_>, String>>()?)).map_err(trouble)?;
        bar.set_position(last);
        height = last;
    }
    let (mut accounts, mut last) = (0_u64, None);
    loop {
        let some = reader.accounts(last.as_ref(), MAX_ENTRIES).map_err(stored)?;
        let Some((address, _)) = some.last() else { break };
        last = Some(*address);
        accounts = accounts.saturating_add(some.len() as u64);
        writer.block(&snapshot::accounts_part(&some)).map_err(trouble)?;
    }
    let (mut items, mut last) = (0_u64, None);
    loop {
        let some = reader.items(last.as_ref(), MAX_ENTRIES).map_err(stored)?;
        let Some((name, _)) = some.last() else { break };
        last = Some(name.clone());
        items = items.saturating_add(some.len() as u64);
        writer.block(&snapshot::items_part(&some)).map_err(trouble)?;
    }
    writer.block(&snapshot::end_part(accounts, items)).map_err(trouble)?;
    bar.finish_and_clear();
    let buffer = writer.finish().map_err(trouble)?;
    buffer.into_inner().map_err(|error| trouble(error.into_error()))
}

/// Checks a snapshot, and says what it shows.
pub(super) fn run_check(options: &CheckOptions) -> Result<(), String> {
    let (spec, checked) = check(&options.file)?;
    let Checked { tip, height, work, state_root, accounts, items } = checked;
    if options.json {
        let shown = json!({
            "chain": { "name": spec.name, "id": spec.chain_id().to_string() }, "height": height.get(),
            "tip": tip.to_string(), "total_work": work.to_string(), "state_root": state_root.to_string(),
            "accounts": accounts, "items": items,
        });
        return print(&shown.to_string());
    }
    print(&format!(
        "the state is the one that its header commits to: {}, height {height}, block {tip}, {accounts} accounts, {items} items, work {work}",
        chains::full_name(&spec)
    ))
}

/// Reads and checks a file.
fn check(file: &Path) -> Result<(ChainSpec, Checked), String> {
    let opened = File::open(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let bad = |what: String| format!("{}: {what}", file.display());
    checked(BufReader::with_capacity(1 << 20, opened)).map_err(bad)
}

fn checked<R: Read>(from: R) -> Result<(ChainSpec, Checked), String> {
    let mut parts = Reader::begin(from, &SNAPSHOT).map_err(said)?;
    let spec = parts.spec().clone();
    let mut check = Check::new(&spec, clock::now());
    while let Some(part) = parts.next().map_err(said)? {
        check.part(&part.bytes).map_err(|error| format!("the snapshot is not good, {error}"))?;
    }
    let checked = check.finish().map_err(|error| format!("the snapshot is not good, {error}"))?;
    Ok((spec, checked))
}

/// What is wrong with the file, in the words of a snapshot.
fn said(error: ArchiveError) -> String {
    match error {
        ArchiveError::Other => "this is no snapshot of a chain".to_owned(),
        ArchiveError::Version(version) => {
            format!("the snapshot is of version {version}, which this bard does not know")
        }
        ArchiveError::Head(what) => format!("the head of the snapshot is damaged: {what}"),
        ArchiveError::Block { height, offset } => format!("the snapshot is damaged at part {height}, byte {offset}"),
        ArchiveError::Cut { height, offset } => format!("the snapshot is cut off in part {height}, byte {offset}"),
        ArchiveError::Io(error) => format!("the snapshot cannot be read: {error}"),
    }
}
