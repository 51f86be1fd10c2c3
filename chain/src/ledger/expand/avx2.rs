//! Eight blocks at a time, with AVX2.

#![allow(unsafe_code, reason = "the compiler cannot know that the processor is asked before a kernel is entered")]

use std::arch::x86_64::{__m256i, _mm256_add_epi16, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_sub_epi16};

use super::{BLOCK_WORDS, Direction, Input, Words, lanes::FLAGS};
use crate::pow::{
    IV,
    avx2::{LANES, Lanes, consecutive, mix_lanes, splat, xor},
    blake3_lanes::blake3_rounds,
};

/// Proof that this processor has AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detected(());

impl Detected {
    pub(super) fn new() -> Option<Self> {
        std::is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(super) fn combine(self, words: &mut Words, key: &[u32; 8], input: &Input, direction: Direction) {
        // SAFETY: `self` exists only if the processor has AVX2, all the function is compiled for.
        unsafe { combine(words, key, input, direction) }
    }
}

expand_lanes!(#[target_feature(enable = "avx2")]);

/// Adds a vector to as many words of a sum, or subtracts it, each half of a word for itself.
#[target_feature(enable = "avx2")]
#[inline]
fn accumulate(sum: &mut [u32], more: Lanes, direction: Direction) {
    let Some(sum) = sum.first_chunk_mut::<8>() else { return };
    let place: *mut __m256i = sum.as_mut_ptr().cast();
    // SAFETY: the eight words that are read are those of `sum`; they need not be aligned.
    let before = unsafe { _mm256_loadu_si256(place) };
    let after = match direction {
        Direction::In => _mm256_add_epi16(before, more),
        Direction::Out => _mm256_sub_epi16(before, more),
    };
    // SAFETY: as above, and nobody else has them.
    unsafe { _mm256_storeu_si256(place, after) }
}
