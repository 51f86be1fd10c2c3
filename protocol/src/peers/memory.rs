//! What one run remembers for the next.

use core::time::Duration;
use std::collections::BTreeMap;

use libp2p::PeerId;

use super::{
    PeerBook,
    entry::{Entry, Proof},
    share::take_place,
};
use crate::{
    address::is_loopback,
    discovery::{Candidate, KnownNode, Origin},
    ranges::Range,
};

/// Nodes remembered for another run; of more, those that this node chose itself, and then those that were seen last.
const MAX_KNOWN: usize = 500;
/// Of these, of one range of the internet at most: of what somebody makes up there, more is not worth remembering.
const MAX_KNOWN_OF_RANGE: usize = 32;
/// A node that has not been connected for so long is forgotten: a class meets every few weeks.
pub(crate) const FORGET: Duration = Duration::from_secs(30 * 24 * 3600);

impl PeerBook {
    /// Adds nodes that an earlier run was connected to. How that run learnt of them is kept for people to see; for this
    /// run they are nodes of [`Origin::Book`], whoever asked for them then.
    pub(crate) fn restore(&mut self, mut known: Vec<KnownNode>, now: Duration) {
        known.retain(|node| node.unseen <= FORGET);
        known.sort_by_key(|node| (!node.dialled, node.unseen));
        known.truncate(MAX_KNOWN);
        for KnownNode { peer, addresses, origins, unseen, dialled } in known {
            let candidate = Candidate { peer: Some(peer), addresses, origin: Origin::Book };
            let Some(Candidate { addresses, .. }) = candidate.usable(self.own) else { continue };
            let Some(entry) = self.entry(peer, false, now) else { continue };
            entry.told.insert(Origin::Book);
            entry.saved.extend(origins);
            entry.dialled |= dialled;
            if !entry.met {
                entry.met = true;
                entry.last_seen = now;
                entry.unseen_before = unseen;
            }
            entry.same_machine |= addresses.iter().any(is_loopback);
            addresses.into_iter().for_each(|address| entry.addresses.learn(address, Proof::Before));
        }
    }

    /// Nodes worth remembering for another run: those that were met, in this run or an earlier one, and not banned; at
    /// most 500, the most recently seen first. Where there are more, those that this node dialled stay, so that nobody who comes
    /// with many names makes it forget them.
    pub(crate) fn known(&self, now: Duration) -> Vec<KnownNode> {
        let worth = |(peer, entry): &(&PeerId, &Entry)| {
            entry.met && entry.unseen(now) <= FORGET && !self.conduct.is_banned(peer)
        };
        let known = self.entries.iter().filter(worth).map(|(peer, entry)| {
            let kept = entry.addresses.proven().filter(|(address, worked)| {
                // A loopback address is of use only to this machine.
                *worked || entry.same_machine || !is_loopback(address)
            });
            let node = KnownNode {
                peer: *peer,
                addresses: kept.map(|(address, _)| address.clone()).collect(),
                origins: entry.origins(),
                unseen: entry.unseen(now),
                dialled: entry.dialled,
            };
            (node, entry.range())
        });
        let mut known: Vec<_> = known.filter(|(node, _)| !node.addresses.is_empty()).collect();
        known.sort_by_key(|(node, _)| (!node.dialled, node.unseen));
        let mut ranges: BTreeMap<Range, usize> = BTreeMap::new();
        known.retain(|(_, range)| range.is_none_or(|range| take_place(&mut ranges, range, MAX_KNOWN_OF_RANGE)));
        known.truncate(MAX_KNOWN);
        let mut known: Vec<_> = known.into_iter().map(|(node, _)| node).collect();
        known.sort_by_key(|node| node.unseen);
        known
    }
}
