//! The numbered menu, as the program had it that BlockBard replaces: each entry is a command of the console.

use super::{
    complete::Kind,
    parse::{self, Line},
};

/// An entry.
#[derive(Debug)]
pub(super) struct Entry {
    number: &'static str,
    does: &'static str,
    /// The command that it stands for, as far as it is fixed.
    command: &'static str,
    /// What stands for its arguments in messages.
    arguments: &'static str,
    /// What a person is asked for, one word after the other.
    asks: &'static [Ask],
    /// Whether a block is mined at once, so that what was requested or released counts, as it did in the old program.
    pub(super) mines: bool,
}

/// A word that a person is asked for.
#[derive(Debug)]
struct Ask {
    prompt: &'static str,
    kind: Kind,
}

const ENTRIES: &[Entry] = &[
    entry("1", "request (single)", "request", "ITEM", &[ask("item ID to request: ", Kind::Item(Some(false)))], true),
    entry("2", "release (single)", "release", "ITEM", &[ask("item ID to release: ", Kind::Item(Some(true)))], true),
    entry("3", "list reserved items", "items reserved", "", &[], false),
    entry("4", "list available items", "items available", "", &[], false),
    entry(
        "5",
        "request (multiple)",
        "request",
        "ITEM...",
        &[ask("enter item IDs to request: ", Kind::Item(Some(false)))],
        true,
    ),
    entry(
        "6",
        "connect to peer",
        "connect",
        "HOST PORT",
        &[ask("peer host (e.g. localhost): ", Kind::Address), ask("peer port (e.g. 6001): ", Kind::Nothing)],
        false,
    ),
    entry("7", "list connected peers", "peers", "", &[], false),
    entry("8", "sync chain from network", "sync", "", &[], false),
    entry("9", "report blockchain status", "status", "", &[], false),
    entry("10", "exit", "quit", "", &[], false),
];

const fn entry(
    number: &'static str,
    does: &'static str,
    command: &'static str,
    arguments: &'static str,
    asks: &'static [Ask],
    mines: bool,
) -> Entry {
    Entry { number, does, command, arguments, asks, mines }
}

const fn ask(prompt: &'static str, kind: Kind) -> Ask {
    Ask { prompt, kind }
}

/// What `menu` prints.
pub(super) fn text() -> String {
    let line = |entry: &Entry| {
        let command = format!("{} {}", entry.command, entry.arguments);
        format!("{:>2}  {:25} {}", entry.number, entry.does, command.trim_end())
    };
    let lines: Vec<_> = ENTRIES.iter().map(line).collect();
    format!("{}\nA number runs its entry; `1 ITEM`, `5 ITEM ITEM` or `6 HOST PORT` do so at once.", lines.join("\n"))
}

/// The entry with this number.
///
/// # Errors
/// One line, where there is none.
pub(super) fn find(number: &str) -> Result<&'static Entry, String> {
    let found = ENTRIES.iter().find(|entry| entry.number == number);
    found.ok_or_else(|| format!("{} is not a number of the menu, 1 to 10: `menu` lists them", parse::shown(number)))
}

/// What is asked for before an entry of [`super::complete`] can be run.
pub(super) fn kind(number: &str) -> Option<Kind> {
    find(number).ok()?.asks.first().map(|ask| ask.kind)
}

/// An entry whose arguments are being asked for.
#[derive(Debug)]
pub(super) struct Asking {
    entry: &'static Entry,
    given: Vec<String>,
}

