//! Snapshots: what is good is taken whatever its size, and whatever is not the state of the last header is refused.

use bard_chain::{
    address::Address,
    block::Header,
    encoding::EncodingError,
    invalid::Invalid,
    ledger::{Account, Change, Delta, Item},
    snapshot::{Check, Checked, MAX_ENTRIES, SnapshotError, accounts_part, end_part, headers_part, items_part},
    transaction::ItemName,
    units::{Amount, Height, Timestamp},
};
use bard_tests::{
    actions::{pay, record, request},
    chain_builder::{MemoryNode, commitment_of},
};

/// What a snapshot is made of.
#[derive(Clone)]
struct State {
    headers: Vec<Header>,
    accounts: Vec<(Address, Account)>,
    items: Vec<(ItemName, Item)>,
}

impl State {
    fn of(node: &MemoryNode) -> Self {
        let blocks = node.active_blocks();
        let headers = blocks.iter().map(|block| block.header().clone());
        let accounts = node.ledger().accounts().map(|(address, account)| (*address, *account));
        let items = node.ledger().items().map(|(name, item)| (name.clone(), *item));
        let headers = headers.filter(|header| header.height > Height::ZERO).collect();
        Self { headers, accounts: accounts.collect(), items: items.collect() }
    }

    /// In parts of this many entries.
    fn parts(&self, size: usize) -> Vec<Vec<u8>> {
        let mut parts: Vec<_> = self.headers.chunks(size).map(headers_part).collect();
        parts.extend(self.accounts.chunks(size).map(accounts_part));
        parts.extend(self.items.chunks(size).map(items_part));
        parts.push(end_part(self.accounts.len() as u64, self.items.len() as u64));
        parts
    }
}

fn busy() -> MemoryNode {
    let mut node = MemoryNode::default();
    for nonce in 0..12 {
        let pay = node.sign("alice", 2 * nonce, 1, pay("dave", 3 + nonce));
        let other = if nonce % 2 == 0 { request(&format!("key {nonce}")) } else { record("seen") };
        let other = node.sign("alice", 2 * nonce + 1, 0, other);
        node.extend(vec![pay, other]);
    }
    node
}

fn check(node: &MemoryNode, parts: &[Vec<u8>]) -> Result<Checked, SnapshotError> {
    let mut check = Check::new(node.spec(), node.late());
    parts.iter().try_for_each(|part| check.part(part))?;
    check.finish()
}

#[test]
fn the_state_of_a_chain_is_taken_in_parts_of_any_size() {
    let node = busy();
    let state = State::of(&node);
    for size in [1, 2, 5, MAX_ENTRIES] {
        let checked = check(&node, &state.parts(size)).expect("good");
        let tip = node.engine().tip();
        assert_eq!((checked.tip, checked.height, checked.work), (tip.id, tip.height, tip.work));
        assert_eq!(checked.state_root, node.engine().commitment().root());
        assert_eq!((checked.accounts, checked.items), (state.accounts.len() as u64, 6));
    }
    let young = MemoryNode::default();
    assert_eq!(check(&young, &State::of(&young).parts(9)).expect("good").height, Height::ZERO, "no header but genesis");
}

#[test]
fn any_other_state_is_refused() {
    let node = busy();
    let good = State::of(&node);
    let refused = |alter: &dyn Fn(&mut State)| {
        let mut state = good.clone();
        alter(&mut state);
        assert!(matches!(check(&node, &state.parts(4)), Err(SnapshotError::StateRoot { .. })));
    };
    refused(&|state| state.accounts[0].1.balance = Amount::new(state.accounts[0].1.balance.get() + 1));
    refused(&|state| {
        state.accounts.remove(1);
    });
    refused(&|state| {
        state.items.pop();
    });
    refused(&|state| state.items[2].1.holder = None);
    refused(&|state| {
        state.headers.pop();
    });
    refused(&|state| state.items.push((ItemName::new("zz"), Item { holder: None })));
}

