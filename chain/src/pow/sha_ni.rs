//! SHA-256 by the processor's own instructions, two nonces at a time.
//!
//! Each instruction waits for the one before, so the two messages are interleaved to fill the time. Vectors hold four
//! words of the schedule; the state is held as the instructions want it, in two vectors: (A, B, E, F), (C, D, G, H).

#![allow(unsafe_code, reason = "the compiler cannot know that the processor is asked before the kernel is entered")]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_insert_epi32, _mm_setr_epi32, _mm_setzero_si128,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi32, _mm_unpackhi_epi64,
    _mm_unpacklo_epi64,
};

use super::IV;
use super::query::Query;
use super::sha256d_lanes::{Inner, K, first_rounds};

/// Proof that this processor has the SHA extensions, and SSE 4.1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detected(());

impl Detected {
    pub(super) fn new() -> Option<Self> {
        let detected = std::is_x86_feature_detected!("sha")
            && std::is_x86_feature_detected!("ssse3")
            && std::is_x86_feature_detected!("sse4.1");
        detected.then_some(Self(()))
    }

    pub(super) fn sha256d(self, query: &Query<'_>) -> Option<u64> {
        // SAFETY: `self` exists only if the processor has all that the function is compiled for.
        unsafe { search_sha256d(query) }
    }
}

/// The same thing of both messages.
type Pair = [__m128i; 2];

/// Words (F, E, B, A) and (H, G, D, C) of a state, lowest lane first.
#[derive(Clone, Copy)]
struct State {
    abef: Pair,
    cdgh: Pair,
}

const LANES: u32 = 2;

#[target_feature(enable = "sha,ssse3,sse4.1")]
fn search_sha256d(query: &Query<'_>) -> Option<u64> {
    let mask = query.leading_zeros();
    for segment in query.segments() {
        let inner = Inner::new(query.digest, segment.high());
        let state = State::new(first_rounds(&inner.words, 8));
        for batch in segment.batches(LANES) {
            let [first, second] = hash(&inner, state, batch.low());
            let nominees = u32::from(first & mask == 0) | (u32::from(second & mask == 0) << 1);
            if nominees != 0
                && let Some(nonce) = query.confirm(batch, nominees)
            {
                return Some(nonce);
            }
        }
    }
    None
}

/// The most significant words of the ids of two nonces, given the state after the fixed first eight rounds.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn hash(inner: &Inner, start: State, nonce: u32) -> [u32; 2] {
    let w = &inner.words;
    let nonces = [nonce, nonce.wrapping_add(1)].map(|nonce| nonce.swap_bytes().cast_signed());
    let nonce_words = four::<8, _>(w);
    let mut m = [
        [_mm_insert_epi32::<0>(nonce_words, nonces[0]), _mm_insert_epi32::<0>(nonce_words, nonces[1])],
        [four::<12, _>(w); 2],
        [four::<16, _>(w); 2],
        [four::<20, _>(w); 2],
    ];
    // Word 23 is the first of the schedule to depend on word 8, the nonce.
    m[3] = add(m[3], small_sigma0([_mm_setzero_si128(); 2], m[0]));
    let mut s = start;
    unrolled!(T in [8 12 16 20] { s.four_rounds::<T>(m[T / 4 - 2]); });
    unrolled!(T in [24 28 32 36 40 44 48 52 56 60] {
        m = next_words(m);
        s.four_rounds::<T>(m[3]);
    });

    let initial = State::new(IV);
    let abef = add(s.abef, initial.abef);
    let cdgh = add(s.cdgh, initial.cdgh);
    let (abcd, efgh) = in_order(abef, cdgh);
    m = [abcd, efgh, [_mm_setr_epi32(i32::MIN, 0, 0, 0); 2], [_mm_setr_epi32(0, 0, 0, 8 * 32); 2]];
    s = initial;
    unrolled!(T in [0 4 8 12] { s.four_rounds::<T>(m[T / 4]); });
    unrolled!(T in [16 20 24 28 32 36 40 44 48 52 56 60] {
        m = next_words(m);
        s.four_rounds::<T>(m[3]);
    });
    s.abef.map(|abef| _mm_extract_epi32::<3>(abef).cast_unsigned().wrapping_add(IV[0]))
}

impl State {
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    #[inline]
    fn new(state: [u32; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = state.map(u32::cast_signed);
        Self { abef: [_mm_setr_epi32(f, e, b, a); 2], cdgh: [_mm_setr_epi32(h, g, d, c); 2] }
    }

    /// Rounds `T` to `T + 3`, with their words of the schedule.
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    #[inline]
    fn four_rounds<const T: usize>(&mut self, words: Pair) {
        let [x, y] = add(words, [four::<T, _>(&K); 2]);
        // After two rounds A, B, E, F have become C, D, G, H.
        let two = [
            _mm_sha256rnds2_epu32(self.cdgh[0], self.abef[0], x),
            _mm_sha256rnds2_epu32(self.cdgh[1], self.abef[1], y),
        ];
        self.abef = [
            _mm_sha256rnds2_epu32(self.abef[0], two[0], _mm_shuffle_epi32::<0x0e>(x)),
            _mm_sha256rnds2_epu32(self.abef[1], two[1], _mm_shuffle_epi32::<0x0e>(y)),
        ];
        self.cdgh = two;
    }
}

/// Four words, from the one numbered `T` on.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "checked by the assertion, as it compiles"
)]
fn four<const T: usize, const N: usize>(words: &[u32; N]) -> __m128i {
    const { assert!(T + 3 < N) };
    let [a, b, c, d] = [words[T], words[T + 1], words[T + 2], words[T + 3]].map(u32::cast_signed);
    _mm_setr_epi32(a, b, c, d)
}

/// The schedule moved on by four words.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn next_words([m0, m1, m2, m3]: [Pair; 4]) -> [Pair; 4] {
    let middle = [_mm_alignr_epi8::<4>(m3[0], m2[0]), _mm_alignr_epi8::<4>(m3[1], m2[1])];
    let sum = add(small_sigma0(m0, m1), middle);
    [m1, m2, m3, [_mm_sha256msg2_epu32(sum[0], m3[0]), _mm_sha256msg2_epu32(sum[1], m3[1])]]
}

/// To each word of `m0`, adds the small sigma 0 of the word after it.
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn small_sigma0(m0: Pair, m1: Pair) -> Pair {
    [_mm_sha256msg1_epu32(m0[0], m1[0]), _mm_sha256msg1_epu32(m0[1], m1[1])]
}

#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn add(x: Pair, y: Pair) -> Pair {
    [_mm_add_epi32(x[0], y[0]), _mm_add_epi32(x[1], y[1])]
}

/// A state as a message has its words: (A, B, C, D), (E, F, G, H).
#[target_feature(enable = "sha,ssse3,sse4.1")]
#[inline]
fn in_order(abef: Pair, cdgh: Pair) -> (Pair, Pair) {
    let abef = abef.map(|x| _mm_shuffle_epi32::<0x1b>(x));
    let cdgh = cdgh.map(|x| _mm_shuffle_epi32::<0x1b>(x));
    (
        [_mm_unpacklo_epi64(abef[0], cdgh[0]), _mm_unpacklo_epi64(abef[1], cdgh[1])],
        [_mm_unpackhi_epi64(abef[0], cdgh[0]), _mm_unpackhi_epi64(abef[1], cdgh[1])],
    )
}
