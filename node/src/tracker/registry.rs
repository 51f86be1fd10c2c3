//! Who is registered at the HTTP tracker. Pure: time is passed in, nothing is read or written.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use serde::Serialize;

use super::address;
use crate::listener::network;

/// How long a registration lasts unless it is renewed.
pub(super) const TTL: Duration = Duration::from_secs(180);
/// Addresses of one node, as many as the protocol knows of one.
pub(super) const MAX_ADDRESSES: usize = 8;
/// Registrations in all. When full, the one that would end first makes room, of those from the range of addresses that has the
/// most; from this machine and the local network only where there are no others.
const MAX_REGISTRATIONS: usize = 4096;
/// Registrations of one origin: a class behind one router. When full, its own that would end first makes room.
const MAX_OF_SOURCE: usize = 64;
/// The same for an origin on this machine or in this local network.
const MAX_OF_NEAR_SOURCE: usize = 256;
/// Bytes of text after which an answer ends: some hundred nodes. A longer list is shown from another place each second.
const ANSWER_LEN: usize = 256 << 10;

/// What a peer announces, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    /// Where it is: a URL, `host:port` or a multiaddress, as others can reach it.
    pub(super) address: String,
    /// Multiaddresses with `/p2p/`, as others can reach them. At most [`MAX_ADDRESSES`].
    pub(super) addresses: Vec<String>,
    /// The id of its chain, 64 hex digits.
    pub(super) chain: Option<String>,
}

/// A registration as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Listed {
    /// As announced.
    pub(super) address: String,
    /// As announced.
    pub(super) addresses: Vec<String>,
    /// As announced; `None` where it named none.
    pub(super) chain: Option<String>,
    /// Seconds until it is forgotten, unless renewed.
    pub(super) expires_in_s: u64,
}

#[derive(Clone, Debug)]
struct Registration {
    addresses: Vec<String>,
    chain: Option<String>,
    source: IpAddr,
    /// Whether it came from the very host that it names: nobody else can say that.
    own: bool,
    expires: Duration,
}

/// The registrations, by address.
#[derive(Debug, Default)]
pub(super) struct Registry {
    registrations: BTreeMap<String, Registration>,
}

fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        // The loopback address is all zeros but for the last bit, which `network` takes.
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Who counts as one origin: an address, or the 48 bits that one customer may have of IPv6; with `is_range` the 24 bits of IPv4
/// that one is likely to have. Of a local network each address is one.
fn origin(ip: IpAddr, is_range: bool) -> IpAddr {
    match ip {
        _ if is_near(ip) => ip,
        IpAddr::V4(v4) if is_range => IpAddr::V4((u32::from(v4) >> 8 << 8).into()),
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 80 << 80).into()),
    }
}

impl Registry {
    /// Registers a peer, or renews that. An address that is registered already is replaced, whoever registered it; unless it
    /// was registered from its own host, which a stranger's word does not change.
    pub(super) fn register(&mut self, announced: Announcement, source: IpAddr, now: Duration) {
        self.expire(now);
        let (is_here, source) = (source.is_loopback(), network(source));
        let Announcement { address, addresses, chain } = announced;
        let own = address::ip(&address).is_some_and(|ip| network(ip) == source);
        match self.registrations.get(&address) {
            Some(known) if known.own && !own && !is_here => return,
            Some(_) => {}
            None => self.make_room(source),
        }
        let expires = now.saturating_add(TTL);
        self.registrations.insert(address, Registration { addresses, chain, source, own, expires });
    }

    /// Takes a registration back: for whoever made it and for this machine itself, or any stranger could empty the list. For
    /// anybody else, and for an unknown address, nothing happens.
    pub(super) fn unregister(&mut self, address: &str, source: IpAddr) {
        let may = |registration: &Registration| source.is_loopback() || registration.source == network(source);
        if self.registrations.get(address).is_some_and(may) {
            self.registrations.remove(address);
        }
    }

    /// How many are registered.
    pub(super) fn count(&mut self, now: Duration) -> usize {
        self.expire(now);
        self.registrations.len()
    }

