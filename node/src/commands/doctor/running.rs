//! The node that runs already: what its API says.

use std::sync::Arc;

use bard_chain::spec::ChainSpec;

use super::{DoctorOptions, Finding};
use crate::{
    interface::{
        client::{Client, ClientError},
        view::json::{Node, Peers, Status},
    },
    registry::NodeFile,
};

/// What a node says of itself.
pub(super) struct Running {
    pub(super) url: String,
    pub(super) spec: Arc<ChainSpec>,
    pub(super) node: Node<'static>,
    pub(super) status: Status<'static>,
    pub(super) peers: Peers<'static>,
}

/// The node that is meant, if it runs. One that was named and does not answer is a fault.
pub(super) async fn find(options: &DoctorOptions, findings: &mut Vec<Finding>) -> Option<Running> {
    let url = match &options.api {
        Some(url) => url.clone(),
        None => {
            let spec = options.node.spec().ok()?;
            NodeFile::read(&options.node.dir(&spec)?).filter(NodeFile::is_alive)?.api
        }
    };
    match ask(&url).await {
        Ok(running) => {
            findings.push(Finding::ok(
                "running node",
                format!("process at {}, version {}", running.url, running.node.version),
            ));
            Some(running)
        }
        Err(error) => {
            findings.push(Finding::fault("running node", error, "start it by bard node, or leave --api out"));
            None
        }
    }
}

async fn ask(url: &str) -> Result<Running, String> {
    let said = |error: ClientError| error.to_string();
    let client = Client::of_url(url, None).map_err(said)?;
    let (node, status, peers, spec) =
        tokio::try_join!(client.node(), client.status(), client.peers(), client.specification()).map_err(said)?;
    let spec = ChainSpec::from_toml(&spec).map_err(|error| format!("the specification at {url}: {error}"))?;
    Ok(Running { url: url.to_owned(), spec: Arc::new(spec), node, status, peers })
}

impl Running {
    /// What it says that has to do with peers.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let own = env!("CARGO_PKG_VERSION");
        let mut all = Vec::new();
        if self.node.version != own {
            let meaning =
                format!("the node at {} is of version {}, this program of {own}", self.url, self.node.version);
            all.push(Finding::warning("version", meaning, "stop the node and start it again with this program"));
        }
        all.push(self.connected());
        all.push(reachability(&self.status.reachability, &self.node.reachability_advice));
        all.extend(because(&self.status.reachability, &self.node.reachability_reasons));
        all.push(self.disk());
        all.extend(self.blocks());
        all.extend(self.node.notices.iter().map(|line| noticed(line)));
        all
    }

    fn connected(&self) -> Finding {
        let (peers, agreeing) = (self.status.peers, self.status.agreeing_peers);
        if peers > 0 {
            return Finding::ok("peers", format!("{peers} connected, {agreeing} at the same tip"));
        }
        let advice =
            "the other lines say what is in the way; name a node with --bootstrap, or `connect` at the console";
        Finding::warning("peers", "no peer is connected", advice)
    }

    /// Where the node does not have every block.
    fn blocks(&self) -> Option<Finding> {
        let (from, height) = (self.status.blocks_from, self.status.height);
        let meaning = || {
            format!("the node began with a state: it has blocks from height {from} on, of a chain of height {height}")
        };
        let advice = "whoever needs the whole chain from it gets it from another node; one must have it";
        (from > 1).then(|| Finding::warning("blocks", meaning(), advice))
    }

    fn disk(&self) -> Finding {
        let disk = &self.status.disk;
        match &disk.shortage {
            Some(why) => Finding::fault("disk", why.clone(), "free some space there; the node goes on by itself"),
            None => Finding::ok(
                "disk",
                disk.free_bytes.map_or_else(
                    || "the system does not tell how much is free".to_owned(),
                    |free| format!("{} MiB are free, {} MiB are kept free", free >> 20, disk.keep_free_bytes >> 20),
                ),
            ),
        }
    }

    /// Whether an address is one that the node itself has.
    pub(super) fn is_at(&self, address: &str) -> bool {
        let bare = |text: &str| text.split("/p2p/").next().unwrap_or_default().to_owned();
        self.node.listen.iter().chain(&self.node.external).any(|own| bare(own) == bare(address))
    }
}

/// What the node has met since it started and only a person can mend.
fn noticed(line: &str) -> Finding {
    if line.contains("identity") {
        let advice = "stop one of the two, delete identity.key in its data directory, and start it again";
        return Finding::fault("identity", line, advice);
    }
    let advice = "where these should be peers, let all follow one chain: bard invite there and bard join here";
    Finding::warning("other chains", line, advice)
}

/// The beginnings of the verdicts of a node that others cannot reach by themselves.
const UNREACHED: [&str; 2] = ["not reachable", "reachable on the local network only"];

