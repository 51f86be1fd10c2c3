//! What the system knows of the disk that the node writes to. Where it does not tell, nothing is told.

use std::path::{Path, PathBuf};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, registry::Unit};

use super::Sheet;

/// Asks whenever somebody asks.
#[derive(Debug)]
pub(super) struct Disk {
    dir: PathBuf,
}

impl Disk {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }
}

impl Collector for Disk {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let mut sheet = Sheet::new(encoder);
        let Some(bytes) = free_bytes(&self.dir) else { return Ok(()) };
        sheet.gauge("store_disk_free", "What is left for this user on the disk of the data", Some(&Unit::Bytes), bytes)
    }
}

/// What this user may still write there, in bytes; `None` where the system does not tell.
fn free_bytes(dir: &Path) -> Option<f64> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(dir).ok()?;
        #[allow(clippy::cast_precision_loss, reason = "metrics are doubles")]
        return Some(disk.f_bavail.saturating_mul(disk.f_frsize) as f64);
    }
    #[cfg(not(unix))]
    {
        let _ = dir;
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_known() {
        assert!(free_bytes(Path::new("/")).is_some_and(|bytes| bytes >= 0.0));
        assert_eq!(free_bytes(Path::new("/nonexistent")), None);
    }
}
