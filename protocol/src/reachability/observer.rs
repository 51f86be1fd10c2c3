//! Gathers what peers, the router and people tell of how this node is reached. Pure, and every table is bounded.

use core::{net::IpAddr, time::Duration};
use std::collections::{BTreeMap, BTreeSet};

use libp2p::{Multiaddr, PeerId};

use super::{
    Evidence, Grounds, Reachability, ReachabilityVerdict, Router, Tried,
    address::{direct, global, is_of_use, ports, same_subnet, translated},
};
use crate::{
    address::{ip, is_relayed},
    discovery::split_peer_id,
};

/// Observers that must tell the same address before it is believed: one may lie or be mistaken, two may be of one mind.
pub(crate) const OBSERVERS: usize = 3;
/// Peers whose observation is kept; of more, the oldest is forgotten.
const MAX_VOTERS: usize = 64;
/// Different addresses that are considered, told or probed; of more, the one with the least support is forgotten.
const MAX_CANDIDATES: usize = 16;
/// Addresses believed at once.
const MAX_BELIEVED: usize = 8;
/// Peers whose probes of one address are kept; others do not count.
const MAX_SERVERS: usize = 16;
/// Addresses that are configured or forwarded, each; others do not count.
const MAX_GIVEN: usize = 16;
/// Relays that count; others do not.
const MAX_RELAYS: usize = 8;
/// Addresses of one relay.
const MAX_RELAY_ADDRESSES: usize = 4;
/// Hosts remembered as having connected; of more, the one that was seen longest ago is forgotten.
const MAX_HOSTS: usize = 64;

/// Who counts as one observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Witness {
    /// All peers of one host of the public internet.
    Host(IpAddr),
    /// A peer of a local network.
    Peer(PeerId),
}

/// What one peer says of where it sees us.
#[derive(Debug)]
struct Vote {
    witness: Witness,
    address: Multiaddr,
    /// A later vote has a larger number.
    number: u64,
}

/// How much was known at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    number: u64,
    at: Duration,
}

/// All that is known of how this node is reached.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    votes: BTreeMap<PeerId, Vote>,
    number: u64,
    /// What each peer that was asked to try an address found last.
    probes: BTreeMap<Multiaddr, BTreeMap<PeerId, bool>>,
    configured: Vec<Multiaddr>,
    mapped: BTreeSet<Multiaddr>,
    router: Router,
    probing: bool,
    dialled: usize,
    relays: BTreeMap<PeerId, Vec<Multiaddr>>,
    /// Hosts from which peers have connected directly, and when last.
    hosts: BTreeMap<IpAddr, Duration>,
}

impl Observer {
    /// Addresses by which others reach this node, as a person says; in place of those said before.
    pub(crate) fn configured(&mut self, addresses: &[Multiaddr]) {
        self.configured = direct(addresses);
        self.configured.truncate(MAX_GIVEN);
    }

    /// A peer at `remote` sees this node at `observed`. Only what it sees of a direct connection that we opened counts:
    /// whoever dials us chooses the address.
    pub(crate) fn observed(
        &mut self,
        peer: PeerId,
        remote: &Multiaddr,
        observed: &Multiaddr,
        outbound: bool,
        listening: &[Multiaddr],
    ) {
        let (observed, _) = split_peer_id(observed.clone());
        let usable = ip(&observed).is_some_and(is_of_use) && !is_relayed(&observed);
        if !outbound || is_relayed(remote) || !usable {
            return;
        }
        let Some(address) = translated(&observed, listening) else { return };
        self.votes.remove(&peer);
        self.make_room(&address);
        self.number = self.number.saturating_add(1);
        let witness = ip(remote).filter(|ip| global(*ip)).map_or(Witness::Peer(peer), Witness::Host);
        self.votes.insert(peer, Vote { witness, address, number: self.number });
    }

