//! Addresses that go, scripted.

use libp2p::{PeerId, upnp};

use super::*;
use crate::{
    reachability::{ReachabilityVerdict, Router},
    swarm::rig::{Rig, address},
};

const LOOPBACK: &str = "/ip4/127.0.0.1/tcp/6000";
const HOME: &str = "/ip4/192.168.1.4/tcp/6000";
const BRIDGE: &str = "/ip4/172.17.0.1/tcp/6000";
const PUBLIC: &str = "/ip4/9.9.9.9/tcp/6000";

/// A node with a router that forwards.
async fn forwarded() -> Rig {
    let mut rig = Rig::new(&[LOOPBACK, HOME, BRIDGE]).await;
    rig.driver.swarm.behaviour_mut().upnp = Some(upnp::tokio::Behaviour::default()).into();
    forwards(&mut rig);
    assert!(matches!(rig.reach().verdict, ReachabilityVerdict::Public { .. }));
    rig
}

/// The router forwards from now on.
fn forwards(rig: &mut Rig) {
    rig.driver.swarm.add_external_address(address(PUBLIC));
    let (local_addr, external_addr) = (address(HOME), address(PUBLIC));
    rig.driver.upnp_event(upnp::Event::NewExternalAddr { local_addr, external_addr });
}

/// Somebody out there has reached this node at an address that is told to others since.
fn reached(rig: &mut Rig, at: &str) {
    rig.driver.observer.probed(&address(at), PeerId::random(), true);
    rig.driver.swarm.add_external_address(address(at));
}

#[tokio::test]
async fn a_bridge_that_vanishes_is_no_move() {
    let mut rig = Rig::new(&[LOOPBACK, HOME, BRIDGE]).await;
    reached(&mut rig, PUBLIC);
    let far = rig.dialled("/ip4/8.8.8.8/tcp/1");
    rig.pass(1);
    rig.leaves(BRIDGE);
    rig.pass(10);
    rig.answers(far);
    rig.pass(2);
    rig.driver.decide_move(rig.driver.now());
    assert_eq!(rig.told(), [address(PUBLIC)], "what was found to be right still is");
    assert!(matches!(rig.reach().verdict, ReachabilityVerdict::Public { .. }));
}

#[tokio::test]
async fn when_those_out_there_fall_silent_the_machine_has_moved() {
    let mut rig = Rig::new(&[LOOPBACK, HOME, BRIDGE]).await;
    reached(&mut rig, PUBLIC);
    let far = rig.dialled("/ip4/8.8.8.8/tcp/1");
    let container = rig.dialled("/ip4/172.17.0.2/tcp/1");
    rig.pass(1);
    rig.leaves(HOME);
    rig.answers(far);
    rig.pass(5);
    rig.driver.decide_move(rig.driver.now());
    assert_eq!(rig.told(), [address(PUBLIC)], "nobody knows yet");
    let next = rig.dialled("/ip4/8.8.4.4/tcp/1");
    rig.answers(next);
    rig.answers(container);
    rig.driver.observer.observed(
        next.0,
        &address("/ip4/8.8.4.4/tcp/1"),
        &address("/ip4/7.7.7.7/tcp/9"),
        true,
        &[address(BRIDGE)],
    );
    rig.driver.links.values_mut().for_each(|link| link.sightings = 9);
    rig.pass(7);
    rig.driver.decide_move(rig.driver.now());
    assert_eq!(rig.told(), [] as [Multiaddr; 0]);
    assert!(!matches!(rig.reach().verdict, ReachabilityVerdict::Public { .. }));
    assert_eq!(
        rig.reach().grounds.seen,
        [(address("/ip4/7.7.7.7/tcp/6000"), 1)],
        "what is seen in the new network counts"
    );
    assert!(rig.driver.links.values().all(|link| link.sightings == 0), "and leads to probes");
}

#[tokio::test]
async fn what_the_router_forwarded_goes_with_the_address_and_it_is_asked_anew() {
    for (gone, stays) in [(HOME, false), (BRIDGE, true)] {
        let mut rig = forwarded().await;
        let far = rig.dialled("/ip4/8.8.8.8/tcp/1");
        rig.pass(3);
        rig.leaves(gone);
        assert_eq!(rig.told(), [] as [Multiaddr; 0], "libp2p may have taken it back, whichever address went");
        assert!(!matches!(rig.reach().verdict, ReachabilityVerdict::Public { .. }));
        rig.driver.observer.router(Router::None);
        rig.pass(2);
        rig.driver.ask_router(rig.driver.now());
        assert_eq!(rig.reach().grounds.router, Router::Asked);
        if stays {
            forwards(&mut rig);
            rig.answers(far);
        }
        rig.pass(20);
        rig.driver.decide_move(rig.driver.now());
        assert_eq!(rig.told().contains(&address(PUBLIC)), stays, "{gone}");
    }
}

#[tokio::test]
async fn where_there_was_no_router_one_is_looked_for_when_an_address_comes() {
    let mut rig = forwarded().await;
    rig.pass(3);
    rig.leaves(HOME);
    rig.pass(3);
    rig.driver.ask_router(rig.driver.now());
    rig.driver.upnp_event(upnp::Event::GatewayNotFound);
    assert_eq!(rig.reach().grounds.router, Router::None);
    rig.pass(60);
    rig.driver.ask_router(rig.driver.now());
    assert_eq!(rig.reach().grounds.router, Router::None, "nothing has changed");
    rig.driver.listens(rig.listener, address("/ip4/10.0.0.7/tcp/6000"));
    rig.pass(2);
    rig.driver.ask_router(rig.driver.now());
    assert_eq!(rig.reach().grounds.router, Router::Asked);
}

#[test]
fn what_was_told_of_a_network_that_was_left_is_taken_back() {
    let addresses = |texts: &[&str]| -> Vec<Multiaddr> { texts.iter().map(|text| address(text)).collect() };
    let relayed = format!("/ip4/9.9.9.9/tcp/1/p2p/{}/p2p-circuit", PeerId::random());
    let told = addresses(&["/ip4/8.8.8.8/tcp/1", "/ip4/10.0.0.7/tcp/1", "/ip6/2606:4700::1/tcp/1", &relayed]);
    let listening = addresses(&["/ip4/10.0.0.7/tcp/1", "/ip6/2606:4700::2/tcp/1"]);
    let left = |gone: &str| stale(told.clone(), &listening, Some(gone.parse().expect("an address")));
    let all = stale(told.clone(), &listening, None);
    assert_eq!(all, [told[0].clone(), told[2].clone()], "but what is still listened on, and relays");
    assert_eq!(left("8.8.8.8"), [told[0].clone()], "an address goes alone");
    assert_eq!(left("2606:4700::1"), [told[2].clone()]);
    assert_eq!(left("10.0.0.7"), [], "it is listened on");
    assert_eq!(left("2606:4700::3"), []);
}
