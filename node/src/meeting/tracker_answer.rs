//! What a tracker says: as those of this software do, or only `{"peers": [...]}` as older ones.

use std::{collections::BTreeSet, time::Duration};

use bard_protocol::{Candidate, Multiaddr, Origin, PeerId, wire::limits::MAX_ADDRESSES};
use serde_json::Value;

use super::{
    http_peer::{MAX_TEXT, Own, is_loopback},
    place::HostPort,
};

/// Nodes taken from one answer: eight times as many as a node dials.
pub(super) const MAX_CANDIDATES: usize = 64;
/// Nodes that one answer may have asked over HTTP.
pub(super) const MAX_APIS: usize = 16;
/// The shortest and the longest time for which a registration is believed to last.
const TTL: (u64, u64) = (30, 3600);

/// What of an answer can be used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Nodes of our chain, as far as the tracker says; each with its peer id, at most [`MAX_CANDIDATES`].
    pub(super) candidates: Vec<Candidate>,
    /// Nodes that are known by the URL of their API alone; at most [`MAX_APIS`].
    pub(super) apis: Vec<HostPort>,
    /// For how long a registration lasts.
    pub(super) ttl: Option<Duration>,
}

/// Reads an answer. Addresses that mean the machine of whoever dials them count only if the tracker is on this one.
/// `None` where it is not the answer of a tracker.
pub(super) fn read(body: &[u8], own: &Own, same_machine: bool) -> Option<Heard> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let list = |name: &str| answer.get(name).and_then(Value::as_array);
    let (nodes, peers) = (list("nodes"), list("peers"));
    if nodes.is_none() && peers.is_none() {
        return None;
    }
    let ttl = answer.get("ttl_s").and_then(Value::as_u64).map(|ttl| Duration::from_secs(ttl.clamp(TTL.0, TTL.1)));
    let mut reader = Reader { own, same_machine, seen: BTreeSet::from([own.peer]), heard: Heard::default() };
    nodes.into_iter().flatten().for_each(|node| reader.node(node));
    peers.into_iter().flatten().filter_map(Value::as_str).for_each(|text| reader.peer(text));
    let Reader { mut heard, .. } = reader;
    if heard.candidates.len() > MAX_CANDIDATES {
        // Chance decides, or all would dial those at the top of the list.
        let start = getrandom::u32().map_or(0, |random| random as usize % heard.candidates.len());
        heard.candidates.rotate_left(start);
        heard.candidates.truncate(MAX_CANDIDATES);
    }
    heard.ttl = ttl;
    Some(heard)
}

struct Reader<'a> {
    own: &'a Own,
    same_machine: bool,
    /// Peers that need no second look: this node, and those whose full entry was read.
    seen: BTreeSet<PeerId>,
    heard: Heard,
}

impl Reader<'_> {
    /// An entry of `nodes`.
    fn node(&mut self, node: &Value) {
        let more = node.get("addresses").and_then(Value::as_array).into_iter().flatten();
        let texts = node.get("address").into_iter().chain(more).filter_map(Value::as_str);
        let read: Vec<_> = texts.take(1 + MAX_ADDRESSES).filter_map(split).collect();
        let Some(peer) = read.iter().find_map(|(peer, _)| *peer) else { return };
        let other_chain =
            node.get("chain").and_then(Value::as_str).is_some_and(|chain| chain != self.own.chain.to_string());
        // One of another chain is seen, too: its address may be among the plain ones once more.
        if self.seen.insert(peer) && !other_chain {
            let of_peer = read.into_iter().filter(|(named, _)| named.is_none_or(|named| named == peer));
            self.candidate(peer, of_peer.map(|(_, address)| address).collect());
        }
    }

    /// An entry of `peers`. An address without a peer id is left out: it would be dialled for ever.
    fn peer(&mut self, text: &str) {
        if text.starts_with('/') {
            if let Some((Some(peer), address)) = split(text)
                && self.seen.insert(peer)
            {
                self.candidate(peer, vec![address]);
            }
        } else if let Ok(api) = HostPort::from_url(text)
            && (self.same_machine || !api.is_loopback())
            && self.heard.apis.len() < MAX_APIS
            && !self.heard.apis.contains(&api)
        {
            self.heard.apis.push(api);
        }
    }

    fn candidate(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        let mut kept: Vec<Multiaddr> = Vec::new();
        for address in addresses.into_iter().filter(|address| self.same_machine || !is_loopback(address)) {
            if !kept.contains(&address) && kept.len() < MAX_ADDRESSES {
                kept.push(address);
            }
        }
        if !kept.is_empty() {
            self.heard.candidates.push(Candidate { peer: Some(peer), addresses: kept, origin: Origin::Tracker });
        }
    }
}

