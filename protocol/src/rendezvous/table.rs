//! Who is registered under which name. Pure: time is passed in.

use core::{net::IpAddr, time::Duration};
use std::collections::BTreeMap;

use libp2p::PeerId;

use super::{
    messages::{Answer, Cookie, Listed, Refusal},
    signer,
};

/// The longest record, in bytes: 8 addresses of the longest kind, key and signature.
pub(super) const MAX_RECORD_LEN: usize = 4 << 10;
/// Registrations of one peer: a node has one a chain. A new one above that is refused.
const MAX_OF_PEER: usize = 8;
/// Registrations made from one address: a school behind one router. A new one above that is refused, unless it comes from
/// this machine itself.
const MAX_OF_SOURCE: usize = 512;
/// Registrations in all, about 45 MB at their longest. A new one above that is refused.
const MAX_REGISTRATIONS: usize = 10_000;
/// How long a registration lasts, in seconds: at least so long, so that renewing does not become a load, and at most a day,
/// so that those who are gone are forgotten. Unless it says so itself, as long as the specification says.
const MIN_TTL: u64 = 60;
const MAX_TTL: u64 = 24 * 3600;
const DEFAULT_TTL: u64 = 2 * 3600;
/// Registrations in one answer at most, and bytes of records after which it ends: others follow by the cookie.
const MAX_LISTED: usize = 1_000;
const ANSWER_TARGET_LEN: usize = 256 << 10;

/// The registrations, in the order in which they were made or renewed.
#[derive(Debug)]
pub(crate) struct Table {
    by_number: BTreeMap<u64, Registration>,
    numbers: BTreeMap<(PeerId, String), u64>,
    next: u64,
}

#[derive(Debug)]
struct Registration {
    namespace: String,
    record: Vec<u8>,
    source: Option<IpAddr>,
    expires: Duration,
}

impl Table {
    /// An empty table that numbers from `first` on. It should be above every number of an earlier run, so that cookies from
    /// before a restart hide nobody.
    pub(crate) fn new(first: u64) -> Self {
        Self { by_number: BTreeMap::new(), numbers: BTreeMap::new(), next: first.max(1) }
    }

