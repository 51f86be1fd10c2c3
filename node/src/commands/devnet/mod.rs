//! `bard devnet`: connected nodes on this machine, each a process of this very program, started and stopped by one command.

mod nodes;

use std::{io, path::PathBuf, time::Duration};

use clap::Args;
use serde_json::json;
use tempfile::TempDir;

use self::nodes::{Nodes, Started};
use super::output::{print, tell};
use crate::{config, interface::client::Client, supervise::Signals};

/// How long the nodes may take to find each other.
const MEETING: Duration = Duration::from_secs(60);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(200);
/// Peers that are enough for a node: more come by themselves, and not every node of many is connected to every other.
const ENOUGH: usize = 3;

/// Start connected nodes on this machine, for trying things out.
#[derive(Args, Clone, Debug)]
pub struct DevnetOptions {
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=32))]
    nodes: u16,
    /// Their chain: a built-in name (dev), a specification file, or the name of a chain that was made or joined here
    #[arg(long, value_name = "NAME or FILE", default_value = "dev")]
    chain: String,
    /// Where they keep what they have, a directory each; a temporary one, removed at the end, if left out
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Let the first node mine continuously
    #[arg(long)]
    mine: bool,
    /// What they log: error, warn, info, debug, trace, or a filter such as info,bard_node=debug
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    /// Print the nodes as one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs the nodes until Ctrl-C or SIGTERM, or until all of them have ended.
///
/// # Errors
/// One line: a node did not start, they did not find each other, or all of them ended.
pub fn run(options: &DevnetOptions) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let result = runtime.block_on(until_stopped(options));
    runtime.shutdown_background();
    result
}

async fn until_stopped(options: &DevnetOptions) -> Result<(), String> {
    let mut signals = Signals::new().map_err(|error| error.to_string())?;
    config::load_spec(&options.chain).map_err(|error| error.to_string())?;
    let temporary = match &options.data_dir {
        None => Some(TempDir::with_prefix("bard-devnet-").map_err(|error| error.to_string())?),
        Some(_) => None,
    };
    let dir = temporary.as_ref().map(TempDir::path).or(options.data_dir.as_deref()).unwrap_or_else(|| "".as_ref());
    let mut nodes = Nodes::new(dir.to_owned(), arguments(options), options.mine);
    let outcome = tokio::select! {
        outcome = live(options, &mut nodes) => outcome,
        () = signals.stop() => Ok(()),
    };
    // A second signal does not wait for those that are slow to stop.
    tokio::select! {
        () = nodes.stop() => {}
        () = signals.stop() => nodes.kill().await,
    }
    if let Some(temporary) = temporary {
        let path = temporary.path().to_owned();
        let removed = temporary.close();
        removed.map_err(|error: io::Error| format!("{} cannot be removed: {error}", path.display()))?;
    }
    outcome
}

/// What every node is told.
fn arguments(options: &DevnetOptions) -> Vec<String> {
    let fixed = ["--port", "0", "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns", "--no-upnp", "--no-local"];
    let mut all: Vec<String> = fixed.map(str::to_owned).to_vec();
    for (option, value) in [("--chain", &options.chain), ("--log", &options.log)] {
        all.extend([option.to_owned(), value.clone()]);
    }
    all
}

/// Starts the nodes, shows them, and waits until none is left.
async fn live(options: &DevnetOptions, nodes: &mut Nodes) -> Result<(), String> {
    let started = nodes.start(usize::from(options.nodes)).await?;
    print(&if options.json { as_json(&started) } else { as_table(&started) })?;
    wait_until_connected(&started, nodes).await?;
    let count = started.len();
    tell(&match count {
        1 => "the node is ready; Ctrl-C stops it".to_owned(),
        _ => format!("all {count} nodes see each other; Ctrl-C stops them"),
    });
    nodes.all_ended().await;
    Err("no node is left".to_owned())
}

fn as_json(started: &[Started]) -> String {
    let one = |node: &Started| {
        json!({
            "node": node.number,
            "pid": node.file.pid,
            "api": node.file.api,
            "p2p": node.file.listen,
            "data_dir": node.dir.display().to_string(),
        })
    };
    json!({ "nodes": started.iter().map(one).collect::<Vec<_>>() }).to_string()
}

fn as_table(started: &[Started]) -> String {
    let width = started.iter().map(|node| node.file.api.len()).max().unwrap_or_default();
    let head = format!("{:7}  {:width$}  P2P address", "node", "API and page");
    let line = |node: &Started| {
        let address = node.file.listen.first().map_or("-", String::as_str);
        format!("{:7}  {:width$}  {address}", nodes::name(node.number), node.file.api)
    };
    std::iter::once(head).chain(started.iter().map(line)).collect::<Vec<_>>().join("\n")
}

/// Waits until every node has peers enough and a way leads from each to each.
async fn wait_until_connected(started: &[Started], nodes: &mut Nodes) -> Result<(), String> {
    let clients: Result<Vec<_>, _> = started.iter().map(|node| Client::of_url(&node.file.api, None)).collect();
    let clients = clients.map_err(|error| error.to_string())?;
    let ids: Vec<&str> = started.iter().map(|node| node.file.peer_id.as_str()).collect();
    let meeting = async {
        loop {
            let mut peers = Vec::with_capacity(clients.len());
            for client in &clients {
                // A node that does not answer is one that has no peers yet.
                let known = client.peers().await.map(|all| all.peers).unwrap_or_default();
                peers.push(known.into_iter().map(|peer| peer.peer_id).collect::<Vec<_>>());
            }
            if are_connected(&ids, &peers) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        met = tokio::time::timeout(MEETING, meeting) => {
            met.map_err(|_| format!("the nodes did not find each other within {} s", MEETING.as_secs()))
        }
        () = nodes.all_ended() => Err("no node is left".to_owned()),
    }
}

/// Whether nodes with these ids and peers form one network, each with peers enough.
fn are_connected(ids: &[&str], peers: &[Vec<String>]) -> bool {
    let enough = ENOUGH.min(ids.len().saturating_sub(1));
    if peers.iter().any(|known| known.len() < enough) {
        return false;
    }
    let mut reached: Vec<&str> = ids.first().copied().into_iter().collect();
    let mut next = 0;
    while let Some(id) = reached.get(next) {
        let known = ids.iter().zip(peers).find(|(other, _)| *other == id).map(|(_, known)| known);
        for peer in known.into_iter().flatten() {
            if !reached.contains(&peer.as_str()) && ids.contains(&peer.as_str()) {
                reached.push(peer);
            }
        }
        next += 1;
    }
    reached.len() == ids.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_in_two_halves_is_none() {
        let known = |all: &[&[&str]]| -> Vec<Vec<String>> {
            all.iter().map(|one| one.iter().map(|id| (*id).to_owned()).collect()).collect()
        };
        let ids = ["a", "b", "c", "d"];
        assert!(are_connected(&["a"], &known(&[&[]])));
        assert!(are_connected(&ids, &known(&[&["b", "c", "d"], &["a", "c", "d"], &["a", "b", "d"], &["a", "b", "c"]])));
        assert!(!are_connected(&ids, &known(&[&["b", "c", "d"], &["a", "c", "d"], &["a", "b", "d"], &["a", "b"]])));
        // Peers that are none of ours lead nowhere.
        let strangers = known(&[&["b", "x", "y"], &["a", "x", "y"], &["d", "x", "y"], &["c", "x", "y"]]);
        assert!(!are_connected(&ids, &strangers));
    }
}
