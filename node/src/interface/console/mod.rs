//! The console: one command a line, one plain answer each. [`parse`] understands a line, [`input`] reads lines.

mod help;
mod input;
mod parse;

use std::io::{IsTerminal, Write};

use tokio::sync::mpsc;

use crate::{
    application::{Command, Failure, Service},
    interface::{news, view::text},
};
use input::{Input, Typed};
use parse::Line;

/// Answers and news that wait to be printed. News beyond it are dropped, answers wait.
const OUTPUT: usize = 256;

/// How the console ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By `quit`, or by Ctrl-C at the prompt.
    Quit,
    /// By the end of its input; the node goes on.
    EndOfInput,
}

/// Reads commands from standard input and answers on standard output until `quit` or the end of input.
pub async fn run(service: Service) -> Ended {
    let terminal = std::io::stdin().is_terminal();
    if terminal {
        print_plain(&welcome(&service).await);
    }
    let (mut input, mut printer) = Input::start(terminal);
    let (news_sender, mut news_lines) = mpsc::channel(OUTPUT);
    let news = tokio::spawn(news::run(service.clone(), news_sender));
    let ended = loop {
        tokio::select! {
            biased;
            line = input.next() => match line {
                Some(Typed::Line(line)) => match answer(&service, &line).await {
                    Some(text) => {
                        printer.print(&text);
                        input.ready();
                    }
                    None => break Ended::Quit,
                },
                Some(Typed::TooLong) => {
                    printer.print(&format!("error: the line is too long: at most {} bytes are read", input::MAX_LINE));
                    input.ready();
                }
                Some(Typed::Interrupted) => break Ended::Quit,
                None => break Ended::EndOfInput,
            },
            Some(line) = news_lines.recv() => printer.print(&line),
        }
    };
    news.abort();
    ended
}

/// What a person sees first.
async fn welcome(service: &Service) -> String {
    let node = match service.execute(Command::Node).await {
        Ok(reply) => text::reply(&reply, service.wallet()),
        Err(failure) => failure.message,
    };
    format!("{node}\n\nBlockBard is ready. `help` lists the commands, `quit` or Ctrl-C stops the node.")
}

/// What to print for a line; `None` for `quit`.
async fn answer(service: &Service, line: &str) -> Option<String> {
    let command = match parse::parse(line) {
        Ok(Line::Nothing) => return Some(String::new()),
        Ok(Line::Quit) => return None,
        Ok(Line::Help(topic)) => return Some(help::text(topic)),
        Ok(Line::Command(command)) => command,
        Err(problem) => return Some(format!("error: {problem}")),
    };
    match service.execute(command).await {
        Ok(reply) => Some(text::reply(&reply, service.wallet())),
        Err(Failure { message, .. }) => Some(format!("error: {message}")),
    }
}

/// Prints a line on standard output as a whole; a reader that went away is no reason to stop.
fn print_plain(text: &str) {
    if !text.is_empty() {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }
}