#[test]
fn a_state_with_more_or_less_money_than_the_chain_gave_out_is_refused() {
    let node = busy();
    // Whoever seals one block can name any state in it; not one in which money was made or lost.
    let forged = |change: i64| {
        let (address, before) = node.ledger().accounts().next().expect("somebody has money");
        let balance = Amount::new(before.balance.get().saturating_add_signed(change));
        let mut delta = Delta::default();
        delta.accounts.insert(*address, Change { before: *before, after: Account { balance, ..*before } });
        let mut ledger = node.ledger().clone();
        ledger.apply(&delta);
        let mut draft = node.draft(Vec::new());
        draft.header.state_root = commitment_of(&ledger).root();
        let mut state = State::of(&node);
        state.accounts = ledger.accounts().map(|(address, account)| (*address, *account)).collect();
        state.headers.push(node.seal(draft).header().clone());
        check(&node, &state.parts(4))
    };
    let height = Height::new(13);
    let supply = 1_000_000 + 13 * 10;
    assert_eq!(node.spec().supply_at(height), supply);
    // The ledger is that of height 12: the subsidy of the last block is missing in it.
    assert_eq!(forged(10).map(|checked| checked.height), Ok(height), "the right sum");
    for off in [-1_i64, 1, 1_000_000] {
        let found = supply.saturating_add_signed(off.into());
        assert_eq!(forged(10 + off), Err(SnapshotError::Supply { height, expected: supply, found }));
    }
}

#[test]
fn parts_out_of_order_or_not_whole_are_refused() {
    let node = busy();
    let state = State::of(&node);
    let whole = state.parts(4);
    for part in 0..whole.len() {
        let mut without = whole.clone();
        without.remove(part);
        check(&node, &without).expect_err("a part is missing");
        let mut twice = whole.clone();
        twice.insert(part, whole[part].clone());
        check(&node, &twice).expect_err("a part is there twice");
    }
    let mut swapped = whole.clone();
    swapped.rotate_left(1);
    check(&node, &swapped).expect_err("not in order");
    let accounts_first = [accounts_part(&state.accounts), headers_part(&state.headers)];
    assert_eq!(check(&node, &accounts_first), Err(SnapshotError::Order));
    assert_eq!(check(&node, &whole[..whole.len() - 1]), Err(SnapshotError::Counts), "no end");
    let mut wrong_end = whole.clone();
    *wrong_end.last_mut().expect("the end") = end_part(1, 1);
    assert_eq!(check(&node, &wrong_end), Err(SnapshotError::Counts));
    let two = [state.accounts[1], state.accounts[0]];
    assert_eq!(check(&node, &[accounts_part(&two)]), Err(SnapshotError::Entries));
    let empty = [(Address::new([1; 32]), Account::default())];
    assert_eq!(check(&node, &[accounts_part(&empty)]), Err(SnapshotError::Entries));
    let unnamed = [(ItemName::new(" x"), Item { holder: None })];
    assert_eq!(check(&node, &[items_part(&unnamed)]), Err(SnapshotError::Entries));
}

#[test]
fn headers_obey_their_rules() {
    let node = busy();
    let state = State::of(&node);
    let mut light = state.clone();
    light.headers[3].nonce ^= 1;
    let Err(SnapshotError::Header { height, .. }) = check(&node, &light.parts(5)) else { panic!("taken") };
    assert_eq!(height, Height::new(4), "its work, or that of what follows, is not there");
    let mut early = Check::new(node.spec(), Timestamp::ZERO);
    let refused = early.part(&headers_part(&state.headers)).expect_err("from the future");
    assert!(matches!(refused, SnapshotError::Header { reason: Invalid::TimeTooNew { .. }, .. }));
}

#[test]
fn parts_are_bounded_and_canonical() {
    let node = MemoryNode::default();
    let first = |part: &[u8]| Check::new(node.spec(), node.late()).part(part);
    assert_eq!(first(&[]), Err(SnapshotError::Part));
    assert_eq!(first(&[0x82, 0x09, 0x80]), Err(SnapshotError::Part), "of no known kind");
    assert_eq!(first(&vec![0; 1 << 20]), Err(SnapshotError::Part), "too long");
    let loose = [0x82, 0x00, 0x9f, 0xff];
    assert_eq!(first(&loose), Err(SnapshotError::Encoding(EncodingError::NotCanonical)));
    let many = vec![(ItemName::new("a"), Item { holder: None }); MAX_ENTRIES + 1];
    assert_eq!(first(&items_part(&many)), Err(SnapshotError::Part));
}
