//! Everything comes back from its bytes, and there are no other bytes that it comes back from.

use std::fmt::Debug;

use bard_chain::{
    block::{self, Block, Header},
    encoding::{self, decode, encode},
    ledger::Undo,
    pow::PowFunction,
    transaction::Transaction,
};
use proptest::{prelude::*, sample::Index};
use serde::{Serialize, de::DeserializeOwned};

use crate::{cases, strategies};

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Result<(), TestCaseError> {
    let bytes = encode(value);
    let decoded = decode::<T>(&bytes, bytes.len());
    prop_assert_eq!(decoded.as_ref(), Ok(value));
    prop_assert!(decode::<T>(&bytes, bytes.len() - 1).is_err(), "one byte beyond the limit");
    Ok(())
}

/// Where the heads of all items in canonical CBOR begin.
fn heads(bytes: &[u8]) -> Vec<usize> {
    let mut heads = Vec::new();
    let mut at = 0;
    while let Some(head) = bytes.get(at) {
        heads.push(at);
        let (major, low) = (head >> 5, head & 0x1f);
        let width = match low {
            24..=27 => 1_usize << (low - 24),
            _ => 0,
        };
        let argument = bytes[at + 1..at + 1 + width].iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
        let length = if width == 0 { usize::from(low) } else { argument };
        // Byte strings and texts carry their content; arrays are followed by their items.
        at += 1 + width + if matches!(major, 2 | 3) { length } else { 0 };
    }
    heads
}

/// The same value, with the argument of one head a step wider than it need be.
fn widened(bytes: &[u8], at: usize) -> Option<Vec<u8>> {
    let (major, low) = (bytes[at] & 0xe0, bytes[at] & 0x1f);
    let (wider, argument) = match low {
        0..=23 => (24, vec![low]),
        24..=26 => {
            let width = 1 << (low - 24);
            (low + 1, [vec![0; width], bytes[at + 1..=at + width].to_vec()].concat())
        }
        _ => return None,
    };
    // Of major type 7 only null occurs, which has no other spelling.
    let old = if low < 24 { 1 } else { 1 + (1 << (low - 24)) };
    (major != 0xe0).then(|| [&bytes[..at], &[major | wider], &argument, &bytes[at + old..]].concat())
}

fn no_wider_spelling<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    value: &T,
    at: &Index,
) -> Result<(), TestCaseError> {
    let bytes = encode(value);
    let Some(other) = widened(&bytes, *at.get(&heads(&bytes))) else { return Ok(()) };
    prop_assert_ne!(&other, &bytes);
    prop_assert!(decode::<T>(&other, other.len()).is_err(), "{} stands for {value:?} as well", hex::encode(&other));
    Ok(())
}

/// One small change of a byte string.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Remove(Index),
    Insert(Index, u8),
    Truncate(Index),
    Repeat(Index, Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        (index(), 0..8_u32).prop_map(|(at, bit)| Mutation::Flip(at, 1 << bit)),
        index().prop_map(Mutation::Remove),
        (index(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        index().prop_map(Mutation::Truncate),
        (index(), index()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ]
}

fn mutate(mut bytes: Vec<u8>, mutations: &[Mutation]) -> Vec<u8> {
    for mutation in mutations {
        if bytes.is_empty() {
            bytes.push(0);
        }
        let length = bytes.len();
        match mutation {
            Mutation::Flip(at, bits) => bytes[at.index(length)] ^= bits,
            Mutation::Remove(at) => drop(bytes.remove(at.index(length))),
            Mutation::Insert(at, byte) => bytes.insert(at.index(length), *byte),
            Mutation::Truncate(at) => bytes.truncate(at.index(length)),
            Mutation::Repeat(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.extend(part);
            }
        }
    }
    bytes
}

/// Whatever the bytes have become: they are refused, or they are the one spelling of what they stand for.
fn one_spelling<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(value) = decode::<T>(bytes, bytes.len()) {
        prop_assert_eq!(encode(&value), bytes);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn all_values_come_back(
        block in strategies::block(),
        undo in strategies::undo(),
        proof in strategies::proof(),
        work in strategies::work(),
        action in strategies::action(),
    ) {
        comes_back(&block)?;
        comes_back(&block.header)?;
        for transaction in &block.transactions {
            comes_back(transaction)?;
        }
        comes_back(&undo)?;
        comes_back(&proof)?;
        comes_back(&work)?;
        comes_back(&action)?;
    }

    #[test]
    fn no_number_and_no_length_has_a_wider_spelling(
        block in strategies::block(), undo in strategies::undo(), proof in strategies::proof(), at in any::<Index>(),
    ) {
        no_wider_spelling(&block, &at)?;
        no_wider_spelling(&block.header, &at)?;
        no_wider_spelling(&undo, &at)?;
        no_wider_spelling(&proof, &at)?;
    }

    #[test]
    fn changed_bytes_are_refused_or_canonical(
        block in strategies::block(),
        undo in strategies::undo(),
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        one_spelling::<Block>(&mutate(encode(&block), &mutations))?;
        one_spelling::<Header>(&mutate(encode(&block.header), &mutations))?;
        for transaction in &block.transactions {
            one_spelling::<Transaction>(&mutate(encode(transaction), &mutations))?;
        }
        one_spelling::<Undo>(&mutate(encode(&undo), &mutations))?;
    }

    #[test]
    fn different_values_have_different_bytes_and_ids(one in strategies::transaction(), two in strategies::transaction()) {
        prop_assert_eq!(one == two, encode(&one) == encode(&two));
        prop_assert_eq!(one == two, one.id() == two.id());
    }

    #[test]
    fn a_block_s_claimed_id_is_its_header_s(block in strategies::block()) {
        let bytes = encode(&block);
        let id = block.header.id(PowFunction::Sha256d);
        prop_assert_eq!(block::claimed_id(&bytes, bytes.len(), PowFunction::Sha256d), Some(id));
    }

    #[test]
    fn the_digest_covers_every_bit_of_the_header_but_the_nonce(header in strategies::header(), other in strategies::header()) {
        let renonced = Header { nonce: other.nonce, ..header.clone() };
        prop_assert_eq!(renonced.digest(), header.digest());
        let blank = |header: &Header| encode(&Header { nonce: 0, ..header.clone() });
        prop_assert_eq!(header.digest() == other.digest(), blank(&header) == blank(&other));
        prop_assert!(encode(&header).len() <= block::HEADER_MAX_LEN);
    }

    #[test]
    fn peeking_agrees_with_reading(block in strategies::block()) {
        let bytes = encode(&block);
        prop_assert_eq!(encoding::peek_first::<Header>(&bytes, bytes.len()), Some(block.header));
    }
}
