//! Questions to the person at the terminal.

use std::io::{self, BufRead, IsTerminal, Write};

/// Times that a question is asked again after an answer that is none.
const TRIES: usize = 3;

/// Whether somebody is there to answer.
pub(super) fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks until the answer can be read; an empty one means `default`.
pub(super) fn ask<T>(question: &str, default: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
    let mut last = String::new();
    for _ in 0..TRIES {
        let answer = line(&format!("{question} [{default}]: "))?;
        let answer = if answer.is_empty() { default } else { &answer };
        match read(answer) {
            Ok(value) => return Ok(value),
            Err(problem) => {
                crate::commands::output::tell(&problem);
                last = problem;
            }
        }
    }
    Err(last)
}

fn line(prompt: &str) -> Result<String, String> {
    let trouble = |error: io::Error| format!("cannot ask: {error}");
    io::stderr().write_all(prompt.as_bytes()).map_err(trouble)?;
    let mut answer = String::new();
    match io::stdin().lock().read_line(&mut answer).map_err(trouble)? {
        0 => Err("no answer".to_owned()),
        _ => Ok(answer.trim().to_owned()),
    }
}
