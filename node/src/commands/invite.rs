//! `bard invite`: a link that others join a chain by.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
};

use bard_chain::spec::ChainSpec;
use bard_protocol::{ChainSecret, Multiaddr, discovery::routable};
use clap::Args;
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use serde_json::json;

use super::{api, output::print};
use crate::{
    chains, config,
    invitation::{Invitation, MAX_ADDRESSES},
    registry::{self, NodeFile},
};

/// Addresses in a link, unless told otherwise: enough for a machine with two networks, and still a small QR code.
const ADDRESSES: usize = 4;

/// Which running node to invite to.
#[derive(Args, Clone, Debug)]
pub struct InviteOptions {
    /// The node, by the URL of its API; by default the one that this user runs
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    api: Option<String>,
    /// The node, by its data directory
    #[arg(long, value_name = "DIR", env = "BARD_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The node, by its chain, where this user runs several
    #[arg(long, value_name = "NAME", conflicts_with_all = ["api", "data_dir"])]
    chain: Option<String>,
    /// The secret of a closed chain, in a file; by default that which is kept for the node
    #[arg(long, value_name = "FILE", env = "BARD_CHAIN_SECRET_FILE")]
    chain_secret_file: Option<PathBuf>,
    /// An address to put in, instead of those of the node
    #[arg(long, value_name = "MULTIADDR")]
    address: Vec<Multiaddr>,
    /// Put no address in: those who join are on the same local network
    #[arg(long, conflicts_with = "address")]
    no_address: bool,
    /// Leave the secret of a closed chain out: those who join have it from elsewhere
    #[arg(long, conflicts_with = "chain_secret_file")]
    no_secret: bool,
    /// Print no QR code
    #[arg(long)]
    no_qr: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Prints the link, and on a terminal its QR code.
///
/// # Errors
/// One line.
pub fn run(options: &InviteOptions) -> Result<(), String> {
    let node = Running::find(options)?;
    let spec = api::specification(&node.api)?;
    let invitation = Invitation {
        name: spec.name.clone(),
        chain: spec.chain_id(),
        secret: secret(options, &spec, node.dir.as_deref())?,
        addresses: addresses(options, &node.api)?,
    };
    let link = invitation.to_link().map_err(|error| error.to_string())?;
    if options.json {
        let addresses: Vec<_> = invitation.addresses.iter().map(ToString::to_string).collect();
        let (chain, id) = (&spec.name, invitation.chain.to_string());
        let document = json!({ "link": link, "chain": chain, "id": id, "closed": spec.closed, "addresses": addresses });
        return print(&document.to_string());
    }
    print(&link)?;
    if !options.no_qr && std::io::stdout().is_terminal() {
        print(&qr(&link)?)?;
        print(&format!("others join the chain {} by: bard join LINK", spec.name))?;
        if invitation.secret.is_some() {
            print("the link holds the chain's secret: give it to those who may take part, and to nobody else")?;
        }
    }
    Ok(())
}

/// In capital letters it takes a third less room, and means the same.
fn qr(link: &str) -> Result<String, String> {
    let code = QrCode::with_error_correction_level(link.to_uppercase(), EcLevel::L);
    let code = code.map_err(|error| format!("the link does not fit a QR code ({error}): leave it out with --no-qr"))?;
    // Most terminals are dark: what is light in the code is what is drawn.
    Ok(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

/// A running node.
struct Running {
    api: String,
    /// Its data directory, if it is on this machine.
    dir: Option<PathBuf>,
}

impl Running {
    fn find(options: &InviteOptions) -> Result<Self, String> {
        if let Some(api) = &options.api {
            return Ok(Self { api: api.clone(), dir: None });
        }
        if let Some(dir) = &options.data_dir {
            let file = NodeFile::read(dir)
                .filter(NodeFile::is_alive)
                .ok_or_else(|| format!("no node runs on {}: start it first, by bard node", dir.display()))?;
            return Ok(Self { api: file.api, dir: Some(dir.clone()) });
        }
        let user_dir = config::user_dir().map_err(|error| error.to_string())?;
        let wanted = |file: &NodeFile| options.chain.as_ref().is_none_or(|chain| *chain == file.chain);
        let running = registry::running(&user_dir).into_iter().filter(|(_, file)| wanted(file));
        let mut alive: Vec<_> =
            running.map(|(dir, file)| (Self { api: file.api, dir: Some(dir) }, file.chain)).collect();
        match (alive.pop(), alive.as_slice()) {
            (Some((node, _)), []) => Ok(node),
            (None, _) => Err("no node of this user runs: start one by bard node, or name one by --api".to_owned()),
            (Some((last, chain)), others) => {
                let others = others.iter().map(|(node, chain)| format!("{} ({chain})", node.api));
                let all: Vec<_> = others.chain([format!("{} ({chain})", last.api)]).collect();
                Err(format!("several nodes run: choose one by --api, of {}", all.join(", ")))
            }
        }
    }
}

/// The secret of a closed chain: that of the node's data directory, or where this user keeps the chain.
fn secret(options: &InviteOptions, spec: &ChainSpec, dir: Option<&Path>) -> Result<Option<ChainSecret>, String> {
    if !spec.closed || options.no_secret {
        return Ok(None);
    }
    if let Some(file) = &options.chain_secret_file {
        return chains::read_secret(file).map(Some).map_err(|error| error.to_string());
    }
    let secret = chains::load_secret(&config::homes(dir, spec)).map_err(|error| error.to_string())?;
    let missing = || format!("the chain {} is closed: name a file with its secret by --chain-secret-file", spec.name);
    secret.ok_or_else(missing).map(Some)
}

fn addresses(options: &InviteOptions, url: &str) -> Result<Vec<Multiaddr>, String> {
    if options.no_address {
        return Ok(Vec::new());
    }
    if options.address.len() > MAX_ADDRESSES {
        return Err(format!("--address: {} are too many, at most {MAX_ADDRESSES} fit", options.address.len()));
    }
    if !options.address.is_empty() {
        return Ok(options.address.clone());
    }
    let node = api::node(url)?;
    let of = |field: &str| {
        let texts = node.get(field).and_then(|value| value.as_array()).into_iter().flatten();
        texts.filter_map(|text| text.as_str()?.parse().ok()).collect::<Vec<Multiaddr>>()
    };
    let found = routable(of("external").into_iter().chain(of("listen")), ADDRESSES);
    if found.is_empty() { Err(format!("the node at {url} listens nowhere")) } else { Ok(found) }
}
