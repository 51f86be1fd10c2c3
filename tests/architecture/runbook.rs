//! Whatever the product warns of is in `docs/runbook.md`: what it means and what to do.
//!
//! The runbook has each line of the log as the source has it, with `…` in the place of what differs. A line that consists of nothing but
//! what differs is in [`PASSED_ON`], with the texts that come out.

use std::fs;

use bard_tests::workspace::{SourceFile, root, rust_files};

/// Texts that are logged for somebody else: where, as what, and what comes out. These are in the runbook and in the sources.
const PASSED_ON: &[(&str, &str, &[&str])] = &[
    ("node/src/assemble.rs", "…", &["tasks did not stop in time and were cut off"]),
    (
        "node/src/assemble.rs",
        "…",
        &[
            "ended in an unfinished write: its last",
            ": it was made anew from",
            "missing",
            "unfinished",
            "was of another version of this software: it was made anew from",
            "was being made anew and did not add up any more: it was begun again from",
            "set aside as",
            "was suspect: it was checked, and is whole",
        ],
    ),
    ("node/src/tracker/mod.rs", "…", &["tasks did not stop in time and were cut off"]),
];

/// A call of `warn!` or `error!`.
#[derive(Debug)]
struct Call {
    file: String,
    line: usize,
    /// Its text, with `…` in the place of what differs.
    text: String,
}

/// The calls of a file outside its tests.
fn calls(file: &SourceFile) -> Vec<Call> {
    let code = file.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(&file.text);
    let mut found = Vec::new();
    for name in ["warn!(", "error!("] {
        for (at, _) in code.match_indices(name) {
            let before = &code[..at];
            let line_start = before.rfind('\n').map_or(0, |end| end + 1);
            let is_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if is_word || before[line_start..].trim_start().starts_with("//") {
                continue;
            }
            let line = before.matches('\n').count() + 1;
            let text = message(&code[at + name.len()..]);
            let text = text.unwrap_or_else(|| panic!("{}:{line}: no text is found", file.path));
            found.push(Call { file: file.path.clone(), line, text });
        }
    }
    found
}

/// The first text among the arguments that is not the value of a field, with `…` in the place of what differs.
fn message(arguments: &str) -> Option<String> {
    let mut rest = arguments;
    loop {
        let begin = rest.find('"')?;
        let of_field = rest[..begin].trim_end().ends_with('=');
        let (literal, after) = literal(&rest[begin + 1..])?;
        if !of_field {
            return Some(with_gaps(&literal));
        }
        rest = after;
    }
}

/// A string up to its closing quote, and what follows.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((out, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                // A line that goes on: what follows it begins with the next word.
                '\n' => {
                    let left = characters.as_str().trim_start();
                    let (rest, after) = literal(left)?;
                    return Some((out + &rest, after));
                }
                other => out.push(other),
            },
            _ => out.push(c),
        }
    }
    None
}

fn with_gaps(literal: &str) -> String {
    let mut out = String::new();
    let mut rest = literal;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        out.push('…');
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    out + rest
}

fn all_calls() -> Vec<Call> {
    ["chain/src", "protocol/src", "node/src"]
        .iter()
        .flat_map(|folder| rust_files(folder))
        .filter(|file| !file.path.contains("/tests"))
        .flat_map(|file| calls(&file))
        .collect()
}

/// A text as code of Markdown.
fn quoted(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

/// The first cell of each row of a table that begins with code.
fn rows(page: &str) -> Vec<String> {
    let cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    cells.map(|(cell, _)| cell.trim_matches(['`', ' ']).to_owned()).collect()
}

fn runbook() -> String {
    fs::read_to_string(root().join("docs/runbook.md")).expect("docs/runbook.md")
}

#[test]
fn every_warning_and_error_of_the_log_is_in_the_runbook() {
    let (calls, runbook) = (all_calls(), runbook());
    assert!(calls.len() > 30, "the calls were found");
    let passed_on = |call: &Call| PASSED_ON.iter().any(|(file, text, _)| call.file == *file && call.text == *text);
    let known = |call: &Call| runbook.contains(&format!("| {} |", quoted(&call.text)));
    let missing = calls.iter().filter(|call| !known(call) && !passed_on(call));
    let missing: Vec<_> = missing.map(|call| format!("{}:{}: `{}`", call.file, call.line, call.text)).collect();
    assert!(missing.is_empty(), "not in docs/runbook.md, or not as the source has it:\n{}", missing.join("\n"));
}

#[test]
fn what_is_logged_for_somebody_else_is_in_the_runbook() {
    let runbook = runbook();
    let sources: String = rust_files("node/src").into_iter().map(|file| file.text).collect();
    let calls = all_calls();
    for (file, text, come_out) in PASSED_ON {
        assert!(calls.iter().any(|call| call.file == *file && call.text == *text), "{file} no longer logs {text}");
        for part in *come_out {
            assert!(sources.contains(part), "no source says {part:?} any more");
            assert!(runbook.contains(part), "{part:?} is not in docs/runbook.md");
        }
    }
}

#[test]
fn the_runbook_names_no_line_that_is_gone() {
    let known: Vec<_> = all_calls().into_iter().map(|call| call.text).collect();
    let come_out: Vec<_> = PASSED_ON.iter().flat_map(|(_, _, texts)| texts.iter()).collect();
    let rows = rows(&runbook());
    assert!(rows.len() > 30, "{rows:?}");
    for row in rows {
        let there = known.contains(&row) || come_out.iter().any(|text| row.contains(**text));
        assert!(there, "docs/runbook.md explains `{row}`, which nothing logs");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(code: &str) -> Vec<String> {
        let file = SourceFile { path: "x.rs".to_owned(), text: code.to_owned() };
        calls(&file).into_iter().map(|call| call.text).collect()
    }

    #[test]
    fn calls_are_read() {
        let code = "warn!(peer = \"x\", %error, \"one {thing}; {} left\", 2);\n// warn!(\"no\")\ncompile_error!(\"no\");\n\
                    tracing::error!(\n    %id,\n    \"two \\\n      lines\"\n);";
        assert_eq!(texts(code), ["one …; … left", "two lines"]);
    }
}
