//! More inbound peers than this node wants: some are parted from, so that newcomers have a chance.

use super::{Driver, links::Link};
use crate::{
    peers::eviction::{self, Guest},
    ranges::Range,
};

/// Inbound connections beyond those that this node wants: newcomers that are weighed against the others.
pub(crate) const SPARE: u32 = 8;

impl Driver {
    /// Parts from inbound peers that are too many.
    pub(super) fn thin_out(&mut self) {
        let most = usize::try_from(self.max_peers).unwrap_or(usize::MAX);
        let inbound = self.links.values().filter(|link| link.is_inbound() && link.parting.is_none()).count();
        for _ in most..inbound {
            let Some(peer) = eviction::choose(self.guests()) else { return };
            self.part_from(peer, "others have more need of the place");
            self.book.release(peer);
        }
    }

    /// The inbound peers that nobody named.
    fn guests(&self) -> Vec<Guest> {
        let guest = |link: &Link, peer| Guest {
            peer,
            range: link.connections.first().and_then(|oldest| Range::of(&oldest.address)),
            since: link.since,
            rtt: link.rtt,
            useful_at: link.useful_at,
        };
        let all = self.links.iter().filter(|(_, link)| link.is_inbound() && link.parting.is_none());
        let unnamed = all.filter(|(peer, _)| !self.book.is_named(peer));
        unnamed.map(|(peer, link)| guest(link, *peer)).collect()
    }
}
