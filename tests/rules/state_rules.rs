//! What a block does to the ledger when it is right: who gets what, in which order, and that nothing is lost.

use bard_chain::{
    engine::Refused,
    invalid::{Invalid, TransactionFault},
    ledger::View,
    spec::{ChainSpec, Subsidy},
};
use bard_tests::{
    actions::{address, hand_over, pay, record, release, request},
    chain_builder::{MemoryNode, easy_spec},
};

fn balance(node: &MemoryNode, name: &str) -> u64 {
    node.account(&address(name)).expect("in memory").balance.get()
}

#[test]
fn the_miner_gets_subsidy_and_fees() {
    let mut node = MemoryNode::default();
    node.miner = address("dave");
    node.extend(vec![node.sign("alice", 0, 3, pay("bob", 50)), node.sign("bob", 0, 4, record("x"))]);
    assert_eq!(balance(&node, "alice"), 250_000 - 53);
    assert_eq!(balance(&node, "bob"), 250_000 + 50 - 4);
    assert_eq!(balance(&node, "dave"), 250_000 + 10 + 3 + 4);
    node.assert_invariants();
}

#[test]
fn subsidies_halve_and_end_and_fees_go_on() {
    let subsidy = Subsidy { amount: 40, halving_interval: 2, last_height: 5 };
    let mut node = MemoryNode::new(ChainSpec { subsidy, ..easy_spec() });
    node.miner = address("dave");
    let mut got = Vec::new();
    for nonce in 0..7 {
        let before = balance(&node, "dave");
        node.extend(vec![node.sign("alice", nonce, 1, record("x"))]);
        got.push(balance(&node, "dave") - before);
    }
    assert_eq!(got, [41, 41, 21, 21, 11, 1, 1]);
    node.assert_invariants();
}

#[test]
fn the_subsidy_cannot_be_spent_in_its_own_block() {
    let mut node = MemoryNode::new(ChainSpec { allocations: Vec::new(), ..easy_spec() });
    node.miner = address("alice");
    let spend = node.sign("alice", 0, 0, pay("bob", 10));
    let early = node.mine(vec![spend.clone()]);
    let Err(Refused::Invalid(Invalid::Transaction { index: 0, fault })) = node.accept(&early) else {
        panic!("not refused")
    };
    assert!(matches!(fault, TransactionFault::BalanceTooSmall { .. }));
    node.extend(Vec::new());
    node.extend(vec![spend]);
    assert_eq!(balance(&node, "bob"), 10);
}

#[test]
fn money_can_pass_through_many_hands_in_one_block() {
    let mut node = MemoryNode::default();
    let hands = vec![
        node.sign("alice", 0, 0, pay("bob", 250_000)),
        node.sign("bob", 0, 0, pay("carol", 500_000)),
        node.sign("carol", 0, 0, pay("alice", 750_000)),
        node.sign("alice", 1, 0, pay("dave", 750_000)),
    ];
    node.extend(hands);
    assert_eq!(balance(&node, "dave"), 1_000_000);
    node.assert_invariants();
}

#[test]
fn the_order_of_transactions_counts() {
    let node = MemoryNode::default();
    let poor_first = vec![node.sign("bob", 0, 0, pay("carol", 500_000)), node.sign("alice", 0, 0, pay("bob", 250_000))];
    let block = node.mine(poor_first);
    let refused = node.engine().accept(&block, node.late(), &node).expect_err("refused");
    assert!(matches!(refused, Refused::Invalid(Invalid::Transaction { index: 0, .. })));
}

#[test]
fn an_item_goes_from_hand_to_hand_in_one_block() {
    let mut node = MemoryNode::default();
    node.extend(vec![
        node.sign("alice", 0, 0, request("projector")),
        node.sign("alice", 1, 0, hand_over("projector", "bob")),
        node.sign("bob", 0, 0, hand_over("projector", "carol")),
        node.sign("carol", 0, 0, release("projector")),
        node.sign("dave", 0, 0, request("projector")),
    ]);
    let held: Vec<_> = node.ledger().items().map(|(_, item)| item.holder).collect();
    assert_eq!(held, [Some(address("dave"))]);
    node.assert_invariants();
}

#[test]
fn an_item_may_be_handed_to_its_holder_or_to_nobody_s_address() {
    let mut node = MemoryNode::default();
    node.extend(vec![
        node.sign("alice", 0, 0, request("projector")),
        node.sign("alice", 1, 0, hand_over("projector", "alice")),
    ]);
    let held: Vec<_> = node.ledger().items().map(|(_, item)| item.holder).collect();
    assert_eq!(held, [Some(address("alice"))]);
    node.assert_invariants();
}

#[test]
fn names_of_items_are_compared_byte_by_byte() {
    let mut node = MemoryNode::default();
    // The same letter in two Unicode forms, and another case: different items.
    let names = ["\u{e9}", "e\u{301}", "Projector", "projector"];
    node.extend(names.into_iter().zip(0..).map(|(name, nonce)| node.sign("alice", nonce, 0, request(name))).collect());
    assert_eq!(node.ledger().items().count(), 4);
}

#[test]
fn an_emptied_account_keeps_its_nonce() {
    let mut node = MemoryNode::default();
    let all = node.sign("alice", 0, 0, pay("bob", 250_000));
    node.extend(vec![all.clone()]);
    node.extend(vec![node.sign("bob", 0, 0, pay("alice", 250_000))]);
    let replay = node.mine(vec![all]);
    assert!(node.accept(&replay).is_err(), "emptied and filled again, the old transaction stays used");
    node.assert_invariants();
}
