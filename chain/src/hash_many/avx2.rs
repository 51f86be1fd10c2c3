//! Eight inputs at a time, with AVX2.

#![allow(unsafe_code, reason = "the compiler cannot know that the processor is asked before a kernel is entered")]

use std::arch::x86_64::{_mm256_loadu_si256, _mm256_storeu_si256};

use super::groups::{Blocks, HASH_WORDS, Values};
use crate::pow::{
    IV,
    avx2::{Lanes, mix_lanes, splat, xor},
    blake3_lanes::blake3_rounds,
};

/// Proof that this processor has AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detected(());

impl Detected {
    pub(super) fn new() -> Option<Self> {
        std::is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(super) fn compress(self, values: &mut Values<WIDTH>, blocks: &Blocks<WIDTH>) {
        // SAFETY: `self` exists only if the processor has AVX2, all the function is compiled for.
        unsafe { compress(values, blocks) }
    }
}

/// Words in a vector.
const WIDTH: usize = 8;

compress_lanes!(#[target_feature(enable = "avx2")]);

#[target_feature(enable = "avx2")]
#[inline]
fn load(words: &[u32; WIDTH]) -> Lanes {
    // SAFETY: the words that are read are those of `words`; they need not be aligned.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(words: &mut [u32; WIDTH], lanes: Lanes) {
    // SAFETY: the words that are written are those of `words`; they need not be aligned.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), lanes) }
}
