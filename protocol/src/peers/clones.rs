//! Two nodes with one identity, as when a machine was copied together with its data: who finds out, and how.
//!
//! A node that dials itself sees both ends: the one that dials meets its own id, and the one that is dialled meets it too
//! or, by TCP, sees the handshake break, because the other has hung up already. A node that meets a copy of itself sees only
//! one of them, the other end is at the copy.

use core::{net::IpAddr, time::Duration};
use std::collections::{BTreeMap, BTreeSet};

use libp2p::{Multiaddr, multiaddr::Protocol};

use crate::{
    address::{ip, is_loopback, is_relayed},
    discovery::split_peer_id,
};

/// Addresses of ourselves told by others that are remembered as tried; while there are so many, no other is tried.
const MAX_TOLD: usize = 16;
/// How long an address that was tried is not tried again.
const RETRY: Duration = Duration::from_secs(600);
/// How long one of two that are told of each other leaves it to the other to look. Both at once would take what comes for their
/// own dials, and neither would find a copy.
const YIELD: Duration = Duration::from_secs(30);
/// Ends of connections that wait for their other end, of each kind. While there are more, nothing is certain and nothing
/// is reported: whoever floods this node with connections may hide a copy, and not feign one.
const MAX_ENDS: usize = 128;
/// Within this time both ends of a connection to ourselves are heard of.
const WINDOW: Duration = Duration::from_secs(2);
/// How long a copy that was reported is not reported again.
const REPEAT: Duration = Duration::from_secs(3600);
/// Copies remembered as reported; of more, the one reported first is forgotten.
const MAX_REPORTED: usize = 64;

/// Another node has this node's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CloneFound {
    /// Where it answers; or, of one that dialled this node, the bare IP address that it came from.
    pub(crate) address: Multiaddr,
}

/// The end of a connection that somebody opened to us.
#[derive(Clone, Copy, Debug)]
struct Incoming {
    remote: IpAddr,
    came: Duration,
    /// Whether it met our own id; otherwise it broke before it was known who is there.
    own_id: bool,
}

/// An address of ourselves that others told of.
#[derive(Clone, Copy, Debug)]
struct Told {
    /// Since when, or when it was tried.
    since: Duration,
    tried: bool,
}

/// What was met, each with its time.
#[derive(Debug, Default)]
pub(crate) struct Clones {
    told: BTreeMap<Multiaddr, Told>,
    /// Dials that met our own id, at most [`MAX_ENDS`].
    outgoing: Vec<(Multiaddr, Duration)>,
    /// At most [`MAX_ENDS`].
    incoming: Vec<Incoming>,
    /// When there was last one end too many.
    flooded: Option<Duration>,
    reported: BTreeMap<Multiaddr, Duration>,
}

impl Clones {
    /// Somebody tells of our own id at an address that is not one of `ours`. Returns whether to dial it, to see who is there.
    pub(crate) fn heard_of_ourselves(&mut self, address: &Multiaddr, ours: &[Multiaddr], now: Duration) -> bool {
        self.told.retain(|_, told| now.saturating_sub(told.since) < RETRY);
        let (address, _) = split_peer_id(address.clone());
        if let Some(told) = self.told.get_mut(&address) {
            let due = !told.tried && now.saturating_sub(told.since) >= YIELD;
            if due {
                *told = Told { since: now, tried: true };
            }
            return due;
        }
        if self.told.len() >= MAX_TOLD {
            return false;
        }
        // Whoever is there compares the same places, and comes to the opposite.
        let own = ours.iter().filter(|own| !is_loopback(own)).filter_map(place).min();
        let tried = own.is_none_or(|own| place(&address).is_none_or(|other| own < other));
        self.told.insert(address, Told { since: now, tried });
        tried
    }

    /// A dial to `address` has met our own id.
    pub(crate) fn dial_met_own_id(&mut self, address: &Multiaddr, now: Duration) {
        if self.outgoing.len() < MAX_ENDS {
            self.outgoing.push((split_peer_id(address.clone()).0, now));
        } else {
            self.flooded = Some(now);
        }
    }

    /// Somebody with our own id has dialled us from `remote`.
    pub(crate) fn incoming_met_own_id(&mut self, remote: IpAddr, now: Duration) {
        self.came(Incoming { remote, came: now, own_id: true });
    }

