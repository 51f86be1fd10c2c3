//! That the seal is what it says, and that every kernel finds what trying one nonce after the other finds.

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use sha2::{Digest, Sha256};

use super::query::{Query, Segment};
use super::{PowFunction, kernels, search};

const FUNCTIONS: [PowFunction; 2] = [PowFunction::Sha256d, PowFunction::Blake3];
const EASIEST: [u8; 32] = [0xff; 32];
const IMPOSSIBLE: [u8; 32] = [0; 32];

/// The definition of the search: one seal after the other.
fn search_by_seal(function: PowFunction, digest: &[u8; 32], start: u64, count: u64, target: &[u8; 32]) -> Option<u64> {
    (0..count).map(|tried| start.wrapping_add(tried)).find(|&nonce| function.seal(digest, nonce) <= *target)
}

/// A target that about one try in `2^zeros` meets.
fn target_of(zeros: u32) -> [u8; 32] {
    let mut target = EASIEST;
    let mut left = zeros;
    for byte in &mut target {
        *byte = byte.unbounded_shr(left);
        left = left.saturating_sub(8);
    }
    target
}

/// Every kernel of every function, and the front door, against the definition.
fn assert_all_agree(digest: &[u8; 32], start: u64, count: u64, target: &[u8; 32]) {
    for function in FUNCTIONS {
        let expected = search_by_seal(function, digest, start, count, target);
        assert_eq!(search(function, digest, start, count, target), expected, "{function}");
        for kernel in kernels(function) {
            let found = kernel.search(digest, start, count, target);
            assert_eq!(found, expected, "{function} {}: {count} from {start}, {target:02x?}", kernel.name());
        }
    }
}

#[test]
fn names_are_read_back() {
    for function in FUNCTIONS {
        assert_eq!(PowFunction::parse(function.as_str()), Some(function));
        assert_eq!(function.to_string(), function.as_str());
    }
    assert_eq!(PowFunction::parse("SHA256D"), None);
    assert_eq!(PowFunction::parse(""), None);
}

/// Computed by other code: Python's hashlib, and BLAKE3 as its paper writes it, in Python, checked with the empty hash.
#[test]
fn seal_has_the_value_others_compute() {
    let digest = std::array::from_fn(|i| i as u8);
    let nonce = 0x0123_4567_89ab_cdef;
    let hex = |id: [u8; 32]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(
        hex(PowFunction::Sha256d.seal(&digest, nonce)),
        "a1a3d2ebe5e745a7168c7ddde54e0d105a39186a3b3fa8c57f9d6c9fd78c56da"
    );
    assert_eq!(
        hex(PowFunction::Blake3.seal(&digest, nonce)),
        "e33b70c15c5b273d3bf364a3d24e77bfec1b7636400a345af8478a3889f26fa7"
    );
}

#[test]
fn seal_hashes_forty_bytes() {
    let digest = [0xa5; 32];
    let nonce = 0x1122_3344_5566_7788_u64;
    let message = [&digest[..], &[0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]].concat();
    let twice: [u8; 32] = Sha256::digest(Sha256::digest(&message)).into();
    assert_eq!(PowFunction::Sha256d.seal(&digest, nonce), twice);
    assert_eq!(PowFunction::Blake3.seal(&digest, nonce), *blake3::hash(&message).as_bytes());
}

#[test]
fn the_portable_kernel_is_always_there_and_last() {
    for function in FUNCTIONS {
        let names: Vec<_> = kernels(function).iter().map(super::Kernel::name).collect();
        assert_eq!(names.last(), Some(&"portable"));
        assert_eq!(names.iter().filter(|name| **name == "portable").count(), 1);
    }
}

#[test]
fn the_first_nonce_is_found_at_any_difficulty() {
    for zeros in 0..13 {
        for start in [0, 1, 7, 1 << 20] {
            assert_all_agree(&[zeros as u8; 32], start, 1 << 15, &target_of(zeros));
        }
    }
}

#[test]
fn a_target_without_leading_zeros_is_exact() {
    for top in [0x80, 0x81, 0xc0, 0xfe, 0xff] {
        let mut target = IMPOSSIBLE;
        target[0] = top;
        for start in 0..40 {
            assert_all_agree(&[9; 32], start, 20, &target);
        }
    }
}

