//! Inputs put side by side, a word of each in a lane, and their hashes taken out again.

use super::alone;
use crate::hash::{Domain, Hash32};

/// Bytes in a block.
const BLOCK_LEN: usize = 64;
/// Words in a block.
const BLOCK_WORDS: usize = 16;
/// Words in a chaining value and in a hash.
pub(super) const HASH_WORDS: usize = 8;
/// Bytes in a chunk.
const CHUNK_LEN: usize = 1_024;

/// Of a block: the first of its chunk.
const CHUNK_START: u32 = 1;
/// Of a block: the last of its chunk, and the chunk is the whole tree.
const CHUNK_END_ROOT: u32 = 2 | 8;
/// Of a block: of material for a key that a context was hashed for.
const DERIVE_KEY_MATERIAL: u32 = 64;

/// The chaining values of `N` inputs, a word of each side by side.
pub(super) type Values<const N: usize> = [[u32; N]; HASH_WORDS];

/// A block of each of `N` inputs.
pub(super) struct Blocks<const N: usize> {
    /// A word of each side by side.
    pub(super) words: [[u32; N]; BLOCK_WORDS],
    /// Bytes that are input.
    pub(super) lengths: [u32; N],
    /// What each is: the first of its chunk, the last, or neither.
    pub(super) flags: [u32; N],
}

/// All hashes, `N` side by side. `compress` takes a block of each into the chaining values.
pub(super) fn in_groups<const N: usize, B: AsRef<[u8]>>(
    domain: Domain,
    inputs: &[B],
    compress: impl Fn(&mut Values<N>, &Blocks<N>),
) -> Vec<Hash32> {
    let mut hashes = Vec::with_capacity(inputs.len());
    for group in inputs.chunks(N) {
        // A vector with few of its lanes in use is no gain.
        let few = group.len().saturating_mul(4) < N;
        if few || group.iter().any(|input| input.as_ref().len() > CHUNK_LEN) {
            hashes.extend(alone(domain, group));
        } else {
            hashes.extend(side_by_side(domain, group, &compress).into_iter().take(group.len()).map(Hash32::new));
        }
    }
    hashes
}

/// The hashes of at most `N` inputs of one chunk each; those of lanes without an input mean nothing.
fn side_by_side<const N: usize, B: AsRef<[u8]>>(
    domain: Domain,
    inputs: &[B],
    compress: &impl Fn(&mut Values<N>, &Blocks<N>),
) -> [[u8; 32]; N] {
    let mut values: Values<N> = [[0; N]; HASH_WORDS];
    for (lanes, word) in values.iter_mut().zip(words(&domain.context_key())) {
        *lanes = [word; N];
    }
    let mut hashes = [[0; 32]; N];
    let mut rest: Vec<Option<&[u8]>> = inputs.iter().map(|input| Some(input.as_ref())).collect();
    let mut start = CHUNK_START;
    while rest.iter().any(Option::is_some) {
        let mut blocks = Blocks { words: [[0; N]; BLOCK_WORDS], lengths: [0; N], flags: [0; N] };
        let mut last = [false; N];
        for (lane, (rest, last)) in rest.iter_mut().zip(&mut last).enumerate() {
            let Some(input) = *rest else { continue };
            let (block, after) = input.split_at(input.len().min(BLOCK_LEN));
            *last = after.is_empty();
            *rest = (!*last).then_some(after);
            blocks.put(lane, block, start | DERIVE_KEY_MATERIAL | if *last { CHUNK_END_ROOT } else { 0 });
        }
        compress(&mut values, &blocks);
        for (lane, hash) in hashes.iter_mut().enumerate().filter(|(lane, _)| last.get(*lane) == Some(&true)) {
            for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(&values) {
                *bytes = word.get(lane).copied().unwrap_or_default().to_le_bytes();
            }
        }
        start = 0;
    }
    hashes
}

impl<const N: usize> Blocks<N> {
    /// Puts up to 64 bytes into a lane.
    fn put(&mut self, lane: usize, block: &[u8], flags: u32) {
        let mut padded = [0; BLOCK_LEN];
        for (to, from) in padded.iter_mut().zip(block) {
            *to = *from;
        }
        for (lanes, word) in self.words.iter_mut().zip(words(&padded)) {
            if let Some(place) = lanes.get_mut(lane) {
                *place = word;
            }
        }
        if let (Some(length), Some(flag)) = (self.lengths.get_mut(lane), self.flags.get_mut(lane)) {
            *length = u32::try_from(block.len()).unwrap_or(u32::MAX);
            *flag = flags;
        }
    }
}

/// Bytes as words, the least significant byte first.
fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes))
}
