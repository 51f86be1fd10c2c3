//! A transaction for every reason to refuse one, each alone and in a block. Each case returns the reason it got.

use bard_chain::{
    engine::Refused,
    hash::ChainId,
    invalid::{Invalid, TransactionFault},
    ledger::{
        Overlay,
        apply::{ApplyError, apply_transaction},
    },
    spec::ChainSpec,
    transaction::{Action, ItemName, Transaction},
    units::{Amount, Nonce},
};
use bard_tests::{
    actions::{address, hand_over, key, pay, record, release, request},
    chain_builder::{MemoryNode, easy_spec, seal},
};

/// The fault for which a block is refused because of the last of these transactions.
fn fault_in_block(node: &MemoryNode, transactions: Vec<Transaction>) -> TransactionFault {
    let last = transactions.len() as u64 - 1;
    let block = seal(node.spec(), node.draft(transactions));
    let reason = match node.read(&block) {
        Err(reason) => reason,
        Ok(block) => match node.engine().accept(&block, node.late(), node) {
            Err(Refused::Invalid(reason)) => reason,
            other => panic!("not refused: {other:?}"),
        },
    };
    match reason {
        Invalid::Transaction { index, fault } if index == last => fault,
        other => panic!("refused for another reason: {other:?}"),
    }
}

/// The fault of a transaction that is wrong in itself, the same alone and in a block.
fn fault_alone(node: &MemoryNode, transaction: &Transaction) -> TransactionFault {
    let fault = node.check(transaction).expect_err("refused");
    assert_eq!(fault_in_block(node, vec![transaction.clone()]), fault);
    fault
}

/// The fault of a transaction that is right in itself and cannot apply, the same alone and in a block.
fn fault_in_state(node: &MemoryNode, transaction: &Transaction) -> TransactionFault {
    assert!(node.check(transaction).is_ok(), "right in itself");
    let mut ledger = Overlay::new(node.ledger());
    let Err(ApplyError::Fault(fault)) = apply_transaction(&mut ledger, transaction) else { panic!("it applies") };
    assert!(ledger.into_delta().accounts.is_empty(), "a refused transaction changes nothing");
    assert_eq!(fault_in_block(node, vec![transaction.clone()]), fault);
    fault
}

/// A transaction of alice, changed and signed again.
fn signed(node: &MemoryNode, change: impl FnOnce(&mut Transaction)) -> Transaction {
    let mut transaction = node.sign("alice", 0, 0, pay("bob", 1));
    change(&mut transaction);
    transaction.signature = key("alice").sign(&transaction.signing_hash(node.engine().chain()));
    transaction
}

pub(crate) fn bytes_that_are_no_transaction() -> TransactionFault {
    let node = MemoryNode::default();
    let good = bard_chain::encoding::encode(&node.sign("alice", 0, 0, pay("bob", 1)));
    assert!(node.check_bytes(&good).is_ok());
    for end in 0..good.len() {
        assert!(matches!(node.check_bytes(&good[..end]), Err(TransactionFault::Encoding(_))), "cut off after {end}");
    }
    node.check_bytes(b"junk").expect_err("refused")
}

pub(crate) fn a_transaction_of_another_version() -> TransactionFault {
    let node = MemoryNode::default();
    assert!(node.check(&signed(&node, |transaction| transaction.version = 1)).is_ok());
    assert_eq!(
        fault_alone(&node, &signed(&node, |transaction| transaction.version = 0)),
        TransactionFault::Version { version: 0 }
    );
    fault_alone(&node, &signed(&node, |transaction| transaction.version = 2))
}

pub(crate) fn a_transfer_of_nothing() -> TransactionFault {
    let node = MemoryNode::default();
    fault_alone(&node, &node.sign("alice", 0, 5, pay("bob", 0)))
}

pub(crate) fn an_amount_larger_than_any_supply() -> TransactionFault {
    let node = MemoryNode::default();
    let most = Amount::MAX.get();
    assert!(node.check(&node.sign("alice", 0, 0, pay("bob", most))).is_ok());
    let amount = Amount::new(most + 1);
    let fault = fault_alone(&node, &node.sign("alice", 0, 0, pay("bob", most + 1)));
    assert_eq!(fault, TransactionFault::AmountTooLarge { amount });
    fault_alone(&node, &node.sign("alice", 0, 0, pay("bob", u64::MAX)))
}

