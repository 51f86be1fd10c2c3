//! The console.

use std::{fs, io::Write, process::Stdio};

use bard_chain::address::Address;
use bard_tests::process::{Node, PATIENCE};

/// A megabyte and a half: longer than any line that is read.
const LONG: usize = 3 << 19;

/// Asserts that each line is answered with one error line that has its part, and that the node goes on.
fn assert_errors(node: &Node, lines: &[(&str, &str)]) {
    for (line, part) in lines {
        let answer = node.ask_line(line);
        assert!(answer.starts_with("error: "), "{line:?}: {answer}");
        assert!(answer.contains(part), "{line:?}: {part:?} is not in {answer}");
        assert!(!answer.chars().any(char::is_control), "{line:?}: {answer:?}");
    }
    assert_eq!(node.status_line("chain is"), "valid");
}

#[test]
fn lines_that_cannot_be_understood() {
    assert_errors(
        &Node::start(),
        &[
            ("frobnicate", "not a command"),
            ("stauts", "did you mean status"),
            ("STATUS", "not a command"),
            ("mine many", "not a whole number"),
            ("mine -1", "not a whole number"),
            ("mine 0", "not in 1 to"),
            ("mine 100001", "not in 1 to"),
            ("mine 99999999999999999999", "not a whole number"),
            ("mine on 3", "usage|not a whole number"),
            ("send", "usage: send"),
            ("send bob", "usage: send"),
            ("send alice bob ten", "not a whole number"),
            ("send alice bob 1 --fee", "usage: send"),
            ("record", "usage: record"),
            ("request", "usage: request"),
            ("release a b", "usage: release"),
            ("items everything", "usage: items"),
            ("block", "usage: block"),
            ("block moon", "neither a height nor a block hash"),
            ("tx 12", "not a transaction id"),
            ("chain 5 2", "below FROM"),
            ("connect", "usage: connect"),
            ("connect localhost 0x50", "not a port"),
            ("help me", "not a command"),
            ("help stauts", "did you mean status"),
            ("wallet lits", "did you mean `wallet list`"),
            ("mine onn", "did you mean `mine on`"),
            ("items resrved", "did you mean `items reserved`"),
            ("item", "usage: item ITEM"),
            ("transfer lamp", "usage: transfer"),
            ("quit now", "usage: quit"),
            ("\u{1b}[2J", "not a command"),
        ]
        .map(|(line, part)| (line, part.split('|').next_back().unwrap_or(part))),
    );
}

#[test]
fn what_cannot_be_done() {
    let node = Node::start();
    assert_errors(
        &node,
        &[
            ("block 1", "the chain ends at 0"),
            (&format!("block {}", "0".repeat(64)), "no block with id"),
            (&format!("tx {}", "0".repeat(64)), "no transaction with id"),
            ("send mallory bob 1", "mallory"),
            ("send alice mallory 1", "mallory"),
            ("send alice bob 0", ""),
            ("send alice bob 250001", ""),
            ("send alice bob 18446744073709551615", ""),
            ("send bob 1", ""),
            (&format!("send alice {} 1", Address::NOBODY), "anybody could take what is there"),
            (&format!("transfer lamp {} --as alice", Address::NOBODY), "anybody could take what is there"),
            ("release nothing", ""),
            ("request bad/../name --as nobody", "nobody"),
            ("balance mallory", "mallory"),
            ("connect /ip4/127.0.0.1/tcp/1", "cannot reach"),
            ("connect /memory/5", "not an address to connect to"),
            (&format!("connect {}", node.address()), "this node itself"),
            (&format!("connect {}", node.file().api), "this node itself"),
            ("connect localhost 1", "nothing listens there; http://localhost:1 cannot be reached"),
            ("connect http://127.0.0.1:1", "http://127.0.0.1:1 cannot be reached: nothing listens there"),
            ("connect https://127.0.0.1:1", "not an address"),
            ("connect moon:x", "not an address"),
        ],
    );
    assert!(node.pool().is_empty(), "nothing of it is in the pool");
}

#[test]
fn several_items_are_taken_together_or_not_at_all() {
    let node = Node::start();
    assert_eq!(node.ask("request ladder,drill saw --as alice").len(), 3);
    node.mine(1);
    assert!(node.ask_line("request hammer drill --as bob").starts_with("error: "));
    assert!(node.pool().is_empty(), "the hammer is not taken either");
    assert_eq!(node.ask("items reserved").len(), 4);
    assert!(node.ask_line("release drill --as alice").starts_with("in the pool"));
    node.mine(1);
    assert_eq!(node.ask("items available"), ["available items:", "  drill  available"]);
}

#[test]
fn mistyped_names_and_items_are_recognised() {
    let node = Node::start();
    node.ask("request ladder drill --as alice");
    node.mine(1);
    assert_errors(
        &node,
        &[
            ("balance alcie", "did you mean alice?"),
            ("send alice bbo 1", "did you mean bob?"),
            ("item lader", "nobody ever held \"lader\": did you mean ladder?"),
            ("release dril --as alice", "item dril is held by nobody: did you mean drill?"),
            ("transfer laddder bob --as alice", "did you mean ladder?"),
        ],
    );
    for (line, problem) in
        [("item spoon", "error: nobody ever held \"spoon\""), ("release spoon", "error: item spoon is held by nobody")]
    {
        assert_eq!(node.ask_line(line), problem);
    }
}