    /// Somebody has dialled us from `remote` and hung up in the middle of the handshake. That may have been ourselves.
    pub(crate) fn incoming_broke(&mut self, remote: IpAddr, now: Duration) {
        self.came(Incoming { remote, came: now, own_id: false });
    }

    fn came(&mut self, incoming: Incoming) {
        if self.incoming.len() < MAX_ENDS {
            self.incoming.push(incoming);
        } else {
            self.flooded = Some(incoming.came);
        }
    }

    /// Copies that are certain by now: of their meetings no other end was heard of in time. Each is told once an hour.
    pub(crate) fn tick(&mut self, now: Duration) -> Vec<CloneFound> {
        // With several dials at once, the address says which of the two ends belong together; then, what was met; then, the
        // time.
        let at_once = now.saturating_sub(WINDOW);
        self.pair(|address, incoming| incoming.own_id && ip(address) == Some(incoming.remote), now);
        self.pair(|address, incoming| ip(address) == Some(incoming.remote), now);
        self.pair(|_, incoming| incoming.own_id, at_once);
        self.pair(|_, _| true, at_once);
        let flooded = self.flooded;
        let ripe = |met: Duration| now.saturating_sub(met) > WINDOW;
        let certain = |met: Duration| flooded.is_none_or(|flooded| flooded.abs_diff(met) > WINDOW);
        let dialled = self.outgoing.extract_if(.., |(_, met)| ripe(*met));
        let dialled = dialled.filter(|(_, met)| certain(*met)).map(|(address, _)| address);
        let came = self.incoming.extract_if(.., |incoming| ripe(incoming.came));
        let came = came.filter(|incoming| incoming.own_id && certain(incoming.came));
        let found: Vec<_> = dialled.chain(came.map(|incoming| Multiaddr::from(incoming.remote))).collect();
        self.reported.retain(|_, told| now.saturating_sub(*told) < REPEAT);
        found.into_iter().filter(|address| self.is_news(address, now)).map(|address| CloneFound { address }).collect()
    }

    /// Takes out the two ends of each connection to ourselves, of those of which one end was met before `before` or at it:
    /// while neither is, a better match may still come.
    fn pair(&mut self, fits: impl Fn(&Multiaddr, &Incoming) -> bool, before: Duration) {
        let Self { outgoing, incoming, .. } = self;
        outgoing.retain(|(address, dialled)| {
            let matching = incoming.iter().enumerate().filter(|(_, end)| {
                dialled.abs_diff(end.came) <= WINDOW && (*dialled).min(end.came) <= before && fits(address, end)
            });
            let nearest = matching.min_by_key(|(_, end)| dialled.abs_diff(end.came)).map(|(at, _)| at);
            nearest.map(|at| incoming.remove(at)).is_none()
        });
    }

    fn is_news(&mut self, address: &Multiaddr, now: Duration) -> bool {
        if self.reported.contains_key(address) {
            return false;
        }
        if self.reported.len() >= MAX_REPORTED {
            let first = self.reported.iter().min_by_key(|(_, told)| **told).map(|(address, _)| address.clone());
            first.and_then(|first| self.reported.remove(&first));
        }
        self.reported.insert(address.clone(), now);
        true
    }
}

/// Whether two connections of one peer id lead to two machines, by the addresses that each of them says it listens on: a
/// single node says the same on both, however many addresses it has. Loopback and relayed addresses say nothing.
pub(crate) fn two_places(first: &[Multiaddr], second: &[Multiaddr]) -> bool {
    let telling = |addresses: &[Multiaddr]| -> BTreeSet<Multiaddr> {
        let direct = |address: &&Multiaddr| !is_loopback(address) && !is_relayed(address);
        addresses.iter().filter(direct).map(|address| split_peer_id(address.clone()).0).collect()
    };
    let (first, second) = (telling(first), telling(second));
    !first.is_empty() && !second.is_empty() && first.is_disjoint(&second)
}

