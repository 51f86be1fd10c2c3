//! What an earlier run left comes back: it is read, put in order, and comes in by the ordinary door.

use std::path::Path;

use bard_chain::{mempool::Limits, units::Timestamp};

use super::{
    file::{Content, Found, PoolFile, Problem},
    places,
};
use crate::{
    clock,
    keeper::{self, Closed},
};

/// Transactions that are checked at a time: enough for their signatures to be checked together on all cores.
const CHECKED_TOGETHER: usize = 4_096;

/// Has the keeper take back what is in the file of a data directory, and what was undone since it was written. Returns the file,
/// which is as it was: what is too old leaves when the pool is looked at, for a clock that is wrong when the machine starts is
/// mostly right by then.
pub(super) async fn come_back(dir: &Path, keeper: &keeper::Handle) -> Result<PoolFile, Closed> {
    let mut file = PoolFile::new(dir, keeper.chain());
    let (reader, limits, now) = (keeper.reader().clone(), *keeper.pool().limits(), keeper.tip().timestamp);
    let max_len = keeper.spec().max_block_len();
    let work = move || {
        let Content { tip, found, problem } = file.read(max_len);
        if let Some(problem) = problem {
            tell(&file, &problem);
        }
        let (oldest, max_len) = bounds(&limits, now, &found);
        let undone = tip.map_or(Ok(Vec::new()), |tip| reader.left_the_chain(&tip, oldest, max_len));
        let mut undone = undone.unwrap_or_else(|error| {
            tracing::warn!(%error, "the blocks that were undone cannot be read; what was in them and nowhere else is lost");
            Vec::new()
        });
        let found = places::put_in_order(&mut undone, found);
        (file, undone, found)
    };
    let Ok((file, undone, found)) = tokio::task::spawn_blocking(work).await else { return Err(Closed) };
    // Before what waits: later transactions of the same senders do.
    for (all, whence) in [(undone, "blocks that were undone"), (found, "the pool of an earlier run")] {
        if !all.is_empty() {
            let (count, taken) = (all.len(), take_back(keeper, all).await?);
            tracing::info!(taken, of = count, "transactions of {whence} are back");
        }
    }
    Ok(file)
}

/// Says what is wrong with the file, and sees to it that what is damaged is not lost when it is written anew.
fn tell(file: &PoolFile, problem: &Problem) {
    let path = file.path().display().to_string();
    match problem {
        Problem::Damaged(_) => {
            let aside = file.set_aside().map_or_else(
                |error| format!("it cannot be set aside ({error}) and will be replaced"),
                |to| format!("it is set aside as {}", to.display()),
            );
            tracing::warn!("{path} {problem}: {aside}, and what comes before the damage is taken");
        }
        Problem::Unreadable(_) => {
            tracing::warn!("{path} {problem}: it stays until there is another, and what was read of it is taken");
        }
    }
}

/// How old the blocks may be whose transactions come back because they were undone, and how many bytes these may be: they come
/// before those of the file, which were acknowledged later, and must leave them room; a quarter of the pool is theirs, for much of
/// what is in the file may be confirmed by now. Their age is by the time of the tip, for the clock may be wrong when the machine
/// starts.
pub(super) fn bounds(limits: &Limits, now: Timestamp, found: &[Found]) -> (Timestamp, usize) {
    let found = found.iter().fold(0_usize, |length, (_, bytes)| length.saturating_add(bytes.len()));
    (now.saturating_sub(Timestamp::new(limits.age_ms)), limits.bytes.saturating_sub(found).max(limits.bytes / 4))
}

/// When a transaction of an earlier run came into the pool. A time that is still to come is that of a clock which was set back
/// since; but a clock that is behind the chain itself is wrong, and made none of them older.
pub(super) fn came(since: Timestamp, now: Timestamp, tip: Timestamp) -> Timestamp {
    since.min(now.max(tip))
}

/// Admits transactions of an earlier run by the ordinary door. What a block confirmed since, or what no longer applies, is
/// refused there.
async fn take_back(keeper: &keeper::Handle, found: Vec<Found>) -> Result<usize, Closed> {
    let mut taken = 0;
    let mut rest = found.into_iter();
    loop {
        let (times, bytes): (Vec<Timestamp>, Vec<Vec<u8>>) = rest.by_ref().take(CHECKED_TOGETHER).unzip();
        if bytes.is_empty() {
            return Ok(taken);
        }
        // What is checked in vain is lost from the pool, and the node starts all the same.
        let Ok(checked) = keeper.check_transactions(bytes).await else { continue };
        let (now, tip) = (clock::now(), keeper.tip().timestamp);
        let good = times.into_iter().zip(checked).filter_map(|(since, one)| Some((came(since, now, tip), one.ok()?)));
        taken += keeper.readmit(good.collect()).await?;
    }
}