    /// Whether a peer is registered under any name.
    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.of_peer(peer) > 0
    }

    /// Forgets those whose time is over.
    pub(crate) fn expire(&mut self, now: Duration) {
        self.by_number.retain(|_, registration| registration.expires > now);
        self.numbers.retain(|_, number| self.by_number.contains_key(number));
    }

    /// Registers a peer, or renews that.
    pub(crate) fn register(
        &mut self,
        peer: PeerId,
        source: Option<IpAddr>,
        (namespace, record, ttl): (String, Vec<u8>, Option<u64>),
        now: Duration,
    ) -> Answer {
        let ttl = ttl.unwrap_or(DEFAULT_TTL);
        if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
            return Answer::NotRegistered(Refusal::BadTtl);
        }
        let key = (peer, namespace);
        if !self.numbers.contains_key(&key) && !self.has_room(&peer, source) {
            return Answer::NotRegistered(Refusal::Unavailable);
        }
        if record.len() > MAX_RECORD_LEN {
            return Answer::NotRegistered(Refusal::BadRecord);
        }
        match signer(&record) {
            None => return Answer::NotRegistered(Refusal::BadRecord),
            Some(signer) if signer != peer => return Answer::NotRegistered(Refusal::NotAuthorised),
            Some(_) => {}
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let registration = Registration {
            namespace: key.1.clone(),
            record,
            source,
            expires: now.saturating_add(Duration::from_secs(ttl)),
        };
        if let Some(old) = self.numbers.insert(key, number) {
            self.by_number.remove(&old);
        }
        self.by_number.insert(number, registration);
        Answer::Registered(ttl)
    }

    /// Takes a registration back.
    pub(crate) fn unregister(&mut self, peer: PeerId, namespace: String) {
        if let Some(number) = self.numbers.remove(&(peer, namespace)) {
            self.by_number.remove(&number);
        }
    }

    /// Those under a name, or any, that the cookie has not seen yet, the oldest first.
    pub(crate) fn discover(
        &self,
        namespace: Option<String>,
        limit: Option<u64>,
        cookie: Option<Cookie>,
        now: Duration,
    ) -> Answer {
        if cookie.as_ref().is_some_and(|cookie| cookie.namespace.is_some() && cookie.namespace != namespace) {
            return Answer::NotFound(Refusal::BadCookie);
        }
        // A number that was never given is of another server: its cookie says nothing.
        let mut seen = cookie.map_or(0, |cookie| cookie.seen);
        if seen >= self.next {
            seen = 0;
        }
        let limit = limit.map_or(MAX_LISTED, |limit| usize::try_from(limit).unwrap_or(MAX_LISTED)).min(MAX_LISTED);
        let (mut listed, mut length) = (Vec::new(), 0_usize);
        for (number, registration) in self.by_number.range(seen.saturating_add(1)..) {
            if listed.len() >= limit || length >= ANSWER_TARGET_LEN {
                break;
            }
            let wanted = namespace.as_ref().is_none_or(|wanted| *wanted == registration.namespace);
            if wanted && registration.expires > now {
                length = length.saturating_add(registration.record.len());
                listed.push(registration.list(now));
                seen = *number;
            }
        }
        Answer::Found { listed, cookie: Cookie { seen, namespace } }
    }

    fn of_peer(&self, peer: &PeerId) -> usize {
        self.numbers.range((*peer, String::new())..).take_while(|((of, _), _)| of == peer).count()
    }

    fn has_room(&self, peer: &PeerId, source: Option<IpAddr>) -> bool {
        let of_source = || self.by_number.values().filter(|registration| registration.source == source).count();
        self.by_number.len() < MAX_REGISTRATIONS
            && self.of_peer(peer) < MAX_OF_PEER
            && (source.is_some_and(|ip| ip.is_loopback()) || of_source() < MAX_OF_SOURCE)
    }
}

impl Registration {
    fn list(&self, now: Duration) -> Listed {
        let left = self.expires.saturating_sub(now).as_secs();
        Listed { namespace: self.namespace.clone(), record: self.record.clone(), ttl: left }
    }
}

#[cfg(test)]
mod tests {
    use libp2p::{core::PeerRecord, identity::Keypair};

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    struct Peer(Keypair);

    impl Peer {
        fn new() -> Self {
            Self(Keypair::generate_ed25519())
        }

        fn id(&self) -> PeerId {
            self.0.public().to_peer_id()
        }

        fn record(&self) -> Vec<u8> {
            let address = "/ip4/10.0.0.1/tcp/1".parse().expect("a multiaddress");
            PeerRecord::new(&self.0, vec![address]).expect("signed").into_signed_envelope().into_protobuf_encoding()
        }

        fn register(&self, table: &mut Table, namespace: &str, now: Duration) -> Answer {
            let source = Some(IpAddr::from([10, 0, 0, 1]));
            table.register(self.id(), source, (namespace.to_owned(), self.record(), Some(3600)), now)
        }
    }

    fn found(answer: Answer) -> (usize, Cookie) {
        match answer {
            Answer::Found { listed, cookie } => (listed.len(), cookie),
            other => panic!("{other:?}"),
        }
    }

    fn ask(table: &Table, namespace: &str, cookie: Option<Cookie>) -> (usize, Cookie) {
        found(table.discover(Some(namespace.to_owned()), None, cookie, Duration::ZERO))
    }

