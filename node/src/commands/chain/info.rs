//! `bard chain info`: which chain, and how far it is.

use std::sync::Arc;

use bard_chain::{engine::Engine, spec::ChainSpec, target::Target};
use clap::Args;
use serde_json::{Map, Value};

use super::place::Place;
use crate::{
    clock,
    commands::{api, output::print},
    store::Opened,
};

/// Which chain to look at.
#[derive(Args, Clone, Debug)]
pub struct InfoOptions {
    #[command(flatten)]
    place: Place,
    /// Ask this running node, by the URL of its API; one that runs on the data directory is asked anyway
    #[arg(long, value_name = "URL", conflicts_with_all = ["data_dir", "chain"])]
    api: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What is told, in this order.
type Info = Vec<(&'static str, Value)>;

/// Prints it.
pub(super) fn run(options: &InfoOptions) -> Result<(), String> {
    let running = if options.api.is_some() { options.api.clone() } else { options.place.running()? };
    let info = match running {
        Some(url) => of_node(&url)?,
        None => of_directory(&options.place)?,
    };
    if options.json {
        let document: Map<String, Value> = info.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        return print(&Value::Object(document).to_string());
    }
    for (name, value) in info.iter().filter(|(_, value)| !value.is_null()) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        print(&format!("{:20} {text}", name.replace('_', " ")))?;
    }
    Ok(())
}

fn of_directory(place: &Place) -> Result<Info, String> {
    let (spec, dir, Opened { store, restored, .. }) = place.open()?;
    let (reader, engine) = (store.reader(), Engine::restore(Arc::clone(&spec), restored));
    let (tip, counts, bytes) = (engine.tip(), reader.counts(), reader.log_bytes());
    let next = engine.tip_position().next_target(&spec).expand().map(Target::work);
    store.close().map_err(|error| error.to_string())?;
    let mut info = of_spec(&spec);
    info.extend([
        ("height", tip.height.get().into()),
        ("blocks_from", reader.blocks_from().get().into()),
        ("tip", tip.id.to_string().into()),
        ("tip_time", clock::rfc3339(tip.timestamp).into()),
        ("total_work", tip.work.to_string().into()),
        ("difficulty", next.map(|work| work.to_string()).into()),
        ("accounts", counts.accounts.into()),
        ("items", counts.items.into()),
        ("bytes", bytes.into()),
        ("data_dir", dir.display().to_string().into()),
    ]);
    Ok(info)
}

fn of_node(url: &str) -> Result<Info, String> {
    let spec = api::specification(url)?;
    let status = api::status(url)?;
    let mut info = of_spec(&spec);
    for name in ["height", "blocks_from", "tip", "tip_time", "total_work", "difficulty", "peers"] {
        info.push((name, status.get(name).cloned().unwrap_or_default()));
    }
    info.push(("api", url.into()));
    Ok(info)
}

fn of_spec(spec: &ChainSpec) -> Info {
    vec![
        ("name", spec.name.clone().into()),
        ("chain", spec.chain_id().to_string().into()),
        ("closed", spec.closed.into()),
        ("pow", spec.pow.as_str().into()),
        ("target_interval_ms", spec.target_interval_ms.into()),
    ]
}
