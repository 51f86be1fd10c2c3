//! Connections that are one too many: second ones to the same peer, those that Kademlia made on its way, and those to peers
//! of other chains or of none.

use core::time::Duration;

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};
use tracing::debug;

use super::{
    Driver,
    circuits::relay_in,
    links::{Connection, Link},
    liveness::PROOF,
};
use crate::address::is_relayed;

/// How long a peer may take to say which chain it is on. Any libp2p program says so within two round trips.
const SILENCE: Duration = Duration::from_secs(15);
/// How long a node of another chain that dialled us may take to find out and leave.
const FAREWELL: Duration = Duration::from_secs(2);
/// How long two connections to one peer are left alone: what is under way may end, and a probe be answered.
const TWINS: Duration = Duration::from_secs(2);
/// How long the end that decides may leave alone what is one too many before the other end closes it: a peer that wants all
/// the places it can get closes nothing.
const OVERDUE: Duration = Duration::from_secs(10);
/// How long a connection that the stack made by itself may last before it is adopted or closed.
const PASSING: Duration = Duration::from_secs(10);

impl Driver {
    /// Closes what is one too many.
    pub(super) fn prune(&mut self, now: Duration) {
        let own = self.own;
        let twins = self.links.iter().flat_map(|(peer, link)| surplus_of(own, *peer, link, now));
        let twins: Vec<ConnectionId> = twins.collect();
        for id in twins {
            debug!("one connection to a peer is enough");
            self.swarm.close_connection(id);
        }
        self.end_passing(now);
        for peer in self.book.surplus(now, self.target_outbound, |peer| self.carries(peer)) {
            self.book.release(peer);
            self.part_from(peer, "there are enough others");
        }
    }

    /// Connections that the stack made by itself: those to peers of our chain stay, as far as the book wants them, and those
    /// that are of use otherwise: to meeting points, as far as there is room, and to relays that carry another connection.
    fn end_passing(&mut self, now: Duration) {
        let gate = self.swarm.behaviour();
        let old =
            |connection: &&Connection| now.saturating_sub(connection.since) >= PASSING && gate.is_new(connection.id);
        let passing: Vec<_> = self
            .links
            .iter()
            .flat_map(|(peer, link)| {
                let of_use = link.confirmed.is_some() || link.service;
                link.connections.iter().filter(old).map(move |one| (*peer, one.id, of_use))
            })
            .collect();
        for (peer, id, of_use) in passing {
            if of_use || self.points.contains(peer) || self.carries(&peer) {
                self.swarm.behaviour_mut().adopt(id);
            } else {
                self.swarm.close_connection(id);
            }
        }
    }

    /// Whether a connection to another peer leads through this one, or one that is being made, or this node has a place there
    /// where others reach it: all that would end with the connection.
    pub(super) fn carries(&self, relay: &PeerId) -> bool {
        let through = |address: &Multiaddr| relay_in(address) == Some(*relay);
        self.reservations.are_at(relay)
            || self.links.values().any(|link| link.leads_through(relay))
            || self.dialing.values().any(|target| self.book.addresses(target).any(through))
            || self.waiting.iter().any(|waiting| through(&waiting.address))
    }

    /// Parts from those who have not said in time which chain they are on, and from those of another that have not left;
    /// not from relays, which need be of none.
    pub(super) fn drop_silent_peers(&mut self, now: Duration) {
        let silent = |link: &Link| {
            let foreign = link.foreign.is_some_and(|since| now.saturating_sub(since) > FAREWELL);
            foreign || (link.confirmed.is_none() && !link.service && now.saturating_sub(link.since) > SILENCE)
        };
        let idle = self.links.iter().filter(|(peer, link)| silent(link) && !self.carries(peer));
        let peers: Vec<PeerId> = idle.map(|(peer, _)| *peer).collect();
        for peer in peers {
            debug!(%peer, "is not known to be of this chain");
            self.disconnect(peer);
        }
    }
}

