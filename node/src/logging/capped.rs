//! No more lines a day than the disk can bear, whatever strangers make a node say.

use std::io::{self, Write};

use crate::clock;

/// The most bytes of lines in a day, by UTC: with the days that are kept, a quarter of a gigabyte.
const MAX_A_DAY: u64 = 32 << 20;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Takes lines until there are too many of them in a day; then says so, once, and lets the rest of that day go.
pub(super) struct Capped<W> {
    lines: W,
    written: u64,
    day: u64,
}

impl<W: Write> Capped<W> {
    pub(super) const fn new(lines: W) -> Self {
        Self { lines, written: 0, day: 0 }
    }

    fn write_on(&mut self, day: u64, line: &[u8]) -> io::Result<()> {
        if day != self.day {
            (self.day, self.written) = (day, 0);
        }
        let before = self.written;
        self.written = before.saturating_add(line.len() as u64);
        if self.written <= MAX_A_DAY {
            self.lines.write_all(line)
        } else if before <= MAX_A_DAY {
            writeln!(self.lines, "the log has {} MiB of this day: the rest of the day is left out", MAX_A_DAY >> 20)
        } else {
            Ok(())
        }
    }
}

impl<W: Write> Write for Capped<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_on(clock::now().get() / DAY_MS, line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_an_end_and_the_next_begins_anew() {
        let mut log = Capped::new(Vec::new());
        let line = vec![b'x'; 1 << 20];
        for _ in 0..100 {
            log.write_on(1, &line).expect("taken");
        }
        let length = log.lines.len();
        assert!(length > 32 << 20 && length < 33 << 20, "{length}");
        let told = String::from_utf8_lossy(&log.lines).matches("left out").count();
        assert_eq!(told, 1, "said once");
        log.write_on(2, b"another day").expect("taken");
        assert!(log.lines.ends_with(b"another day"));
    }
}
