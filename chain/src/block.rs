//! Blocks: a sealed header and the transactions it commits to.

use crate::{
    address::Address,
    array_form,
    encoding::{self, EncodingError},
    hash::{BlockId, Domain, Hash32, TransactionId},
    pow::PowFunction,
    target::CompactTarget,
    transaction::{self, Transaction},
    units::{Height, Timestamp},
};

/// The version of blocks that this software knows.
pub const VERSION: u8 = 1;

/// What a header takes at most, in canonical bytes; a limit for whoever reads many of them.
pub const HEADER_MAX_LEN: usize = 192;

/// The header: all that is sealed by the proof of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// [`VERSION`].
    pub version: u8,
    /// Distance from the genesis block.
    pub height: Height,
    /// The id of the block before; of the genesis block, the hash of the specification.
    pub parent: BlockId,
    /// Root of the transactions tree ([`crate::merkle`]).
    pub transactions_root: Hash32,
    /// Root of all accounts and items after this block ([`crate::ledger::commitment`]).
    pub state_root: Hash32,
    /// When the miner says it was made.
    pub timestamp: Timestamp,
    /// What the id must not exceed.
    pub target: CompactTarget,
    /// Who gets subsidy and fees.
    pub miner: Address,
    /// What the miner varies until the id meets the target.
    pub nonce: u64,
}

array_form!(Header {
    version: u8,
    height: Height,
    parent: BlockId,
    transactions_root: Hash32,
    state_root: Hash32,
    timestamp: Timestamp,
    target: CompactTarget,
    miner: Address,
    nonce: u64,
});

impl Header {
    /// The hash of all fields but the nonce: what is sealed together with it.
    pub fn digest(&self) -> Hash32 {
        let Self { version, height, parent, transactions_root, state_root, timestamp, target, miner, nonce: _ } = self;
        let sealed = (version, height, parent, transactions_root, state_root, timestamp, target, miner);
        Domain::Header.hash(&[&encoding::encode(&sealed)])
    }

    /// The id: the seal over digest and nonce. It costs an encoding and a few hashes: keep it where it is needed twice.
    pub fn id(&self, pow: PowFunction) -> BlockId {
        BlockId::new(pow.seal(self.digest().as_bytes(), self.nonce))
    }
}

/// The header that a block's bytes begin with, unchecked; `None` where they are no block, or longer than `limit`.
pub fn claimed_header(bytes: &[u8], limit: usize) -> Option<Header> {
    encoding::peek_first::<Header>(bytes, limit)
}

/// The id that a block's bytes claim, unchecked; `None` where they are no block, or longer than `limit`.
pub fn claimed_id(bytes: &[u8], limit: usize, pow: PowFunction) -> Option<BlockId> {
    claimed_header(bytes, limit).map(|header| header.id(pow))
}

/// A header and the transactions it commits to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The transactions in the order in which they apply.
    pub transactions: Vec<Transaction>,
}

array_form!(Block { header: Header, transactions: Vec<Transaction> });

/// Reads a block, and the ids of its transactions, which are the hashes of the very bytes that it is compared with.
///
/// # Errors
/// As [`encoding::decode`].
pub fn read(bytes: &[u8], limit: usize) -> Result<(Block, Vec<TransactionId>), EncodingError> {
    let block: Block = encoding::decode_any_spelling(bytes, limit)?;
    let heads =
        [encoding::array_head(2), encoding::encode(&block.header), encoding::array_head(block.transactions.len())];
    let mut rest = bytes;
    for head in heads {
        rest = rest.strip_prefix(head.as_slice()).ok_or(EncodingError::NotCanonical)?;
    }
    let mut parts = Vec::with_capacity(block.transactions.len());
    for transaction in &block.transactions {
        let canonical = encoding::encode(transaction);
        let (part, after) = rest.split_at_checked(canonical.len()).ok_or(EncodingError::NotCanonical)?;
        if part != canonical {
            return Err(EncodingError::NotCanonical);
        }
        parts.push(part);
        rest = after;
    }
    if rest.is_empty() { Ok((block, transaction::ids_of(&parts))) } else { Err(EncodingError::NotCanonical) }
}

