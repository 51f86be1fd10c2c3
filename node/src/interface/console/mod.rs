//! The console: one command a line, one plain answer each. [`parse`] understands a line and [`menu`] a number, [`input`] reads
//! lines, on a terminal by the editor of [`terminal`], which [`complete`] and [`words`] help and [`history`] remembers.

mod assistant;
mod complete;
mod help;
mod history;
mod input;
mod menu;
mod parse;
mod terminal;
mod words;

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc;

use crate::interface::{
    ask::{Answer, Question, ask},
    client::{Client, ClientError},
    news::{self, Since},
    receipt_file,
    view::{
        json::Unlock,
        text::{self, Names},
    },
};
use input::{Input, Reply, Typed};
use menu::{Asking, Step};
use parse::Line;
use words::Words;

/// How the console ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By `quit`, or by Ctrl-C at the prompt.
    Quit,
    /// By the end of its input; the node goes on.
    EndOfInput,
}

/// News that wait to be printed; those beyond it are dropped.
const NEWS: usize = 256;
/// How long a number of the menu waits for the block that it has mined.
const MENU_BLOCK: Duration = Duration::from_secs(10);

/// Where lines that were typed are remembered, in the directory of a user.
pub fn history_file(user_dir: &Path) -> PathBuf {
    user_dir.join("console_history")
}

/// Reads commands from standard input, asks the node and answers on standard output until `quit` or the end of input. What
/// happens since then, or since the node was started, is told between the answers. On a terminal lines are remembered in the
/// file `history`, or why there is none is said.
pub async fn run(client: Client, since: Since, history: Result<PathBuf, String>) -> Ended {
    let (lines, told) = mpsc::channel(NEWS);
    let news = async {
        news::run(client.clone(), since, lines).await;
        std::future::pending().await
    };
    let words = Arc::new(Words::default());
    let known =
        async { if std::io::stdin().is_terminal() { words.keep(&client).await } else { std::future::pending().await } };
    tokio::select! {
        ended = start(&client, since, told, &words, history) => ended,
        never = news => never,
        never = known => match never {},
    }
}

async fn start(
    client: &Client,
    since: Since,
    news: mpsc::Receiver<String>,
    words: &Arc<Words>,
    history: Result<PathBuf, String>,
) -> Ended {
    if std::io::stdin().is_terminal() {
        if !terminal::is_in_foreground() {
            print_plain("In the background there is no console: `bard console` attaches one.");
            return Ended::EndOfInput;
        }
        print_plain(&welcome(client, since).await);
    }
    let mut console = Console { client, input: Input::start(words, history), asking: None };
    let ended = console.converse(news, words).await;
    if ended == Ended::EndOfInput && console.input.can_ask() && since == Since::Start {
        console.input.beside().print("The console has ended; the node goes on. Ctrl-C stops it.");
    }
    ended
}

/// A conversation.
struct Console<'a> {
    client: &'a Client,
    input: Input,
    /// The entry of the menu whose arguments are being asked for.
    asking: Option<Asking>,
}

impl Console<'_> {
    async fn converse(&mut self, mut news: mpsc::Receiver<String>, words: &Words) -> Ended {
        let beside = self.input.beside();
        loop {
            tokio::select! {
                biased;
                typed = self.input.next() => {
                    let reply = match typed {
                        Some(Typed::Line(line)) => match self.answer_beside(&line, &mut news).await {
                            Some(reply) => reply,
                            None => return Ended::Quit,
                        },
                        Some(Typed::TooLong) => {
                            said(format!("error: the line is too long: at most {} bytes are read", input::MAX_LINE))
                        }
                        Some(Typed::Dropped) => {
                            self.asking = None;
                            Reply::default()
                        }
                        Some(Typed::Interrupted) => return Ended::Quit,
                        None => return Ended::EndOfInput,
                    };
                    self.input.reply(reply);
                    words.outdated();
                }
                Some(line) = news.recv() => {
                    beside.print(&line);
                    words.outdated();
                }
            }
        }
    }

    /// [`Self::answer`]; a person is told the news meanwhile, a program is told nothing before the answer.
    async fn answer_beside(&mut self, line: &str, news: &mut mpsc::Receiver<String>) -> Option<Reply> {
        let (person, beside) = (self.input.can_ask(), self.input.beside());
        let mut answer = std::pin::pin!(self.answer(line));
        loop {
            tokio::select! {
                biased;
                reply = &mut answer => return reply,
                Some(line) = news.recv(), if person => beside.print(&line),
            }
        }
    }

    /// What to say to a line; `None` for `quit`.
    async fn answer(&mut self, line: &str) -> Option<Reply> {
        let parsed = match self.asking.take() {
            Some(asking) => asking.answered(line),
            None => match parse::parse(line) {
                Ok(Line::Number(entry, given)) => entry.begin(&given, self.input.can_ask()),
                Ok(line) => return self.carry_out(line).await.map(said),
                Err(problem) => Err(problem),
            },
        };
        match parsed {
            Ok(Step::Ask(asking, prompt, kind)) => {
                self.asking = Some(asking);
                Some(Reply { text: String::new(), ask: Some((prompt, kind)) })
            }
            Ok(Step::Run(entry, line)) => {
                let text = self.carry_out(*line).await?;
                let failed = text.starts_with("error: ");
                let mined =
                    if entry.mines && !failed { format!("\n{}", mined(self.client).await) } else { String::new() };
                Some(said(format!("{text}{mined}")))
            }
            Err(problem) => Some(said(format!("error: {problem}"))),
        }
    }

    /// What to print for a line; `None` for `quit`.
    async fn carry_out(&self, line: Line) -> Option<String> {
        let question = match line {
            Line::Quit => return None,
            Line::Nothing | Line::Number(..) => return Some(String::new()),
            Line::Help(topic) => return Some(help::text(topic)),
            Line::Menu => return Some(menu::text()),
            Line::Unlock(given) => match passphrase(given).await {
                Ok(unlock) => Question::Unlock(unlock),
                Err(problem) => return Some(format!("error: {problem}")),
            },
            Line::Receipt { id, file } => {
                return Some(receipt(self.client, &id, file).await.unwrap_or_else(|error| format!("error: {error}")));
            }
            Line::Question(question) => question,
        };
        Some(asked(self.client, question).await.unwrap_or_else(|error| format!("error: {error}")))
    }
}

