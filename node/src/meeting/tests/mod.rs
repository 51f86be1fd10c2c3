//! The room against servers that are good, old, slow, lying, or no servers at all.

mod asking;
mod server;
mod tasks;

use bard_chain::hash::ChainId;
use bard_protocol::PeerId;

use super::http_peer::Own;

const CHAIN: ChainId = ChainId::new([7; 32]);

fn own() -> Own {
    Own { peer: PeerId::random(), chain: CHAIN, chain_name: "dev".to_owned() }
}

/// What a node says of itself.
fn described(peer: &PeerId, chain: ChainId, listen: &[String]) -> String {
    let chain = serde_json::json!({ "name": "a\u{1b}chain", "id": chain.to_string() });
    serde_json::json!({ "peer_id": peer.to_string(), "listen": listen, "chain": chain, "more": [1, 2] }).to_string()
}
