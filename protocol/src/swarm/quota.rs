//! What one peer may ask in a while. Who asks for more is told that this node is busy; that is no fault.
//!
//! Each kind has a bucket: so many questions at once, and so many a second for as long as one likes. The numbers leave room
//! for whatever this software asks at full speed, so that only others ever meet them.

use core::time::Duration;

use super::bucket::{Bucket, Rate};
use crate::wire::sync::SyncRequest;

/// A node asks after each new tip, at most twice a second.
const STATUS: Rate = Rate::new(64, 8);
/// 2,000 headers each.
const HEADERS: Rate = Rate::new(64, 64);
/// Up to 128 blocks each; small ones come by the ten thousand a second.
const BLOCKS: Rate = Rate::new(1_024, 1_024);
/// On meeting, and then once a minute at most; the answer may have 1.7 MB.
const POOL: Rate = Rate::every(8, Duration::from_secs(5));
/// Up to 2,000 each.
const TRANSACTIONS: Rate = Rate::new(256, 128);
/// A few for each compact block.
const BLOCK_TRANSACTIONS: Rate = Rate::new(256, 128);
/// Of all answers together, a token each: 64 MiB at once and in a second, some times what signatures let a node take.
const KIB: Rate = Rate::new(64 << 10, 64 << 10);

/// What a peer has left, by what it asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Quota {
    status: Bucket,
    headers: Bucket,
    blocks: Bucket,
    pool: Bucket,
    transactions: Bucket,
    block_transactions: Bucket,
    kib: Bucket,
}

impl Quota {
    /// Whether a question may be answered now.
    pub(super) fn allows(&mut self, request: &SyncRequest, now: Duration) -> bool {
        let (bucket, rate) = match request {
            SyncRequest::Status(_) => (&mut self.status, STATUS),
            SyncRequest::Headers { .. } => (&mut self.headers, HEADERS),
            SyncRequest::Blocks { .. } => (&mut self.blocks, BLOCKS),
            SyncRequest::PoolIds => (&mut self.pool, POOL),
            SyncRequest::Transactions { .. } => (&mut self.transactions, TRANSACTIONS),
            SyncRequest::BlockTransactions { .. } => (&mut self.block_transactions, BLOCK_TRANSACTIONS),
        };
        // An answer is charged once it is known how long it is: here it is only seen that the last ones are paid.
        self.kib.is_paid(KIB, now) && bucket.take(1, rate, now)
    }

    /// Charges an answer of so many bytes.
    pub(super) fn charge(&mut self, bytes: usize, now: Duration) {
        self.kib.charge(u32::try_from(bytes >> 10).unwrap_or(u32::MAX), KIB, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    fn asked(quota: &mut Quota, request: &SyncRequest, times: usize, now: Duration) -> usize {
        (0..times).filter(|_| quota.allows(request, now)).count()
    }

    #[test]
    fn a_burst_and_then_so_many_a_second() {
        let mut quota = Quota::default();
        let pool = SyncRequest::PoolIds;
        assert_eq!(asked(&mut quota, &pool, 100, START), 8);
        assert_eq!(asked(&mut quota, &pool, 100, START + Duration::from_secs(4)), 0);
        assert_eq!(asked(&mut quota, &pool, 100, START + Duration::from_secs(10)), 2);
        assert_eq!(
            asked(&mut quota, &pool, 100, START + Duration::from_secs(1_000)),
            8,
            "no more than a burst is saved up"
        );
    }

    #[test]
    fn kinds_do_not_take_from_each_other() {
        let mut quota = Quota::default();
        assert_eq!(asked(&mut quota, &SyncRequest::PoolIds, 100, START), 8);
        let blocks = SyncRequest::Blocks { ids: Vec::new() };
        assert_eq!(asked(&mut quota, &blocks, 10_000, START), 1_024);
    }

    #[test]
    fn long_answers_count_by_their_length() {
        let mut quota = Quota::default();
        let blocks = SyncRequest::Blocks { ids: Vec::new() };
        for _ in 0..64 {
            assert!(quota.allows(&blocks, START));
            quota.charge(1 << 20, START);
        }
        assert!(quota.allows(&blocks, START), "just paid");
        quota.charge(32 << 20, START);
        assert!(!quota.allows(&blocks, START), "more than 64 MiB in no time");
        assert!(!quota.allows(&blocks, START + Duration::from_millis(400)));
        assert!(quota.allows(&blocks, START + Duration::from_millis(510)));
        quota.charge(usize::MAX, START);
        assert!(!quota.allows(&blocks, START + Duration::from_secs(3_600)), "nothing overflows");
    }
}
