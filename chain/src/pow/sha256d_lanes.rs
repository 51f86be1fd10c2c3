//! SHA-256 twice, of 32 fixed bytes and a nonce, for a vector of nonces.
//!
//! What does not depend on the low half of the nonce is worked out once a segment, in [`Inner`]. The inner message is
//! one block: words 0-7 are the digest, 8 and 9 the nonce, then padding. So its first eight rounds are fixed; the
//! ninth only adds the low half (word 8) to two fixed words; and of its schedule words 16-22 are fixed, and much of
//! what words 23-38 are sums of. The outer message has its fixed half at the end, and known at compile time.

use super::IV;

/// The round constants.
pub(super) const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
    0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
    0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
    0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
];

/// How many words of a message schedule have a fixed part that is worth knowing.
const FIXED_WORDS: usize = 39;

/// What is the same for all nonces that share their high 32 bits.
pub(super) struct Inner {
    /// The state after round 8, but for the low word of the nonce, which that round adds to its words 0 and 4.
    pub(super) state: [u32; 8],
    /// The message schedule: words 0-22 whole but for word 8, from there on the fixed part.
    pub(super) words: [u32; FIXED_WORDS],
}

impl Inner {
    /// Everything that can be known before the low half of the nonce.
    pub(super) fn new(digest: &[u8; 32], nonce_high: u32) -> Self {
        let mut words = [0; 16];
        let (digest_words, _) = digest.as_chunks::<4>();
        for (word, bytes) in words.iter_mut().zip(digest_words) {
            *word = u32::from_be_bytes(*bytes);
        }
        (words[9], words[10], words[15]) = (nonce_high.swap_bytes(), 0x8000_0000, 8 * 40);
        let words = fixed_part(&words, 23);
        Self { state: first_rounds(&words, 9), words }
    }
}

/// The message schedule as far as it is fixed: words `unknown_from` and up (and those given as zero) depend on what
/// is not known yet, so their share in other words is left out. Each word is a sum of functions that map zero to
/// zero, so the share of the unknown words can be added later.
fn fixed_part(message: &[u32; 16], unknown_from: usize) -> [u32; FIXED_WORDS] {
    let mut fixed = [0; FIXED_WORDS];
    // The last sixteen words, oldest first, zero for the unknown.
    let mut known = [0_u32; 16];
    for (t, word) in fixed.iter_mut().enumerate() {
        *word = message.get(t).copied().unwrap_or_else(|| {
            let small_sigma0 = known[1].rotate_right(7) ^ known[1].rotate_right(18) ^ (known[1] >> 3);
            let small_sigma1 = known[14].rotate_right(17) ^ known[14].rotate_right(19) ^ (known[14] >> 10);
            known[0].wrapping_add(small_sigma0).wrapping_add(known[9]).wrapping_add(small_sigma1)
        });
        known.rotate_left(1);
        known[15] = if t < unknown_from { *word } else { 0 };
    }
    fixed
}

/// The state after the first rounds, as many as given.
pub(super) fn first_rounds(words: &[u32; FIXED_WORDS], count: usize) -> [u32; 8] {
    K.iter().zip(words).take(count).fold(IV, |state, (k, word)| scalar_round(state, k.wrapping_add(*word)))
}

/// One round; `word` is the word of the schedule plus the round constant.
fn scalar_round([a, b, c, d, e, f, g, h]: [u32; 8], word: u32) -> [u32; 8] {
    let big_sigma0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
    let big_sigma1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
    let choice = (e & f) ^ (!e & g);
    let majority = (a & b) ^ (a & c) ^ (b & c);
    let t1 = h.wrapping_add(word).wrapping_add(big_sigma1).wrapping_add(choice);
    [t1.wrapping_add(big_sigma0).wrapping_add(majority), a, b, c, d.wrapping_add(t1), e, f, g]
}

