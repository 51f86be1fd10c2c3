//! BLAKE3 of at most one block, written from its paper (section 2), to compare with on inputs that no published vector has.

const IV: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
const PERMUTATION: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const ROOT: u32 = 8;

/// The hash of at most 64 bytes.
pub(crate) fn hash(input: &[u8]) -> [u8; 32] {
    assert!(input.len() <= 64, "one block");
    let mut block = [0; 64];
    block[..input.len()].copy_from_slice(input);
    let mut words: [u32; 16] =
        std::array::from_fn(|i| u32::from_le_bytes(block[4 * i..4 * i + 4].try_into().expect("four bytes")));
    let mut v = [0; 16];
    v[..8].copy_from_slice(&IV);
    v[8..12].copy_from_slice(&IV[..4]);
    v[14] = u32::try_from(input.len()).expect("at most 64");
    v[15] = CHUNK_START | CHUNK_END | ROOT;
    for _ in 0..7 {
        round(&mut v, &words);
        words = PERMUTATION.map(|from| words[from]);
    }
    let mut out = [0; 32];
    for (i, bytes) in out.chunks_exact_mut(4).enumerate() {
        bytes.copy_from_slice(&(v[i] ^ v[i + 8]).to_le_bytes());
    }
    out
}

fn round(v: &mut [u32; 16], m: &[u32; 16]) {
    for (i, column) in [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]].into_iter().enumerate() {
        mix(v, column, m[2 * i], m[2 * i + 1]);
    }
    for (i, diagonal) in [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]].into_iter().enumerate() {
        mix(v, diagonal, m[8 + 2 * i], m[9 + 2 * i]);
    }
}

fn mix(v: &mut [u32; 16], [a, b, c, d]: [usize; 4], x: u32, y: u32) {
    for (word, right_d, right_b) in [(x, 16, 12), (y, 8, 7)] {
        v[a] = v[a].wrapping_add(v[b]).wrapping_add(word);
        v[d] = (v[d] ^ v[a]).rotate_right(right_d);
        v[c] = v[c].wrapping_add(v[d]);
        v[b] = (v[b] ^ v[c]).rotate_right(right_b);
    }
}
