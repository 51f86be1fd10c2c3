//! More inbound peers than this node wants: some are parted from, so that newcomers have a chance.

use core::time::Duration;

use super::{Driver, links::Link};
use crate::{
    peers::eviction::{self, Guest},
    ranges::Range,
};

/// Inbound connections beyond those that this node wants: newcomers that are weighed against the others.
pub(crate) const SPARE: u32 = 8;

/// How long a newcomer is left alone, to show what it is good for: the youngest would go first otherwise, and that is always
/// the newcomer. [`SPARE`] bounds how many are too many meanwhile.
const TRIAL: Duration = Duration::from_secs(10);

impl Driver {
    /// Parts from inbound peers while there are too many connections: a peer with several takes several places.
    pub(super) fn thin_out(&mut self, now: Duration) {
        let most = usize::try_from(self.max_peers).unwrap_or(usize::MAX);
        let staying = self.links.values().filter(|link| link.parting.is_none());
        let mut inbound: usize = staying.map(Link::inbound).sum();
        while inbound > most {
            let Some(peer) = eviction::choose(self.guests(now)) else { return };
            inbound = inbound.saturating_sub(self.links.get(&peer).map_or(1, Link::inbound).max(1));
            self.part_from(peer, "others have more need of the place");
            self.book.release(peer);
        }
    }

    /// The inbound peers that nobody named.
    fn guests(&self, now: Duration) -> Vec<Guest> {
        let guest = |link: &Link, peer| Guest {
            peer,
            range: link.connections.first().and_then(|oldest| Range::of(&oldest.address)),
            since: link.since,
            rtt: link.rtt,
            useful_at: link.useful_at,
            on_trial: now.saturating_sub(link.since) < TRIAL,
        };
        let all = self.links.iter().filter(|(_, link)| link.is_inbound() && link.parting.is_none());
        let unnamed = all.filter(|(peer, _)| !self.book.is_named(peer));
        unnamed.map(|(peer, link)| guest(link, *peer)).collect()
    }
}
