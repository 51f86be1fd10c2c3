//! The block that is due, when whoever was asked for it sends slowly: all others wait for it, so a second peer is asked.

use bard_chain::units::Height;
use bard_protocol::PeerId;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::session::{Bodies, Session};

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
        let able = self.able_peers();
        let idle = |peer: &PeerId| self.under_way.get(peer).is_none_or(|count| *count == 0);
        let peers: Vec<_> = able.into_values().flatten().filter(idle).collect();
        peers.into_iter().find_map(|peer| {
            let from = self.blocks_from(&peer);
            let id = self.window.assign_first_again(peer, from)?;
            tracing::debug!(%peer, %id, "the block that is due is asked of a second peer");
            Some(self.request(peer, vec![id]))
        })
    }

    /// From where on a peer has blocks, as it says.
    pub(super) fn blocks_from(&self, peer: &PeerId) -> Height {
        let standings = self.peers.borrow();
        let status = standings.get(peer).and_then(|standing| standing.status.as_ref());
        status.map_or(Height::ZERO, |status| status.blocks_from)
    }
}
