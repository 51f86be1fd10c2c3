//! libp2p rendezvous points: nodes register there under the name of their chain, and ask who else did. Pure: says what to
//! ask of which point and when; the driver asks.

use core::time::Duration;
use std::collections::BTreeSet;

use libp2p::{Multiaddr, PeerId};

use super::{Candidate, Origin, is_dialable, split_peer_id};
use crate::{address::is_loopback, rendezvous::client::MAX_FOUND, wire::limits::MAX_ADDRESSES};

/// Rendezvous points; more are not used.
const MAX_POINTS: usize = 16;
/// Nodes asked for at a time.
pub(crate) const LIMIT: u64 = MAX_FOUND as u64;
/// Different nodes taken from one point in a [`WINDOW`], as many as may be registered at one: a point that lies must not be
/// listened to without end. The same ones are told again whenever they renew their registrations.
const MAX_TAKEN: usize = 10_000;
const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// Addresses registered at a point.
const MAX_REGISTERED: usize = 16;
/// How long to wait after a registration that failed or had no answer.
const RETRY: Duration = Duration::from_secs(15);
/// How often to ask who is there: while few peers are connected, and otherwise.
const ASK_LONELY: Duration = Duration::from_secs(5);
const ASK: Duration = Duration::from_secs(60);
/// Fewer peers than these are few.
const FEW: usize = 3;
/// A registration is renewed at the latest after this time, however long it would last.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long a registration lasts at a point that does not say so, by the specification.
const DEFAULT_TTL: Duration = Duration::from_secs(2 * 3600);
/// How soon a point is told of addresses that have changed: they change several at a time.
const SETTLED: Duration = Duration::from_secs(2);

/// What to ask of a connected point.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Register at it.
    Register(PeerId),
    /// Ask it who is there: since the cookie, if there is one.
    Discover(PeerId, Option<Vec<u8>>),
}

/// All configured points.
#[derive(Debug, Default)]
pub(crate) struct Points(Vec<Point>);

#[derive(Debug)]
struct Point {
    /// As configured, without the peer id.
    address: Multiaddr,
    /// Who it is: configured, or who answered.
    peer: Option<PeerId>,
    /// Whether that is configured: then it is nobody else, whoever answers there.
    named: bool,
    /// Whether this node is registered there now.
    registered: bool,
    /// Whether it was said that this node is not, since it last was.
    complained: bool,
    register_at: Duration,
    ask_at: Duration,
    /// What the point gave to tell only news the next time; of its own making.
    cookie: Option<Vec<u8>>,
    /// Nodes taken since `window` began, at most [`MAX_TAKEN`].
    taken: BTreeSet<PeerId>,
    window: Duration,
}

impl Points {
    /// Those of the configuration.
    pub(crate) fn new(addresses: &[Multiaddr]) -> Self {
        let point = |address: &Multiaddr| {
            let (address, peer) = split_peer_id(address.clone());
            Point {
                address,
                peer,
                named: peer.is_some(),
                registered: false,
                complained: false,
                register_at: Duration::ZERO,
                ask_at: Duration::ZERO,
                cookie: None,
                taken: BTreeSet::new(),
                window: Duration::ZERO,
            }
        };
        Self(addresses.iter().take(MAX_POINTS).map(point).collect())
    }

    /// A dial has led to `peer` at `address`: returns whether that is a point.
    pub(crate) fn met(&mut self, peer: PeerId, address: &Multiaddr) -> bool {
        let fits = |point: &&mut Point| point.peer == Some(peer) || (!point.named && point.address == *address);
        let Some(point) = self.0.iter_mut().find(fits) else { return false };
        if point.peer != Some(peer) {
            (point.peer, point.cookie) = (Some(peer), None);
        }
        point.registered = false;
        (point.register_at, point.ask_at) = (Duration::ZERO, Duration::ZERO);
        true
    }

    /// Whether a peer is a point.
    pub(crate) fn contains(&self, peer: PeerId) -> bool {
        self.0.iter().any(|point| point.peer == Some(peer))
    }

    /// What is due now, at points that `connected` says are there.
    pub(crate) fn due(&mut self, now: Duration, peers: usize, connected: impl Fn(&PeerId) -> bool) -> Vec<Errand> {
        let mut errands = Vec::new();
        for point in &mut self.0 {
            let Some(peer) = point.peer.filter(&connected) else { continue };
            if point.register_at <= now {
                point.register_at = now.saturating_add(RETRY);
                errands.push(Errand::Register(peer));
            }
            if now.saturating_sub(point.window) >= WINDOW {
                (point.taken, point.window) = (BTreeSet::new(), now);
            }
            if point.ask_at <= now && point.taken.len() < MAX_TAKEN {
                point.ask_at = now.saturating_add(if peers < FEW { ASK_LONELY } else { ASK });
                errands.push(Errand::Discover(peer, point.cookie.clone()));
            }
        }
        errands
    }

