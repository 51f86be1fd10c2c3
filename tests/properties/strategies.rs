//! Random values of every type of the chain.

use bard_chain::{
    address::Address,
    block::{Block, Header},
    hash::{BlockId, Hash32},
    ledger::{Account, Item, Undo},
    merkle::InclusionProof,
    signature::Signature,
    target::CompactTarget,
    transaction::{Action, ItemName, Transaction},
    units::{Amount, Height, Nonce, Timestamp, Work},
};
use proptest::{collection::vec, option, prelude::*};
use ruint::aliases::U256;

/// Numbers of every length in bytes, not only the longest.
pub(crate) fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0..64_u32).prop_map(|(value, shift)| value >> shift)
}

pub(crate) fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 32]>().prop_map(Address::new)
}

pub(crate) fn hash() -> impl Strategy<Value = Hash32> {
    any::<[u8; 32]>().prop_map(Hash32::new)
}

fn item_name() -> impl Strategy<Value = ItemName> {
    ".{0,70}".prop_map(ItemName::new)
}

pub(crate) fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        (address(), number()).prop_map(|(to, amount)| Action::Transfer { to, amount: Amount::new(amount) }),
        (".{0,70}", vec(any::<u8>(), 0..300)).prop_map(|(content_type, bytes)| Action::Record { content_type, bytes }),
        item_name().prop_map(|item| Action::ItemRequest { item }),
        item_name().prop_map(|item| Action::ItemRelease { item }),
        (item_name(), address()).prop_map(|(item, to)| Action::ItemTransfer { item, to }),
    ]
}

pub(crate) fn transaction() -> impl Strategy<Value = Transaction> {
    (any::<u8>(), address(), number(), number(), action(), any::<[u8; 64]>()).prop_map(
        |(version, sender, nonce, fee, action, signature)| Transaction {
            version,
            sender,
            nonce: Nonce::new(nonce),
            fee: Amount::new(fee),
            action,
            signature: Signature::new(signature),
        },
    )
}

pub(crate) fn header() -> impl Strategy<Value = Header> {
    let numbers = (any::<u8>(), number(), number(), any::<u32>(), number());
    let hashes = (any::<[u8; 32]>(), hash(), hash(), address());
    (numbers, hashes).prop_map(
        |((version, height, timestamp, target, nonce), (parent, transactions_root, state_root, miner))| Header {
            version,
            height: Height::new(height),
            parent: BlockId::new(parent),
            transactions_root,
            state_root,
            timestamp: Timestamp::new(timestamp),
            target: CompactTarget::new(target),
            miner,
            nonce,
        },
    )
}

pub(crate) fn block() -> impl Strategy<Value = Block> {
    (header(), vec(transaction(), 0..5)).prop_map(|(header, transactions)| Block { header, transactions })
}

pub(crate) fn undo() -> impl Strategy<Value = Undo> {
    let account = (number(), number())
        .prop_map(|(balance, nonce)| Account { balance: Amount::new(balance), nonce: Nonce::new(nonce) });
    let item = option::of(address()).prop_map(|holder| Item { holder });
    (vec((address(), account), 0..5), vec((item_name(), option::of(item)), 0..5))
        .prop_map(|(accounts, items)| Undo { accounts, items })
}

pub(crate) fn proof() -> impl Strategy<Value = InclusionProof> {
    (number(), number(), vec(hash(), 0..40)).prop_map(|(index, size, path)| InclusionProof { index, size, path })
}

pub(crate) fn big_number() -> impl Strategy<Value = U256> {
    (any::<[u8; 32]>(), 0..256_usize).prop_map(|(bytes, shift)| U256::from_be_bytes(bytes) >> shift)
}

pub(crate) fn work() -> impl Strategy<Value = Work> {
    big_number().prop_map(Work::new)
}
