//! Sync between two processes on loopback.

use std::time::Instant;

use serde_json::json;

use super::{
    Figure, Scale,
    chain::temporary,
    process::{start, until},
    workload,
};

/// A late joiner takes the whole chain from one peer.
pub(super) fn measure(scale: &Scale, signatures: f64) -> Result<Vec<Figure>, String> {
    let (made, fresh) = (temporary()?, temporary()?);
    let workload = workload::make(made.path(), scale.blocks, scale.transfers)?;
    let spec = made.path().join("spec.toml");
    std::fs::write(&spec, workload.spec.to_toml()).map_err(|error| error.to_string())?;
    let (source, joiner) = (start(made.path(), &spec, &[])?, start(fresh.path(), &spec, &[])?);
    let began = Instant::now();
    joiner.post("api/v1/peers", &json!({ "address": source.address()? }))?;
    until("the blocks arrive", || {
        let height = joiner.get("api/v1/status").ok()?.get("height")?.as_u64()?;
        (height >= u64::from(scale.blocks)).then_some(())
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let value = f64::from(scale.blocks) * f64::from(scale.transfers) / seconds;
    Ok(vec![Figure {
        name: format!("sync of {} blocks of {} transfers", scale.blocks, scale.transfers),
        value,
        unit: "tx/s",
        beside: Some(("the signature ceiling", signatures)),
    }])
}
