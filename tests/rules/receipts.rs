//! Receipts: what they show, and every reason to refuse one.

use bard_chain::{
    block::{Block, Header},
    hash::BlockId,
    invalid::{Invalid, TransactionFault},
    merkle::{self, InclusionProof},
    presets,
    receipt::{Checked, Checkpoint, MAX_HEADERS, NotACheckpoint, Receipt, ReceiptFault, VERSION},
    transaction::Action,
    units::{Amount, Height, Timestamp, Work},
};
use bard_tests::{
    actions::address,
    chain_builder::{MemoryNode, unseal},
};
use proptest::prelude::*;

/// A chain of six blocks whose fourth has three transactions, and the receipt of the second of these.
fn example() -> (MemoryNode, Receipt) {
    let mut node = MemoryNode::default();
    let mut headers = Vec::new();
    let pay = |nonce| Action::Transfer { to: address("bob"), amount: Amount::new(nonce + 1) };
    let transactions: Vec<_> = (0..3).map(|nonce| node.sign("alice", nonce, 0, pay(nonce))).collect();
    let mut proof = None;
    for height in 1..=6 {
        let block = node.mine(if height == 4 { transactions.clone() } else { Vec::new() });
        if height == 4 {
            proof = InclusionProof::new(block.transaction_ids(), 1);
        }
        headers.push(block.header().clone());
        node.accept_at(&block, node.late()).expect("accepted");
    }
    let receipt = Receipt {
        version: VERSION,
        specification: node.spec().to_toml(),
        transaction: transactions[1].clone(),
        height: Height::new(4),
        proof: proof.expect("in the block"),
        headers,
    };
    (node, receipt)
}

/// The clock of a reader.
fn later_than_all() -> Timestamp {
    MemoryNode::default().late()
}

fn work_of(headers: &[Header]) -> Work {
    headers.iter().map(|header| header.target.expand().expect("a target").work()).fold(Work::ZERO, Work::saturating_add)
}

/// A receipt that anybody can make with the work of one block: real headers, the last of them block 4, and an own one with a
/// transaction that the chain does not have.
fn forged() -> (Receipt, Receipt) {
    let (node, receipt) = example();
    let transaction = node.sign("dave", 7, 0, Action::Transfer { to: address("bob"), amount: Amount::new(1_000) });
    let ids = [transaction.id()];
    let parent = receipt.headers[3].id(node.spec().pow);
    let header = Header { parent, transactions_root: merkle::root(&ids), ..receipt.headers[4].clone() };
    let own = bard_tests::chain_builder::seal(node.spec(), Block { header, transactions: Vec::new() }).header;
    let headers = receipt.headers[..4].iter().cloned().chain([own]).collect();
    let proof = InclusionProof::new(&ids, 0).expect("one");
    let forged = Receipt { transaction, height: Height::new(5), proof, headers, ..receipt.clone() };
    (receipt, forged)
}

#[test]
fn a_known_block_before_the_transaction_shows_nothing() {
    let (receipt, whole) = forged();
    let pow = presets::dev().pow;
    let short = Receipt { headers: whole.headers[3..].to_vec(), ..whole.clone() };
    for forged in [whole.clone(), short] {
        let alone = forged.check(None, later_than_all()).expect("one block's work makes it");
        assert_eq!(alone.work, work_of(&whole.headers[4..]), "and that is what it says of itself");
        let (block, known) = (receipt.headers[3].id(pow), Height::new(4));
        let before = Err(ReceiptFault::KnownBefore { block, known, height: Height::new(5) });
        assert_eq!(forged.check(Some(&block), later_than_all()), before);
        assert_eq!(forged.check_against(&Checkpoint { height: known, block }, later_than_all()), before);
    }
    // The block itself will do.
    for (place, confirmations) in [(3, 1), (4, 2), (5, 3)] {
        let (block, height) = (receipt.headers[place].id(pow), receipt.headers[place].height);
        let checked = receipt.check(Some(&block), later_than_all()).expect("right");
        assert_eq!((checked.last, checked.last_height, checked.confirmations), (block, height, confirmations));
        assert_eq!(checked.work, work_of(&receipt.headers[3..=place]), "what comes after it is anybody's");
        assert_eq!(receipt.check_against(&Checkpoint { height, block }, later_than_all()), Ok(checked));
    }
}

#[test]
fn headers_from_the_future_are_refused() {
    let (node, receipt) = example();
    let newest = receipt.headers[5].timestamp.get();
    let clock = Timestamp::new(newest - node.spec().max_drift_ms);
    for receipt in [receipt.clone(), later(&receipt)] {
        assert!(receipt.check(None, clock).is_ok());
        let early = receipt.check(None, Timestamp::new(clock.get() - 1)).expect_err("refused");
        assert!(matches!(early, ReceiptFault::Header { reason: Invalid::TimeTooNew { .. }, .. }), "{early}");
    }
}

