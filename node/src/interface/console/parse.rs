//! A line of the console, understood.

use bard_chain::units::{Amount, Height};

use super::help::{self, Entry};
use crate::application::{BlockChoice, Command, ItemFilter};

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
    /// Something the service does.
    Command(Command),
}

/// Understands a line.
pub(super) fn parse(line: &str) -> Result<Line, String> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    if word.is_empty() {
        return Ok(Line::Nothing);
    }
    let Some(entry) = help::find(word) else {
        let hint = help::nearest(word).map_or_else(String::new, |entry| format!("did you mean {}? ", entry.name));
        return Err(format!("{} is not a command: {hint}`help` lists them", shown(word)));
    };
    match entry.name {
        "quit" => none(entry, rest).map(|()| Line::Quit),
        "help" => match rest {
            "" => Ok(Line::Help(None)),
            topic => help::find(topic)
                .map(|entry| Line::Help(Some(entry)))
                .ok_or_else(|| format!("{} is not a command: `help` lists them", shown(topic))),
        },
        _ => command(entry, rest).map(Line::Command),
    }
}

fn command(entry: &'static Entry, rest: &str) -> Result<Command, String> {
    let plain = |command: Command| none(entry, rest).map(|()| command);
    match entry.name {
        "status" => plain(Command::Status),
        "node" => plain(Command::Node),
        "peers" => plain(Command::Peers),
        "sync" => plain(Command::Sync),
        "pool" => plain(Command::Pool),
        "wallets" => plain(Command::Wallets),
        "verify" => plain(Command::Verify),
        "connect" => connect(entry, rest),
        "mine" => mine(entry, rest),
        "chain" => chain(entry, rest),
        "block" => block(entry, rest),
        "tx" => {
            let id = rest.parse().map_err(|e| format!("{} is not a transaction id: {e}", shown(rest)))?;
            Ok(Command::Transaction { id })
        }
        "send" => send(entry, rest),
        "record" => record(entry, rest),
        "request" | "release" => items(entry, rest),
        "items" => match rest {
            "" => Ok(Command::Items { filter: None }),
            "reserved" => Ok(Command::Items { filter: Some(ItemFilter::Reserved) }),
            "available" => Ok(Command::Items { filter: Some(ItemFilter::Available) }),
            _ => Err(usage(entry)),
        },
        "wallet" => match *words(rest) {
            ["new", name] => Ok(Command::NewKey { name: name.to_owned() }),
            _ => Err(usage(entry)),
        },
        "balance" => match *words(rest) {
            [] => Ok(Command::Balance { who: None }),
            [who] => Ok(Command::Balance { who: Some(who.to_owned()) }),
            _ => Err(usage(entry)),
        },
        _ => Err(usage(entry)),
    }
}

fn words(rest: &str) -> Vec<&str> {
    rest.split_whitespace().collect()
}

fn usage(entry: &Entry) -> String {
    format!("usage: {}", entry.usage)
}

fn none(entry: &Entry, rest: &str) -> Result<(), String> {
    if rest.is_empty() { Ok(()) } else { Err(usage(entry)) }
}

/// What was typed, short and without anything that a terminal could take for a command.
fn shown(text: &str) -> String {
    let clean: String = text.chars().take(40).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(40).is_some() { format!("{clean}...") } else { clean }
}

fn number(what: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{what}: {} is not a whole number", shown(text)))
}

/// The service knows addresses; here it is only seen to that it is one word, or a host and a port.
fn connect(entry: &Entry, rest: &str) -> Result<Command, String> {
    let address = match *words(rest) {
        [address] if address.contains([':', '/']) => address.to_owned(),
        [host, port] => {
            let port: u16 = port.parse().map_err(|_| format!("{} is not a port: 1 to 65535", shown(port)))?;
            // Only an IPv6 address has colons of its own.
            if host.contains(':') && !host.starts_with('[') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            }
        }
        _ => return Err(usage(entry)),
    };
    Ok(Command::Connect { address })
}

fn mine(entry: &Entry, rest: &str) -> Result<Command, String> {
    let (rest, data) = match rest.split_once("--data") {
        Some((before, data)) if !data.trim().is_empty() => (before.trim(), Some(data.trim().to_owned())),
        Some(_) => return Err(usage(entry)),
        None => (rest, None),
    };
    match (rest, data) {
        ("on", None) => Ok(Command::SetMining { enabled: true, threads: None }),
        ("off", None) => Ok(Command::SetMining { enabled: false, threads: None }),
        ("", data) => Ok(Command::Mine { blocks: 1, data }),
        (count, data) => {
            let blocks = u32::try_from(number("N", count)?).map_err(|_| format!("N: {count} is too many"))?;
            Ok(Command::Mine { blocks, data })
        }
    }
}