/// Writes the search for the vector type `Lanes` of the module it is used in, which also has to offer the functions
/// `splat add xor3 choose majority rotate shift consecutive swap_bytes zero_lanes` and the number `LANES`. The
/// attributes given (the instructions to compile for) are put on every function.
macro_rules! sha256d_lanes {
    ($(#[$instructions:meta])*) => {
        /// Searches with `LANES` nonces at a time.
        $(#[$instructions])*
        fn search_sha256d(query: &Query<'_>) -> Option<u64> {
            let mask = splat(query.leading_zeros());
            for segment in query.segments() {
                let inner = Inner::new(query.digest, segment.high());
                for batch in segment.batches(LANES) {
                    let hash = inner_hash(&inner, swap_bytes(consecutive(batch.low())));
                    let nominees = zero_lanes(outer_hash(hash), mask);
                    if nominees != 0
                        && let Some(nonce) = query.confirm(batch, nominees)
                    {
                        return Some(nonce);
                    }
                }
            }
            None
        }

        /// The first hash, given the low word of each nonce in the message's byte order.
        $(#[$instructions])*
        #[inline]
        fn inner_hash(inner: &Inner, nonce: Lanes) -> [Lanes; 8] {
            let mut s = splat_each(&inner.state);
            (s[0], s[4]) = (add(s[0], nonce), add(s[4], nonce));
            unrolled!(T in [9 10 11 12 13 14 15 16 17 18 19 20 21 22] {
                s = round(s, splat(inner.words[T].wrapping_add(K[T])));
            });
            // The words of the schedule as a ring; 7-22 are not needed as vectors any more.
            let mut w = [nonce; 16];
            w[23 % 16] = add(splat(inner.words[23]), small_sigma0(nonce));
            w[24 % 16] = add(splat(inner.words[24]), nonce);
            unrolled!(T in [25 26 27 28 29] {
                w[T % 16] = add(splat(inner.words[T]), small_sigma1(w[(T - 2) % 16]));
            });
            unrolled!(T in [30 31 32 33 34 35 36 37] {
                w[T % 16] = add(add(splat(inner.words[T]), w[(T - 7) % 16]), small_sigma1(w[(T - 2) % 16]));
            });
            w[38 % 16] = add(add(splat(inner.words[38]), small_sigma0(w[23 % 16])), add(w[31 % 16], small_sigma1(w[36 % 16])));
            unrolled!(T in [23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38] {
                s = round(s, add(w[T % 16], splat(K[T])));
            });
            unrolled!(T in [39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63] {
                w[T % 16] = next_word(w[T % 16], w[(T + 1) % 16], w[(T + 9) % 16], w[(T + 14) % 16]);
                s = round(s, add(w[T % 16], splat(K[T])));
            });
            let iv = splat_each(&IV);
            unrolled!(T in [0 1 2 3 4 5 6 7] { s[T] = add(s[T], iv[T]); });
            s
        }

        /// The most significant word of the second hash. Half of its message is constant, as is the state it starts
        /// from: the compiler folds all that follows from it, and drops what only the other words need.
        $(#[$instructions])*
        #[inline]
        fn outer_hash([a, b, c, d, e, f, g, h]: [Lanes; 8]) -> Lanes {
            let (end, zero, length) = (splat(0x8000_0000), splat(0), splat(8 * 32));
            let mut w = [a, b, c, d, e, f, g, h, end, zero, zero, zero, zero, zero, zero, length];
            let mut s = splat_each(&IV);
            unrolled!(T in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] {
                s = round(s, add(w[T % 16], splat(K[T])));
            });
            unrolled!(T in [16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39
                40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63] {
                w[T % 16] = next_word(w[T % 16], w[(T + 1) % 16], w[(T + 9) % 16], w[(T + 14) % 16]);
                s = round(s, add(w[T % 16], splat(K[T])));
            });
            add(s[0], splat(IV[0]))
        }

        /// A state that is the same in all lanes.
        $(#[$instructions])*
        #[inline]
        fn splat_each(state: &[u32; 8]) -> [Lanes; 8] {
            let mut lanes = [splat(0); 8];
            unrolled!(T in [0 1 2 3 4 5 6 7] { lanes[T] = splat(state[T]); });
            lanes
        }

        /// One round; `word` is the word of the schedule plus the round constant.
        $(#[$instructions])*
        #[inline]
        fn round([a, b, c, d, e, f, g, h]: [Lanes; 8], word: Lanes) -> [Lanes; 8] {
            let big_sigma0 = xor3(rotate::<2>(a), rotate::<13>(a), rotate::<22>(a));
            let big_sigma1 = xor3(rotate::<6>(e), rotate::<11>(e), rotate::<25>(e));
            let t1 = add(add(add(h, word), choose(e, f, g)), big_sigma1);
            [add(t1, add(big_sigma0, majority(a, b, c))), a, b, c, add(d, t1), e, f, g]
        }

        /// A word of the schedule, from those 16, 15, 7 and 2 before it.
        $(#[$instructions])*
        #[inline]
        fn next_word(back16: Lanes, back15: Lanes, back7: Lanes, back2: Lanes) -> Lanes {
            add(add(add(back16, small_sigma0(back15)), back7), small_sigma1(back2))
        }

        $(#[$instructions])*
        #[inline]
        fn small_sigma0(x: Lanes) -> Lanes {
            xor3(rotate::<7>(x), rotate::<18>(x), shift::<3>(x))
        }

        $(#[$instructions])*
        #[inline]
        fn small_sigma1(x: Lanes) -> Lanes {
            xor3(rotate::<17>(x), rotate::<19>(x), shift::<10>(x))
        }
    };
}
