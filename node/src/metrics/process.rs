//! What the system knows of this process. Where it does not tell (anywhere but on Linux), nothing is told.

use std::fs;

use bard_chain::units::Timestamp;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, registry::Unit};

use super::Sheet;

/// Ticks of the clock in which Linux tells processor time: `USER_HZ`, the same on every machine that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// What the file `status` means by kB.
const KILOBYTE: f64 = 1024.0;

/// Reads `/proc/self` whenever somebody asks.
#[derive(Debug)]
pub(super) struct Process {
    started: Timestamp,
}

impl Process {
    pub(super) fn new(started: Timestamp) -> Self {
        Self { started }
    }
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut sheet = Sheet::new(encoder);
        #[allow(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact in a double")]
        let started = self.started.get() as f64 / 1000.0;
        sheet.gauge(
            "process_start_time",
            "When the process started, in seconds since 1970",
            Some(&Unit::Seconds),
            started,
        )?;
        if let Some(bytes) = resident_bytes() {
            sheet.gauge("process_resident_memory", "Memory in use", Some(&Unit::Bytes), bytes)?;
        }
        if let Some(count) = open_files() {
            sheet.gauge("process_open_fds", "Open files and sockets", None, count)?;
        }
        if let Some(seconds) = processor_seconds() {
            sheet.counter("process_cpu", "Processor time used", Some(&Unit::Seconds), seconds)?;
        }
        Ok(())
    }
}

/// Memory of this process in use, in bytes; `None` where the system does not tell.
pub fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kilobytes| kilobytes * KILOBYTE)
}

fn open_files() -> Option<f64> {
    // As many entries as there are connections, which is bounded.
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    u32::try_from(count).ok().map(f64::from)
}

fn processor_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the process, in parentheses, may hold anything; after it the fields are numbers.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Some((times.next()?.ok()? + times.next()?.ok()?) / TICKS_PER_SECOND)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_known() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1e5), "{:?}", resident_bytes());
        assert!(open_files().is_some_and(|count| count >= 3.0));
        assert!(processor_seconds().is_some_and(|seconds| (0.0..1e6).contains(&seconds)));
    }
}
