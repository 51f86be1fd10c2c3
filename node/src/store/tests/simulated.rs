//! A disk in memory that writes down everything that is done to it, can fail, and can be left as a crash would leave it.
//!
//! It keeps apart what a file holds and what of it would survive a loss of power: writes until the file is synced, names
//! until the directory is. [`Machine`] goes through what was written down, operation by operation, and can be stopped at each.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::{Builder, Database, DatabaseError, StorageBackend};

use crate::store::disk::{Disk, Medium, OpenFile};

/// The unit in which a disk writes: of a torn write, whole sectors arrive. In bytes.
const SECTOR: usize = 512;

/// One thing that was done to the disk. Files are numbered in the order of their creation.
#[derive(Clone)]
pub(super) enum Op {
    Create { file: usize, name: String },
    Write { file: usize, offset: u64, bytes: Arc<[u8]> },
    SetLen { file: usize, length: u64 },
    Sync { file: usize },
    Rename { from: String, to: String },
    Remove { name: String },
    SyncDir,
}

impl Op {
    /// Whether it needs space.
    const fn grows(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Write { .. } | Self::SetLen { .. })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { name, .. } => write!(f, "create {name}"),
            Self::Write { file, offset, bytes } => write!(f, "write file {file}, {} bytes at {offset}", bytes.len()),
            Self::SetLen { file, length } => write!(f, "set file {file} to {length} bytes"),
            Self::Sync { file } => write!(f, "sync file {file}"),
            Self::Rename { from, to } => write!(f, "rename {from} to {to}"),
            Self::Remove { name } => write!(f, "delete {name}"),
            Self::SyncDir => f.write_str("sync the directory"),
        }
    }
}

/// What becomes of the writes, and of the new names, that were not synced when the machine stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// Nothing is lost: the process alone was stopped.
    Nothing,
    /// All of them are lost.
    All,
    /// All arrive but the last, of which half arrives.
    HalfOfLast,
    /// The last alone arrives, before all that were made before it.
    AllButLast,
    /// The files are as long as they were, and zero where something was not synced.
    Zeros,
    /// Some sectors arrive, as this number has it.
    Some(u64),
}

impl Loss {
    pub(super) const ALL: [Self; 6] =
        [Self::Nothing, Self::All, Self::HalfOfLast, Self::AllButLast, Self::Zeros, Self::Some(0x9e37_79b9)];
}

/// A file: what it would be after a loss of power, and what was done to it since.
#[derive(Clone, Debug, Default)]
struct Kept {
    durable: Vec<u8>,
    since: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Arc<[u8]>),
    SetLen(u64),
}

fn write(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

impl Change {
    fn make(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => write(content, *offset, bytes),
            Self::SetLen(length) => content.resize(*length as usize, 0),
        }
    }

    fn make_sectors(&self, content: &mut Vec<u8>, arrives: &mut dyn FnMut() -> bool) {
        let Self::Write(offset, bytes) = self else { return self.make(content) };
        for (number, sector) in bytes.chunks(SECTOR).enumerate() {
            if arrives() {
                write(content, offset + (number * SECTOR) as u64, sector);
            }
        }
    }
}

impl Kept {
    fn now(&self) -> Vec<u8> {
        let mut content = self.durable.clone();
        self.since.iter().for_each(|change| change.make(&mut content));
        content
    }

    fn after(&self, loss: Loss) -> Vec<u8> {
        let mut content = self.durable.clone();
        let last = self.since.split_last();
        match (loss, last) {
            (Loss::Nothing, _) => content = self.now(),
            (Loss::All, _) | (_, None) => {}
            (Loss::HalfOfLast, Some((last, before))) => {
                before.iter().for_each(|change| change.make(&mut content));
                match last {
                    Change::Write(offset, bytes) => write(&mut content, *offset, &bytes[..bytes.len() / 2]),
                    Change::SetLen(_) => {}
                }
            }
            (Loss::AllButLast, Some((last, _))) => last.make(&mut content),
            (Loss::Zeros, _) => content.resize(self.now().len(), 0),
            (Loss::Some(seed), _) => {
                let mut state = seed;
                let mut coin = || {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state & 1 == 0
                };
                self.since.iter().for_each(|change| change.make_sectors(&mut content, &mut coin));
            }
        }
        content
    }
}

