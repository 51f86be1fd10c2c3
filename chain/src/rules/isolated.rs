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
    unsigned: Unsigned,
}

/// A block that is right in itself but for its signatures, which nobody checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsigned {
    id: BlockId,
    block: Block,
    transaction_ids: Vec<TransactionId>,
    bytes: Arc<[u8]>,
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
        if bytes.len() > limit {
            return Err(Invalid::TooLarge { length: bytes.len() as u64, limit: limit as u64 });
        }
        let block: Block = encoding::decode(bytes, limit).map_err(Invalid::Encoding)?;
        let id = check_header(spec, &block.header)?;
        let transaction_ids: Vec<_> = block.transactions.iter().map(Transaction::id).collect();
        if merkle::root(&transaction_ids) != block.header.transactions_root {
            return Err(Invalid::TransactionsRoot);
        }
        for (index, transaction) in (0..).zip(&block.transactions) {
            check_fields(spec, transaction).map_err(|fault| Invalid::Transaction { index, fault })?;
        }
        Ok(Self { id, block, transaction_ids, bytes: bytes.into() })
    }

    /// The block's id.
    pub const fn id(&self) -> BlockId {
        self.id
    }

    /// The block.
    pub const fn block(&self) -> &Block {
        &self.block
    }

    /// The ids of its transactions, in their order.
    pub fn transaction_ids(&self) -> &[TransactionId] {
        &self.transaction_ids
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
        let unknown = || self.transaction_ids.iter().zip(&self.block.transactions).filter(|(id, _)| !known(id));
        let claims: Vec<_> = unknown().map(|(_, transaction)| transaction.claim(chain)).collect();
        if all_hold(&claims) {
            return Ok(Isolated { unsigned: self });
        }
        let forged = (0..).zip(&self.block.transactions).find(|(_, transaction)| !transaction.claim(chain).holds());
        let index = forged.map_or(0, |(index, _)| index);
        Err(Invalid::Transaction { index, fault: TransactionFault::Signature })
    }

    /// Takes a block for right that was checked before it was stored.
    pub fn trust_stored(self) -> Isolated {
        Isolated { unsigned: self }
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
        Self { unsigned: Unsigned { id: block.header.id(spec.pow), block, transaction_ids: Vec::new(), bytes } }
    }

    /// The block's id.
    pub const fn id(&self) -> BlockId {
        self.unsigned.id
    }

    /// The block.
    pub const fn block(&self) -> &Block {
        &self.unsigned.block
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.unsigned.block.header
    }

    /// The ids of its transactions, in their order.
    pub fn transaction_ids(&self) -> &[TransactionId] {
        &self.unsigned.transaction_ids
    }

    /// The canonical bytes.
    pub const fn bytes(&self) -> &Arc<[u8]> {
        &self.unsigned.bytes
    }
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
    let claims: Vec<_> = read.iter().flatten().map(|checked| checked.transaction.claim(chain)).collect();
    let together = all_hold(&claims);
    let alone = |checked: CheckedTransaction| match together || checked.transaction.claim(chain).holds() {
        true => Ok(checked),
        false => Err(TransactionFault::Signature),
    };
    read.into_iter().map(|result| result.and_then(alone)).collect()
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

fn read_transaction(spec: &ChainSpec, bytes: &[u8]) -> Result<CheckedTransaction, TransactionFault> {
    let transaction: Transaction = encoding::decode(bytes, spec.max_block_len()).map_err(TransactionFault::Encoding)?;
    check_fields(spec, &transaction)?;
    Ok(CheckedTransaction { id: transaction::id_of(bytes), transaction, bytes: bytes.into() })
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
