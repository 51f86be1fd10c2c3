//! What may stand at the place of the cursor: the words that Tab offers, and the rest of a command's usage.

use super::{help, menu, words::Known};

/// The most words that are offered at once.
const MAX_OFFERED: usize = 200;

/// What a word may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// This word.
    Word(&'static str),
    /// A command.
    Command,
    /// The name of an account.
    Name,
    /// An item: one that is held, one that is not, or any.
    Item(Option<bool>),
    /// The address of a node.
    Address,
    /// Something that nothing is known about.
    Nothing,
}

/// A word that Tab offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) word: String,
    /// Whether more may follow, so that a blank goes with it.
    pub(super) more: bool,
}

/// What the word after those before the cursor may be.
fn kinds(before: &[&str]) -> Vec<Kind> {
    let Some((command, before)) = before.split_first() else { return vec![Kind::Command] };
    let signer = Kind::Word("--as");
    match (*command, before) {
        (_, [.., "--as"]) => vec![Kind::Name],
        (_, [.., "--fee" | "--data"]) => Vec::new(),
        ("send", [] | [_]) => vec![Kind::Name],
        ("send", _) => vec![Kind::Word("--fee")],
        ("record", []) => vec![signer],
        ("request", []) => vec![Kind::Item(Some(false))],
        ("request", _) => vec![Kind::Item(Some(false)), signer],
        ("release" | "transfer", []) => vec![Kind::Item(Some(true))],
        ("transfer", [_]) => vec![Kind::Name],
        ("release" | "transfer", _) => vec![signer],
        ("item" | "balance", [.., "at"]) => Vec::new(),
        ("item", []) => vec![Kind::Item(None)],
        ("item" | "balance", [_]) => vec![Kind::Word("at")],
        ("items", []) => vec![Kind::Word("available"), Kind::Word("reserved")],
        ("balance", []) => vec![Kind::Name],
        ("connect", []) => vec![Kind::Address],
        ("mine", []) => vec![Kind::Word("--data"), Kind::Word("off"), Kind::Word("on")],
        ("mine", [_]) => vec![Kind::Word("--data")],
        ("wallet", []) => ["list", "lock", "new", "unlock"].map(Kind::Word).to_vec(),
        ("block", []) => vec![Kind::Word("tip")],
        ("help", []) => vec![Kind::Command],
        (number, []) => menu::kind(number).into_iter().collect(),
        ("5", _) => menu::kind("5").into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The words that may stand at the end of a text, and where in it they begin. `asked` is what the text alone is, where it is no
/// command but what a person was asked for.
pub(super) fn offers(text: &str, asked: Option<Kind>, known: &Known) -> (usize, Vec<Offer>) {
    let start = text.rfind(|c: char| c == ',' || c.is_whitespace()).map_or(0, |at| at + 1);
    let (before, part) = text.split_at(start);
    let kinds = match asked {
        Some(kind) => vec![kind],
        None => {
            kinds(&before.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty()).collect::<Vec<_>>())
        }
    };
    let mut found: Vec<Offer> = kinds.into_iter().flat_map(|kind| of_kind(kind, part, known)).collect();
    found.sort_by(|one, two| one.word.cmp(&two.word));
    found.dedup();
    found.truncate(MAX_OFFERED);
    (start, found)
}

fn of_kind(kind: Kind, part: &str, known: &Known) -> Vec<Offer> {
    // A word with a blank or a comma in it cannot be typed as one.
    let fits = |word: &&str| word.starts_with(part) && !word.contains([' ', ',']);
    let offer = |word: &str, more| Offer { word: word.to_owned(), more };
    match kind {
        Kind::Word(word) => Some(word).filter(fits).map(|word| offer(word, true)).into_iter().collect(),
        Kind::Command => {
            let commands = help::COMMANDS.iter().filter(|entry| fits(&entry.name));
            commands.map(|entry| offer(entry.name, entry.usage != entry.name)).collect()
        }
        Kind::Name => known.names.iter().map(String::as_str).filter(fits).map(|name| offer(name, true)).collect(),
        Kind::Item(held) => {
            let items = known.items.iter().filter(|item| held.is_none_or(|held| item.held == held));
            items.map(|item| item.name.as_str()).filter(fits).map(|name| offer(name, true)).collect()
        }
        Kind::Address => known.addresses.iter().map(String::as_str).filter(fits).map(|one| offer(one, true)).collect(),
        Kind::Nothing => Vec::new(),
    }
}

/// What is shown after the cursor, at the end of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) shown: String,
    /// How much of it is what was meant for sure, so that it may be taken over.
    pub(super) sure: usize,
}