type Names = BTreeMap<String, usize>;

/// A machine that does what was written down.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    files: Vec<Kept>,
    names: Names,
    durable_names: Names,
}

impl Machine {
    /// One whose disk holds these files, all of them synced.
    pub(super) fn holding(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let names: Names = files.keys().cloned().zip(0..).collect();
        let files = files.values().map(|content| Kept { durable: content.clone(), since: Vec::new() }).collect();
        Self { files, durable_names: names.clone(), names }
    }

    /// Does the next thing.
    pub(super) fn run(&mut self, op: &Op) {
        match op {
            Op::Create { file, name } => {
                assert_eq!(*file, self.files.len());
                self.files.push(Kept::default());
                self.names.insert(name.clone(), *file);
            }
            Op::Write { file, offset, bytes } => {
                self.files[*file].since.push(Change::Write(*offset, Arc::clone(bytes)));
            }
            Op::SetLen { file, length } => self.files[*file].since.push(Change::SetLen(*length)),
            Op::Sync { file } => {
                let kept = &mut self.files[*file];
                kept.durable = kept.now();
                kept.since.clear();
            }
            Op::Rename { from, to } => {
                let file = self.names.remove(from).expect("what is renamed");
                self.names.insert(to.clone(), file);
            }
            Op::Remove { name } => drop(self.names.remove(name)),
            Op::SyncDir => self.durable_names = self.names.clone(),
        }
    }

    /// The files that are there when it is started again.
    pub(super) fn stopped(&self, loss: Loss) -> BTreeMap<String, Vec<u8>> {
        let names = if loss == Loss::All { &self.durable_names } else { &self.names };
        names.iter().map(|(name, file)| (name.clone(), self.files[*file].after(loss))).collect()
    }
}

/// When and how operations fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// The number of the first that fails.
    pub(super) at: usize,
    /// With what.
    pub(super) kind: io::ErrorKind,
    /// Whether all that need space fail from then on.
    pub(super) lasting: bool,
}