    fn make_room(&mut self, address: &Multiaddr) {
        if self.votes.len() >= MAX_VOTERS {
            let oldest = self.votes.iter().min_by_key(|(_, vote)| vote.number).map(|(peer, _)| *peer);
            oldest.and_then(|oldest| self.votes.remove(&oldest));
        }
        let candidates = self.candidates();
        if candidates.len() >= MAX_CANDIDATES && !candidates.contains_key(address) {
            let latest = |candidate: &Multiaddr| {
                let votes = self.votes.values().filter(|vote| vote.address == *candidate);
                votes.map(|vote| vote.number).max()
            };
            let support = candidates.iter().map(|(candidate, observers)| (*observers, latest(candidate), candidate));
            if let Some((_, _, least)) = support.min() {
                self.votes.retain(|_, vote| vote.address != *least);
            }
        }
    }

    /// The addresses told, and by how many observers.
    pub(crate) fn candidates(&self) -> BTreeMap<Multiaddr, usize> {
        let mut observers: BTreeMap<&Multiaddr, BTreeSet<Witness>> = BTreeMap::new();
        for vote in self.votes.values() {
            observers.entry(&vote.address).or_default().insert(vote.witness);
        }
        observers.into_iter().map(|(address, observers)| (address.clone(), observers.len())).collect()
    }

    /// The peer is no longer connected: what it saw no longer counts.
    pub(crate) fn gone(&mut self, peer: &PeerId) {
        self.votes.remove(peer);
    }

    /// Where enough observers see this node, the most first; at most 8. They may be listened on as well.
    pub(crate) fn believed(&self) -> Vec<Multiaddr> {
        let mut believed: Vec<_> =
            self.candidates().into_iter().filter(|(_, observers)| *observers >= OBSERVERS).collect();
        believed.sort_by_key(|(_, observers)| core::cmp::Reverse(*observers));
        believed.truncate(MAX_BELIEVED);
        believed.into_iter().map(|(address, _)| address).collect()
    }

    /// `server` was asked to try `address` (AutoNAT v2), and did or did not reach this node.
    pub(crate) fn probed(&mut self, address: &Multiaddr, server: PeerId, reachable: bool) {
        let (address, _) = split_peer_id(address.clone());
        if !self.probes.contains_key(&address) && self.probes.len() >= MAX_CANDIDATES {
            // Of those that nobody reached, any.
            let failed = self.probes.iter().find(|(_, servers)| !servers.values().any(|reached| *reached));
            let Some(failed) = failed.map(|(address, _)| address.clone()) else { return };
            self.probes.remove(&failed);
        }
        let servers = self.probes.entry(address).or_default();
        if servers.len() < MAX_SERVERS || servers.contains_key(&server) {
            servers.insert(server, reachable);
        }
    }

    /// Peers are asked to try to connect to this node.
    pub(crate) fn probing(&mut self) {
        self.probing = true;
    }

    /// So many peers are connected directly because this node dialled them.
    pub(crate) fn dialled(&mut self, peers: usize) {
        self.dialled = peers;
    }

    /// What the router was found to do, or that it was asked.
    pub(crate) fn router(&mut self, router: Router) {
        self.router = router;
    }

    /// The router forwards `address` to this node.
    pub(crate) fn mapped(&mut self, address: &Multiaddr) {
        self.router = Router::Forwards;
        if self.mapped.len() < MAX_GIVEN {
            self.mapped.insert(split_peer_id(address.clone()).0);
        }
    }

    /// The router no longer does.
    pub(crate) fn unmapped(&mut self, address: &Multiaddr) {
        self.mapped.remove(&split_peer_id(address.clone()).0);
        if self.mapped.is_empty() {
            self.router = Router::Asked;
        }
    }

    /// Whether the router forwards anything.
    pub(crate) fn is_mapped(&self) -> bool {
        !self.mapped.is_empty()
    }

    /// Nobody knows any longer what the router forwards. Returns what it did.
    pub(crate) fn forget_mapped(&mut self) -> BTreeSet<Multiaddr> {
        if self.is_mapped() {
            self.router = Router::Asked;
        }
        core::mem::take(&mut self.mapped)
    }

    /// `relay` passes on to this node what is sent to `address`.
    pub(crate) fn reserved(&mut self, relay: PeerId, address: &Multiaddr) {
        if !self.relays.contains_key(&relay) && self.relays.len() >= MAX_RELAYS {
            return;
        }
        let addresses = self.relays.entry(relay).or_default();
        if addresses.len() < MAX_RELAY_ADDRESSES && !addresses.contains(address) {
            addresses.push(address.clone());
        }
    }

