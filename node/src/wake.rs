//! Notices that this machine has slept: its connections are dead then, and nobody has told it.

use std::time::{Duration, Instant};

use bard_protocol::NetworkHandle;

use crate::clock;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(2);
/// By how much the wall clock has to run ahead of the one that measures time, or, where that goes on in sleep, by how much both
/// have to be late.
const AHEAD: Duration = Duration::from_secs(10);
/// Whether `Instant` goes on while the machine sleeps: on Windows it does, on Linux and macOS it stands still.
const GOES_ON: bool = cfg!(windows);

/// Tells the network whenever this machine has slept. A wall clock that was set forward looks the same and does no harm:
/// connections that live answer the next ping.
pub async fn watch(network: NetworkHandle) {
    let mut last = (clock::now(), Instant::now());
    loop {
        tokio::time::sleep(EVERY).await;
        let now = (clock::now(), Instant::now());
        let wall = Duration::from_millis(now.0.saturating_sub(last.0).get());
        if has_slept(wall, now.1.saturating_duration_since(last.1), GOES_ON) {
            tracing::info!(
                seconds = wall.as_secs(),
                "this machine has slept, or its clock was set: connections are tried anew"
            );
            network.woke().await;
        }
        last = now;
    }
}

/// Whether the machine slept, of the time that went by on the wall clock and as it was measured. Where the measure goes on in
/// sleep, a machine under heavy load looks the same, and that does no harm either.
fn has_slept(wall: Duration, measured: Duration, goes_on: bool) -> bool {
    if goes_on { wall.min(measured).saturating_sub(EVERY) >= AHEAD } else { wall.saturating_sub(measured) >= AHEAD }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_told_from_slowness_by_a_clock_that_stands_still() {
        let has_slept = |wall, measured| has_slept(Duration::from_secs(wall), Duration::from_secs(measured), false);
        assert!(!has_slept(2, 2));
        assert!(!has_slept(60, 60), "a machine under load");
        assert!(!has_slept(0, 2), "a clock that was set back");
        assert!(has_slept(12, 2));
        assert!(has_slept(8 * 3600, 2));
    }

    #[test]
    fn sleep_shows_by_a_clock_that_goes_on_as_well() {
        let has_slept = |wall, measured| has_slept(Duration::from_secs(wall), Duration::from_secs(measured), true);
        assert!(!has_slept(2, 2));
        assert!(!has_slept(8, 8));
        assert!(!has_slept(3600, 2), "a clock that was set forward");
        assert!(has_slept(12, 12));
        assert!(has_slept(8 * 3600, 8 * 3600));
    }
}