/// Host and port of an address, over whichever transport.
fn place(address: &Multiaddr) -> Option<(IpAddr, u16)> {
    let port = address.iter().find_map(|part| match part {
        Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        _ => None,
    });
    ip(address).zip(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "/ip4/10.0.0.1/tcp/6000";
    const THERE: &str = "/ip4/10.0.0.2/tcp/6000";

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddress")
    }

    fn addresses(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|text| address(text)).collect()
    }

    fn host(text: &str) -> IpAddr {
        text.parse().expect("an IP address")
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(10_000 + millis)
    }

    fn found(clones: &mut Clones, millis: u64) -> Vec<String> {
        clones.tick(at(millis)).into_iter().map(|found| found.address.to_string()).collect()
    }

    #[test]
    fn what_is_told_of_ourselves_is_tried_now_and_then() {
        let mut clones = Clones::default();
        let mut heard = |address: &Multiaddr, millis| clones.heard_of_ourselves(address, &[], at(millis));
        assert!(heard(&address(HERE), 0));
        let named = address(HERE).with(Protocol::P2p(libp2p::PeerId::random()));
        assert!(!heard(&named, 599_000), "the same address");
        for port in 1..MAX_TOLD {
            assert!(heard(&address(&format!("/ip4/10.0.0.3/tcp/{port}")), 1));
        }
        assert!(!heard(&address(THERE), 2), "enough");
        assert!(heard(&address(HERE), 600_000));
        assert!(!heard(&address(THERE), 600_000));
        assert!(heard(&address(THERE), 600_001), "room again");
    }

    #[test]
    fn of_two_that_are_told_of_each_other_one_looks_first() {
        let own = |place: &str| addresses(&["/ip4/127.0.0.1/tcp/1", &format!("{place}/quic-v1")]);
        for (here, there) in
            [("/ip4/10.0.0.1/udp/6000", "/ip4/10.0.0.2/udp/6000"), ("/ip4/10.0.0.1/udp/6000", "/ip4/10.0.0.1/udp/6001")]
        {
            let (mut one, mut other) = (Clones::default(), Clones::default());
            let of_other = address(&there.replace("udp", "tcp"));
            assert!(one.heard_of_ourselves(&of_other, &own(here), at(0)));
            let of_one = address(&here.replace("udp", "tcp"));
            let mut heard = |millis| other.heard_of_ourselves(&of_one, &own(there), at(millis));
            assert!(!heard(0) && !heard(29_999), "it is left to the one");
            assert!(heard(30_000), "who seems not to look");
            assert!(!heard(60_000) && !heard(630_000) && heard(660_000), "now and then from then on");
        }
    }

    #[test]
    fn dialling_ourselves_is_no_copy_whichever_end_comes_first() {
        for (dialled, came) in [(0, 1_900), (1_900, 0), (5, 5)] {
            let mut clones = Clones::default();
            for now in 0..100 {
                let now = now * 100;
                if now == dialled / 100 * 100 {
                    clones.dial_met_own_id(&address(HERE), at(dialled));
                }
                if now == came / 100 * 100 {
                    // Through a router that turns us round, from any address.
                    clones.incoming_met_own_id(host("10.0.0.254"), at(came));
                }
                assert_eq!(found(&mut clones, now + 10), [""; 0], "{dialled} {came} {now}");
            }
        }
    }

    #[test]
    fn a_dial_without_its_other_end_met_a_copy() {
        let mut clones = Clones::default();
        clones.dial_met_own_id(&address(THERE), at(0));
        assert_eq!(found(&mut clones, 2_000), [""; 0], "the other end may still be heard of");
        assert_eq!(found(&mut clones, 2_001), [THERE]);
        assert_eq!(found(&mut clones, 2_002), [""; 0]);
        clones.dial_met_own_id(&address(THERE), at(10_000));
        assert_eq!(found(&mut clones, 20_000), [""; 0], "told already");
        clones.dial_met_own_id(&address(THERE), at(3_700_000));
        assert_eq!(found(&mut clones, 3_710_000), [THERE], "told again after an hour");
    }

    #[test]
    fn a_copy_that_dials_us_is_known_by_where_it_came_from() {
        let mut clones = Clones::default();
        clones.incoming_met_own_id(host("10.0.0.2"), at(0));
        clones.dial_met_own_id(&address(HERE), at(2_500));
        clones.incoming_met_own_id(host("10.0.0.1"), at(2_510));
        assert_eq!(found(&mut clones, 6_000), ["/ip4/10.0.0.2"]);
    }

    #[test]
    fn dials_to_several_addresses_at_once_are_counted() {
        let mut clones = Clones::default();
        clones.dial_met_own_id(&address(THERE), at(0));
        clones.dial_met_own_id(&address(HERE), at(1_000));
        assert_eq!(found(&mut clones, 1_050), [""; 0]);
        clones.dial_met_own_id(&address("/ip4/10.0.0.1/udp/6000/quic-v1"), at(1_000));
        clones.incoming_met_own_id(host("10.0.0.1"), at(1_100));
        clones.incoming_met_own_id(host("10.0.0.1"), at(1_900));
        assert_eq!(found(&mut clones, 2_100), [THERE], "the others have their ends");
        assert_eq!(found(&mut clones, 9_000), [""; 0]);

        for port in 1..=3 {
            clones.dial_met_own_id(&address(&format!("/dns4/a.example/tcp/{port}")), at(20_000 + port));
        }
        clones.incoming_met_own_id(host("10.0.0.9"), at(20_000));
        clones.incoming_met_own_id(host("10.0.0.9"), at(20_000));
        assert_eq!(found(&mut clones, 23_000).len(), 1, "three went out, two came in");
    }

    #[test]
    fn a_handshake_that_breaks_may_be_the_other_end_and_is_no_copy() {
        let mut clones = Clones::default();
        for number in 1..=50 {
            clones.dial_met_own_id(&address(&format!("/ip4/127.0.0.{number}/tcp/6000")), at(number));
            clones.incoming_broke(host("127.0.0.1"), at(number + 1));
        }
        clones.incoming_broke(host("10.0.0.9"), at(3_000));
        for now in (0..10_000).step_by(250) {
            assert_eq!(found(&mut clones, now), [""; 0]);
        }
        clones.dial_met_own_id(&address(THERE), at(20_000));
        clones.dial_met_own_id(&address(HERE), at(20_000));
        clones.incoming_broke(host("10.0.0.1"), at(20_000));
        clones.incoming_met_own_id(host("10.0.0.7"), at(20_000));
        assert_eq!(found(&mut clones, 23_000), [""; 0], "two of each");
        clones.dial_met_own_id(&address(THERE), at(30_000));
        clones.incoming_broke(host("10.0.0.9"), at(32_001));
        assert_eq!(found(&mut clones, 33_000), [THERE], "too late to be the other end");
    }

    #[test]
    fn the_tables_are_bounded_and_a_flood_feigns_no_copy() {
        let mut clones = Clones::default();
        for number in 0..200_u64 {
            clones.incoming_broke(host("10.0.9.9"), at(number));
        }
        clones.dial_met_own_id(&address(HERE), at(500));
        clones.incoming_broke(host("10.0.0.1"), at(501));
        assert_eq!(clones.incoming.len(), MAX_ENDS);
        assert_eq!(found(&mut clones, 10_000), [""; 0]);
        for number in 0..200_u64 {
            clones.dial_met_own_id(&address(&format!("/ip4/10.0.1.{number}/tcp/1")), at(20_000));
            clones.incoming_met_own_id(host("10.0.0.254"), at(20_000));
        }
        assert_eq!(clones.outgoing.len(), MAX_ENDS);
        assert_eq!(found(&mut clones, 30_000), [""; 0]);
        assert!(clones.outgoing.is_empty() && clones.incoming.is_empty());
        for number in 0..100_u64 {
            clones.dial_met_own_id(&address(&format!("/ip4/10.0.1.{number}/tcp/1")), at(40_000));
        }
        assert_eq!(found(&mut clones, 50_000).len(), 100);
        assert_eq!(clones.reported.len(), MAX_REPORTED);
    }

    #[test]
    fn one_identity_in_two_places() {
        let one = addresses(&["/ip4/127.0.0.1/tcp/6000", HERE, "/ip4/192.168.1.1/tcp/6000"]);
        let same = addresses(&["/ip4/192.168.1.1/tcp/6000", "/ip4/127.0.0.1/tcp/6000"]);
        let other = addresses(&["/ip4/127.0.0.1/tcp/6000", THERE]);
        assert!(two_places(&one, &other) && two_places(&other, &one));
        assert!(!two_places(&one, &one) && !two_places(&one, &same));
        assert!(two_places(&addresses(&[HERE]), &addresses(&["/ip4/10.0.0.1/udp/6000/quic-v1"])));
        assert!(!two_places(&one, &[]) && !two_places(&one, &addresses(&["/ip4/127.0.0.1/tcp/6000"])));
        let relay = libp2p::PeerId::random();
        let circuit = addresses(&[&format!("{THERE}/p2p/{relay}/p2p-circuit")]);
        assert!(!two_places(&one, &circuit), "a relay is no place");
        let named = vec![address(HERE).with(Protocol::P2p(relay))];
        assert!(!two_places(&one, &named));
    }
}
