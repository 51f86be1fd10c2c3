//! How long a call took, and how busy the processors were meanwhile, as an old program told it.

use std::time::{Duration, Instant};

use crate::clock;

/// A call under way.
pub(super) struct Stopwatch {
    began: Instant,
    busy_before: Option<Duration>,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self { began: Instant::now(), busy_before: clock::processor_time() }
    }

    /// For the field `time_taken`.
    pub(super) fn time_taken(&self) -> String {
        format!("{:.2} seconds", self.began.elapsed().as_secs_f64())
    }

    /// For the field `cpu_utilization`: what this process used of all processors; 0 where the system does not tell.
    pub(super) fn cpu_utilization(&self) -> String {
        let busy = clock::processor_time().zip(self.busy_before).map(|(now, before)| now.saturating_sub(before));
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        #[allow(clippy::cast_precision_loss, reason = "a percentage for people")]
        let there = self.began.elapsed().as_secs_f64() * cores as f64;
        let share = if there > 0.0 { busy.unwrap_or_default().as_secs_f64() / there } else { 0.0 };
        format!("{:.2}%", share.clamp(0.0, 1.0) * 100.0)
    }
}
