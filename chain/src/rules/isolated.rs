//! What can be told from a block or a transaction alone: form, sizes, work, roots, signatures.

use std::sync::Arc;

use crate::{
    block::{self, Block, Header},
    encoding,
    hash::{BlockId, ChainId, TransactionId},
    invalid::{Invalid, TransactionFault},
    merkle,
    signature::{self, Claim},
    spec::ChainSpec,
    target::Target,
    transaction::{self, Action, Transaction},
    units::{Amount, Height},
};

/// The longest content type of a record, in bytes.
const CONTENT_TYPE_MAX_LEN: usize = 64;

/// A block that is right in itself: form, sizes, work, transactions root, and every signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolated {
    id: BlockId,
    block: Block,
    transaction_ids: Vec<TransactionId>,
    bytes: Arc<[u8]>,
}

/// A block that is right in itself but for its signatures, some of which nobody checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    whole: Isolated,
    /// Indices of the transactions whose signatures nobody checked.
    unchecked: Vec<usize>,
}

/// A transaction of a block that is put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<T = Arc<CheckedTransaction>> {
    /// One that is known.
    Known(T),
    /// Canonical bytes of one that somebody sent, if it is one at all.
    Bytes(Vec<u8>),
}

/// Checks many claims at once, on however many cores; whether all hold. [`signature::all_hold`] is one.
pub type CheckClaims<'a> = &'a dyn Fn(&[Claim]) -> bool;

impl Unsigned {
    /// Reads a block from its bytes and checks all that it says about itself but the signatures.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn read(spec: &ChainSpec, bytes: &[u8]) -> Result<Self, Invalid> {
        let limit = spec.max_block_len();
        check_length(spec, bytes.len())?;
        let (block, transaction_ids) = block::read(bytes, limit).map_err(Invalid::Encoding)?;
        let id = check_header(spec, &block.header)?;
        check_root(&block.header, &transaction_ids)?;
        for (index, transaction) in (0..).zip(&block.transactions) {
            check_fields(spec, transaction).map_err(|fault| Invalid::Transaction { index, fault })?;
        }
        let unchecked = (0..block.transactions.len()).collect();
        Ok(Self { whole: Isolated { id, block, transaction_ids, bytes: bytes.into() }, unchecked })
    }

    /// Puts a block together. It comes to the same as reading its bytes, but nothing is done again that was done for the
    /// transactions that are known.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn assemble(spec: &ChainSpec, header: Header, parts: &[Part]) -> Result<Self, Invalid> {
        let pieces: Vec<&[u8]> = parts
            .iter()
            .map(|part| match part {
                Part::Known(known) => known.bytes().as_ref(),
                Part::Bytes(bytes) => bytes.as_slice(),
            })
            .collect();
        // Before they are put together: few bytes can name much that is known.
        let least = pieces.iter().map(|piece| piece.len()).fold(0, usize::saturating_add);
        check_length(spec, least)?;
        let bytes = block::assemble(&header, &pieces);
        check_length(spec, bytes.len())?;
        let mut transactions = Vec::with_capacity(parts.len());
        let mut transaction_ids = Vec::with_capacity(parts.len());
        let mut unchecked = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            match part {
                Part::Known(known) => {
                    transactions.push(known.transaction.clone());
                    transaction_ids.push(known.id);
                }
                Part::Bytes(bytes) => {
                    transactions.push(encoding::decode(bytes, bytes.len()).map_err(Invalid::Encoding)?);
                    transaction_ids.push(transaction::id_of(bytes));
                    unchecked.push(index);
                }
            }
        }
        let id = check_header(spec, &header)?;
        check_root(&header, &transaction_ids)?;
        for (at, transaction) in unchecked.iter().filter_map(|at| Some((*at, transactions.get(*at)?))) {
            let index = at as u64;
            check_fields(spec, transaction).map_err(|fault| Invalid::Transaction { index, fault })?;
        }
        let block = Block { header, transactions };
        Ok(Self { whole: Isolated { id, block, transaction_ids, bytes: bytes.into() }, unchecked })
    }

    /// The block's id.
    pub const fn id(&self) -> BlockId {
        self.whole.id
    }

    /// The block.
    pub const fn block(&self) -> &Block {
        &self.whole.block
    }

    /// The ids of its transactions, in their order.
    pub fn transaction_ids(&self) -> &[TransactionId] {
        &self.whole.transaction_ids
    }

    /// The ids of those whose signatures nobody checked yet.
    pub fn unchecked_ids(&self) -> impl Iterator<Item = &TransactionId> {
        self.unchecked.iter().filter_map(|at| self.whole.transaction_ids.get(*at))
    }

    /// Checks the signatures, but for transactions that `known` says were checked before.
    ///
    /// # Errors
    /// The first transaction whose signature does not hold.
    pub fn check_signatures(
        self,
        chain: ChainId,
        known: &dyn Fn(&TransactionId) -> bool,
        all_hold: CheckClaims<'_>,
    ) -> Result<Isolated, Invalid> {
        let Isolated { block, transaction_ids, .. } = &self.whole;
        let one = |at: &usize| Some((*at, transaction_ids.get(*at)?, block.transactions.get(*at)?));
        let unknown = || self.unchecked.iter().filter_map(one).filter(|(_, id, _)| !known(id));
        let claims = transaction::claims(chain, unknown().map(|(.., transaction)| transaction));
        if all_hold(&claims) {
            return Ok(self.whole);
        }
        let forged = unknown().find(|(.., transaction)| !transaction.claim(chain).holds());
        let index = forged.map_or(0, |(at, ..)| at as u64);
        Err(Invalid::Transaction { index, fault: TransactionFault::Signature })
    }

    /// Takes a block for right that was checked before it was stored.
    pub fn trust_stored(self) -> Isolated {
        self.whole
    }
}

