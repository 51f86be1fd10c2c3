//! Passphrases are asked for, never shown, and never remembered.

use std::fs;

use crate::screen::{ENTER, Person, UP};

const PASSPHRASE: &str = "correct horse battery";

#[test]
fn a_passphrase_is_neither_shown_nor_remembered() {
    let person = Person::new();
    let file = person.home().join("passphrase");
    fs::write(&file, PASSPHRASE).unwrap();
    // A first start that is given a passphrase protects the new keystore by it.
    let node = person.clone().with("BARD_PASSPHRASE", PASSPHRASE).node();
    node.terminal.command("balance");
    node.stop();

    let node = person.node();
    let terminal = &node.terminal;
    terminal.wait_for("the keys are locked");
    terminal.type_keys("record before");
    terminal.type_keys(ENTER);
    terminal.wait_for("error: ");
    terminal.wait_for_prompt();
    terminal.type_keys("wallet unlock");
    terminal.type_keys(ENTER);
    terminal.wait_for_line("Passphrase:");
    terminal.wait("it is not shown", |terminal| terminal.hides_what_is_typed());
    terminal.type_keys(PASSPHRASE);
    terminal.type_keys(ENTER);
    terminal.wait_for("the keys are open");
    terminal.command("record after");
    terminal.wait_for("records \"after\"");
    assert!(!terminal.bytes().contains("horse"), "{}", terminal.text());
    // One that is part of the line is refused, and forgotten.
    terminal.wait_for_prompt();
    terminal.type_keys("wallet unlock tr0mbone");
    terminal.type_keys(ENTER);
    terminal.wait_for("error: type `wallet unlock` alone");
    terminal.wait_for_prompt();
    terminal.type_keys(UP);
    terminal.wait_for_line("bard> record after");
    terminal.type_keys(UP);
    terminal.wait_for_line("bard> wallet unlock");
    node.stop();
    let kept = fs::read_to_string(person.history()).unwrap();
    assert_eq!(kept, "balance\nrecord before\nwallet unlock\nrecord after\n");
}
