//! One record of the log: all that one accepted block changed.
//!
//! Its payload is a sequence of canonical CBOR items: a head ([`Commit`]), the bytes of the block if it is stored, and the
//! undo of each block that joined the active chain. The head holds the lengths of the others, so that a block or an undo
//! can later be read alone.

use bard_chain::{
    address::Address,
    array_form,
    encoding::{self, EncodingError},
    engine::Effects,
    hash::BlockId,
    ledger::{Account, Item},
    transaction::ItemName,
    units::{Timestamp, Work},
};

/// Where in the log something lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// Of its first byte, in bytes from the start of the log.
    pub(super) offset: u64,
    /// In bytes.
    pub(super) length: u32,
    /// CRC-32C of its bytes.
    pub(super) crc: u32,
}

array_form!(Location { offset: u64, length: u32, crc: u32 });

/// What the head says of a block that is stored with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoredBlock {
    /// Its id.
    pub(super) id: BlockId,
    /// Length of its canonical bytes, which follow the head.
    pub(super) length: u32,
    /// Work of the chain up to it.
    pub(super) work: Work,
    /// Time of block 1 of its branch.
    pub(super) anchor: Option<Timestamp>,
    /// Place in the order of arrival.
    pub(super) arrival: u64,
}

array_form!(StoredBlock { id: BlockId, length: u32, work: Work, anchor: Option<Timestamp>, arrival: u64 });

/// The head of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Commit {
    /// The block, if it is kept.
    pub(super) stored: Option<StoredBlock>,
    /// Blocks that leave the active chain, the tip first.
    pub(super) disconnected: Vec<BlockId>,
    /// Blocks that join it, the lowest first, with the length of their undo in bytes.
    pub(super) connected: Vec<(BlockId, u32)>,
    /// Blocks found invalid.
    pub(super) invalidated: Vec<BlockId>,
    /// Changed accounts as they are afterwards.
    pub(super) accounts: Vec<(Address, Account)>,
    /// Changed items as they are afterwards.
    pub(super) items: Vec<(ItemName, Option<Item>)>,
    /// The tip afterwards.
    pub(super) tip: BlockId,
}

array_form!(Commit {
    stored: Option<StoredBlock>,
    disconnected: Vec<BlockId>,
    connected: Vec<(BlockId, u32)>,
    invalidated: Vec<BlockId>,
    accounts: Vec<(Address, Account)>,
    items: Vec<(ItemName, Option<Item>)>,
    tip: BlockId,
});

/// A payload about to be written.
#[derive(Debug)]
pub(super) struct Payload {
    /// The head.
    pub(super) commit: Commit,
    /// Length of the head in bytes.
    pub(super) head_len: usize,
    /// Head, block and undos, after as many zero bytes as were asked for.
    pub(super) bytes: Vec<u8>,
}

/// Where the parts of a record lie that follow its head.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// The block.
    pub(super) block: Option<Location>,
    /// The undo of each connected block, in their order.
    pub(super) undos: Vec<Location>,
}

/// A length as the log holds it. One that does not fit makes the whole record too long, which is refused for that.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

impl Payload {
    /// Writes down `effects`, leaving `room` bytes in front.
    pub(super) fn of(effects: &Effects, room: usize) -> Self {
        let undos: Vec<_> = effects.connected.iter().map(|connected| encoding::encode(&connected.undo)).collect();
        let ids = effects.connected.iter().map(|connected| connected.block.id());
        let block = effects.stored.as_ref().map(|(block, _)| block.bytes().as_ref()).unwrap_or_default();
        let state = &effects.state;
        let commit = Commit {
            stored: effects.stored.as_ref().map(|(block, node)| StoredBlock {
                id: block.id(),
                length: length(block.bytes()),
                work: node.work,
                anchor: node.anchor,
                arrival: node.arrival,
            }),
            disconnected: effects.disconnected.clone(),
            connected: ids.zip(undos.iter().map(|undo| length(undo))).collect(),
            invalidated: effects.invalidated.clone(),
            accounts: state.accounts.iter().map(|(address, change)| (*address, change.after)).collect(),
            items: state.items.iter().map(|(name, change)| (name.clone(), change.after)).collect(),
            tip: effects.tip.id,
        };
        let head = encoding::encode(&commit);
        let mut bytes = vec![0; room];
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(block);
        undos.iter().for_each(|undo| bytes.extend_from_slice(undo));
        Self { commit, head_len: head.len(), bytes }
    }
}

impl Commit {
    /// Reads a head.
    pub(super) fn read(head: &[u8]) -> Result<Self, EncodingError> {
        encoding::decode(head, head.len())
    }

    /// Finds the parts in `bytes`, all that follows the head and lies at `offset` of the log; `None` where their lengths do
    /// not add up.
    pub(super) fn locate(&self, bytes: &[u8], offset: u64) -> Option<Parts> {
        let mut rest = bytes;
        let mut at = offset;
        let mut take = |length: u32| {
            let (part, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            let location = Location { offset: at, length, crc: crc32c::crc32c(part) };
            rest = after;
            at = at.checked_add(length.into())?;
            Some(location)
        };
        let block = match &self.stored {
            Some(stored) => Some(take(stored.length)?),
            None => None,
        };
        let undos = self.connected.iter().map(|(_, length)| take(*length)).collect::<Option<_>>()?;
        rest.is_empty().then_some(Parts { block, undos })
    }
}
