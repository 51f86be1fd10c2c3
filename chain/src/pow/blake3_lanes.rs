//! BLAKE3 of 32 fixed bytes and a nonce, for a vector of nonces.
//!
//! The 40 bytes are one block: words 0-7 are the digest, 8 and 9 the nonce, the others zero. Word 8, the low half of
//! the nonce, first takes part in one diagonal of the first round: all before it is worked out once a segment, in
//! [`Start`]. At the end only the first word of the hash is wanted, which needs two diagonals of the last round.

use super::IV;

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
        [v[0], v[4], v[8], v[12]] = mix([v[0], v[4], v[8], v[12]], m[0], m[1]);
        [v[1], v[5], v[9], v[13]] = mix([v[1], v[5], v[9], v[13]], m[2], m[3]);
        [v[2], v[6], v[10], v[14]] = mix([v[2], v[6], v[10], v[14]], m[4], m[5]);
        [v[3], v[7], v[11], v[15]] = mix([v[3], v[7], v[11], v[15]], m[6], m[7]);
        [v[1], v[6], v[11], v[12]] = mix([v[1], v[6], v[11], v[12]], m[10], m[11]);
        [v[2], v[7], v[8], v[13]] = mix([v[2], v[7], v[8], v[13]], m[12], m[13]);
        [v[3], v[4], v[9], v[14]] = mix([v[3], v[4], v[9], v[14]], m[14], m[15]);
        Self { message: m, state: v }
    }
}

/// BLAKE3's mixing function on four words of the state.
fn mix([mut a, mut b, mut c, mut d]: [u32; 4], x: u32, y: u32) -> [u32; 4] {
    a = a.wrapping_add(x).wrapping_add(b);
    d = (d ^ a).rotate_right(16);
    c = c.wrapping_add(d);
    b = (b ^ c).rotate_right(12);
    a = a.wrapping_add(y).wrapping_add(b);
    d = (d ^ a).rotate_right(8);
    c = c.wrapping_add(d);
    b = (b ^ c).rotate_right(7);
    [a, b, c, d]
}

/// One round on the state `v`, its columns and then its diagonals, with the words of the message in the order given.
macro_rules! blake3_round {
    ($v:ident, $m:ident, [$a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal
        $i:literal $j:literal $k:literal $l:literal $n:literal $o:literal $p:literal $q:literal]) => {
        [$v[0], $v[4], $v[8], $v[12]] = mix_lanes([$v[0], $v[4], $v[8], $v[12]], $m[$a], $m[$b]);
        [$v[1], $v[5], $v[9], $v[13]] = mix_lanes([$v[1], $v[5], $v[9], $v[13]], $m[$c], $m[$d]);
        [$v[2], $v[6], $v[10], $v[14]] = mix_lanes([$v[2], $v[6], $v[10], $v[14]], $m[$e], $m[$f]);
        [$v[3], $v[7], $v[11], $v[15]] = mix_lanes([$v[3], $v[7], $v[11], $v[15]], $m[$g], $m[$h]);
        [$v[0], $v[5], $v[10], $v[15]] = mix_lanes([$v[0], $v[5], $v[10], $v[15]], $m[$i], $m[$j]);
        [$v[1], $v[6], $v[11], $v[12]] = mix_lanes([$v[1], $v[6], $v[11], $v[12]], $m[$k], $m[$l]);
        [$v[2], $v[7], $v[8], $v[13]] = mix_lanes([$v[2], $v[7], $v[8], $v[13]], $m[$n], $m[$o]);
        [$v[3], $v[4], $v[9], $v[14]] = mix_lanes([$v[3], $v[4], $v[9], $v[14]], $m[$p], $m[$q]);
    };
}

/// The rounds after the first. Each takes the words of the message in the order BLAKE3's permutation gives them.
macro_rules! blake3_later_rounds {
    ($v:ident, $m:ident) => {
        $crate::pow::blake3_lanes::blake3_round!($v, $m, [2 6 3 10 7 0 4 13 1 11 12 5 9 14 15 8]);
        $crate::pow::blake3_lanes::blake3_round!($v, $m, [3 4 10 12 13 2 7 14 6 5 9 0 11 15 8 1]);
        $crate::pow::blake3_lanes::blake3_round!($v, $m, [10 7 12 9 14 3 13 15 4 0 11 2 5 8 1 6]);
        $crate::pow::blake3_lanes::blake3_round!($v, $m, [12 13 9 11 15 10 14 8 7 2 5 3 0 1 6 4]);
        $crate::pow::blake3_lanes::blake3_round!($v, $m, [9 14 11 5 8 12 15 1 13 3 0 10 2 6 4 7]);
        $crate::pow::blake3_lanes::blake3_round!($v, $m, [11 15 5 0 1 9 8 6 14 10 2 12 3 4 7 13]);
    };
}

/// All seven rounds.
macro_rules! blake3_rounds {
    ($v:ident, $m:ident) => {
        $crate::pow::blake3_lanes::blake3_round!($v, $m, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]);
        $crate::pow::blake3_lanes::blake3_later_rounds!($v, $m);
    };
}

pub(crate) use {blake3_later_rounds, blake3_round, blake3_rounds};

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

        /// The first word of the hash, given the low half of each nonce.
        $(#[$instructions])*
        #[inline]
        fn blake3_word(start: &Start, nonce: Lanes) -> Lanes {
            let mut m = [splat(0); 16];
            unrolled!(T in [0 1 2 3 4 5 6 7 9] { m[T] = splat(start.message[T]); });
            m[8] = nonce;
            let mut v = m;
            unrolled!(T in [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15] { v[T] = splat(start.state[T]); });
            [v[0], v[5], v[10], v[15]] = mix_lanes([v[0], v[5], v[10], v[15]], m[8], m[9]);
            // The compiler drops what the sum below does not need of the last one.
            blake3_later_rounds!(v, m);
            xor(v[0], v[8])
        }

        /// BLAKE3's mixing function on four words of the state.
        $(#[$instructions])*
        #[inline]
        pub(crate) fn mix_lanes([mut a, mut b, mut c, mut d]: [Lanes; 4], x: Lanes, y: Lanes) -> [Lanes; 4] {
            a = add(add(a, x), b);
            d = rotate::<16>(xor(d, a));
            c = add(c, d);
            b = rotate::<12>(xor(b, c));
            a = add(add(a, y), b);
            d = rotate::<8>(xor(d, a));
            c = add(c, d);
            b = rotate::<7>(xor(b, c));
            [a, b, c, d]
        }
    };
}
