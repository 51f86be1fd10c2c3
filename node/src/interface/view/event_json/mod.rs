//! Events as programs are told of them: a type for each kind, written by a node and read back by a client alike.
//!
//! Numbers that are larger than JSON is sure of, hashes, addresses and times are texts, as the description says of each. The fields
//! are documented in `docs/events.md`; none is ever taken away or given another meaning.

mod making;
mod stream;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

pub use self::stream::Streamed;
use super::json::{Address, Amount, Digits, Hash, Time};
use crate::application::events::Reset;

/// An event: its name and its data. On the wire the name is that of `event:`, and the data is one line of JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum Event {
    /// A block joined the chain, and is on disk.
    Block(BlockEvent),
    /// Another branch has more work.
    Reorg(ReorgEvent),
    /// A transaction came into the pool.
    Transaction(TransactionEvent),
    /// A peer came or went.
    Peer(PeerEvent),
    /// The miner was switched on or off, or a block of its own joined the chain.
    Mining(MiningEvent),
    /// The node catches up with others.
    Sync(SyncEvent),
    /// Something of the laboratory was switched.
    Lab(LabEvent),
    /// The stream cannot go on from where the client left it.
    Reset(ResetEvent),
    /// The stream ends.
    Error(ErrorEvent),
}

/// A block joined the chain, and is on disk.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BlockEvent {
    /// Its height.
    pub height: u64,
    /// Its id.
    #[schema(value_type = Hash)]
    pub hash: String,
    /// The id of the block before.
    #[schema(value_type = Hash)]
    pub previous_hash: String,
    /// When the miner says it was made.
    #[schema(value_type = Time)]
    pub timestamp: String,
    /// Who gets the reward.
    #[schema(value_type = Address)]
    pub miner: String,
    /// Expected hashes for a block of this target.
    #[schema(value_type = Digits)]
    pub difficulty: String,
    /// How many transactions are in it.
    pub transactions: usize,
    /// Length in canonical bytes.
    pub size: usize,
}

/// Another branch has more work.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ReorgEvent {
    /// It is the chain now; its blocks follow, an event each.
    Adopted {
        /// How many blocks left the chain.
        disconnected: usize,
        /// How many joined it.
        connected: usize,
        /// Height of the last block that stayed.
        fork_height: u64,
        /// The tip that was left.
        #[schema(value_type = Hash)]
        old_tip: String,
    },
    /// It is invalid, and nothing changed.
    Refused {
        /// The block that breaks a rule.
        #[schema(value_type = Hash)]
        invalid_block: String,
        /// Which rule, in a line.
        reason: String,
    },
}

/// A transaction came into the pool.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TransactionEvent {
    /// Its id.
    #[schema(value_type = Hash)]
    pub id: String,
    /// Who signed it.
    #[schema(value_type = Address)]
    pub sender: String,
    /// How many transactions of the sender come before it.
    pub nonce: u64,
    /// What the miner gets.
    #[schema(value_type = Amount)]
    pub fee: u64,
    /// Length in canonical bytes.
    pub size: usize,
    /// What it does.
    pub action: ActionEvent,
}

/// What a transaction does; a record without its content.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ActionEvent {
    /// Pays.
    Transfer {
        /// Who is paid.
        #[schema(value_type = Address)]
        to: String,
        /// How much.
        #[schema(value_type = Amount)]
        amount: u64,
    },
    /// Puts content on record.
    Record {
        /// What it is, as a media type.
        content_type: String,
    },
    /// Takes a free item.
    ItemRequest {
        /// Its name.
        item: String,
    },
    /// Gives an item back.
    ItemRelease {
        /// Its name.
        item: String,
    },
    /// Hands an item on.
    ItemTransfer {
        /// Its name.
        item: String,
        /// Who holds it then.
        #[schema(value_type = Address)]
        to: String,
    },
}

/// A peer came or went.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum PeerEvent {
    /// It came.
    Connected {
        /// Its id in the network.
        peer_id: String,
        /// The other end of the connection.
        #[schema(required)]
        address: Option<String>,
        /// Who dialled.
        direction: Dialled,
        /// `tcp`, `quic` or `relay`.
        transport: Cow<'static, str>,
        /// How this node learnt of it.
        #[schema(required)]
        found_by: Option<String>,
        /// Its software.
        agent: String,
    },
    /// It went.
    Lost {
        /// Its id in the network.
        peer_id: String,
    },
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialled {
    /// The peer.
    Inbound,
    /// This node.
    Outbound,
}

/// The miner was switched on or off, or a block of its own joined the chain.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct MiningEvent {
    /// Whether it mines continuously.
    pub enabled: bool,
    /// On how many threads.
    pub threads: usize,
    /// Hashes a second of the last search.
    pub hash_rate: f64,
    /// Blocks since the start of the node.
    pub mined: u64,
}

/// The node catches up with others.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SyncEvent {
    /// How far it is.
    pub state: SyncState,
    /// Height of the chain.
    pub height: u64,
    /// The height that is to be reached.
    pub target_height: u64,
    /// Blocks that this catching up brought so far.
    pub accepted: u64,
}

