//! A line of the console, understood.

use std::path::PathBuf;

use super::{
    help::{self, Entry},
    menu,
};
use crate::{
    interface::{
        ask::{ItemState, Question, host_and_port},
        view::json::{NewBan, Unlock},
    },
    near,
};

/// Blocks that `chain` shows when it is not told which.
const BLOCKS_SHOWN: usize = 10;

/// What a line asks for.
#[derive(Debug)]
pub(super) enum Line {
    /// Nothing: it is blank.
    Nothing,
    /// The end.
    Quit,
    /// Help on one command or all.
    Help(Option<&'static Entry>),
    /// The numbered menu.
    Menu,
    /// A number of the menu, and what was typed after it.
    Number(&'static menu::Entry, String),
    /// The keys are to be opened, with this passphrase or one to be asked for.
    Unlock(Option<Unlock>),
    /// The receipt of a transaction is to be written to this file, or to one that is named after it.
    Receipt { id: String, file: Option<PathBuf> },
    /// Something to ask the node.
    Question(Question),
}

/// Understands a line.
pub(super) fn parse(line: &str) -> Result<Line, String> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    if word.is_empty() {
        return Ok(Line::Nothing);
    }
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return menu::find(word).map(|entry| Line::Number(entry, rest.to_owned()));
    }
    let entry = command(word)?;
    match entry.name {
        "quit" => none(entry, rest).map(|()| Line::Quit),
        "menu" => none(entry, rest).map(|()| Line::Menu),
        "help" if rest.is_empty() => Ok(Line::Help(None)),
        "help" => command(rest).map(|entry| Line::Help(Some(entry))),
        "receipt" => receipt(entry, rest),
        "wallet" if rest.split_whitespace().next() == Some("unlock") => unlock(rest),
        _ => question(entry, rest).map(Line::Question),
    }
}

/// The command that a word names.
fn command(word: &str) -> Result<&'static Entry, String> {
    help::find(word).ok_or_else(|| {
        let hint = help::nearest(word).map_or_else(String::new, |near| format!("did you mean {near}? "));
        format!("{} is not a command: {hint}`help` lists them", shown(word))
    })
}

fn question(entry: &'static Entry, rest: &str) -> Result<Question, String> {
    let plain = |question: Question| none(entry, rest).map(|()| question);
    match entry.name {
        "status" => plain(Question::Status),
        "node" => plain(Question::Node),
        "peers" => plain(Question::Peers),
        "bans" => plain(Question::Bans),
        "ban" => ban(entry, rest),
        "unban" => match *words(rest) {
            ["all"] => Ok(Question::LiftBans { peer: None }),
            [peer] => Ok(Question::LiftBans { peer: Some(peer.to_owned()) }),
            _ => Err(usage(entry)),
        },
        "sync" => plain(Question::Sync),
        "pool" => plain(Question::Pool),
        "wallets" => plain(Question::Wallets),
        "verify" => plain(Question::Verify),
        "connect" => connect(entry, rest),
        "mine" => mine(entry, rest),
        "chain" => chain(entry, rest),
        "block" => block(entry, rest),
        "tx" => transaction_id(entry, rest).map(|id| Question::Transaction { id }),
        "proof" => transaction_id(entry, rest).map(|id| Question::Proof { id }),
        "send" => send(entry, rest),
        "record" => record(entry, rest),
        "request" | "release" => items(entry, rest),
        "items" => match rest {
            "" => Ok(Question::Items { state: None }),
            "reserved" => Ok(Question::Items { state: Some(ItemState::Reserved) }),
            "available" => Ok(Question::Items { state: Some(ItemState::Available) }),
            other => Err(meant(entry, other, &["reserved", "available"])),
        },
        "item" => match *words(rest) {
            [item] => Ok(Question::Item { item: item.to_owned(), height: None }),
            [item, "at", height] => Ok(Question::Item { item: item.to_owned(), height: Some(at(height)?) }),
            _ => Err(usage(entry)),
        },
        "transfer" => transfer(entry, rest),
        "wallet" => match *words(rest) {
            ["list"] => Ok(Question::Wallets),
            ["lock"] => Ok(Question::Lock),
            ["new", name] => Ok(Question::NewKey { name: name.to_owned() }),
            [other, ..] => Err(meant(entry, other, &["new", "list", "lock", "unlock"])),
            [] => Err(usage(entry)),
        },
        "balance" => match *words(rest) {
            [] => Ok(Question::Balance { who: None, height: None }),
            [who] => Ok(Question::Balance { who: Some(who.to_owned()), height: None }),
            ["at", height] => Ok(Question::Balance { who: None, height: Some(at(height)?) }),
            [who, "at", height] => Ok(Question::Balance { who: Some(who.to_owned()), height: Some(at(height)?) }),
            _ => Err(usage(entry)),
        },
        _ => Err(usage(entry)),
    }
}