/// What the node's own verdict means, and what to do: what it says itself, where it does.
fn reachability(verdict: &str, said: &[String]) -> Finding {
    let check = "reachability";
    let advice = |otherwise: &str| if said.is_empty() { otherwise.to_owned() } else { said.join("; ") };
    if UNREACHED.iter().any(|beginning| verdict.starts_with(beginning)) {
        let otherwise = "others cannot begin a connection: forward the port on the router, or let a node that both reach run with --relay-server";
        Finding::warning(check, verdict, advice(otherwise))
    } else if verdict.starts_with("this machine only") {
        let otherwise =
            "nodes on other machines cannot connect: leave --listen out, or listen on an address of the network";
        Finding::warning(check, verdict, advice(otherwise))
    } else {
        Finding::ok(check, verdict)
    }
}

/// What the verdict rests on, a line each, where somebody may wonder.
fn because<'a>(verdict: &str, reasons: &'a [String]) -> impl Iterator<Item = Finding> + use<'a> {
    let plain = verdict.starts_with("publicly reachable");
    reasons.iter().filter(move |_| !plain).map(|reason| Finding::ok("because", reason.as_str()))
}

#[cfg(test)]
mod tests {
    use bard_chain::presets;
    use bard_protocol::{
        Notice,
        reachability::{ListenPort, ReachabilityVerdict as Verdict},
    };
    use serde_json::json;

    use super::{super::Verdict as Grade, *};

    fn said(version: &str, notices: &[String]) -> Running {
        let address = "bard1zs45dqgweajfzpvdksa22p4xlkmr4rx6c925haqe30ky75cjtmqsly3422";
        let hash = "ab".repeat(32);
        let node = json!({
            "version": version, "peer_id": "x", "listen": ["/ip4/10.0.0.1/tcp/6000/p2p/x"], "external": [],
            "address": address, "chain": { "name": "dev", "id": hash }, "reachability": "unknown", "notices": notices,
            "uptime_ms": 1,
        });
        let status = json!({
            "chain": "dev", "height": 42, "tip": hash, "tip_time": "2026-01-01T00:00:00.000Z", "state_root": hash,
            "total_work": "9", "difficulty": "65537", "target_interval_ms": 1000, "peers": 0, "agreeing_peers": 0,
            "pool": { "transactions": 0, "bytes": 0 }, "hash_rate": 0.0,
            "mining": { "enabled": false, "threads": 2, "hash_rate": 0.0, "mined": 0 },
            "sync": { "syncing": false, "target_height": 42, "accepted": 0 }, "reachability": "unknown",
            "items": { "reserved": 0, "available": 0 },
            "disk": { "free_bytes": 1, "keep_free_bytes": 2, "shortage": "the disk is nearly full" },
        });
        Running {
            url: "http://x/".to_owned(),
            spec: Arc::new(presets::dev()),
            node: serde_json::from_value(node).expect("a node"),
            status: serde_json::from_value(status).expect("a status"),
            peers: Peers { peers: Vec::new(), departed: Vec::new() },
        }
    }

    #[test]
    fn a_node_of_another_version_and_what_it_noticed_are_named() {
        let copy = Notice::OwnCopy { address: "/ip4/10.0.0.2/tcp/1".parse().expect("an address") };
        let other = Notice::OtherChain { chain: "cdcd".to_owned(), address: None };
        let mut running = said("0.0.1", &[copy.to_string(), other.to_string()]);
        running.status.blocks_from = 21;
        let findings = running.findings();
        let verdict_of = |check: &str| findings.iter().find(|one| one.check == check).map(|one| one.verdict);
        for (check, grade) in [
            ("version", Grade::Warning),
            ("peers", Grade::Warning),
            ("reachability", Grade::Ok),
            ("identity", Grade::Fault),
            ("disk", Grade::Fault),
            ("other chains", Grade::Warning),
            ("blocks", Grade::Warning),
        ] {
            assert_eq!(verdict_of(check), Some(grade), "{check}");
        }
        let same = said(env!("CARGO_PKG_VERSION"), &[]);
        assert!(!same.findings().iter().any(|finding| ["version", "blocks"].contains(&finding.check)));
        assert!(same.is_at("/ip4/10.0.0.1/tcp/6000") && !same.is_at("/ip4/10.0.0.1/tcp/6001"));
    }

    #[test]
    fn verdicts_of_the_node_are_understood() {
        let ports = vec![ListenPort::Tcp(6000)];
        for (verdict, grade) in [
            (Verdict::Unknown, Grade::Ok),
            (Verdict::ThisMachine, Grade::Warning),
            (Verdict::Unreachable { failed: 2, ports: ports.clone() }, Grade::Warning),
            (Verdict::LocalNetwork { local: 1, failed: 2, ports: ports.clone() }, Grade::Warning),
            (Verdict::LocalNetwork { local: 1, failed: 0, ports }, Grade::Ok),
            (Verdict::Relayed { relays: Vec::new(), local: 0 }, Grade::Ok),
        ] {
            let (line, said) = (verdict.to_string(), ["do this".to_owned(), "or that".to_owned()]);
            assert_eq!(reachability(&line, &[]).verdict, grade, "{verdict}");
            let own = reachability(&line, &said).advice;
            assert_eq!(own, (grade == Grade::Warning).then(|| "do this; or that".to_owned()), "{verdict}");
            assert_eq!(because(&line, &said).count(), 2, "{verdict}");
        }
        assert_eq!(because("publicly reachable at /ip4/8.8.8.8/tcp/1", &["so".to_owned()]).count(), 0);
    }
}
