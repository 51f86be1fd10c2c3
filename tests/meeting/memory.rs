//! The peer book: a node that is started again finds its peers by what it remembers.

use std::{fs, time::Duration};

use bard_tests::process::{PATIENCE, holds_for, wait_until};

use crate::group::{alone, is_found_by};

#[test]
fn a_restarted_node_finds_its_peers_by_its_book_alone() {
    let hub = alone().start();
    // By a line at the console, which is not there when it starts again.
    let builder = alone();
    let mut node = builder.start();
    node.ask(&format!("connect {}", hub.address()));
    node.wait_for_peers(1);
    node.stop();
    let book = fs::read_to_string(builder.dir().join("peers.json")).unwrap();
    assert!(book.contains(hub.peer_id()), "{book}");
    let again = builder.start();
    again.wait_for_peers(1);
    assert_eq!(again.peers(), [hub.peer_id()]);
    assert!(is_found_by(std::slice::from_ref(&again), "book"));
    hub.mine(1);
    again.wait_for_same_tip(&hub);
}

#[test]
fn what_is_remembered_survives_a_kill() {
    let hub = alone().start();
    let builder = alone();
    let mut node = builder.start();
    node.ask(&format!("connect {}", hub.address()));
    let file = builder.dir().join("peers.json");
    wait_until("the book is written", PATIENCE, || {
        fs::read_to_string(&file).is_ok_and(|book| book.contains(hub.peer_id()))
    });
    node.kill9();
    let again = builder.start();
    again.wait_for_peers(1);
}

#[test]
fn a_damaged_book_is_set_aside_and_begun_anew() {
    let hub = alone().start();
    let builder = alone();
    fs::create_dir_all(builder.dir()).unwrap();
    fs::write(builder.dir().join("peers.json"), "{ half a book").unwrap();
    let node = builder.start();
    let lines = || node.stderr().text().lines().filter(|line| line.contains("peers.json.damaged")).count();
    wait_until("one line says so", PATIENCE, || lines() == 1);
    holds_for("nobody is known", Duration::from_secs(1), || node.peers().is_empty());
    node.ask(&format!("connect {}", hub.address()));
    let file = builder.dir().join("peers.json");
    wait_until("the book is begun anew", PATIENCE, || {
        fs::read_to_string(&file).is_ok_and(|book| book.contains(hub.peer_id()))
    });
    assert_eq!(fs::read_to_string(builder.dir().join("peers.json.damaged")).unwrap(), "{ half a book");
    assert_eq!(lines(), 1);
}