    /// `relay` no longer does.
    pub(crate) fn lost(&mut self, relay: &PeerId) {
        self.relays.remove(relay);
    }

    /// A peer has connected to this node from `remote`, and not by hole punching, which works behind any NAT.
    pub(crate) fn inbound(&mut self, remote: &Multiaddr, now: Duration) {
        let Some(host) = ip(remote).filter(|host| is_of_use(*host) && !is_relayed(remote)) else { return };
        if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(&host) {
            let oldest = self.hosts.iter().min_by_key(|(_, seen)| **seen).map(|(host, _)| *host);
            oldest.and_then(|oldest| self.hosts.remove(&oldest));
        }
        self.hosts.insert(host, now);
    }

    /// What is known at `now`.
    pub(crate) const fn mark(&self, now: Duration) -> Mark {
        Mark { number: self.number, at: now }
    }

    /// The machine has moved to another network: what was seen and tried in the old one, which was known then, no longer
    /// counts. Of probes nobody knows in which they were.
    pub(crate) fn moved(&mut self, known: &Mark) {
        self.votes.retain(|_, vote| vote.number > known.number);
        self.probes.clear();
        self.hosts.retain(|_, seen| *seen > known.at);
    }

    /// An address of this machine has gone, and the machine may be where it was: what was seen and tried of that address no
    /// longer counts.
    pub(crate) fn without(&mut self, gone: IpAddr) {
        self.votes.retain(|_, vote| ip(&vote.address) != Some(gone));
        self.probes.retain(|address, _| ip(address) != Some(gone));
    }

    /// Whether a person or the router says that this node is reached there, wherever it seems to be.
    pub(crate) fn is_given(&self, address: &Multiaddr) -> bool {
        let (address, _) = split_peer_id(address.clone());
        self.configured.contains(&address) || self.mapped.contains(&address)
    }

    /// Whether a person says so.
    pub(crate) fn is_configured(&self, address: &Multiaddr) -> bool {
        self.configured.contains(&split_peer_id(address.clone()).0)
    }

    /// What all this comes to, for a node that listens on `listening` and tells others that it is at `external`.
    pub(crate) fn verdict(&self, listening: &[Multiaddr], external: Vec<Multiaddr>) -> Reachability {
        let listening = direct(listening);
        let (verdict, grounds) = (self.judge(&listening), self.grounds(&listening));
        Reachability { verdict, external, grounds }
    }

    fn grounds(&self, listening: &[Multiaddr]) -> Grounds {
        let (local, outside) = self.hosts_of(listening);
        let tried = |(address, servers): (&Multiaddr, &BTreeMap<PeerId, bool>)| {
            let reached = servers.values().filter(|reached| **reached).count();
            Tried { address: address.clone(), reached, failed: servers.len().saturating_sub(reached) }
        };
        Grounds {
            seen: self.candidates().into_iter().collect(),
            behind_nat: self.is_behind_nat(listening),
            probing: self.probing,
            tried: self.probes.iter().map(tried).collect(),
            router: self.router,
            mapped: self.mapped.iter().cloned().collect(),
            configured: self.configured.clone(),
            relays: self.relays.iter().map(|(relay, addresses)| (*relay, addresses.clone())).collect(),
            local: local.len(),
            outside: outside.len(),
            dialled: self.dialled,
            ports: ports(listening),
        }
    }

    /// The hosts of the local network from which peers have connected, and those outside.
    fn hosts_of(&self, listening: &[Multiaddr]) -> (Vec<IpAddr>, Vec<IpAddr>) {
        let is_local = |host: &IpAddr| {
            !global(*host) || listening.iter().filter_map(ip).any(|listening| same_subnet(listening, *host))
        };
        self.hosts.keys().copied().partition(is_local)
    }

