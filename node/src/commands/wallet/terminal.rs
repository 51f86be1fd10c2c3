//! What is asked of a person, and how answers are printed.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use zeroize::Zeroizing;

use crate::{config, wallet::Passphrase};

/// The longest text that is read from standard input, in bytes.
const MAX_TEXT: u64 = 4 << 10;

/// Whether a person can be asked.
pub fn is_there() -> bool {
    io::stdin().is_terminal()
}

/// Prints a line on standard output; a reader that went away is no reason to fail.
pub fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints a line for a person, beside what a program reads.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Asks for a passphrase, which is not shown.
///
/// # Errors
/// One line: nobody can be asked, or nothing was typed.
pub fn ask_passphrase(prompt: &str) -> Result<Passphrase, String> {
    if !is_there() {
        let variable = config::PASSPHRASE;
        return Err(format!("the keystore needs its passphrase: give it by --passphrase-file or {variable}"));
    }
    let typed = rpassword::prompt_password(prompt).map_err(|error| format!("no passphrase: {error}"))?;
    Passphrase::new(typed)
}

/// Asks for a new passphrase, twice.
///
/// # Errors
/// One line: nobody can be asked, it is too short, or the two differ.
pub fn ask_new_passphrase() -> Result<Passphrase, String> {
    if !is_there() {
        return Err(format!("no new passphrase: give it by --new-passphrase-file or {}", config::NEW_PASSPHRASE));
    }
    let first = ask_passphrase("New passphrase: ")?;
    first.fit_to_protect()?;
    if first == ask_passphrase("Once more: ")? { Ok(first) } else { Err("the two are not the same".to_owned()) }
}

/// Asks a question that is answered by yes or no; no, unless yes was typed.
///
/// # Errors
/// One line: the answer cannot be read.
pub fn confirm(question: &str) -> Result<bool, String> {
    let _ = write!(io::stderr().lock(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().take(MAX_TEXT).read_line(&mut answer).map_err(|error| error.to_string())?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Reads a secret text from standard input: one line of a person, all of a file.
///
/// # Errors
/// One line: it cannot be read.
pub fn read_secret_text(prompt: &str) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_TEXT).unwrap_or_default()));
    let mut input = io::stdin().lock().take(MAX_TEXT);
    let read = if is_there() {
        let _ = writeln!(io::stderr().lock(), "{prompt}");
        input.read_line(&mut text)
    } else {
        input.read_to_string(&mut text)
    };
    read.map_err(|error| format!("standard input cannot be read: {error}"))?;
    Ok(text)
}