/// The canonical bytes of a block from its header and the canonical bytes of its transactions.
pub fn assemble(header: &Header, transactions: &[&[u8]]) -> Vec<u8> {
    let head = encoding::encode(header);
    let count = encoding::array_head(transactions.len());
    let length =
        transactions.iter().map(|one| one.len()).fold(head.len().saturating_add(count.len()), usize::saturating_add);
    let mut bytes = Vec::with_capacity(length.saturating_add(1));
    bytes.extend_from_slice(&encoding::array_head(2));
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&count);
    transactions.iter().for_each(|one| bytes.extend_from_slice(one));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        hash::ChainId,
        signature::SecretKey,
        transaction::{Action, ItemName},
        units::{Amount, Nonce},
    };

    fn header() -> Header {
        Header {
            version: VERSION,
            height: Height::new(u64::MAX),
            parent: BlockId::ZERO,
            transactions_root: Hash32::ZERO,
            state_root: Hash32::ZERO,
            timestamp: Timestamp::new(u64::MAX),
            target: CompactTarget::new(u32::MAX),
            miner: Address::NOBODY,
            nonce: u64::MAX,
        }
    }

    #[test]
    fn the_longest_header_fits_its_limit() {
        assert!(encoding::encode(&header()).len() <= HEADER_MAX_LEN);
    }

    #[test]
    fn a_block_claims_its_id() {
        let block = Block { header: header(), transactions: Vec::new() };
        let bytes = encoding::encode(&block);
        let id = block.header.id(PowFunction::Blake3);
        assert_eq!(claimed_id(&bytes, 1024, PowFunction::Blake3), Some(id));
        assert_eq!(claimed_id(&bytes, 10, PowFunction::Blake3), None);
        assert_eq!(claimed_id(b"junk", 10, PowFunction::Blake3), None);
    }

    #[test]
    fn a_block_is_the_sum_of_its_parts() {
        let key = SecretKey::from_seed(&[1; 32]);
        let action = Action::Record { content_type: "text/plain".into(), bytes: vec![1; 200] };
        let one = Transaction::sign(ChainId::ZERO, &key, Nonce::ZERO, Amount::ZERO, action);
        for count in [0, 1, 23, 24, 255, 256, 300] {
            let block = Block { header: header(), transactions: vec![one.clone(); count] };
            let part = encoding::encode(&one);
            let bytes = encoding::encode(&block);
            assert_eq!(assemble(&header(), &vec![part.as_slice(); count]), bytes, "{count}");
            assert_eq!(read(&bytes, bytes.len()), Ok((block, vec![one.id(); count])), "{count}");
        }
    }

    #[test]
    fn a_block_has_one_spelling() {
        let key = SecretKey::from_seed(&[1; 32]);
        let action = Action::ItemRequest { item: ItemName::new("projector") };
        let (nonce, fee) = (Nonce::ZERO, Amount::ZERO);
        let one = Transaction::sign(ChainId::ZERO, &key, nonce, fee, action);
        let bytes = encoding::encode(&Block { header: header(), transactions: vec![one; 2] });
        // Each head of up to 23 also has a spelling of one byte more, and what is one byte longer is read as the same, or not
        // at all.
        let (mut spelled, mut longer) = (0, bytes.clone());
        for at in 0..bytes.len() {
            longer.splice(at..=at, [bytes[at] & 0xe0 | 0x18, bytes[at] & 0x1f]);
            let same = encoding::decode_any_spelling::<Block>(&longer, longer.len()).is_ok();
            assert!(read(&longer, longer.len()).is_err(), "at {at}");
            spelled += usize::from(same && read(&longer, longer.len()) == Err(EncodingError::NotCanonical));
            longer.clone_from(&bytes);
        }
        // The block, its header and list, version of both and height; of each transaction itself, version, nonce, fee and the
        // action with its number and name.
        assert!(spelled > 12, "{spelled} second spellings were tried");
        assert_eq!(
            read(&bytes, bytes.len() - 1),
            Err(EncodingError::TooLong { length: bytes.len(), limit: bytes.len() - 1 })
        );
        longer.push(0);
        assert!(read(&longer, longer.len()).is_err(), "something follows");
    }

    #[test]
    fn the_digest_leaves_out_the_nonce_alone() {
        let one = header();
        let two = Header { nonce: 0, ..one.clone() };
        assert_eq!(one.digest(), two.digest());
        assert_ne!(one.id(PowFunction::Sha256d), two.id(PowFunction::Sha256d));
        let three = Header { miner: Address::new([1; 32]), ..one.clone() };
        assert_ne!(one.digest(), three.digest());
    }
}
