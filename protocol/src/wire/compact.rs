//! Blocks as they are announced: small ones whole, others by their header and the short ids of their transactions, most of
//! which every node has in its pool already.
//!
//! A short id is the first six bytes of the keyed BLAKE3 of a transaction's id; the key is drawn from the header, so that
//! nobody can make transactions in advance whose short ids are the same in a block to come (as in BIP 152).

use std::collections::{HashMap, HashSet};

use bard_chain::{
    block::{Block, Header},
    encoding,
    hash::TransactionId,
    rules::isolated::Part,
    transaction::id_of,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::{ByteBuf, Bytes};

use super::{
    WireError,
    bounded::Bounded,
    limits::{COMPACT_FROM_LEN, MIN_TRANSACTION_LEN, gossip_max_len},
};

/// Bytes of a short id: with 100,000 transactions in the pool, one block in 1,400 of 2,000 transactions has a collision,
/// which costs a question to a peer.
pub const SHORT_ID_LEN: usize = 6;
/// The BLAKE3 context of the key of short ids.
const KEY_CONTEXT: &str = "blockbard 2026 v1 short ids";
/// Transactions that come along in full, at most: one that its maker knows nobody has is among few.
const MAX_PREFILLED: usize = 1 << 15;

/// Bytes of transactions that an announcement has in full: about a round trip's worth, which is what they save.
const PREFILLED_LEN: usize = 16 << 10;

/// The first bytes of a keyed hash of a transaction's id.
pub type ShortId = [u8; SHORT_ID_LEN];

/// What a message on the topic of blocks is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// The canonical bytes of a block, if it is one at all.
    Whole(Vec<u8>),
    /// A header, and what its transactions can be found by.
    Compact(Box<Compact>),
}

/// A block without the bytes of most of its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compact {
    header: Header,
    short_ids: Vec<ShortId>,
    /// Transactions in full, by their index in the block, ascending.
    prefilled: Vec<(u32, Vec<u8>)>,
}

/// The key of the short ids of one block.
#[derive(Clone)]
pub struct ShortIds([u8; 32]);

impl ShortIds {
    /// The key that a header gives.
    pub fn of(header: &Header) -> Self {
        Self(*blake3::Hasher::new_derive_key(KEY_CONTEXT).update(&encoding::encode(header)).finalize().as_bytes())
    }

    /// The short id of a transaction.
    pub fn short(&self, id: &TransactionId) -> ShortId {
        let hash = blake3::keyed_hash(&self.0, id.as_bytes());
        let mut short = [0; SHORT_ID_LEN];
        short.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        short
    }
}

impl Serialize for Compact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let prefilled: Vec<_> = self.prefilled.iter().map(|(index, bytes)| (index, Bytes::new(bytes))).collect();
        (&self.header, Bytes::new(self.short_ids.as_flattened()), prefilled).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Compact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Prefilled = Bounded<(u32, ByteBuf), MAX_PREFILLED>;
        let (header, short_ids, prefilled) = <(Header, ByteBuf, Prefilled)>::deserialize(deserializer)?;
        let (short_ids, rest) = short_ids.as_chunks::<SHORT_ID_LEN>();
        if !rest.is_empty() {
            return Err(serde::de::Error::custom("a short id is cut off"));
        }
        let short_ids = short_ids.to_vec();
        let prefilled: Vec<_> = prefilled.0.into_iter().map(|(index, bytes)| (index, bytes.into_vec())).collect();
        let compact = Self { header, short_ids, prefilled };
        if compact.is_sound() { Ok(compact) } else { Err(serde::de::Error::custom("indices do not fit")) }
    }
}

impl Compact {
    /// A block without the transactions that `known` says others have.
    pub fn new(block: &Block, known: impl Fn(&TransactionId) -> bool) -> Self {
        let key = ShortIds::of(&block.header);
        let (mut short_ids, mut prefilled) = (Vec::with_capacity(block.transactions.len()), Vec::new());
        for (index, transaction) in (0_u32..).zip(&block.transactions) {
            let bytes = encoding::encode(transaction);
            let id = id_of(&bytes);
            if known(&id) {
                short_ids.push(key.short(&id));
            } else {
                prefilled.push((index, bytes));
            }
        }
        Self { header: block.header.clone(), short_ids, prefilled }
    }

