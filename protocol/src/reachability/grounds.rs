//! What a verdict rests on, and what a person can do about it, in words.

use libp2p::{Multiaddr, PeerId};

use super::{ListenPort, ReachabilityVerdict, observer::OBSERVERS};

/// How much of an address that a stranger named is shown, in characters: one with a name of the longest kind is shown whole.
const ADDRESS_SHOWN: usize = 300;

/// What is known of how this node is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grounds {
    /// Where peers see this node, and how many observers say so; at most 16.
    pub seen: Vec<(Multiaddr, usize)>,
    /// Whether they see it at an address that no interface of this machine has: a router in between translates (NAT).
    pub behind_nat: bool,
    /// Whether peers are asked to connect to this node (AutoNAT).
    pub probing: bool,
    /// Addresses that they were asked to connect to; at most 16.
    pub tried: Vec<Tried>,
    /// What the router does.
    pub router: Router,
    /// Addresses that the router forwards to this node; at most 16.
    pub mapped: Vec<Multiaddr>,
    /// Addresses that a person told; at most 16.
    pub configured: Vec<Multiaddr>,
    /// Relays that hold a place for this node, at most 8, and where it is reached through each, at most 4.
    pub relays: Vec<(PeerId, Vec<Multiaddr>)>,
    /// Hosts of the local network from which peers have connected; at most 64 with those outside.
    pub local: usize,
    /// Hosts outside of it from which peers have connected.
    pub outside: usize,
    /// Peers that are connected directly because this node dialled them.
    pub dialled: usize,
    /// What this node listens on.
    pub ports: Vec<ListenPort>,
}

/// An address that peers were asked to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Where.
    pub address: Multiaddr,
    /// Peers that reached this node there; at most 16 with those that did not.
    pub reached: usize,
    /// Peers that did not.
    pub failed: usize,
}

/// What a router does that is asked to forward ports (UPnP).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Router {
    /// It is not asked.
    #[default]
    NotAsked,
    /// It has not answered yet.
    Asked,
    /// There is none that forwards by itself.
    None,
    /// It is not on the public internet itself.
    Inner,
    /// It forwards.
    Forwards,
}

fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        0 => format!("no {one}"),
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

