//! Sixteen nonces at a time, with AVX-512.

#![allow(unsafe_code, reason = "the compiler cannot know that the processor is asked before a kernel is entered")]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_ror_epi32, _mm512_set1_epi32, _mm512_setr_epi32, _mm512_srli_epi32,
    _mm512_ternarylogic_epi32, _mm512_testn_epi32_mask, _mm512_xor_si512,
};

use super::IV;
use super::blake3_lanes::Start;
use super::query::Query;
use super::sha256d_lanes::{Inner, K};

/// Proof that this processor has AVX-512F.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detected(());

impl Detected {
    pub(super) fn new() -> Option<Self> {
        std::is_x86_feature_detected!("avx512f").then_some(Self(()))
    }

    pub(super) fn sha256d(self, query: &Query<'_>) -> Option<u64> {
        // SAFETY: `self` exists only if the processor has AVX-512F, all the function is compiled for.
        unsafe { search_sha256d(query) }
    }

    pub(super) fn blake3(self, query: &Query<'_>) -> Option<u64> {
        // SAFETY: as above.
        unsafe { search_blake3(query) }
    }
}

pub(crate) type Lanes = __m512i;
pub(crate) const LANES: u32 = 16;

sha256d_lanes!(#[target_feature(enable = "avx512f")]);
blake3_lanes!(#[target_feature(enable = "avx512f")]);

#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn splat(x: u32) -> Lanes {
    _mm512_set1_epi32(x.cast_signed())
}

#[target_feature(enable = "avx512f")]
#[inline]
fn add(x: Lanes, y: Lanes) -> Lanes {
    _mm512_add_epi32(x, y)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn xor(x: Lanes, y: Lanes) -> Lanes {
    _mm512_xor_si512(x, y)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn xor3(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    xor(xor(x, y), z)
}

/// The bits of `y` where `x` is set, of `z` elsewhere.
#[target_feature(enable = "avx512f")]
#[inline]
fn choose(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    _mm512_ternarylogic_epi32::<0xca>(x, y, z)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn majority(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    _mm512_ternarylogic_epi32::<0xe8>(x, y, z)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn rotate<const RIGHT: i32>(x: Lanes) -> Lanes {
    _mm512_ror_epi32::<RIGHT>(x)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn shift<const RIGHT: u32>(x: Lanes) -> Lanes {
    _mm512_srli_epi32::<RIGHT>(x)
}

/// `first`, `first + 1` and so on.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn consecutive(first: u32) -> Lanes {
    add(splat(first), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn swap_bytes(x: Lanes) -> Lanes {
    choose(splat(0x00ff_00ff), rotate::<24>(x), rotate::<8>(x))
}

/// One bit for each lane, set where the lane is zero under the mask.
#[target_feature(enable = "avx512f")]
#[inline]
fn zero_lanes(x: Lanes, mask: Lanes) -> u32 {
    _mm512_testn_epi32_mask(x, mask).into()
}