    /// Indices ascend, and none is beyond the end.
    fn is_sound(&self) -> bool {
        let count = self.count();
        let ascending = self.prefilled.is_sorted_by(|one, next| one.0 < next.0);
        let last = self.prefilled.last().and_then(|(index, _)| usize::try_from(*index).ok());
        ascending && last.is_none_or(|last| last < count)
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// How many transactions the block has.
    pub fn count(&self) -> usize {
        self.short_ids.len().saturating_add(self.prefilled.len())
    }

    /// Finds the transactions among `pool`; two of the same short id are as good as none.
    pub fn fill<T>(&self, pool: impl Iterator<Item = (TransactionId, T)>) -> Filled<T> {
        let key = ShortIds::of(&self.header);
        let mut wanted: HashMap<ShortId, Option<Option<T>>> =
            self.short_ids.iter().map(|short| (*short, Some(None))).collect();
        for (id, bytes) in pool {
            if let Some(found) = wanted.get_mut(&key.short(&id)) {
                *found = match found {
                    Some(None) => Some(Some(bytes)),
                    // A second one: nobody can tell which is meant.
                    Some(Some(_)) | None => None,
                };
            }
        }
        let mut prefilled = self.prefilled.iter().peekable();
        let mut short_ids = self.short_ids.iter();
        let mut slots = Vec::with_capacity(self.count());
        for index in 0_u32.. {
            if let Some((_, bytes)) = prefilled.next_if(|(at, _)| *at == index) {
                slots.push(Some(Part::Bytes(bytes.clone())));
            } else if let Some(short) = short_ids.next() {
                // Taken out: a short id that is in the block twice is found once, and the other asked for.
                let found = wanted.get_mut(short).and_then(Option::take).flatten();
                slots.push(found.map(Part::Known));
            } else {
                break;
            }
        }
        Filled { header: self.header.clone(), slots }
    }
}

/// A block that is being put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled<T> {
    header: Header,
    /// `None` where a transaction is missing.
    slots: Vec<Option<Part<T>>>,
}

impl<T> Filled<T> {
    /// The indices of the transactions that are missing.
    pub fn missing(&self) -> Vec<u32> {
        (0_u32..).zip(&self.slots).filter(|(_, slot)| slot.is_none()).map(|(index, _)| index).collect()
    }

    /// Puts in what was missing, in its order; `false` if there is not as much as is missing.
    pub fn complete(&mut self, transactions: Vec<Vec<u8>>) -> bool {
        let mut transactions = transactions.into_iter();
        for slot in self.slots.iter_mut().filter(|slot| slot.is_none()) {
            match transactions.next() {
                Some(bytes) => *slot = Some(Part::Bytes(bytes)),
                None => return false,
            }
        }
        transactions.next().is_none()
    }

    /// The header, and the transactions in their order; `None` while something is missing.
    pub fn into_parts(self) -> Option<(Header, Vec<Part<T>>)> {
        Some((self.header, self.slots.into_iter().collect::<Option<_>>()?))
    }
}

/// The message by which a block is announced, given as its canonical bytes. What is such a message already stays as it is.
pub fn announce(bytes: Vec<u8>) -> Vec<u8> {
    announce_with(bytes, &HashSet::new())
}

/// The same, with those transactions in full that others are unlikely to have yet (`fresh`), as many of them as are 16 KiB.
pub fn announce_with(bytes: Vec<u8>, fresh: &HashSet<TransactionId>) -> Vec<u8> {
    if bytes.len() < COMPACT_FROM_LEN {
        return bytes;
    }
    match encoding::decode::<Block>(&bytes, bytes.len()) {
        Ok(block) => {
            let prefilled = if fresh.is_empty() { HashSet::new() } else { prefilled(&block, fresh) };
            encoding::encode(&Compact::new(&block, |id| !prefilled.contains(id)))
        }
        // It is no block of ours to judge: whoever reads it says what is wrong.
        Err(_) => bytes,
    }
}

/// The first of these transactions in a block, as many as there is room for.
fn prefilled(block: &Block, fresh: &HashSet<TransactionId>) -> HashSet<TransactionId> {
    let mut room = PREFILLED_LEN;
    let has_room = |transaction| {
        let bytes = encoding::encode(transaction);
        let id = id_of(&bytes);
        let rest = room.checked_sub(bytes.len()).filter(|_| fresh.contains(&id))?;
        room = rest;
        Some(id)
    };
    block.transactions.iter().filter_map(has_room).collect()
}

