//! The commands of docs/wallet.md, typed by somebody at a terminal who answers what is asked.

use std::{fs, path::Path};

use bard_tests::{
    documents::{Block, section, typed},
    process::bard,
};

use crate::screen::{ENTER, Person};

const PASSPHRASE: &str = "correct horse battery";
/// A recovery phrase of somebody else's keys.
const PHRASE: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                      abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art";

/// A person with `bard` at hand.
fn person() -> Person {
    let person = Person::new();
    fs::create_dir(person.home().join("bin")).unwrap();
    std::os::unix::fs::symlink(bard(), person.home().join("bin/bard")).unwrap();
    person
}

/// Types a line into a shell, answers what is asked, in this order, and waits for the end, which is a good one.
fn type_line(person: &Person, api: &str, line: &str, answers: &[(&str, &str)], shown: &str) {
    let line = typed(line);
    let script = format!("PATH=$HOME/bin:$PATH BARD_API={api}; export PATH BARD_API; {line}");
    let mut terminal = person.run_program(Path::new("/bin/sh"), &["-c", &script]);
    for (question, answer) in answers {
        terminal.wait_for(question);
        if *answer == PASSPHRASE {
            terminal.wait(&format!("{line}: what is typed is not shown"), |terminal| terminal.hides_what_is_typed());
        }
        terminal.type_keys(answer);
        terminal.type_keys(ENTER);
    }
    let status = terminal.end();
    terminal.wait_for(shown);
    assert_eq!(status.exit_code(), 0, "{line}: {}", terminal.text());
    assert!(!terminal.bytes().contains(PASSPHRASE), "{line}: {}", terminal.text());
}

/// What is asked after this line, with the answers, and what is shown then.
fn dialogue(line: &str) -> (Vec<(&'static str, &'static str)>, &'static str) {
    let words: Vec<_> = line.split_whitespace().collect();
    match (words[1], words[2]) {
        ("wallet", "passphrase") => (vec![("New passphrase:", PASSPHRASE), ("Once more:", PASSPHRASE)], "\n"),
        ("wallet", "import") if line.contains(" --phrase") => {
            (vec![("Recovery phrase", PHRASE), ("Passphrase:", PASSPHRASE)], "old bard1")
        }
        ("wallet", "import") if line.contains(" --secret-file") => (vec![("Passphrase:", PASSPHRASE)], "ben bard1"),
        ("wallet", "import") => (Vec::new(), "cleo bard1"),
        ("wallet", "export") => (vec![("Passphrase:", PASSPHRASE)], ""),
        ("wallet", "remove") => (vec![("[y/N]", "y")], "removed anna"),
        ("wallet", "list") => (Vec::new(), "no passphrase"),
        ("wallet", "show") => (Vec::new(), "\u{2588}"),
        ("wallet", "phrase") => (Vec::new(), "24 "),
        ("wallet", "new") => (Vec::new(), "anna bard1"),
        ("tx", "sign") => (vec![("Sign this? [y/N]", "y"), ("Passphrase:", PASSPHRASE)], "signed: "),
        ("tx", "show") => (Vec::new(), "signed"),
        _ => (Vec::new(), ""),
    }
}

fn lines(section: &[Block]) -> Vec<String> {
    section.iter().flat_map(Block::lines).collect()
}

#[test]
fn keys_are_kept_as_documented() {
    let person = person();
    let node = person.node();
    fs::write(person.home().join("ben.secret"), "17".repeat(32)).unwrap();
    let made = lines(&section("docs/wallet.md", "Keys"));
    let address = node.http.get("/api/v1/node").success()["address"].as_str().unwrap().to_owned();
    let (last, first) = made.split_last().unwrap();
    for line in first {
        let line = line.replace("bard1...", &address);
        let line = match line.contains(" --out FILE") {
            true => line.replace("FILE", "anna.secret"),
            false => line.replace("FILE", "ben.secret"),
        };
        let (answers, shown) = dialogue(&line);
        type_line(&person, "http://127.0.0.1:1/", &line, &answers, shown);
    }
    let secret = fs::read_to_string(person.home().join("anna.secret")).unwrap();
    assert_eq!(secret.trim().len(), 64, "a secret has 64 hex digits");
    for line in lines(&section("docs/wallet.md", "Signing on a machine without a network")) {
        let line = line.replace("bard1...", &address);
        let (answers, shown) = dialogue(&line);
        type_line(&person, &node.api, &line, &answers, shown);
    }
    let (answers, shown) = dialogue(last);
    type_line(&person, "http://127.0.0.1:1/", last, &answers, shown);
    node.stop();
}