    /// Those who are registered, of one chain or of all, as `asker` can reach them: what leads to this machine's own loopback
    /// is left out for others. At most about 256 KiB.
    pub(super) fn list(&mut self, asker: IpAddr, chain: Option<&str>, now: Duration) -> Vec<Listed> {
        self.expire(now);
        let matching = self.registrations.iter().filter(|(_, one)| chain.is_none() || one.chain.as_deref() == chain);
        let told = matching.filter_map(|(address, one)| one.list(address, asker, now));
        let all: Vec<Listed> = told.collect();
        if all.iter().map(Listed::len).sum::<usize>() <= ANSWER_LEN {
            return all;
        }
        let step = usize::try_from(now.as_secs()).unwrap_or_default().wrapping_mul(97);
        let start = step.checked_rem(all.len()).unwrap_or_default();
        let (count, mut length) = (all.len(), 0_usize);
        let within = |one: &Listed| {
            length = length.saturating_add(one.len());
            length <= ANSWER_LEN
        };
        let mut shown: Vec<_> = all.into_iter().cycle().skip(start).take(count).take_while(within).collect();
        shown.sort_by(|one, other| one.address.cmp(&other.address));
        shown
    }

    fn expire(&mut self, now: Duration) {
        self.registrations.retain(|_, registration| registration.expires > now);
    }

    fn make_room(&mut self, source: IpAddr) {
        let (of_source, most) =
            (origin(source, false), if is_near(source) { MAX_OF_NEAR_SOURCE } else { MAX_OF_SOURCE });
        let is_of_source = |one: &Registration| origin(one.source, false) == of_source;
        let first = if self.registrations.values().filter(|one| is_of_source(one)).count() >= most {
            self.first(is_of_source)
        } else if self.registrations.len() >= MAX_REGISTRATIONS {
            self.fullest().and_then(|fullest| self.first(|one| fullest.contains(&origin(one.source, true))))
        } else {
            return;
        };
        if let Some(address) = first {
            self.registrations.remove(&address);
        }
    }

    /// The one of these that would end first.
    fn first(&self, is_one: impl Fn(&Registration) -> bool) -> Option<String> {
        let these = self.registrations.iter().filter(|(_, one)| is_one(one));
        these.min_by_key(|(_, one)| one.expires).map(|(address, _)| address.clone())
    }

    /// The ranges that have the most, strangers' before those that are near.
    fn fullest(&self) -> Option<BTreeSet<IpAddr>> {
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for one in self.registrations.values() {
            let count = counts.entry(origin(one.source, true)).or_default();
            *count = count.saturating_add(1);
        }
        let rank = |(range, count): (&IpAddr, &usize)| (!is_near(*range), *count);
        let most = counts.iter().map(rank).max()?;
        Some(counts.iter().filter(|one| rank(*one) == most).map(|(range, _)| *range).collect())
    }
}

impl Registration {
    fn list(&self, address: &str, asker: IpAddr, now: Duration) -> Option<Listed> {
        let usable = |address: &str| asker.is_loopback() || !address::is_local(address);
        let addresses: Vec<_> = self.addresses.iter().filter(|address| usable(address)).cloned().collect();
        // Told by another of its addresses where its first leads to this machine alone.
        let address = if usable(address) { address } else { addresses.first()? };
        Some(Listed {
            address: address.to_owned(),
            expires_in_s: self.expires.saturating_sub(now).as_secs(),
            chain: self.chain.clone(),
            addresses,
        })
    }
}

