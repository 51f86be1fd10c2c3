//! `bard chain snapshot` and `bard chain check-snapshot`: the ledger of a data directory in one file, and what such a file shows.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use bard_chain::{
    snapshot::{self, Check, Checked, MAX_PART_LEN, Part},
    source::SourceError,
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
    whole_file,
};

/// The file: an archive's, with the parts of a snapshot where that has blocks.
pub(super) const SNAPSHOT: Kind = Kind { magic: *b"BARDSNAP", longest: |_| MAX_PART_LEN };

/// What to write where.
#[derive(Args, Clone, Debug)]
pub struct SnapshotOptions {
    /// The snapshot to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    /// The state after the block at this height instead of the tip: one that no reorganisation takes back any more
    #[arg(long, value_name = "N")]
    height: Option<u64>,
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
    let height = options.height.map_or_else(|| reader.tip_height(), Height::new);
    let done = write_whole(file, &spec, &reader, height);
    store.close().map_err(|error| error.to_string())?;
    let Checked { height, accounts, items, .. } = done?;
    tell(&format!(
        "the state of {} at height {height} written to {}: {accounts} accounts, {items} items",
        spec.name,
        file.display(),
    ));
    Ok(())
}

/// Writes beside the file, looks whether that is a good snapshot, and renames then.
fn write_whole(file: &Path, spec: &ChainSpec, reader: &StoreReader, height: Height) -> Result<Checked, String> {
    // Before a file is made.
    reader.check_height(height).map_err(|error| error.to_string())?;
    let trouble = |error: io::Error| format!("cannot write {}: {error}", file.display());
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let opened = File::create(&beside).map_err(trouble)?;
    let done = write(opened, spec, reader, height)
        .and_then(|written| written.sync_all().map_err(trouble))
        .and_then(|()| check(&beside))
        .and_then(|(_, checked)| fs::rename(&beside, file).map(|()| checked).map_err(trouble))
        .and_then(|checked| whole_file::sync_dir(file).map(|()| checked).map_err(trouble));
    if done.is_err() {
        // What failed is what matters.
        let _ = fs::remove_file(&beside);
    }
    done
}

/// What goes wrong on the way, as a line.
struct Said(String);

impl From<SourceError> for Said {
    fn from(error: SourceError) -> Self {
        Self(error.to_string())
    }
}

fn write<W: Write>(to: W, spec: &ChainSpec, reader: &StoreReader, height: Height) -> Result<W, String> {
    let trouble = |error: io::Error| format!("cannot write the snapshot: {error}");
    let mut writer = Writer::begin(BufWriter::with_capacity(1 << 20, to), spec, &SNAPSHOT).map_err(trouble)?;
    let bar = progress::blocks("snapshot", height.get());
    let written = reader.visit_state(height, &mut |part| {
        let bytes = match &part {
            Part::Headers(headers) => {
                bar.inc(headers.len() as u64);
                snapshot::headers_part(headers)
            }
            Part::Accounts(accounts) => snapshot::accounts_part(accounts),
            Part::Items(items) => snapshot::items_part(items),
            Part::End(accounts, items) => snapshot::end_part(*accounts, *items),
        };
        writer.block(&bytes).map_err(|error| Said(trouble(error)))
    });
    written.map_err(|Said(line)| line)?;
    bar.finish_and_clear();
    let buffer = writer.finish().map_err(trouble)?;
    buffer.into_inner().map_err(|error| trouble(error.into_error()))
}

/// Checks a snapshot, and says what it shows.
pub(super) fn run_check(options: &CheckOptions) -> Result<(), String> {
    let (spec, checked) = check(&options.file)?;
    let Checked { tip, height, work, state_root, accounts, items, .. } = checked;
    if options.json {
        let shown = json!({
            "chain": { "name": spec.name, "id": spec.chain_id().to_string() }, "height": height.get(),
            "tip": tip.to_string(), "total_work": work.to_string(), "state_root": state_root.to_string(),
            "accounts": accounts, "items": items,
        });
        return print(&shown.to_string());
    }
    print(&format!(
        "the state is the one that its header commits to: {}, height {height}, block {tip}, {accounts} accounts, {items} items, work {work}. One block's work makes such a file of any state: compare the block with a node that you trust",
        chains::full_name(&spec)
    ))
}

/// Reads and checks a file.
pub(super) fn check(file: &Path) -> Result<(ChainSpec, Checked), String> {
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
pub(super) fn said(error: ArchiveError) -> String {
    match error {
        ArchiveError::Other => "this is no snapshot of a chain".to_owned(),
        ArchiveError::Version(version) => {
            format!("the snapshot is of version {version}, which this bard does not know")
        }
        ArchiveError::Head(what) => format!("the head of the snapshot is damaged: {what}"),
        ArchiveError::Block { height, offset } => format!("the snapshot is damaged at part {height}, byte {offset}"),
        ArchiveError::Cut { height, offset } => format!("the snapshot is cut off in part {height}, byte {offset}"),
        ArchiveError::Trailing { offset } => format!("the snapshot has something after its end, from byte {offset} on"),
        ArchiveError::Io(error) => format!("the snapshot cannot be read: {error}"),
    }
}
