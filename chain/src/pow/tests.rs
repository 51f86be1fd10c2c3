//! That the seal is what it says, and that every kernel finds what trying one nonce after the other finds.

use proptest::prelude::{any, prop_assert_eq, proptest};
use sha2::{Digest, Sha256};

use super::{PowFunction, kernels, search};

const FUNCTIONS: [PowFunction; 2] = [PowFunction::Sha256d, PowFunction::Blake3];

/// The definition of the search, one seal at a time.
fn search_by_seal(function: PowFunction, digest: &[u8; 32], start: u64, count: u64, target: &[u8; 32]) -> Option<u64> {
    (0..count).map(|i| start.wrapping_add(i)).find(|&nonce| function.seal(digest, nonce) <= *target)
}

/// A target that about one try in `2^zeros` meets.
fn target_of(zeros: u32) -> [u8; 32] {
    let mut target = [0xff; 32];
    for (i, byte) in target.iter_mut().enumerate() {
        let zeros = zeros.saturating_sub(8 * i as u32);
        *byte = 0xffu8.checked_shr(zeros).unwrap_or(0);
    }
    target
}

#[test]
fn first() {
    let digest = [7; 32];
    for function in FUNCTIONS {
        for kernel in kernels(function) {
            for zeros in 0..14 {
                let target = target_of(zeros);
                for start in [0, 5, u64::MAX - 20, u64::from(u32::MAX) - 3] {
                    assert_eq!(
                        kernel.search(&digest, start, 30000, &target),
                        search_by_seal(function, &digest, start, 30000, &target),
                        "{function} {} {zeros} {start}",
                        kernel.name()
                    );
                }
            }
        }
    }
}
