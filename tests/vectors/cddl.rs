//! What this software writes fits its description, `protocol/wire.cddl`, as a validator of others reads that.

use bard_chain::{
    encoding,
    merkle::InclusionProof,
    receipt::{self, Receipt},
    rules::isolated::Isolated,
    units::{Height, Work},
};
use bard_protocol::{
    Agent, PeerId, RefusedReason, Status, SyncRequest, SyncResponse,
    wire::{
        compact::{self, Compact},
        gossip,
        peers::{KnownPeer, PeersRequest, PeersResponse},
        spec::{SpecRequest, SpecResponse},
    },
};
use bard_tests::{actions, chain_builder::MemoryNode};
use serde::Serialize;

const DESCRIPTION: &str = include_str!("../../protocol/wire.cddl");

fn fits(rule: &str, bytes: &[u8]) -> Result<(), String> {
    cddl_cat::cbor::validate_cbor_bytes(rule, DESCRIPTION, bytes).map_err(|error| error.to_string())
}

/// That the bytes of a value fit a rule, and that some that are not the value's do not.
fn assert_fits(rule: &str, value: &impl Serialize) {
    assert_bytes_fit(rule, &encoding::encode(value));
}

fn assert_bytes_fit(rule: &str, bytes: &[u8]) {
    fits(rule, bytes)
        .unwrap_or_else(|problem| panic!("{rule}: {problem}: {}", hex::encode(&bytes[..bytes.len().min(99)])));
    let wrapped = [&[0x81][..], bytes].concat();
    assert!(fits(rule, &wrapped).is_err(), "{rule} takes anything");
    assert!(fits(rule, &[0xf6]).is_err(), "{rule} takes null");
}

/// A block with a transaction of every kind, after one that makes them possible.
fn chain() -> (MemoryNode, std::sync::Arc<Isolated>) {
    let mut node = MemoryNode::default();
    let ready =
        vec![node.sign("alice", 0, 0, actions::request("lamp")), node.sign("alice", 1, 0, actions::request("saw"))];
    node.extend(ready);
    let all = vec![
        node.sign("alice", 2, 1, actions::pay("bob", 5)),
        node.sign("alice", 3, 0, actions::record("words")),
        node.sign("alice", 4, 0, actions::request("drill")),
        node.sign("alice", 5, 0, actions::release("lamp")),
        node.sign("alice", 6, 0, actions::hand_over("saw", "bob")),
    ];
    let block = node.extend(all);
    (node, block)
}

#[test]
fn blocks_and_what_is_gossiped() {
    let (_, block) = chain();
    assert_bytes_fit("block", block.bytes());
    let whole = block.block();
    assert_fits("header", &whole.header);
    for one in &whole.transactions {
        assert_fits("transaction", one);
        assert_fits("action", &one.action);
    }
    let bytes: Vec<Vec<u8>> = whole.transactions.iter().map(encoding::encode).collect();
    for message in gossip::encode_batches(bytes) {
        assert_bytes_fit("transaction-batch", &message);
    }
    let first = whole.transactions[0].id();
    for known in [true, false] {
        assert_fits("compact-block", &Compact::new(whole, |id| known || *id == first));
    }
    let announced = compact::announce(block.bytes().to_vec());
    assert_bytes_fit("block", &announced);
    assert!(fits("compact-block", &announced).is_err() && fits("transaction-batch", &announced).is_err());
}

#[test]
fn questions_and_answers() {
    let (node, block) = chain();
    let status = Status {
        chain: node.spec().chain_id(),
        height: Height::new(2),
        tip: block.id(),
        work: Work::from_be_bytes([1; 32]),
        agent: Agent::new("bard/0.1.0"),
        clock: block.header().timestamp,
        blocks_from: Height::new(1),
    };
    let transaction = block.block().transactions[0].id();
    let (ids, transactions) = (vec![block.id(); 3], vec![transaction; 3]);
    for request in [
        SyncRequest::Status(status.clone()),
        SyncRequest::Headers { locator: ids.clone(), limit: 2_000 },
        SyncRequest::Headers { locator: Vec::new(), limit: u32::MAX },
        SyncRequest::Blocks { ids: ids.clone() },
        SyncRequest::PoolIds,
        SyncRequest::Transactions { ids: transactions.clone() },
        SyncRequest::BlockTransactions { block: block.id(), indices: vec![0, 70_000] },
    ] {
        assert_fits("sync-request", &request);
    }
    let bytes = encoding::encode(&block.block().transactions[0]);
    for response in [
        SyncResponse::Status(Status { work: Work::ZERO, agent: Agent::default(), ..status }),
        SyncResponse::Headers(vec![block.header().clone(); 2]),
        SyncResponse::Headers(Vec::new()),
        SyncResponse::Blocks(vec![block.bytes().to_vec(); 2]),
        SyncResponse::PoolIds(transactions),
        SyncResponse::Transactions(vec![bytes.clone(); 2]),
        SyncResponse::BlockTransactions(vec![bytes]),
        SyncResponse::Refused(RefusedReason::Busy),
        SyncResponse::Refused(RefusedReason::TooLarge),
        SyncResponse::Refused(RefusedReason::Unknown),
        SyncResponse::Refused(RefusedReason::Malformed),
    ] {
        assert_fits("sync-response", &response);
    }
    // Too many are refused by the description as they are by the software.
    let many = SyncRequest::Blocks { ids: vec![block.id(); 129] };
    assert!(fits("sync-request", &encoding::encode(&many)).is_err());
}

#[test]
fn peers_and_specifications() {
    let peer = KnownPeer { id: PeerId::random().to_bytes(), addresses: vec![vec![4, 127, 0, 0, 1, 6, 0, 80]; 8] };
    assert_fits("peers-response", &PeersResponse { peers: vec![peer.clone(); 16] });
    assert!(fits("peers-response", &encoding::encode(&PeersResponse { peers: vec![peer; 17] })).is_err());
    let (node, _) = chain();
    assert_fits("spec-response", &SpecResponse(node.spec().to_toml()));
    for rule in ["peers-response", "peers-request", "spec-request"] {
        let empty = match rule {
            "peers-response" => encoding::encode(&PeersResponse::default()),
            "peers-request" => encoding::encode(&PeersRequest),
            _ => encoding::encode(&SpecRequest),
        };
        fits(rule, &empty).unwrap_or_else(|problem| panic!("{rule}: {problem}"));
        assert!(fits(rule, &[0xf6]).is_err(), "{rule} takes null");
    }
}

#[test]
fn receipts() {
    let (node, block) = chain();
    let ids: Vec<_> = block.block().transactions.iter().map(|one| one.id()).collect();
    let receipt = Receipt {
        version: receipt::VERSION,
        specification: node.spec().to_toml(),
        transaction: block.block().transactions[1].clone(),
        height: Height::new(2),
        proof: InclusionProof::new(&ids, 1).expect("in the block"),
        headers: vec![block.header().clone()],
    };
    assert_bytes_fit("receipt", &receipt.to_bytes());
}
