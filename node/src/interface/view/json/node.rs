//! The node, its peers, its miner and its checks as JSON.

use std::borrow::Cow;

use bard_protocol::Direction as NetworkDirection;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    bans::Departed,
    primitive::{Address, Digits, Hash, Time},
};
use crate::{application::reply, catch_up, miner};

/// Who and where a node is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Node<'a> {
    /// Version of the software.
    pub version: Cow<'static, str>,
    /// Its id in the network.
    pub peer_id: String,
    /// Where it listens, whole multiaddresses.
    pub listen: Vec<String>,
    /// Where it says others may reach it.
    pub external: Vec<String>,
    /// Its chain.
    pub chain: Chain<'a>,
    /// Its own account.
    pub address: Address,
    /// Whether others can reach it, in one line.
    pub reachability: Cow<'a, str>,
    /// What that rests on, a line each: where peers see it, what they tried, what the router does, which relays help.
    #[serde(default)]
    pub reachability_reasons: Vec<String>,
    /// What a person can do about it, a line each; nothing where nothing has to be done.
    #[serde(default)]
    pub reachability_advice: Vec<String>,
    /// What it noticed since it started that keeps nodes apart and that only a person can mend, a line each: nodes of other
    /// chains, copies of an identity.
    #[serde(default)]
    pub notices: Vec<String>,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
}

/// The chain of a node.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Chain<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// The hash of its specification.
    pub id: Hash,
}

/// How a node is doing.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Status<'a> {
    /// Name of the chain.
    pub chain: Cow<'a, str>,
    /// Distance from the genesis block.
    pub height: u64,
    /// Height of the lowest block that the node has besides the genesis block; it has all above it: 1, or more where it began
    /// with a later state.
    #[serde(default = "super::first")]
    pub blocks_from: u64,
    /// Id of the last block.
    pub tip: Hash,
    /// Time of the last block.
    pub tip_time: Time,
    /// The root over the state after it.
    pub state_root: Hash,
    /// Work of the chain.
    pub total_work: Digits,
    /// Expected hashes of the next block.
    pub difficulty: Digits,
    /// Intended time between blocks, in ms.
    pub target_interval_ms: u64,
    /// Connected peers of this chain.
    pub peers: usize,
    /// Peers at the same tip.
    pub agreeing_peers: usize,
    /// What waits to be mined.
    pub pool: PoolSize,
    /// What the miner does.
    pub mining: Mining,
    /// Hashes a second.
    pub hash_rate: f64,
    /// How far catching up is.
    pub sync: SyncProgress,
    /// Whether others can reach the node, in one line.
    pub reachability: Cow<'a, str>,
    /// The items.
    pub items: ItemCounts,
    /// The disk that the chain is on.
    #[serde(default)]
    pub disk: Disk<'a>,
    /// Why no block is mined now, though blocks are taken: the index is being checked after a start. Null where all is well.
    #[serde(default)]
    #[schema(required)]
    pub mining_waits: Option<Cow<'a, str>>,
}

/// The disk that the chain is on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Disk<'a> {
    /// Free space in bytes; null where the system does not tell.
    #[schema(required)]
    pub free_bytes: Option<u64>,
    /// Less than this, in bytes, and no block is taken or mined.
    pub keep_free_bytes: u64,
    /// Why no block is taken or mined now; null where all is well.
    #[schema(required)]
    pub shortage: Option<Cow<'a, str>>,
}

/// How full the pool is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PoolSize {
    /// Transactions that can be mined.
    pub transactions: usize,
    /// Their length.
    pub bytes: usize,
}

/// What the miner does.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Mining {
    /// Whether it mines continuously.
    pub enabled: bool,
    /// On how many threads.
    pub threads: usize,
    /// Hashes a second, 0 while it rests.
    pub hash_rate: f64,
    /// Blocks it found since the start that became part of the chain.
    pub mined: u64,
}

