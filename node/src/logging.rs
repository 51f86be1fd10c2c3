//! Logs: on stderr and in daily files under the data directory.

use std::{
    io::{self, Write},
    path::Path,
    sync::{PoisonError, RwLock, mpsc::SyncSender},
};

use tracing_appender::{non_blocking::WorkerGuard, rolling};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

/// Days of log files that are kept.
const KEPT_FILES: usize = 7;

/// What is logged less, unless the filter says otherwise.
const QUIETER: &str = "libp2p_autonat=error,libp2p_gossipsub=error,libp2p_kad=error";

/// Where lines for the screen go instead of stderr, while somebody types there.
static DIVERTED: RwLock<Option<SyncSender<String>>> = RwLock::new(None);

/// Sends the lines of the log that are for the screen to whoever shows them without spoiling what is being typed, or to stderr
/// again. When `lines` is full, they are in the files alone.
pub fn divert(lines: Option<SyncSender<String>>) {
    *DIVERTED.write().unwrap_or_else(PoisonError::into_inner) = lines;
}

/// The screen: stderr, or whoever shows lines in its place.
struct Screen;

impl Write for Screen {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match &*DIVERTED.read().unwrap_or_else(PoisonError::into_inner) {
            Some(lines) => {
                let _ = lines.try_send(String::from_utf8_lossy(line).trim_end_matches('\n').to_owned());
                Ok(line.len())
            }
            None => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
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
        // gossipsub warns of every message that is published again within its memory, which is as it should be; Kademlia of
        // every time that it knows nobody yet.
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
    // Lines that the disk cannot take in time are dropped rather than holding up the node.
    let (files, guard) = tracing_appender::non_blocking(files);
    let screen_filter = parse(if quiet { "warn" } else { filter })?;
    let screen = tracing_subscriber::fmt::layer().with_writer(|| Screen);
    let file = tracing_subscriber::fmt::layer().with_writer(files).with_ansi(false);
    let (screen, file) = match format {
        Format::Text => {
            let colour = io::IsTerminal::is_terminal(&io::stderr()) && std::env::var_os("NO_COLOR").is_none();
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
