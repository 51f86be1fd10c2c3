//! Transactions as they are gossiped: in small batches. Blocks are in [`super::compact`].
//!
//! A batch is an array of byte strings, each the canonical bytes of one transaction, so that ids and signatures are checked
//! on the bytes that came, without encoding them again.

use bard_chain::encoding;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;

use super::{
    WireError,
    bounded::{Bounded, ByteStrings},
    limits::{BATCH_TARGET_LEN, MAX_BATCH, gossip_max_len},
};

struct Batch(Vec<Vec<u8>>);

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ByteStrings(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bounded::<ByteBuf, MAX_BATCH>::deserialize(deserializer).map(|list| Self(list.into_byte_strings()))
    }
}

/// Groups transactions, given as their canonical bytes, into gossip messages, in order.
pub fn encode_batches(transactions: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut batch = Vec::new();
    let mut length = 0_usize;
    for transaction in transactions {
        let full = length.saturating_add(transaction.len()) > BATCH_TARGET_LEN || batch.len() == MAX_BATCH;
        if full && !batch.is_empty() {
            messages.push(encoding::encode(&Batch(core::mem::take(&mut batch))));
            length = 0;
        }
        length = length.saturating_add(transaction.len());
        batch.push(transaction);
    }
    if !batch.is_empty() {
        messages.push(encoding::encode(&Batch(batch)));
    }
    messages
}

/// Reads a batch: the canonical bytes of its transactions, none of them examined yet.
///
/// # Errors
/// [`WireError`]: an empty batch, more bytes or transactions than a batch may have, not canonical.
pub fn decode_batch(bytes: &[u8], max_block_len: usize) -> Result<Vec<Vec<u8>>, WireError> {
    let Batch(transactions) = encoding::decode(bytes, gossip_max_len(max_block_len))?;
    let length: usize = transactions.iter().map(Vec::len).sum();
    if transactions.is_empty() || transactions.iter().any(Vec::is_empty) {
        Err(WireError::Empty)
    } else if transactions.len() > 1 && length > BATCH_TARGET_LEN {
        Err(WireError::TooLong { length, limit: BATCH_TARGET_LEN })
    } else {
        Ok(transactions)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const MAX_BLOCK_LEN: usize = 1 << 20;

    #[test]
    fn a_large_transaction_travels_alone() {
        let large = vec![7; BATCH_TARGET_LEN * 2];
        let messages = encode_batches(vec![vec![1; 200], large.clone(), vec![2; 200]]);
        assert_eq!(messages.len(), 3);
        assert_eq!(decode_batch(&messages[1], MAX_BLOCK_LEN), Ok(vec![large]));
    }

    #[test]
    fn batches_that_break_a_limit_are_refused() {
        let many = encoding::encode(&Batch(vec![vec![1]; MAX_BATCH + 1]));
        assert!(matches!(decode_batch(&many, MAX_BLOCK_LEN), Err(WireError::Encoding(_))));
        let long = encoding::encode(&Batch(vec![vec![1; BATCH_TARGET_LEN]; 2]));
        assert!(matches!(decode_batch(&long, MAX_BLOCK_LEN), Err(WireError::TooLong { .. })));
        assert_eq!(decode_batch(&[0x80], MAX_BLOCK_LEN), Err(WireError::Empty));
        assert_eq!(decode_batch(&[0x81, 0x40], MAX_BLOCK_LEN), Err(WireError::Empty));
        let numbers = encoding::encode(&vec![vec![1_u8, 2]]);
        assert!(decode_batch(&numbers, MAX_BLOCK_LEN).is_err(), "arrays of numbers are not byte strings");
    }

    proptest! {
        #[test]
        fn batches_keep_content_and_order(transactions in vec(vec(any::<u8>(), 1..4000), 0..200)) {
            let messages = encode_batches(transactions.clone());
            let mut read = Vec::new();
            for message in &messages {
                prop_assert!(message.len() <= gossip_max_len(0));
                read.extend(decode_batch(message, MAX_BLOCK_LEN).expect("our own batch"));
            }
            prop_assert_eq!(read, transactions);
        }

        #[test]
        fn junk_never_panics(bytes in vec(any::<u8>(), 0..512)) {
            let _ = decode_batch(&bytes, MAX_BLOCK_LEN);
        }
    }
}
