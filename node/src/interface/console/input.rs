//! Lines from standard input: edited on a terminal ([`super::terminal`]), plain from a pipe. Reading happens on a thread of its
//! own, which ends with the process: a read from a terminal cannot be called off.

use std::{
    io::{BufRead, IsTerminal},
    path::PathBuf,
    sync::{Arc, mpsc as threads},
};

use tokio::sync::mpsc;

use super::{complete::Kind, print_plain, terminal, words::Words};

/// What was typed.
pub(super) enum Typed {
    /// A line.
    Line(String),
    /// A line longer than [`MAX_LINE`]; nothing of it is kept.
    TooLong,
    /// Ctrl-C at the prompt.
    Interrupted,
    /// Ctrl-C or Ctrl-D where something else than a command was asked for.
    Dropped,
}

/// The longest line that is read, in bytes; what is longer is an error, not a command.
pub(super) const MAX_LINE: u64 = 1 << 20;

/// News that wait to be printed.
const NEWS: usize = 256;

/// What a line is answered with, so that the next is read.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// Printed first, if it is anything.
    pub(super) text: String,
    /// What is asked for next: a command, or something else with a prompt of its own.
    pub(super) ask: Option<(&'static str, Kind)>,
}

/// The lines as they come.
pub(super) struct Input {
    lines: mpsc::Receiver<Typed>,
    replies: threads::SyncSender<Reply>,
    news: threads::SyncSender<String>,
    terminal: Option<terminal::Screen>,
}

/// Prints news beside the line that is being typed, by a thread of its own: whoever reads them may be slow, and is never
/// waited for.
#[derive(Clone, Debug)]
pub(super) struct Beside(threads::SyncSender<String>);

impl Beside {
    pub(super) fn print(&self, line: &str) {
        // Full where they are read too slowly, or while the editor shows something else, such as a long list: then news are
        // dropped.
        let _ = self.0.try_send(line.to_owned());
    }
}

/// The ends of the conversation that the reading thread has: a line goes out, and the next is read when the reply came in.
pub(super) struct Talk {
    lines: mpsc::Sender<Typed>,
    replies: threads::Receiver<Reply>,
}

impl Talk {
    /// Hands on what was typed and waits for the reply; `None` where nobody listens any more.
    pub(super) fn say(&self, typed: Typed) -> Option<Reply> {
        self.lines.blocking_send(typed).ok()?;
        self.replies.recv().ok()
    }
}

impl Input {
    /// Starts to read. Lines are read one at a time: the next only when the last was answered. `history` is where lines that
    /// are typed on a terminal are remembered.
    pub(super) fn start(words: &Arc<Words>, history: Result<PathBuf, String>) -> Self {
        // One line waits to be answered and one reply to be printed; the other side waits meanwhile.
        let (sender, lines) = mpsc::channel(1);
        let (replies, replied) = threads::sync_channel(1);
        let talk = Talk { lines: sender, replies: replied };
        let (news, told) = threads::sync_channel(NEWS);
        let editor = if std::io::stdin().is_terminal() { terminal::editor(words) } else { None };
        let terminal = match editor {
            Some(editor) => Some(editor.start(talk, (news.clone(), told), history)),
            None => {
                std::thread::spawn(move || read_plain(&talk));
                std::thread::spawn(move || told.iter().for_each(|line| print_plain(&line)));
                None
            }
        };
        Self { lines, replies, news, terminal }
    }

    pub(super) async fn next(&mut self) -> Option<Typed> {
        self.lines.recv().await
    }

    /// Answers the last line.
    pub(super) fn reply(&self, reply: Reply) {
        // There is one reply for each line, so there is room for it; a reader that ended needs none.
        let _ = self.replies.try_send(reply);
    }

    /// Where news go.
    pub(super) fn beside(&self) -> Beside {
        Beside(self.news.clone())
    }

    /// Whether there is a person whom something can be asked.
    pub(super) const fn can_ask(&self) -> bool {
        self.terminal.is_some()
    }
}

fn read_plain(talk: &Talk) {
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
        let Some(reply) = talk.say(typed) else { return };
        print_plain(&reply.text);
    }
}
