//! What commands print.

use std::io::{self, Write};

/// Prints a line on stdout. Who closes the pipe wants no more, and that is no failure.
///
/// # Errors
/// Where stdout cannot be written otherwise.
pub(super) fn print(line: &str) -> Result<(), String> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("cannot write to stdout: {error}")),
        _ => Ok(()),
    }
}

/// Prints a line on stderr, for people: stdout is taken by what a program reads. It may be lost.
pub(super) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
