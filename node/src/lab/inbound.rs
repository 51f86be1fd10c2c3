//! What comes from other nodes, as the laboratory lets it through.

use std::{collections::VecDeque, time::Duration};

use bard_protocol::{NetworkEvent, NetworkHandle, SyncRequest, Verdict};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::Lab;

/// Messages that are held back; one more is ignored (it can always be asked for).
const HELD: usize = 256;
/// Their bytes, as far as they are known before a message is read; what would be more is ignored.
const HELD_BYTES: usize = 32 << 20;

/// What comes from other nodes.
pub struct Inbound {
    lab: Lab,
    network: NetworkHandle,
    events: mpsc::Receiver<NetworkEvent>,
    /// The oldest first, each with when it is due and its length.
    held: VecDeque<(Instant, usize, NetworkEvent)>,
    bytes: usize,
}

impl Inbound {
    /// What comes by `events`. At most 256 messages and 32 MiB are held back; one more is ignored.
    pub fn new(lab: &Lab, network: NetworkHandle, events: mpsc::Receiver<NetworkEvent>) -> Self {
        Self { lab: lab.clone(), network, events, held: VecDeque::new(), bytes: 0 }
    }

    /// The next that is let through; `None` when the network stops.
    pub async fn next(&mut self) -> Option<NetworkEvent> {
        loop {
            let due = self.held.front().map(|(due, ..)| *due);
            let wait = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let passed = tokio::select! {
                () = wait => self.held.pop_front().map(|(_, length, event)| {
                    self.bytes = self.bytes.saturating_sub(length);
                    event
                }),
                event = self.events.recv() => self.came(event?).await,
            };
            let Some(event) = passed else { continue };
            if !self.lab.settings().apart {
                return Some(event);
            }
            self.ignore(event).await;
        }
    }

    /// Something came: it is let through at once, or held back.
    async fn came(&mut self, event: NetworkEvent) -> Option<NetworkEvent> {
        let delay = self.lab.settings().delay;
        if (delay == Duration::ZERO && self.held.is_empty()) || !is_held(&event) {
            return Some(event);
        }
        let length = length(&event);
        if self.held.len() >= HELD || self.bytes.saturating_add(length) > HELD_BYTES {
            self.ignore(event).await;
            return None;
        }
        self.bytes = self.bytes.saturating_add(length);
        self.held.push_back((Instant::now() + delay, length, event));
        None
    }

    /// Nobody is blamed for what is not let through; whoever asked is told that the node is busy.
    async fn ignore(&self, event: NetworkEvent) {
        match event {
            NetworkEvent::Block { id, .. }
            | NetworkEvent::CompactBlock { id, .. }
            | NetworkEvent::Transactions { id, .. } => self.network.report(id, Verdict::Ignore).await,
            NetworkEvent::Request { reply, .. } => drop(reply),
        }
    }
}

/// Whether it is blocks or transactions, or asks for them; how far a node is, is told at once.
fn is_held(event: &NetworkEvent) -> bool {
    !matches!(event, NetworkEvent::Request { request: SyncRequest::Status(_), .. })
}

fn length(event: &NetworkEvent) -> usize {
    match event {
        NetworkEvent::Block { bytes, .. } => bytes.len(),
        // About what a header and a short id take.
        NetworkEvent::CompactBlock { compact, .. } => 512 + 8 * compact.count(),
        NetworkEvent::Transactions { batch, .. } => batch.iter().map(Vec::len).sum(),
        NetworkEvent::Request { .. } => 0,
    }
}
