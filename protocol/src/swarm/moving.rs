//! Whether the machine has moved to another network. Addresses go for other reasons as well: a VPN ends, a container's bridge
//! vanishes, a cable is pulled beside a radio. What tells is whether those whom this node reached before still answer.

use core::{net::IpAddr, time::Duration};

use libp2p::Multiaddr;
use tracing::debug;

use super::{
    Driver,
    links::{Connection, Link},
    liveness::PROOF,
};
use crate::{
    address::{ip, is_loopback, is_relayed},
    event::Direction,
    reachability::{address::global, observer::Mark},
};

/// What came so soon after an address went may have been on its way before.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// An IPv4 address of this machine has gone, and it is not known yet whether the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaving {
    /// When the last such address went.
    since: Duration,
    /// What was known when the first one went.
    known: Mark,
    /// Whether this node had dialled somebody out on the internet: then those tell, for containers stay where the machine is.
    far: bool,
}

impl Driver {
    /// An address that was listened on has gone: what was seen and tried of that address no longer counts. With one of IPv4
    /// the machine may have left the network, which shows in a while; IPv6 addresses for privacy come and go on a machine that
    /// stays where it is.
    pub(super) fn left(&mut self, address: &Multiaddr) {
        let Some(gone) = ip(address).filter(|_| !is_loopback(address) && !is_relayed(address)) else { return };
        self.may_have_left_router(address);
        self.observer.without(gone);
        self.take_back_stale(Some(gone));
        if gone.is_ipv4() {
            let now = self.now();
            let known = self.leaving.map_or_else(|| self.observer.mark(now), |leaving| leaving.known);
            let far = self.leaving.is_some_and(|leaving| leaving.far)
                || self.links.values().flat_map(|link| &link.connections).any(|one| is_chosen(one) && is_far(one));
            self.leaving = Some(Leaving { since: now, known, far });
        }
    }

    /// Decides whether the machine has moved, when there was time to show that it has not. If it has, what was seen and tried
    /// before is taken back, and all is tried anew: it would keep the places of what is found in this network, and what this
    /// node told others leads to somebody else.
    pub(super) fn decide_move(&mut self, now: Duration) {
        let Some(leaving) = self.leaving.filter(|leaving| now.saturating_sub(leaving.since) >= PROOF) else { return };
        self.leaving = None;
        if leaving.stays(self.links.values()) {
            debug!("an address has gone, and this machine is where it was");
            return self.update_reach();
        }
        debug!("this machine is in another network");
        self.observer.moved(&leaving.known);
        self.links.values_mut().for_each(|link| link.sightings = 0);
        if let Some(probes) = self.swarm.behaviour_mut().probes.as_mut() {
            probes.moved();
            self.observer.candidates().keys().for_each(|address| probes.candidate(address));
        }
        self.take_back_stale(None);
        self.update_reach();
    }

    /// Takes back what others are told and what went with the address that is `gone`, or with the whole network.
    fn take_back_stale(&mut self, gone: Option<IpAddr>) {
        let listening = self.listening_on();
        let external: Vec<Multiaddr> = self.swarm.external_addresses().cloned().collect();
        for address in stale(external, &listening, gone) {
            if !self.observer.is_given(&address) {
                self.take_back(&address);
            }
        }
    }

    /// Others are no longer told of an address, unless a person says that it is to be told.
    pub(super) fn take_back(&mut self, address: &Multiaddr) {
        if !self.observer.is_configured(address) {
            debug!(%address, "others are no longer told of an address");
            self.swarm.remove_external_address(address);
            self.points.moved(self.now());
        }
    }
}

impl Leaving {
    /// Whether somebody whom this node had reached before has answered since.
    fn stays<'a>(&self, links: impl Iterator<Item = &'a Link>) -> bool {
        let tells = |one: &&Connection| is_chosen(one) && one.since < self.since && (!self.far || is_far(one));
        let mut telling = links.flat_map(|link| &link.connections).filter(tells);
        telling.any(|one| one.alive_at >= self.since.saturating_add(ON_ITS_WAY))
    }
}

/// Whether this node made the connection, by IPv4 as far as is known, and neither on this machine nor through a relay.
fn is_chosen(one: &Connection) -> bool {
    one.direction == Direction::Outbound
        && !is_relayed(&one.address)
        && ip(&one.address).is_none_or(|ip| ip.is_ipv4() && !ip.is_loopback())
}

/// Whether it leads out on the internet; a name is taken to.
fn is_far(one: &Connection) -> bool {
    ip(&one.address).is_none_or(global)
}

/// Which of the addresses told to others go with the one that is `gone`, or with all of the network: those at relays are the
/// relays' matter, and those that are still listened on stay.
fn stale(external: Vec<Multiaddr>, listening: &[Multiaddr], gone: Option<IpAddr>) -> Vec<Multiaddr> {
    let here: Vec<IpAddr> = listening.iter().filter_map(ip).collect();
    let goes = |address: &Multiaddr| {
        let told = ip(address);
        !is_relayed(address) && told.is_none_or(|told| !here.contains(&told)) && (gone.is_none() || told == gone)
    };
    external.into_iter().filter(goes).collect()
}

#[cfg(test)]
mod tests;
