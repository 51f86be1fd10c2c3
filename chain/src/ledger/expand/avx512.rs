//! Sixteen blocks at a time, with AVX-512.

#![allow(unsafe_code, reason = "the compiler cannot know that the processor is asked before a kernel is entered")]

use std::arch::x86_64::{__m512i, _mm512_add_epi16, _mm512_loadu_si512, _mm512_storeu_si512, _mm512_sub_epi16};

use super::{BLOCK_WORDS, Direction, Input, Words, lanes::FLAGS};
use crate::pow::{
    IV,
    avx512::{LANES, Lanes, consecutive, mix_lanes, splat, xor},
    blake3_lanes::blake3_rounds,
};

/// Proof that this processor has AVX-512F and AVX-512BW.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detected(());

impl Detected {
    pub(super) fn new() -> Option<Self> {
        (std::is_x86_feature_detected!("avx512f") && std::is_x86_feature_detected!("avx512bw")).then_some(Self(()))
    }

    pub(super) fn combine(self, words: &mut Words, key: &[u32; 8], input: &Input, direction: Direction) {
        // SAFETY: `self` exists only if the processor has both, all the function is compiled for.
        unsafe { combine(words, key, input, direction) }
    }
}

expand_lanes!(#[target_feature(enable = "avx512f,avx512bw")]);

/// Adds a vector to as many words of a sum, or subtracts it, each half of a word for itself.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn accumulate(sum: &mut [u32], more: Lanes, direction: Direction) {
    let Some(sum) = sum.first_chunk_mut::<16>() else { return };
    let place: *mut __m512i = sum.as_mut_ptr().cast();
    // SAFETY: the sixteen words that are read are those of `sum`; they need not be aligned.
    let before = unsafe { _mm512_loadu_si512(place) };
    let after = match direction {
        Direction::In => _mm512_add_epi16(before, more),
        Direction::Out => _mm512_sub_epi16(before, more),
    };
    // SAFETY: as above, and nobody else has them.
    unsafe { _mm512_storeu_si512(place, after) }
}