impl Isolated {
    /// Reads a block and checks all that it says about itself, on the calling thread.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn read(spec: &ChainSpec, chain: ChainId, bytes: &[u8]) -> Result<Self, Invalid> {
        Unsigned::read(spec, bytes)?.check_signatures(chain, &|_| false, &in_batches)
    }

    /// The genesis block of a specification: right by definition.
    pub fn genesis(spec: &ChainSpec) -> Self {
        let block = spec.genesis();
        let bytes = encoding::encode(&block).into();
        Self { id: block.header.id(spec.pow), block, transaction_ids: Vec::new(), bytes }
    }

    /// The block's id.
    pub const fn id(&self) -> BlockId {
        self.id
    }

    /// The block.
    pub const fn block(&self) -> &Block {
        &self.block
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.block.header
    }

    /// The ids of its transactions, in their order.
    pub fn transaction_ids(&self) -> &[TransactionId] {
        &self.transaction_ids
    }

    /// The canonical bytes.
    pub const fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }
}

fn check_length(spec: &ChainSpec, length: usize) -> Result<(), Invalid> {
    let (length, limit) = (length as u64, spec.max_block_len() as u64);
    if length > limit { Err(Invalid::TooLarge { length, limit }) } else { Ok(()) }
}

fn check_root(header: &Header, ids: &[TransactionId]) -> Result<(), Invalid> {
    if merkle::root(ids) == header.transactions_root { Ok(()) } else { Err(Invalid::TransactionsRoot) }
}

/// [`signature::all_hold`] in slices of [`signature::BATCH`], one after the other.
pub fn in_batches(claims: &[Claim]) -> bool {
    claims.chunks(signature::BATCH).all(signature::all_hold)
}

/// Checks what a header says about itself: version, height, target, work. Returns its id.
///
/// # Errors
/// The first rule it breaks.
pub fn check_header(spec: &ChainSpec, header: &Header) -> Result<BlockId, Invalid> {
    if header.version != block::VERSION {
        return Err(Invalid::Version { version: header.version });
    }
    if header.height > Height::MAX {
        return Err(Invalid::HeightTooLarge { height: header.height });
    }
    let bits = header.target.bits();
    let target = header.target.expand().ok_or(Invalid::TargetMalformed { bits })?;
    let easiest = spec.easiest_target;
    if target > easiest.expand().unwrap_or(Target::HARDEST) {
        return Err(Invalid::TargetTooEasy { bits, easiest: easiest.bits() });
    }
    let id = header.id(spec.pow);
    if target.is_met_by(id.as_bytes()) { Ok(id) } else { Err(Invalid::WorkMissing { id }) }
}

