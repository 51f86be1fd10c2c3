//! Progress of long work: a bar on a terminal, nothing on a pipe.

use indicatif::{ProgressBar, ProgressStyle};

/// How a bar looks.
const LOOK: &str = "{msg:9} {bar:40} {human_pos}/{human_len} blocks  {eta}";

/// A bar that is drawn on stderr where that is a terminal.
pub(super) fn blocks(what: &'static str, count: u64) -> ProgressBar {
    let bar = ProgressBar::new(count).with_message(what);
    match ProgressStyle::with_template(LOOK) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
