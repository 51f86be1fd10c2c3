//! News for people: what happens to the chain and the peers, in a line each.

use std::collections::BTreeSet;

use bard_protocol::PeerId;
use tokio::sync::{broadcast, mpsc};

use crate::{application::Service, keeper::ChainEvent};

/// Prints news until the node stops. When `lines` is full, news are dropped: whoever reads so slowly misses little.
pub async fn run(service: Service, lines: mpsc::Sender<String>) {
    let mut events = service.keeper().events();
    let mut peers = service.network().peers();
    let mut known: BTreeSet<PeerId> = BTreeSet::new();
    loop {
        let line = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => chain_line(&event),
                Err(broadcast::error::RecvError::Lagged(n)) => Some(format!("({n} news were too many to show)")),
                Err(broadcast::error::RecvError::Closed) => return,
            },
            changed = peers.changed() => {
                if changed.is_err() {
                    return;
                }
                let now: BTreeSet<_> = peers.borrow_and_update().iter().map(|peer| peer.id).collect();
                let line = peer_line(&known, &now);
                known = now;
                line
            }
        };
        if let Some(line) = line
            && let Err(mpsc::error::TrySendError::Closed(_)) = lines.try_send(line)
        {
            return;
        }
    }
}

fn chain_line(event: &ChainEvent) -> Option<String> {
    match event {
        ChainEvent::Block { block } => {
            let count = block.transaction_ids().len();
            Some(format!("* block {} {} ({count} transactions)", block.header().height, block.id()))
        }
        ChainEvent::Reorg { disconnected, connected, fork, .. } => Some(format!(
            "* reorganisation: another branch has more work; {disconnected} blocks after height {fork} left the chain, \
             {connected} joined it"
        )),
        ChainEvent::BranchRefused { at, reason } => {
            Some(format!("* a branch with more work is refused: its block {at} is invalid: {reason}"))
        }
        ChainEvent::Transaction { .. } => None,
    }
}

fn peer_line(before: &BTreeSet<PeerId>, now: &BTreeSet<PeerId>) -> Option<String> {
    let came = now.difference(before).map(|peer| format!("* connected to {peer}"));
    let went = before.difference(now).map(|peer| format!("* lost {peer}; it is dialled again"));
    let lines: Vec<_> = came.chain(went).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
