//! Colours on a terminal, and none where they are not wanted.

use bard_tests::process::Node;

use crate::screen::{ENTER, Person};

/// Whether a text tells a terminal to change colours or other attributes.
fn has_colours(text: &str) -> bool {
    text.split("\x1b[").skip(1).any(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';');
        end.and_then(|end| rest[end..].chars().next()) == Some('m')
    })
}

#[test]
fn prompt_errors_and_news_have_colours() {
    let node = Person::new().node();
    let terminal = &node.terminal;
    terminal.wait("the prompt is coloured", |terminal| terminal.is_coloured("bard>"));
    terminal.type_keys("frobnicate");
    terminal.type_keys(ENTER);
    terminal.wait("an error is coloured", |terminal| terminal.is_coloured("error: frobnicate"));
    node.mine();
    terminal.wait("news are dim", |terminal| terminal.is_coloured("* block 1"));
    terminal.command("balance alice");
    terminal.wait_for("alice bard1");
    assert!(!terminal.is_coloured("alice bard1"), "an answer is not");
    assert!(has_colours(&terminal.bytes()));
    node.stop();
}

#[test]
fn none_with_no_color() {
    let node = Person::new().with("NO_COLOR", "1").node();
    let terminal = &node.terminal;
    terminal.command("frobnicate");
    terminal.wait_for("error: frobnicate");
    node.mine();
    terminal.wait_for("* block 1 ");
    terminal.command("send");
    terminal.wait_for("usage: send");
    assert!(!has_colours(&terminal.bytes()), "{:?}", terminal.bytes());
    node.stop();
}

#[test]
fn a_terminal_that_can_do_nothing_is_a_pipe() {
    let node = Node::start();
    let console = Person::new().with("TERM", "dumb").run(&["console", "--api", &node.file().api]);
    console.wait_for("BlockBard is ready");
    console.type_keys("balance alice\n");
    console.wait_for("alice bard1");
    console.type_keys("1\n");
    console.wait_for("error: usage: 1 ITEM");
    assert!(!console.bytes().contains('\x1b'), "{:?}", console.bytes());
}
