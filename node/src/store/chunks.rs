//! Histories in the index: the entries of one subject, several blocks together.
//!
//! A flush brings what happened to a subject in hundreds of blocks. One entry of the table for each of these blocks would cost
//! more than all else that is written; so they are put together into chunks of about a page. A chunk lies under the key of its
//! last entry, so that the first chunk from a key on is the one that may hold it. No two chunks of a subject overlap: a block
//! that left the active chain is taken out of its chunk before anything at its height is put in.

use bard_chain::units::Height;
use redb::{ReadableTable, Table};

use super::{
    history::{self, Events, HistoryKey, RANK_LEN},
    index::IndexError,
    overlay::Layer,
};

/// A chunk this long, in bytes, gets no further entry: about a page of the index.
const CHUNK_BYTES: usize = 4096;
/// Length of the length of an entry, in bytes.
const LENGTH_LEN: usize = 4;

/// The table of chunks: each is a sequence of rank, length and events of a block, the numbers the most significant byte first.
pub(super) type Chunks<'a> = Table<'a, &'static [u8], &'static [u8]>;

/// Splits a key into subject and rank.
fn split(key: &[u8]) -> (&[u8], &[u8]) {
    key.split_at(key.len().saturating_sub(RANK_LEN))
}

fn add(chunk: &mut Vec<u8>, key: &[u8], events: &[u8]) {
    // No block is as long as that.
    let length = u32::try_from(events.len()).unwrap_or(u32::MAX);
    chunk.extend_from_slice(split(key).1);
    chunk.extend_from_slice(&length.to_be_bytes());
    chunk.extend_from_slice(events);
}

/// The entries of the chunk under `key`, each with its own key.
pub(super) fn read(key: &[u8], chunk: &[u8]) -> Result<Vec<(HistoryKey, Events)>, IndexError> {
    let damaged = || IndexError::Damaged("a history is garbled".into());
    let mut rest = chunk;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (rank, after) = rest.split_at_checked(RANK_LEN).ok_or_else(damaged)?;
        let (length, after) = after.split_first_chunk::<LENGTH_LEN>().ok_or_else(damaged)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| damaged())?;
        let (events, after) = after.split_at_checked(length).ok_or_else(damaged)?;
        entries.push(([split(key).0, rank].concat().into(), events.into()));
        rest = after;
    }
    Ok(entries)
}

/// Writes the histories of a layer over those of an index that stands for a chain of height `before`.
pub(super) fn write(chunks: &mut Chunks<'_>, layer: &Layer, before: Option<Height>) -> Result<(), IndexError> {
    // Only after a reorganisation there are any.
    let below = before.filter(|before| layer.heights.first_key().is_some_and(|height| *height <= before.get()));
    if let Some(before) = below {
        for (key, _) in layer.histories.iter().filter(|(key, _)| history::height(key) <= before) {
            take_out(chunks, key)?;
        }
    }
    let mut chunk = Vec::new();
    let mut last: &[u8] = &[];
    for (key, events) in layer.histories.iter() {
        let Some(events) = events else { continue };
        if !chunk.is_empty() && (chunk.len() >= CHUNK_BYTES || split(key).0 != split(last).0) {
            chunks.insert(last, chunk.as_slice())?;
            chunk.clear();
        }
        add(&mut chunk, key, events);
        last = key;
    }
    if !chunk.is_empty() {
        chunks.insert(last, chunk.as_slice())?;
    }
    Ok(())
}

/// Takes the entry of `key` out of its chunk, if there is one.
fn take_out(chunks: &mut Chunks<'_>, key: &[u8]) -> Result<(), IndexError> {
    let found = chunks.range::<&[u8]>(key..)?.next().transpose()?;
    let found = found.map(|(chunk_key, chunk)| (chunk_key.value().to_vec(), chunk.value().to_vec()));
    let Some((chunk_key, chunk)) = found.filter(|(chunk_key, _)| split(chunk_key).0 == split(key).0) else {
        return Ok(());
    };
    let mut entries = read(&chunk_key, &chunk)?;
    let length = entries.len();
    entries.retain(|(entry_key, _)| entry_key.as_ref() != key);
    if entries.len() == length {
        return Ok(());
    }
    chunks.remove(chunk_key.as_slice())?;
    if let Some((last, _)) = entries.last() {
        let mut kept = Vec::with_capacity(chunk.len());
        entries.iter().for_each(|(key, events)| add(&mut kept, key, events));
        chunks.insert(last.as_ref(), kept.as_slice())?;
    }
    Ok(())
}
