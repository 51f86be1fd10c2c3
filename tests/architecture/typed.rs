//! Every command that a page shows is run by a test or a trial, from the page's own text, or stands below with a reason.
//!
//! A block of `console` in the README or in `docs/` is typed by the suite `commands` (`documented`, `book`). A block of `sh`, of Python, or of `text` with
//! `$` before commands has somebody who names it: its page and section (`documents::section`), its page and language (`documents::blocks`), or, in
//! scripts, its page, section and number (`tests/deploy/typed/block`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use bard_tests::{
    documents::{Block, all_blocks, is_for_a_shell, lines},
    workspace::root,
};

/// Blocks that are not run from their text: page, section, which of it, why.
const EXCEPTIONS: &[(&str, &str, usize, &str)] = &[
    ("docs/api.md", "Checked from outside", 1, "the step `api` of .ci/run, with the folder that cargo builds into"),
    ("deploy/README.md", "A Debian package", 1, "the step `package` of .ci/run, which pins the version and keeps it"),
    ("deploy/README.md", "A static binary", 1, "the step `package` of .ci/run, with the folder that cargo builds into"),
];
/// What stands in these languages is no command.
const NO_COMMANDS: [&str; 4] = ["toml", "json", "ini", "text"];
/// Folders of sources in which nobody looks for pages.
const NO_PAGES: [&str; 2] = ["target", "node_modules"];

/// Every file below a folder, by its path inside the workspace.
fn files_below(folder: &Path, found: &mut Vec<String>) {
    for path in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !NO_PAGES.contains(&&*name) {
            files_below(&path, found);
        } else if path.is_file() {
            let inside = path.strip_prefix(root()).expect("below the workspace");
            found.push(inside.to_string_lossy().into_owned());
        }
    }
}

fn pages() -> Vec<String> {
    let mut all = Vec::new();
    files_below(&root(), &mut all);
    all.retain(|path| path.ends_with(".md"));
    assert!(all.iter().any(|page| page == "README.md") && all.len() > 25, "{all:?}");
    all
}

/// What tests and trials say, without the signs that differ between languages.
fn runners() -> String {
    let mut all = Vec::new();
    files_below(&root().join("tests"), &mut all);
    files_below(&root().join("deploy"), &mut all);
    all.retain(|path| path != "tests/architecture/typed.rs" && !path.ends_with(".md"));
    let texts: Vec<_> = all.iter().filter_map(|path| fs::read_to_string(root().join(path)).ok()).collect();
    plain(&texts.join("\n"))
}

/// A text without quotes and commas, and with one space between words.
fn plain(text: &str) -> String {
    let without = text.replace(['"', '\'', ',', '\\'], " ");
    without.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether somebody runs this block, the `number`th of its section for a shell.
fn is_run(block: &Block, number: usize, runners: &str) -> bool {
    let Block { page, section, language, .. } = block;
    let by_the_book = language == "console" && (page == "README.md" || page.starts_with("docs/"));
    let (section, by_language) = (plain(section), format!("{page} {language}"));
    let names = [
        format!("{page} {section} )"),
        format!("{page} {section})"),
        format!("{page} {section} {number} "),
        format!("{page} {section} {number})"),
        format!("{by_language} )"),
        format!("{by_language})"),
    ];
    by_the_book || names.iter().any(|name| runners.contains(name))
}

#[test]
fn every_command_of_a_page_is_run() {
    let (runners, mut left, mut seen) = (runners(), Vec::new(), 0);
    let mut needed = vec![false; EXCEPTIONS.len()];
    for page in pages() {
        let mut numbers = BTreeMap::<String, usize>::new();
        for block in all_blocks(&page) {
            let Block { section, language, .. } = &block;
            let session = language == "text" && block.text.lines().any(|line| line.starts_with("$ "));
            if NO_COMMANDS.contains(&&**language) && !session {
                continue;
            }
            let known = is_for_a_shell(language) || session || language == "python";
            assert!(known, "{page}, {section}: a block of {language:?}: `sh` and `console` are for commands");
            let number = numbers.entry(section.clone()).or_default();
            *number += usize::from(is_for_a_shell(language));
            seen += 1;
            if is_run(&block, *number, &runners) {
                continue;
            }
            match EXCEPTIONS.iter().position(|(one, part, at, _)| *one == page && part == section && *at == *number) {
                Some(at) => needed[at] = true,
                None => left.push(format!("{page}, {section}: block {number}")),
            }
        }
    }
    assert!(left.is_empty(), "nobody runs these, see the head of this file:\n{}", left.join("\n"));
    let idle: Vec<_> = EXCEPTIONS.iter().zip(&needed).filter(|(_, needed)| !**needed).collect();
    assert!(idle.is_empty(), "no longer needed among the exceptions: {idle:?}");
    assert!(seen > 50, "{seen} blocks");
}

#[test]
fn no_command_hides_where_there_should_be_none() {
    let all: Vec<_> = pages().iter().flat_map(|page| all_blocks(page)).collect();
    let (commands, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|block| is_for_a_shell(&block.language));
    let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let programs: BTreeSet<_> = commands.iter().flat_map(|block| lines(&block.text)).map(|line| first(&line)).collect();
    assert!(programs.contains("bard") && programs.contains("sudo") && programs.contains("curl"), "{programs:?}");
    for block in others {
        for line in block.text.lines() {
            assert!(
                !programs.contains(&first(line)),
                "{}, {}: a command in {}: {line}",
                block.page,
                block.section,
                block.language
            );
        }
    }
}

#[test]
fn what_is_excepted_is_run_by_the_gate() {
    let gate = fs::read_to_string(root().join(".ci/run")).expect(".ci/run");
    for (page, section, _, why) in EXCEPTIONS {
        let blocks: Vec<_> = all_blocks(page).into_iter().filter(|block| block.section == *section).collect();
        let words: Vec<_> = blocks.iter().flat_map(|block| block.text.split_whitespace()).collect();
        let programs: Vec<_> = words.into_iter().filter(|word| root().join(word).is_file()).collect();
        assert!(!programs.is_empty(), "{page}, {section}: {why}");
        let left: Vec<_> = programs.iter().filter(|program| !gate.contains(**program)).collect();
        assert!(left.is_empty(), "{page}, {section}: {left:?} is not in .ci/run");
    }
}
