//! The block that is due, when whoever was asked for it sends slowly: all others wait for it, so a second peer is asked.

use std::time::Duration;

use bard_chain::{hash::BlockId, units::Height};
use bard_protocol::{PeerId, SyncRequest};
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{Bodies, Session};

impl Session {
    /// When the block that is due may be asked of a second peer, if one peer alone was asked for it.
    pub(super) fn second_chance(&mut self) -> Option<Instant> {
        let first = self.window.first_asked()?;
        let since = match self.due {
            Some((id, since)) if id == first => since,
            _ => Instant::now(),
        };
        self.due = Some((first, since));
        Some(since + self.silence)
    }

    /// A request for the block that is due to a second peer, once the first has kept it for long enough, and another has
    /// nothing to do: because everything else is on its way, or there is no room for more.
    pub(super) fn ask_again(&mut self) -> Option<BoxFuture<'static, Bodies>> {
        self.second_chance().filter(|at| *at <= Instant::now())?;
        // What a relay carries is too dear for a second copy.
        let (able, relayed) = (self.able_peers(), self.relayed());
        let busy = |peer: &PeerId| self.under_way.get(peer).is_some_and(|count| *count > 0);
        let idle = |peer: &PeerId| !busy(peer) && !relayed.contains_key(peer);
        let peers: Vec<_> = able.into_values().flatten().filter(idle).collect();
        peers.into_iter().find_map(|peer| {
            let from = self.blocks_from(&peer);
            let id = self.window.assign_first_again(peer, from)?;
            tracing::debug!(%peer, %id, "the block that is due is asked of a second peer");
            Some(self.request(peer, vec![id]))
        })
    }

    /// Asks a peer for blocks.
    pub(super) fn request(&mut self, peer: PeerId, ids: Vec<BlockId>) -> BoxFuture<'static, Bodies> {
        *self.under_way.entry(peer).or_default() += 1;
        let (network, link, silence) = (self.network.clone(), self.link.clone(), self.silence);
        Box::pin(async move {
            link.slow().await;
            let asked_at = Instant::now();
            let request = SyncRequest::Blocks { ids: ids.clone() };
            let answer = network.request_at_length(peer, request, silence, Duration::MAX).await;
            Bodies { peer, ids, asked_at, answer }
        })
    }

    /// From where on a peer has blocks, as it says.
    pub(super) fn blocks_from(&self, peer: &PeerId) -> Height {
        let standings = self.peers.borrow();
        let status = standings.get(peer).and_then(|standing| standing.status.as_ref());
        status.map_or(Height::ZERO, |status| status.blocks_from)
    }
}
