//! The console: one command a line, one plain answer each. [`parse`] understands a line, [`input`] reads lines.

mod help;
mod input;
mod parse;

use std::io::{IsTerminal, Write};

use tokio::sync::mpsc;

use crate::interface::{
    ask::{Question, ask},
    client::{Client, ClientError},
    news::{self, Since},
    view::{
        json::Unlock,
        text::{self, Names},
    },
};
use input::{Input, Typed};
use parse::Line;

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

/// Reads commands from standard input, asks the node and answers on standard output until `quit` or the end of input. What
/// happens since then, or since the node was started, is told between the answers.
pub async fn run(client: Client, since: Since) -> Ended {
    let (lines, told) = mpsc::channel(NEWS);
    let news = async {
        news::run(client.clone(), since, lines).await;
        std::future::pending().await
    };
    tokio::select! {
        ended = converse(&client, told) => ended,
        never = news => never,
    }
}

async fn converse(client: &Client, mut news: mpsc::Receiver<String>) -> Ended {
    let terminal = std::io::stdin().is_terminal();
    if terminal {
        print_plain(&welcome(client).await);
    }
    let (mut input, mut printer) = Input::start(terminal);
    loop {
        tokio::select! {
            biased;
            line = input.next() => match line {
                Some(Typed::Line(line)) => match answer(client, &line).await {
                    Some(text) => {
                        printer.print(&text);
                        input.ready();
                    }
                    None => return Ended::Quit,
                },
                Some(Typed::TooLong) => {
                    printer.print(&format!("error: the line is too long: at most {} bytes are read", input::MAX_LINE));
                    input.ready();
                }
                Some(Typed::Interrupted) => return Ended::Quit,
                None => return Ended::EndOfInput,
            },
            Some(line) = news.recv() => printer.print(&line),
        }
    }
}

/// What a person sees first.
async fn welcome(client: &Client) -> String {
    let node = asked(client, Question::Node).await.unwrap_or_else(|error| error.to_string());
    let keys = client.keys().await.ok();
    let keys = keys.and_then(|keys| text::protection(&keys.protection)).map(|line| format!("\n{line}"));
    let keys = keys.unwrap_or_default();
    format!("{node}{keys}\n\nBlockBard is ready. `help` lists the commands, `quit` or Ctrl-C stops the node.")
}

/// What to print for a line; `None` for `quit`.
async fn answer(client: &Client, line: &str) -> Option<String> {
    let question = match parse::parse(line) {
        Ok(Line::Nothing) => return Some(String::new()),
        Ok(Line::Quit) => return None,
        Ok(Line::Help(topic)) => return Some(help::text(topic)),
        Ok(Line::Unlock(given)) => match passphrase(given).await {
            Ok(unlock) => Question::Unlock(unlock),
            Err(problem) => return Some(format!("error: {problem}")),
        },
        Ok(Line::Question(question)) => question,
        Err(problem) => return Some(format!("error: {problem}")),
    };
    Some(asked(client, question).await.unwrap_or_else(|error| format!("error: {error}")))
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

/// The answer to a question, as text.
pub async fn asked(client: &Client, question: Question) -> Result<String, ClientError> {
    let answer = ask(client, question).await?;
    let names = if answer.has_addresses() { Names::of(&client.keys().await?) } else { Names::default() };
    Ok(text::answer(&answer, &names))
}

/// Prints a line on standard output as a whole; a reader that went away is no reason to stop.
fn print_plain(text: &str) {
    if !text.is_empty() {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}
