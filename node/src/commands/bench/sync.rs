//! Sync between two processes on loopback.

use std::time::Instant;

use serde_json::json;

use super::{
    Figure, Scale,
    chain::{EMPTY, temporary},
    process::{start, until},
    workload::{self, Senders},
};

/// A late joiner takes the whole chain from one peer: full blocks, then empty ones.
pub(super) fn measure(scale: &Scale, signatures: f64) -> Result<Vec<Figure>, String> {
    let full = sync(scale.blocks, scale.transfers)? * f64::from(scale.transfers);
    let empty = sync(EMPTY, 0)?;
    Ok(vec![
        Figure {
            name: format!("sync of {} blocks of {} transfers", scale.blocks, scale.transfers),
            value: full,
            unit: "tx/s",
            beside: Some(("the signature ceiling", signatures)),
        },
        Figure { name: format!("sync of {EMPTY} empty blocks"), value: empty, unit: "blocks/s", beside: None },
    ])
}

/// Blocks a second.
fn sync(blocks: u32, transfers: u32) -> Result<f64, String> {
    let (made, fresh) = (temporary()?, temporary()?);
    let workload = workload::make(made.path(), blocks, transfers, Senders::Known)?;
    let spec = made.path().join("spec.toml");
    std::fs::write(&spec, workload.spec.to_toml()).map_err(|error| error.to_string())?;
    let (source, joiner) = (start(made.path(), &spec, &[])?, start(fresh.path(), &spec, &[])?);
    let began = Instant::now();
    joiner.post("api/v1/peers", &json!({ "address": source.address()? }))?;
    until("the blocks arrive", || {
        let height = joiner.get("api/v1/status").ok()?.get("height")?.as_u64()?;
        (height >= u64::from(blocks)).then_some(())
    })?;
    Ok(f64::from(blocks) / began.elapsed().as_secs_f64())
}