impl Listed {
    /// What it takes of an answer, in bytes: it is told whole, and its address once more in the other list.
    fn len(&self) -> usize {
        serde_json::to_vec(&(self, &self.address)).map_or(ANSWER_LEN, |text| text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn announce(address: &str) -> Announcement {
        Announcement { address: address.to_owned(), addresses: Vec::new(), chain: None }
    }

    fn peers(registry: &mut Registry, asker: &str, at: u64) -> Vec<String> {
        registry.list(ip(asker), None, Duration::from_secs(at)).into_iter().map(|one| one.address).collect()
    }

    /// How many are registered whose address has this part.
    fn of(registry: &Registry, part: &str) -> usize {
        registry.registrations.keys().filter(|address| address.contains(part)).count()
    }

    #[test]
    fn registrations_are_told_renewed_and_forgotten() {
        let mut registry = Registry::default();
        registry.register(announce("http://10.0.0.2:5501"), ip("10.0.0.2"), START);
        registry.register(announce("http://10.0.0.1:5501"), ip("10.0.0.1"), START);
        registry.register(announce("http://10.0.0.1:5501"), ip("10.0.0.1"), Duration::from_secs(100));
        assert_eq!(peers(&mut registry, "10.0.0.9", 179), ["http://10.0.0.1:5501", "http://10.0.0.2:5501"]);
        assert_eq!(peers(&mut registry, "10.0.0.9", 180), ["http://10.0.0.1:5501"]);
        assert_eq!(registry.list(ip("10.0.0.9"), None, Duration::from_secs(180))[0].expires_in_s, 100);
        assert_eq!(registry.count(Duration::from_secs(280)), 0);
    }

    #[test]
    fn only_its_maker_or_this_machine_takes_a_registration_back() {
        let mut registry = Registry::default();
        for address in ["http://10.0.0.1:1", "http://10.0.0.1:2"] {
            registry.register(announce(address), ip("10.0.0.1"), START);
        }
        registry.unregister("http://10.0.0.1:1", ip("10.0.0.2"));
        registry.unregister("http://nowhere:1", ip("10.0.0.1"));
        assert_eq!(registry.count(START), 2);
        registry.unregister("http://10.0.0.1:1", ip("10.0.0.1"));
        registry.unregister("http://10.0.0.1:2", ip("127.0.0.1"));
        assert_eq!(registry.count(START), 0);
    }

    #[test]
    fn a_stranger_s_word_does_not_replace_a_host_s_own() {
        let mut registry = Registry::default();
        let (address, stranger) = ("http://10.0.0.1:1", ip("10.0.0.2"));
        let of = |chain: &str| Announcement { chain: Some(chain.to_owned()), ..announce(address) };
        let chain = |registry: &mut Registry| registry.list(stranger, None, START)[0].chain.clone().unwrap_or_default();
        registry.register(of("false"), stranger, START);
        registry.register(of("true"), ip("10.0.0.1"), START);
        assert_eq!(chain(&mut registry), "true", "the host itself knows better");
        registry.register(of("false"), stranger, START);
        registry.unregister(address, stranger);
        assert_eq!(chain(&mut registry), "true");
        registry.register(of("told here"), ip("127.0.0.1"), START);
        assert_eq!(chain(&mut registry), "told here");
        for (number, source) in [("one", "10.0.0.1"), ("two", "10.0.0.2")] {
            let named = Announcement { chain: Some(number.to_owned()), ..announce("http://0name:1") };
            registry.register(named, ip(source), START);
        }
        assert_eq!(chain(&mut registry), "two", "a name is nobody's own");
    }

    #[test]
    fn what_is_on_this_machine_is_told_on_this_machine() {
        let mut registry = Registry::default();
        registry.register(announce("http://127.0.0.1:1"), ip("127.0.0.1"), START);
        let with_more = Announcement {
            address: "http://localhost:2".into(),
            addresses: vec!["/ip4/127.0.0.1/tcp/1".into(), "/ip4/10.0.0.5/tcp/1".into()],
            chain: None,
        };
        registry.register(with_more, ip("127.0.0.1"), START);
        assert_eq!(peers(&mut registry, "127.0.0.1", 0), ["http://127.0.0.1:1", "http://localhost:2"]);
        let told = registry.list(ip("10.0.0.9"), None, START);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].address.as_str(), told[0].addresses.len()), ("/ip4/10.0.0.5/tcp/1", 1));
    }

    #[test]
    fn chains_are_told_apart() {
        let mut registry = Registry::default();
        let of =
            |chain: Option<&str>, address: &str| Announcement { chain: chain.map(str::to_owned), ..announce(address) };
        registry.register(of(Some("a"), "a:1"), ip("10.0.0.1"), START);
        registry.register(of(Some("b"), "b:1"), ip("10.0.0.1"), START);
        registry.register(of(None, "c:1"), ip("10.0.0.1"), START);
        let told = |chain, registry: &mut Registry| registry.list(ip("10.0.0.1"), chain, START).len();
        assert_eq!(told(None, &mut registry), 3);
        assert_eq!(told(Some("a"), &mut registry), 1);
        assert_eq!(told(Some("z"), &mut registry), 0);
    }

    #[test]
    fn one_origin_replaces_its_own_and_nobody_else_s() {
        let mut registry = Registry::default();
        let far = |number: usize| announce(&format!("http://203.0.113.1:{}", number + 1));
        for number in 0..MAX_OF_SOURCE + 5 {
            registry.register(far(number), ip("203.0.113.1"), Duration::from_millis(number as u64));
        }
        assert_eq!(registry.count(START), MAX_OF_SOURCE);
        registry.unregister("http://203.0.113.1:5", ip("203.0.113.1"));
        assert_eq!(registry.count(START), MAX_OF_SOURCE, "the first five made room");
        for number in 0..MAX_OF_NEAR_SOURCE + 5 {
            let near = announce(&format!("http://127.0.0.1:{}", number + 1));
            registry.register(near, ip("::1"), START);
        }
        assert_eq!(registry.count(START), MAX_OF_SOURCE + MAX_OF_NEAR_SOURCE);
        let mut number = 0_u32;
        while registry.count(START) < MAX_REGISTRATIONS {
            let source = IpAddr::from([100, 0, (number / 250) as u8, (number % 250) as u8]);
            registry.register(announce(&format!("http://{source}:1")), source, START);
            number += 1;
        }
        registry.register(announce("http://198.51.100.1:1"), ip("198.51.100.1"), START);
        assert_eq!((registry.count(START), of(&registry, "http://198.51.100.1:1")), (MAX_REGISTRATIONS, 1));
        registry.register(far(70_000), ip("203.0.113.1"), START);
        assert_eq!(of(&registry, "http://203.0.113.1:"), MAX_OF_SOURCE, "it makes room itself");
        assert_eq!(of(&registry, "http://127.0.0.1:"), MAX_OF_NEAR_SOURCE, "strangers make room first");
    }

    #[test]
    fn a_network_of_six_or_a_range_keeps_nobody_out() {
        let mut registry = Registry::default();
        let mut register = |from: &str, number: usize| {
            registry.register(announce(&format!("http://h{number}:{from}")), ip(from), START);
            registry.count(START)
        };
        // Twenty of the 65,536 networks that one customer has.
        for number in 0..20 * MAX_OF_SOURCE {
            assert!(register(&format!("2a00:1:2:{:x}::1", number % 20), number) <= MAX_OF_SOURCE);
        }
        for number in 0..70 * MAX_OF_SOURCE {
            register(&format!("198.51.100.{}", number % 70), number);
        }
        assert_eq!(register("203.0.113.1", 0), MAX_REGISTRATIONS);
        register("2a00:1:3::1", 0);
        let counts = [":203.0.113.1", ":2a00:1:3:", ":2a00:1:2:"].map(|from| of(&registry, from));
        assert_eq!(counts, [1, 1, MAX_OF_SOURCE]);
    }

    #[test]
    fn a_long_list_is_told_in_parts() {
        let mut registry = Registry::default();
        let long = |number: u8| format!("/dns4/{}/tcp/{}/p2p/x", "a".repeat(200), u16::from(number) + 1);
        for number in 0..250 {
            let addresses = (0..8).map(|_| long(number)).collect();
            let announced = Announcement { addresses, ..announce(&format!("http://10.0.0.{number}:1")) };
            registry.register(announced, IpAddr::from([10, 0, 0, number]), START);
        }
        let (first, later) = (peers(&mut registry, "10.0.0.1", 0), peers(&mut registry, "10.0.0.1", 1));
        assert!(first.len() > 100 && first.len() < 200, "{}", first.len());
        assert_ne!(first, later);
        let mut all = first;
        for at in 1..60 {
            all.extend(peers(&mut registry, "10.0.0.1", at));
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 250);
    }

    #[test]
    fn a_list_is_measured_as_it_is_written() {
        let mut registry = Registry::default();
        for number in 0..MAX_OF_SOURCE {
            // What is written as two characters; no address has it, but nothing here relies on that.
            let padded = format!("/dns/{}/tcp/1/p2p/x", "\"".repeat(220));
            let announced = Announcement {
                addresses: vec![padded; MAX_ADDRESSES],
                ..announce(&format!("http://203.0.113.1:{}/{}", number + 1, "\"".repeat(200)))
            };
            registry.register(announced, ip("203.0.113.1"), START);
        }
        let told = registry.list(ip("203.0.113.1"), None, START);
        let addresses: Vec<_> = told.iter().map(|one| &one.address).collect();
        let length = serde_json::to_vec(&(&told, addresses)).expect("JSON").len();
        assert!(length <= ANSWER_LEN && length > ANSWER_LEN / 2, "{length}");
    }
}
