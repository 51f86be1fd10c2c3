//! One nonce at a time, in safe Rust: for every processor, and as the measure of the other kernels.

use sha2::block_api::compress256;

use super::IV;
use super::blake3_lanes::Start;
use super::query::Query;

/// By whole compressions: nothing of them can be worked out once for many nonces, but the crate uses the processor's
/// instructions for SHA-256 where it knows them (the only ones on Arm), which is worth more.
pub(super) fn sha256d(query: &Query<'_>) -> Option<u64> {
    let mask = query.leading_zeros();
    // One block each: the message, a one bit, zeros, and the length of the message in bits.
    let (mut inner, mut outer) = ([0; 64], [0; 64]);
    inner[..32].copy_from_slice(query.digest);
    (inner[40], outer[32]) = (0x80, 0x80);
    inner[62..].copy_from_slice(&(8 * 40_u16).to_be_bytes());
    outer[62..].copy_from_slice(&(8 * 32_u16).to_be_bytes());
    for batch in query.segments().flat_map(|segment| segment.batches(1)) {
        inner[32..40].copy_from_slice(&batch.start.to_le_bytes());
        let mut hash = IV;
        compress256(&mut hash, &[inner]);
        for (bytes, word) in outer.as_chunks_mut().0.iter_mut().zip(hash) {
            *bytes = word.to_be_bytes();
        }
        let mut id = IV;
        compress256(&mut id, &[outer]);
        if id[0] & mask == 0
            && let Some(nonce) = query.confirm(batch, 1)
        {
            return Some(nonce);
        }
    }
    None
}

pub(super) fn blake3(query: &Query<'_>) -> Option<u64> {
    search_blake3(query)
}

/// A vector of one, for the code written for vectors.
type Lanes = u32;
const LANES: u32 = 1;

blake3_lanes!();

#[inline]
fn splat(x: u32) -> Lanes {
    x
}

#[inline]
fn add(x: Lanes, y: Lanes) -> Lanes {
    x.wrapping_add(y)
}

#[inline]
fn xor(x: Lanes, y: Lanes) -> Lanes {
    x ^ y
}

#[inline]
fn rotate<const RIGHT: u32>(x: Lanes) -> Lanes {
    x.rotate_right(RIGHT)
}

#[inline]
fn consecutive(first: u32) -> Lanes {
    first
}

#[inline]
fn zero_lanes(x: Lanes, mask: Lanes) -> u32 {
    u32::from(x & mask == 0)
}