/// Where catching up stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// It began.
    Started,
    /// It goes on: at most one event a second.
    Progress,
    /// It ended.
    Finished,
}

/// Something of the laboratory was switched: all that is on now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LabEvent {
    /// Whether this node is cut off: it sends nothing of the chain to its peers and takes nothing from them.
    pub apart: bool,
    /// For how long blocks and transactions are held back on their way in and out, in ms.
    #[schema(maximum = 5000)]
    pub delay_ms: u64,
    /// Whether a second miner mines on a branch of its own, for the key `rival`.
    pub rival: bool,
}

/// The stream cannot go on from where the client left it: it fetches anew what it needs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ResetEvent {
    /// Why.
    pub reason: ResetReason,
    /// The same in a line.
    pub detail: Cow<'static, str>,
}

/// Why a stream cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// The node was started anew since that event.
    Restarted,
    /// What came after that event is no longer kept.
    Expired,
    /// There is no event with that id.
    Unknown,
}

/// The stream ends: the last word to a client that is dropped.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErrorEvent {
    /// Why.
    pub reason: ErrorReason,
    /// What to do, in a line.
    pub detail: Cow<'static, str>,
}

/// Why a client is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorReason {
    /// It did not read events in time.
    TooSlow,
}

impl Event {
    /// The event that a stream told of; `None` for a name that this version does not know.
    ///
    /// # Errors
    /// Where the data is not what the name promises.
    pub fn read(name: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        if !NAMES.iter().any(|(known, _)| *known == name) {
            return Ok(None);
        }
        let data: serde_json::Value = serde_json::from_str(data)?;
        serde_json::from_value(json!({ "event": name, "data": data })).map(Some)
    }

    /// Its data, as one line of JSON.
    pub fn data(&self) -> String {
        // Nothing in an event can fail to be written.
        match self {
            Self::Block(one) => serde_json::to_string(one),
            Self::Reorg(one) => serde_json::to_string(one),
            Self::Transaction(one) => serde_json::to_string(one),
            Self::Peer(one) => serde_json::to_string(one),
            Self::Mining(one) => serde_json::to_string(one),
            Self::Sync(one) => serde_json::to_string(one),
            Self::Lab(one) => serde_json::to_string(one),
            Self::Reset(one) => serde_json::to_string(one),
            Self::Error(one) => serde_json::to_string(one),
        }
        .unwrap_or_default()
    }

    /// What a client is told whose stream cannot go on.
    pub fn reset(reset: Reset) -> Self {
        let (reason, detail) = match reset {
            Reset::Restarted => {
                (ResetReason::Restarted, "the node was started anew since that event: fetch anew what you need")
            }
            Reset::Expired => {
                (ResetReason::Expired, "what came after that event is no longer kept: fetch anew what you need")
            }
            Reset::Unknown => (ResetReason::Unknown, "there is no event with that id: fetch anew what you need"),
        };
        Self::Reset(ResetEvent { reason, detail: detail.into() })
    }

    /// The last word to a client that did not read in time.
    pub fn too_slow() -> Self {
        let detail = "events were not read in time; connect again with the id of the last one that was read";
        Self::Error(ErrorEvent { reason: ErrorReason::TooSlow, detail: detail.into() })
    }
}

/// The names of events with the schemas of their data.
const NAMES: [(&str, &str); 9] = [
    ("block", "BlockEvent"),
    ("reorg", "ReorgEvent"),
    ("transaction", "TransactionEvent"),
    ("peer", "PeerEvent"),
    ("mining", "MiningEvent"),
    ("sync", "SyncEvent"),
    ("lab", "LabEvent"),
    ("reset", "ResetEvent"),
    ("error", "ErrorEvent"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_reads_back_what_a_node_writes() {
        let lost = PeerEvent::Lost { peer_id: "12D3KooW".to_owned() };
        let action = ActionEvent::Record { content_type: "text/plain".to_owned() };
        for (event, name) in [
            (Event::Peer(lost), "peer"),
            (Event::Mining(MiningEvent { enabled: true, threads: 1, hash_rate: 1.5, mined: 7 }), "mining"),
            (Event::Sync(SyncEvent { state: SyncState::Started, height: 1, target_height: 9, accepted: 0 }), "sync"),
            (Event::Lab(LabEvent { apart: true, delay_ms: 500, rival: false }), "lab"),
            (Event::reset(Reset::Expired), "reset"),
            (Event::too_slow(), "error"),
        ] {
            let whole = serde_json::to_value(&event).expect("JSON");
            assert_eq!(whole["event"], name);
            let read = Event::read(name, &event.data()).expect("read").expect("a known name");
            assert_eq!(serde_json::to_value(read).expect("JSON"), whole);
        }
        assert_eq!(serde_json::to_value(&action).expect("JSON")["type"], "record");
        assert!(Event::read("moon", "{}").expect("no matter").is_none(), "a later version may tell of more");
        assert!(Event::read("peer", "{}").is_err() && Event::read("peer", "").is_err());
    }
}
