//! The observer against scripted news.

use core::time::Duration;

use super::{observer::Observer, *};

const HOME: &str = "/ip4/192.168.1.5/tcp/6000";
const PUBLIC: &str = "/ip4/9.9.9.9/tcp/6000";
const NOW: Duration = Duration::from_secs(5);

fn address(text: &str) -> Multiaddr {
    text.parse().expect("a multiaddress")
}

fn home() -> Vec<Multiaddr> {
    vec![address("/ip4/127.0.0.1/tcp/6000"), address(HOME)]
}

/// A peer at `remote` sees this node at `seen`; a new one each time.
fn vote(observer: &mut Observer, remote: &str, seen: &str) -> PeerId {
    let peer = PeerId::random();
    observer.observed(peer, &address(remote), &address(seen), true, &home());
    peer
}

fn judged(observer: &Observer, listening: &[Multiaddr]) -> Reachability {
    observer.verdict(listening, Vec::new())
}

fn verdict(observer: &Observer) -> ReachabilityVerdict {
    judged(observer, &home()).verdict
}

fn line(observer: &Observer) -> String {
    let line = judged(observer, &home()).to_string();
    assert!(!line.contains('\n'));
    line
}

#[test]
fn three_observers_are_believed() {
    let mut observer = Observer::default();
    vote(&mut observer, "/ip4/8.8.8.1/tcp/1", "/ip4/9.9.9.9/tcp/40001");
    let second = vote(&mut observer, "/ip4/8.8.8.2/tcp/1", "/ip4/9.9.9.9/tcp/40002");
    vote(&mut observer, "/ip4/8.8.8.2/tcp/2", "/ip4/9.9.9.9/tcp/40003");
    assert_eq!(observer.believed(), [], "two of the three share a host");
    vote(&mut observer, "/ip4/8.8.8.3/tcp/1", PUBLIC);
    assert_eq!(observer.believed(), [address(PUBLIC)], "whatever port each of them saw");
    observer.observed(second, &address("/ip4/8.8.8.2/tcp/1"), &address("/ip4/9.9.9.8/tcp/1"), true, &home());
    assert_eq!(observer.believed(), [address(PUBLIC)], "the other one on that host still says so");
    let third = vote(&mut observer, "/ip4/8.8.8.4/tcp/1", PUBLIC);
    for _ in 0..2 {
        observer.gone(&third);
    }
    assert_eq!(observer.believed(), [address(PUBLIC)]);
    let known = observer.mark(NOW);
    observer.moved(&known);
    assert_eq!(observer.believed(), []);
}

#[test]
fn hosts_of_a_local_network_are_each_an_observer_and_a_peer_has_one_vote() {
    let mut observer = Observer::default();
    for _ in 0..2 {
        vote(&mut observer, "/ip4/192.168.1.9/tcp/1", HOME);
    }
    let third = vote(&mut observer, "/ip4/192.168.1.9/tcp/1", HOME);
    assert_eq!(observer.believed(), [address(HOME)]);
    observer.observed(third, &address("/ip4/192.168.1.9/tcp/1"), &address("/ip4/10.5.5.5/tcp/6000"), true, &home());
    assert_eq!(observer.believed(), [], "it has changed its mind");
    observer.observed(third, &address("/ip4/192.168.1.9/tcp/1"), &address(HOME), true, &home());
    assert_eq!(observer.believed(), [address(HOME)]);
    observer.gone(&third);
    assert_eq!(observer.believed(), []);
}

#[test]
fn what_proves_nothing_is_not_counted() {
    let mut observer = Observer::default();
    let relay = PeerId::random();
    let circuit = format!("/ip4/8.8.4.4/tcp/1/p2p/{relay}/p2p-circuit");
    for number in 0..10 {
        let remote = format!("/ip4/8.8.8.{number}/tcp/1");
        let inbound = PeerId::random();
        observer.observed(inbound, &address(&remote), &address(PUBLIC), false, &home());
        vote(&mut observer, &circuit, PUBLIC);
        for seen in [
            "/ip4/127.0.0.1/tcp/6000",
            "/ip4/0.0.0.0/tcp/6000",
            "/ip4/169.254.1.1/tcp/6000",
            "/ip6/fe80::1/tcp/6000",
            "/ip4/9.9.9.9/udp/6000/quic-v1",
            "/ip4/9.9.9.9",
            &circuit,
        ] {
            vote(&mut observer, &remote, seen);
        }
    }
    assert_eq!(observer.believed(), []);
    assert!(!observer.wants_relay(&home()));
}