/// An address as text: strangers choose parts of it.
fn shown(address: &Multiaddr) -> String {
    let text = address.to_string();
    let mut shown: String = text.chars().filter(|one| !one.is_control()).take(ADDRESS_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

impl Grounds {
    /// What was told, seen and tried, a line each.
    pub fn reasons(&self) -> Vec<String> {
        let told = self.configured.iter().map(|address| format!("--external-address says {}", shown(address)));
        let mut reasons: Vec<String> = told.collect();
        reasons.extend(self.seen.iter().map(|(address, observers)| {
            let who = count(*observers, "observer sees", "observers see");
            let enough = if *observers >= OBSERVERS { "" } else { ", too few to tell it to others" };
            format!("{who} this node at {}{enough}", shown(address))
        }));
        if self.behind_nat {
            reasons
                .push("no interface of this machine has that address: a router in between translates (NAT)".to_owned());
        }
        reasons.extend(self.tried());
        reasons.push(self.of_router());
        let places = self.relays.iter().flat_map(|(relay, all)| all.iter().map(move |address| (relay, address)));
        reasons.extend(
            places.map(|(relay, address)| format!("relay {relay} passes on what is sent to {}", shown(address))),
        );
        let local = count(self.local, "host", "hosts");
        let outside = count(self.outside, "host", "hosts");
        reasons
            .push(format!("peers have connected from {local} of the local network and from {outside} outside of it"));
        if self.dialled > 0 {
            let peers = count(self.dialled, "peer is", "peers are");
            reasons.push(format!("{peers} connected because this node dialled: such a connection serves both ways"));
        }
        reasons
    }

    fn tried(&self) -> Vec<String> {
        if !self.probing {
            return vec!["no peer is asked to connect back: AutoNAT is off".to_owned()];
        }
        if self.tried.is_empty() {
            return vec!["no peer has tried to connect back yet (AutoNAT)".to_owned()];
        }
        let line = |Tried { address, reached, failed }: &Tried| {
            let who = count(reached.saturating_add(*failed), "peer was", "peers were");
            format!("{who} asked to connect to {}: {reached} did, {failed} could not (AutoNAT)", shown(address))
        };
        self.tried.iter().map(line).collect()
    }

    fn of_router(&self) -> String {
        match self.router {
            Router::NotAsked => "the router is not asked to forward anything: UPnP is off".to_owned(),
            Router::Asked => "the router was asked to forward, and has not answered (UPnP)".to_owned(),
            Router::None => "no router here forwards by itself (UPnP)".to_owned(),
            Router::Inner => "the router is not on the public internet itself (UPnP)".to_owned(),
            Router::Forwards => {
                let all: Vec<_> = self.mapped.iter().map(shown).collect();
                format!("the router forwards {} to this node (UPnP)", all.join(" and "))
            }
        }
    }

    /// What a person can do, a line each; nothing where all is well.
    pub fn advice(&self, verdict: &ReachabilityVerdict) -> Vec<String> {
        let relayed = match verdict {
            ReachabilityVerdict::Public { .. } | ReachabilityVerdict::LocalNetwork { failed: 0, .. } => {
                return Vec::new();
            }
            ReachabilityVerdict::Unknown if !self.probing => {
                return vec!["leave out --no-autonat: then peers on other machines try".to_owned()];
            }
            ReachabilityVerdict::Unknown => {
                return vec!["connect to a node on another machine: then somebody can try".to_owned()];
            }
            ReachabilityVerdict::ThisMachine => {
                let listen = "/ip4/0.0.0.0/tcp/6000";
                return vec![format!("listen on more than loopback: leave --listen out, or --listen {listen}")];
            }
            ReachabilityVerdict::Relayed { .. } => true,
            ReachabilityVerdict::LocalNetwork { .. } | ReachabilityVerdict::Unreachable { .. } => false,
        };
        let mut all = vec!["nothing must be done: a node that only dials out takes part in everything".to_owned()];
        let ports: Vec<_> = self.ports.iter().map(ListenPort::to_string).collect();
        let ports = if ports.is_empty() { "its port".to_owned() } else { ports.join(" and ") };
        all.push(if self.behind_nat {
            format!("to be reached directly, forward {ports} on the router")
        } else {
            format!("to be reached directly, let {ports} in through the firewalls of this machine and its network")
        });
        if !relayed {
            all.push("or have others come through a relay: --relay-server on a node that can be reached".to_owned());
        }
        match self.router {
            Router::NotAsked if self.behind_nat => {
                all.push("leave out --no-upnp: many routers forward by themselves".to_owned());
            }
            Router::Inner => all.push("another router stands in front of this one: forward there as well".to_owned()),
            Router::Forwards => {
                all.push(
                    "the router says that it forwards, but nobody gets in: look what stands in front of it".to_owned(),
                );
            }
            Router::NotAsked | Router::Asked | Router::None => {}
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: &str = "/ip4/8.8.8.8/tcp/6000";

    fn address(text: &str) -> Multiaddr {
        text.parse().expect("a multiaddress")
    }

    /// A node of which nothing is known but that peers may be asked.
    fn fresh() -> Grounds {
        Grounds { probing: true, ports: vec![ListenPort::Tcp(6000)], ..Grounds::default() }
    }

    fn says(grounds: &Grounds, line: &str) {
        let reasons = grounds.reasons();
        assert!(reasons.iter().any(|reason| reason == line), "{line}\nis none of\n{reasons:#?}");
    }

    #[test]
    fn nothing_is_known_at_first() {
        assert_eq!(
            fresh().reasons(),
            [
                "no peer has tried to connect back yet (AutoNAT)",
                "the router is not asked to forward anything: UPnP is off",
                "peers have connected from no host of the local network and from no host outside of it",
            ]
        );
        says(&Grounds::default(), "no peer is asked to connect back: AutoNAT is off");
    }

    #[test]
    fn every_ground_is_a_line() {
        let (relay, circuit) = (PeerId::random(), "/ip4/9.9.9.9/tcp/3/p2p-circuit");
        let tried = |reached, failed| Tried { address: address(SEEN), reached, failed };
        let grounds = Grounds {
            seen: vec![(address("/ip4/8.8.8.8/tcp/1"), 1), (address(SEEN), 3)],
            behind_nat: true,
            tried: vec![tried(0, 2), tried(1, 0)],
            configured: vec![address("/dns4/bard.example/tcp/1")],
            relays: vec![(relay, vec![address(circuit)])],
            local: 1,
            outside: 2,
            dialled: 1,
            ..fresh()
        };
        says(&grounds, "--external-address says /dns4/bard.example/tcp/1");
        says(&grounds, "1 observer sees this node at /ip4/8.8.8.8/tcp/1, too few to tell it to others");
        says(&grounds, &format!("3 observers see this node at {SEEN}"));
        says(&grounds, "no interface of this machine has that address: a router in between translates (NAT)");
        says(&grounds, &format!("2 peers were asked to connect to {SEEN}: 0 did, 2 could not (AutoNAT)"));
        says(&grounds, &format!("1 peer was asked to connect to {SEEN}: 1 did, 0 could not (AutoNAT)"));
        says(&grounds, &format!("relay {relay} passes on what is sent to {circuit}"));
        says(&grounds, "peers have connected from 1 host of the local network and from 2 hosts outside of it");
        says(&grounds, "1 peer is connected because this node dialled: such a connection serves both ways");
    }

    #[test]
    fn each_router_is_a_line() {
        for (router, line) in [
            (Router::NotAsked, "the router is not asked to forward anything: UPnP is off"),
            (Router::Asked, "the router was asked to forward, and has not answered (UPnP)"),
            (Router::None, "no router here forwards by itself (UPnP)"),
            (Router::Inner, "the router is not on the public internet itself (UPnP)"),
            (Router::Forwards, "the router forwards /ip4/8.8.8.8/tcp/6000 to this node (UPnP)"),
        ] {
            says(&Grounds { router, mapped: vec![address(SEEN)], ..fresh() }, line);
        }
    }

    #[test]
    fn an_address_of_a_stranger_is_shortened() {
        let long = format!("/ip4/8.8.8.8/tcp/1{}", "/p2p-circuit".repeat(400));
        let grounds = Grounds { seen: vec![(address(&long), 1)], ..fresh() };
        let line = &grounds.reasons()[0];
        assert!(line.len() < 400 && line.contains("..."), "{line}");
    }

    #[test]
    fn who_is_reached_needs_no_advice() {
        let public =
            ReachabilityVerdict::Public { address: address(SEEN), evidence: super::super::Evidence::Probes(1) };
        let local = ReachabilityVerdict::LocalNetwork { local: 1, failed: 0, ports: Vec::new() };
        for verdict in [public, local] {
            assert_eq!(fresh().advice(&verdict), [""; 0], "{verdict}");
        }
    }

    #[test]
    fn who_is_not_tried_is_told_how_to_be() {
        assert!(fresh().advice(&ReachabilityVerdict::Unknown)[0].contains("another machine"));
        assert!(Grounds::default().advice(&ReachabilityVerdict::Unknown)[0].contains("--no-autonat"));
        assert!(fresh().advice(&ReachabilityVerdict::ThisMachine)[0].contains("--listen"));
    }

    #[test]
    fn who_is_hidden_is_told_that_this_will_do_and_what_would_help() {
        let advice = |grounds: &Grounds, verdict: &ReachabilityVerdict| {
            let advice = grounds.advice(verdict);
            assert!(advice[0].starts_with("nothing must be done"), "{advice:?}");
            advice[1..].join("\n")
        };
        let hidden = ReachabilityVerdict::Unreachable { failed: 1, ports: fresh().ports };
        let local = ReachabilityVerdict::LocalNetwork { local: 1, failed: 1, ports: fresh().ports };
        let relayed = ReachabilityVerdict::Relayed { relays: Vec::new(), local: 0 };
        let nat = Grounds { behind_nat: true, ..fresh() };
        for verdict in [&hidden, &local] {
            let lines = advice(&nat, verdict);
            assert!(
                lines.contains("forward TCP port 6000 on the router") && lines.contains("--relay-server"),
                "{lines}"
            );
            assert!(lines.contains("--no-upnp") && !lines.contains("firewall"), "{lines}");
            let lines = advice(&fresh(), verdict);
            assert!(
                lines.contains("let TCP port 6000 in through the firewalls") && !lines.contains("router"),
                "{lines}"
            );
        }
        let lines = advice(&nat, &relayed);
        assert!(lines.contains("forward TCP port 6000") && !lines.contains("--relay-server"), "it has one: {lines}");
        for (router, word) in [(Router::Inner, "in front of this one"), (Router::Forwards, "nobody gets in")] {
            assert!(advice(&Grounds { router, ..nat.clone() }, &hidden).contains(word));
        }
        assert!(!advice(&Grounds { router: Router::None, ..nat }, &hidden).contains("--no-upnp"));
    }
}
