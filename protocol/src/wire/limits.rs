//! Every limit of the wire, each with its unit and its reason.

use bard_chain::{block::HEADER_MAX_LEN, spec::MAX_FILE_LEN};

/// The version that begins every frame of a request or an answer.
pub const FRAME_VERSION: u8 = 1;

/// The length prefix of a frame, in bytes: room for any length below, and for nothing absurd.
pub const FRAME_PREFIX_LEN: usize = 4;

/// Block ids in one locator: steps double, so 64 reach back further than any chain is long.
pub const MAX_LOCATOR: usize = 64;

/// Headers in one answer: at most 384,000 bytes, below the size an answer aims at.
pub const MAX_HEADERS: usize = 2_000;

/// Blocks in one request. Answers stop at [`ANSWER_TARGET_LEN`], so more ids would only be asked for again.
pub const MAX_BLOCK_IDS: usize = 128;

/// Transactions in one request: 68,000 bytes of ids, and about what an answer of [`ANSWER_TARGET_LEN`] holds.
pub const MAX_TRANSACTION_IDS: usize = 2_000;

/// Transaction ids in one answer about the pool: 1,700,000 bytes. A larger pool is told in part; the rest comes by gossip
/// and in blocks.
pub const MAX_POOL_IDS: usize = 50_000;

/// Bytes of blocks or transactions that one answer aims at: on real links one megabyte fills the pipe, and a lost answer
/// costs no more than that. A single larger block is sent alone.
pub const ANSWER_TARGET_LEN: usize = 1 << 20;

/// Bytes of transactions in one gossip batch, unless a single transaction is larger: small enough to be forwarded at once,
/// large enough that the fixed cost of a gossip message (about 0.4 ms) is shared.
pub const BATCH_TARGET_LEN: usize = 64 << 10;

/// Transactions in one gossip batch: of the usual ones, of 128 bytes and more, the bytes end first.
pub const MAX_BATCH: usize = 512;

/// No transaction is shorter, in bytes: public key and signature with their heads take 100, the other fields at least one each,
/// and the shortest action (a request for an item of one letter) 4.
pub const MIN_TRANSACTION_LEN: usize = 108;

/// Blocks shorter than this are announced whole, in bytes: to ask for a missing transaction costs more than to send a few.
pub const COMPACT_FROM_LEN: usize = 8 << 10;

/// Transactions of a block in one request. Of a block of which more are missing, all are.
pub const MAX_BLOCK_TRANSACTIONS: usize = 2_000;

/// Bytes of the name of a peer's software: it is shown to people.
pub const MAX_AGENT_LEN: usize = 64;

/// Peers in one answer about known peers: enough to find the network, too few to map it.
pub const MAX_PEERS: usize = 16;

/// Addresses told or remembered of one peer: one for each interface and transport of an ordinary computer.
pub const MAX_ADDRESSES: usize = 8;

/// Bytes of one binary multiaddress: a 253-byte name with port and peer id fits.
pub const MAX_ADDRESS_LEN: usize = 320;

/// Bytes of one binary peer id: a multihash of 64 bytes with its prefix.
pub const MAX_PEER_ID_LEN: usize = 68;

/// What the encoding adds around the elements of a message, in bytes: heads of arrays and strings, tag, version.
pub const MESSAGE_OVERHEAD: usize = 16 << 10;

/// The longest request frame, in bytes: the ids of [`MAX_TRANSACTION_IDS`] and their heads.
pub const REQUEST_MAX_LEN: usize = MAX_TRANSACTION_IDS * 34 + MESSAGE_OVERHEAD;

/// The longest request for peers, in bytes: it has no content.
pub const PEERS_REQUEST_MAX_LEN: usize = 16;

/// The longest answer about known peers, in bytes.
pub const PEERS_RESPONSE_MAX_LEN: usize =
    MAX_PEERS * (MAX_PEER_ID_LEN + MAX_ADDRESSES * (MAX_ADDRESS_LEN + 3) + 8) + 64;

