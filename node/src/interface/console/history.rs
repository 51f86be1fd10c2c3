//! The lines that were typed, in a file: a line each, at the end of it the last.
//!
//! A line is added by one write at the end of the file, so a crash costs at most the last line, and two consoles may add to one
//! file. Only where it has grown too long is it replaced, as a whole, by one with its last lines.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::help;
use crate::near;

/// Lines that are kept.
pub(super) const MAX_LINES: usize = 1_000;
/// Lines by which the file may be longer before it is cut.
const SLACK: usize = 100;
/// The longest line that is kept, in bytes.
const MAX_LINE: usize = 4 << 10;
/// How much of the end of a file is read, in bytes: no file that was written here is longer.
const MAX_FILE: u64 = ((MAX_LINES + SLACK) * (MAX_LINE + 1)) as u64;

/// The file of the lines that were typed. Where it cannot be used, that is told once, and lines are kept in memory alone.
#[derive(Debug)]
pub(super) struct History {
    file: Option<PathBuf>,
    /// Lines in the file, as far as this console knows.
    lines: usize,
}

/// What was found in a history.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) history: History,
    /// The lines, the oldest first, [`MAX_LINES`] at most.
    pub(super) lines: Vec<String>,
    /// Why it cannot be used, as one line.
    pub(super) problem: Option<String>,
}

impl History {
    /// One that keeps nothing.
    pub(super) const fn none() -> Self {
        Self { file: None, lines: 0 }
    }

    /// Reads the file, where there is one.
    pub(super) fn open(file: Result<PathBuf, String>) -> Opened {
        let read = file.and_then(|file| {
            let lines = read(&file).map_err(|error| problem("read", &file, &error))?;
            Ok((file, lines))
        });
        match read {
            Ok((file, lines)) => {
                let history = Self { file: Some(file), lines: lines.len() };
                Opened { history, lines, problem: None }
            }
            Err(problem) => Opened {
                history: Self::none(),
                lines: Vec::new(),
                problem: Some(format!("{problem}; lines are remembered until the console ends")),
            },
        }
    }

    /// Adds a line to the file; `Some` is why it could not be added, and none will be from then on.
    pub(super) fn add(&mut self, line: &str) -> Option<String> {
        let file = self.file.as_ref()?;
        let added = append(file, line).and_then(|()| {
            self.lines += 1;
            if self.lines > MAX_LINES + SLACK {
                self.lines = read(file)?.len();
            }
            Ok(())
        });
        let problem = problem("written", file, &added.err()?);
        self.file = None;
        Some(format!("{problem}; lines are remembered until the console ends"))
    }
}

fn problem(what: &str, file: &Path, error: &io::Error) -> String {
    format!("the history of the console cannot be {what}: {}: {error}", file.display())
}

/// Whether a line is one to remember: no blank one, none that begins with a blank, none with a secret in it, and none that a
/// file of lines cannot hold.
pub(super) fn is_kept(line: &str) -> bool {
    let begins = line.chars().next().is_some_and(|first| !first.is_whitespace());
    begins && line.len() <= MAX_LINE && !line.chars().any(char::is_control) && !has_secret(line)
}

/// Whether a line is, or may be meant to be, `wallet unlock` with a passphrase.
fn has_secret(line: &str) -> bool {
    let like = |word: &str, other: &'static str| near::nearest(word, [other]).is_some();
    let mut words = line.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(first), Some(second), Some(_)) if like(first, "wallet") || like(first, "wallets") => {
            like(second, "unlock")
        }
        (Some(first), Some(_), _) => like(first, "unlock") && help::find(first).is_none(),
        _ => false,
    }
}

/// The last lines of a file, without repetitions in a row; none where there is no file. A file that has more than those, or
/// whose end is missing, is replaced by one that has only them.
fn read(path: &Path) -> io::Result<Vec<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(about.len().saturating_sub(MAX_FILE)))?;
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<String> = text.lines().filter(|line| is_kept(line)).map(str::to_owned).collect();
    lines.dedup();
    let whole = bytes.ends_with(b"\n") || bytes.is_empty();
    let fits = lines.len() <= MAX_LINES && about.len() <= MAX_FILE && whole;
    lines.drain(..lines.len().saturating_sub(MAX_LINES));
    if !fits {
        replace(path, &lines)?;
    }
    Ok(lines)
}

/// Puts these lines in the place of a file.
fn replace(path: &Path, lines: &[String]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Only its owner can read it, from its first moment on.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    for line in lines {
        writeln!(file, "{line}")?;
    }
    file.persist(path).map(|_| ()).map_err(|error| error.error)
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
        }
    }
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: &Path) -> Opened {
        History::open(Ok(file.to_owned()))
    }

    #[test]
    fn lines_are_there_the_next_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("of/a/user/history");
        let mut first = at(&file);
        assert!(first.lines.is_empty() && first.problem.is_none());
        assert_eq!(first.history.add("status"), None);
        let mut second = at(&file);
        assert_eq!(second.lines, ["status"]);
        assert_eq!((second.history.add("peers"), first.history.add("mine")), (None, None));
        assert_eq!(at(&file).lines, ["status", "peers", "mine"], "two consoles at once");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn it_stays_bounded() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("history");
        let mut history = at(&file).history;
        for number in 0..MAX_LINES + SLACK + 5 {
            assert_eq!(history.add(&format!("block {number}")), None);
        }
        let text = fs::read_to_string(&file).expect("a file");
        assert!(text.lines().count() < MAX_LINES + SLACK, "{}", text.lines().count());
        let lines = at(&file).lines;
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!(lines.last().map(String::as_str), Some("block 1104"));
    }

    #[test]
    fn what_is_odd_in_the_file_is_left_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("history");
        let odd = b"status\nstatus\n\n  secret\n\xff\xfe\x00\nwallet unlock sesame\npeers\nhalf a li";
        fs::write(&file, odd).expect("written");
        let mut opened = at(&file);
        assert_eq!(opened.lines, ["status", "peers", "half a li"]);
        assert_eq!(opened.history.add("mine"), None);
        assert_eq!(at(&file).lines, ["status", "peers", "half a li", "mine"]);
        assert!(!fs::read_to_string(&file).expect("text").contains("sesame"));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_told_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let opened = at(dir.path());
        assert!(opened.problem.is_some_and(|problem| problem.contains("cannot be read")));
        let file = dir.path().join("history");
        let mut history = at(&file).history;
        fs::create_dir(&file).expect("a directory in its place");
        assert!(history.add("status").is_some_and(|problem| problem.contains("cannot be written")));
        assert_eq!(history.add("status"), None);
        let none = History::open(Err("there is no home directory".to_owned()));
        assert!(none.problem.is_some_and(|problem| problem.starts_with("there is no home directory")));
    }

    #[test]
    fn lines_that_are_not_remembered() {
        for line in
            ["status", "block 5", "wallet unlock", "wallet new unlocker", "wallet list", "record unlock the door"]
        {
            assert!(is_kept(line), "{line:?}");
        }
        let long = "x".repeat(MAX_LINE + 1);
        for line in [
            "",
            "  ",
            " status",
            "a\nb",
            "\u{1b}[2J",
            "wallet unlock x",
            "walet unlok x y",
            "Wallet UNLOCK x",
            "unlock x",
            &long,
        ] {
            assert!(!is_kept(line), "{line:?}");
        }
    }
}
