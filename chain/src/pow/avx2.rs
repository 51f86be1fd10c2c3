//! Eight nonces at a time, with AVX2.

#![allow(unsafe_code, reason = "the compiler cannot know that the processor is asked before a kernel is entered")]

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_castsi256_ps, _mm256_cmpeq_epi32,
    _mm256_movemask_ps, _mm256_or_si256, _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setr_epi64x,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_sll_epi32, _mm256_srl_epi32, _mm256_xor_si256,
};

use super::IV;
use super::blake3_lanes::Start;
use super::query::Query;
use super::sha256d_lanes::{Inner, K};

/// Proof that this processor has AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detected(());

impl Detected {
    pub(super) fn new() -> Option<Self> {
        std::is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    pub(super) fn sha256d(self, query: &Query<'_>) -> Option<u64> {
        // SAFETY: `self` exists only if the processor has AVX2, all the function is compiled for.
        unsafe { search_sha256d(query) }
    }

    pub(super) fn blake3(self, query: &Query<'_>) -> Option<u64> {
        // SAFETY: as above.
        unsafe { search_blake3(query) }
    }
}

pub(crate) type Lanes = __m256i;
pub(crate) const LANES: u32 = 8;

sha256d_lanes!(#[target_feature(enable = "avx2")]);
blake3_lanes!(#[target_feature(enable = "avx2")]);

#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn splat(x: u32) -> Lanes {
    _mm256_set1_epi32(x.cast_signed())
}

#[target_feature(enable = "avx2")]
#[inline]
fn add(x: Lanes, y: Lanes) -> Lanes {
    _mm256_add_epi32(x, y)
}

#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn xor(x: Lanes, y: Lanes) -> Lanes {
    _mm256_xor_si256(x, y)
}

#[target_feature(enable = "avx2")]
#[inline]
fn xor3(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    xor(xor(x, y), z)
}

/// The bits of `y` where `x` is set, of `z` elsewhere.
#[target_feature(enable = "avx2")]
#[inline]
fn choose(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    xor(_mm256_and_si256(xor(y, z), x), z)
}

/// In the form whose first difference is the second difference of the next round: the compiler keeps it.
#[target_feature(enable = "avx2")]
#[inline]
fn majority(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    xor(_mm256_and_si256(xor(x, y), xor(y, z)), y)
}

#[target_feature(enable = "avx2")]
#[inline]
fn rotate<const RIGHT: i32>(x: Lanes) -> Lanes {
    match RIGHT {
        // Whole bytes: one shuffle.
        8 => _mm256_shuffle_epi8(x, byte_order(0x0407_0605_0003_0201, 0x0c0f_0e0d_080b_0a09)),
        16 => _mm256_shuffle_epi8(x, byte_order(0x0504_0706_0100_0302, 0x0d0c_0f0e_0908_0b0a)),
        _ => {
            let low = _mm256_srl_epi32(x, _mm_cvtsi32_si128(RIGHT));
            _mm256_or_si256(low, _mm256_sll_epi32(x, _mm_cvtsi32_si128(32_i32.wrapping_sub(RIGHT))))
        }
    }
}

/// The operand of a byte shuffle that treats both halves of a vector alike.
#[target_feature(enable = "avx2")]
#[inline]
fn byte_order(low: i64, high: i64) -> Lanes {
    _mm256_setr_epi64x(low, high, low, high)
}

#[target_feature(enable = "avx2")]
#[inline]
fn shift<const RIGHT: i32>(x: Lanes) -> Lanes {
    _mm256_srl_epi32(x, _mm_cvtsi32_si128(RIGHT))
}

/// `first`, `first + 1` and so on.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn consecutive(first: u32) -> Lanes {
    add(splat(first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
}

#[target_feature(enable = "avx2")]
#[inline]
fn swap_bytes(x: Lanes) -> Lanes {
    _mm256_shuffle_epi8(x, byte_order(0x0405_0607_0001_0203, 0x0c0d_0e0f_0809_0a0b))
}

/// One bit for each lane, set where the lane is zero under the mask.
#[target_feature(enable = "avx2")]
#[inline]
fn zero_lanes(x: Lanes, mask: Lanes) -> u32 {
    let zero = _mm256_cmpeq_epi32(_mm256_and_si256(x, mask), _mm256_setzero_si256());
    _mm256_movemask_ps(_mm256_castsi256_ps(zero)).cast_unsigned()
}