/// A transaction that is right in itself, signature included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedTransaction {
    id: TransactionId,
    transaction: Transaction,
    bytes: Arc<[u8]>,
}

impl CheckedTransaction {
    /// The id.
    pub const fn id(&self) -> TransactionId {
        self.id
    }

    /// The transaction.
    pub const fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// The canonical bytes.
    pub const fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }
}

/// Reads transactions and checks all that they say about themselves, their signatures together: one answer each.
pub fn check_transactions<B: AsRef<[u8]>>(
    spec: &ChainSpec,
    chain: ChainId,
    all: &[B],
    all_hold: CheckClaims<'_>,
) -> Vec<Result<CheckedTransaction, TransactionFault>> {
    let read: Vec<_> = all.iter().map(|bytes| read_transaction(spec, bytes.as_ref())).collect();
    let claims = transaction::claims(chain, read.iter().flatten());
    let good: Vec<&[u8]> =
        all.iter().zip(&read).filter(|(_, read)| read.is_ok()).map(|(bytes, _)| bytes.as_ref()).collect();
    let mut ids = transaction::ids_of(&good).into_iter();
    let together = all_hold(&claims);
    let checked = |(read, bytes): (Result<Transaction, _>, &B)| {
        let transaction = read?;
        let id = ids.next().unwrap_or_else(|| transaction.id());
        match together || transaction.claim(chain).holds() {
            true => Ok(CheckedTransaction { id, transaction, bytes: bytes.as_ref().into() }),
            false => Err(TransactionFault::Signature),
        }
    };
    read.into_iter().zip(all).map(checked).collect()
}

/// Takes transactions of a block that was checked for right: a reorganisation brought them back.
pub fn from_block(block: &Isolated) -> Vec<CheckedTransaction> {
    let both = block.transaction_ids().iter().zip(&block.block().transactions);
    both.map(|(id, transaction)| CheckedTransaction {
        id: *id,
        transaction: transaction.clone(),
        bytes: encoding::encode(transaction).into(),
    })
    .collect()
}

fn read_transaction(spec: &ChainSpec, bytes: &[u8]) -> Result<Transaction, TransactionFault> {
    let transaction: Transaction = encoding::decode(bytes, spec.max_block_len()).map_err(TransactionFault::Encoding)?;
    check_fields(spec, &transaction)?;
    Ok(transaction)
}

fn check_fields(spec: &ChainSpec, transaction: &Transaction) -> Result<(), TransactionFault> {
    if transaction.version != transaction::VERSION {
        return Err(TransactionFault::Version { version: transaction.version });
    }
    if transaction.fee > Amount::MAX {
        return Err(TransactionFault::FeeTooLarge { fee: transaction.fee });
    }
    match &transaction.action {
        Action::Transfer { amount, .. } if *amount == Amount::ZERO => Err(TransactionFault::AmountZero),
        Action::Transfer { amount, .. } if *amount > Amount::MAX => {
            Err(TransactionFault::AmountTooLarge { amount: *amount })
        }
        Action::Transfer { .. } => Ok(()),
        Action::Record { content_type, bytes } => check_record(spec, content_type, bytes),
        Action::ItemRequest { item } | Action::ItemRelease { item } | Action::ItemTransfer { item, .. } => {
            if item.is_valid() { Ok(()) } else { Err(TransactionFault::ItemName) }
        }
    }
}

