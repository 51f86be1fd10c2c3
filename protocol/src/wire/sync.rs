//! Questions and answers between two nodes: status, headers, blocks, the pool.
//!
//! Each is an array that begins with the number of its kind. An answer may hold less than was asked for: the asker compares
//! what it has got with what it wanted, and asks again, here or elsewhere. Blocks and transactions travel as byte strings of
//! their canonical bytes and say themselves which they are.

use core::fmt;

use bard_chain::{
    block::{HEADER_MAX_LEN, Header},
    hash::{BlockId, TransactionId},
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
};
use serde_bytes::ByteBuf;

use super::{
    bounded::{Bounded, ByteStrings, next_field},
    frame,
    limits::{MAX_BLOCK_IDS, MAX_BLOCK_TRANSACTIONS, MAX_HEADERS, MAX_LOCATOR, MAX_POOL_IDS, MAX_TRANSACTION_IDS},
    status::Status,
};

/// A question to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncRequest {
    /// Who are you; the asker says who it is at once.
    Status(Status),
    /// The headers that follow the first id of `locator` that the answerer's best chain holds, oldest first.
    Headers {
        /// Ids on the asker's best chain, newest first, ever further apart; at most [`MAX_LOCATOR`].
        locator: Vec<BlockId>,
        /// How many headers at most; more than [`MAX_HEADERS`] are not sent.
        limit: u32,
    },
    /// The blocks with these ids.
    Blocks {
        /// At most [`MAX_BLOCK_IDS`].
        ids: Vec<BlockId>,
    },
    /// The ids of all transactions in the pool.
    PoolIds,
    /// The pooled transactions with these ids.
    Transactions {
        /// At most [`MAX_TRANSACTION_IDS`].
        ids: Vec<TransactionId>,
    },
    /// Some transactions of one block.
    BlockTransactions {
        /// The block.
        block: BlockId,
        /// Their indices in it, ascending; at most [`MAX_BLOCK_TRANSACTIONS`].
        indices: Vec<u32>,
    },
}

/// The answer to a [`SyncRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncResponse {
    /// To [`SyncRequest::Status`].
    Status(Status),
    /// To [`SyncRequest::Headers`]: at most [`MAX_HEADERS`], each the child of the one before. None: the asker is ahead.
    Headers(Vec<Header>),
    /// To [`SyncRequest::Blocks`]: canonical bytes in the order asked for. Blocks the answerer lacks are skipped, and it
    /// stops before the answer outgrows [`ANSWER_TARGET_LEN`](super::limits::ANSWER_TARGET_LEN), but not before the first.
    Blocks(Vec<Vec<u8>>),
    /// To [`SyncRequest::PoolIds`]: at most [`MAX_POOL_IDS`].
    PoolIds(Vec<TransactionId>),
    /// To [`SyncRequest::Transactions`]: canonical bytes; skips and stops as [`SyncResponse::Blocks`] does.
    Transactions(Vec<Vec<u8>>),
    /// To [`SyncRequest::BlockTransactions`]: the canonical bytes of all that were asked for, in that order.
    BlockTransactions(Vec<Vec<u8>>),
    /// No answer.
    Refused(RefusedReason),
}

/// Why a peer gives no answer. None of them is a fault of the one who gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedReason {
    /// Too many questions at once: ask later, or somebody else.
    #[error("the peer is busy")]
    Busy,
    /// The answer would be longer than an answer may be: ask for less.
    #[error("the answer would be too large")]
    TooLarge,
    /// The answerer knows nothing of what was asked for.
    #[error("the peer does not know what was asked for")]
    Unknown,
    /// The question was not understood.
    #[error("the peer did not understand the question")]
    Malformed,
}

/// The kinds of answer, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Status,
    Headers,
    Blocks,
    PoolIds,
    Transactions,
    BlockTransactions,
}

/// What an answer to a request may be: its kind and the number of its elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expectation {
    kind: Kind,
    most: usize,
}

