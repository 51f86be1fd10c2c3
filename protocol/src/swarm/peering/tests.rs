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
async fn meeting_points_take_no_place_of_peers_and_of_those_that_nobody_named_one_is_kept() {
    let mut rig = Rig::new(&[]).await;
    let target = rig.driver.target_outbound;
    for number in 0..target {
        let point = rig.dialled(&format!("/ip4/8.8.{number}.1/tcp/1"));
        rig.says(point, MEETING_POINT);
    }
    assert_eq!(rig.driver.links.values().filter(|link| link.service).count(), 1);
    let now = rig.driver.now();
    for number in 0..target {
        let found = format!("/ip4/9.9.{number}.1/tcp/1/p2p/{}", PeerId::random());
        rig.driver.book.add(Candidate::from_address(address(&found), Origin::Kademlia), now);
    }
    assert_eq!(rig.driver.book.dials(now, target, &|_| true).len(), target);
}