fn later(receipt: &Receipt) -> Receipt {
    Receipt { headers: receipt.headers[3..].to_vec(), ..receipt.clone() }
}

fn fault(receipt: &Receipt) -> ReceiptFault {
    receipt.check(None, later_than_all()).expect_err("refused")
}

fn header_fault(receipt: &Receipt) -> Invalid {
    match fault(receipt) {
        ReceiptFault::Header { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn a_receipt_shows_what_it_holds() {
    let (node, receipt) = example();
    let read = Receipt::read(&receipt.to_bytes()).expect("its own bytes");
    assert_eq!(read, receipt);
    let Checked { chain, transaction, block, height, confirmations, last, work, from_start, .. } =
        read.check(None, later_than_all()).expect("right");
    assert_eq!((chain, transaction), (node.spec().chain_id(), receipt.transaction.id()));
    assert_eq!((height, confirmations, from_start), (Height::new(4), 3, true));
    assert_eq!(block, receipt.headers[3].id(node.spec().pow));
    assert_eq!(last, node.tip());
    assert_eq!(work, work_of(&receipt.headers[3..]), "the headers before are anybody's to copy");
}

#[test]
fn a_receipt_up_to_a_checkpoint_is_held_to_it() {
    let (node, receipt) = example();
    let pow = node.spec().pow;
    let bounded = Receipt { headers: receipt.headers[..5].to_vec(), ..receipt.clone() };
    let at = |place: usize| Checkpoint { height: receipt.headers[place].height, block: receipt.headers[place].id(pow) };
    let checked = bounded.check_against(&at(4), later_than_all()).expect("right");
    assert_eq!((checked.last, checked.last_height, checked.confirmations), (at(4).block, Height::new(5), 2));
    let short = Receipt { headers: receipt.headers[3..5].to_vec(), ..receipt.clone() };
    assert!(
        short.check_against(&at(4), later_than_all()).is_ok() && short.check_against(&at(3), later_than_all()).is_ok()
    );
    let other = |checkpoint| Err(ReceiptFault::OtherThanCheckpoint { checkpoint });
    assert_eq!(bounded.check_against(&at(5), later_than_all()), other(at(5)), "it ends before");
    assert_eq!(short.check_against(&at(2), later_than_all()), other(at(2)), "it begins after");
    let moved = Checkpoint { height: Height::new(4), ..at(4) };
    assert_eq!(bounded.check_against(&moved, later_than_all()), other(moved), "there, but at another height");
    let text = at(4).to_string();
    assert_eq!(text.parse(), Ok(at(4)));
    for bad in [text.replace(':', "-"), text.replace("5:", "x:"), text.replace("5:", "5:0"), "5".to_owned()] {
        assert_eq!(bad.parse::<Checkpoint>(), Err(NotACheckpoint), "{bad}");
    }
}

#[test]
fn a_later_receipt_shows_less() {
    let (node, receipt) = example();
    let checked = later(&receipt).check(Some(&node.tip()), later_than_all()).expect("right");
    assert_eq!((checked.from_start, checked.confirmations), (false, 3));
    assert_eq!(checked.work, work_of(&receipt.headers[3..]));
    let unknown = BlockId::ZERO;
    assert_eq!(
        later(&receipt).check(Some(&unknown), later_than_all()),
        Err(ReceiptFault::NotAnchored { block: unknown })
    );
}

#[test]
fn junk_and_other_versions() {
    let (_, receipt) = example();
    assert!(matches!(Receipt::read(b"junk"), Err(ReceiptFault::Encoding(_))));
    let mut bytes = receipt.to_bytes();
    bytes.pop();
    assert!(matches!(Receipt::read(&bytes), Err(ReceiptFault::Encoding(_))));
    let other = Receipt { version: 2, ..receipt };
    assert_eq!(fault(&other), ReceiptFault::Version { version: 2 });
}

#[test]
fn too_many_headers() {
    let (_, receipt) = example();
    let headers = vec![receipt.headers[0].clone(); MAX_HEADERS + 1];
    let long = Receipt { headers, ..receipt };
    assert_eq!(fault(&long), ReceiptFault::TooManyHeaders { count: MAX_HEADERS + 1 });
}

#[test]
fn a_specification_that_is_none() {
    let (_, receipt) = example();
    let odd = Receipt { specification: "name = 7".into(), ..receipt };
    assert!(matches!(fault(&odd), ReceiptFault::Specification(_)));
}

#[test]
fn another_specification_is_another_chain() {
    let (node, receipt) = example();
    let mut spec = (**node.spec()).clone();
    spec.max_record_bytes -= 1;
    let specification = spec.to_toml();
    let other = Receipt { specification: specification.clone(), ..receipt.clone() };
    assert!(matches!(header_fault(&other), Invalid::UnknownParent { .. }), "block 1 follows another genesis block");
    let other = Receipt { specification, ..later(&receipt) };
    assert_eq!(fault(&other), ReceiptFault::Transaction(TransactionFault::Signature), "it was signed for one chain");
}

#[test]
fn headers_that_break_a_rule() {
    let (node, receipt) = example();
    for receipt in [receipt.clone(), later(&receipt)] {
        let with = |change: &dyn Fn(&mut Vec<Header>)| {
            let mut changed = receipt.clone();
            change(&mut changed.headers);
            changed
        };
        let gap = with(&|headers| {
            headers.remove(headers.len() - 2);
        });
        assert!(matches!(header_fault(&gap), Invalid::UnknownParent { .. }));
        let idle = with(&|headers| {
            let header = headers.last().expect("one").clone();
            let block = Block { header, transactions: Vec::new() };
            *headers.last_mut().expect("one") = unseal(node.spec(), block).header;
        });
        assert!(matches!(header_fault(&idle), Invalid::WorkMissing { .. }));
    }
    let mut shifted = later(&receipt);
    shifted.headers[0] = receipt.headers[0].clone();
    shifted.headers[1] = Header { parent: shifted.headers[0].id(node.spec().pow), ..shifted.headers[1].clone() };
    assert!(matches!(fault(&shifted), ReceiptFault::Header { .. }));
    let mut easier = receipt.clone();
    easier.headers[5].timestamp = easier.headers[4].timestamp;
    let block = Block { header: easier.headers[5].clone(), transactions: Vec::new() };
    easier.headers[5] = bard_tests::chain_builder::seal(node.spec(), block).header;
    assert!(easier.check(None, later_than_all()).is_ok(), "a time after the median is allowed");
    easier.headers[5].timestamp = easier.headers[0].timestamp;
    let block = Block { header: easier.headers[5].clone(), transactions: Vec::new() };
    easier.headers[5] = bard_tests::chain_builder::seal(node.spec(), block).header;
    assert!(matches!(header_fault(&easier), Invalid::TimeTooOld { .. }), "rules of time hold from the first block on");
}

#[test]
fn heights_follow_one_another() {
    let (node, receipt) = example();
    let mut odd = later(&receipt);
    odd.headers.truncate(2);
    odd.headers[1].height = Height::new(9);
    let block = Block { header: odd.headers[1].clone(), transactions: Vec::new() };
    odd.headers[1] = bard_tests::chain_builder::seal(node.spec(), block).header;
    let expected = Height::new(5);
    assert_eq!(header_fault(&odd), Invalid::Height { height: Height::new(9), expected });
}

#[test]
fn a_block_that_is_missing() {
    let (_, receipt) = example();
    for headers in [Vec::new(), receipt.headers[4..].to_vec(), receipt.headers[..3].to_vec()] {
        let without = Receipt { headers, ..receipt.clone() };
        assert_eq!(fault(&without), ReceiptFault::BlockMissing { height: Height::new(4) });
    }
}

#[test]
fn a_transaction_that_is_forged_or_elsewhere() {
    let (node, receipt) = example();
    let mut forged = receipt.clone();
    forged.transaction.fee = Amount::new(1);
    assert_eq!(fault(&forged), ReceiptFault::Transaction(TransactionFault::Signature));
    let to = address("carol");
    let transaction = node.sign("alice", 1, 0, Action::Transfer { to, amount: Amount::new(9) });
    let elsewhere = Receipt { transaction, ..receipt.clone() };
    assert!(matches!(fault(&elsewhere), ReceiptFault::NotIncluded { .. }));
    let moved = Receipt { height: Height::new(5), ..receipt };
    assert!(matches!(fault(&moved), ReceiptFault::NotIncluded { .. }));
}

proptest! {
    /// Whatever byte is changed, the receipt is refused: each of them is hashed, signed or compared.
    #[test]
    fn no_byte_can_be_changed(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let (node, receipt) = example();
        let mut bytes = receipt.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let checked = Receipt::read(&bytes).and_then(|receipt| receipt.check(Some(&node.tip()), later_than_all()));
        // Comments and blanks of the specification are not part of what it says.
        let same = checked.as_ref().is_ok_and(|checked| checked.chain == node.spec().chain_id());
        prop_assert!(checked.is_err() || same, "{checked:?}");
    }

    #[test]
    fn junk_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = Receipt::read(&bytes).and_then(|receipt| receipt.check(None, later_than_all()));
    }
}
