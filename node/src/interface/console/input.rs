//! Lines from standard input: edited on a terminal, plain from a pipe. Reading happens on a thread of its own, which ends with
//! the process: a read from a terminal cannot be called off.

use std::io::BufRead;

use rustyline::{DefaultEditor, ExternalPrinter, error::ReadlineError};
use tokio::sync::mpsc;

use super::print_plain;

/// What was typed.
pub(super) enum Typed {
    /// A line.
    Line(String),
    /// A line longer than [`MAX_LINE`]; nothing of it is kept.
    TooLong,
    /// Ctrl-C at the prompt.
    Interrupted,
}

/// The longest line that is read, in bytes; what is longer is an error, not a command.
pub(super) const MAX_LINE: u64 = 1 << 20;
/// What a terminal shows when it waits for a command.
const PROMPT: &str = "bard> ";

/// The lines as they come.
pub(super) struct Input {
    lines: mpsc::Receiver<Typed>,
    /// Tells the reader that the answer is printed, so that the prompt comes after it.
    ready: std::sync::mpsc::SyncSender<()>,
}

/// Prints beside the line that is being typed.
pub(super) enum Printer {
    Plain,
    Terminal(Box<dyn ExternalPrinter + Send>),
}

impl Printer {
    pub(super) fn print(&mut self, text: &str) {
        match self {
            Self::Terminal(printer) if !text.is_empty() => {
                if printer.print(format!("{text}\n")).is_err() {
                    print_plain(text);
                }
            }
            Self::Terminal(_) => {}
            Self::Plain => print_plain(text),
        }
    }
}

impl Input {
    /// Starts to read. Lines are read one at a time: the next only when the answer to the last was given.
    pub(super) fn start(terminal: bool) -> (Self, Printer) {
        let (sender, lines) = mpsc::channel(1);
        let (ready, answered) = std::sync::mpsc::sync_channel(1);
        let editor = if terminal { DefaultEditor::new().ok() } else { None };
        let input = Self { lines, ready };
        if let Some(mut editor) = editor
            && let Ok(printer) = editor.create_external_printer()
        {
            std::thread::spawn(move || read_terminal(editor, &sender, &answered));
            return (input, Printer::Terminal(Box::new(printer)));
        }
        std::thread::spawn(move || read_plain(&sender, &answered));
        (input, Printer::Plain)
    }

    pub(super) async fn next(&mut self) -> Option<Typed> {
        self.lines.recv().await
    }

    /// The answer to the last line is printed.
    pub(super) fn ready(&self) {
        // A full channel means that the reader knows already.
        let _ = self.ready.try_send(());
    }
}

type Sender = mpsc::Sender<Typed>;

fn read_plain(lines: &Sender, answered: &std::sync::mpsc::Receiver<()>) {
    let mut stdin = std::io::stdin().lock();
    loop {
        let mut bytes = Vec::new();
        match std::io::Read::take(&mut stdin, MAX_LINE).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let whole = bytes.len() as u64 != MAX_LINE || bytes.ends_with(b"\n");
        let typed = if whole {
            Typed::Line(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned())
        } else if stdin.skip_until(b'\n').is_ok() {
            Typed::TooLong
        } else {
            return;
        };
        if lines.blocking_send(typed).is_err() || answered.recv().is_err() {
            return;
        }
    }
}

fn read_terminal(mut editor: DefaultEditor, lines: &Sender, answered: &std::sync::mpsc::Receiver<()>) {
    loop {
        let line = match editor.readline(PROMPT) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                let _ = lines.blocking_send(Typed::Interrupted);
                return;
            }
            Err(_) => return,
        };
        if !line.trim().is_empty() {
            // A line that cannot be remembered can still be carried out.
            let _ = editor.add_history_entry(&line);
        }
        if lines.blocking_send(Typed::Line(line)).is_err() || answered.recv().is_err() {
            return;
        }
    }
}