/// The laboratory of a class: what makes forks on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lab {
    /// Whether this chain is for teaching: elsewhere nothing can be switched on.
    pub teaching: bool,
    /// Whether this node is cut off: it sends nothing of the chain to its peers and takes nothing from them.
    pub apart: bool,
    /// For how long blocks and transactions are held back on their way in and out, in ms.
    #[schema(maximum = 5000)]
    pub delay_ms: u64,
    /// Whether a second miner mines on a branch of its own, for the key `rival`.
    pub rival: bool,
}

/// How far catching up is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SyncProgress {
    /// Whether it is under way.
    pub syncing: bool,
    /// Height of the best chain that is known.
    pub target_height: u64,
    /// Blocks accepted so far.
    pub accepted: u64,
}

/// How many items there are.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ItemCounts {
    /// Those that somebody holds.
    pub reserved: usize,
    /// Those that were held once and are free.
    pub available: usize,
}

/// The peers.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Peers<'a> {
    /// The connected peers, the longest connected first.
    pub peers: Vec<Peer<'a>>,
    /// The last peers that are no longer connected, the latest first, 32 at most.
    #[serde(default)]
    pub departed: Vec<Departed<'a>>,
}

/// A connected peer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Peer<'a> {
    /// Its id in the network.
    pub peer_id: String,
    /// The other ends of the connections to it.
    pub addresses: Vec<String>,
    /// The most trusted way by which this node learnt of it.
    #[schema(required)]
    pub found_by: Option<String>,
    /// All ways by which this node learnt of it.
    pub origins: Vec<String>,
    /// Who opened the connection.
    pub direction: Direction,
    /// `tcp`, `quic` or `relay`.
    pub transport: Cow<'static, str>,
    /// Its software.
    pub agent: Cow<'a, str>,
    /// The latest round trip; null before the first.
    #[schema(required)]
    pub latency_ms: Option<f64>,
    /// Its height, as it last said.
    #[schema(required)]
    pub height: Option<u64>,
    /// Its tip, as it last said.
    #[schema(required)]
    pub tip: Option<Hash>,
    /// Its recent faults, the oldest first.
    pub faults: Vec<String>,
}

/// Who opened a connection.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The peer.
    Inbound,
    /// This node.
    Outbound,
}

/// A peer that is connected now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Connected {
    /// Its id in the network.
    pub peer_id: String,
}

/// What a check of the whole chain found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Verified<'a> {
    /// Whether every rule holds.
    pub valid: bool,
    /// Height of the state that was checked against its header, where the node began with one: then all headers were checked, and
    /// the blocks above it. 0 where every block was.
    #[serde(default)]
    pub from_height: u64,
    /// Height that was reached.
    pub height: u64,
    /// Transactions that were checked.
    pub transactions: u64,
    /// What is wrong; null where everything holds.
    #[schema(required)]
    pub problem: Option<Cow<'a, str>>,
}

/// What asking every peer came to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Synced {
    /// Peers that were asked.
    pub asked: usize,
    /// Peers that answered.
    pub answered: usize,
    /// Blocks that were accepted because of it.
    pub accepted: u64,
    /// Why peers that have more work could not be followed.
    pub problems: Vec<String>,
    /// Height afterwards.
    pub height: u64,
}

impl<'a> From<&'a reply::Node> for Node<'a> {
    fn from(node: &'a reply::Node) -> Self {
        Self {
            version: Cow::Borrowed(node.version),
            peer_id: node.peer_id.to_string(),
            listen: node.listen.clone(),
            external: node.external.clone(),
            chain: Chain { name: Cow::Borrowed(&node.chain_name), id: node.chain.into() },
            address: Address(node.address),
            reachability: Cow::Borrowed(&node.reachability),
            reachability_reasons: node.reasons.clone(),
            reachability_advice: node.advice.clone(),
            notices: node.notices.clone(),
            uptime_ms: node.uptime_ms,
        }
    }
}