impl SyncRequest {
    /// What may come back.
    pub fn expectation(&self) -> Expectation {
        let (kind, most) = match self {
            Self::Status(_) => (Kind::Status, 1),
            Self::Headers { limit, .. } => (Kind::Headers, usize::try_from(*limit).unwrap_or(usize::MAX)),
            Self::Blocks { ids } => (Kind::Blocks, ids.len()),
            Self::PoolIds => (Kind::PoolIds, MAX_POOL_IDS),
            Self::Transactions { ids } => (Kind::Transactions, ids.len()),
            Self::BlockTransactions { indices, .. } => (Kind::BlockTransactions, indices.len()),
        };
        Expectation { kind, most }
    }
}

impl SyncResponse {
    /// About how many bytes it takes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Status(_) | Self::Refused(_) => 0,
            Self::Headers(headers) => headers.len().saturating_mul(HEADER_MAX_LEN),
            Self::Blocks(all) | Self::Transactions(all) | Self::BlockTransactions(all) => {
                all.iter().map(Vec::len).sum()
            }
            Self::PoolIds(ids) => ids.len().saturating_mul(TransactionId::LEN),
        }
    }
}

impl Expectation {
    /// Whether `response` is of the kind that was asked for and holds no more than was asked for. A refusal always is.
    pub fn is_met_by(self, response: &SyncResponse) -> bool {
        let (kind, count) = match response {
            SyncResponse::Status(_) => (Kind::Status, 1),
            SyncResponse::Headers(headers) => (Kind::Headers, headers.len()),
            SyncResponse::Blocks(blocks) => (Kind::Blocks, blocks.len()),
            SyncResponse::PoolIds(ids) => (Kind::PoolIds, ids.len()),
            SyncResponse::Transactions(transactions) => (Kind::Transactions, transactions.len()),
            SyncResponse::BlockTransactions(transactions) => (Kind::BlockTransactions, transactions.len()),
            SyncResponse::Refused(_) => return true,
        };
        kind == self.kind && count <= self.most
    }
}

impl frame::Answer for SyncResponse {
    fn too_large() -> Self {
        Self::Refused(RefusedReason::TooLarge)
    }
}

impl Serialize for SyncRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Status(status) => (0_u8, status).serialize(serializer),
            Self::Headers { locator, limit } => (1_u8, locator, limit).serialize(serializer),
            Self::Blocks { ids } => (2_u8, ids).serialize(serializer),
            Self::PoolIds => (3_u8,).serialize(serializer),
            Self::Transactions { ids } => (4_u8, ids).serialize(serializer),
            Self::BlockTransactions { block, indices } => (6_u8, block, indices).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SyncRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(RequestVisitor)
    }
}

struct RequestVisitor;

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = SyncRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request: an array that begins with 0 to 4, or 6")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<SyncRequest, A::Error> {
        match next_field::<A, u8>(&mut fields)? {
            0 => Ok(SyncRequest::Status(next_field(&mut fields)?)),
            1 => Ok(SyncRequest::Headers {
                locator: next_field::<A, Bounded<_, MAX_LOCATOR>>(&mut fields)?.0,
                limit: next_field(&mut fields)?,
            }),
            2 => Ok(SyncRequest::Blocks { ids: next_field::<A, Bounded<_, MAX_BLOCK_IDS>>(&mut fields)?.0 }),
            3 => Ok(SyncRequest::PoolIds),
            4 => {
                Ok(SyncRequest::Transactions { ids: next_field::<A, Bounded<_, MAX_TRANSACTION_IDS>>(&mut fields)?.0 })
            }
            6 => Ok(SyncRequest::BlockTransactions {
                block: next_field(&mut fields)?,
                indices: next_field::<A, Bounded<_, MAX_BLOCK_TRANSACTIONS>>(&mut fields)?.0,
            }),
            other => Err(de::Error::invalid_value(de::Unexpected::Unsigned(other.into()), &self)),
        }
    }
}