/// What is to be done next for an entry.
#[derive(Debug)]
pub(super) enum Step {
    /// This is to be asked for first, with this prompt.
    Ask(Asking, &'static str, Kind),
    /// It can be run: as this line.
    Run(&'static Entry, Box<Line>),
}

impl Asking {
    /// Takes what was typed for the last prompt.
    ///
    /// # Errors
    /// One line: nothing was typed, or it makes no sense.
    pub(super) fn answered(mut self, typed: &str) -> Result<Step, String> {
        let typed = typed.trim();
        if typed.is_empty() {
            return Err(format!("nothing was typed: {} is not carried out", self.entry.number));
        }
        self.given.push(typed.to_owned());
        match self.entry.asks.get(self.given.len()) {
            Some(next) => Ok(Step::Ask(self, next.prompt, next.kind)),
            None => self.entry.with(&self.given.join(" ")),
        }
    }
}

impl Entry {
    /// Begins an entry with what was typed after its number. Where a person can be asked, what is missing is asked for.
    ///
    /// # Errors
    /// One line: arguments are missing or make no sense.
    pub(super) fn begin(&'static self, given: &str, can_ask: bool) -> Result<Step, String> {
        match self.asks.first() {
            Some(first) if given.is_empty() && can_ask => {
                Ok(Step::Ask(Asking { entry: self, given: Vec::new() }, first.prompt, first.kind))
            }
            _ => self.with(given),
        }
    }

    fn with(&'static self, given: &str) -> Result<Step, String> {
        let words = given.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()).count();
        let enough = if self.arguments.ends_with("...") { words > 0 } else { words == self.asks.len() };
        if !enough {
            return Err(format!("usage: {} {}", self.number, self.arguments).trim_end().to_owned());
        }
        parse::parse(&format!("{} {given}", self.command)).map(|line| Step::Run(self, Box::new(line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::ask::Question;

    fn run(line: &str) -> Result<String, String> {
        let (number, given) = line.split_once(' ').unwrap_or((line, ""));
        match find(number)?.begin(given, false)? {
            Step::Run(_, line) => Ok(format!("{line:?}")),
            Step::Ask(..) => Err("it asks".to_owned()),
        }
    }

    #[test]
    fn numbers_with_their_arguments_are_commands() {
        for (line, part) in [
            ("1 lamp", "RequestItems { signer: None, items: [\"lamp\"] }"),
            ("2 lamp", "ReleaseItem"),
            ("3", "Reserved"),
            ("4", "Available"),
            ("5 a, b c", "items: [\"a\", \"b\", \"c\"]"),
            ("6 localhost 6001", "localhost:6001"),
            ("7", "Peers"),
            ("8", "Sync"),
            ("9", "Status"),
            ("10", "Quit"),
        ] {
            let run = run(line).expect(line);
            assert!(run.contains(part), "{line}: {run}");
        }
    }

    #[test]
    fn what_is_missing_or_too_much_is_told() {
        for (line, part) in [
            ("1", "usage: 1 ITEM"),
            ("1 a b", "usage: 1 ITEM"),
            ("2", "usage: 2 ITEM"),
            ("3 lamp", "usage: 3"),
            ("5 ,", "usage: 5 ITEM..."),
            ("6 localhost", "usage: 6 HOST PORT"),
            ("6 localhost moon", "moon is not a port"),
            ("0", "not a number of the menu"),
            ("11", "not a number of the menu"),
        ] {
            let problem = run(line).expect_err(line);
            assert!(problem.contains(part), "{line}: {problem}");
        }
    }

    #[test]
    fn a_person_is_asked_word_by_word() {
        let first = find("6").and_then(|entry| entry.begin("", true));
        let Ok(Step::Ask(asking, "peer host (e.g. localhost): ", _)) = first else { panic!("{first:?}") };
        let second = asking.answered(" localhost ");
        let Ok(Step::Ask(asking, "peer port (e.g. 6001): ", _)) = second else { panic!("{second:?}") };
        let last = asking.answered("6001");
        let Ok(Step::Run(_, line)) = last else { panic!("{last:?}") };
        let connect = Question::Connect { address: "localhost:6001".to_owned() };
        assert!(matches!(*line, Line::Question(question) if question == connect));
        let asking = Asking { entry: &ENTRIES[0], given: Vec::new() };
        assert!(asking.answered("  ").is_err_and(|problem| problem.contains("nothing was typed")));
    }
}