#[test]
fn liars_do_not_push_out_what_many_say() {
    let mut observer = Observer::default();
    for number in 0..5 {
        vote(&mut observer, &format!("/ip4/8.8.8.{number}/tcp/1"), PUBLIC);
    }
    for number in 0..40 {
        vote(&mut observer, "/ip4/8.8.4.4/tcp/1", &format!("/ip4/9.9.8.{number}/tcp/6000"));
    }
    assert_eq!(observer.believed(), [address(PUBLIC)]);
    for number in 0..250 {
        vote(&mut observer, "/ip4/192.168.1.1/tcp/1", &format!("/ip4/9.9.7.{}/tcp/6000", number % 12));
    }
    assert_eq!(observer.believed().len(), 8);
}

#[test]
fn nobody_has_tried_yet() {
    let mut observer = Observer::default();
    assert_eq!(line(&observer), "unknown: nobody has tried yet");
    assert_eq!(line(&observer), Reachability::default().to_string());
    let loopback = [address("/ip4/127.0.0.1/tcp/6000"), address("/ip6/::1/tcp/6000")];
    let this_machine = judged(&observer, &loopback);
    assert_eq!(this_machine.verdict, ReachabilityVerdict::ThisMachine);
    assert!(this_machine.to_string().starts_with("this machine only"));
    assert!(!observer.wants_relay(&loopback) && !observer.wants_relay(&home()) && !observer.wants_relay(&[]));
    assert_eq!(judged(&observer, &[]).verdict, ReachabilityVerdict::Unknown);
    observer.inbound(&address("/ip4/127.0.0.1/tcp/9"), NOW);
    assert_eq!(verdict(&observer), ReachabilityVerdict::Unknown, "this machine is no network");
}

#[test]
fn a_configured_address_is_public_unless_all_attempts_fail() {
    let mut observer = Observer::default();
    observer.configured(&[address("/ip4/10.0.0.1/tcp/6000"), address("/dns4/bard.example/tcp/6000")]);
    assert_eq!(line(&observer), "publicly reachable at /dns4/bard.example/tcp/6000 (configured)");
    assert!(!observer.wants_relay(&home()));
    let server = PeerId::random();
    observer.probed(&address("/dns4/bard.example/tcp/6000"), server, false);
    assert!(matches!(verdict(&observer), ReachabilityVerdict::Unreachable { failed: 1, .. }));
    assert!(observer.wants_relay(&home()));
    observer.probed(&address("/dns4/bard.example/tcp/6000"), server, true);
    assert!(matches!(verdict(&observer), ReachabilityVerdict::Public { evidence: Evidence::Configured, .. }));
}

#[test]
fn probes_decide() {
    let mut observer = Observer::default();
    let servers: Vec<_> = (0..3).map(|_| PeerId::random()).collect();
    for server in &servers {
        observer.probed(&address(PUBLIC), *server, false);
        observer.probed(&address(PUBLIC), *server, false);
        observer.probed(&address("/ip4/9.9.9.9/tcp/40001"), *server, false);
    }
    assert_eq!(
        line(&observer),
        "not reachable from outside: 3 probes failed, no relay; forward TCP port 6000 on the router, or use a relay: \
         --relay-server on a reachable node",
        "a peer's last outcome counts, and only for a port of ours"
    );
    assert!(observer.wants_relay(&home()));
    observer.inbound(&address("/ip4/192.168.1.9/tcp/9"), NOW);
    assert!(line(&observer).starts_with("reachable on the local network only (1 host connected from there): 3 probes"));
    observer.probed(&address(PUBLIC), servers[0], true);
    observer.probed(&address(PUBLIC), servers[1], true);
    assert_eq!(line(&observer), format!("publicly reachable at {PUBLIC} (2 peers reached it, AutoNAT)"));
    assert!(!observer.wants_relay(&home()));
}

#[test]
fn a_probe_within_the_local_network_says_nothing_of_the_outside() {
    let mut observer = Observer::default();
    observer.probed(&address(HOME), PeerId::random(), true);
    assert_eq!(verdict(&observer), ReachabilityVerdict::Unknown);
    assert!(!observer.wants_relay(&home()));
}