#[derive(Debug, Default)]
struct Inner {
    files: Vec<Vec<u8>>,
    names: Names,
    done: Vec<Op>,
    /// How many operations were asked for, failed ones included.
    asked: usize,
    fault: Option<Fault>,
    /// How many bytes fit.
    capacity: Option<u64>,
    /// How often there was no space.
    overruns: usize,
    read_only: bool,
    /// Whether the next operation panics, as the library of a garbled index may.
    panics: bool,
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Inner {
    fn used(&self) -> u64 {
        self.names.values().map(|file| self.files[*file].len() as u64).sum()
    }

    /// How much longer the files get.
    fn growth(&self, op: &Op) -> u64 {
        let length = |file: &usize| self.files[*file].len() as u64;
        match op {
            Op::Write { file, offset, bytes } => (offset + bytes.len() as u64).saturating_sub(length(file)),
            Op::SetLen { file, length: wanted } => wanted.saturating_sub(length(file)),
            _ => 0,
        }
    }

    fn perform(&mut self, op: Op) -> io::Result<()> {
        let number = self.asked;
        self.asked += 1;
        assert!(!std::mem::take(&mut self.panics), "on purpose");
        if self.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if let Some(fault) = self.fault
            && (number == fault.at || fault.lasting && number > fault.at && op.grows())
        {
            return Err(fault.kind.into());
        }
        let growth = self.growth(&op);
        if growth > 0 && self.capacity.is_some_and(|capacity| self.used() + growth > capacity) {
            self.overruns += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        match &op {
            Op::Create { name, file } => {
                self.files.push(Vec::new());
                self.names.insert(name.clone(), *file);
            }
            Op::Write { file, offset, bytes } => write(&mut self.files[*file], *offset, bytes),
            Op::SetLen { file, length } => self.files[*file].resize(*length as usize, 0),
            Op::Rename { from, to } => {
                let file = self.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
                self.names.insert(to.clone(), file);
            }
            Op::Remove { name } => drop(self.names.remove(name).ok_or(io::ErrorKind::NotFound)?),
            Op::Sync { .. } | Op::SyncDir => {}
        }
        self.done.push(op);
        Ok(())
    }
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimDisk(Arc<Mutex<Inner>>);

impl SimDisk {
    /// One that holds these files.
    pub(crate) fn holding(files: BTreeMap<String, Vec<u8>>) -> Self {
        let names = files.keys().cloned().zip(0..).collect();
        Self(Arc::new(Mutex::new(Inner { files: files.into_values().collect(), names, ..Inner::default() })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was done so far.
    pub(super) fn done(&self) -> Vec<Op> {
        self.inner().done.clone()
    }

    /// How much was done so far.
    pub(super) fn count(&self) -> usize {
        self.inner().done.len()
    }

    /// The files as they are.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let inner = self.inner();
        inner.names.iter().map(|(name, file)| (name.clone(), inner.files[*file].clone())).collect()
    }

    pub(super) fn fail(&self, fault: Option<Fault>) {
        self.inner().fault = fault;
    }

    pub(crate) fn hold_at_most(&self, capacity: Option<u64>) {
        self.inner().capacity = capacity;
    }

    pub(crate) fn used(&self) -> u64 {
        self.inner().used()
    }

    /// How often something did not fit.
    pub(super) fn overruns(&self) -> usize {
        self.inner().overruns
    }

    pub(crate) fn panic_once(&self) {
        self.inner().panics = true;
    }

    pub(super) fn make_read_only(&self) {
        self.inner().read_only = true;
    }

    fn open_file(&self, name: &str) -> io::Result<SimFile> {
        let inner = self.inner();
        if inner.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let number = *inner.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(SimFile { disk: self.clone(), number })
    }

    fn create_file(&self, name: &str) -> io::Result<SimFile> {
        let mut inner = self.inner();
        let number = inner.files.len();
        inner.perform(Op::Create { file: number, name: name.into() })?;
        Ok(SimFile { disk: self.clone(), number })
    }
}

impl Disk for SimDisk {
    fn create_dir(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_place(&self) -> io::Result<()> {
        Ok(())
    }

    fn length(&self, name: &str) -> io::Result<Option<u64>> {
        let inner = self.inner();
        Ok(inner.names.get(name).map(|file| inner.files[*file].len() as u64))
    }

    fn create(&self, name: &str) -> io::Result<OpenFile> {
        Ok(Arc::new(self.create_file(name)?))
    }

    fn open(&self, name: &str) -> io::Result<OpenFile> {
        Ok(Arc::new(self.open_file(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner().perform(Op::Rename { from: from.into(), to: to.into() })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner().perform(Op::Remove { name: name.into() })
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.inner().perform(Op::SyncDir)
    }

    fn free_bytes(&self) -> Option<u64> {
        let inner = self.inner();
        inner.capacity.map(|capacity| capacity.saturating_sub(inner.used()))
    }

    fn database(&self, builder: &Builder, name: &str) -> Result<Database, DatabaseError> {
        let file = match self.open_file(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create_file(name),
            other => other,
        };
        builder.create_with_backend(file.map_err(redb::StorageError::from)?)
    }
}

/// An open file of it.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    number: usize,
}

impl Medium for SimFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.inner().files[self.number].len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let inner = self.disk.inner();
        let content = inner.files[self.number].get(offset as usize..).unwrap_or_default();
        buffer.copy_from_slice(content.get(..buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.inner().perform(Op::Write { file: self.number, offset, bytes: bytes.into() })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.disk.inner().perform(Op::SetLen { file: self.number, length })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.inner().perform(Op::Sync { file: self.number })
    }
}

impl StorageBackend for SimFile {
    fn len(&self) -> io::Result<u64> {
        Medium::length(self)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(out, offset)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Medium::set_len(self, length)
    }

    fn sync_data(&self) -> io::Result<()> {
        Medium::sync_data(self)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_all_at(data, offset)
    }
}
