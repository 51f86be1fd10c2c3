//! BLAKE3's compression, written once for a vector of any width.

/// Writes `compress` for the vector type `Lanes` of the module it is used in, which also has to offer the functions
/// `splat xor mix_lanes load store`, and the number `WIDTH`. The attributes given (the instructions to compile for) are put on
/// every function.
macro_rules! compress_lanes {
    ($(#[$instructions:meta])*) => {
        /// Takes a block of each input into its chaining value.
        $(#[$instructions])*
        fn compress(values: &mut Values<WIDTH>, blocks: &Blocks<WIDTH>) {
            let (mut m, mut v) = ([splat(0); 16], [splat(0); 16]);
            m.iter_mut().zip(&blocks.words).for_each(|(lanes, words)| *lanes = load(words));
            v.iter_mut().zip(values.iter()).for_each(|(lanes, words)| *lanes = load(words));
            v.iter_mut().skip(HASH_WORDS).take(4).zip(IV).for_each(|(lanes, word)| *lanes = splat(word));
            // Words 12 and 13, the number of the chunk, stay zero.
            [v[14], v[15]] = [load(&blocks.lengths), load(&blocks.flags)];
            blake3_rounds!(v, m);
            let (first, second) = v.split_at(HASH_WORDS);
            for ((words, one), other) in values.iter_mut().zip(first).zip(second) {
                store(words, xor(*one, *other));
            }
        }
    };
}
