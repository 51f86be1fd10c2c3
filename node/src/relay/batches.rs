//! Batches of transactions: gossiped ones judged, our own sent out.

use std::{sync::Arc, time::Duration};

use bard_chain::{mempool::PoolRefusal, rules::isolated::CheckedTransaction};
use bard_protocol::{Fault, NetworkHandle, PeerId, Verdict};
use tokio::{sync::mpsc, time::Instant};

use super::{Gossip, OUTBOX, label};
use crate::{
    fair::Receiver,
    keeper::{self, Closed},
    lab::Link,
    metrics,
};

/// How soon own transactions are gossiped after others were: a gossip message costs every node about 0.4 ms, whatever is in
/// it. One that comes alone does not wait.
const COALESCE: Duration = Duration::from_millis(20);

/// Judges batches until the node stops.
pub(super) async fn judge(
    keeper: keeper::Handle,
    network: NetworkHandle,
    mut inbox: Receiver<Gossip<Vec<Vec<u8>>>>,
    counts: metrics::Relay,
) -> Result<(), Closed> {
    while let Some(Gossip { source, id, content, .. }) = inbox.next().await {
        let verdict = judge_batch(&keeper, &network, source, content).await?;
        counts.judged("transactions", label(verdict));
        network.report(id, verdict).await;
    }
    Ok(())
}

/// A batch is forwarded when something in it is new and good here, and rejected when something in it is provably bad.
async fn judge_batch(
    keeper: &keeper::Handle,
    network: &NetworkHandle,
    source: PeerId,
    batch: Vec<Vec<u8>>,
) -> Result<Verdict, Closed> {
    let mut good = Vec::with_capacity(batch.len());
    // One whose check was cut off may be as good as any: nobody is blamed, and the node goes on.
    let Ok(checked) = keeper.check_transactions(batch).await else { return Ok(Verdict::Ignore) };
    for result in checked {
        match result {
            Ok(checked) => good.push(checked),
            Err(fault) => {
                let reason = format!("sent an invalid transaction: {fault}");
                tracing::warn!(peer = %source, %reason, "batch refused");
                network.penalise(source, Fault::Fatal, reason).await;
                return Ok(Verdict::Reject);
            }
        }
    }
    let verdicts = keeper.admit(good).await?;
    let refused =
        |verdict: &Result<_, PoolRefusal>| verdict.as_ref().err().filter(|e| **e != PoolRefusal::AlreadyKnown).cloned();
    for refusal in verdicts.iter().filter_map(refused) {
        tracing::debug!(peer = %source, %refusal, "a gossiped transaction is not admitted");
    }
    Ok(if verdicts.iter().any(Result::is_ok) { Verdict::Accept } else { Verdict::Ignore })
}

/// Sends own transactions out, those of the same 20 ms together.
pub(super) async fn send_out(link: Link, mut outbox: mpsc::Receiver<Arc<CheckedTransaction>>) {
    let (mut batch, mut next) = (Vec::new(), Instant::now());
    while outbox.recv_many(&mut batch, OUTBOX).await > 0 {
        while let Some(room @ 1..) = OUTBOX.checked_sub(batch.len())
            && let Ok(1..) = tokio::time::timeout_at(next, outbox.recv_many(&mut batch, room)).await
        {}
        next = Instant::now() + COALESCE;
        link.publish_transactions(batch.drain(..).map(|one| one.bytes().to_vec()).collect()).await;
    }
}