#[test]
fn a_target_equal_to_an_id_is_met_and_one_below_it_is_not() {
    let digest = [3; 32];
    for function in FUNCTIONS {
        for nonce in 100..140 {
            let id = function.seal(&digest, nonce);
            let mut below = id;
            // The number before it: subtract one, and borrow.
            for byte in below.iter_mut().rev() {
                let borrowed = *byte == 0;
                *byte = byte.wrapping_sub(1);
                if !borrowed {
                    break;
                }
            }
            for kernel in kernels(function) {
                assert_eq!(kernel.search(&digest, nonce, 1, &id), Some(nonce), "{function} {}", kernel.name());
                assert_eq!(kernel.search(&digest, nonce, 1, &below), None, "{function} {}", kernel.name());
            }
        }
    }
}

#[test]
fn nothing_meets_the_impossible_and_everything_the_easiest() {
    for count in [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 1000] {
        for start in [0, 5, u64::MAX] {
            assert_all_agree(&[1; 32], start, count, &IMPOSSIBLE);
            assert_all_agree(&[1; 32], start, count, &EASIEST);
        }
    }
}

/// The one nonce in reach that meets the target is found if, and only if, it is within the count.
#[test]
fn the_count_is_exact() {
    let digest = [4; 32];
    for function in FUNCTIONS {
        let (place, target) =
            (0..200).map(|nonce| (nonce, function.seal(&digest, nonce))).min_by_key(|(_, id)| *id).unwrap();
        for kernel in kernels(function) {
            assert_eq!(kernel.search(&digest, 0, place, &target), None, "{function} {}", kernel.name());
            for count in place + 1..place + 40 {
                assert_eq!(kernel.search(&digest, 0, count, &target), Some(place), "{function} {}", kernel.name());
            }
        }
    }
}

#[test]
fn the_nonce_wraps_and_carries() {
    let target = target_of(9);
    for before in [0, 1, 3, 15, 16, 17, 500] {
        for high in [0, 1, 0x0123_4567, u64::from(u32::MAX)] {
            let end_of_low_half = high << 32 | u64::from(u32::MAX);
            assert_all_agree(&[5; 32], end_of_low_half.wrapping_sub(before), 4000, &target);
        }
    }
}

/// A hard target, as of a real chain: what one kernel finds among many nonces, all find.
#[test]
fn a_hard_target_is_met_by_the_same_nonce() {
    for function in FUNCTIONS {
        let found: Vec<_> =
            kernels(function).iter().map(|kernel| kernel.search(&[6; 32], 1 << 40, 1 << 22, &target_of(19))).collect();
        let nonce = found.first().copied().flatten().unwrap();
        assert!(function.seal(&[6; 32], nonce) <= target_of(19));
        assert!(found.iter().all(|other| *other == Some(nonce)), "{function} {found:?}");
    }
}

#[test]
fn segments_share_their_high_half() {
    let query =
        |start, count| Query { function: PowFunction::Blake3, digest: &[0; 32], start, count, target: &IMPOSSIBLE };
    let segments = |start, count| query(start, count).segments().collect::<Vec<_>>();
    let segment = |start, count| Segment { start, count };
    assert_eq!(segments(7, 0), []);
    assert_eq!(segments(7, 5), [segment(7, 5)]);
    assert_eq!(segments(0, 1 << 32), [segment(0, 1 << 32)]);
    assert_eq!(segments((1 << 32) - 2, 5), [segment((1 << 32) - 2, 2), segment(1 << 32, 3)]);
    assert_eq!(segments(u64::MAX - 1, 5), [segment(u64::MAX - 1, 2), segment(0, 3)]);
    assert_eq!(segments(1, 2 << 32).len(), 3);
    // The whole range, but for the one nonce that a count cannot express.
    assert_eq!(query(0, u64::MAX).segments().next(), Some(segment(0, 1 << 32)));
}

/// Nonces a little before the low half overflows, or all of the nonce.
fn near_overflow() -> impl Strategy<Value = u64> {
    (prop_oneof![any::<u32>(), Just(u32::MAX)], 0..100_u32)
        .prop_map(|(high, before)| u64::from(high) << 32 | u64::from(u32::MAX - before))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn kernels_agree(
        digest in any::<[u8; 32]>(),
        start in prop_oneof![any::<u64>(), near_overflow()],
        count in 0_u64..3000,
        zeros in 0_u32..14,
        tail in any::<[u8; 32]>(),
    ) {
        let mut target = target_of(zeros);
        for (byte, random) in target.iter_mut().zip(tail) {
            *byte = (*byte).min(random | (*byte >> 1));
        }
        for function in FUNCTIONS {
            let expected = search_by_seal(function, &digest, start, count, &target);
            for kernel in kernels(function) {
                prop_assert_eq!(kernel.search(&digest, start, count, &target), expected, "{} {}", function, kernel.name());
            }
        }
    }
}