    /// This node is registered for so long. Returns whether it was not before.
    pub(crate) fn registered(&mut self, peer: PeerId, lasts: Option<Duration>, now: Duration) -> bool {
        let Some(point) = self.find(peer) else { return false };
        point.register_at = now.saturating_add((lasts.unwrap_or(DEFAULT_TTL) / 2).clamp(RETRY, LONGEST));
        point.complained = false;
        !core::mem::replace(&mut point.registered, true)
    }

    /// The registration failed. Returns where, if this is news.
    pub(crate) fn refused(&mut self, peer: PeerId) -> Option<Multiaddr> {
        let point = self.find(peer)?;
        point.registered = false;
        (!core::mem::replace(&mut point.complained, true)).then(|| point.address.clone())
    }

    /// This node is reached at other addresses than before: the points are to be told soon.
    pub(crate) fn moved(&mut self, now: Duration) {
        for point in self.0.iter_mut().filter(|point| point.registered) {
            point.register_at = point.register_at.min(now.saturating_add(SETTLED));
        }
    }

    /// A point has told of these nodes. Returns whether they are to be taken.
    pub(crate) fn discovered(
        &mut self,
        peer: PeerId,
        nodes: impl ExactSizeIterator<Item = PeerId>,
        cookie: Option<Vec<u8>>,
    ) -> bool {
        let Some(point) = self.find(peer) else { return false };
        point.cookie = cookie;
        if nodes.len() as u64 > LIMIT {
            return false;
        }
        let mut all_taken = true;
        for node in nodes {
            all_taken &= point.taken.contains(&node) || (point.taken.len() < MAX_TAKEN && point.taken.insert(node));
        }
        all_taken
    }

    /// The point did not understand what was asked, as after its restart: it is asked anew, from the beginning.
    pub(crate) fn asked_in_vain(&mut self, peer: PeerId) {
        if let Some(point) = self.find(peer) {
            point.cookie = None;
        }
    }

    /// Where this node is registered, to leave.
    pub(crate) fn registered_at(&self) -> Vec<PeerId> {
        self.0.iter().filter(|point| point.registered).filter_map(|point| point.peer).collect()
    }

    fn find(&mut self, peer: PeerId) -> Option<&mut Point> {
        self.0.iter_mut().find(|point| point.peer == Some(peer))
    }
}