/// The rest of the usage of the command that a line is; `None` where nothing is missing or the command is not clear yet.
pub(super) fn rest(line: &str) -> Option<Rest> {
    let (before, part) = line.split_at(line.rfind(char::is_whitespace).map_or(0, |at| at + 1));
    let before: Vec<&str> = before.split_whitespace().collect();
    let Some((command, typed)) = before.split_first() else { return rest_of_command(part) };
    let entry = help::find(command)?;
    let rests: Vec<Rest> = forms(entry.usage).iter().filter_map(|form| rest_of_form(form, typed, part)).collect();
    let sure = rests.iter().filter(|rest| rest.sure > 0).count();
    let shown: Vec<&str> = match sure {
        0 => rests.iter().map(|rest| rest.shown.as_str()).filter(|rest| !rest.is_empty()).collect(),
        _ => rests.iter().filter(|rest| rest.sure > 0).map(|rest| rest.shown.as_str()).collect(),
    };
    let only = rests.iter().find(|rest| rest.sure > 0).filter(|_| sure == 1);
    let shown = shown.join(" | ");
    (!shown.is_empty()).then_some(Rest { shown, sure: only.map_or(0, |rest| rest.sure) })
}

/// The rest of a command's name and its usage, where there is one command only that begins so.
fn rest_of_command(part: &str) -> Option<Rest> {
    let mut fitting = help::COMMANDS.iter().filter(|entry| !part.is_empty() && entry.name.starts_with(part));
    let entry = match help::find(part) {
        Some(entry) => entry,
        None => fitting.next().filter(|_| fitting.next().is_none())?,
    };
    let missing = entry.name.get(part.len()..)?;
    let forms = forms(entry.usage);
    let arguments: Vec<String> = forms.iter().filter_map(|form| Some(form.get(1..)?.join(" "))).collect();
    let arguments = arguments.join(" | ");
    let blank = if arguments.is_empty() { "" } else { " " };
    let shown = format!("{missing}{blank}{arguments}");
    (!shown.is_empty()).then_some(Rest { shown, sure: missing.len() })
}

/// What is missing of a form of a command when its name and these words were typed, and this part of another; `None` where
/// they do not fit.
fn rest_of_form(form: &[&str], typed: &[&str], part: &str) -> Option<Rest> {
    let mut left = form.get(1..)?;
    let mut words = typed.iter();
    while let Some(word) = words.next() {
        left = after(left, word)?;
        if word.starts_with("--") {
            words.next();
        }
    }
    let rest = |left: &[&str]| left.join(" ");
    if part.is_empty() {
        return Some(Rest { shown: rest(left), sure: 0 });
    }
    let (first, following) = left.split_first()?;
    let literal = first.chars().all(char::is_lowercase);
    match first.strip_prefix(part).filter(|_| literal) {
        Some(missing) => Some(Rest { shown: missing.to_owned(), sure: missing.len() }),
        None if literal => None,
        None => {
            let left = after(left, part).unwrap_or(following);
            Some(Rest { shown: if left.is_empty() { String::new() } else { format!(" {}", rest(left)) }, sure: 0 })
        }
    }
}

