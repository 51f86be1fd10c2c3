//! The console on a terminal: an editor with history, completion, hints and colours. News are shown above the line that is being
//! typed.
//!
//! Two threads: one edits lines and prints the answers, the other prints news. The editor shows news of others only while it
//! waits for a key, and lets them wait otherwise; that must never hold up the conversation, nor the node.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use rustyline::{
    ColorMode, CompletionType, Config, Editor as LineEditor, ExternalPrinter,
    error::ReadlineError,
    history::{History as _, MemHistory},
};

use super::{
    assistant::Assistant,
    history::{self, History, Opened},
    input::{Reply, Talk, Typed},
    print_plain,
    words::Words,
};
use crate::logging;

/// What is shown where a command is expected.
const PROMPT: &str = "bard> ";

/// How long a terminal may take for the last few bytes.
const STALLED: Duration = Duration::from_millis(200);

const DIM: &str = "\u{1b}[2m";
const RED: &str = "\u{1b}[31m";
const RESET: &str = "\u{1b}[0m";

type Lines = LineEditor<Assistant, MemHistory>;

/// Whether a line is being edited. Whoever prints past the editor holds the lock meanwhile, so that no prompt comes between.
#[derive(Debug, Default)]
pub(super) struct Editing(Mutex<bool>);

impl Editing {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line is being edited from now on, or no longer.
    pub(super) fn set(&self, editing: bool) {
        *self.lock() = editing;
    }
}

/// What the conversation has of the terminal. The terminal is as it was found when this is dropped.
pub(super) struct Screen {
    editing: Arc<Editing>,
    #[cfg(unix)]
    found: Option<rustix::termios::Termios>,
}

impl Drop for Screen {
    fn drop(&mut self) {
        logging::divert(None);
        #[cfg(unix)]
        if let Some(found) = self.found.as_ref().filter(|_| is_in_foreground()) {
            // A terminal that went away needs nothing any more.
            let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, found);
        }
        // Where the lock is taken, something is being printed past the editor, so it is not editing.
        if self.editing.0.try_lock().is_ok_and(|editing| *editing) {
            leave_the_line();
        }
    }
}

/// Turns bracketed paste off in place of the editor, which waits for a key and will never leave its line. A terminal that takes
/// nothing is not waited for: the node must stop all the same.
fn leave_the_line() {
    let (done, written) = sync_channel(1);
    std::thread::spawn(move || {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(b"\x1b[?2004l\n").and_then(|()| out.flush());
        let _ = done.send(());
    });
    let _ = written.recv_timeout(STALLED);
}

/// An editor on the terminal of this process, not started yet.
pub(super) struct Editor {
    lines: Lines,
    printer: Box<dyn ExternalPrinter + Send>,
    editing: Arc<Editing>,
    colours: bool,
}

/// An editor, where the terminal can do what it needs.
pub(super) fn editor(words: &Arc<Words>) -> Option<Editor> {
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let config = Config::builder()
        .max_history_size(history::MAX_LINES)
        .ok()?
        .history_ignore_dups(true)
        .ok()?
        .completion_type(CompletionType::List)
        .color_mode(if colours { ColorMode::Enabled } else { ColorMode::Disabled })
        .build();
    let remembered = MemHistory::with_config(&config);
    let mut lines = Lines::with_history(config, remembered).ok()?;
    let printer = Box::new(lines.create_external_printer().ok()?);
    let editing = Arc::new(Editing::default());
    lines.set_helper(Some(Assistant::new(Arc::clone(words), Arc::clone(&editing), colours)));
    Some(Editor { lines, printer, editing, colours })
}

impl Editor {
    /// Starts to edit lines, and to show what is told by way of `news`.
    pub(super) fn start(
        self,
        talk: Talk,
        (news, told): (SyncSender<String>, Receiver<String>),
        history: Result<PathBuf, String>,
    ) -> Screen {
        let Self { lines, printer, editing, colours } = self;
        let screen = Screen {
            editing: Arc::clone(&editing),
            #[cfg(unix)]
            found: rustix::termios::tcgetattr(std::io::stdin()).ok(),
        };
        if std::io::stderr().is_terminal() {
            logging::divert(Some(news));
        }
        let beside = Arc::clone(&editing);
        std::thread::spawn(move || show_news(&told, &beside, printer, colours));
        let mut session = Session { lines, editing, colours, history: History::none() };
        std::thread::spawn(move || {
            session.remember(history);
            session.run(&talk);
        });
        screen
    }
}

