//! Entries of the ledger expanded by the BLAKE3 XOF, 2,048 bytes each, and summed up: what a block costs most, once its
//! signatures are known.
//!
//! An entry of at most 64 bytes, as every account is, is one block of input, and the 32 blocks of its expansion differ in a
//! counter alone: a vector makes as many of them at once as it has lanes. They are summed up as they come out, a word of each
//! block side by side, and put in order once for all entries. Every kernel gives the sum that the general crate gives.

#[cfg(target_arch = "x86_64")]
#[macro_use]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use std::sync::OnceLock;

use crate::hash::Domain;

/// Blocks of 64 bytes in an expansion.
const BLOCKS: usize = 32;
/// Words in one of them.
const BLOCK_WORDS: usize = 16;
/// Words of 32 bits in an expansion, each two of its numbers of 16 bits.
const WORDS: usize = BLOCKS * BLOCK_WORDS;
/// Bytes of input that are one block.
const BLOCK_LEN: usize = 64;

/// Words of a sum, in the order in which a kernel makes them.
type Words = [u32; WORDS];

/// Whether an entry is put in or taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    In,
    Out,
}

/// An entry as one block of input.
#[derive(Clone, Copy, Debug)]
struct Input {
    block: [u32; BLOCK_WORDS],
    length: u32,
}

impl Input {
    fn new(entry: &[u8]) -> Option<Self> {
        let length = u32::try_from(entry.len()).ok()?;
        let mut bytes = [0; BLOCK_LEN];
        bytes.get_mut(..entry.len())?.copy_from_slice(entry);
        let mut block = [0; BLOCK_WORDS];
        for (word, bytes) in block.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Some(Self { block, length })
    }
}

/// How sums are made.
#[derive(Clone, Copy, Debug)]
enum Kernel {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Detected),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Detected),
    /// By the general crate.
    Portable,
}

impl Kernel {
    /// Those of this machine, the best first.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(avx512::Detected::new().map(Self::Avx512));
            all.extend(avx2::Detected::new().map(Self::Avx2));
        }
        all.push(Self::Portable);
        all
    }

    fn best() -> Self {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| Self::all().first().copied().unwrap_or(Self::Portable))
    }

    /// How many blocks it makes at once.
    const fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => 8,
            Self::Portable => 1,
        }
    }

    /// Where it keeps the words, in their order.
    fn places(self) -> impl Iterator<Item = usize> {
        // A power of two.
        let lanes = self.lanes();
        let (shift, mask) = (lanes.trailing_zeros(), lanes.wrapping_sub(1));
        (0..BLOCKS).flat_map(move |block| {
            let (group, lane) = (block.wrapping_shr(shift), block & mask);
            let of = move |word: usize| group.wrapping_mul(BLOCK_WORDS).wrapping_add(word).wrapping_mul(lanes);
            (0..BLOCK_WORDS).map(move |word| of(word).wrapping_add(lane))
        })
    }
}

/// A sum of expansions that is being made.
#[derive(Debug)]
pub(super) struct Sum {
    words: Box<Words>,
    kernel: Kernel,
}

impl Sum {
    /// Of nothing.
    pub(super) fn new() -> Self {
        Self::with(Kernel::best())
    }

    fn with(kernel: Kernel) -> Self {
        Self { words: Box::new([0; WORDS]), kernel }
    }

    /// Puts an entry in or takes it out.
    pub(super) fn combine(&mut self, entry: &[u8], direction: Direction) {
        match (self.kernel, Input::new(entry)) {
            #[cfg(target_arch = "x86_64")]
            (Kernel::Avx512(detected), Some(input)) => detected.combine(&mut self.words, key(), &input, direction),
            #[cfg(target_arch = "x86_64")]
            (Kernel::Avx2(detected), Some(input)) => detected.combine(&mut self.words, key(), &input, direction),
            _ => self.combine_any(entry, direction),
        }
    }

    /// An entry of any length.
    fn combine_any(&mut self, entry: &[u8], direction: Direction) {
        let mut expanded = [0; WORDS * 4];
        Domain::StateEntry.hasher().update(entry).finalize_xof().fill(&mut expanded);
        for (place, bytes) in self.kernel.places().zip(expanded.as_chunks::<4>().0) {
            if let Some(word) = self.words.get_mut(place) {
                *word = both(*word, u32::from_le_bytes(*bytes), direction);
            }
        }
    }

    /// The numbers of 16 bits of the sum, in their order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u16> + '_ {
        self.kernel.places().flat_map(|place| {
            let [a, b, c, d] = self.words.get(place).copied().unwrap_or_default().to_le_bytes();
            [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]
        })
    }
}

/// Adds or subtracts both halves of a word, each for itself.
const fn both(sum: u32, word: u32, direction: Direction) -> u32 {
    let (low, high) = (sum & 0xffff, sum >> 16);
    let (low, high) = match direction {
        Direction::In => (low.wrapping_add(word), high.wrapping_add(word >> 16)),
        Direction::Out => (low.wrapping_sub(word), high.wrapping_sub(word >> 16)),
    };
    (low & 0xffff) | (high << 16)
}

/// The key that the context gives, as words.
fn key() -> &'static [u32; 8] {
    static KEY: OnceLock<[u32; 8]> = OnceLock::new();
    KEY.get_or_init(|| {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(Domain::StateEntry.context_key().as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        words
    })
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// The sum as the definition has it.
    fn by_definition(entries: &[(Vec<u8>, bool)]) -> Vec<u16> {
        let mut sum = vec![0_u16; WORDS * 2];
        for (entry, put_in) in entries {
            let mut expanded = [0; WORDS * 4];
            blake3::Hasher::new_derive_key(Domain::StateEntry.context())
                .update(entry)
                .finalize_xof()
                .fill(&mut expanded);
            for (number, bytes) in sum.iter_mut().zip(expanded.as_chunks::<2>().0) {
                let more = u16::from_le_bytes(*bytes);
                *number = if *put_in { number.wrapping_add(more) } else { number.wrapping_sub(more) };
            }
        }
        sum
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_kernel_gives_the_sum_of_the_definition(
            entries in vec((vec(any::<u8>(), 0..150), any::<bool>()), 0..12),
        ) {
            for kernel in Kernel::all() {
                let mut sum = Sum::with(kernel);
                for (entry, put_in) in &entries {
                    sum.combine(entry, if *put_in { Direction::In } else { Direction::Out });
                }
                prop_assert_eq!(sum.numbers().collect::<Vec<_>>(), by_definition(&entries), "{:?}", kernel);
            }
        }
    }

    #[test]
    fn lengths_at_the_edge_of_a_block() {
        for length in [0, 1, 63, 64, 65, 128] {
            let entries = [(vec![7; length], true), (vec![9; length], false)];
            for kernel in Kernel::all() {
                let mut sum = Sum::with(kernel);
                sum.combine(&entries[0].0, Direction::In);
                sum.combine(&entries[1].0, Direction::Out);
                assert_eq!(sum.numbers().collect::<Vec<_>>(), by_definition(&entries), "{kernel:?} {length}");
            }
        }
    }
}