/// The longest request for the specification, in bytes: it has no content.
pub const SPEC_REQUEST_MAX_LEN: usize = 16;

/// The longest answer with a specification, in bytes: the longest file, and its head.
pub const SPEC_RESPONSE_MAX_LEN: usize = MAX_FILE_LEN + 64;

/// The longest answer frame, in bytes, on a chain whose blocks have at most `max_block_len`.
pub const fn response_max_len(max_block_len: usize) -> usize {
    let blocks = larger(max_block_len, ANSWER_TARGET_LEN);
    let ids = MAX_POOL_IDS * 34;
    larger(larger(blocks, ids), MAX_HEADERS * HEADER_MAX_LEN).saturating_add(MESSAGE_OVERHEAD)
}

/// The longest gossip message, in bytes: a whole block, or a batch with one transaction that nearly fills a block.
pub const fn gossip_max_len(max_block_len: usize) -> usize {
    larger(max_block_len, BATCH_TARGET_LEN + 4 * MAX_BATCH)
}

/// What gossipsub is told as its transmit limit, in bytes. It compares the limit with its whole read buffer, which may hold
/// 8 KiB of the next message already, and gives up the connection when it is exceeded; hence twice that on top.
pub const fn gossip_transmit_len(max_block_len: usize) -> usize {
    gossip_max_len(max_block_len).saturating_add(16 << 10)
}

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The normative description names its limits as numbers.
    #[test]
    fn the_description_has_the_same_limits() {
        let description = include_str!("../../wire.cddl");
        for line in [
            format!(";   sync-request      {REQUEST_MAX_LEN}"),
            format!(";   sync-response     max(B, {}) + {MESSAGE_OVERHEAD}", MAX_POOL_IDS * 34),
            format!(";   peers-request     {PEERS_REQUEST_MAX_LEN}"),
            format!(";   peers-response    {PEERS_RESPONSE_MAX_LEN}"),
            format!(";   spec-request      {SPEC_REQUEST_MAX_LEN}"),
            format!(";   spec-response     {SPEC_RESPONSE_MAX_LEN}"),
            format!("; A gossip message has at most max(B, {}) bytes,", gossip_max_len(0)),
            format!("A compact block names at most B / {MIN_TRANSACTION_LEN}"),
            format!("At most {BATCH_TARGET_LEN} bytes of them together"),
            format!("transaction-batch = [1*{MAX_BATCH} encoded-transaction]"),
            format!("locator: [0*{MAX_LOCATOR} block-id]"),
            format!("[0*{MAX_HEADERS} header]"),
            format!("[0*{MAX_BLOCK_IDS} block-id]"),
            format!("outgrows {ANSWER_TARGET_LEN}"),
            format!("[0*{MAX_POOL_IDS} transaction-id]"),
            format!("[0*{MAX_TRANSACTION_IDS} transaction-id]"),
            format!("block-transactions-response = [6, [0*{MAX_BLOCK_TRANSACTIONS} encoded-transaction]]"),
            format!("A block of {COMPACT_FROM_LEN} bytes or more"),
            format!("[0*{MAX_PEERS} known-peer]"),
            format!("bytes .size (1..{MAX_PEER_ID_LEN})"),
            format!("[0*{MAX_ADDRESSES} bytes .size (1..{MAX_ADDRESS_LEN})]"),
            format!("tstr .size (0..{MAX_AGENT_LEN})"),
            format!(";   version   u8: {FRAME_VERSION}"),
        ] {
            assert!(description.contains(&line), "{line}");
        }
        assert_eq!(response_max_len(0), MAX_POOL_IDS * 34 + MESSAGE_OVERHEAD, "the pool's ids are the longest answer");
        assert_eq!(response_max_len(4 << 20), (4 << 20) + MESSAGE_OVERHEAD, "but for one large block");
    }
}
