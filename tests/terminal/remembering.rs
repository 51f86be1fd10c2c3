//! Lines that were typed come back with the arrow up, in this run and in the next.

use std::{fs, os::unix::fs::PermissionsExt};

use bard_tests::process::{Node, PATIENCE, wait_until};

use crate::screen::{ENTER, Person, UP};

#[test]
fn lines_come_back_in_the_next_run() {
    let person = Person::new();
    let node = person.node();
    node.terminal.command("record first words");
    node.terminal.command("balance alice");
    node.terminal.command("balance alice");
    node.terminal.command(" record kept to myself");
    node.terminal.wait_for_prompt();
    let prompts = node.terminal.text().matches("bard>").count();
    node.terminal.type_keys(ENTER);
    node.terminal.wait("another prompt", |terminal| terminal.text().matches("bard>").count() > prompts);
    node.stop();
    let kept = fs::read_to_string(person.history()).unwrap();
    assert_eq!(kept, "record first words\nbalance alice\n");
    assert_eq!(fs::metadata(person.history()).unwrap().permissions().mode() & 0o777, 0o600);

    let elsewhere = Node::start();
    let console = person.console(&elsewhere.file().api);
    console.type_keys(UP);
    console.wait_for_line("bard> balance alice");
    console.type_keys(UP);
    console.wait_for_line("bard> record first words");
    console.type_keys(ENTER);
    console.wait_for("records \"first words\"");
    assert_eq!(elsewhere.pool().len(), 1);
}

#[test]
fn two_consoles_at_once_and_one_that_is_killed() {
    let (node, person) = (Node::start(), Person::new());
    let (mut one, two) = (person.console(&node.file().api), person.console(&node.file().api));
    // A line is kept just after the screen shows that it was taken.
    let kept = |lines: &str| {
        wait_until(lines, PATIENCE, || fs::read_to_string(person.history()).is_ok_and(|kept| kept == lines));
    };
    one.command("balance alice");
    kept("balance alice\n");
    two.command("balance bob");
    kept("balance alice\nbalance bob\n");
    one.command("balance carol");
    kept("balance alice\nbalance bob\nbalance carol\n");
    one.kill();
    two.command("balance dave");
    kept("balance alice\nbalance bob\nbalance carol\nbalance dave\n");
}

#[test]
fn a_history_that_cannot_be_used_is_one_warning() {
    let (node, person) = (Node::start(), Person::new());
    fs::create_dir_all(person.history()).unwrap();
    let console = person.console(&node.file().api);
    console.wait_for("warning: the history of the console cannot be read: ");
    console.command("balance alice");
    console.command("balance bob");
    console.wait_for_prompt();
    console.type_keys(UP);
    console.wait_for_line("bard> balance bob");
    assert_eq!(console.text().matches("warning: ").count(), 1, "{}", console.text());
    wait_until("still a directory", PATIENCE, || person.history().is_dir());
}
