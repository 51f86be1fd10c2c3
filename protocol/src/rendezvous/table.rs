//! Who is registered under which name. Pure: time is passed in.

use core::{net::IpAddr, time::Duration};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use libp2p::PeerId;

use super::{
    messages::{Answer, Cookie, Listed, Refusal},
    signer,
};
use crate::ranges::Range;

/// The longest record, in bytes: 8 addresses of the longest kind, key and signature.
pub(super) const MAX_RECORD_LEN: usize = 4 << 10;
/// Registrations of one peer: a node has one a chain. A new one above that is refused.
const MAX_OF_PEER: usize = 8;
/// Registrations made from one range of the internet, or one address elsewhere: a school behind one router. A new one above
/// that takes the place of its oldest, unless it comes from this machine itself.
const MAX_OF_SOURCE: usize = 512;
/// Registrations in all, about 45 MB at their longest. A new one above that takes the place of the oldest from where there are
/// most: who is there renews his, and who has gone does not.
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
    /// The numbers of those from each source; none is empty.
    by_source: BTreeMap<Source, BTreeSet<u64>>,
    next: u64,
}

/// From where a registration was made, as far as it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Unknown,
    Range(Range),
    /// Of a private network, or this machine.
    Near(IpAddr),
}

impl Source {
    fn of(ip: Option<IpAddr>) -> Self {
        ip.map_or(Self::Unknown, |ip| Range::of_ip(ip).map_or(Self::Near(ip), Self::Range))
    }

    fn is_here(self) -> bool {
        matches!(self, Self::Near(ip) if ip.is_loopback())
    }
}

#[derive(Debug)]
struct Registration {
    peer: PeerId,
    namespace: String,
    record: Vec<u8>,
    source: Source,
    expires: Duration,
}

impl Table {
    /// An empty table that numbers from `first` on. It should be above every number of an earlier run, so that cookies from
    /// before a restart hide nobody.
    pub(crate) fn new(first: u64) -> Self {
        let (by_number, numbers, by_source) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { by_number, numbers, by_source, next: first.max(1) }
    }

    /// Whether a peer is registered under any name.
    pub(crate) fn contains(&self, peer: &PeerId) -> bool {
        self.of_peer(peer) > 0
    }

    /// Forgets those whose time is over.
    pub(crate) fn expire(&mut self, now: Duration) {
        let over = self.by_number.iter().filter(|(_, registration)| registration.expires <= now);
        for number in over.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.remove(number);
        }
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
        let (key, source) = ((peer, namespace), Source::of(source));
        let is_new = !self.numbers.contains_key(&key);
        if is_new && self.of_peer(&peer) >= MAX_OF_PEER {
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
        match self.numbers.get(&key) {
            Some(old) => self.remove(*old),
            None => self.make_room(source),
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let expires = now.saturating_add(Duration::from_secs(ttl));
        let registration = Registration { peer, namespace: key.1.clone(), record, source, expires };
        self.numbers.insert(key, number);
        self.by_source.entry(source).or_default().insert(number);
        self.by_number.insert(number, registration);
        Answer::Registered(ttl)
    }

    /// Takes a registration back.
    pub(crate) fn unregister(&mut self, peer: PeerId, namespace: String) {
        if let Some(number) = self.numbers.get(&(peer, namespace)) {
            self.remove(*number);
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

    /// Takes one out where a new one from this source finds no place.
    fn make_room(&mut self, source: Source) {
        let own = self.by_source.get(&source).filter(|own| !source.is_here() && own.len() >= MAX_OF_SOURCE);
        let oldest = match own {
            Some(own) => own.first(),
            None if self.by_number.len() >= MAX_REGISTRATIONS => {
                let fullest = self.by_source.values().max_by_key(|numbers| (numbers.len(), Reverse(numbers.first())));
                fullest.and_then(BTreeSet::first)
            }
            None => None,
        };
        if let Some(oldest) = oldest {
            self.remove(*oldest);
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(Registration { peer, namespace, source, .. }) = self.by_number.remove(&number) else { return };
        self.numbers.remove(&(peer, namespace));
        if let Some(numbers) = self.by_source.get_mut(&source) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_source.remove(&source);
            }
        }
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
    }

    /// Fills a table from these sources, one record for all: of one peer after the other.
    fn fill(table: &mut Table, count: usize, source: impl Fn(usize) -> IpAddr) {
        for number in 0..count {
            let peer = Peer::new();
            let answer = table.register(peer.id(), Some(source(number)), ("a".into(), peer.record(), None), HOUR);
            assert_eq!(answer, Answer::Registered(DEFAULT_TTL));
        }
    }

    fn of(table: &Table, source: &str) -> usize {
        let source = Source::of(source.parse().ok());
        table.by_number.values().filter(|registration| registration.source == source).count()
    }

    #[test]
    fn a_source_that_has_its_share_replaces_its_own() {
        let mut table = Table::new(1);
        let first = Peer::new();
        first.register(&mut table, "a", Duration::ZERO);
        fill(&mut table, MAX_OF_SOURCE, |_| IpAddr::from([10, 0, 0, 1]));
        assert_eq!((of(&table, "10.0.0.1"), table.contains(&first.id())), (MAX_OF_SOURCE, false));
        fill(&mut table, MAX_OF_SOURCE + 8, |_| IpAddr::from([127, 0, 0, 1]));
        assert_eq!(of(&table, "127.0.0.1"), MAX_OF_SOURCE + 8, "this machine is trusted");
        // Twenty of the 65,536 networks that one customer has.
        let of_one = |number: usize| IpAddr::from([0x2a00, 1, 2, number as u16 % 20, 0, 0, 0, 1]);
        fill(&mut table, MAX_OF_SOURCE + 20, of_one);
        assert_eq!(of(&table, "2a00:1:2:ffff::"), MAX_OF_SOURCE);
        assert_eq!(table.numbers.len(), 3 * MAX_OF_SOURCE + 8);
        assert_eq!(table.by_source.values().map(BTreeSet::len).sum::<usize>(), table.numbers.len());
    }

    #[test]
    fn a_newcomer_to_a_full_table_takes_a_place_from_where_most_come_from() {
        let mut table = Table::new(1);
        fill(&mut table, MAX_REGISTRATIONS, |number| match number {
            0 => IpAddr::from([198, 41, 0, 4]),
            _ => IpAddr::from([0x2a00, 1, number as u16 % 20, 0, 0, 0, 0, 1]),
        });
        let oldest = table.by_number.iter().find(|(_, one)| one.source == Source::of("2a00:1:1::".parse().ok()));
        let oldest = oldest.map(|(_, one)| one.peer).expect("one");
        fill(&mut table, 20, |_| IpAddr::from([8, 8, 8, 8]));
        assert_eq!(
            (table.by_number.len(), of(&table, "8.8.8.1"), of(&table, "198.41.0.1")),
            (MAX_REGISTRATIONS, 20, 1)
        );
        assert!(!table.contains(&oldest), "the oldest went");
        table.expire(HOUR * 4);
        assert!(table.numbers.is_empty() && table.by_source.is_empty());
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