#[test]
fn an_item_has_a_history() {
    let node = Node::start();
    node.ask("request lamp --as alice");
    node.mine(1);
    assert!(node.ask_line("transfer lamp bob --as alice").ends_with("alice hands lamp to bob"));
    node.mine(1);
    let item = node.ask("item lamp");
    assert_eq!(item.len(), 3, "{item:?}");
    assert_eq!(item[0], "lamp  held by bob");
    assert!(item[1].starts_with("  block 1  nobody -> alice"), "{item:?}");
    assert!(item[2].starts_with("  block 2  alice -> bob"), "{item:?}");
    let before = node.ask("item lamp at 1");
    assert_eq!((before.len(), before[0].as_str()), (2, "lamp  held by alice at height 1"), "{before:?}");
    assert!(node.ask_line("item lamp at 9").starts_with("error: "));
}

#[test]
fn the_past_and_what_shows_a_transaction_are_asked_for() {
    let node = Node::start();
    let id = node.pay("alice", "bob", 5);
    assert!(node.ask_line(&format!("proof {id}")).starts_with("error: "), "it is not mined yet");
    node.mine(2);
    assert!(node.ask_line("balance bob at 0").ends_with(" 250000 at height 0"));
    assert!(node.ask_line("balance bob at 1").ends_with(" 250005 at height 1"));
    assert!(node.ask_line("balance at 1").ends_with("at height 1"));
    let proof = node.ask(&format!("proof {id}"));
    assert!(proof[1].ends_with("1 of 1") && proof[2].contains(" 1 "), "{proof:?}");
    let (dir, file) = (node.builder_of().home(), node.builder_of().home().join("a receipt"));
    let told = node.ask(&format!("receipt {id} {}", file.display()));
    assert!(told.iter().any(|line| line.contains(&id)), "{told:?}");
    assert_eq!(told.last().unwrap(), &format!("written to {}", file.display()));
    let checked = node.builder_of().tool(&["verify-receipt", file.to_str().unwrap()]);
    assert_eq!(checked.code(), Some(0), "{}", checked.stderr);
    let again = node.ask_line(&format!("receipt {id} {}", file.display()));
    assert!(again.starts_with("error: ") && again.contains("is there already"), "{again}");
    // An attached console writes where it runs.
    let mut attached = node.builder_of().tool_command(&["console", "--api", &node.file().api]);
    attached.stdin(Stdio::piped());
    let mut attached = attached.spawn().unwrap();
    attached.stdin.take().unwrap().write_all(format!("receipt {id}\nquit\n").as_bytes()).unwrap();
    let ended = attached.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(fs::read(dir.join(format!("{}.receipt", &id[..16]))).unwrap(), fs::read(&file).unwrap());
}

#[test]
fn every_command_of_the_help_is_answered() {
    let node = Node::start();
    let help = node.ask("help");
    assert!(help.len() > 10, "{help:?}");
    for line in help {
        let name = line.split(' ').next().unwrap();
        let one = node.ask(&format!("help {name}"));
        assert!(one.len() == 2 && one[0].starts_with(name), "{one:?}");
    }
    for line in
        ["status", "node", "peers", "pool", "items", "wallets", "balance", "chain", "block tip", "verify", "sync"]
    {
        let answer = node.ask(line);
        assert!(!answer.is_empty() && !answer[0].starts_with("error"), "{line}: {answer:?}");
    }
    assert_eq!(node.ask(""), Vec::<String>::new());
    assert_eq!(node.ask("   \t "), Vec::<String>::new());
    assert_eq!(node.ask("  status\r"), node.ask("status"));
}

#[test]
fn junk_is_answered_line_by_line() {
    let node = Node::start();
    let junk: Vec<u8> = (0..=255_u8).filter(|byte| *byte != b'\n').collect();
    for bytes in [junk.as_slice(), b"\xff\xfe\xfd", b"\0\0\0", "mine \u{661}".as_bytes(), b"status\0"] {
        let answer = node.ask_bytes(&[bytes, b"\n"].concat(), PATIENCE);
        assert_eq!(answer.len(), 1, "{answer:?}");
        assert!(answer[0].starts_with("error: "), "{answer:?}");
        assert!(!answer[0].chars().any(char::is_control), "{answer:?}");
    }
    assert_eq!(node.height(), 0);
}

#[test]
fn a_line_without_end_is_one_error() {
    let node = Node::start();
    for start in ["mine 1 --data ", "record ", "status ", "x"] {
        let line = format!("{start}{}\n", "y ".repeat(LONG / 2));
        let answer = node.ask_bytes(line.as_bytes(), PATIENCE);
        assert_eq!(answer.len(), 1, "{start}: {} lines, the first: {:?}", answer.len(), answer.first());
        assert!(answer[0].starts_with("error: "), "{start}: {}", answer[0]);
        assert!(answer[0].len() < 300, "{start}: {} bytes", answer[0].len());
    }
    assert_eq!((node.height(), node.pool().len()), (0, 0));
}

#[test]
fn lines_typed_ahead_are_answered_in_their_order() {
    let node = Node::start();
    node.type_bytes(&b"mine\nblock tip\n".repeat(20));
    let answers = node.ask("status");
    let heights = answers.iter().filter_map(|line| line.strip_prefix("block         "));
    let heights: Vec<u32> = heights.map(|height| height.parse().unwrap()).collect();
    assert_eq!(heights, (1..=20).collect::<Vec<_>>());
}
