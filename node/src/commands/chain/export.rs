//! `bard chain export`: the active chain as an archive, from a data directory or from a node that runs.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bard_chain::{hash::BlockId, rules::isolated::Isolated, spec::ChainSpec, units::Height};
use clap::Args;

use super::{
    archive::{BLOCKS, Writer},
    place::Place,
    unfinished::{Unfinished, id_after},
};
use crate::{
    commands::{api, output::tell, progress},
    store::{Opened, StoreReader},
};

/// What to write where.
#[derive(Args, Clone, Debug)]
pub struct ExportOptions {
    /// The archive to write; - is stdout
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    /// Ask this running node, by the URL of its API; one that runs on the data directory is asked anyway
    #[arg(long, value_name = "URL", conflicts_with_all = ["data_dir", "chain"])]
    api: Option<String>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

/// Writes it.
pub(super) fn run(options: &ExportOptions) -> Result<(), String> {
    let to_stdout = options.file == Path::new("-");
    if !to_stdout && !options.force && options.file.exists() {
        return Err(format!(
            "{} is there already: choose another file, or replace it with --force",
            options.file.display()
        ));
    }
    let running = if options.api.is_some() { options.api.clone() } else { options.place.running()? };
    match running {
        Some(url) => of_node(options, &url),
        None => of_directory(options),
    }
}

fn of_directory(options: &ExportOptions) -> Result<(), String> {
    let (spec, _, Opened { store, .. }) = options.place.open()?;
    let reader = store.reader();
    let done = whole(reader.blocks_from().get())
        .and_then(|()| to_file(options, &spec, reader.tip_height().get(), |height| stored(&reader, height)));
    store.close().map_err(|error| error.to_string())?;
    done
}

fn stored(reader: &StoreReader, height: u64) -> Result<Arc<[u8]>, String> {
    let id = reader.id_at(Height::new(height)).map_err(|error| error.to_string())?;
    let bytes = id.map(|id| reader.block_bytes(&id)).transpose().map_err(|error| error.to_string())?.flatten();
    bytes.ok_or_else(|| format!("block {height} is missing in the data directory"))
}

/// The blocks up to what is the tip when it begins. The node goes on meanwhile.
fn of_node(options: &ExportOptions, url: &str) -> Result<(), String> {
    let spec = api::specification(url)?;
    let status = api::status(url)?;
    let number = |name| status.get(name).and_then(serde_json::Value::as_u64);
    whole(number("blocks_from").unwrap_or(1))?;
    let height = number("height");
    let height = height.ok_or_else(|| format!("{url} does not say how long its chain is"))?;
    let client = api::client(url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    to_file(options, &spec, height, |height| {
        runtime.block_on(client.raw_block(&height.to_string())).map_err(|error| error.to_string())
    })
}

/// An archive begins with the first block.
fn whole(blocks_from: u64) -> Result<(), String> {
    if blocks_from <= 1 {
        return Ok(());
    }
    Err(format!(
        "an archive has every block, and this node began with a state: it has blocks from height {blocks_from} on; export from one with the whole chain"
    ))
}

fn to_file<B: AsRef<[u8]>>(
    options: &ExportOptions,
    spec: &ChainSpec,
    tip: u64,
    block: impl FnMut(u64) -> Result<B, String>,
) -> Result<(), String> {
    if options.file == Path::new("-") {
        let begun = Writer::begin(BufWriter::with_capacity(1 << 20, io::stdout().lock()), spec, &BLOCKS);
        let mut writer = begun.map_err(|error| format!("cannot write the archive: {error}"))?;
        write(&mut writer, spec, Isolated::genesis(spec).id(), tip, block)?;
        finish(writer)?;
    } else {
        write_whole(&options.file, spec, tip, block)?;
    }
    tell(&format!("{tip} blocks of {} written to {}", spec.name, options.file.display()));
    Ok(())
}

/// Writes under another name and renames then, so that no half of an archive has its name. What was written when this fails is
/// kept, and gone on with the next time.
fn write_whole<B: AsRef<[u8]>>(
    archive: &Path,
    spec: &ChainSpec,
    tip: u64,
    mut block: impl FnMut(u64) -> Result<B, String>,
) -> Result<(), String> {
    let trouble = |error: io::Error| format!("cannot write {}: {error}", archive.display());
    let mut unfinished = Unfinished::of(archive)?;
    let kept = unfinished.kept(spec, tip, &mut block)?;
    let named = unfinished.path().display().to_string();
    match &kept {
        Some(mark) => tell(&format!("going on with {named}, which has the first {} blocks", mark.height)),
        None if !unfinished.is_empty() => {
            tell(&format!("{named} has no block of this chain as it is now: it is begun again"));
        }
        None => {}
    }
    let to = unfinished.cut(kept.as_ref()).map_err(trouble)?;
    let (blocks, last) = kept.map_or_else(|| (0, Isolated::genesis(spec).id()), |mark| (mark.height, mark.id));
    let buffer = BufWriter::with_capacity(1 << 20, to);
    let begun = if blocks == 0 { Writer::begin(buffer, spec, &BLOCKS) } else { Ok(Writer::resume(buffer, blocks)) };
    let mut writer = begun.map_err(trouble)?;
    let done = write(&mut writer, spec, last, tip, block);
    let (written, ended) = (writer.blocks(), done.and_then(|()| finish(writer).map(drop)));
    match ended {
        Ok(()) => unfinished.finish(archive).map_err(trouble),
        Err(problem) if written == 0 => {
            unfinished.remove();
            Err(problem)
        }
        Err(problem) => Err(format!("{problem}; {named} has {written} blocks, and the same command goes on with it")),
    }
}

/// Writes the blocks up to `tip` that come after those which are there, the last of which is `last`.
fn write<W: Write, B: AsRef<[u8]>>(
    writer: &mut Writer<W>,
    spec: &ChainSpec,
    mut last: BlockId,
    tip: u64,
    mut block: impl FnMut(u64) -> Result<B, String>,
) -> Result<(), String> {
    let bar = progress::blocks("export", tip);
    bar.set_position(writer.blocks());
    bar.reset_eta();
    for height in writer.blocks().saturating_add(1)..=tip {
        let bytes = block(height)?;
        last = id_after(&last, bytes.as_ref(), spec).ok_or_else(|| {
            format!("block {height} does not follow the one before: the chain was reorganised meanwhile; try again")
        })?;
        writer.block(bytes.as_ref()).map_err(|error| format!("cannot write the archive: {error}"))?;
        bar.set_position(height);
    }
    bar.finish_and_clear();
    Ok(())
}

/// Writes the end, and all that is buffered.
fn finish<W: Write>(writer: Writer<W>) -> Result<W, String> {
    writer.finish().map_err(|error| format!("cannot write the archive: {error}"))
}
