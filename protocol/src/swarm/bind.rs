//! Listening.

use core::time::Duration;

use futures::StreamExt;
use libp2p::{Multiaddr, core::transport::ListenerId};
use tokio::time::Instant;
use tracing::warn;

use super::Driver;
pub(super) use crate::listening::with_peer_id;
use crate::{config::NetworkError, listening};

/// How long listeners may take to report their addresses. Without any network interface they never do, and report later.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

impl Driver {
    /// Listens on every address and waits until each listener has reported where.
    pub(super) async fn bind(&mut self, wanted: &[Multiaddr], optional: bool) -> Result<(), NetworkError> {
        let mut silent: Vec<ListenerId> = Vec::new();
        for address in wanted {
            silent.push(listening::listen(&mut self.swarm, address, optional)?);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            silent.retain(|id| !self.listeners.iter().any(|(listening, _)| listening == id));
            if silent.is_empty() {
                return Ok(());
            }
            match tokio::time::timeout_at(deadline, self.swarm.select_next_some()).await {
                Ok(event) => self.swarm_event(event),
                Err(_) => {
                    warn!("there is no network interface to listen on yet");
                    return Ok(());
                }
            }
        }
    }
}