pub(crate) fn a_fee_larger_than_any_supply() -> TransactionFault {
    let node = MemoryNode::default();
    let most = Amount::MAX.get();
    assert!(node.check(&node.sign("alice", 0, most, pay("bob", 1))).is_ok());
    let fault = fault_alone(&node, &node.sign("alice", 0, most + 1, pay("bob", 1)));
    assert_eq!(fault, TransactionFault::FeeTooLarge { fee: Amount::new(most + 1) });
    fault
}

pub(crate) fn names_that_no_item_may_have() -> TransactionFault {
    let node = MemoryNode::default();
    let longest = "x".repeat(ItemName::MAX_LEN);
    assert!(node.check(&node.sign("alice", 0, 0, request(&longest))).is_ok());
    // 33 two-byte characters: the limit is in bytes.
    let too_many_bytes = "é".repeat(33);
    for name in ["", " x", "x ", "a\nb", "\u{7f}", "\u{85}", "\0", &(longest.clone() + "x"), &too_many_bytes] {
        for action in [request(name), release(name), hand_over(name, "bob")] {
            assert_eq!(fault_alone(&node, &node.sign("alice", 0, 0, action)), TransactionFault::ItemName, "{name:?}");
        }
    }
    fault_alone(&node, &node.sign("alice", 0, 0, request("")))
}

pub(crate) fn a_record_one_byte_too_long() -> TransactionFault {
    let node = MemoryNode::new(ChainSpec { max_record_bytes: 100, ..easy_spec() });
    assert!(node.check(&node.sign("alice", 0, 0, record(&"x".repeat(100)))).is_ok());
    let fault = fault_alone(&node, &node.sign("alice", 0, 0, record(&"x".repeat(101))));
    assert_eq!(fault, TransactionFault::RecordTooLarge { length: 101, limit: 100 });
    fault
}

pub(crate) fn content_types_that_are_none() -> TransactionFault {
    let node = MemoryNode::default();
    let of = |content_type: &str| {
        let action = Action::Record { content_type: content_type.to_owned(), bytes: Vec::new() };
        node.sign("alice", 0, 0, action)
    };
    assert!(node.check(&of(&"x".repeat(64))).is_ok());
    for content_type in ["text plain", "text/plain\n", "téxt", "\u{7f}", &"x".repeat(65)] {
        assert_eq!(fault_alone(&node, &of(content_type)), TransactionFault::RecordContentType, "{content_type:?}");
    }
    fault_alone(&node, &of(""))
}

pub(crate) fn signatures_of_something_or_somebody_else() -> TransactionFault {
    let node = MemoryNode::default();
    let good = node.sign("alice", 0, 1, pay("bob", 1));
    assert!(node.check(&good).is_ok());
    let tampered = |change: &dyn Fn(&mut Transaction)| {
        let mut transaction = good.clone();
        change(&mut transaction);
        assert_eq!(fault_alone(&node, &transaction), TransactionFault::Signature);
    };
    tampered(&|transaction| transaction.sender = address("bob"));
    tampered(&|transaction| transaction.nonce = Nonce::new(1));
    tampered(&|transaction| transaction.fee = Amount::new(2));
    tampered(&|transaction| transaction.action = pay("carol", 1));
    tampered(&|transaction| transaction.action = pay("bob", 2));
    for bit in 0..512_usize {
        let mut transaction = good.clone();
        let mut bytes = *transaction.signature.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        transaction.signature = bard_chain::signature::Signature::new(bytes);
        assert!(matches!(node.check(&transaction), Err(TransactionFault::Signature)), "bit {bit} flipped");
    }
    let of_another_chain = Transaction::sign(ChainId::ZERO, &key("alice"), Nonce::ZERO, Amount::ZERO, pay("bob", 1));
    fault_alone(&node, &of_another_chain)
}

pub(crate) fn a_replay() -> TransactionFault {
    let mut node = MemoryNode::default();
    let once = node.sign("alice", 0, 1, pay("bob", 5));
    assert!(matches!(fault_in_block(&node, vec![once.clone(), once.clone()]), TransactionFault::NonceUsed { .. }));
    node.extend(vec![once.clone()]);
    let fault = fault_in_state(&node, &once);
    assert_eq!(fault, TransactionFault::NonceUsed { nonce: Nonce::ZERO, expected: Nonce::new(1) });
    fault
}