impl<'a> From<&'a reply::Status> for Status<'a> {
    fn from(status: &'a reply::Status) -> Self {
        let height = status.height.get();
        let sync = match &status.sync {
            Some(progress) => {
                SyncProgress { syncing: true, target_height: progress.target.get(), accepted: progress.accepted }
            }
            None => SyncProgress { syncing: false, target_height: height, accepted: 0 },
        };
        Self {
            chain: Cow::Borrowed(&status.chain_name),
            height,
            tip: status.tip.into(),
            blocks_from: status.blocks_from.get(),
            tip_time: Time(status.tip_time),
            state_root: status.state_root.into(),
            total_work: Digits::of(status.work),
            difficulty: Digits::of(status.difficulty),
            target_interval_ms: status.target_interval_ms,
            peers: status.peers,
            agreeing_peers: status.agreeing,
            pool: PoolSize { transactions: status.pool, bytes: status.pool_bytes },
            mining: (&status.mining).into(),
            hash_rate: status.mining.hash_rate,
            sync,
            reachability: Cow::Borrowed(&status.reachability),
            items: ItemCounts { reserved: status.items_reserved, available: status.items_available },
            disk: Disk {
                free_bytes: status.space.room.free,
                keep_free_bytes: status.space.room.keep_free,
                shortage: status.space.shortage.as_deref().map(Cow::Borrowed),
            },
            mining_waits: status.space.mining_waits.as_deref().map(Cow::Borrowed),
        }
    }
}

impl From<&reply::Lab> for Lab {
    fn from(lab: &reply::Lab) -> Self {
        let settings = &lab.settings;
        Self {
            teaching: lab.teaching,
            apart: settings.apart,
            delay_ms: u64::try_from(settings.delay.as_millis()).unwrap_or(u64::MAX),
            rival: settings.rival.is_some(),
        }
    }
}

impl From<&miner::Activity> for Mining {
    fn from(activity: &miner::Activity) -> Self {
        Self {
            enabled: activity.continuous,
            threads: activity.threads,
            hash_rate: activity.hash_rate,
            mined: activity.mined,
        }
    }
}

impl<'a> Peers<'a> {
    pub(super) fn new(all: &'a reply::Peers) -> Self {
        let departed = all.departed.iter().map(Into::into).collect();
        Self { peers: all.connected.iter().map(Into::into).collect(), departed }
    }
}

impl<'a> From<&'a reply::Peer> for Peer<'a> {
    fn from(peer: &'a reply::Peer) -> Self {
        let info = &peer.info;
        Self {
            peer_id: info.id.to_string(),
            addresses: info.addresses.iter().map(ToString::to_string).collect(),
            found_by: info.origins.first().map(ToString::to_string),
            origins: info.origins.iter().map(ToString::to_string).collect(),
            direction: match info.direction {
                NetworkDirection::Inbound => Direction::Inbound,
                NetworkDirection::Outbound => Direction::Outbound,
            },
            transport: Cow::Borrowed(info.transport),
            agent: Cow::Borrowed(info.agent.as_str()),
            latency_ms: info.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
            height: peer.status.as_ref().map(|status| status.height.get()),
            tip: peer.status.as_ref().map(|status| status.tip.into()),
            faults: info.faults.clone(),
        }
    }
}

impl Connected {
    pub(super) fn new(peer: &impl ToString) -> Self {
        Self { peer_id: peer.to_string() }
    }
}

impl<'a> From<&'a reply::Verified> for Verified<'a> {
    fn from(verified: &'a reply::Verified) -> Self {
        Self {
            valid: verified.problem.is_none(),
            from_height: verified.from.get(),
            height: verified.height.get(),
            transactions: verified.transactions,
            problem: verified.problem.as_deref().map(Cow::Borrowed),
        }
    }
}

impl Synced {
    pub(super) fn new(summary: &catch_up::Summary, height: u64) -> Self {
        Self {
            asked: summary.asked,
            answered: summary.answered,
            accepted: summary.accepted,
            problems: summary.problems.clone(),
            height,
        }
    }
}