fn at(height: &str) -> Result<u64, String> {
    number("HEIGHT", height)
}

fn transaction_id(entry: &Entry, text: &str) -> Result<String, String> {
    match text {
        "" => Err(usage(entry)),
        id if is_hash(id) => Ok(id.to_owned()),
        other => Err(format!("{} is not a transaction id: 64 hex digits", shown(other))),
    }
}

/// The name of a file may have blanks.
fn receipt(entry: &Entry, rest: &str) -> Result<Line, String> {
    let (id, file) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let file = Some(file.trim()).filter(|file| !file.is_empty()).map(PathBuf::from);
    Ok(Line::Receipt { id: transaction_id(entry, id)?, file })
}

/// A passphrase may have spaces, but begins and ends with none.
fn unlock(rest: &str) -> Result<Line, String> {
    match rest.strip_prefix("unlock").map(str::trim) {
        None | Some("") => Ok(Line::Unlock(None)),
        Some(passphrase) => Unlock::new(passphrase.to_owned()).map(|unlock| Line::Unlock(Some(unlock))),
    }
}

fn words(rest: &str) -> Vec<&str> {
    rest.split_whitespace().collect()
}

fn usage(entry: &Entry) -> String {
    format!("usage: {}", entry.usage)
}

/// The usage of a command whose second word is none of those that it may be, with the one that may be meant.
fn meant(entry: &Entry, typed: &str, words: &[&'static str]) -> String {
    match near::nearest(typed, words.iter().copied()) {
        Some(near) if near != typed => {
            format!("{}: did you mean `{} {near}`? {}", shown(typed), entry.name, usage(entry))
        }
        _ => usage(entry),
    }
}

fn none(entry: &Entry, rest: &str) -> Result<(), String> {
    if rest.is_empty() { Ok(()) } else { Err(usage(entry)) }
}

/// What was typed, short and without anything that a terminal could take for a command.
pub(super) fn shown(text: &str) -> String {
    let clean: String = text.chars().take(40).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(40).is_some() { format!("{clean}...") } else { clean }
}

fn number(what: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{what}: {} is not a whole number", shown(text)))
}

/// The node knows addresses; here it is only seen to that it is one word, or a host and a port.
fn connect(entry: &Entry, rest: &str) -> Result<Question, String> {
    let address = match *words(rest) {
        [address] if address.contains([':', '/']) => address.to_owned(),
        [host, port] => {
            let port: u16 = port.parse().map_err(|_| format!("{} is not a port: 1 to 65535", shown(port)))?;
            host_and_port(host, port)
        }
        _ => return Err(usage(entry)),
    };
    Ok(Question::Connect { address })
}

fn ban(entry: &Entry, rest: &str) -> Result<Question, String> {
    let (peer, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if peer.is_empty() {
        return Err(usage(entry));
    }
    let rest = rest.trim();
    let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (seconds, reason) = match first.bytes().all(|byte| byte.is_ascii_digit()) && !first.is_empty() {
        true => (Some(number("SECONDS", first)?), after.trim()),
        false => (None, rest),
    };
    Ok(Question::Ban(NewBan { peer: peer.to_owned(), seconds, reason: reason.to_owned() }))
}

fn mine(entry: &Entry, rest: &str) -> Result<Question, String> {
    let (rest, data) = match rest.split_once("--data") {
        Some((before, data)) if !data.trim().is_empty() => (before.trim(), Some(data.trim().to_owned())),
        Some(_) => return Err(usage(entry)),
        None => (rest, None),
    };
    match (rest, data) {
        ("on", None) => Ok(Question::SetMining { enabled: true, threads: None }),
        ("off", None) => Ok(Question::SetMining { enabled: false, threads: None }),
        ("", data) => Ok(Question::Mine { blocks: 1, data }),
        (word, None) if !word.starts_with(|first: char| first.is_ascii_digit() || first == '-') => {
            let problem = || format!("N: {} is not a whole number", shown(word));
            let near = near::nearest(word, ["on", "off"]);
            Err(near.map_or_else(problem, |near| format!("{}: did you mean `mine {near}`?", problem())))
        }
        (count, data) => {
            let blocks = u32::try_from(number("N", count)?).map_err(|_| format!("N: {count} is too many"))?;
            Ok(Question::Mine { blocks, data })
        }
    }
}

fn chain(entry: &Entry, rest: &str) -> Result<Question, String> {
    match *words(rest) {
        [] => Ok(Question::Blocks { from: None, count: BLOCKS_SHOWN }),
        [from] => Ok(Question::Blocks { from: Some(number("FROM", from)?), count: BLOCKS_SHOWN }),
        [from, to] => {
            let (from, to) = (number("FROM", from)?, number("TO", to)?);
            let more = to.checked_sub(from).ok_or_else(|| format!("TO {to} is below FROM {from}"))?;
            let count = usize::try_from(more.saturating_add(1)).unwrap_or(usize::MAX);
            Ok(Question::Blocks { from: Some(from), count })
        }
        _ => Err(usage(entry)),
    }
}

fn block(entry: &Entry, rest: &str) -> Result<Question, String> {
    match rest {
        "" => Err(usage(entry)),
        // The node says the rest: a height that is too high, a hash that nobody knows.
        block if block == "tip" || is_hash(block) || block.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(Question::Block { block: block.to_owned() })
        }
        other => Err(format!("{} is neither a height nor a block hash", shown(other))),
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn send(entry: &Entry, rest: &str) -> Result<Question, String> {
    let (rest, fee) = option(entry, rest, "--fee")?;
    let fee = fee.map_or(Ok(0), |fee| number("FEE", &fee))?;
    let words = words(&rest);
    let (from, to, amount) = match *words {
        [to, amount] => (None, to, amount),
        [from, to, amount] => (Some(from.to_owned()), to, amount),
        _ => return Err(usage(entry)),
    };
    let amount = number("AMOUNT", amount)?;
    Ok(Question::Send { from, to: to.to_owned(), amount, fee })
}

fn record(entry: &Entry, rest: &str) -> Result<Question, String> {
    let (signer, text) = match rest.strip_prefix("--as ") {
        Some(after) => {
            let (name, text) = after.trim_start().split_once(char::is_whitespace).ok_or_else(|| usage(entry))?;
            (Some(name.to_owned()), text.trim())
        }
        None => (None, rest),
    };
    if text.is_empty() {
        return Err(usage(entry));
    }
    Ok(Question::Record { signer, text: text.to_owned() })
}

fn items(entry: &Entry, rest: &str) -> Result<Question, String> {
    let (rest, signer) = option(entry, rest, "--as")?;
    // Several items may be parted by commas, as in the old console.
    let items: Vec<String> = rest
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect();
    match (entry.name, items.as_slice()) {
        (_, []) => Err(usage(entry)),
        ("release", [item]) => Ok(Question::ReleaseItem { signer, item: item.clone() }),
        ("release", _) => Err(usage(entry)),
        _ => Ok(Question::RequestItems { signer, items }),
    }
}

fn transfer(entry: &Entry, rest: &str) -> Result<Question, String> {
    let (rest, signer) = option(entry, rest, "--as")?;
    match *words(&rest) {
        [item, to] => Ok(Question::TransferItem { signer, item: item.to_owned(), to: to.to_owned() }),
        _ => Err(usage(entry)),
    }
}

/// Takes `--name VALUE` out of a line.
fn option(entry: &Entry, rest: &str, name: &str) -> Result<(String, Option<String>), String> {
    let mut words = words(rest);
    let Some(at) = words.iter().position(|word| *word == name) else { return Ok((rest.to_owned(), None)) };
    if at + 1 >= words.len() {
        return Err(usage(entry));
    }
    let value = words.remove(at + 1).to_owned();
    words.remove(at);
    Ok((words.join(" "), Some(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question_of(line: &str) -> Question {
        match parse(line) {
            Ok(Line::Question(question)) => question,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn good_lines() {
        assert_eq!(question_of("mine 3"), Question::Mine { blocks: 3, data: None });
        assert_eq!(question_of("mine"), Question::Mine { blocks: 1, data: None });
        assert_eq!(
            question_of("mine 2 --data two words"),
            Question::Mine { blocks: 2, data: Some("two words".into()) }
        );
        let ban = |seconds, reason: &str| match question_of(&format!("ban 12D3x {seconds} {reason}")) {
            Question::Ban(NewBan { peer, seconds, reason }) if peer == "12D3x" => (seconds, reason),
            other => panic!("{other:?}"),
        };
        assert_eq!(ban("60", "sends junk"), (Some(60), "sends junk".to_owned()));
        assert_eq!((ban("", "sends junk"), ban("", "")), ((None, "sends junk".to_owned()), (None, String::new())));
        assert_eq!(question_of("unban all"), Question::LiftBans { peer: None });
        assert_eq!(question_of("unban x"), Question::LiftBans { peer: Some("x".into()) });
        assert_eq!(question_of("wallet new zed"), Question::NewKey { name: "zed".into() });
        assert_eq!(question_of("wallet list"), Question::Wallets);
        assert_eq!(question_of("wallet lock"), Question::Lock);
        assert!(matches!(parse("wallet unlock"), Ok(Line::Unlock(None))));
        let typed = Unlock::new("correct horse".to_owned()).ok();
        assert!(matches!(parse(" wallet unlock  correct horse "), Ok(Line::Unlock(given)) if given == typed));
        assert_eq!(question_of("mine off"), Question::SetMining { enabled: false, threads: None });
        let send = |from: Option<&str>, fee| Question::Send {
            from: from.map(str::to_owned),
            to: "bob".into(),
            amount: 5,
            fee,
        };
        assert_eq!(question_of("send bob 5"), send(None, 0));
        assert_eq!(question_of("  send alice bob 5 --fee 2 "), send(Some("alice"), 2));
        for (line, address) in [
            ("connect localhost 6001", "localhost:6001"),
            ("connect 10.0.0.1:6001", "10.0.0.1:6001"),
            ("connect ::1 6001", "[::1]:6001"),
            ("connect [::1] 6001", "[::1]:6001"),
            ("connect http://localhost:5001/", "http://localhost:5001/"),
            ("connect /ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1"),
        ] {
            assert_eq!(question_of(line), Question::Connect { address: address.into() }, "{line}");
        }
        let items = vec!["1".to_owned(), "2".to_owned(), "3".to_owned()];
        assert_eq!(question_of("request 1, 2,3"), Question::RequestItems { signer: None, items });
        let record = Question::Record { signer: Some("bob".into()), text: "hello  there".into() };
        assert_eq!(question_of("record --as bob hello  there"), record);
        let transfer = |signer: Option<&str>| Question::TransferItem {
            signer: signer.map(str::to_owned),
            item: "lamp".into(),
            to: "bob".into(),
        };
        assert_eq!(question_of("transfer lamp bob"), transfer(None));
        assert_eq!(question_of("transfer lamp bob --as alice"), transfer(Some("alice")));
        for (line, height) in [("item lamp", None), ("item lamp at 7", Some(7))] {
            assert_eq!(question_of(line), Question::Item { item: "lamp".into(), height }, "{line}");
        }
        for (line, who) in [("balance at 7", None), ("balance bob at 7", Some("bob".to_owned()))] {
            assert_eq!(question_of(line), Question::Balance { who, height: Some(7) }, "{line}");
        }
        let id = "5c".repeat(32);
        assert_eq!(question_of(&format!("proof {id}")), Question::Proof { id: id.clone() });
        for (line, named) in [(format!("receipt {id}"), None), (format!("receipt {id}  my file "), Some("my file"))] {
            match parse(&line) {
                Ok(Line::Receipt { id: of, file }) => assert_eq!((of, file), (id.clone(), named.map(PathBuf::from))),
                other => panic!("{line}: {other:?}"),
            }
        }
        assert!(matches!(parse("menu"), Ok(Line::Menu)));
        assert!(matches!(parse("5 a, b"), Ok(Line::Number(_, given)) if given == "a, b"));
        assert_eq!(question_of("chain 2 4"), Question::Blocks { from: Some(2), count: 3 });
    }

    #[test]
    fn bad_lines_say_what_is_wrong() {
        for (line, part) in [
            ("frobnicate", "not a command"),
            ("stauts", "did you mean status"),
            ("mine many", "not a whole number"),
            ("mine -1", "not a whole number"),
            ("mine 99999999999", "too many"),
            ("send bob", "usage: send"),
            ("send bob 1.5", "not a whole number"),
            ("send bob 5 --fee", "usage: send"),
            ("connect", "usage: connect"),
            ("connect localhost", "usage: connect"),
            ("connect localhost 99999", "not a port"),
            ("block xyz", "neither a height nor a block hash"),
            ("tx 12", "not a transaction id"),
            ("proof", "usage: proof ID"),
            ("receipt 12 file", "12 is not a transaction id"),
            ("receipt", "usage: receipt ID [FILE]"),
            ("item lamp at noon", "HEIGHT: noon is not a whole number"),
            ("balance bob on 5", "usage: balance"),
            ("release a b", "usage: release"),
            ("request", "usage: request"),
            ("status now", "usage: status"),
            ("wallet", "usage: wallet new NAME"),
            ("wallet new a b", "usage: wallet new NAME"),
            ("chain 5 2", "below FROM"),
            ("help me", "not a command"),
            ("help stauts", "did you mean status"),
            ("wallet lits", "lits: did you mean `wallet list`? usage: wallet new NAME"),
            ("wallet unlokc", "did you mean `wallet unlock`?"),
            ("items resrved", "did you mean `items reserved`? usage: items"),
            ("ban", "usage: ban PEER"),
            ("unban", "usage: unban PEER"),
            ("ban x 99999999999999999999", "not a whole number"),
            ("items everything", "usage: items"),
            ("mine onn", "onn is not a whole number: did you mean `mine on`?"),
            ("transfer lamp", "usage: transfer"),
            ("item", "usage: item"),
            ("menu 3", "usage: menu"),
            ("11", "not a number of the menu"),
            ("\u{1b}[31m", "not a command"),
        ] {
            let problem = parse(line).expect_err(line);
            assert!(problem.contains(part), "{line}: {problem}");
            assert!(!problem.chars().any(char::is_control), "{line}");
        }
    }
}