/// The connections to a peer that are to be closed from here. Of those through relays none is needed beside a direct one,
/// and of a dead one nobody hears that it is dead but by a younger one that is not. Of several alike that live the end with
/// the smaller id decides, or each would close the one that the other keeps; where it does not, the other closes them after
/// a while. Each connection is judged when it is old enough itself, whatever comes after it: or whoever makes a new one again
/// and again would keep them all.
fn surplus_of(own: PeerId, peer: PeerId, link: &Link, now: Duration) -> Vec<ConnectionId> {
    let age = |connection: &Connection| now.saturating_sub(connection.since);
    let settled = link.connections.iter().filter(|connection| age(connection) >= TWINS);
    let (relayed, direct): (Vec<_>, Vec<_>) = settled.partition(|connection| is_relayed(&connection.address));
    let (alike, needless) = if direct.is_empty() { (relayed, Vec::new()) } else { (direct, relayed) };
    let youngest = |least| alike.iter().filter(|one| age(one) >= least).map(|one| one.since).max().unwrap_or_default();
    let (proved, met) = (youngest(PROOF), youngest(TWINS));
    let mut dead = Vec::new();
    let mut twins = Vec::new();
    let mut kept = false;
    for connection in &alike {
        let lives = connection.alive_at >= met;
        let decided = own < peer || age(connection) >= OVERDUE;
        if connection.alive_at < proved {
            dead.push(*connection);
        } else if lives && kept && decided {
            twins.push(*connection);
        }
        kept |= lives;
    }
    needless.into_iter().chain(dead).chain(twins).map(|connection| connection.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Direction;

    fn connection(number: usize, address: &str, since: u64) -> Connection {
        let address: Multiaddr = address.parse().expect("a multiaddress");
        let (id, since) = (ConnectionId::new_unchecked(number), Duration::from_secs(since));
        Connection {
            id,
            address,
            direction: Direction::Inbound,
            lost_pings: 0,
            suspected_at: None,
            since,
            alive_at: since,
            claims: Vec::new(),
        }
    }

    #[test]
    fn one_connection_remains_and_both_ends_agree_on_who_closes() {
        let mut ids = [PeerId::random(), PeerId::random()];
        ids.sort();
        let [small, large] = ids;
        let mut link = Link::new(Duration::ZERO);
        link.connections = vec![connection(1, "/ip4/10.0.0.1/tcp/1", 1), connection(2, "/ip4/10.0.0.1/tcp/2", 1)];
        let later = Duration::from_secs(10);
        assert_eq!(surplus_of(small, large, &link, Duration::from_secs(2)), [], "too young");
        assert_eq!(surplus_of(small, large, &link, later), [ConnectionId::new_unchecked(2)]);
        let soon = Duration::from_secs(4);
        assert_eq!(surplus_of(large, small, &link, soon), [], "the other end decides");
        assert_eq!(
            surplus_of(large, small, &link, Duration::from_secs(11)),
            [ConnectionId::new_unchecked(2)],
            "too late"
        );
        link.connections.pop();
        assert_eq!(surplus_of(small, large, &link, later), [], "the last one stays");
    }

    #[test]
    fn an_older_connection_has_to_show_that_it_lives() {
        let mut link = Link::new(Duration::ZERO);
        link.connections = vec![connection(1, "/ip4/10.0.0.1/tcp/1", 1), connection(2, "/ip4/10.0.0.1/tcp/2", 100)];
        let [small, large] = {
            let mut ids = [PeerId::random(), PeerId::random()];
            ids.sort();
            ids
        };
        for (own, peer) in [(small, large), (large, small)] {
            assert_eq!(surplus_of(own, peer, &link, Duration::from_secs(105)), [], "it may still answer");
            let later = Duration::from_secs(112);
            assert_eq!(surplus_of(own, peer, &link, later), [ConnectionId::new_unchecked(1)], "either end closes it");
        }
        link.connections[0].alive_at = Duration::from_secs(101);
        let later = Duration::from_secs(112);
        assert_eq!(
            surplus_of(small, large, &link, later),
            [ConnectionId::new_unchecked(2)],
            "the younger one is a twin"
        );
    }

    #[test]
    fn a_connection_made_again_and_again_keeps_no_other() {
        let mut ids = [PeerId::random(), PeerId::random()];
        ids.sort();
        let [small, large] = ids;
        let mut link = Link::new(Duration::ZERO);
        let far = |since| connection(usize::try_from(since).expect("small"), "/ip4/10.0.0.1/tcp/1", since);
        link.connections = vec![far(1), far(2), far(19)];
        link.connections.iter_mut().for_each(|one| one.alive_at = Duration::from_secs(19));
        for own in [small, large] {
            let peer = if own == small { large } else { small };
            let closed = surplus_of(own, peer, &link, Duration::from_secs(20));
            assert_eq!(closed, [ConnectionId::new_unchecked(2)], "the new one is left alone for a while");
        }
    }

    #[test]
    fn a_relay_is_not_needed_beside_a_direct_connection() {
        let relayed = format!("/ip4/10.0.0.1/tcp/1/p2p/{}/p2p-circuit", PeerId::random());
        let mut link = Link::new(Duration::ZERO);
        link.connections = vec![connection(1, &relayed, 1), connection(2, "/ip4/10.0.0.1/tcp/2", 1)];
        for (own, peer) in [(PeerId::random(), PeerId::random()), (PeerId::random(), PeerId::random())] {
            assert_eq!(surplus_of(own, peer, &link, Duration::from_secs(10)), [ConnectionId::new_unchecked(1)]);
        }
    }
}
