//! A search as asked for, cut into pieces that suit a kernel.

use super::PowFunction;

/// One call of [`super::search`]: its arguments, shared by all kernels.
pub(super) struct Query<'a> {
    pub(super) function: PowFunction,
    pub(super) digest: &'a [u8; 32],
    pub(super) start: u64,
    pub(super) count: u64,
    pub(super) target: &'a [u8; 32],
}

/// Consecutive nonces that share their high 32 bits, so that a kernel varies one word of the message only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) count: u64,
}

/// Consecutive nonces hashed side by side: the first, and how many of the lanes count. The rest run past the end of
/// the segment; hashing them costs less than a second code path for short batches.
#[derive(Clone, Copy)]
pub(super) struct Batch {
    pub(super) start: u64,
    live: u32,
}

impl<'a> Query<'a> {
    /// The range asked for, cut where the high 32 bits of the nonce change.
    pub(super) fn segments(&self) -> impl Iterator<Item = Segment> + use<'a> {
        let (mut start, mut left) = (self.start, self.count);
        std::iter::from_fn(move || {
            let to_boundary = (1_u64 << 32).saturating_sub(start & u64::from(u32::MAX));
            let segment = Segment { start, count: left.min(to_boundary) };
            start = start.wrapping_add(segment.count);
            left = left.saturating_sub(segment.count);
            (segment.count > 0).then_some(segment)
        })
    }

    /// A mask over the 32 most significant bits of an id that is zero in every id which meets the target: the
    /// target's leading zeros. At most every second id that passes it fails on its 32 bits, so it is nearly as
    /// sharp as a comparison, and a single instruction in any byte order.
    pub(super) fn leading_zeros(&self) -> u32 {
        let [a, b, c, d, ..] = *self.target;
        !u32::MAX.unbounded_shr(u32::from_be_bytes([a, b, c, d]).leading_zeros())
    }

    /// The first nonce of the batch that meets the target, of those whose lane is set in `nominees`.
    #[cold]
    #[inline(never)]
    pub(super) fn confirm(&self, batch: Batch, nominees: u32) -> Option<u64> {
        (0..batch.live)
            .filter(|lane| nominees.unbounded_shr(*lane) & 1 == 1)
            .map(|lane| batch.start.wrapping_add(u64::from(lane)))
            .find(|&nonce| self.function.seal(self.digest, nonce) <= *self.target)
    }
}

impl Segment {
    /// The 32 bits its nonces share.
    pub(super) const fn high(self) -> u32 {
        (self.start >> 32) as u32
    }

    /// Its batches, in order, of `lanes` nonces but for the last.
    #[inline]
    pub(super) fn batches(self, lanes: u32) -> impl Iterator<Item = Batch> {
        let Self { mut start, count: mut left } = self;
        std::iter::from_fn(move || {
            let live = left.min(u64::from(lanes));
            let batch = Batch { start, live: live as u32 };
            start = start.wrapping_add(live);
            left = left.saturating_sub(live);
            (live > 0).then_some(batch)
        })
    }
}

impl Batch {
    /// The 32 bits that change within a segment.
    #[inline]
    pub(super) const fn low(self) -> u32 {
        self.start as u32
    }
}