#[test]
fn the_router_forwards() {
    let mut observer = Observer::default();
    observer.mapped(&address("/ip4/10.0.0.1/tcp/6000"));
    assert_eq!(verdict(&observer), ReachabilityVerdict::Unknown, "to a network that is not public either");
    observer.mapped(&address(PUBLIC));
    assert_eq!(line(&observer), format!("publicly reachable at {PUBLIC} (the router forwards it, UPnP)"));
    observer.probed(&address(PUBLIC), PeerId::random(), false);
    assert!(matches!(verdict(&observer), ReachabilityVerdict::Unreachable { .. }), "so it says");
    observer.unmapped(&address(PUBLIC));
    assert_eq!(judged(&observer, &home()).grounds.mapped, [address("/ip4/10.0.0.1/tcp/6000")]);
}

#[test]
fn a_machine_with_a_public_address_is_reachable_once_somebody_comes_from_outside() {
    let mut observer = Observer::default();
    let listening = [address(PUBLIC), address("/ip6/2a00:1:2:3::1/tcp/6000")];
    assert_eq!(judged(&observer, &listening).verdict, ReachabilityVerdict::Unknown);
    observer.inbound(&address("/ip6/2a00:1:2:3::77/tcp/9"), NOW);
    let neighbour = judged(&observer, &listening).verdict;
    assert!(matches!(neighbour, ReachabilityVerdict::LocalNetwork { local: 1, failed: 0, .. }), "of the same subnet");
    let relayed = format!("/ip4/8.8.8.8/tcp/1/p2p/{}/p2p-circuit", PeerId::random());
    observer.inbound(&address(&relayed), NOW);
    observer.inbound(&address("/ip4/8.8.8.8/tcp/9"), NOW);
    observer.inbound(&address("/ip4/8.8.8.8/tcp/10"), NOW);
    let public = judged(&observer, &listening).verdict;
    assert_eq!(public, ReachabilityVerdict::Public { address: address(PUBLIC), evidence: Evidence::Inbound(1) });
    assert!(!observer.wants_relay(&listening));
    assert_eq!(verdict(&observer), ReachabilityVerdict::Unknown, "a machine without that address");
}

#[test]
fn the_local_network() {
    let mut observer = Observer::default();
    for host in [1, 2, 2] {
        observer.inbound(&address(&format!("/ip4/192.168.1.{host}/tcp/9")), NOW);
    }
    assert_eq!(
        line(&observer),
        "reachable on the local network (2 hosts connected from there); from outside nobody has tried yet"
    );
    assert!(!observer.wants_relay(&home()));
    for number in 0..200 {
        observer.inbound(&address(&format!("/ip4/192.168.2.{number}/tcp/9")), NOW);
    }
    assert!(matches!(verdict(&observer), ReachabilityVerdict::LocalNetwork { local: 64, .. }), "bounded");
}

#[test]
fn relays() {
    let mut observer = Observer::default();
    let relay = PeerId::random();
    let circuit = address(&format!("/ip4/8.8.8.8/tcp/1/p2p/{relay}/p2p-circuit"));
    observer.reserved(relay, &circuit);
    observer.reserved(relay, &circuit);
    let mut listening = home();
    listening.push(circuit.clone());
    let reachability = judged(&observer, &listening);
    assert_eq!(reachability.to_string(), format!("behind a NAT or firewall, reachable through relay {relay}"));
    observer.inbound(&address("/ip4/192.168.1.9/tcp/9"), NOW);
    assert!(line(&observer).ends_with("; directly on the local network (1 host connected from there)"));
    for _ in 0..20 {
        observer.reserved(PeerId::random(), &address(PUBLIC));
    }
    let ReachabilityVerdict::Relayed { relays, .. } = verdict(&observer) else { panic!("relays") };
    assert_eq!(relays.len(), 8, "bounded");
    relays.iter().for_each(|relay| observer.lost(relay));
    assert!(matches!(verdict(&observer), ReachabilityVerdict::LocalNetwork { .. }));
}