/// What to register of the addresses known from outside and those listened on: in turns, for a reader takes the first few, and
/// neither kind is to take all of their places. Those that mean this machine to whoever dials them come last.
pub(crate) fn registrable(external: Vec<&Multiaddr>, mut listening: Vec<&Multiaddr>) -> Vec<Multiaddr> {
    listening.sort_by_key(|address| is_loopback(address));
    let (mut external, mut listening) = (external.into_iter(), listening.into_iter());
    let mut addresses: Vec<Multiaddr> = Vec::new();
    loop {
        let turn = [external.next(), listening.next()];
        if turn.iter().all(Option::is_none) || addresses.len() >= MAX_REGISTERED {
            addresses.truncate(MAX_REGISTERED);
            return addresses;
        }
        for address in turn.into_iter().flatten() {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
    }
}

/// A candidate from a registration. Loopback addresses mean something only if the point is on this machine.
pub(crate) fn candidate(peer: PeerId, addresses: &[Multiaddr], same_machine: bool) -> Option<Candidate> {
    let usable = |address: &Multiaddr| is_dialable(address) && (same_machine || !is_loopback(address));
    let plain = addresses.iter().map(|address| split_peer_id(address.clone()).0);
    let addresses: Vec<_> = plain.filter(usable).take(MAX_ADDRESSES).collect();
    (!addresses.is_empty()).then_some(Candidate { peer: Some(peer), addresses, origin: Origin::Rendezvous })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddress")
    }

    #[test]
    fn a_point_is_registered_at_renewed_and_asked() {
        let (peer, here) = (PeerId::random(), address("/ip4/10.0.0.1/tcp/6500"));
        let mut points = Points::new(std::slice::from_ref(&here));
        let second = Duration::from_secs(1);
        assert_eq!(points.due(second, 0, |_| true), [], "nobody has answered there yet");
        assert!(!points.met(PeerId::random(), &address("/ip4/10.0.0.2/tcp/6500")));
        assert!(points.met(peer, &here));
        assert_eq!(points.due(second, 0, |_| false), [], "not connected");
        assert_eq!(points.due(second, 0, |_| true), [Errand::Register(peer), Errand::Discover(peer, None)]);
        assert_eq!(points.due(second, 0, |_| true), [], "once");
        assert!(points.registered(peer, Some(Duration::from_secs(7200)), second));
        assert!(!points.registered(peer, None, second), "no news");
        assert_eq!(points.registered_at(), [peer]);
        assert_eq!(points.due(second + ASK_LONELY, 0, |_| true), [Errand::Discover(peer, None)]);
        let renewed = points.due(second + Duration::from_secs(3600), FEW, |_| true);
        assert!(renewed.contains(&Errand::Register(peer)), "{renewed:?}");
        points.moved(second * 4000);
        let told = points.due(second * 4000 + SETTLED, FEW, |_| true);
        assert!(told.contains(&Errand::Register(peer)), "addresses have changed: {told:?}");
        assert_eq!((points.refused(peer), points.refused(peer)), (Some(here), None), "news once");
        assert_eq!(points.registered_at(), []);
        assert!(points.registered(peer, Some(Duration::MAX), second), "however long that is");
        assert!(points.refused(peer).is_some(), "news again");
    }

    #[test]
    fn a_point_that_talks_without_end_is_no_longer_asked() {
        let (peer, here) = (PeerId::random(), address("/ip4/10.0.0.1/tcp/6500"));
        let mut points = Points::new(&[here.with(libp2p::multiaddr::Protocol::P2p(peer))]);
        assert!(points.contains(peer));
        let tells = |points: &mut Points, count| {
            let nodes: Vec<_> = (0..count).map(|_| PeerId::random()).collect();
            points.discovered(peer, nodes.into_iter(), Some(vec![1]))
        };
        assert!(tells(&mut points, 100));
        assert!(!tells(&mut points, 101), "more than was asked for");
        let taken = (0..MAX_TAKEN / 100).filter(|_| tells(&mut points, 100)).count();
        assert_eq!(taken, MAX_TAKEN / 100 - 1);
        assert!(!tells(&mut points, 1));
        let due = points.due(Duration::from_secs(1), 0, |_| true);
        assert_eq!(due, [Errand::Register(peer)]);
        assert_eq!(points.due(WINDOW, 0, |_| true).len(), 2, "another day, another chance");
    }

    #[test]
    fn a_point_may_tell_of_the_same_nodes_whenever_they_renew() {
        let (peer, here) = (PeerId::random(), address("/ip4/10.0.0.1/tcp/6500"));
        let mut points = Points::new(&[here.with(libp2p::multiaddr::Protocol::P2p(peer))]);
        let group: Vec<PeerId> = (0..500).map(|_| PeerId::random()).collect();
        // Once an hour, for a day.
        for _ in 0..24 {
            assert!(group.chunks(100).all(|some| points.discovered(peer, some.iter().copied(), None)));
        }
        assert_eq!(points.due(Duration::from_secs(1), 0, |_| true).len(), 2, "it is asked again");
    }

    #[test]
    fn a_point_that_is_named_is_nobody_else() {
        let (peer, other, here) = (PeerId::random(), PeerId::random(), address("/ip4/10.0.0.1/tcp/6500"));
        let mut points = Points::new(&[here.clone().with(libp2p::multiaddr::Protocol::P2p(peer))]);
        assert!(!points.met(other, &here) && !points.contains(other) && points.contains(peer));
        let mut points = Points::new(std::slice::from_ref(&here));
        assert!(points.met(other, &here) && points.met(peer, &here), "whoever answers there");
        assert!(points.contains(peer) && !points.contains(other));
    }

    #[test]
    fn what_is_listened_on_is_among_the_first_registered() {
        let of = |net: u8, count: u8| -> Vec<Multiaddr> {
            (0..count).map(|host| address(&format!("/ip4/10.0.{net}.{host}/tcp/1"))).collect()
        };
        let (seen, here) = (of(1, 20), [vec![address("/ip4/127.0.0.1/tcp/1")], of(2, 5)].concat());
        let told = registrable(seen.iter().collect(), here.iter().collect());
        assert_eq!(told.len(), MAX_REGISTERED);
        assert_eq!(told[..4], [&seen[0], &here[1], &seen[1], &here[2]].map(Clone::clone));
        assert_eq!(told.iter().filter(|address| here.contains(address)).count(), 6);
        assert_eq!(registrable(here.iter().collect(), here.iter().collect()).len(), 6, "each once");
        assert_eq!(registrable(Vec::new(), Vec::new()), []);
    }

    #[test]
    fn loopback_addresses_are_for_the_same_machine() {
        let peer = PeerId::random();
        let addresses =
            [address("/ip4/127.0.0.1/tcp/1"), address("/ip4/10.0.0.1/tcp/1"), address("/ip4/0.0.0.0/tcp/1")];
        assert_eq!(candidate(peer, &addresses, true).map(|candidate| candidate.addresses.len()), Some(2));
        assert_eq!(candidate(peer, &addresses, false).map(|candidate| candidate.addresses.len()), Some(1));
        assert_eq!(candidate(peer, &addresses[..1], false), None);
    }
}