/// An address and the peer it names.
fn split(text: &str) -> Option<(Option<PeerId>, Multiaddr)> {
    let address = (text.len() <= MAX_TEXT).then(|| text.parse().ok())??;
    let Candidate { peer, addresses, .. } = Candidate::from_address(address, Origin::Tracker);
    Some((peer, addresses.into_iter().next()?))
}

#[cfg(test)]
mod tests {
    use bard_chain::hash::ChainId;
    use serde_json::json;

    use super::*;

    fn own() -> Own {
        Own { peer: PeerId::random(), chain: ChainId::new([7; 32]), chain_name: "dev".to_owned() }
    }

    fn heard(own: &Own, answer: &Value, same_machine: bool) -> Heard {
        read(answer.to_string().as_bytes(), own, same_machine).expect("an answer")
    }

    #[test]
    fn nodes_of_our_chain_and_nobody_else() {
        let own = own();
        let (friend, stranger) = (PeerId::random(), PeerId::random());
        let at = |peer, port| format!("/ip4/10.0.0.1/tcp/{port}/p2p/{peer}");
        let node = |peer, chain: ChainId| {
            let addresses = [at(peer, 1), at(peer, 2), at(own.peer, 3), "/ip4/127.0.0.1/tcp/4".to_owned()];
            json!({ "address": at(peer, 1), "addresses": addresses, "chain": chain.to_string() })
        };
        let answer = json!({
            "message": "hello",
            "peers": [at(friend, 1), at(stranger, 1), at(own.peer, 1)],
            "nodes": [node(friend, own.chain), node(stranger, ChainId::new([8; 32])), node(own.peer, own.chain)],
            "ttl_s": 180,
        });
        let far = heard(&own, &answer, false);
        assert_eq!(far.ttl, Some(Duration::from_secs(180)));
        let address = |text: &str| text.parse::<Multiaddr>().expect("one");
        let mut expected = vec![address("/ip4/10.0.0.1/tcp/1"), address("/ip4/10.0.0.1/tcp/2")];
        let candidate = |addresses| vec![Candidate { peer: Some(friend), addresses, origin: Origin::Tracker }];
        assert_eq!(far.candidates, candidate(expected.clone()));
        expected.push(address("/ip4/127.0.0.1/tcp/4"));
        assert_eq!(heard(&own, &answer, true).candidates, candidate(expected));
    }

    #[test]
    fn an_older_tracker_lists_peers_alone() {
        let (own, friend) = (own(), PeerId::random());
        let address = format!("/dns/a.example/tcp/1/p2p/{friend}");
        let peers = json!([
            "http://10.0.0.1:5001",
            "http://10.0.0.1:5001/",
            "http://localhost:5501",
            address,
            "/ip4/10.0.0.1/tcp/1",
            "nonsense",
            5,
            null,
            "https://a:1"
        ]);
        let answer = json!({ "message": "Registration successful", "peers": peers });
        let far = heard(&own, &answer, false);
        assert_eq!(far.apis, [HostPort::parse("10.0.0.1:5001").expect("one")]);
        assert_eq!((far.candidates.len(), far.ttl), (1, None));
        assert_eq!(far.candidates[0].peer, Some(friend));
        assert_eq!(heard(&own, &answer, true).apis.len(), 2);
    }

    #[test]
    fn no_answer_is_too_long_or_too_strange() {
        let own = own();
        let many: Vec<_> = (1..=500).map(|_| format!("/ip4/10.0.0.1/tcp/1/p2p/{}", PeerId::random())).collect();
        let apis: Vec<_> = (1..=500).map(|port| format!("http://10.0.0.1:{port}")).collect();
        let all: Vec<_> = many.iter().chain(&apis).collect();
        let long = heard(&own, &json!({ "peers": all, "ttl_s": 9_999_999 }), false);
        assert_eq!((long.candidates.len(), long.apis.len()), (MAX_CANDIDATES, MAX_APIS));
        assert_eq!(long.ttl, Some(Duration::from_secs(TTL.1)));
        for strange in ["", "[]", "{}", "5", "{\"peers\": 5}", "<html>", "{\"nodes\": {}}"] {
            assert_eq!(read(strange.as_bytes(), &own, true), None, "{strange}");
        }
        let nothing = json!({ "peers": [], "nodes": [5, {}, { "address": 5 }, { "address": "x", "addresses": 5 }] });
        assert_eq!(heard(&own, &nothing, true), Heard::default());
        assert_eq!(read(&b"[".repeat(100_000), &own, true), None);
    }
}
