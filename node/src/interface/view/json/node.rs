//! The node, its peers, its miner and its checks as JSON.

use bard_protocol::Direction as NetworkDirection;
use serde::Serialize;
use utoipa::ToSchema;

use super::primitive::{Address, Digits, Hash, Time};
use crate::{application::reply, catch_up, miner};

/// Who and where a node is.
#[derive(Serialize, ToSchema)]
pub struct Node<'a> {
    /// Version of the software.
    version: &'static str,
    /// Its id in the network.
    peer_id: String,
    /// Where it listens, whole multiaddresses.
    listen: &'a [String],
    /// Where it says others may reach it.
    external: &'a [String],
    chain: Chain<'a>,
    /// Its own account.
    address: Address,
    /// Whether others can reach it, in one line.
    reachability: &'a str,
    /// Milliseconds since it started.
    uptime_ms: u64,
}

/// The chain of a node.
#[derive(Serialize, ToSchema)]
pub struct Chain<'a> {
    name: &'a str,
    /// The hash of its specification.
    id: Hash,
}

/// How a node is doing.
#[derive(Serialize, ToSchema)]
pub struct Status<'a> {
    /// Name of the chain.
    chain: &'a str,
    height: u64,
    /// Id of the last block.
    tip: Hash,
    /// Time of the last block.
    tip_time: Time,
    state_root: Hash,
    /// Work of the chain.
    total_work: Digits,
    /// Expected hashes of the next block.
    difficulty: Digits,
    /// Intended time between blocks, in ms.
    target_interval_ms: u64,
    /// Connected peers of this chain.
    peers: usize,
    /// Peers at the same tip.
    agreeing_peers: usize,
    pool: PoolSize,
    mining: Mining,
    /// Hashes a second.
    hash_rate: f64,
    sync: SyncProgress,
    /// Whether others can reach the node, in one line.
    reachability: &'a str,
    items: ItemCounts,
}

/// How full the pool is.
#[derive(Serialize, ToSchema)]
pub struct PoolSize {
    /// Transactions that can be mined.
    transactions: usize,
    bytes: usize,
}

/// What the miner does.
#[derive(Serialize, ToSchema)]
pub struct Mining {
    /// Whether it mines continuously.
    enabled: bool,
    threads: usize,
    /// Hashes a second, 0 while it rests.
    hash_rate: f64,
    /// Blocks it found since the start that became part of the chain.
    mined: u64,
}

/// How far catching up is.
#[derive(Serialize, ToSchema)]
pub struct SyncProgress {
    syncing: bool,
    /// Height of the best chain that is known.
    target_height: u64,
    /// Blocks accepted so far.
    accepted: u64,
}

/// How many items there are.
#[derive(Serialize, ToSchema)]
pub struct ItemCounts {
    /// Those that somebody holds.
    reserved: usize,
    /// Those that were held once and are free.
    available: usize,
}

/// The connected peers.
#[derive(Serialize, ToSchema)]
pub struct Peers<'a> {
    peers: Vec<Peer<'a>>,
}

/// A connected peer.
#[derive(Serialize, ToSchema)]
pub struct Peer<'a> {
    peer_id: String,
    /// The other ends of the connections to it.
    addresses: Vec<String>,
    /// The most trusted way by which this node learnt of it.
    #[schema(required)]
    found_by: Option<String>,
    /// All ways by which this node learnt of it.
    origins: Vec<String>,
    direction: Direction,
    /// `tcp`, `quic` or `relay`.
    transport: &'static str,
    /// Its software.
    agent: &'a str,
    /// The latest round trip; null before the first.
    #[schema(required)]
    latency_ms: Option<f64>,
    /// Its height, as it last said.
    #[schema(required)]
    height: Option<u64>,
    /// Its tip, as it last said.
    #[schema(required)]
    tip: Option<Hash>,
    /// Its recent faults, the oldest first.
    faults: &'a [String],
}

/// Who opened a connection.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The peer.
    Inbound,
    /// This node.
    Outbound,
}

/// A peer that is connected now.
#[derive(Serialize, ToSchema)]
pub struct Connected {
    peer_id: String,
}

/// What a check of the whole chain found.
#[derive(Serialize, ToSchema)]
pub struct Verified<'a> {
    valid: bool,
    /// Height that was reached.
    height: u64,
    /// Transactions that were checked.
    transactions: u64,
    /// What is wrong; null where everything holds.
    #[schema(required)]
    problem: Option<&'a str>,
}

/// What asking every peer came to.
#[derive(Serialize, ToSchema)]
pub struct Synced<'a> {
    /// Peers that were asked.
    asked: usize,
    /// Peers that answered.
    answered: usize,
    /// Blocks that were accepted because of it.
    accepted: u64,
    /// Why peers that have more work could not be followed.
    problems: &'a [String],
    /// Height afterwards.
    height: u64,
}

impl<'a> From<&'a reply::Node> for Node<'a> {
    fn from(node: &'a reply::Node) -> Self {
        Self {
            version: node.version,
            peer_id: node.peer_id.to_string(),
            listen: &node.listen,
            external: &node.external,
            chain: Chain { name: &node.chain_name, id: node.chain.into() },
            address: Address(node.address),
            reachability: &node.reachability,
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
            chain: &status.chain_name,
            height,
            tip: status.tip.into(),
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
            reachability: &status.reachability,
            items: ItemCounts { reserved: status.items_reserved, available: status.items_available },
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
    pub(super) fn new(all: &'a [reply::Peer]) -> Self {
        Self { peers: all.iter().map(Into::into).collect() }
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
            transport: info.transport,
            agent: info.agent.as_str(),
            latency_ms: info.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
            height: peer.status.as_ref().map(|status| status.height.get()),
            tip: peer.status.as_ref().map(|status| status.tip.into()),
            faults: &info.faults,
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
            height: verified.height.get(),
            transactions: verified.transactions,
            problem: verified.problem.as_deref(),
        }
    }
}

impl<'a> Synced<'a> {
    pub(super) fn new(summary: &'a catch_up::Summary, height: u64) -> Self {
        Self {
            asked: summary.asked,
            answered: summary.answered,
            accepted: summary.accepted,
            problems: &summary.problems,
            height,
        }
    }
}
