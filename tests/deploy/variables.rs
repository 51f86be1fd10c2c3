//! The variables that the files under `deploy/` set: each is an option, or it would do nothing and nobody would notice.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use bard_tests::{process::run, workspace::root};

/// What is read from the environment alone.
const NO_OPTIONS: [&str; 1] = ["BARD_PASSPHRASE"];

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// The words of a text that are names of variables of ours.
fn variables(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("BARD_") && word.len() > 5).map(str::to_owned).collect()
}

#[test]
fn every_variable_is_an_option() {
    let mut options: BTreeSet<_> = NO_OPTIONS.map(str::to_owned).into();
    for command in [&["config"][..], &["config", "tracker"]] {
        let shown = run(command).stdout;
        let names = shown.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty());
        options.extend(names.map(|name| format!("BARD_{}", name.replace('-', "_").to_uppercase())));
    }
    assert!(options.contains("BARD_NO_MDNS"), "{options:?}");
    let mut all = Vec::new();
    files(&root().join("deploy"), &mut all);
    let mut seen = 0;
    for file in all {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for variable in variables(&text) {
            seen += 1;
            assert!(options.contains(&variable), "{}: {variable} is no option", file.display());
        }
    }
    assert!(seen > 12, "{seen}");
}