fn check_record(spec: &ChainSpec, content_type: &str, bytes: &[u8]) -> Result<(), TransactionFault> {
    let visible = content_type.bytes().all(|byte| byte.is_ascii_graphic());
    if !(1..=CONTENT_TYPE_MAX_LEN).contains(&content_type.len()) || !visible {
        return Err(TransactionFault::RecordContentType);
    }
    let (length, limit) = (bytes.len() as u64, spec.max_record_bytes);
    if length > limit { Err(TransactionFault::RecordTooLarge { length, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        presets,
        units::{Nonce, Timestamp},
    };

    /// A block of the `dev` chain with three transactions, sealed, and its parts.
    fn block() -> (ChainSpec, Block, Vec<Arc<CheckedTransaction>>) {
        let (spec, key) = (presets::dev(), presets::dev_key("alice").expect("known"));
        let action = || Action::Record { content_type: "text/plain".into(), bytes: vec![7; 10] };
        let sign = |nonce| Transaction::sign(spec.chain_id(), &key, Nonce::new(nonce), Amount::ZERO, action());
        let transactions: Vec<_> = (0..3).map(sign).collect();
        let bytes: Vec<_> = transactions.iter().map(encoding::encode).collect();
        let checked = check_transactions(&spec, spec.chain_id(), &bytes, &in_batches);
        let known: Vec<_> = checked.into_iter().map(|one| Arc::new(one.expect("right"))).collect();
        let ids: Vec<_> = known.iter().map(|one| one.id()).collect();
        let genesis = spec.genesis().header;
        let mut header = Header {
            height: Height::new(1),
            parent: spec.chain_id().into(),
            transactions_root: merkle::root(&ids),
            timestamp: Timestamp::new(1),
            ..genesis
        };
        while check_header(&spec, &header).is_err() {
            header.nonce += 1;
        }
        (spec, Block { header, transactions }, known)
    }

    #[test]
    fn a_block_in_parts_is_the_block_of_its_bytes() {
        let (spec, block, known) = block();
        let chain = spec.chain_id();
        let whole = Isolated::read(&spec, chain, &encoding::encode(&block)).expect("right");
        for given in 0..8_u8 {
            let part = |(at, one): (u32, &Arc<CheckedTransaction>)| match given >> at & 1 {
                0 => Part::Known(Arc::clone(one)),
                _ => Part::Bytes(one.bytes().to_vec()),
            };
            let parts: Vec<_> = (0..).zip(&known).map(part).collect();
            let unsigned = Unsigned::assemble(&spec, block.header.clone(), &parts).expect("right but for signatures");
            let unchecked = unsigned.unchecked_ids().count();
            assert_eq!(unchecked, given.count_ones() as usize, "what is known is not checked again");
            let nothing_to_check = |claims: &[Claim]| claims.len() == unchecked && in_batches(claims);
            let signed = unsigned.check_signatures(chain, &|_| false, &nothing_to_check);
            assert_eq!(signed, Ok(whole.clone()));
        }
    }

    #[test]
    fn parts_that_break_a_rule_are_refused_by_it() {
        let (spec, block, known) = block();
        let parts = |second: Vec<u8>| {
            [0, 1, 2].map(|at| match at {
                1 => Part::Bytes(second.clone()),
                _ => Part::Known(Arc::clone(&known[at])),
            })
        };
        let assemble = |parts: &[Part]| Unsigned::assemble(&spec, block.header.clone(), parts);
        assert!(matches!(assemble(&parts(vec![0xff])), Err(Invalid::Encoding(_))));
        assert!(matches!(assemble(&parts(vec![0; spec.max_block_len()])), Err(Invalid::TooLarge { .. })));
        let (length, limit) = (known[0].bytes().len(), spec.max_block_len());
        let many = vec![Part::Known(Arc::clone(&known[0])); limit / length + 1];
        let sum = (many.len() * length) as u64;
        let refused = Err(Invalid::TooLarge { length: sum, limit: limit as u64 });
        assert_eq!(assemble(&many), refused, "the sum is refused before anything is put together");
        let mut forged = block.transactions[1].clone();
        assert_eq!(assemble(&parts(known[0].bytes().to_vec())), Err(Invalid::TransactionsRoot));
        forged.signature = block.transactions[0].signature;
        let bytes = encoding::encode(&forged);
        let ids = [known[0].id(), transaction::id_of(&bytes), known[2].id()];
        let mut header = Header { transactions_root: merkle::root(&ids), ..block.header.clone() };
        while check_header(&spec, &header).is_err() {
            header.nonce += 1;
        }
        let unsigned = Unsigned::assemble(&spec, header, &parts(bytes)).expect("right but for signatures");
        let refused = unsigned.check_signatures(spec.chain_id(), &|_| false, &in_batches);
        assert_eq!(refused, Err(Invalid::Transaction { index: 1, fault: TransactionFault::Signature }));
    }
}
