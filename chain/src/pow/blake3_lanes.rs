//! BLAKE3 of 32 fixed bytes and a nonce, for a vector of nonces.
//!
//! The 40 bytes are one block: words 0-7 are the digest, 8 and 9 the nonce, the others zero. Word 8, the low half of
//! the nonce, first takes part in one diagonal of the first round: all before it is worked out once a segment, in
//! [`Start`]. At the end only the first word of the hash is wanted, which needs two diagonals of the last round.

/// The initial state, as SHA-256's.
const IV: [u32; 8] = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// The flags of a block that is the first and the last of its chunk, which is the root of the tree.
const CHUNK_START_END_ROOT: u32 = 1 | 2 | 8;

/// What is the same for all nonces that share their high 32 bits.
pub(super) struct Start {
    /// The message; word 8 stands for the low half of the nonce and is left zero.
    pub(super) message: [u32; 16],
    /// The state after the first round, but for the diagonal that takes in the nonce, words 0, 5, 10 and 15.
    pub(super) state: [u32; 16],
}

impl Start {
    /// Everything that can be known before the low half of the nonce.
    pub(super) fn new(digest: &[u8; 32], nonce_high: u32) -> Self {
        let mut m = [0; 16];
        let (digest_words, _) = digest.as_chunks::<4>();
        for (word, bytes) in m.iter_mut().zip(digest_words) {
            *word = u32::from_le_bytes(*bytes);
        }
        m[9] = nonce_high;
        let [i0, i1, i2, i3, i4, i5, i6, i7] = IV;
        let mut v = [i0, i1, i2, i3, i4, i5, i6, i7, i0, i1, i2, i3, 0, 0, 40, CHUNK_START_END_ROOT];
        mix(&mut v, [0, 4, 8, 12], m[0], m[1]);
        mix(&mut v, [1, 5, 9, 13], m[2], m[3]);
        mix(&mut v, [2, 6, 10, 14], m[4], m[5]);
        mix(&mut v, [3, 7, 11, 15], m[6], m[7]);
        mix(&mut v, [1, 6, 11, 12], m[10], m[11]);
        mix(&mut v, [2, 7, 8, 13], m[12], m[13]);
        mix(&mut v, [3, 4, 9, 14], m[14], m[15]);
        Self { message: m, state: v }
    }
}

/// BLAKE3's mixing function on four words of the state.
fn mix(v: &mut [u32; 16], [a, b, c, d]: [usize; 4], x: u32, y: u32) {
    v[a] = v[a].wrapping_add(v[b]).wrapping_add(x);
    v[d] = (v[d] ^ v[a]).rotate_right(16);
    v[c] = v[c].wrapping_add(v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(12);
    v[a] = v[a].wrapping_add(v[b]).wrapping_add(y);
    v[d] = (v[d] ^ v[a]).rotate_right(8);
    v[c] = v[c].wrapping_add(v[d]);
    v[b] = (v[b] ^ v[c]).rotate_right(7);
}

/// Writes the search for the vector type `Lanes` of the module it is used in, which also has to offer the functions
/// `splat add xor rotate consecutive zero_lanes` and the number `LANES`. The attributes given (the instructions to
/// compile for) are put on every function.
macro_rules! blake3_lanes {
    ($(#[$instructions:meta])*) => {
        /// Searches with `LANES` nonces at a time.
        $(#[$instructions])*
        fn search_blake3(query: &Query<'_>) -> Option<u64> {
            // The first word of the hash is little endian in its bytes, the id is big endian.
            let mask = splat(query.leading_zeros().swap_bytes());
            for segment in query.segments() {
                let start = Start::new(query.digest, segment.high());
                for batch in segment.batches(LANES) {
                    let nominees = zero_lanes(blake3_word(&start, consecutive(batch.low())), mask);
                    if nominees != 0
                        && let Some(nonce) = query.confirm(batch, nominees)
                    {
                        return Some(nonce);
                    }
                }
            }
            None
        }

        /// The first word of the hash, given the low half of each nonce. The rounds take the words of the message in
        /// the order BLAKE3's permutation gives them.
        $(#[$instructions])*
        #[inline]
        fn blake3_word(start: &Start, nonce: Lanes) -> Lanes {
            let mut m = start.message.map(|word| splat(word));
            m[8] = nonce;
            unrolled!(T in [10 11 12 13 14 15] { m[T] = splat(0); });
            let mut v = start.state.map(|word| splat(word));
            mix_lanes(&mut v, [0, 5, 10, 15], m[8], m[9]);
            full_round(&mut v, &m, [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]);
            full_round(&mut v, &m, [3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1]);
            full_round(&mut v, &m, [10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6]);
            full_round(&mut v, &m, [12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4]);
            full_round(&mut v, &m, [9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7]);
            // The compiler drops what the sum below does not need.
            full_round(&mut v, &m, [11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13]);
            xor(v[0], v[8])
        }

        /// One round; `order` says which word of the message is mixed in where.
        $(#[$instructions])*
        #[inline]
        fn full_round(v: &mut [Lanes; 16], m: &[Lanes; 16], order: [usize; 16]) {
            let word = |i: usize| m[order[i] % 16];
            mix_lanes(v, [0, 4, 8, 12], word(0), word(1));
            mix_lanes(v, [1, 5, 9, 13], word(2), word(3));
            mix_lanes(v, [2, 6, 10, 14], word(4), word(5));
            mix_lanes(v, [3, 7, 11, 15], word(6), word(7));
            mix_lanes(v, [0, 5, 10, 15], word(8), word(9));
            mix_lanes(v, [1, 6, 11, 12], word(10), word(11));
            mix_lanes(v, [2, 7, 8, 13], word(12), word(13));
            mix_lanes(v, [3, 4, 9, 14], word(14), word(15));
        }

        /// BLAKE3's mixing function on four words of the state.
        $(#[$instructions])*
        #[inline]
        fn mix_lanes(v: &mut [Lanes; 16], [a, b, c, d]: [usize; 4], x: Lanes, y: Lanes) {
            v[a] = add(v[a], add(v[b], x));
            v[d] = rotate::<16>(xor(v[d], v[a]));
            v[c] = add(v[c], v[d]);
            v[b] = rotate::<12>(xor(v[b], v[c]));
            v[a] = add(v[a], add(v[b], y));
            v[d] = rotate::<8>(xor(v[d], v[a]));
            v[c] = add(v[c], v[d]);
            v[b] = rotate::<7>(xor(v[b], v[c]));
        }
    };
}
