//! `bard top`: a live dashboard of a running node, asked by its API like everything else.

mod draw;
mod state;

use std::{io::IsTerminal, time::Duration};

use clap::Args;
use ratatui::{
    DefaultTerminal, Terminal,
    backend::TestBackend,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};
use tokio::sync::mpsc;

use self::state::{Seen, Snapshot};
use super::{
    output::print,
    remote::{NodeChoice, block_on},
};
use crate::{
    interface::{
        client::Client,
        news::{self, Since},
    },
    supervise::Signals,
};

/// How long an answer of the node may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether a key was pressed.
const KEYS: Duration = Duration::from_millis(100);
/// Keys and news that wait to be seen; one too many is dropped.
const WAITING: usize = 64;
/// Width and height of the one picture of `--once`, in characters.
const ONCE: (u16, u16) = (100, 40);

/// Watch a running node on a live dashboard.
#[derive(Args, Clone, Debug)]
pub struct TopOptions {
    #[command(flatten)]
    node: NodeChoice,
    /// How often the node is asked
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Print one picture as plain text and end
    #[arg(long)]
    once: bool,
}

/// Shows the node until `q`, Esc or Ctrl-C.
///
/// # Errors
/// One line: there is no terminal, or nobody answers at the start. A node that is lost later is waited for.
pub fn run(options: &TopOptions) -> Result<(), String> {
    if !options.once && !std::io::stdout().is_terminal() {
        return Err("top draws on a terminal, and this is none: --once prints one picture as text".to_owned());
    }
    let client = options.node.client()?;
    let first = block_on(async { Snapshot::take(&client).await.map_err(|error| error.to_string()) })?;
    let mut seen = Seen::new(client.name());
    seen.answered(first);
    if options.once {
        return print(&picture(&seen)?);
    }
    let mut terminal = ratatui::try_init().map_err(|error| format!("the terminal cannot be drawn on: {error}"))?;
    let result = block_on(watch(&mut terminal, &client, seen, Duration::from_secs(options.interval)));
    ratatui::restore();
    result
}

/// The dashboard as plain text.
fn picture(seen: &Seen) -> Result<String, String> {
    let mut terminal = Terminal::new(TestBackend::new(ONCE.0, ONCE.1)).map_err(|error| error.to_string())?;
    terminal.draw(|frame| draw::all(frame, seen)).map_err(|error| error.to_string())?;
    let lines = terminal.backend().buffer().content().chunks(usize::from(ONCE.0)).map(|row| {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        line.trim_end().to_owned()
    });
    Ok(lines.collect::<Vec<_>>().join("\n").trim_end().to_owned())
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Quit,
    /// Nothing, but the picture may have to be drawn anew: the terminal has another size.
    Other,
}

fn meaning(event: &Event) -> Key {
    match event {
        Event::Key(KeyEvent { kind: KeyEventKind::Release, .. }) => Key::Other,
        Event::Key(KeyEvent { code: KeyCode::Char('q' | 'Q') | KeyCode::Esc, .. }) => Key::Quit,
        Event::Key(KeyEvent { code: KeyCode::Char('c'), modifiers, .. })
            if modifiers.contains(KeyModifiers::CONTROL) =>
        {
            Key::Quit
        }
        _ => Key::Other,
    }
}

/// Reads keys on a thread of its own until nobody wants them any more.
fn read_keys() -> mpsc::Receiver<Key> {
    let (keys, read) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        while !keys.is_closed() {
            match event::poll(KEYS) {
                // When the queue is full, there are keys enough to see to.
                Ok(true) => drop(event::read().map(|event| keys.try_send(meaning(&event)))),
                Ok(false) => {}
                Err(_) => return,
            }
        }
    });
    read
}

async fn watch(
    terminal: &mut DefaultTerminal,
    client: &Client,
    mut seen: Seen,
    interval: Duration,
) -> Result<(), String> {
    let trouble = |error: std::io::Error| format!("the terminal cannot be drawn on: {error}");
    let mut signals = Signals::new().map_err(trouble)?;
    let mut keys = read_keys();
    let (lines, mut news) = mpsc::channel(WAITING);
    let told = news::run(client.clone(), Since::Now, lines);
    tokio::pin!(told);
    loop {
        terminal.draw(|frame| draw::all(frame, &seen)).map_err(trouble)?;
        let next = async {
            tokio::time::sleep(interval).await;
            tokio::time::timeout(PATIENCE, Snapshot::take(client)).await
        };
        tokio::pin!(next);
        loop {
            tokio::select! {
                answer = &mut next => {
                    match answer {
                        Ok(Ok(snapshot)) => seen.answered(snapshot),
                        Ok(Err(error)) => seen.lost(&error.to_string()),
                        Err(_) => seen.lost(&format!("no answer within {} s", PATIENCE.as_secs())),
                    }
                    break;
                }
                line = news.recv() => {
                    if let Some(line) = line {
                        seen.heard(line);
                    }
                }
                key = keys.recv() => match key {
                    Some(Key::Other) => {}
                    // Without keys there is nobody to watch.
                    Some(Key::Quit) | None => return Ok(()),
                },
                () = signals.stop() => return Ok(()),
                () = &mut told => {}
            }
            terminal.draw(|frame| draw::all(frame, &seen)).map_err(trouble)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_keys_end_it() {
        let key = |code, modifiers| meaning(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Key::Quit);
        assert_eq!(key(KeyCode::Esc, KeyModifiers::NONE), Key::Quit);
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Key::Quit);
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), Key::Other);
        assert_eq!(meaning(&Event::Resize(10, 10)), Key::Other);
    }
}
