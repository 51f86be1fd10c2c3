//! Four nonces at a time, in plain Rust: for every processor, and as the measure of the other kernels.

use super::blake3_lanes::Start;
use super::query::Query;
use super::sha256d_lanes::{IV, Inner, K};

pub(super) fn sha256d(query: &Query<'_>) -> Option<u64> {
    search_sha256d(query)
}

pub(super) fn blake3(query: &Query<'_>) -> Option<u64> {
    search_blake3(query)
}

/// Four, because that is what the vectors of nearly every processor hold; the compiler does the rest.
type Lanes = [u32; LANES as usize];
const LANES: u32 = 4;

sha256d_lanes!();
blake3_lanes!();

#[inline]
fn each(f: impl Fn(usize) -> u32) -> Lanes {
    std::array::from_fn(f)
}

#[inline]
fn splat(x: u32) -> Lanes {
    each(|_| x)
}

#[inline]
fn add(x: Lanes, y: Lanes) -> Lanes {
    each(|i| x[i].wrapping_add(y[i]))
}

#[inline]
fn xor(x: Lanes, y: Lanes) -> Lanes {
    each(|i| x[i] ^ y[i])
}

#[inline]
fn xor3(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    each(|i| x[i] ^ y[i] ^ z[i])
}

/// The bits of `y` where `x` is set, of `z` elsewhere.
#[inline]
fn choose(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    each(|i| ((y[i] ^ z[i]) & x[i]) ^ z[i])
}

/// In the form whose first difference is the second difference of the next round: the compiler keeps it.
#[inline]
fn majority(x: Lanes, y: Lanes, z: Lanes) -> Lanes {
    each(|i| ((x[i] ^ y[i]) & (y[i] ^ z[i])) ^ y[i])
}

#[inline]
fn rotate<const RIGHT: u32>(x: Lanes) -> Lanes {
    each(|i| x[i].rotate_right(RIGHT))
}

#[inline]
fn shift<const RIGHT: u32>(x: Lanes) -> Lanes {
    each(|i| x[i] >> RIGHT)
}

/// `first`, `first + 1` and so on.
#[inline]
fn consecutive(first: u32) -> Lanes {
    each(|i| first.wrapping_add(i as u32))
}

#[inline]
fn swap_bytes(x: Lanes) -> Lanes {
    each(|i| x[i].swap_bytes())
}

/// One bit for each lane, set where the lane is zero under the mask.
#[inline]
fn zero_lanes(x: Lanes, mask: Lanes) -> u32 {
    each(|i| u32::from(x[i] & mask[i] == 0) << i).into_iter().fold(0, |all, bit| all | bit)
}