pub(crate) fn a_nonce_too_far() -> TransactionFault {
    let node = MemoryNode::default();
    let fault = fault_in_state(&node, &node.sign("alice", 1, 1, pay("bob", 5)));
    assert_eq!(fault, TransactionFault::NonceGap { nonce: Nonce::new(1), expected: Nonce::ZERO });
    fault
}

pub(crate) fn more_than_the_sender_has() -> TransactionFault {
    let mut node = MemoryNode::default();
    let too_much = node.sign("alice", 0, 1, pay("bob", 250_000));
    let (balance, spent) = (Amount::new(250_000), Amount::new(250_001));
    assert_eq!(fault_in_state(&node, &too_much), TransactionFault::BalanceTooSmall { balance, spent });
    let fee_alone = node.sign("alice", 0, 250_001, record("x"));
    assert!(matches!(fault_in_state(&node, &fee_alone), TransactionFault::BalanceTooSmall { .. }));
    let to_oneself = node.sign("alice", 0, 0, pay("alice", 250_001));
    let fault = fault_in_state(&node, &to_oneself);
    node.extend(vec![node.sign("alice", 0, 1, pay("bob", 249_999))]);
    node.assert_invariants();
    fault
}

pub(crate) fn more_than_the_recipient_can_hold() -> TransactionFault {
    // No checked specification is like this one: no supply may be that large.
    let mut allocations = vec![(address("alice"), Amount::new(u64::MAX)), (address("bob"), Amount::new(u64::MAX))];
    allocations.sort_unstable();
    let node = MemoryNode::new(ChainSpec { allocations, ..easy_spec() });
    let to_herself = node.sign("alice", 0, 0, pay("alice", 1));
    let mut ledger = Overlay::new(node.ledger());
    assert!(apply_transaction(&mut ledger, &to_herself).is_ok(), "paying oneself needs no more room");
    fault_in_state(&node, &node.sign("alice", 0, 0, pay("bob", 1)))
}

/// A chain on which alice holds the projector, and the beamer is free again.
fn with_items() -> MemoryNode {
    let mut node = MemoryNode::default();
    let actions = [request("projector"), request("beamer"), release("beamer")];
    node.extend(actions.into_iter().zip(0..).map(|(action, nonce)| node.sign("alice", nonce, 0, action)).collect());
    node
}

pub(crate) fn a_request_for_a_held_item() -> TransactionFault {
    let node = with_items();
    let item = "projector".to_owned();
    let again = fault_in_state(&node, &node.sign("alice", 3, 0, request("projector")));
    assert_eq!(again, TransactionFault::ItemHeld { item }, "not even by its holder");
    let both = vec![node.sign("bob", 0, 0, request("beamer")), node.sign("carol", 0, 0, request("beamer"))];
    let item = "beamer".to_owned();
    assert_eq!(fault_in_block(&node, both), TransactionFault::ItemHeld { item }, "two requests in one block");
    fault_in_state(&node, &node.sign("bob", 0, 0, request("projector")))
}

pub(crate) fn a_release_of_a_free_item() -> TransactionFault {
    let node = with_items();
    for (item, action) in [
        ("beamer", release("beamer")),
        ("beamer", hand_over("beamer", "bob")),
        ("never named", release("never named")),
        ("never named", hand_over("never named", "bob")),
    ] {
        let fault = fault_in_state(&node, &node.sign("alice", 3, 0, action));
        assert_eq!(fault, TransactionFault::ItemFree { item: item.to_owned() });
    }
    let twice = [release("projector"), release("projector")];
    let twice = twice.into_iter().zip(3..).map(|(action, nonce)| node.sign("alice", nonce, 0, action)).collect();
    fault_in_block(&node, twice)
}

pub(crate) fn a_release_of_another_s_item() -> TransactionFault {
    let node = with_items();
    let item = "projector".to_owned();
    let theft = fault_in_state(&node, &node.sign("bob", 0, 0, hand_over("projector", "bob")));
    assert_eq!(theft, TransactionFault::ItemOfAnother { item });
    fault_in_state(&node, &node.sign("bob", 0, 0, release("projector")))
}
