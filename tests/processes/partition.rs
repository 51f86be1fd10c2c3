//! Parts of the network that were apart, and several nodes that want the same at once.

use std::time::Duration;

use bard_tests::process::{Node, PATIENCE, holds_for, wait_until};

/// How long two equal branches are watched.
const WHILE: Duration = Duration::from_secs(3);

fn connect(one: &Node, two: &Node) {
    assert_eq!(one.ask_line(&format!("connect {}", two.address())), format!("connected to {}", two.peer_id()));
    two.wait_for_peers(1);
}

#[test]
fn the_branch_with_more_work_wins_and_nothing_of_the_other_is_lost() {
    let (loser, winner) = (Node::start(), Node::start());
    let paid = loser.pay("alice", "bob", 7);
    loser.mine(3);
    let waiting = loser.pay("carol", "dave", 9);
    winner.mine(5);
    connect(&loser, &winner);
    loser.wait_for_same_tip(&winner);
    assert_eq!(winner.height(), 5);
    wait_until("what the lost branch held waits to be mined again", PATIENCE, || {
        let pool = loser.pool();
        pool.contains(&paid) && pool.contains(&waiting)
    });
    wait_until("the news say so", PATIENCE, || loser.stdout().contains("* reorganisation: "));
    assert!(loser.ask_line("verify").starts_with("the chain is valid: 5 blocks"));
    loser.mine(1);
    winner.wait_for_same_tip(&loser);
    for transaction in [&paid, &waiting] {
        assert_eq!(winner.mined_at(transaction), Some(6));
    }
    assert!(loser.pool().is_empty());
}

#[test]
fn the_winner_hears_of_the_transactions_of_the_lost_branch() {
    let (loser, winner) = (Node::start(), Node::start());
    let paid = loser.pay("alice", "bob", 7);
    loser.mine(1);
    winner.mine(2);
    connect(&loser, &winner);
    loser.wait_for_same_tip(&winner);
    wait_until("the winner can mine it", PATIENCE, || winner.pool() == [paid.clone()]);
}

#[test]
fn of_two_equal_branches_each_node_keeps_its_own_until_one_more_block() {
    let (one, two) = (Node::start(), Node::start());
    one.mine(2);
    two.mine(2);
    let (tip_of_one, tip_of_two) = (one.tip(), two.tip());
    connect(&one, &two);
    assert!(one.ask_line("sync").contains("1 answered: nobody is ahead"));
    holds_for("each keeps its own tip", WHILE, || one.tip() == tip_of_one && two.tip() == tip_of_two);
    let decided = two.mine(1);
    one.wait_for_same_tip(&two);
    assert_eq!(Some(&one.tip()), decided.last());
    holds_for("nothing goes back and forth", Duration::from_secs(1), || one.tip() == two.tip());
}

#[test]
fn an_item_that_two_want_at_once_has_one_holder_everywhere() {
    let one = Node::start();
    let two = Node::builder().bootstrap(one.address()).start();
    two.wait_for_peers(1);
    std::thread::scope(|scope| {
        scope.spawn(|| one.ask("request projector --as alice"));
        scope.spawn(|| two.ask("request projector --as bob"));
    });
    std::thread::scope(|scope| {
        scope.spawn(|| one.mine(1));
        scope.spawn(|| two.mine(1));
    });
    // Whichever of two equal blocks came first somewhere, these decide: the other may have mined upon the first of them.
    one.mine(2);
    two.wait_for_same_tip(&one);
    let holder = one.ask("items reserved");
    assert_eq!(holder.len(), 2, "{holder:?}");
    assert!(
        ["alice", "bob"].iter().any(|name| holder[1].ends_with(&format!("projector  held by {name}"))),
        "{holder:?}"
    );
    assert_eq!(two.ask("items reserved"), holder);
    wait_until("the other wish is dropped", PATIENCE, || one.pool().is_empty() && two.pool().is_empty());
    let holder = if holder[1].ends_with("alice") { "alice" } else { "bob" };
    let other = if holder == "alice" { "bob" } else { "alice" };
    assert!(two.ask_line(&format!("release projector --as {other}")).starts_with("error: "));
    assert!(two.ask_line(&format!("release projector --as {holder}")).starts_with("in the pool: "));
}
