//! What strangers say of places where nothing is dialled for them.

use super::*;

const NEAR: &str = "/ip4/192.168.1.1/tcp/80";
const FAR: &str = "/ip4/8.8.8.8/tcp/6000";

/// Whom the book dials where, when of what strangers say only the internet is open.
fn dials(rig: &mut Rig) -> Vec<Dial> {
    rig.book.dials(rig.now, TARGET, &|at| *at == address(FAR))
}

#[test]
fn what_is_doubted_is_told_and_neither_dialled_nor_kept() {
    let mut rig = Rig::new();
    let [nowhere, half] = [(); 2].map(|()| PeerId::random());
    rig.book.doubt(nowhere, vec![address(NEAR), address("/dns4/example.org/tcp/1")], rig.now);
    rig.add(&format!("{FAR}/p2p/{half}"), Origin::Exchange);
    rig.book.doubt(half, vec![address(NEAR)], rig.now);
    let dial = Dial { target: Target::Peer(half), addresses: vec![address(FAR)] };
    assert_eq!(dials(&mut rig), [dial]);
    rig.book.connected(half, Direction::Inbound, None, rig.now);
    rig.book.confirmed(half, vec![address(FAR)], false, rig.now);
    let told = rig.book.tell(nowhere, false);
    assert_eq!(told, [(half, vec![&address(FAR), &address(NEAR)])], "others may be near it");
    assert_eq!(rig.book.known(rig.now)[0].addresses, [address(FAR)]);
    assert!(rig.dials().contains(&Target::Peer(nowhere)), "it is open by now");
}

#[test]
fn whom_people_believe_is_dialled_wherever_it_is() {
    for origin in [Origin::Manual, Origin::Mdns, Origin::Tracker, Origin::Rendezvous] {
        let (mut rig, peer) = (Rig::new(), PeerId::random());
        let text = format!("{NEAR}/p2p/{peer}");
        rig.book.doubt(peer, vec![address(NEAR)], rig.now);
        assert_eq!(dials(&mut rig), []);
        rig.add(&text, origin);
        rig.book.doubt(peer, vec![address(NEAR)], rig.now);
        assert_eq!(dials(&mut rig).len(), 1, "{origin}, whatever strangers say before and after");
    }
}

#[test]
fn what_is_doubted_takes_nobodys_place() {
    let (mut rig, peer) = (Rig::new(), PeerId::random());
    for port in 1..=MAX_ADDRESSES {
        rig.add(&format!("/ip4/8.8.8.8/tcp/{port}/p2p/{peer}"), Origin::Exchange);
    }
    rig.book.doubt(peer, vec![address(NEAR)], rig.now);
    assert!(rig.book.entries[&peer].addresses.iter().all(|known| *known != address(NEAR)));
}