#[test]
fn a_node_behind_a_nat_wants_a_relay() {
    let mut observer = Observer::default();
    vote(&mut observer, "/ip4/192.168.1.9/tcp/1", "/ip4/192.168.1.5/tcp/40000");
    assert!(!observer.wants_relay(&home()), "seen as it is");
    let peer = vote(&mut observer, "/ip4/8.8.8.8/tcp/1", "/ip4/9.9.9.9/tcp/40000");
    assert!(observer.wants_relay(&home()), "one observer is enough to ask for help");
    observer.probed(&address(PUBLIC), peer, true);
    assert!(!observer.wants_relay(&home()));
    let known = observer.mark(NOW);
    observer.moved(&known);
    vote(&mut observer, "/ip6/2a00::1/tcp/1", "/ip6/2a00:1::9/tcp/40000");
    assert!(!observer.wants_relay(&home()), "nothing listens on that family");
}

#[test]
fn the_tables_are_bounded() {
    let mut observer = Observer::default();
    for number in 0..100 {
        observer.mapped(&address(&format!("/ip4/9.9.9.9/tcp/{}", 100 + number)));
        observer.probed(&address(&format!("/ip4/9.9.8.{number}/tcp/6000")), PeerId::random(), number < 3);
        observer.probed(&address("/ip4/9.9.8.0/tcp/6000"), PeerId::random(), true);
    }
    assert!(matches!(verdict(&observer), ReachabilityVerdict::Public { evidence: Evidence::Probes(16), .. }));
}

#[test]
fn what_the_verdict_rests_on() {
    let mut observer = Observer::default();
    let grounds = |observer: &Observer| judged(observer, &home()).grounds;
    assert_eq!(grounds(&observer), Grounds { ports: vec![ListenPort::Tcp(6000)], ..Grounds::default() });
    let relay = PeerId::random();
    let circuit = address(&format!("/ip4/8.8.8.8/tcp/1/p2p/{relay}/p2p-circuit"));
    observer.probing();
    observer.configured(&[address("/dns4/bard.example/tcp/6000")]);
    let peer = vote(&mut observer, "/ip4/8.8.8.8/tcp/1", PUBLIC);
    observer.probed(&address(PUBLIC), peer, false);
    observer.probed(&address(PUBLIC), PeerId::random(), true);
    observer.reserved(relay, &circuit);
    observer.inbound(&address("/ip4/192.168.1.9/tcp/9"), NOW);
    observer.inbound(&address("/ip4/8.8.8.8/tcp/9"), NOW);
    observer.dialled(2);
    let all = grounds(&observer);
    assert_eq!(all.seen, [(address(PUBLIC), 1)]);
    assert!(all.behind_nat && all.probing);
    assert_eq!(all.tried, [Tried { address: address(PUBLIC), reached: 1, failed: 1 }]);
    assert_eq!((all.local, all.outside, all.dialled), (1, 1, 2));
    assert_eq!((all.configured.len(), all.relays), (1, vec![(relay, vec![circuit])]));
}

#[test]
fn what_the_router_does_is_followed() {
    let mut observer = Observer::default();
    let router = |observer: &Observer| judged(observer, &home()).grounds.router;
    assert_eq!(router(&observer), Router::NotAsked);
    for told in [Router::Asked, Router::None, Router::Inner] {
        observer.router(told);
        assert_eq!(router(&observer), told);
    }
    observer.mapped(&address(PUBLIC));
    assert_eq!(router(&observer), Router::Forwards);
    assert_eq!(judged(&observer, &home()).grounds.mapped, [address(PUBLIC)]);
    observer.unmapped(&address(PUBLIC));
    assert_eq!(router(&observer), Router::Asked, "it may forward again");
    observer.mapped(&address(PUBLIC));
    assert_eq!(Vec::from_iter(observer.forget_mapped()), [address(PUBLIC)]);
    assert_eq!((router(&observer), observer.is_mapped()), (Router::Asked, false));
}

#[test]
fn what_was_found_since_the_machine_moved_counts() {
    let mut observer = Observer::default();
    vote(&mut observer, "/ip4/8.8.8.1/tcp/1", PUBLIC);
    observer.inbound(&address("/ip4/8.8.8.1/tcp/9"), NOW);
    let known = observer.mark(NOW);
    vote(&mut observer, "/ip4/8.8.8.2/tcp/1", "/ip4/7.7.7.7/tcp/6000");
    observer.inbound(&address("/ip4/8.8.8.2/tcp/9"), NOW + Duration::from_secs(1));
    observer.moved(&known);
    let grounds = judged(&observer, &home()).grounds;
    assert_eq!((grounds.seen, grounds.outside), (vec![(address("/ip4/7.7.7.7/tcp/6000"), 1)], 1));
}
