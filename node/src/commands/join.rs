//! `bard join LINK`: a node on the chain that somebody invited to.

use std::{path::PathBuf, time::Duration};

use bard_chain::spec::ChainSpec;
use bard_protocol::{FetchConfig, fetch};
use clap::Args;

use super::output::tell;
use crate::{
    chains,
    config::{self, NodeOptions},
    invitation::Invitation,
};

/// Run a node on the chain of an invitation: fetches its specification, keeps it, and starts.
#[derive(Args, Clone, Debug)]
#[command(mut_arg("chain", |argument| argument.hide(true)))]
pub struct JoinOptions {
    /// The invitation, as bard invite printed it
    #[arg(value_name = "LINK")]
    link: String,
    /// How long to look for a node that tells the specification
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    wait: u64,
    /// What the node is told
    #[command(flatten)]
    pub node: NodeOptions,
}

/// Gets everything ready and runs the node.
///
/// # Errors
/// One line.
pub fn run(options: JoinOptions) -> Result<(), String> {
    let invitation = Invitation::from_link(&options.link).map_err(|error| error.to_string())?;
    let mut node = options.node;
    let spec = match known(&invitation, &node)? {
        Some(spec) => spec,
        None => ask(&invitation, &node, Duration::from_secs(options.wait))?,
    };
    if spec.closed && invitation.secret.is_none() && node.chain_secret_file.is_none() {
        return Err(format!("the chain {} is closed, and the invitation holds no secret", spec.name));
    }
    let home = node.chain_home(&spec).map_err(|error| error.to_string())?;
    chains::save_spec(&home, &spec).map_err(|error| error.to_string())?;
    if let Some(secret) = invitation.secret.as_ref().filter(|_| spec.closed) {
        chains::save_secret(&home, secret).map_err(|error| error.to_string())?;
    }
    tell(&format!("joined the chain {} ({})", spec.name, spec.chain_id().short()));
    node.chain = Some(home.join(chains::SPEC_FILE).display().to_string());
    node.bootstrap.extend(invitation.addresses);
    super::node::run(node)
}

/// The specification, if it was fetched before.
fn known(invitation: &Invitation, node: &NodeOptions) -> Result<Option<ChainSpec>, String> {
    if let Some(dir) = &node.data_dir
        && let Some(saved) = chains::at_home(dir).map_err(|error| error.to_string())?
    {
        if saved.spec.chain_id() == invitation.chain {
            return Ok(Some(saved.spec));
        }
        let (dir, here) = (dir.display(), saved.full_name());
        return Err(format!(
            "{dir} is the home of the chain {here}, not of {}: choose another --data-dir",
            full(invitation)
        ));
    }
    let homes = config::user_dir().map(|dir| chains::all(&dir)).unwrap_or_default();
    Ok(homes.into_iter().map(|saved| saved.spec).find(|spec| spec.chain_id() == invitation.chain))
}

fn full(invitation: &Invitation) -> String {
    format!("{}-{}", invitation.name, invitation.chain.short())
}

fn ask(invitation: &Invitation, node: &NodeOptions, deadline: Duration) -> Result<ChainSpec, String> {
    tell(&format!("looking for the chain {}", full(invitation)));
    let config = FetchConfig {
        chain: invitation.chain,
        secret: secret(invitation, node.chain_secret_file.as_ref())?,
        addresses: invitation.addresses.iter().chain(&node.bootstrap).cloned().collect(),
        mdns: !node.no_mdns,
        deadline,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(fetch(config)).map_err(|error| error.to_string())
}

fn secret(invitation: &Invitation, file: Option<&PathBuf>) -> Result<Option<bard_protocol::ChainSecret>, String> {
    match file {
        Some(file) => chains::read_secret(file).map(Some).map_err(|error| error.to_string()),
        None => Ok(invitation.secret.clone()),
    }
}
