//! The expansion, written once for a vector of any width.

/// Writes `combine` for the vector type `Lanes` of the module it is used in, which also has to offer the functions
/// `splat add xor rotate mix_lanes consecutive` and `accumulate`, and the number `LANES`. The attributes given (the instructions
/// to compile for) are put on every function.
macro_rules! expand_lanes {
    ($(#[$instructions:meta])*) => {
        /// Puts an entry into a sum or takes it out, `LANES` blocks of its expansion at a time.
        $(#[$instructions])*
        fn combine(words: &mut Words, key: &[u32; 8], input: &Input, direction: Direction) {
            let mut m = [splat(0); 16];
            for (lanes, word) in m.iter_mut().zip(&input.block) {
                *lanes = splat(*word);
            }
            let mut first = 0_u32;
            for group in words.chunks_exact_mut(BLOCK_WORDS.wrapping_mul(LANES as usize)) {
                let blocks = output(key, &m, input.length, first);
                for (sum, block) in group.chunks_exact_mut(LANES as usize).zip(blocks) {
                    accumulate(sum, block, direction);
                }
                first = first.wrapping_add(LANES);
            }
        }

        /// The output blocks from this one on, a vector for each word.
        $(#[$instructions])*
        #[inline]
        fn output(key: &[u32; 8], m: &[Lanes; 16], length: u32, first: u32) -> [Lanes; 16] {
            let (mut k, mut i) = ([splat(0); 8], [splat(0); 4]);
            k.iter_mut().zip(key).for_each(|(lanes, word)| *lanes = splat(*word));
            i.iter_mut().zip(IV).for_each(|(lanes, word)| *lanes = splat(word));
            let counters = consecutive(first);
            let (zero, length, flags) = (splat(0), splat(length), splat(FLAGS));
            let mut v = [
                k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7], i[0], i[1], i[2], i[3], counters, zero, length, flags,
            ];
            blake3_rounds!(v, m);
            [
                xor(v[0], v[8]), xor(v[1], v[9]), xor(v[2], v[10]), xor(v[3], v[11]),
                xor(v[4], v[12]), xor(v[5], v[13]), xor(v[6], v[14]), xor(v[7], v[15]),
                xor(v[8], k[0]), xor(v[9], k[1]), xor(v[10], k[2]), xor(v[11], k[3]),
                xor(v[12], k[4]), xor(v[13], k[5]), xor(v[14], k[6]), xor(v[15], k[7]),
            ]
        }
    };
}

/// The flags of a block that is the first and the last of its chunk, the root of its tree, and of keyed material.
pub(super) const FLAGS: u32 = 1 | 2 | 8 | 64;
