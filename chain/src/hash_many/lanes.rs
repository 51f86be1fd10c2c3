//! BLAKE3's compression, written once for a vector of any width.

/// Writes `compress` for the vector type `Lanes` of the module it is used in, which also has to offer the functions
/// `splat xor mix_lanes load store`, and the number `WIDTH`. The attributes given (the instructions to compile for) are put on
/// every function.
macro_rules! compress_lanes {
    ($(#[$instructions:meta])*) => {
        /// Takes a block of each input into its chaining value. All rounds take the words of the message in the order
        /// BLAKE3's permutation gives them.
        $(#[$instructions])*
        fn compress(values: &mut Values<WIDTH>, blocks: &Blocks<WIDTH>) {
            let (mut m, mut v) = ([splat(0); 16], [splat(0); 16]);
            m.iter_mut().zip(&blocks.words).for_each(|(lanes, words)| *lanes = load(words));
            v.iter_mut().zip(values.iter()).for_each(|(lanes, words)| *lanes = load(words));
            v.iter_mut().skip(HASH_WORDS).take(4).zip(IV).for_each(|(lanes, word)| *lanes = splat(word));
            // Words 12 and 13, the number of the chunk, stay zero.
            [v[14], v[15]] = [load(&blocks.lengths), load(&blocks.flags)];
            blake3_round!(v, m, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]);
            blake3_round!(v, m, [2 6 3 10 7 0 4 13 1 11 12 5 9 14 15 8]);
            blake3_round!(v, m, [3 4 10 12 13 2 7 14 6 5 9 0 11 15 8 1]);
            blake3_round!(v, m, [10 7 12 9 14 3 13 15 4 0 11 2 5 8 1 6]);
            blake3_round!(v, m, [12 13 9 11 15 10 14 8 7 2 5 3 0 1 6 4]);
            blake3_round!(v, m, [9 14 11 5 8 12 15 1 13 3 0 10 2 6 4 7]);
            blake3_round!(v, m, [11 15 5 0 1 9 8 6 14 10 2 12 3 4 7 13]);
            let (first, second) = v.split_at(HASH_WORDS);
            for ((words, one), other) in values.iter_mut().zip(first).zip(second) {
                store(words, xor(*one, *other));
            }
        }
    };
}
