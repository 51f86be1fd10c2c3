//! One log line when something that is tried again and again begins to fail or to work, and none in between.

use std::{
    fmt,
    time::{Duration, Instant},
};

/// Changes that are told at once. What changes more often is up to no good, and is told every [`PAUSE`] at most.
const AT_ONCE: u32 = 10;
/// See [`AT_ONCE`].
const PAUSE: Duration = Duration::from_secs(600);

/// Whether something worked when it was tried last.
#[derive(Debug)]
pub(super) struct Health {
    what: String,
    works: Option<bool>,
    told: u32,
    told_at: Option<Instant>,
}

impl Health {
    /// Of something that was not tried yet, such as `the tracker http://10.0.0.1:5500`.
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), works: None, told: 0, told_at: None }
    }

    /// Notes that it works. Returns whether a line was said.
    pub(super) fn worked(&mut self) -> bool {
        let news = self.is_news(true);
        if news {
            tracing::info!("{} answers", self.what);
        }
        news
    }

    /// Notes that it failed; `reason` is a sentence that names it. Returns whether a line was said.
    pub(super) fn failed(&mut self, reason: impl fmt::Display) -> bool {
        let news = self.is_news(false);
        if news {
            tracing::warn!("{reason}; it is tried again and again");
        }
        news
    }

    fn is_news(&mut self, works: bool) -> bool {
        if self.works.replace(works) == Some(works) {
            return false;
        }
        let news = self.told < AT_ONCE || self.told_at.is_none_or(|at| at.elapsed() >= PAUSE);
        if news {
            self.told = self.told.saturating_add(1);
            self.told_at = Some(Instant::now());
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_news() {
        let mut health = Health::new("it");
        let news = [health.failed("a"), health.failed("b"), health.worked(), health.worked(), health.failed("a")];
        assert_eq!(news, [true, false, true, false, true]);
    }

    #[test]
    fn what_changes_all_the_time_does_not_fill_the_log() {
        let mut health = Health::new("it");
        let told = (0..1_000).filter(|round| if round % 2 == 0 { health.worked() } else { health.failed("a") }).count();
        assert_eq!(told, AT_ONCE as usize);
    }
}
