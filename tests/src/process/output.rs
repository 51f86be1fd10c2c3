//! What a process prints, line by line.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Lines printed so far, read by a thread of its own. Cheap to clone.
#[derive(Clone, Default)]
pub struct Output {
    shared: Arc<(Mutex<Lines>, Condvar)>,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    ended: bool,
}

impl Output {
    /// Starts to read.
    pub fn read(from: impl Read + Send + 'static) -> Self {
        let output = Self::default();
        let writer = output.clone();
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut bytes = Vec::new();
            while from.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
                let line = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
                bytes.clear();
                writer.change(|lines| lines.lines.push(line));
            }
            writer.change(|lines| lines.ended = true);
        });
        output
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lock());
        self.shared.1.notify_all();
    }

    /// Lines printed so far.
    pub fn len(&self) -> usize {
        self.lock().lines.len()
    }

    /// Whether nothing was printed yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lines from this one on.
    pub fn from(&self, first: usize) -> Vec<String> {
        self.lock().lines.get(first..).unwrap_or_default().to_vec()
    }

    /// All lines, as a text.
    pub fn text(&self) -> String {
        self.lock().lines.join("\n")
    }

    /// Whether some line contains a text.
    pub fn contains(&self, part: &str) -> bool {
        self.lock().lines.iter().any(|line| line.contains(part))
    }

    /// Waits for the end of the process's output.
    pub(super) fn wait_for_end(&self, deadline: Duration) {
        self.wait(deadline, |lines| lines.ended.then_some(()));
    }

    /// Waits for a line that fits, and returns the lines from `first` up to it. `None` where the deadline passes or the
    /// output ends before.
    pub fn until(&self, first: usize, deadline: Duration, fits: impl Fn(&str) -> bool) -> Option<Vec<String>> {
        let mut looked_at = first;
        self.wait(deadline, move |lines| {
            let fresh = lines.lines.get(looked_at..).unwrap_or_default();
            if let Some(at) = fresh.iter().position(|line| fits(line)) {
                return Some(lines.lines.get(first..=looked_at + at).map(<[String]>::to_vec));
            }
            looked_at = lines.lines.len().max(first);
            lines.ended.then_some(None)
        })
        .flatten()
    }

    fn wait<T>(&self, deadline: Duration, mut look: impl FnMut(&Lines) -> Option<T>) -> Option<T> {
        let end = Instant::now() + deadline;
        let mut lines = self.lock();
        loop {
            if let Some(found) = look(&lines) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            lines = self.shared.1.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