impl Serialize for SyncResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Status(status) => (0_u8, status).serialize(serializer),
            Self::Headers(headers) => (1_u8, headers).serialize(serializer),
            Self::Blocks(blocks) => (2_u8, ByteStrings(blocks)).serialize(serializer),
            Self::PoolIds(ids) => (3_u8, ids).serialize(serializer),
            Self::Transactions(transactions) => (4_u8, ByteStrings(transactions)).serialize(serializer),
            Self::BlockTransactions(transactions) => (6_u8, ByteStrings(transactions)).serialize(serializer),
            Self::Refused(reason) => (5_u8, reason).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for SyncResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ResponseVisitor)
    }
}

struct ResponseVisitor;

impl<'de> Visitor<'de> for ResponseVisitor {
    type Value = SyncResponse;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a response: an array that begins with 0 to 6")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<SyncResponse, A::Error> {
        match next_field::<A, u8>(&mut fields)? {
            0 => Ok(SyncResponse::Status(next_field(&mut fields)?)),
            1 => Ok(SyncResponse::Headers(next_field::<A, Bounded<_, MAX_HEADERS>>(&mut fields)?.0)),
            2 => {
                let blocks: Bounded<ByteBuf, MAX_BLOCK_IDS> = next_field(&mut fields)?;
                Ok(SyncResponse::Blocks(blocks.into_byte_strings()))
            }
            3 => Ok(SyncResponse::PoolIds(next_field::<A, Bounded<_, MAX_POOL_IDS>>(&mut fields)?.0)),
            4 => {
                let transactions: Bounded<ByteBuf, MAX_TRANSACTION_IDS> = next_field(&mut fields)?;
                Ok(SyncResponse::Transactions(transactions.into_byte_strings()))
            }
            5 => Ok(SyncResponse::Refused(next_field(&mut fields)?)),
            6 => {
                let transactions: Bounded<ByteBuf, MAX_BLOCK_TRANSACTIONS> = next_field(&mut fields)?;
                Ok(SyncResponse::BlockTransactions(transactions.into_byte_strings()))
            }
            other => Err(de::Error::invalid_value(de::Unexpected::Unsigned(other.into()), &self)),
        }
    }
}

