//! The console with numbers of the program over TCP sockets, number by number as its README has it, on two nodes; and what the
//! command line with four entries did. On a pipe: what a person is asked for follows the number.

use bard_tests::process::{Node, PATIENCE, wait_until};

/// The lines of an answer, without ids and hashes, which differ from run to run.
fn shapes(node: &Node, line: &str) -> Vec<String> {
    let short = |word: &str| if word.len() >= 40 { "ID".to_owned() } else { word.to_owned() };
    node.ask(line).iter().map(|line| line.split_whitespace().map(short).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn number_by_number_on_two_nodes() {
    let (one, two) = (Node::start(), Node::start());
    let menu = one.ask("menu");
    assert_eq!(menu.len(), 11, "{menu:?}");
    for (number, line) in (1..=10).zip(&menu) {
        assert!(line.trim_start().starts_with(&format!("{number}  ")), "{line}");
    }
    // 6 connect to peer
    let port = one.bare_address().rsplit('/').next().unwrap();
    assert_eq!(two.ask_line(&format!("6 127.0.0.1 {port}")), format!("connected to {}", one.peer_id()));
    one.wait_for_peers(1);
    // 7 list connected peers
    assert_eq!(two.ask("7")[0], "connected peers (1):");
    assert!(one.ask("7")[1].contains(two.peer_id()));
    // 3 and 4 before anything was requested
    assert_eq!(one.ask("3"), ["all items are available"]);
    assert_eq!(one.ask("4"), ["no items are available"]);
    // 1 request (single): in a block at once, and on the other node by itself
    assert_eq!(shapes(&one, "1 hammer"), ["in the pool: ID me requests hammer", "mined block 1 ID"]);
    one.wait_for_same_tip(&two);
    assert!(two.ask("3")[1].trim_start().starts_with("hammer  held by bard1"), "{:?}", two.ask("3"));
    assert_eq!(one.ask("3"), ["reserved items:", "  hammer  held by me"]);
    // 1 of what somebody holds, 2 of what somebody else holds
    let refused = two.ask_line("1 hammer");
    assert!(refused.starts_with("error: ") && refused.contains("hammer"), "{refused}");
    assert!(two.ask_line("2 hammer").starts_with("error: "));
    assert!(two.ask_line("2 hamer").contains("did you mean hammer?"));
    // 5 request (multiple): all or nothing
    assert!(two.ask_line("5 drill, hammer").starts_with("error: "));
    assert_eq!(two.pool().len(), 0);
    assert_eq!(two.ask("5 drill, saw").len(), 3);
    one.wait_for_same_tip(&two);
    assert_eq!(one.ask("3").len(), 4);
    // 2 release
    assert_eq!(shapes(&one, "2 hammer"), ["in the pool: ID me releases hammer", "mined block 3 ID"]);
    one.wait_for_same_tip(&two);
    assert_eq!(two.ask("4"), ["available items:", "  hammer  available"]);
    // 8 sync chain from network
    assert_eq!(two.ask_line("8"), "asked 1 peers, 1 answered: nobody is ahead, height 3");
    // 9 report blockchain status
    for node in [&one, &two] {
        let status = node.ask("9");
        assert!(status.contains(&"items         2 reserved, 1 available".to_owned()), "{status:?}");
        assert!(status.contains(&"height        3".to_owned()), "{status:?}");
        assert_eq!(status.last().map(String::as_str), Some("chain is valid"));
    }
    // 10 exit
    for mut node in [one, two] {
        node.type_line("10");
        assert_eq!(node.wait_for_end(PATIENCE).code(), Some(0));
    }
}

#[test]
fn a_number_without_what_it_needs_says_so() {
    let node = Node::start();
    for (line, problem) in [
        ("1", "error: usage: 1 ITEM"),
        ("2", "error: usage: 2 ITEM"),
        ("5", "error: usage: 5 ITEM..."),
        ("6", "error: usage: 6 HOST PORT"),
        ("6 localhost", "error: usage: 6 HOST PORT"),
        ("3 lamp", "error: usage: 3"),
        ("0", "error: 0 is not a number of the menu, 1 to 10: `menu` lists them"),
        ("11", "error: 11 is not a number of the menu, 1 to 10: `menu` lists them"),
    ] {
        assert_eq!(node.ask_line(line), problem, "{line}");
    }
    assert_eq!(node.height(), 0);
}

#[test]
fn a_node_that_mines_is_not_told_to_mine() {
    let node = Node::start();
    node.ask("mine on");
    let answer = node.ask("1 lamp");
    assert_eq!(answer.last().map(String::as_str), Some("the next block has it: this node mines"), "{answer:?}");
    wait_until("the lamp is taken", PATIENCE, || node.ask("3").len() == 2);
}

#[test]
fn the_four_entries_of_the_command_line() {
    let mut node = Node::start();
    // 1. Add transactions and mine a new block
    assert_eq!(shapes(&node, "mine 1 --data Alice pays Bob 10 BTC"), ["mined block 1 ID"]);
    // 2. View blockchain
    assert_eq!(node.ask("chain 0").len(), 2);
    let block = node.ask("block 1");
    for part in ["block         1", "hash          ", "previous      ", "time          ", "nonce         "] {
        assert!(block.iter().any(|line| line.starts_with(part)), "{part}: {block:?}");
    }
    assert!(block.iter().any(|line| line.ends_with("records \"Alice pays Bob 10 BTC\"")), "{block:?}");
    // 3. Verify blockchain integrity
    let verified = node.ask_line("verify");
    assert!(verified.starts_with("the chain is valid: 1 blocks and 1 transactions"), "{verified}");
    // 4. Exit
    node.type_line("quit");
    assert_eq!(node.wait_for_end(PATIENCE).code(), Some(0));
}
