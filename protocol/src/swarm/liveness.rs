//! Connections that are dead. Over TCP and relays the bytes tell ([`crate::closing`]), for on a slow and busy line pings are lost
//! that are only late, and where there is reason for doubt they have to come soon; QUIC tells by itself, and then the next ping.

use core::{net::IpAddr, time::Duration};

use libp2p::{Multiaddr, PeerId, ping, swarm::ConnectionId};
use tracing::warn;

use super::{
    Driver,
    links::{Connection, Link},
};
use crate::address::{ip, is_loopback, tells_by_bytes};

/// Lost pings that are told in a row, after which a connection over QUIC is dead, if it has not said so itself. libp2p
/// does not tell of the first one, and each takes ten seconds to be lost, ten seconds after the one before: so this takes
/// between 70 and 80 seconds.
pub(super) const MAX_LOST_PINGS: u32 = 3;
/// How long a connection may take to show that it lives, once there is reason for doubt: longer than from one ping to the
/// next.
pub(super) const PROOF: Duration = Duration::from_secs(12);

impl Driver {
    pub(super) fn ping_event(&mut self, event: ping::Event) {
        let ping::Event { peer, connection, result } = event;
        let now = self.now();
        let Some(link) = self.links.get_mut(&peer) else { return };
        let known = link.connections.iter_mut().find(|known| known.id == connection);
        match (result, known) {
            (Ok(rtt), Some(known)) => {
                known.lives(now);
                link.rtt = Some(rtt);
                self.publish_peers();
            }
            (Err(ping::Failure::Timeout | ping::Failure::Other { .. }), Some(known)) => {
                known.lost_pings = known.lost_pings.saturating_add(u32::from(!known.tells_by_bytes()));
                if known.lost_pings >= MAX_LOST_PINGS {
                    self.is_dead(peer, connection);
                }
            }
            (Err(ping::Failure::Unsupported), _) | (_, None) => {}
        }
    }

    /// An address of this machine has `gone`, or the machine has slept: connections over the network may be dead. They have to
    /// show soon that they are not.
    pub(super) fn suspect_connections(&mut self, gone: Option<IpAddr>) {
        let now = self.now();
        self.doubts.raise();
        self.links.values_mut().for_each(|link| link.suspect(gone, now));
    }

    /// Something has come on a connection.
    pub(super) fn hears(&mut self, peer: PeerId, connection: ConnectionId) {
        let now = self.now();
        let connections = self.links.get_mut(&peer).into_iter().flat_map(|link| &mut link.connections);
        connections.filter(|known| known.id == connection).for_each(|known| known.lives(now));
    }

    /// Closes the connections that were to show that they live, and have not.
    pub(super) fn close_suspects(&mut self, now: Duration) {
        let overdue = |connection: &&mut Connection| connection.is_overdue(now);
        let mut dead = Vec::new();
        for (peer, link) in &mut self.links {
            for connection in link.connections.iter_mut().filter(overdue) {
                // Once.
                connection.suspected_at = None;
                dead.push((*peer, connection.id));
            }
        }
        dead.into_iter().for_each(|(peer, id)| self.is_dead(peer, id));
    }

    fn is_dead(&mut self, peer: PeerId, connection: ConnectionId) {
        self.fell_silent(peer, connection);
        self.swarm.close_connection(connection);
    }

    /// A connection is dead, or has just ended because it is.
    pub(super) fn fell_silent(&mut self, peer: PeerId, connection: ConnectionId) {
        warn!(%peer, "a peer no longer answers");
        // So that people are told why it left.
        let connections = self.links.get_mut(&peer).into_iter().flat_map(|link| &mut link.connections);
        connections.filter(|known| known.id == connection).for_each(|known| known.lost_pings = MAX_LOST_PINGS);
    }
}

impl Link {
    /// Whatever it has over the network, of the family of an address that has gone, may be dead at `now`; where bytes tell, they
    /// do.
    fn suspect(&mut self, gone: Option<IpAddr>, now: Duration) {
        let same_family = |at: &Multiaddr| ip(at).zip(gone).is_none_or(|(at, gone)| at.is_ipv4() == gone.is_ipv4());
        let doubtful =
            |one: &&mut Connection| !is_loopback(&one.address) && !one.tells_by_bytes() && same_family(&one.address);
        for connection in self.connections.iter_mut().filter(doubtful) {
            // Addresses that go one after another put off nothing.
            connection.suspected_at.get_or_insert(now);
        }
    }
}

impl Connection {
    /// It has shown that it lives.
    fn lives(&mut self, now: Duration) {
        (self.lost_pings, self.suspected_at, self.alive_at) = (0, None, now);
    }

    /// Whether what comes on it is watched, so that lost pings say nothing.
    fn tells_by_bytes(&self) -> bool {
        tells_by_bytes(&self.address)
    }

    /// Whether it has not shown in time that it lives, though there was reason for doubt.
    fn is_overdue(&self, now: Duration) -> bool {
        self.suspected_at.is_some_and(|since| now.saturating_sub(since) >= PROOF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Direction;

    fn connection(number: usize, address: &str) -> Connection {
        Connection {
            id: ConnectionId::new_unchecked(number),
            address: address.parse().expect("a multiaddress"),
            direction: Direction::Inbound,
            lost_pings: 0,
            suspected_at: None,
            since: Duration::ZERO,
            alive_at: Duration::ZERO,
            claims: Vec::new(),
        }
    }

    #[test]
    fn what_is_suspected_shows_in_time_that_it_lives_or_is_dead() {
        let second = Duration::from_secs(1);
        let mut link = Link::new(Duration::ZERO);
        link.connections = vec![
            connection(1, "/ip4/10.0.0.1/udp/1/quic-v1"),
            connection(2, "/ip4/10.0.0.1/udp/2/quic-v1"),
            connection(3, "/ip4/127.0.0.1/udp/3/quic-v1"),
            connection(4, "/ip4/10.0.0.1/tcp/4"),
            connection(5, "/ip6/fd00::1/udp/5/quic-v1"),
        ];
        let overdue = |link: &Link, now| {
            let ids = link.connections.iter().filter(|one| one.is_overdue(now)).map(|one| one.id);
            ids.collect::<Vec<_>>()
        };
        assert_eq!(overdue(&link, second * 1000), [], "nobody suspects anything");
        let gone = Some(IpAddr::from([10, 0, 0, 9]));
        link.suspect(gone, second * 1000);
        link.suspect(gone, second * 1005);
        link.connections[1].lives(second * 1011);
        assert_eq!(overdue(&link, second * 1011), [], "too soon");
        assert_eq!(overdue(&link, second * 1012), [ConnectionId::new_unchecked(1)], "nor is this machine far away");
        link.suspect(gone, second * 2000);
        assert_eq!(
            overdue(&link, second * 2012).len(),
            2,
            "another time; bytes tell of the others, or nothing is wrong"
        );
        link.suspect(None, second * 2000);
        assert_eq!(overdue(&link, second * 2012).len(), 3, "all families sleep");
    }
}