fn show_news(news: &Receiver<String>, editing: &Editing, mut printer: Box<dyn ExternalPrinter + Send>, colours: bool) {
    while let Ok(line) = news.recv() {
        let line = if colours { format!("{DIM}{line}{RESET}") } else { line };
        let past_the_editor = editing.lock();
        if *past_the_editor {
            // The editor takes it when it waits for a key, until when this thread waits.
            drop(past_the_editor);
            if printer.print(format!("{line}\n")).is_err() {
                return;
            }
        } else {
            print_plain(&line);
        }
    }
}

/// Whether the terminal listens to this process: one in the background that reads from it, or changes it, is stopped by the
/// system.
#[cfg(unix)]
pub(super) fn is_in_foreground() -> bool {
    let ours = rustix::process::getpgrp();
    // A terminal that is not the controlling one asks nobody.
    rustix::termios::tcgetpgrp(std::io::stdin()).map_or(true, |group| group == ours)
}

#[cfg(not(unix))]
pub(super) const fn is_in_foreground() -> bool {
    true
}

/// A line that was typed while an answer was awaited. The terminal still hands lines on one by one then; the editor would take
/// all of them at once and lose those after the first.
#[cfg(unix)]
fn typed_ahead() -> Option<String> {
    let stdin = std::io::stdin();
    if rustix::io::ioctl_fionread(&stdin).unwrap_or(0) == 0 {
        return None;
    }
    let mut line = String::new();
    stdin.read_line(&mut line).ok()?;
    Some(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(not(unix))]
const fn typed_ahead() -> Option<String> {
    None
}

/// What the editing thread has.
struct Session {
    lines: Lines,
    editing: Arc<Editing>,
    colours: bool,
    history: History,
}

impl Session {
    fn remember(&mut self, file: Result<PathBuf, String>) {
        let Opened { history, lines, problem } = History::open(file);
        self.history = history;
        for line in lines {
            // In memory it cannot fail.
            let _ = self.lines.history_mut().add_owned(line);
        }
        self.warn(problem);
    }

    fn warn(&self, problem: Option<String>) {
        if let Some(problem) = problem {
            self.print(&format!("warning: {problem}"));
        }
    }

    fn print(&self, text: &str) {
        let _no_news_between = self.editing.lock();
        if self.colours && text.starts_with("error: ") {
            print_plain(&format!("{RED}{text}{RESET}"));
        } else {
            print_plain(text);
        }
    }

    fn run(&mut self, talk: &Talk) {
        let mut reply = Reply::default();
        loop {
            let typed = match self.read(&reply) {
                Ok(typed) => typed,
                Err(ReadlineError::Interrupted) if reply.ask.is_none() => vec![Typed::Interrupted],
                Err(ReadlineError::Interrupted | ReadlineError::Eof) if reply.ask.is_some() => vec![Typed::Dropped],
                // The end of the input, or a terminal that went away.
                Err(_) => return,
            };
            // What is pasted may be several lines.
            for typed in typed {
                let Some(next) = talk.say(typed) else { return };
                self.print(&next.text);
                reply = next;
            }
        }
    }

    /// Reads what is asked for.
    fn read(&mut self, reply: &Reply) -> Result<Vec<Typed>, ReadlineError> {
        let (prompt, kind) = reply.ask.map_or((PROMPT, None), |(prompt, kind)| (prompt, Some(kind)));
        if let Some(assistant) = self.lines.helper_mut() {
            assistant.asked = kind;
        }
        let read = match typed_ahead() {
            Some(line) => {
                self.print(&format!("{prompt}{line}"));
                line
            }
            None => {
                let read = self.lines.readline(prompt);
                self.editing.set(false);
                read?
            }
        };
        let lines: Vec<&str> = read.split(['\n', '\r']).collect();
        if kind.is_none() {
            for line in &lines {
                self.keep(line);
            }
        }
        Ok(lines.into_iter().map(|line| Typed::Line(line.to_owned())).collect())
    }

    fn keep(&mut self, line: &str) {
        // One that is the same as the last is not added.
        if history::is_kept(line) && self.lines.history_mut().add(line).unwrap_or(false) {
            let problem = self.history.add(line);
            self.warn(problem);
        }
    }
}