impl Serialize for RefusedReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number: u8 = match self {
            Self::Busy => 0,
            Self::TooLarge => 1,
            Self::Unknown => 2,
            Self::Malformed => 3,
        };
        number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RefusedReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(Self::Busy),
            1 => Ok(Self::TooLarge),
            2 => Ok(Self::Unknown),
            3 => Ok(Self::Malformed),
            other => Err(de::Error::invalid_value(de::Unexpected::Unsigned(other.into()), &"0 to 3")),
        }
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::{
        address::Address,
        encoding,
        hash::{ChainId, Hash32},
        target::CompactTarget,
        units::{Height, Timestamp, Work},
    };
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::wire::{
        limits::{REQUEST_MAX_LEN, response_max_len},
        status::Agent,
    };

    const RESPONSE_MAX_LEN: usize = response_max_len(1 << 20);

    fn any_status() -> impl Strategy<Value = Status> {
        any::<([u8; 32], u64, [u8; 32], [u8; 32], String, u64, u64)>().prop_map(
            |(chain, height, tip, work, agent, clock, blocks_from)| Status {
                chain: ChainId::new(chain),
                height: Height::new(height),
                tip: BlockId::new(tip),
                work: Work::from_be_bytes(work),
                agent: Agent::new(&agent),
                clock: Timestamp::new(clock),
                blocks_from: Height::new(blocks_from),
            },
        )
    }

    fn any_header() -> impl Strategy<Value = Header> {
        any::<(u64, [u8; 32], u64, u32, u64)>().prop_map(|(height, hash, time, target, nonce)| Header {
            version: 1,
            height: Height::new(height),
            parent: BlockId::new(hash),
            transactions_root: Hash32::new(hash),
            state_root: Hash32::new(hash),
            timestamp: Timestamp::new(time),
            target: CompactTarget::new(target),
            miner: Address::new(hash),
            nonce,
        })
    }

    fn block_ids(most: usize) -> impl Strategy<Value = Vec<BlockId>> {
        vec(any::<[u8; 32]>().prop_map(BlockId::new), 0..=most)
    }

    fn transaction_ids(most: usize) -> impl Strategy<Value = Vec<TransactionId>> {
        vec(any::<[u8; 32]>().prop_map(TransactionId::new), 0..=most)
    }

    fn any_request() -> impl Strategy<Value = SyncRequest> {
        prop_oneof![
            any_status().prop_map(SyncRequest::Status),
            (block_ids(MAX_LOCATOR), any::<u32>()).prop_map(|(locator, limit)| SyncRequest::Headers { locator, limit }),
            block_ids(MAX_BLOCK_IDS).prop_map(|ids| SyncRequest::Blocks { ids }),
            Just(SyncRequest::PoolIds),
            transaction_ids(300).prop_map(|ids| SyncRequest::Transactions { ids }),
            any::<([u8; 32], Vec<u32>)>()
                .prop_map(|(block, indices)| SyncRequest::BlockTransactions { block: BlockId::new(block), indices }),
        ]
    }

    fn any_response() -> impl Strategy<Value = SyncResponse> {
        let reasons = [RefusedReason::Busy, RefusedReason::TooLarge, RefusedReason::Unknown, RefusedReason::Malformed];
        prop_oneof![
            any_status().prop_map(SyncResponse::Status),
            vec(any_header(), 0..50).prop_map(SyncResponse::Headers),
            vec(vec(any::<u8>(), 0..300), 0..=MAX_BLOCK_IDS).prop_map(SyncResponse::Blocks),
            transaction_ids(300).prop_map(SyncResponse::PoolIds),
            vec(vec(any::<u8>(), 0..100), 0..300).prop_map(SyncResponse::Transactions),
            vec(vec(any::<u8>(), 0..100), 0..300).prop_map(SyncResponse::BlockTransactions),
            proptest::sample::select(reasons.to_vec()).prop_map(SyncResponse::Refused),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn requests_survive_their_encoding(request in any_request()) {
            let frame = frame::seal(&request, REQUEST_MAX_LEN).expect("within the limit");
            prop_assert_eq!(frame::open(&frame[4..], REQUEST_MAX_LEN), Ok(request));
        }

        #[test]
        fn responses_survive_their_encoding(response in any_response()) {
            let frame = frame::seal(&response, RESPONSE_MAX_LEN).expect("within the limit");
            prop_assert_eq!(frame::open(&frame[4..], RESPONSE_MAX_LEN), Ok(response));
        }

        #[test]
        fn junk_never_panics(bytes in vec(any::<u8>(), 0..512)) {
            let _ = encoding::decode::<SyncRequest>(&bytes, 512);
            let _ = encoding::decode::<SyncResponse>(&bytes, 512);
        }

        #[test]
        fn a_changed_byte_never_panics(response in any_response(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut bytes = encoding::encode(&response);
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(read) = encoding::decode::<SyncResponse>(&bytes, RESPONSE_MAX_LEN) {
                prop_assert_eq!(encoding::encode(&read), bytes, "one spelling");
            }
        }
    }

    #[test]
    fn the_spelling_is_fixed() {
        let id = [0x11; 32];
        let with_id = |head: &[u8]| [head, &[0x58, 0x20], &id].concat();
        let block = vec![BlockId::new(id)];
        assert_eq!(encoding::encode(&SyncRequest::PoolIds), [0x81, 3]);
        assert_eq!(encoding::encode(&SyncRequest::Blocks { ids: block.clone() }), with_id(&[0x82, 2, 0x81]));
        let ids = vec![TransactionId::new(id)];
        assert_eq!(encoding::encode(&SyncRequest::Transactions { ids: ids.clone() }), with_id(&[0x82, 4, 0x81]));
        assert_eq!(encoding::encode(&SyncResponse::PoolIds(ids)), with_id(&[0x82, 3, 0x81]));
        let headers = encoding::encode(&SyncRequest::Headers { locator: block, limit: 24 });
        assert_eq!(headers, [with_id(&[0x83, 1, 0x81]), vec![0x18, 24]].concat());
        assert_eq!(encoding::encode(&SyncResponse::Headers(Vec::new())), [0x82, 1, 0x80]);
        assert_eq!(encoding::encode(&SyncResponse::Blocks(vec![vec![7, 8]])), [0x82, 2, 0x81, 0x42, 7, 8]);
        assert_eq!(encoding::encode(&SyncResponse::Transactions(vec![vec![7]])), [0x82, 4, 0x81, 0x41, 7]);
        assert_eq!(encoding::encode(&SyncResponse::Refused(RefusedReason::TooLarge)), [0x82, 5, 1]);
        assert_eq!(encoding::encode(&SyncResponse::BlockTransactions(vec![vec![7]])), [0x82, 6, 0x81, 0x41, 7]);
        let some = SyncRequest::BlockTransactions { block: BlockId::new(id), indices: vec![3] };
        assert_eq!(encoding::encode(&some), [&[0x83, 6, 0x58, 0x20][..], &id, &[0x81, 3]].concat());
        let status = Status {
            chain: ChainId::new(id),
            height: Height::new(2),
            tip: BlockId::new(id),
            work: Work::ZERO,
            agent: Agent::new("a"),
            clock: Timestamp::new(3),
            blocks_from: Height::new(1),
        };
        let expected = [with_id(&[0x82, 0, 0x87]), with_id(&[2]), vec![0x40, 0x61, b'a', 3, 1]].concat();
        assert_eq!(encoding::encode(&SyncRequest::Status(status)), expected);
    }

    #[test]
    fn the_fullest_messages_fit_their_limits() {
        let ids = vec![TransactionId::ZERO; MAX_TRANSACTION_IDS];
        assert!(frame::seal(&SyncRequest::Transactions { ids }, REQUEST_MAX_LEN).is_ok());
        for response in [
            SyncResponse::PoolIds(vec![TransactionId::ZERO; MAX_POOL_IDS]),
            SyncResponse::Blocks(vec![vec![0; 1 << 20]]),
            SyncResponse::Transactions(vec![vec![0; (1 << 20) / MAX_TRANSACTION_IDS]; MAX_TRANSACTION_IDS]),
        ] {
            assert!(frame::seal(&response, RESPONSE_MAX_LEN).is_ok());
        }
    }

    #[test]
    fn one_element_too_many_is_refused() {
        let refused = |bytes: Vec<u8>| {
            assert!(encoding::decode::<SyncRequest>(&bytes, 1 << 22).is_err());
            assert!(encoding::decode::<SyncResponse>(&bytes, 1 << 22).is_err());
        };
        refused(encoding::encode(&(1_u8, vec![BlockId::ZERO; MAX_LOCATOR + 1], 5_u8)));
        refused(encoding::encode(&SyncRequest::Blocks { ids: vec![BlockId::ZERO; MAX_BLOCK_IDS + 1] }));
        refused(encoding::encode(&SyncRequest::Transactions {
            ids: vec![TransactionId::ZERO; MAX_TRANSACTION_IDS + 1],
        }));
        refused(encoding::encode(&SyncResponse::Blocks(vec![Vec::new(); MAX_BLOCK_IDS + 1])));
        refused(encoding::encode(&SyncResponse::PoolIds(vec![TransactionId::ZERO; MAX_POOL_IDS + 1])));
        refused(encoding::encode(&(7_u8, 0_u8)));
        let indices = vec![0; MAX_BLOCK_TRANSACTIONS + 1];
        refused(encoding::encode(&SyncRequest::BlockTransactions { block: BlockId::ZERO, indices }));
        refused(encoding::encode(&(3_u8, 0_u8, 0_u8)));
        refused(Vec::new());
    }

    #[test]
    fn answers_must_be_what_was_asked_for() {
        let expectation = SyncRequest::Blocks { ids: vec![BlockId::ZERO; 2] }.expectation();
        assert!(expectation.is_met_by(&SyncResponse::Blocks(vec![vec![1], vec![2]])));
        assert!(expectation.is_met_by(&SyncResponse::Blocks(Vec::new())));
        assert!(expectation.is_met_by(&SyncResponse::Refused(RefusedReason::Busy)));
        assert!(!expectation.is_met_by(&SyncResponse::Blocks(vec![vec![1]; 3])));
        assert!(!expectation.is_met_by(&SyncResponse::Transactions(vec![vec![1]])));
    }
}
