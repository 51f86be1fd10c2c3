//! A network of several machines that falls into halves, each of which goes on.

use std::time::Duration;

use bard_tests::{
    netns::{Machine, Wire, inside},
    process::{Builder, Node, PATIENCE, holds_for, wait_until},
};

use super::{HEALED, height, knows, tip, wait_to_agree};

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_network_that_fell_into_halves_becomes_one_again() {
    if !inside("conditions::a_network_that_fell_into_halves_becomes_one_again") {
        return;
    }
    let mut wire = Wire::lay();
    let machines: Vec<Machine> = (0..4).map(|_| wire.machine()).collect();
    let nodes: Vec<Node> =
        machines.iter().map(|machine| machine.run(Builder::default().mdns().default_listen()).start()).collect();
    let all: Vec<&Node> = nodes.iter().collect();
    wait_until("they meet", PATIENCE, || all.iter().all(|one| all.iter().filter(|two| knows(one, two)).count() == 3));
    all[0].ask("mine 3");
    wait_to_agree(&all, PATIENCE);
    let (left, right) = machines.split_at(2);
    let pairs = || left.iter().flat_map(|one| right.iter().map(move |two| (one, two)));
    pairs().for_each(|(one, two)| one.cut_from(two));
    all[0].ask("mine 5");
    all[2].ask("mine 3");
    let id = all[3].ask_line("send alice bob 5").split(' ').nth(3).unwrap().to_owned();
    wait_to_agree(&all[..2], PATIENCE);
    wait_to_agree(&all[2..], PATIENCE);
    all[2].ask("mine 1");
    wait_until("the transfer is in the smaller half's chain", PATIENCE, || all[3].mined_at(&id) == Some(7));
    holds_for("the halves go apart", Duration::from_secs(3), || tip(all[0]) != tip(all[2]));
    pairs().for_each(|(one, two)| one.join_again(two));
    wait_to_agree(&all, HEALED);
    assert_eq!(height(all[3]), 8, "the branch with more work");
    wait_until("the transfer waits everywhere again", PATIENCE, || {
        all.iter().all(|node| node.ask("pool").iter().any(|line| line.contains(&id)))
    });
    all[1].ask("mine 1");
    wait_to_agree(&all, PATIENCE);
    assert_eq!(all[3].mined_at(&id), Some(9));
    wait_until("all know each other again", HEALED, || {
        all.iter().all(|one| all.iter().filter(|two| knows(one, two)).count() == 3)
    });
}
