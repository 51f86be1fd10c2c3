//! Where the fights take place: a node under attack, an honest node connected to it, and the chain that both follow.

use std::time::Duration;

use bard_chain::{presets, spec::ChainSpec};
use bard_tests::{
    chain_builder::{MemoryNode, easy_spec},
    hostile_peer::{Guise, HostilePeer},
    process::{Builder, Http, Node, wait_for, wait_until},
};
use libp2p::{Multiaddr, PeerId};

/// Blocks on the chain before a fight.
pub(crate) const BLOCKS: usize = 3;
/// How long the API may take to answer under attack. An idle node takes a millisecond.
const QUICK: Duration = Duration::from_secs(3);
/// How long a block may take to the next node: less than the 15 s after which nodes ask each other anyway.
const RELAY: Duration = Duration::from_secs(10);
/// How long the node may take to say what it thinks of an attack.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// What the node logs.
const LOG: &str = "info,bard_node=debug,bard_protocol=debug,libp2p_gossipsub=debug";
/// The same without libraries.
const TERSE: &str = "info,bard_node=debug,bard_protocol=debug,libp2p=error,yamux=off";
/// A mebibyte.
pub(crate) const MIB: u64 = 1 << 20;
/// What a fight without any load may leave behind in memory, in bytes: caches, buffers and what the allocator keeps.
pub(crate) const LITTLE: u64 = 24 * MIB;

/// The node under attack and its company.
pub(crate) struct Arena {
    /// The chain that both nodes follow.
    pub(crate) chain: MemoryNode,
    /// The node under attack.
    pub(crate) node: Node,
    /// The honest node.
    pub(crate) honest: Node,
}

/// What must not change.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    tip: String,
    pool: Vec<String>,
    memory: u64,
}

/// The chain of all fights: every second hash seals a block.
pub(crate) fn spec() -> ChainSpec {
    easy_spec()
}

/// Starts a node of that chain, connected to others.
pub(crate) fn start_node(bootstrap: &[&Node]) -> Node {
    start_with(Node::builder(), LOG, bootstrap)
}

fn start_with(builder: Builder, log: &str, bootstrap: &[&Node]) -> Node {
    let builder = builder.chain(&spec()).arg("--no-console").arg("--log").arg(log);
    bootstrap.iter().fold(builder, |builder, node| builder.bootstrap(node.address())).start()
}

/// Connects a hostile peer to a node.
pub(crate) fn attack(node: &Node, guise: Guise) -> HostilePeer {
    HostilePeer::connect(&address(node), &spec(), guise).expect("strangers are let in")
}

/// Where a node listens.
pub(crate) fn address(node: &Node) -> Multiaddr {
    node.bare_address().parse().expect("a multiaddress")
}

impl Arena {
    /// Two connected nodes with a few blocks.
    pub(crate) fn new() -> Self {
        Self::around(start_node(&[]))
    }

    /// The same, with a node that does not write down what its libraries are told: it is told very much.
    pub(crate) fn terse() -> Self {
        Self::around(start_with(Node::builder(), TERSE, &[]))
    }

    /// The same, with a node that listens over QUIC.
    pub(crate) fn over_quic() -> Self {
        Self::around(start_with(Node::builder().listen("/ip4/127.0.0.1/udp/0/quic-v1"), LOG, &[]))
    }

    /// The same, with a node that uses this relay.
    pub(crate) fn with_relay(relay: &str) -> Self {
        Self::around(start_with(Node::builder().arg("--rendezvous").arg(relay), TERSE, &[]))
    }

    /// The same, with a node that is a relay.
    pub(crate) fn of_a_relay() -> Self {
        Self::around(start_with(Node::builder().arg("--relay-server"), TERSE, &[]))
    }

    /// The same, with a node that may have so many files and connections.
    pub(crate) fn with_descriptors(limit: usize) -> Self {
        let limited = ["sh".to_owned(), "-c".to_owned(), format!("ulimit -n {limit}; exec \"$@\""), "sh".to_owned()];
        Self::around(start_with(Node::builder().inside(limited), LOG, &[]))
    }

    /// The same, with this node under attack.
    fn around(node: Node) -> Self {
        let honest = start_node(&[&node]);
        let mut arena = Self { chain: MemoryNode::new(spec()), node, honest };
        arena.node.wait_for_peers(1);
        arena.honest.wait_for_peers(1);
        let teacher = arena.stranger();
        for block in arena.chain.extend_by(BLOCKS) {
            teacher.gossip_block(block.bytes());
            let id = block.id().to_string();
            wait_until("a good block is taken from a stranger", PATIENCE, || arena.node.tip() == id);
        }
        arena.assert_blameless(&teacher);
        arena.honest.wait_for_same_tip(&arena.node);
        arena
    }

    /// A peer that answers nothing.
    pub(crate) fn stranger(&self) -> HostilePeer {
        attack(&self.node, Guise::default())
    }