    #[test]
    fn names_do_not_mix_and_cookies_leave_out_what_was_told() {
        let mut table = Table::new(1);
        let (one, two) = (Peer::new(), Peer::new());
        assert_eq!(one.register(&mut table, "a", Duration::ZERO), Answer::Registered(3600));
        two.register(&mut table, "b", Duration::ZERO);
        let (count, cookie) = ask(&table, "a", None);
        assert_eq!(count, 1);
        assert_eq!(ask(&table, "c", None).0, 0);
        assert_eq!(found(table.discover(None, None, None, Duration::ZERO)).0, 2);
        assert_eq!(found(table.discover(None, Some(1), None, Duration::ZERO)).0, 1);
        two.register(&mut table, "a", Duration::ZERO);
        let (count, later) = ask(&table, "a", Some(cookie.clone()));
        assert_eq!(count, 1, "only the new one");
        assert_eq!(ask(&table, "a", Some(later)).0, 0);
        let other = table.discover(Some("b".into()), None, Some(cookie), Duration::ZERO);
        assert_eq!(other, Answer::NotFound(Refusal::BadCookie));
        let of_elsewhere = Cookie { seen: u64::MAX, namespace: Some("a".into()) };
        assert_eq!(ask(&table, "a", Some(of_elsewhere)).0, 2);
    }

    #[test]
    fn registrations_end_and_renewals_replace() {
        let mut table = Table::new(1);
        let peer = Peer::new();
        peer.register(&mut table, "a", Duration::ZERO);
        for _ in 0..20 {
            peer.register(&mut table, "a", HOUR / 2);
        }
        assert_eq!((table.by_number.len(), table.numbers.len()), (1, 1));
        assert_eq!(found(table.discover(None, None, None, HOUR)).0, 1);
        table.expire(HOUR);
        assert!(table.contains(&peer.id()));
        assert_eq!(found(table.discover(None, None, None, HOUR * 2)).0, 0, "over, if not yet forgotten");
        table.expire(HOUR * 2);
        assert!(!table.contains(&peer.id()) && table.numbers.is_empty());
        peer.register(&mut table, "a", HOUR * 2);
        table.unregister(peer.id(), "a".into());
        table.unregister(peer.id(), "b".into());
        assert!(table.by_number.is_empty() && table.numbers.is_empty());
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let mut table = Table::new(1);
        let peer = Peer::new();
        for number in 0..MAX_OF_PEER {
            assert_eq!(peer.register(&mut table, &number.to_string(), Duration::ZERO), Answer::Registered(3600));
        }
        let refused = Answer::NotRegistered(Refusal::Unavailable);
        assert_eq!(peer.register(&mut table, "one more", Duration::ZERO), refused);
        assert_eq!(peer.register(&mut table, "0", Duration::ZERO), Answer::Registered(3600), "a renewal");
        for _ in MAX_OF_PEER..MAX_OF_SOURCE {
            assert_eq!(Peer::new().register(&mut table, "a", Duration::ZERO), Answer::Registered(3600));
        }
        assert_eq!(Peer::new().register(&mut table, "a", Duration::ZERO), refused);
        let near = Peer::new();
        let from_here = Some(IpAddr::from([127, 0, 0, 1]));
        let answer = table.register(near.id(), from_here, ("a".into(), near.record(), None), Duration::ZERO);
        assert_eq!(answer, Answer::Registered(DEFAULT_TTL));
    }

    #[test]
    fn records_are_short_signed_and_the_asker_s_own() {
        let mut table = Table::new(1);
        let (peer, other) = (Peer::new(), Peer::new());
        let mut register =
            |record: Vec<u8>, ttl| table.register(peer.id(), None, ("a".into(), record, ttl), Duration::ZERO);
        assert_eq!(register(other.record(), None), Answer::NotRegistered(Refusal::NotAuthorised));
        assert_eq!(register(vec![1, 2, 3], None), Answer::NotRegistered(Refusal::BadRecord));
        let mut forged = peer.record();
        if let Some(last) = forged.last_mut() {
            *last ^= 1;
        }
        assert_eq!(register(forged, None), Answer::NotRegistered(Refusal::BadRecord));
        assert_eq!(register(vec![0; MAX_RECORD_LEN + 1], None), Answer::NotRegistered(Refusal::BadRecord));
        assert_eq!(register(peer.record(), Some(MIN_TTL - 1)), Answer::NotRegistered(Refusal::BadTtl));
        assert_eq!(register(peer.record(), Some(MAX_TTL + 1)), Answer::NotRegistered(Refusal::BadTtl));
        assert_eq!(register(peer.record(), Some(MIN_TTL)), Answer::Registered(MIN_TTL));
    }
}
