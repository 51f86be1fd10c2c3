//! Logs: on stderr and in daily files under the data directory.

mod capped;

use std::{
    io::{self, Write},
    path::Path,
    sync::{LazyLock, PoisonError, RwLock, mpsc::SyncSender},
};

use tracing::{Level, Metadata};
use tracing_appender::{non_blocking::WorkerGuard, rolling};
use tracing_subscriber::{EnvFilter, Layer, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt};

use self::capped::Capped;
use crate::config;

/// Days of log files that are kept.
const KEPT_FILES: usize = 7;

/// What is logged less, unless the filter says otherwise. Libraries of the network say at info and warn what strangers do, as often
/// as they do it; what of it matters the node says itself.
const QUIETER: &str = "libp2p=error,yamux=off";

/// The variable by which systemd names the file that goes to its journal: device and inode.
const JOURNAL: &str = "JOURNAL_STREAM";

/// Where lines for the screen go instead of stderr, while somebody types there.
static DIVERTED: RwLock<Option<SyncSender<String>>> = RwLock::new(None);

/// Sends the lines of the log that are for the screen to whoever shows them without spoiling what is being typed, or to stderr
/// again. When `lines` is full, they are in the files alone.
pub fn divert(lines: Option<SyncSender<String>>) {
    *DIVERTED.write().unwrap_or_else(PoisonError::into_inner) = lines;
}

/// Whether stderr goes to systemd's journal. It stays what it was at the start.
static TO_JOURNAL: LazyLock<bool> = LazyLock::new(|| is_journal(std::env::var(JOURNAL).ok().as_deref()));

/// What stands before a line on stderr: for systemd's journal its level, in the terms of sd-daemon(3); else nothing.
pub fn prefix(level: Level) -> &'static str {
    if !*TO_JOURNAL {
        return "";
    }
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

/// Whether stderr is the file that systemd named.
#[cfg(unix)]
fn is_journal(named: Option<&str>) -> bool {
    let Some(named) = named else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|stderr| named == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

#[cfg(not(unix))]
const fn is_journal(_: Option<&str>) -> bool {
    false
}

/// The screen: stderr, or whoever shows lines in its place.
struct Screen {
    prefix: &'static str,
}

impl Write for Screen {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &*DIVERTED.read().unwrap_or_else(PoisonError::into_inner) {
            Some(lines) => {
                let _ = lines.try_send(String::from_utf8_lossy(line).trim_end_matches('\n').to_owned());
            }
            None if self.prefix.is_empty() => return io::stderr().write(line),
            None => io::stderr().write_all(&[self.prefix.as_bytes(), line].concat())?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Gives each line the screen with what stands before it.
struct Screens;

impl<'a> MakeWriter<'a> for Screens {
    type Writer = Screen;

    fn make_writer(&'a self) -> Screen {
        Screen { prefix: "" }
    }

    fn make_writer_for(&'a self, line: &Metadata<'_>) -> Screen {
        Screen { prefix: prefix(*line.level()) }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging. Keep the guard: dropped, it writes what is left.
///
/// On a terminal with the console, `quiet` keeps everything below a warning off the screen, where news are shown already.
///
/// # Errors
/// One line: the filter cannot be understood, or the directory not be written.
pub fn start(filter: &str, format: Format, dir: &Path, quiet: bool) -> Result<WorkerGuard, String> {
    let parse = |filter: &str| {
        let all = format!("{QUIETER},{filter}");
        EnvFilter::builder().parse(all).map_err(|error| format!("--log {filter}: {error}; try info or bard_node=debug"))
    };
    std::fs::create_dir_all(dir)
        .map_err(|error| format!("cannot create the log directory {}: {error}", dir.display()))?;
    let files = rolling::Builder::new()
        .rotation(rolling::Rotation::DAILY)
        .filename_prefix("bard")
        .filename_suffix("log")
        .max_log_files(KEPT_FILES)
        .build(dir)
        .map_err(|error| format!("cannot write logs to {}: {error}", dir.display()))?;
    // Of more than fits into a day nothing is kept, and lines that the disk cannot take in time are dropped rather than holding up the node.
    let (files, guard) = tracing_appender::non_blocking(Capped::new(files));
    let screen_filter = parse(if quiet { "warn" } else { filter })?;
    let screen = tracing_subscriber::fmt::layer().with_writer(Screens);
    let file = tracing_subscriber::fmt::layer().with_writer(files).with_ansi(false);
    let (screen, file) = match format {
        Format::Text => {
            let colour = io::IsTerminal::is_terminal(&io::stderr()) && !config::is_set("NO_COLOR");
            (screen.with_ansi(colour).with_target(false).boxed(), file.boxed())
        }
        Format::Json => (screen.json().boxed(), file.json().boxed()),
    };
    tracing_subscriber::registry()
        .with(screen.with_filter(screen_filter))
        .with(file.with_filter(parse(filter)?))
        .try_init()
        .map_err(|error| error.to_string())?;
    Ok(guard)
}