    /// A peer that answers nothing and tries until it is let in, as after a crowd.
    pub(crate) fn patient_stranger(&self) -> HostilePeer {
        let attempt = || HostilePeer::connect(&address(&self.node), &spec(), Guise::default()).ok();
        wait_for("a stranger is let in", PATIENCE, attempt)
    }

    /// What the node is like now.
    pub(crate) fn look(&self) -> Before {
        Before { tip: self.node.tip(), pool: self.node.pool(), memory: memory(&self.node) }
    }

    /// Waits for a line of the node's log with all these parts.
    pub(crate) fn wait_for_line(&self, parts: &[&str]) -> String {
        wait_for_line(&self.node, parts)
    }

    /// That a peer is banned for this reason, and disconnected.
    pub(crate) fn assert_banned(&self, peer: &HostilePeer, reason: &str) {
        self.wait_for_line(&["banned for an hour", &peer.id().to_string(), reason]);
        peer.wait_until_disconnected();
    }

    /// That a peer's fault of this gravity is noted.
    pub(crate) fn assert_fault(&self, peer: &HostilePeer, gravity: &str, reason: &str) {
        self.wait_for_line(&["a fault", &peer.id().to_string(), &format!("fault={gravity}"), reason]);
    }

    /// That a peer is connected and nothing is held against it.
    pub(crate) fn assert_blameless(&self, peer: &HostilePeer) {
        let id = peer.id();
        assert!(peer.is_connected(), "{id} was disconnected");
        let known = wait_for("the stranger is known", PATIENCE, || faults(&self.node, &id));
        assert_eq!(known, Vec::<String>::new(), "{id} is without fault");
        let lines = self.node.stderr().from(0);
        let held = lines.iter().find(|line| line.contains("a fault") && line.contains(&id.to_string()));
        assert_eq!(held, None);
    }

    /// That the node is as before, took no more memory than `growth` bytes, and exchanges blocks with the honest node.
    pub(crate) fn assert_unharmed(&mut self, before: &Before, growth: u64) {
        assert!(self.node.is_running(), "the node lives");
        // A task that panics leaves its work undone, and the rest of the node goes on.
        let panicked = self.node.stderr().from(0).into_iter().find(|line| line.contains("panicked at"));
        assert_eq!(panicked, None, "a part of the node panicked");
        let http = Http::with_deadline(&self.node.file().api, QUICK);
        let status = http.try_get("/api/v1/status").unwrap_or_else(|error| panic!("no answer in {QUICK:?}: {error}"));
        assert_eq!(status.success()["tip"], before.tip.as_str(), "the tip is undisturbed");
        assert_eq!(self.node.pool(), before.pool, "the pool is undisturbed");
        let after = memory(&self.node);
        let grown = after.saturating_sub(before.memory);
        assert!(grown <= growth, "{} MiB more memory, at most {} are allowed", grown / MIB, growth / MIB);
        self.assert_company();
    }

    /// That node and honest node are connected, think no ill of each other, and exchange fresh blocks.
    pub(crate) fn assert_company(&self) {
        let (node, honest) = (id(&self.node), id(&self.honest));
        assert_eq!(faults(&self.node, &honest), Some(Vec::new()), "the honest node is connected and without fault");
        assert_eq!(faults(&self.honest, &node), Some(Vec::new()), "the node passed on nothing bad");
        assert_relayed(&self.node, &self.honest);
        assert_relayed(&self.honest, &self.node);
    }
}

/// That a block which one node mines reaches the other without delay.
pub(crate) fn assert_relayed(from: &Node, to: &Node) {
    let mined = from.mine(1).pop().expect("a block");
    wait_until("a fresh block arrives", RELAY, || to.tip() == mined);
}

/// Waits for a line of a node's log with all these parts.
pub(crate) fn wait_for_line(node: &Node, parts: &[&str]) -> String {
    let found = node.stderr().until(0, PATIENCE, |line| parts.iter().all(|part| line.contains(part)));
    found.and_then(|mut lines| lines.pop()).unwrap_or_else(|| panic!("no line of the log has {parts:?}"))
}

/// The id of a node.
pub(crate) fn id(node: &Node) -> PeerId {
    node.peer_id().parse().expect("a peer id")
}

/// What a node holds against a peer; `None` where it is not connected.
pub(crate) fn faults(node: &Node, peer: &PeerId) -> Option<Vec<String>> {
    let answer = node.get("/api/v1/peers").success();
    let peers = answer["peers"].as_array().expect("a list");
    let found = peers.iter().find(|one| one["peer_id"] == peer.to_string().as_str())?;
    let faults = found["faults"].as_array().expect("a list").iter();
    Some(faults.map(|fault| fault.as_str().expect("a text").to_owned()).collect())
}

/// The resident memory of a node in bytes.
pub(crate) fn memory(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line VmRSS");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

/// The chain of another name, otherwise the same.
pub(crate) fn other_spec() -> ChainSpec {
    ChainSpec { name: "elsewhere".to_owned(), ..presets::dev() }
}