    fn judge(&self, listening: &[Multiaddr]) -> ReachabilityVerdict {
        let (local, outside) = self.hosts_of(listening);
        if let Some((address, evidence)) = self.public(listening, &outside) {
            return ReachabilityVerdict::Public { address, evidence };
        }
        let (local, failed, ports) = (local.len(), self.failed(listening), ports(listening));
        if !self.relays.is_empty() {
            ReachabilityVerdict::Relayed { relays: self.relays.keys().copied().collect(), local }
        } else if is_loopback_only(listening) {
            ReachabilityVerdict::ThisMachine
        } else if local > 0 {
            ReachabilityVerdict::LocalNetwork { local, failed, ports }
        } else if failed > 0 {
            ReachabilityVerdict::Unreachable { failed, ports }
        } else {
            ReachabilityVerdict::Unknown
        }
    }

    /// A public address, and how it is known to be one.
    fn public(&self, listening: &[Multiaddr], outside: &[IpAddr]) -> Option<(Multiaddr, Evidence)> {
        // What nobody can reach is not public, whoever says so.
        let credible = |address: &&Multiaddr| is_public(address) && !self.is_refuted(address);
        if let Some(address) = self.configured.iter().find(credible) {
            return Some((address.clone(), Evidence::Configured));
        }
        let reached = self.probes.iter().filter(|(address, _)| is_public(address));
        let reached = reached.map(|(address, servers)| (servers.values().filter(|reached| **reached).count(), address));
        if let Some((peers, address)) = reached.max().filter(|(peers, _)| *peers > 0) {
            return Some((address.clone(), Evidence::Probes(peers)));
        }
        if let Some(address) = self.mapped.iter().find(credible) {
            return Some((address.clone(), Evidence::Mapped));
        }
        listening.iter().filter(credible).find_map(|address| {
            let same_family = |host: &&IpAddr| ip(address).is_some_and(|ip| ip.is_ipv4() == host.is_ipv4());
            let hosts = outside.iter().filter(same_family).count();
            (hosts > 0).then(|| (address.clone(), Evidence::Inbound(hosts)))
        })
    }

    /// Whether peers tried the address and none reached it.
    fn is_refuted(&self, address: &Multiaddr) -> bool {
        self.probes.get(address).is_some_and(|servers| !servers.values().any(|reached| *reached))
    }

    /// Failed probes of addresses that could be right. That of a connection's own port proves nothing.
    fn failed(&self, listening: &[Multiaddr]) -> usize {
        let plausible = |address: &Multiaddr| {
            self.configured.contains(address)
                || self.mapped.contains(address)
                || translated(address, listening).is_some_and(|translated| translated == *address)
        };
        let probes = self.probes.iter().filter(|(address, _)| plausible(address));
        probes.map(|(_, servers)| servers.values().filter(|reached| !**reached).count()).sum()
    }

    /// Whether this node should ask for a relay: nobody who tried could reach it, or it is behind a NAT and nobody has
    /// reached it yet.
    pub(crate) fn wants_relay(&self, listening: &[Multiaddr]) -> bool {
        let listening = direct(listening);
        let reached = self.probes.values().flat_map(BTreeMap::values).any(|reached| *reached);
        let outside: Vec<IpAddr> = self.hosts.keys().copied().filter(|host| global(*host)).collect();
        if reached || is_loopback_only(&listening) || self.public(&listening, &outside).is_some() {
            return false;
        }
        self.failed(&listening) > 0 || self.is_behind_nat(&listening)
    }

    /// Whether somebody sees this node at an address that no interface of this machine has.
    fn is_behind_nat(&self, listening: &[Multiaddr]) -> bool {
        let own: BTreeSet<IpAddr> = listening.iter().filter_map(ip).filter(|ip| !ip.is_loopback()).collect();
        let foreign = |seen: IpAddr| own.iter().any(|ip| ip.is_ipv4() == seen.is_ipv4()) && !own.contains(&seen);
        self.votes.values().filter_map(|vote| ip(&vote.address)).any(foreign)
    }
}

/// Whether there is something to listen on, and others can use none of it.
fn is_loopback_only(listening: &[Multiaddr]) -> bool {
    !listening.is_empty() && listening.iter().all(|address| ip(address).is_some_and(|ip| ip.is_loopback()))
}

/// Whether the address is one of the public internet; a name is taken to be.
fn is_public(address: &Multiaddr) -> bool {
    ip(address).is_none_or(global)
}
