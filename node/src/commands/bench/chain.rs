//! Import of blocks: checked, applied and made durable.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use bard_chain::{engine::Engine, mempool::Limits};

use super::{
    Figure, Scale,
    workload::{self, Senders},
};
use crate::{
    keeper, metrics,
    store::{Opened, Store},
};

/// Empty blocks that are imported.
pub(super) const EMPTY: u32 = 20_000;

/// Blocks full of transfers beside the signature ceiling, and empty blocks.
pub(super) fn measure(scale: &Scale, signatures: f64) -> Result<Vec<Figure>, String> {
    let full = |who| Ok::<_, String>(import(scale.blocks, scale.transfers, who)? * f64::from(scale.transfers));
    let figure = |by: &str, value| Figure {
        name: format!("import of {} blocks of {} transfers by {by}", scale.blocks, scale.transfers),
        value,
        unit: "tx/s",
        beside: Some(("the signature ceiling", signatures)),
    };
    let (known, strangers) = (full(Senders::Known)?, full(Senders::Strangers)?);
    let empty = import(EMPTY, 0, Senders::Known)?;
    Ok(vec![
        figure("a group", known),
        figure("strangers", strangers),
        Figure { name: format!("import of {EMPTY} empty blocks"), value: empty, unit: "blocks/s", beside: None },
    ])
}

/// Blocks a second.
fn import(blocks: u32, transfers: u32, who: Senders) -> Result<f64, String> {
    let (made, fresh) = (temporary()?, temporary()?);
    let workload = workload::make(made.path(), blocks, transfers, who)?;
    let Opened { store, restored, .. } =
        Store::open(fresh.path(), Arc::clone(&workload.spec)).map_err(|error| error.to_string())?;
    let engine = Engine::restore(Arc::clone(&workload.spec), restored);
    let (handle, keeper) = keeper::start(engine, store, Limits::default(), metrics::Chain::default())
        .map_err(|error| error.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let began = Instant::now();
        let mut replies = VecDeque::new();
        for bytes in workload.blocks {
            replies.push_back(handle.submit(bytes).await.map_err(|error| error.to_string())?);
        }
        for reply in replies {
            reply.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        }
        let seconds = began.elapsed().as_secs_f64();
        handle.stop().await;
        keeper.ended().await.map_err(|error| error.to_string())?;
        Ok(f64::from(blocks) / seconds)
    })
}

pub(super) fn temporary() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))
}
