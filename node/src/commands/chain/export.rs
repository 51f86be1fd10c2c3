//! `bard chain export`: the active chain as an archive, from a data directory or from a node that runs.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use bard_chain::{block::Header, encoding, rules::isolated::Isolated, spec::ChainSpec, units::Height};
use clap::Args;

use super::{
    archive::{BLOCKS, Writer},
    place::Place,
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
        write(io::stdout().lock(), spec, tip, block).map(drop)?;
    } else {
        write_whole(&options.file, spec, tip, block)?;
    }
    tell(&format!("{tip} blocks of {} written to {}", spec.name, options.file.display()));
    Ok(())
}

/// Writes beside the file and renames then, so that no half of an archive has its name.
fn write_whole<B: AsRef<[u8]>>(
    file: &Path,
    spec: &ChainSpec,
    tip: u64,
    block: impl FnMut(u64) -> Result<B, String>,
) -> Result<(), String> {
    let trouble = |error: io::Error| format!("cannot write {}: {error}", file.display());
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let opened = fs::File::create(&beside).map_err(trouble)?;
    let done = write(opened, spec, tip, block)
        .and_then(|written| written.sync_all().map_err(trouble))
        .and_then(|()| fs::rename(&beside, file).map_err(trouble));
    if done.is_err() {
        // What failed is what matters.
        let _ = fs::remove_file(&beside);
    }
    done
}

/// Writes the blocks up to `tip`, each of which must follow the one before.
fn write<W: Write, B: AsRef<[u8]>>(
    to: W,
    spec: &ChainSpec,
    tip: u64,
    mut block: impl FnMut(u64) -> Result<B, String>,
) -> Result<W, String> {
    let trouble = |error: io::Error| format!("cannot write the archive: {error}");
    let bar = progress::blocks("export", tip);
    let mut writer = Writer::begin(BufWriter::with_capacity(1 << 20, to), spec, &BLOCKS).map_err(trouble)?;
    let mut last = Isolated::genesis(spec).id();
    for height in 1..=tip {
        let bytes = block(height)?;
        let header = encoding::peek_first::<Header>(bytes.as_ref(), spec.max_block_len());
        let header = header.ok_or_else(|| format!("block {height} cannot be read"))?;
        if header.parent != last {
            return Err(format!(
                "block {height} does not follow the one before: the chain was reorganised meanwhile; try again"
            ));
        }
        last = header.id(spec.pow);
        writer.block(bytes.as_ref()).map_err(trouble)?;
        bar.set_position(height);
    }
    bar.finish_and_clear();
    let buffer = writer.finish().map_err(trouble)?;
    buffer.into_inner().map_err(|error| trouble(error.into_error()))
}
