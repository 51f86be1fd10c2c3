//! `bard chain export`: the active chain as an archive.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use bard_chain::{spec::ChainSpec, units::Height};
use clap::Args;

use super::{
    archive::{BLOCKS, Writer},
    place::Place,
};
use crate::{
    commands::{output::tell, progress},
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
    let (spec, _, Opened { store, .. }) = options.place.open()?;
    let reader = store.reader();
    let done = if to_stdout {
        write(io::stdout().lock(), &spec, &reader).map(drop)
    } else {
        write_whole(&options.file, &spec, &reader)
    };
    store.close().map_err(|error| error.to_string())?;
    done?;
    tell(&format!("{} blocks of {} written to {}", reader.tip_height(), spec.name, options.file.display()));
    Ok(())
}

/// Writes beside the file and renames then, so that no half of an archive has its name.
fn write_whole(file: &Path, spec: &ChainSpec, reader: &StoreReader) -> Result<(), String> {
    let trouble = |error: io::Error| format!("cannot write {}: {error}", file.display());
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    let opened = fs::File::create(&beside).map_err(trouble)?;
    let done = write(opened, spec, reader)
        .and_then(|written| written.sync_all().map_err(trouble))
        .and_then(|()| fs::rename(&beside, file).map_err(trouble));
    if done.is_err() {
        // What failed is what matters.
        let _ = fs::remove_file(&beside);
    }
    done
}

fn write<W: Write>(to: W, spec: &ChainSpec, reader: &StoreReader) -> Result<W, String> {
    let trouble = |error: io::Error| format!("cannot write the archive: {error}");
    let tip = reader.tip_height();
    let bar = progress::blocks("export", tip.get());
    let mut writer = Writer::begin(BufWriter::with_capacity(1 << 20, to), spec, &BLOCKS).map_err(trouble)?;
    for height in 1..=tip.get() {
        let id = reader.id_at(Height::new(height)).map_err(|error| error.to_string())?;
        let bytes = id.map(|id| reader.block_bytes(&id)).transpose().map_err(|error| error.to_string())?.flatten();
        let bytes = bytes.ok_or_else(|| format!("block {height} is missing in the data directory"))?;
        writer.block(&bytes).map_err(trouble)?;
        bar.set_position(height);
    }
    bar.finish_and_clear();
    let buffer = writer.finish().map_err(trouble)?;
    buffer.into_inner().map_err(|error| trouble(error.into_error()))
}
