//! The ledger: whatever is tried, undoing gives back what was, money is conserved and the commitment is to the ledger.

use bard_chain::{
    encoding::{decode, encode},
    ledger::{MemoryLedger, Overlay, Undo, View, apply::apply_transaction},
    presets::DEV_ACCOUNTS,
    transaction::{Action, Transaction},
};
use bard_tests::{
    actions::{address, hand_over, pay, record, release, request},
    chain_builder::{MemoryNode, commitment_of},
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::cases;

/// Something a `dev` account tries to do: not always possible, and not always with the right nonce.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) sender: &'static str,
    pub(crate) action: Action,
    pub(crate) fee: u64,
    /// How far the nonce is from the right one: mostly not at all.
    pub(crate) off: i64,
}

/// Attempts about little money and few items, so that they get in each other's way.
pub(crate) fn attempt() -> impl Strategy<Value = Attempt> {
    let name = || select(DEV_ACCOUNTS.to_vec());
    let item = || select(vec!["projector", "beamer", "screen"]);
    let amount = prop_oneof![1..1_000_u64, 100_000..600_000_u64];
    let action = prop_oneof![
        3 => (name(), amount).prop_map(|(to, amount)| pay(to, amount)),
        1 => "[a-z]{0,40}".prop_map(|text| record(&text)),
        3 => item().prop_map(request),
        2 => item().prop_map(release),
        2 => (item(), name()).prop_map(|(item, to)| hand_over(item, to)),
    ];
    let off = prop_oneof![8 => Just(0_i64), 1 => Just(-1_i64), 1 => 1..4_i64];
    (name(), action, 0..50_u64, off).prop_map(|(sender, action, fee, off)| Attempt { sender, action, fee, off })
}

impl Attempt {
    /// Signed, with a nonce reckoned from `next`.
    pub(crate) fn sign(&self, node: &MemoryNode, next: u64) -> Transaction {
        node.sign(self.sender, next.saturating_add_signed(self.off), self.fee, self.action.clone())
    }
}

/// Those of the attempts that can follow each other on the tip.
pub(crate) fn possible(node: &MemoryNode, attempts: &[Attempt]) -> Vec<Transaction> {
    let mut ledger = Overlay::new(node.ledger());
    let mut done = Vec::new();
    for attempt in attempts {
        let next = ledger.account(&address(attempt.sender)).expect("in memory").nonce.get();
        let transaction = attempt.sign(node, next);
        if apply_transaction(&mut ledger, &transaction).is_ok() {
            done.push(transaction);
        }
    }
    done
}

fn undo_through_its_bytes(undo: &Undo) -> Undo {
    let bytes = encode(undo);
    decode(&bytes, bytes.len()).expect("what was stored is read back")
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn undoing_gives_back_what_was(blocks in vec(vec(attempt(), 0..12), 1..6)) {
        let mut node = MemoryNode::default();
        let mut history: Vec<(MemoryLedger, Undo)> = Vec::new();
        for attempts in &blocks {
            let before = node.ledger().clone();
            let block = node.mine(possible(&node, attempts));
            let effects = node.accept_at(&block, node.late()).expect("accepted");
            history.push((before, undo_through_its_bytes(&effects.connected[0].undo)));
            node.assert_invariants();
        }
        let (mut ledger, mut commitment) = (node.ledger().clone(), node.engine().commitment().clone());
        while let Some((before, undo)) = history.pop() {
            let delta = Overlay::new(&ledger).take_back(&undo).expect("in memory");
            ledger.apply(&delta);
            commitment.apply(&delta);
            prop_assert_eq!(&ledger, &before);
            prop_assert_eq!(&commitment, &commitment_of(&before));
        }
    }

    #[test]
    fn a_refused_transaction_changes_nothing(attempts in vec(attempt(), 1..30)) {
        let node = MemoryNode::default();
        let mut ledger = Overlay::new(node.ledger());
        for attempt in &attempts {
            let next = ledger.account(&address(attempt.sender)).expect("in memory").nonce.get();
            let before = ledger.delta().clone();
            let total = |ledger: &Overlay<_>| -> u64 {
                DEV_ACCOUNTS.iter().map(|name| View::account(ledger, &address(name)).expect("in memory").balance.get()).sum()
            };
            let money = total(&ledger);
            match apply_transaction(&mut ledger, &attempt.sign(&node, next)) {
                Ok(()) => prop_assert_eq!(total(&ledger) + attempt.fee, money, "only the fee leaves"),
                Err(_) => prop_assert_eq!(ledger.delta(), &before),
            }
        }
    }

    #[test]
    fn several_changes_as_one_are_the_same(blocks in vec(vec(attempt(), 0..10), 1..5)) {
        let mut node = MemoryNode::default();
        let start = node.clone();
        let mut together = bard_chain::ledger::Delta::default();
        for attempts in &blocks {
            let block = node.mine(possible(&node, attempts));
            together.then(&node.accept_at(&block, node.late()).expect("accepted").state);
        }
        let (mut ledger, mut commitment) = (start.ledger().clone(), start.engine().commitment().clone());
        ledger.apply(&together);
        commitment.apply(&together);
        prop_assert_eq!(&ledger, node.ledger());
        prop_assert_eq!(&commitment, node.engine().commitment());
        ledger.apply(&together.inverted());
        commitment.apply(&together.inverted());
        prop_assert_eq!(&ledger, start.ledger());
        prop_assert_eq!(&commitment, start.engine().commitment());
    }
}
