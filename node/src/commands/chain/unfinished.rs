//! An archive that was begun and not finished: it has another name until it is whole, and the next export goes on with it.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use bard_chain::{block::Header, encoding, hash::BlockId, rules::isolated::Isolated, spec::ChainSpec};

use super::archive::{BLOCKS, Reader};

/// How far the blocks of a file are those of the chain.
pub(super) struct Mark {
    /// Height of the last of them.
    pub(super) height: u64,
    /// Its id.
    pub(super) id: BlockId,
    /// Where its record ends, in bytes.
    end: u64,
}

/// The file, for as long as nobody else writes it.
pub(super) struct Unfinished {
    path: PathBuf,
    file: File,
}

impl Unfinished {
    /// That of an archive; made where there is none.
    ///
    /// # Errors
    /// One line: it cannot be opened, or another export writes it.
    pub(super) fn of(archive: &Path) -> Result<Self, String> {
        let mut path = archive.as_os_str().to_owned();
        path.push(".unfinished");
        let path = PathBuf::from(path);
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, file }),
            Err(fs::TryLockError::WouldBlock) => Err(format!("another export is writing {}", path.display())),
            Err(fs::TryLockError::Error(error)) => Err(format!("cannot lock {}: {error}", path.display())),
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| metadata.len() == 0)
    }

    /// How far it is an archive of the chain up to `tip`; `None` where not even its first block is. `block` gives the bytes of
    /// the chain's blocks.
    ///
    /// # Errors
    /// One line: those of `block`.
    pub(super) fn kept<B: AsRef<[u8]>>(
        &self,
        spec: &ChainSpec,
        tip: u64,
        block: &mut impl FnMut(u64) -> Result<B, String>,
    ) -> Result<Option<Mark>, String> {
        // No chain is undone by more blocks than these.
        let most = usize::try_from(spec.max_reorg_depth).unwrap_or(usize::MAX).saturating_add(1);
        let mut marks: VecDeque<Mark> = VecDeque::new();
        let Ok(mut archive) = Reader::begin(BufReader::with_capacity(1 << 20, &self.file), &BLOCKS) else {
            return Ok(None);
        };
        let mut last = Isolated::genesis(spec).id();
        // Whatever is wrong with a record, those before it are good.
        while archive.spec() == spec
            && let Ok(Some(record)) = archive.next()
            && let Some(id) = id_after(&last, &record.bytes, spec)
        {
            if marks.len() >= most {
                marks.pop_front();
            }
            marks.push_back(Mark { height: record.height, id, end: archive.offset() });
            last = id;
        }
        while let Some(mark) = marks.pop_back() {
            if mark.height <= tip && id_of(block(mark.height)?.as_ref(), spec) == Some(mark.id) {
                return Ok(Some(mark));
            }
        }
        Ok(None)
    }

    /// Cuts off what comes after a mark, or everything, and gives the file to be written on there.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn cut(&mut self, after: Option<&Mark>) -> io::Result<&File> {
        let end = after.map_or(0, |mark| mark.end);
        self.file.set_len(end)?;
        self.file.seek(SeekFrom::Start(end))?;
        Ok(&self.file)
    }

    /// Gives it the name of the archive, on the disk.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn finish(self, archive: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, archive)?;
        crate::whole_file::sync_dir(archive)
    }

    /// Removes it: there is nothing in it to go on with.
    pub(super) fn remove(self) {
        // Left behind it does no harm.
        let _ = fs::remove_file(&self.path);
    }
}

/// The id of a block by its bytes; `None` where they are no block.
fn id_of(bytes: &[u8], spec: &ChainSpec) -> Option<BlockId> {
    Some(encoding::peek_first::<Header>(bytes, spec.max_block_len())?.id(spec.pow))
}

/// The id of a block that follows another.
pub(super) fn id_after(parent: &BlockId, bytes: &[u8], spec: &ChainSpec) -> Option<BlockId> {
    let header = encoding::peek_first::<Header>(bytes, spec.max_block_len())?;
    (header.parent == *parent).then(|| header.id(spec.pow))
}
