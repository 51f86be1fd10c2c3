//! `bard chain import`: blocks from an archive, each checked as if a stranger had sent it.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use bard_chain::{
    block,
    engine::{Outcome, Refused},
    units::Height,
};
use clap::Args;
use indicatif::ProgressBar;

use super::{
    archive::{BLOCKS, Reader, Record},
    place::{Place, open, with_keeper},
};
use crate::{
    chains,
    commands::{output::print, progress},
    keeper::{self, BlockReply, Submitted},
};

/// Blocks under way: they are checked on all cores and stored in order, in groups that are smaller than this.
const AHEAD: usize = 192;
/// Bytes of them, from which on no more are read.
const AHEAD_LEN: usize = 8 << 20;

/// What to read where.
#[derive(Args, Clone, Debug)]
pub struct ImportOptions {
    /// The archive to read; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Reads it.
pub(super) fn run(options: &ImportOptions) -> Result<(), String> {
    let from: Box<dyn Read> = if options.file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let opened = File::open(&options.file);
        Box::new(opened.map_err(|error| format!("cannot read {}: {error}", options.file.display()))?)
    };
    let archive = Reader::begin(BufReader::with_capacity(1 << 20, from), &BLOCKS).map_err(|error| error.to_string())?;
    let spec = Arc::new(archive.spec().clone());
    if let Some(named) = options.place.named_spec()?
        && named != *spec
    {
        let (theirs, ours) = (chains::full_name(&spec), chains::full_name(&named));
        return Err(format!(
            "the archive is of the chain {theirs}, not of {ours}: choose another data directory or archive"
        ));
    }
    let dir = options.place.dir_for(&spec)?;
    let opened = open(&dir, &spec)?;
    options.place.keep(&dir, &spec)?;
    let (read, height) = with_keeper(&spec, opened, |runtime, keeper| {
        let bar = progress::blocks("import", 0);
        let mut import = Import { archive, keeper, bar, pending: VecDeque::new(), pending_len: 0, stored: 0, known: 0 };
        let done = runtime.block_on(import.run());
        import.bar.finish_and_clear();
        done?;
        Ok(((import.stored, import.known), keeper.tip().height))
    })?;
    let (stored, known) = read;
    print(&format!("{stored} blocks imported, {known} were there already: {} is at height {height}", spec.name))
}

/// A block under way: its height, where it lies in the archive, its length in bytes, and the way to what comes of it.
type Pending = (u64, u64, usize, Submitted);

struct Import<'a> {
    archive: Reader<BufReader<Box<dyn Read>>>,
    keeper: &'a keeper::Handle,
    bar: ProgressBar,
    pending: VecDeque<Pending>,
    /// Bytes of these.
    pending_len: usize,
    stored: u64,
    known: u64,
}

impl Import<'_> {
    async fn run(&mut self) -> Result<(), String> {
        loop {
            let next = self.archive.next();
            // What came before a damage is kept.
            let last = !matches!(next, Ok(Some(_)));
            while self.pending.len() >= AHEAD || self.pending_len >= AHEAD_LEN || (last && !self.pending.is_empty()) {
                self.settle().await?;
            }
            match next {
                Ok(Some(record)) => self.submit(record).await?,
                Ok(None) => return Ok(()),
                Err(error) => {
                    let kept = self.stored.saturating_add(self.known);
                    return Err(format!("{error}; the {kept} blocks before it are kept"));
                }
            }
        }
    }

    /// Hands a block to the keeper, unless it is there: then its checksum and its id say that it is the same.
    async fn submit(&mut self, Record { height, offset, bytes }: Record) -> Result<(), String> {
        let spec = self.keeper.spec();
        let here = self.keeper.reader().id_at(Height::new(height)).map_err(|error| error.to_string())?;
        if here.is_some() && here == block::claimed_id(&bytes, spec.max_block_len(), spec.pow) {
            self.known = self.known.saturating_add(1);
            return Ok(());
        }
        let length = bytes.len();
        let submitted = self.keeper.submit(bytes).await.map_err(|error| error.to_string())?;
        self.pending.push_back((height, offset, length, submitted));
        self.pending_len = self.pending_len.saturating_add(length);
        Ok(())
    }

    /// Waits for the oldest block under way.
    async fn settle(&mut self) -> Result<(), String> {
        let Some((height, offset, length, submitted)) = self.pending.pop_front() else { return Ok(()) };
        self.pending_len = self.pending_len.saturating_sub(length);
        let reply = submitted.await.map_err(|_| "the store failed".to_owned())?;
        let refused = |why: String| {
            let kept = height.saturating_sub(1);
            Err(format!(
                "block {height} of the archive, at byte {offset}, is refused: {why}; the {kept} blocks before it are kept"
            ))
        };
        match verdict(reply) {
            Ok(true) => self.stored = self.stored.saturating_add(1),
            Ok(false) => self.known = self.known.saturating_add(1),
            Err(why) => return refused(why),
        }
        self.bar.inc_length(1);
        self.bar.inc(1);
        Ok(())
    }
}

/// Whether the block is new, or why it is refused.
fn verdict(reply: BlockReply) -> Result<bool, String> {
    match reply {
        Ok(accepted) => match accepted.outcome {
            Outcome::BranchRefused { at, reason } => Err(format!("{reason} (block {at})")),
            Outcome::Extended | Outcome::Reorganised | Outcome::SideBranch => Ok(true),
        },
        Err(Refused::AlreadyKnown) => Ok(false),
        Err(other) => Err(other.to_string()),
    }
}
