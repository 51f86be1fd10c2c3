//! Which data directory a command is about, and how it is opened while no node has it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bard_chain::{engine::Engine, mempool::Limits, presets, spec::ChainSpec};
use clap::Args;

use crate::{
    chains::{self, ChainError},
    commands::output::tell,
    config, keeper, metrics,
    registry::NodeFile,
    store::{Opened, Store, StoreError},
};

/// Where the blocks are.
#[derive(Args, Clone, Debug)]
pub(super) struct Place {
    /// The data directory; by default that of the node with this chain and port
    #[arg(long, value_name = "DIR", env = "BARD_DATA_DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// The chain: a built-in name, a specification file, or the name of a chain that was made or joined here; by default
    /// that of the data directory, or dev
    #[arg(long, value_name = "NAME or FILE", env = "BARD_CHAIN")]
    pub(super) chain: Option<String>,
    /// Port of the node, where --data-dir is left out
    #[arg(long, value_name = "N", default_value_t = 5000, env = "BARD_PORT")]
    pub(super) port: u16,
}

impl Place {
    /// The specification; `None` where neither an option nor the directory names one.
    pub(super) fn named_spec(&self) -> Result<Option<ChainSpec>, String> {
        config::chain_of(self.chain.as_deref(), self.data_dir.as_deref()).map_err(|error| error.to_string())
    }

    /// The specification and the directory.
    pub(super) fn resolve(&self) -> Result<(Arc<ChainSpec>, PathBuf), String> {
        let spec = self.named_spec()?.unwrap_or_else(presets::dev);
        let dir = self.dir_for(&spec)?;
        Ok((Arc::new(spec), dir))
    }

    /// The directory for a chain.
    pub(super) fn dir_for(&self, spec: &ChainSpec) -> Result<PathBuf, String> {
        match &self.data_dir {
            Some(dir) => Ok(dir.clone()),
            None => {
                let dir = config::chain_dir(spec).map_err(|error| error.to_string())?;
                Ok(dir.join(self.port.to_string()))
            }
        }
    }

    /// Keeps a chain, and its secret where that is known here, in the directory for it and at its home.
    pub(super) fn keep(&self, dir: &Path, spec: &ChainSpec) -> Result<(), String> {
        let said = |error: ChainError| error.to_string();
        let home = match &self.data_dir {
            Some(dir) => chains::home_of(dir, spec),
            None => dir.parent().unwrap_or(dir).to_owned(),
        };
        let homes = config::homes(Some(dir), spec);
        let secret = if spec.closed { chains::load_secret(&homes).map_err(said)? } else { None };
        chains::keep(&home, dir, spec, secret.as_ref()).map_err(said)
    }

    /// The API of the node that runs on the directory, if one does.
    pub(super) fn running(&self) -> Result<Option<String>, String> {
        let (_, dir) = self.resolve()?;
        Ok(NodeFile::read(&dir).filter(NodeFile::is_alive).map(|node| node.api))
    }

    /// Opens the store that is there.
    pub(super) fn open(&self) -> Result<(Arc<ChainSpec>, PathBuf, Opened), String> {
        let (spec, dir) = self.resolve()?;
        if !dir.is_dir() {
            return Err(format!(
                "there is no data directory {}: name one by --data-dir, or its chain and port",
                dir.display()
            ));
        }
        let opened = open(&dir, &spec)?;
        Ok((spec, dir, opened))
    }
}

/// Opens a store, created if it is not there, and says what was mended.
pub(super) fn open(dir: &Path, spec: &Arc<ChainSpec>) -> Result<Opened, String> {
    let opened = Store::open(dir, Arc::clone(spec)).map_err(|error| match (&error, NodeFile::read(dir)) {
        (StoreError::Locked { .. }, Some(node)) => {
            format!("the data directory {} is in use by the node at {}: stop that one first", dir.display(), node.api)
        }
        _ => error.to_string(),
    })?;
    for repair in &opened.repairs {
        tell(repair);
    }
    Ok(opened)
}

/// A keeper of its own for as long as `work` takes; everything is on disk when this returns.
pub(super) fn with_keeper<T>(
    spec: &Arc<ChainSpec>,
    opened: Opened,
    work: impl FnOnce(&tokio::runtime::Runtime, &keeper::Handle) -> Result<T, String>,
) -> Result<T, String> {
    let Opened { store, restored, .. } = opened;
    let engine = Engine::restore(Arc::clone(spec), restored);
    let (handle, keeper) = keeper::start(engine, store, Limits::default(), metrics::Chain::default())
        .map_err(|error| error.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let done = work(&runtime, &handle);
    let ended = runtime.block_on(async {
        handle.stop().await;
        keeper.ended().await
    });
    // What the store says went wrong comes first: the work failed for it.
    ended.map_err(|error| error.to_string())?;
    done
}
