//! `bard doctor`: why no peer is found.
//!
//! It looks at this machine with the options that a node would have ([`machine`]), at every address that it is told to connect to
//! ([`remote`]), and at the node that runs already, if one does ([`running`]). Each thing it looks at is a [`Finding`].

mod finding;
mod machine;
mod remote;
mod running;

use std::{path::PathBuf, sync::Arc};

use bard_chain::spec::ChainSpec;
use bard_protocol::{ChainSecret, Identity, PeerId};
use clap::Args;
use serde_json::json;

use self::{
    finding::{Finding, Verdict, as_text},
    running::Running,
};
use super::output::print;
use crate::{
    assemble, config,
    config::NodeOptions,
    registry::{self, NodeFile},
    wallet,
};

/// Find out why no peer is found: interfaces, multicast, ports, clock, chain, bootstrap addresses.
#[derive(Args, Clone, Debug)]
pub struct DoctorOptions {
    /// URL of a running node's API; the node that runs with these options on this machine if left out
    #[arg(long, value_name = "URL", env = "BARD_API")]
    api: Option<String>,
    /// What the node is told.
    #[command(flatten)]
    pub node: NodeOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is looked at.
struct Subject<'a> {
    options: &'a NodeOptions,
    spec: Arc<ChainSpec>,
    secret: Option<ChainSecret>,
    /// The node that runs already.
    running: Option<Running>,
    /// The id of the node, once it has one.
    own: Option<PeerId>,
    /// The nodes that this user runs.
    nodes: Vec<(PathBuf, NodeFile)>,
}

/// Looks at everything and prints what was found.
///
/// # Errors
/// One line, where a fault was found or the answers cannot be printed.
pub fn run(options: &DoctorOptions) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let findings = runtime.block_on(examine(options));
    runtime.shutdown_background();
    let faults = findings.iter().filter(|finding| finding.verdict == Verdict::Fault).count();
    if options.json {
        let document = json!({ "faults": faults, "findings": findings });
        print(&serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?)?;
    } else {
        print(&as_text(&findings))?;
    }
    match faults {
        0 => Ok(()),
        1 => Err("a fault was found".to_owned()),
        faults => Err(format!("{faults} faults were found")),
    }
}

async fn examine(options: &DoctorOptions) -> Vec<Finding> {
    let mut findings = Vec::new();
    let running = running::find(options, &mut findings).await;
    let Some(subject) = Subject::new(&options.node, running, &mut findings) else { return findings };
    findings.extend(machine::interfaces(&subject));
    findings.extend(machine::multicast(&subject).await);
    if let Some(running) = &subject.running {
        findings.extend(running.findings());
    } else {
        findings.extend(machine::api_port(&subject).await);
        findings.extend(machine::p2p_ports(&subject));
    }
    findings.extend(machine::ways(&subject));
    findings.extend(remote::findings(&subject).await);
    findings
}

impl<'a> Subject<'a> {
    /// What can be known before anything is tried; nothing more can be where the chain is unknown.
    fn new(options: &'a NodeOptions, running: Option<Running>, findings: &mut Vec<Finding>) -> Option<Self> {
        let spec = match &running {
            Some(running) => Ok(Arc::clone(&running.spec)),
            None => options.spec().map_err(|error| error.to_string()),
        };
        let spec = match spec {
            Ok(spec) => spec,
            Err(error) => {
                findings.push(Finding::fault(
                    "chain",
                    error,
                    "name a chain that is known here, or join one: bard join LINK",
                ));
                return None;
            }
        };
        let secret = match options.secret(&spec) {
            Ok(secret) => secret,
            Err(error) => {
                let advice = "join it by a link that bard invite prints on a node that is in it: bard join LINK";
                findings.push(Finding::fault("chain", error.to_string(), advice));
                None
            }
        };
        if !spec.closed || secret.is_some() {
            let kind = if spec.closed { "closed, and its secret is here" } else { "open" };
            findings.push(Finding::ok("chain", format!("{} ({}), {kind}", spec.name, spec.chain_id().short())));
        }
        let own = running.as_ref().and_then(|running| running.node.peer_id.parse().ok());
        let own = own.or_else(|| kept_identity(options, &spec));
        let nodes = config::user_dir().map(|dir| registry::running(&dir)).unwrap_or_default();
        Some(Self { options, spec, secret, running, own, nodes })
    }

    /// Whether there are ways to find peers besides the local network.
    fn has_other_ways(&self) -> bool {
        let options = self.options;
        let connected = self.running.as_ref().is_some_and(|running| !running.peers.peers.is_empty());
        let named = !options.bootstrap.is_empty() || !options.tracker.is_empty() || !options.rendezvous.is_empty();
        connected || named || options.peers_file.is_some()
    }

    /// Who has a port, where it is a node of this user.
    fn holder(&self, port: u16) -> Option<String> {
        let has = |file: &NodeFile| {
            let at_port = |address: &String| {
                let parts: Vec<&str> = address.split('/').collect();
                parts.get(4).and_then(|text| text.parse().ok()) == Some(port)
            };
            file.api.ends_with(&format!(":{port}/")) || file.listen.iter().any(at_port)
        };
        let (dir, file) = self.nodes.iter().find(|(_, file)| has(file))?;
        Some(format!("the node of process {} in {}", file.pid, dir.display()))
    }
}

/// The id that a node with these options has kept from an earlier run.
fn kept_identity(options: &NodeOptions, spec: &ChainSpec) -> Option<PeerId> {
    let file = options.dir(spec)?.join(assemble::IDENTITY_FILE);
    let seed = file.is_file().then(|| wallet::load_or_create(&file).ok())??;
    Identity::from_seed(seed).ok().map(|identity| identity.peer_id())
}