/// Reads a message on the topic of blocks. A block is an array of two, a compact one of three.
///
/// # Errors
/// [`WireError`]: nothing at all, longer than a block may be, or a compact block that is none.
pub fn read(bytes: Vec<u8>, max_block_len: usize) -> Result<Announcement, WireError> {
    const ARRAY_OF_THREE: u8 = 0x83;
    match bytes.first() {
        None => Err(WireError::Empty),
        Some(_) if bytes.len() > max_block_len => Err(WireError::TooLong { length: bytes.len(), limit: max_block_len }),
        Some(&ARRAY_OF_THREE) => {
            let compact: Compact = encoding::decode(&bytes, gossip_max_len(max_block_len))?;
            let most = max_block_len / MIN_TRANSACTION_LEN;
            if compact.count() > most {
                return Err(WireError::TooLong { length: compact.count(), limit: most });
            }
            Ok(Announcement::Compact(Box::new(compact)))
        }
        Some(_) => Ok(Announcement::Whole(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::{
        address::Address,
        hash::{BlockId, ChainId, Hash32},
        signature::SecretKey,
        target::CompactTarget,
        transaction::{Action, Transaction},
        units::{Amount, Height, Nonce, Timestamp},
    };
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const MAX_BLOCK_LEN: usize = 1 << 20;

    fn block(transactions: u64) -> Block {
        let key = SecretKey::from_seed(&[1; 32]);
        let pay = |nonce| {
            let action = Action::Transfer { to: Address::NOBODY, amount: Amount::new(nonce) };
            Transaction::sign(ChainId::ZERO, &key, Nonce::new(nonce), Amount::ZERO, action)
        };
        let header = Header {
            version: 1,
            height: Height::new(7),
            parent: BlockId::ZERO,
            transactions_root: Hash32::ZERO,
            state_root: Hash32::ZERO,
            timestamp: Timestamp::new(transactions),
            target: CompactTarget::new(0x207f_ffff),
            miner: Address::NOBODY,
            nonce: 3,
        };
        Block { header, transactions: (0..transactions).map(pay).collect() }
    }

    fn pool(block: &Block) -> Vec<(TransactionId, Vec<u8>)> {
        block.transactions.iter().map(|one| (one.id(), encoding::encode(one))).collect()
    }

    fn bytes_of(filled: Filled<Vec<u8>>) -> Option<Vec<u8>> {
        let (header, parts) = filled.into_parts()?;
        let bytes = |part: &Part<Vec<u8>>| match part {
            Part::Known(bytes) | Part::Bytes(bytes) => bytes.clone(),
        };
        let parts: Vec<_> = parts.iter().map(bytes).collect();
        let parts: Vec<_> = parts.iter().map(Vec::as_slice).collect();
        Some(bard_chain::block::assemble(&header, &parts))
    }

    fn compact_of(bytes: Vec<u8>) -> Compact {
        match read(bytes, MAX_BLOCK_LEN) {
            Ok(Announcement::Compact(compact)) => *compact,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_block_is_put_together_from_the_pool() {
        let block = block(200);
        let bytes = encoding::encode(&block);
        let message = announce(bytes.clone());
        assert!(message.len() < 200 * 6 + 300, "{} bytes", message.len());
        let filled = compact_of(message).fill(pool(&block).into_iter().rev());
        assert_eq!(filled.missing(), Vec::<u32>::new());
        assert_eq!(bytes_of(filled), Some(bytes));
    }

    #[test]
    fn what_is_missing_is_named_and_put_in() {
        let block = block(100);
        let mut pool = pool(&block);
        let (last, third) = (pool.remove(99).1, pool.remove(3).1);
        let mut filled = compact_of(announce(encoding::encode(&block))).fill(pool.into_iter());
        assert_eq!((filled.missing(), bytes_of(filled.clone())), (vec![3, 99], None));
        assert!(!filled.clone().complete(vec![third.clone()]), "too few");
        assert!(!filled.clone().complete(vec![third.clone(), last.clone(), last.clone()]), "too many");
        assert!(filled.complete(vec![third, last]));
        assert_eq!(bytes_of(filled), Some(encoding::encode(&block)));
    }

    #[test]
    fn what_others_lack_comes_along() {
        let block = block(100);
        let lacking = block.transactions[5].id();
        let compact = Compact::new(&block, |id| *id != lacking);
        let read = compact_of(encoding::encode(&compact));
        assert_eq!(read, compact);
        let pool = pool(&block).into_iter().filter(|(id, _)| *id != lacking);
        assert_eq!(bytes_of(read.fill(pool)), Some(encoding::encode(&block)));
    }

    #[test]
    fn two_of_one_short_id_are_as_good_as_none() {
        let block = block(100);
        let mut compact = compact_of(announce(encoding::encode(&block)));
        compact.short_ids[8] = compact.short_ids[4];
        assert_eq!(compact.fill(pool(&block).into_iter()).missing(), vec![8]);
        let compact = compact_of(announce(encoding::encode(&block)));
        let twice = pool(&block).into_iter().chain([pool(&block)[4].clone()]);
        assert_eq!(compact.fill(twice).missing(), vec![4]);
    }

    #[test]
    fn small_blocks_are_announced_whole() {
        let small = encoding::encode(&block(2));
        assert_eq!(announce(small.clone()), small);
        assert_eq!(read(small.clone(), MAX_BLOCK_LEN), Ok(Announcement::Whole(small)));
        assert_eq!(announce(vec![7; COMPACT_FROM_LEN]), vec![7; COMPACT_FROM_LEN]);
    }

    #[test]
    fn announcements_that_break_a_limit_are_refused() {
        assert_eq!(read(Vec::new(), 8), Err(WireError::Empty));
        assert_eq!(read(vec![0; 9], 8), Err(WireError::TooLong { length: 9, limit: 8 }));
        let refused = |compact: &Compact| read(encoding::encode(compact), MAX_BLOCK_LEN).is_err();
        let compact = Compact::new(&block(4), |_| false);
        assert!(!refused(&compact));
        let mut beyond = compact.clone();
        beyond.prefilled[3].0 = 4;
        assert!(refused(&beyond));
        let mut twice = compact.clone();
        twice.prefilled[3].0 = 2;
        assert!(refused(&twice));
        let mut many = compact.clone();
        many.short_ids = vec![[0; 6]; MAX_BLOCK_LEN / MIN_TRANSACTION_LEN];
        assert!(refused(&many), "more transactions than fit into a block");
        let cut = encoding::encode(&(compact.header(), Bytes::new(&[1; 7]), Vec::<(u32, ByteBuf)>::new()));
        assert!(read(cut, MAX_BLOCK_LEN).is_err(), "a short id is cut off");
    }

    proptest! {
        #[test]
        fn junk_never_panics(bytes in vec(any::<u8>(), 0..512)) {
            let mut bytes = bytes;
            let _ = read(bytes.clone(), MAX_BLOCK_LEN);
            bytes.insert(0, 0x83);
            let _ = read(bytes, MAX_BLOCK_LEN);
        }

        #[test]
        fn a_changed_byte_never_panics(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let block = block(80);
            let mut bytes = encoding::encode(&Compact::new(&block, |id| id.as_bytes()[0] > 40));
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(Announcement::Compact(compact)) = read(bytes.clone(), MAX_BLOCK_LEN) {
                prop_assert_eq!(encoding::encode(&*compact), bytes, "one spelling");
                let _ = bytes_of(compact.fill(pool(&block).into_iter()));
            }
        }
    }

    #[test]
    fn what_others_are_unlikely_to_have_comes_along_within_bounds() {
        let block = block(400);
        let bytes = encoding::encode(&block);
        let ids: Vec<_> = block.transactions.iter().map(|one| id_of(&encoding::encode(one))).collect();
        let compact = |fresh: &HashSet<_>| match read(announce_with(bytes.clone(), fresh), MAX_BLOCK_LEN) {
            Ok(Announcement::Compact(compact)) => compact,
            other => panic!("{other:?}"),
        };
        let told = compact(&HashSet::from([ids[3], ids[9]]));
        assert_eq!(told.prefilled.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [3, 9]);
        let missing = told.fill(std::iter::empty::<(TransactionId, ())>()).missing();
        assert!(missing.len() == 398 && !missing.contains(&3) && !missing.contains(&9));
        let told = compact(&ids.iter().copied().collect());
        let length: usize = told.prefilled.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!((PREFILLED_LEN - 512..=PREFILLED_LEN).contains(&length), "{length}");
        let message = announce_with(bytes.clone(), &HashSet::from([ids[3]]));
        assert_eq!(announce(message.clone()), message, "an announcement stays as it is");
        assert_eq!(announce(bytes.clone()), announce_with(bytes, &HashSet::new()));
    }
}
