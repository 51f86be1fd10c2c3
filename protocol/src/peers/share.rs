//! Whose share of the connections that this node chooses one is: nobody has more than half of them.

use std::collections::{BTreeMap, BTreeSet};

use libp2p::Multiaddr;

use super::{PeerBook, entry::Entry};
use crate::{
    address::{self, is_relayed},
    ranges::Range,
    reachability::address::global,
};

/// Who has a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Share {
    /// A range of the internet.
    Of(Range),
    /// All that is behind names and relays together: it may be anywhere, and all of it in one place.
    Hidden,
}

impl Share {
    /// Of what is reached at an address; `None` on a private network and on this machine, also at a relay there.
    pub(super) fn of(address: &Multiaddr) -> Option<Self> {
        match address::ip(address) {
            Some(ip) if !global(ip) => None,
            Some(_) => Some(Range::of(address).filter(|_| !is_relayed(address)).map_or(Self::Hidden, Self::Of)),
            None => Some(Self::Hidden),
        }
    }
}

/// Takes one of the `most` places of somebody, if there is one.
pub(super) fn take_place<K: Ord>(taken: &mut BTreeMap<K, usize>, of: K, most: usize) -> bool {
    let count = taken.entry(of).or_default();
    let has_room = *count < most;
    *count = count.saturating_add(usize::from(has_room));
    has_room
}

/// The places that are taken of what this node chooses itself.
pub(super) struct Shares {
    taken: BTreeMap<Share, usize>,
    most: usize,
}

impl Shares {
    /// None is taken. Half of what the node wants is one share.
    pub(super) const fn new(target_outbound: usize) -> Self {
        Self { taken: BTreeMap::new(), most: target_outbound.div_ceil(2) }
    }

    pub(super) fn has_room(&self, share: Share) -> bool {
        self.taken.get(&share).is_none_or(|count| *count < self.most)
    }

    /// Takes a place, if there is one.
    pub(super) fn take(&mut self, share: Share) -> bool {
        take_place(&mut self.taken, share, self.most)
    }
}

impl PeerBook {
    /// The shares that are taken by connections of our own choice, made or in the making.
    pub(super) fn shares(&self, target_outbound: usize) -> Shares {
        let mut shares = Shares::new(target_outbound);
        for share in self.entries.values().flat_map(Entry::shares) {
            // Of one that has more than its share no more is dialled, either.
            shares.take(share);
        }
        shares
    }
}

/// Where to dial of these addresses: where whoever has it has room for one more. The places are taken.
pub(super) fn with_room<'a>(
    shares: &mut Shares,
    addresses: impl Iterator<Item = &'a Multiaddr>,
) -> (Vec<Multiaddr>, BTreeSet<Share>) {
    let mut takes = BTreeSet::new();
    let mut chosen = Vec::new();
    for address in addresses {
        match Share::of(address) {
            Some(share) if !shares.has_room(share) => continue,
            Some(share) => drop(takes.insert(share)),
            None => {}
        }
        chosen.push(address.clone());
    }
    for share in &takes {
        shares.take(*share);
    }
    (chosen, takes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_one_partys_and_what_is_near_is_nobodys() {
        let of = |text: &str| Share::of(&text.parse().expect("a multiaddress"));
        let id = libp2p::PeerId::random();
        let behind = |relay: &str| format!("{relay}/tcp/1/p2p/{id}/p2p-circuit");
        for hidden in ["/dns4/example.org/tcp/1", "/dns/a.b/udp/1/quic-v1", &behind("/ip4/8.8.8.8"), &behind("/dns/c")]
        {
            assert_eq!(of(hidden), Some(Share::Hidden), "{hidden}");
        }
        for near in ["/ip4/192.168.1.2/tcp/1", "/ip6/::1/tcp/1", &behind("/ip4/10.0.0.1")] {
            assert_eq!(of(near), None, "{near}");
        }
        assert_eq!(of("/ip4/8.8.8.8/tcp/1"), of("/ip4/8.8.8.9/udp/2/quic-v1"));
        assert_ne!(of("/ip4/8.8.8.8/tcp/1"), of("/ip4/8.8.9.8/tcp/1"));
    }
}
