//! Admission to the pool: transactions checked and taken in, as they come from one producer.

use std::{sync::Arc, time::Instant};

use bard_chain::{encoding, engine::Engine, mempool::Limits, signature, signature::SecretKey, units::Nonce};
use futures::{StreamExt, stream};

use super::{Figure, chain::temporary, workload};
use crate::{
    keeper, metrics,
    store::{Opened, Store},
};

/// Transactions, each of another sender whom the node has not seen before.
const TRANSACTIONS: u32 = 128 * 1_024;
/// Batches whose answers are waited for at once.
const AHEAD: usize = 4;

/// Admission beside the signature ceiling.
pub(super) fn measure(signatures: f64) -> Result<Vec<Figure>, String> {
    let dir = temporary()?;
    let senders: Vec<SecretKey> = (0..TRANSACTIONS).map(workload::sender).collect();
    let spec = Arc::new(workload::spec(&senders));
    let made = workload::transfers_of(spec.chain_id(), &senders, Nonce::ZERO);
    let batches: Vec<Vec<Vec<u8>>> =
        made.chunks(signature::BATCH).map(|batch| batch.iter().map(encoding::encode).collect()).collect();
    let Opened { store, restored, .. } =
        Store::open(dir.path(), Arc::clone(&spec)).map_err(|error| error.to_string())?;
    let engine = Engine::restore(spec, restored);
    let (handle, keeper) = keeper::start(engine, store, Limits::default(), metrics::Chain::default())
        .map_err(|error| error.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    let rate = runtime.block_on(async {
        let began = Instant::now();
        let admitted = stream::iter(batches).map(|batch| async {
            let checked = handle.check_transactions(batch).await.map_err(|error| error.to_string())?;
            let checked = checked.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
            let verdicts = handle.admit(checked).await.map_err(|error| error.to_string())?;
            verdicts.into_iter().try_for_each(|verdict| verdict.map(drop)).map_err(|refusal| refusal.to_string())
        });
        let mut admitted = admitted.buffered(AHEAD);
        while let Some(batch) = admitted.next().await {
            batch?;
        }
        let rate = f64::from(TRANSACTIONS) / began.elapsed().as_secs_f64();
        let held = handle.pool().len();
        handle.stop().await;
        keeper.ended().await.map_err(|error| error.to_string())?;
        if held == senders.len() { Ok(rate) } else { Err(format!("{held} transactions are in the pool")) }
    })?;
    let beside = Some(("the signature ceiling", signatures));
    Ok(vec![Figure { name: "transactions into the pool".to_owned(), value: rate, unit: "tx/s", beside }])
}