const fn said(text: String) -> Reply {
    Reply { text, ask: None }
}

/// What a person sees first.
async fn welcome(client: &Client, since: Since) -> String {
    let node = asked(client, Question::Node).await.unwrap_or_else(|error| error.to_string());
    let keys = client.keys().await.ok();
    let keys = keys.and_then(|keys| text::protection(&keys.protection)).map(|line| format!("\n{line}"));
    let keys = keys.unwrap_or_default();
    let ends = match since {
        Since::Start => "`quit` or Ctrl-C stops the node",
        Since::Now => "`quit` or Ctrl-C ends this console; the node goes on",
    };
    format!(
        "{node}{keys}\n\nBlockBard is ready. `help` lists the commands, `menu` the old numbers, Tab completes; {ends}."
    )
}

/// Has a block mined for an entry of the menu, unless the node mines anyway, and says what came of it.
async fn mined(client: &Client) -> String {
    match client.status().await {
        Ok(status) if status.mining.enabled => return "the next block has it: this node mines".to_owned(),
        Ok(_) => {}
        Err(error) => return format!("error: {error}"),
    }
    match tokio::time::timeout(MENU_BLOCK, asked(client, Question::Mine { blocks: 1, data: None })).await {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => format!("error: {error}"),
        Err(_) => format!("no block was found within {} s; the next one has it", MENU_BLOCK.as_secs()),
    }
}

/// The passphrase: asked for on a terminal, where it is not shown, and part of the line on a pipe.
async fn passphrase(given: Option<Unlock>) -> Result<Unlock, String> {
    match (given, std::io::stdin().is_terminal()) {
        (Some(unlock), false) => Ok(unlock),
        (None, false) => Err("usage: wallet unlock PASSPHRASE, where nobody can be asked".to_owned()),
        (Some(_), true) => Err("type `wallet unlock` alone: it asks, and does not show the passphrase".to_owned()),
        (None, true) => {
            let asked = tokio::task::spawn_blocking(|| rpassword::prompt_password("Passphrase: ")).await;
            let typed = asked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
            Unlock::new(typed)
        }
    }
}

/// Writes the receipt of a transaction on the machine of whoever typed, and says what it shows and where it is.
async fn receipt(client: &Client, id: &str, file: Option<PathBuf>) -> Result<String, String> {
    let fetched = receipt_file::fetch(client, id, false, None).await?;
    let (path, told) = (file.unwrap_or_else(|| receipt_file::default_name(id)), fetched.summary());
    let written = format!("{told}\nwritten to {}", path.display());
    // Where waiting for the disk disturbs nobody.
    let work = tokio::task::spawn_blocking(move || receipt_file::write_new(&path, &fetched.bytes));
    work.await.map_err(|error| error.to_string())?.map(|()| written)
}

/// The answer to a question, as text.
async fn asked(client: &Client, question: Question) -> Result<String, ClientError> {
    text_of(client, &ask(client, question).await?).await
}

/// An answer as text, with the names that the node has for addresses.
///
/// # Errors
/// One line: why the node does not tell the names.
pub async fn text_of(client: &Client, answer: &Answer) -> Result<String, ClientError> {
    let names = if answer.has_addresses() { Names::of(&client.keys().await?) } else { Names::default() };
    Ok(text::answer(answer, &names))
}

/// Prints a line on standard output as a whole; a reader that went away is no reason to stop.
fn print_plain(text: &str) {
    if !text.is_empty() {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}
