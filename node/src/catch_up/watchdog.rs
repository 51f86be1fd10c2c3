//! Notices that a node stays behind and nothing moves. Pure.

use std::time::Duration;

use bard_chain::units::Work;
use tokio::time::Instant;

use super::Progress;

/// How long nothing may move while a peer claims more work. Every header and every block counts, and none of the deadlines
/// for an answer is as long.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// The watchdog.
#[derive(Debug)]
pub(super) struct Watchdog {
    tip: Work,
    progress: Option<Progress>,
    since: Instant,
}

impl Watchdog {
    pub(super) const fn new(now: Instant) -> Self {
        Self { tip: Work::ZERO, progress: None, since: now }
    }

    /// Looks at the work of this node's chain, how far catching up is, and whether there is something to catch up with. `true`
    /// where nothing has moved for ten minutes, and again after ten more.
    pub(super) fn look(&mut self, tip: Work, progress: Option<Progress>, is_behind: bool, now: Instant) -> bool {
        // The end of a session is no progress.
        let moved = tip != self.tip || (progress.is_some() && progress != self.progress);
        if moved || !is_behind {
            (self.tip, self.since) = (tip, now);
            self.progress = progress.or(self.progress);
            return false;
        }
        let is_stuck = now.saturating_duration_since(self.since) >= PATIENCE;
        if is_stuck {
            self.since = now;
        }
        is_stuck
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::{target::Target, units::Height};

    use super::*;

    #[test]
    fn it_barks_when_nothing_moves_for_ten_minutes() {
        let start = Instant::now();
        let at = |minutes: u64| start + Duration::from_secs(60 * minutes);
        let work = |hashes| Target::of_hashes(hashes).work();
        let progress = |accepted| Some(Progress { target: Height::new(9), accepted });
        let mut dog = Watchdog::new(start);
        assert!(!dog.look(work(4), None, true, at(0)));
        assert!(!dog.look(work(4), None, true, at(9)));
        assert!(dog.look(work(4), None, true, at(10)));
        assert!(!dog.look(work(4), None, true, at(19)), "once in ten minutes");
        assert!(dog.look(work(4), None, true, at(20)));
        assert!(!dog.look(work(8), None, true, at(30)), "the tip moved");
        assert!(!dog.look(work(8), progress(0), true, at(39)), "headers came");
        assert!(!dog.look(work(8), progress(1), true, at(48)), "a block came");
        assert!(!dog.look(work(8), None, true, at(57)), "the session ended");
        assert!(!dog.look(work(8), progress(1), true, at(57)), "and another is no further");
        assert!(dog.look(work(8), None, true, at(58)));
        assert!(!dog.look(work(8), None, false, at(80)), "nobody claims more");
        assert!(!dog.look(work(8), None, true, at(89)));
        assert!(dog.look(work(8), None, true, at(90)));
    }
}