/// What is left of a form after a word.
fn after<'f>(form: &'f [&'f str], word: &str) -> Option<&'f [&'f str]> {
    let (first, following) = form.split_first()?;
    let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let amount = form.iter().position(|token| *token == "AMOUNT");
    match (*first, amount) {
        (option, _) if option.starts_with("[--") => {
            if option.trim_start_matches('[').starts_with(word) {
                Some(following)
            } else {
                after(following, word)
            }
        }
        (_, Some(amount)) if is_number => form.get(amount + 1..),
        _ if word.starts_with("--") => {
            let at = form.iter().position(|token| token.trim_start_matches('[').starts_with(word))?;
            form.get(at + 1..)
        }
        (repeated, _) if repeated.ends_with("...") => Some(form),
        // What is to be typed as it is.
        (literal, _) if literal.chars().all(char::is_lowercase) => (literal == word).then_some(following),
        _ => Some(following),
    }
}

/// The forms of a usage, each as its words; what is in brackets is one word.
fn forms(usage: &'static str) -> Vec<Vec<&'static str>> {
    let mut forms = vec![Vec::new()];
    let (mut depth, mut start) = (0_usize, 0);
    let blanks = usage.match_indices([' ', '[', ']']).chain([(usage.len(), " ")]);
    for (at, mark) in blanks {
        match mark {
            "[" => depth += 1,
            "]" => depth = depth.saturating_sub(1),
            _ if depth == 0 => {
                match usage.get(start..at) {
                    Some("|") => forms.push(Vec::new()),
                    Some(word) if !word.is_empty() => forms.last_mut().into_iter().for_each(|form| form.push(word)),
                    _ => {}
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::console::words::Item;

    fn known() -> Known {
        let item = |name: &str, held| Item { name: name.to_owned(), held };
        Known {
            names: ["alice", "bob", "me"].map(str::to_owned).to_vec(),
            items: vec![item("lamp", true), item("ladder", false), item("two words", false)],
            addresses: vec!["/ip4/10.0.0.1/tcp/6000".to_owned()],
        }
    }

    fn offered(text: &str) -> Vec<String> {
        offers(text, None, &known()).1.into_iter().map(|offer| offer.word).collect()
    }

    #[test]
    fn what_fits_is_offered() {
        for (text, words) in [
            ("st", &["status"][..]),
            ("re", &["receipt", "record", "release", "request"]),
            ("help sta", &["status"]),
            ("wallet ", &["list", "lock", "new", "unlock"]),
            ("wallet l", &["list", "lock"]),
            ("items r", &["reserved"]),
            ("mine o", &["off", "on"]),
            ("mine 3 ", &["--data"]),
            ("send a", &["alice"]),
            ("send alice ", &["alice", "bob", "me"]),
            ("send alice bob 5 -", &["--fee"]),
            ("send alice bob 5 --fee ", &[]),
            ("record --as b", &["bob"]),
            ("release l", &["lamp"]),
            ("request l", &["ladder"]),
            ("request x,la", &["ladder"]),
            ("request ladder --as m", &["me"]),
            ("item la", &["ladder", "lamp"]),
            ("item lamp a", &["at"]),
            ("balance bob ", &["at"]),
            ("balance bob at ", &[]),
            ("transfer lamp b", &["bob"]),
            ("1 l", &["ladder"]),
            ("2 l", &["lamp"]),
            ("connect /ip4", &["/ip4/10.0.0.1/tcp/6000"]),
            ("status x", &[]),
            ("frobnicate ", &[]),
        ] {
            assert_eq!(offered(text), words, "{text:?}");
        }
        assert_eq!(offers("la", Some(Kind::Item(Some(true))), &known()).1[0].word, "lamp");
        assert_eq!(offers("request x,la", None, &known()).0, 10);
    }

    #[test]
    fn what_is_missing_is_shown() {
        for (line, shown, sure) in [
            ("stat", "us", 2),
            ("sen", "d [FROM] TO AMOUNT [--fee FEE]", 1),
            ("send", " [FROM] TO AMOUNT [--fee FEE]", 0),
            ("send ", "[FROM] TO AMOUNT [--fee FEE]", 0),
            ("send al", " TO AMOUNT [--fee FEE]", 0),
            ("send alice ", "TO AMOUNT [--fee FEE]", 0),
            ("send bob 5", " [--fee FEE]", 0),
            ("send bob 5 ", "[--fee FEE]", 0),
            ("mine ", "[N] [--data TEXT] | on | off", 0),
            ("mine of", "f", 1),
            ("mine 3", " [--data TEXT]", 0),
            ("wallet n", "ew", 2),
            ("wallet new ", "NAME", 0),
            ("items ", "[reserved | available]", 0),
            ("request lamp ", "ITEM... [--as NAME]", 0),
            ("connect localhost ", "PORT", 0),
            ("transfer lamp bob ", "[--as NAME]", 0),
            ("item lamp ", "[at HEIGHT]", 0),
            ("balance ", "[NAME | ADDRESS] [at HEIGHT]", 0),
            ("balance bob", " [at HEIGHT]", 0),
        ] {
            assert_eq!(rest(line), Some(Rest { shown: shown.to_owned(), sure }), "{line:?}");
        }
        for line in ["", "status", "status ", "re", "frobnicate", "frobnicate x", "wallet list ", "send bob 5 --fee 2 "]
        {
            assert_eq!(rest(line), None, "{line:?}");
        }
    }
}
