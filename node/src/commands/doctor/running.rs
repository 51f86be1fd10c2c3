//! The node that runs already: what its API says.

use std::{path::PathBuf, sync::Arc};

use bard_chain::spec::ChainSpec;

use super::{DoctorOptions, Finding};
use crate::{
    config::{self, NodeOptions},
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

/// Where a node with these options keeps its things; unknown where it takes any port.
pub(super) fn data_dir(options: &NodeOptions, spec: &ChainSpec) -> Option<PathBuf> {
    match &options.data_dir {
        Some(dir) => Some(dir.clone()),
        None if options.port == 0 => None,
        None => config::chain_dir(spec).ok().map(|dir| dir.join(options.port.to_string())),
    }
}

/// The node that is meant, if it runs. One that was named and does not answer is a fault.
pub(super) async fn find(options: &DoctorOptions, findings: &mut Vec<Finding>) -> Option<Running> {
    let url = match &options.api {
        Some(url) => url.clone(),
        None => {
            let spec = options.node.spec().ok()?;
            NodeFile::read(&data_dir(&options.node, &spec)?).filter(NodeFile::is_alive)?.api
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
        all.push(reachability(&self.status.reachability));
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

    /// Whether an address is one that the node itself has.
    pub(super) fn is_at(&self, address: &str) -> bool {
        let bare = |text: &str| text.split("/p2p/").next().unwrap_or_default().to_owned();
        self.node.listen.iter().chain(&self.node.external).any(|own| bare(own) == bare(address))
    }
}

/// The beginnings of the verdicts of a node that others cannot reach by themselves.
const UNREACHED: [&str; 2] = ["not reachable", "reachable on the local network only"];

/// What the node's own verdict means.
fn reachability(verdict: &str) -> Finding {
    let check = "reachability";
    if UNREACHED.iter().any(|beginning| verdict.starts_with(beginning)) {
        let advice = "others cannot begin a connection: forward the port on the router, or let a node that both reach run with --relay-server";
        Finding::warning(check, verdict, advice)
    } else if verdict.starts_with("this machine only") {
        let advice =
            "nodes on other machines cannot connect: leave --listen out, or listen on an address of the network";
        Finding::warning(check, verdict, advice)
    } else {
        Finding::ok(check, verdict)
    }
}

#[cfg(test)]
mod tests {
    use bard_protocol::reachability::{ListenPort, ReachabilityVerdict as Verdict};

    use super::{super::Verdict as Grade, *};

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
            assert_eq!(reachability(&verdict.to_string()).verdict, grade, "{verdict}");
        }
    }
}
