//! Commands of pages that need a setting of their own: a file and its receipt, a tracker's calls.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use bard_tests::{
    documents::{self, Block},
    process::{Builder, Node, TrackerBuilder, bard},
};
use serde_json::Value;

/// Somebody in a folder of their own, with `bard` at hand.
struct Shell {
    user: Builder,
    node: Node,
}

impl Shell {
    fn open() -> Self {
        let user = Builder::default();
        fs::create_dir(user.home().join("bin")).unwrap();
        std::os::unix::fs::symlink(bard(), user.home().join("bin/bard")).unwrap();
        Self { node: user.start(), user }
    }

    /// Types a line; what it printed.
    fn types(&self, line: &str) -> String {
        said(line, self.user.home(), &[("BARD_API", &self.node.file().api)])
    }
}

/// Runs a line in a folder whose `bin` is looked into first; what it printed, once it ended well.
fn said(line: &str, folder: &Path, variables: &[(&str, &str)]) -> String {
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).env("PATH", path).env("HOME", folder).stdin(Stdio::null());
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{line}: {stdout}{stderr}");
    stdout.into_owned()
}

fn is_here(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// A line with a transaction in the place of the one that is documented; its receipt is named by the first 16 digits.
fn with_id(line: &str, id: &str) -> String {
    let file = format!("{}.receipt", id.get(..16).unwrap_or_default());
    line.replace("5c7d....receipt", &file).replace("5c7d...", id)
}

#[test]
fn a_file_goes_on_record_and_its_receipt_is_checked_as_typed() {
    let shell = Shell::open();
    fs::write(shell.user.home().join("contract.pdf"), "a contract").unwrap();
    let mut id = String::new();
    for line in documents::section("docs/receipts.md", "A file on record").iter().flat_map(Block::lines) {
        let line = with_id(&line, &id);
        let printed = shell.types(&line);
        if line.starts_with("bard notarise ") {
            id = shell.node.pool().swap_remove(0);
            shell.node.mine(1);
        }
        let shows = |part: &str| printed.contains(part);
        assert!(!line.starts_with("bard verify-receipt ") || shows("The record is the SHA-256 digest of"), "{printed}");
    }
    fs::remove_file(shell.user.home().join(with_id("5c7d....receipt", &id))).unwrap();
    let blocks = documents::section("docs/receipts.md", "What it shows, and what it does not");
    let lines: Vec<_> = blocks.iter().flat_map(Block::lines).collect();
    let height = lines[0].rsplit(' ').next().and_then(|word| word.parse::<u64>().ok()).expect("a height at the end");
    shell.node.mine(u32::try_from(height).unwrap());
    let known = shell.node.block_at(height).expect("a block");
    for line in lines {
        let printed = shell.types(&with_id(&line, &id).replace("00ab...", &known));
        assert!(
            !line.contains("--checkpoint") || printed.contains("which you know, is among its headers"),
            "{printed}"
        );
    }
}

#[test]
fn the_calls_of_a_tracker_are_answered_as_documented() {
    if !is_here("curl") {
        // A clone needs only Rust.
        return;
    }
    let tracker = TrackerBuilder::default().start();
    let mut calls = 0;
    for block in documents::blocks("docs/tracker.md", "text") {
        for call in block.text.split("$ ").filter(|call| !call.trim().is_empty()) {
            let (line, answer) = call.split_once('\n').expect("an answer below the line");
            let line = line.replace("127.0.0.1:5500", tracker.authority());
            // Three dots stand for more of the same.
            let documented: Value = serde_json::from_str(&answer.replace(",...", "")).unwrap();
            let printed: Value =
                serde_json::from_str(&said(&line, tracker.file_path().parent().unwrap(), &[])).unwrap();
            is_alike(&documented, &printed, &line);
            assert_eq!(
                (&documented["message"], &documented["peers"]),
                (&printed["message"], &printed["peers"]),
                "{line}"
            );
            calls += 1;
        }
    }
    assert!(calls >= 4, "{calls}");
}

/// Holds an answer to one that is documented: the same fields, of the same kinds.
fn is_alike(documented: &Value, printed: &Value, line: &str) {
    match (documented, printed) {
        (Value::Object(documented), Value::Object(printed)) => {
            let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(documented), names(printed), "{line}");
            documented.iter().for_each(|(name, value)| is_alike(value, &printed[name], line));
        }
        (Value::Array(documented), Value::Array(printed)) => {
            assert_eq!(documented.is_empty(), printed.is_empty(), "{line}");
            documented.iter().zip(printed).for_each(|(one, other)| is_alike(one, other, line));
        }
        _ => assert_eq!(std::mem::discriminant(documented), std::mem::discriminant(printed), "{line}"),
    }
}
