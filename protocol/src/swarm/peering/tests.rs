//! Who is connected, and what those who wait are told, scripted.

use libp2p::core::{Endpoint, transport::PortUse};

use super::*;
use crate::{
    swarm::rig::{Rig, address},
    topics::MEETING_POINT,
};

#[test]
fn who_comes_through_a_relay_does_not_come_directly() {
    let id = PeerId::random();
    let at_relay = address(&format!("/ip4/127.0.0.1/tcp/1/p2p/{id}/p2p-circuit"));
    let send_back_addr = address(&format!("/p2p/{}", PeerId::random()));
    let relayed = ConnectedPoint::Listener { local_addr: at_relay.clone(), send_back_addr };
    assert!(is_relayed(remote_of(&relayed)), "although it is not told where from");
    let (here, there) = (address("/ip4/10.0.0.1/tcp/1"), address("/ip4/10.0.0.2/tcp/2"));
    let direct = ConnectedPoint::Listener { local_addr: here, send_back_addr: there.clone() };
    assert_eq!(remote_of(&direct), &there);
}

#[tokio::test]
async fn of_meeting_points_that_nobody_named_one_is_kept_and_takes_no_place_of_a_peer() {
    let mut rig = Rig::new(&[]).await;
    let target = rig.driver.target_outbound;
    let mut points = Vec::new();
    for number in 0..target {
        let point = rig.dialled(&format!("/ip4/8.8.{number}.1/tcp/1"));
        points.push(point.0);
        rig.says(point, MEETING_POINT);
    }
    assert_eq!(rig.driver.links.values().filter(|link| link.service).count(), 1);
    let now = rig.driver.now();
    for number in 0..target {
        let found = format!("/ip4/9.9.{number}.1/tcp/1/p2p/{}", PeerId::random());
        rig.driver.book.add(Candidate::from_address(address(&found), Origin::Kademlia), now);
    }
    assert_eq!(
        rig.driver.book.dials(now, target, &|_| true).len(),
        1,
        "the others hold theirs until they are parted from"
    );
    let is_kept = |driver: &Driver, point: &PeerId| driver.links.get(point).is_some_and(|link| link.service);
    let rests: Vec<_> = points.iter().map(|point| rig.driver.book.is_left_alone(point)).collect();
    let kept: Vec<_> = points.iter().map(|point| is_kept(&rig.driver, point)).collect();
    assert!(
        kept.iter().zip(&rests).all(|(kept, rests)| kept != rests),
        "and are not dialled again soon: {kept:?} {rests:?}"
    );
}

#[tokio::test]
async fn whoever_asks_for_a_relay_in_use_is_told_that_it_is_no_node() {
    let mut rig = Rig::new(&[]).await;
    let relay = rig.dialled("/ip4/8.8.8.8/tcp/1");
    rig.dialled(&format!("/ip4/8.8.8.8/tcp/1/p2p/{}/p2p-circuit", relay.0));
    let (reply, mut answer) = oneshot::channel();
    let waiting = Waiting {
        connection: ConnectionId::new_unchecked(1),
        address: address("/ip4/8.8.8.8/tcp/1"),
        origin: Origin::Manual,
        peer: None,
        reply,
    };
    rig.driver.waiting.push(waiting);
    let address = address("/ip4/8.8.8.8/tcp/1");
    let endpoint =
        ConnectedPoint::Dialer { address: address.clone(), role_override: Endpoint::Dialer, port_use: PortUse::New };
    rig.driver.established(relay.0, ConnectionId::new_unchecked(1), &endpoint);
    rig.says(relay, "some-relay/1");
    let chain = "none (\"some-relay/1\")".to_owned();
    assert_eq!(answer.try_recv(), Ok(Err(ConnectError::OtherChain { address, chain })));
    assert!(rig.driver.links.contains_key(&relay.0), "it is still of use");
}
