//! Notices that this machine has slept: its connections are dead then, and nobody has told it.

use std::time::{Duration, Instant};

use bard_protocol::NetworkHandle;

use crate::clock;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(2);
/// By how much the wall clock has to run ahead of the clock that stands still in sleep.
const AHEAD: Duration = Duration::from_secs(10);

/// Tells the network whenever this machine has slept. A wall clock that was set forward looks the same and does no harm:
/// connections that live answer the next ping.
pub async fn watch(network: NetworkHandle) {
    let mut last = (clock::now(), Instant::now());
    loop {
        tokio::time::sleep(EVERY).await;
        let now = (clock::now(), Instant::now());
        let wall = Duration::from_millis(now.0.saturating_sub(last.0).get());
        if has_slept(wall, now.1.saturating_duration_since(last.1)) {
            tracing::info!(
                seconds = wall.as_secs(),
                "this machine has slept, or its clock was set: connections are tried anew"
            );
            network.woke().await;
        }
        last = now;
    }
}

fn has_slept(wall: Duration, awake: Duration) -> bool {
    wall.saturating_sub(awake) >= AHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_told_from_slowness() {
        let seconds = Duration::from_secs;
        assert!(!has_slept(seconds(2), seconds(2)));
        assert!(!has_slept(seconds(60), seconds(60)), "a machine under load");
        assert!(!has_slept(seconds(0), seconds(2)), "a clock that was set back");
        assert!(has_slept(seconds(12), seconds(2)));
        assert!(has_slept(seconds(8 * 3600), seconds(2)));
    }
}