fn chain(entry: &Entry, rest: &str) -> Result<Command, String> {
    match *words(rest) {
        [] => Ok(Command::Blocks { from: None, limit: BLOCKS_SHOWN }),
        [from] => Ok(Command::Blocks { from: Some(Height::new(number("FROM", from)?)), limit: BLOCKS_SHOWN }),
        [from, to] => {
            let (from, to) = (number("FROM", from)?, number("TO", to)?);
            let count = to.checked_sub(from).ok_or_else(|| format!("TO {to} is below FROM {from}"))?;
            let limit = usize::try_from(count.saturating_add(1)).unwrap_or(usize::MAX);
            Ok(Command::Blocks { from: Some(Height::new(from)), limit })
        }
        _ => Err(usage(entry)),
    }
}

fn block(entry: &Entry, rest: &str) -> Result<Command, String> {
    block_choice(rest).map(|block| Command::Block { block }).ok_or_else(|| match rest {
        "" => usage(entry),
        other => format!("{} is neither a height nor a block hash", shown(other)),
    })
}

/// The block that a text means.
pub(crate) fn block_choice(text: &str) -> Option<BlockChoice> {
    if text == "tip" {
        return Some(BlockChoice::Tip);
    }
    // The hash first: one that begins with many zeros could pass for a small number.
    let id = text.parse().ok().map(BlockChoice::Id);
    id.or_else(|| text.parse().ok().map(|height| BlockChoice::Height(Height::new(height))))
}

fn send(entry: &Entry, rest: &str) -> Result<Command, String> {
    let (rest, fee) = option(entry, rest, "--fee")?;
    let fee = Amount::new(fee.map_or(Ok(0), |fee| number("FEE", &fee))?);
    let words = words(&rest);
    let (from, to, amount) = match *words {
        [to, amount] => (None, to, amount),
        [from, to, amount] => (Some(from.to_owned()), to, amount),
        _ => return Err(usage(entry)),
    };
    let amount = Amount::new(number("AMOUNT", amount)?);
    Ok(Command::Send { from, to: to.to_owned(), amount, fee })
}

fn record(entry: &Entry, rest: &str) -> Result<Command, String> {
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
    Ok(Command::Record { signer, text: text.to_owned() })
}

fn items(entry: &Entry, rest: &str) -> Result<Command, String> {
    let (rest, signer) = option(entry, rest, "--as")?;
    // Several items may be parted by commas, as in the old console.
    let items: Vec<String> = rest
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect();
    match (entry.name, items.as_slice()) {
        (_, []) => Err(usage(entry)),
        ("release", [item]) => Ok(Command::ReleaseItem { signer, item: item.clone() }),
        ("release", _) => Err(usage(entry)),
        _ => Ok(Command::RequestItems { signer, items }),
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

    fn command_of(line: &str) -> Command {
        match parse(line) {
            Ok(Line::Command(command)) => command,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn good_lines() {
        assert_eq!(command_of("mine 3"), Command::Mine { blocks: 3, data: None });
        assert_eq!(command_of("mine"), Command::Mine { blocks: 1, data: None });
        assert_eq!(command_of("mine 2 --data two words"), Command::Mine { blocks: 2, data: Some("two words".into()) });
        assert_eq!(command_of("wallet new zed"), Command::NewKey { name: "zed".into() });
        assert_eq!(command_of("mine off"), Command::SetMining { enabled: false, threads: None });
        let send = |from: Option<&str>, fee| Command::Send {
            from: from.map(str::to_owned),
            to: "bob".into(),
            amount: Amount::new(5),
            fee: Amount::new(fee),
        };
        assert_eq!(command_of("send bob 5"), send(None, 0));
        assert_eq!(command_of("  send alice bob 5 --fee 2 "), send(Some("alice"), 2));
        for (line, address) in [
            ("connect localhost 6001", "localhost:6001"),
            ("connect 10.0.0.1:6001", "10.0.0.1:6001"),
            ("connect ::1 6001", "[::1]:6001"),
            ("connect [::1] 6001", "[::1]:6001"),
            ("connect http://localhost:5001/", "http://localhost:5001/"),
            ("connect /ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1"),
        ] {
            assert_eq!(command_of(line), Command::Connect { address: address.into() }, "{line}");
        }
        let items = vec!["1".to_owned(), "2".to_owned(), "3".to_owned()];
        assert_eq!(command_of("request 1, 2,3"), Command::RequestItems { signer: None, items });
        let record = Command::Record { signer: Some("bob".into()), text: "hello  there".into() };
        assert_eq!(command_of("record --as bob hello  there"), record);
        assert_eq!(command_of("chain 2 4"), Command::Blocks { from: Some(Height::new(2)), limit: 3 });
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
            ("release a b", "usage: release"),
            ("request", "usage: request"),
            ("status now", "usage: status"),
            ("wallet", "usage: wallet new NAME"),
            ("wallet new a b", "usage: wallet new NAME"),
            ("chain 5 2", "below FROM"),
            ("help me", "not a command"),
            ("\u{1b}[31m", "not a command"),
        ] {
            let problem = parse(line).expect_err(line);
            assert!(problem.contains(part), "{line}: {problem}");
            assert!(!problem.chars().any(char::is_control), "{line}");
        }
    }
}
