//! Whom catching up is told to ask, for what gossip brought came to nothing here.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bard_protocol::{NetworkHandle, PeerId};
use tokio::{sync::mpsc, time::Instant};

use super::asking::others;

/// How often another peer is named beside the one that something came from: a storm of news is to cost nobody else more.
const APART: Duration = Duration::from_secs(1);

/// The way to catching up. Cheap to clone; all clones count together.
#[derive(Clone)]
pub(super) struct Hints {
    hints: mpsc::Sender<PeerId>,
    network: NetworkHandle,
    /// When another peer was named last.
    named: Arc<Mutex<Option<Instant>>>,
}

impl Hints {
    pub(super) fn new(hints: mpsc::Sender<PeerId>, network: NetworkHandle) -> Self {
        Self { hints, network, named: Arc::default() }
    }

    /// This peer seems to know more than this node.
    pub(super) fn of(&self, source: PeerId) {
        // A full queue of hints is hint enough.
        let _ = self.hints.try_send(source);
    }

    /// What this peer announced is not taken. It may be the only one that is known to have it, and keep it to itself: another
    /// is asked, too.
    pub(super) fn lost(&self, source: PeerId) {
        self.of(source);
        let now = Instant::now();
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.is_some_and(|named| now.duration_since(named) < APART) {
            return;
        }
        *named = Some(now);
        drop(named);
        if let Some(other) = others(&self.network.peers().borrow(), &[source]).first() {
            self.of(*other);
        }
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::presets;
    use bard_protocol::{Agent, Identity, Multiaddr, Network, NetworkConfig};
    use tokio::time::timeout;

    use super::*;

    /// How long anything may take on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(30);

    async fn network(bootstrap: Vec<Multiaddr>) -> Network {
        let config = NetworkConfig {
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
            bootstrap,
            ..NetworkConfig::alone(&presets::dev(), Identity::generate(), Agent::new("test"))
        };
        bard_protocol::start(config).await.expect("a network")
    }

    #[tokio::test]
    async fn beside_whoever_announced_what_is_lost_another_is_named_now_and_then() {
        let one = network(Vec::new()).await;
        let other = network(one.handle.listen_addresses()).await;
        let (mut peers, met, _kept) = (one.handle.peers(), other.handle.peer_id(), other.handle.clone());
        let (one_runs, other_runs) = (tokio::spawn(one.driver.run()), tokio::spawn(other.driver.run()));
        timeout(PATIENCE, peers.wait_for(|all| !all.is_empty())).await.expect("they meet").expect("a network");
        let (sender, mut hinted) = mpsc::channel(16);
        let (hints, source) = (Hints::new(sender, one.handle), PeerId::random());
        let clone = hints.clone();
        hints.of(source);
        hints.lost(source);
        clone.lost(source);
        tokio::time::sleep(APART).await;
        clone.lost(met);
        drop((hints, clone));
        let mut named = Vec::new();
        while let Some(peer) = hinted.recv().await {
            named.push(peer);
        }
        assert_eq!(named, [source, source, met, source, met], "and nobody else where there is nobody else");
        one_runs.abort();
        other_runs.abort();
    }
}
