//! Networks that fall apart and come together again.

use std::time::Duration;

use bard_tests::{
    netns::{Wire, inside},
    process::{Node, PATIENCE, holds_for, wait_until},
};

use super::{HEALED, height, knows, tip, wait_to_agree};

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_network_whose_cable_was_pulled_heals_by_itself() {
    if !inside("partition::a_network_whose_cable_was_pulled_heals_by_itself") {
        return;
    }
    let mut wire = Wire::lay();
    let machines = [wire.machine(), wire.machine()];
    let [one, two] = [0, 1].map(|at: usize| machines[at].run(Node::builder().mdns().default_listen()).start());
    wait_until("they meet", PATIENCE, || knows(&one, &two) && knows(&two, &one));
    one.ask("mine 1");
    wait_to_agree(&[&one, &two], PATIENCE);
    machines[1].pull_cable();
    one.ask("mine 2");
    let id = two.ask_line("send alice bob 5").split(' ').nth(3).unwrap().to_owned();
    two.ask("mine 1");
    holds_for("they are apart", Duration::from_secs(3), || tip(&one) != tip(&two));
    machines[1].plug_cable();
    wait_to_agree(&[&one, &two], HEALED);
    assert_eq!(height(&one), 3);
    wait_until("the transfer of the lost branch waits again", PATIENCE, || {
        two.ask("pool").iter().any(|l| l.contains(&id))
    });
    two.ask("mine 1");
    wait_to_agree(&[&one, &two], PATIENCE);
    assert_eq!(one.mined_at(&id), Some(4));
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_machine_whose_card_was_off_comes_back() {
    if !inside("partition::a_machine_whose_card_was_off_comes_back") {
        return;
    }
    let mut wire = Wire::lay();
    let machines = [wire.machine(), wire.machine()];
    let [one, two] = [0, 1].map(|at: usize| machines[at].run(Node::builder().mdns().default_listen()).start());
    wait_until("they meet", PATIENCE, || knows(&one, &two) && knows(&two, &one));
    machines[1].ip("link set eth0 down");
    one.ask("mine 2");
    two.ask("mine 1");
    holds_for("they are apart", Duration::from_secs(3), || tip(&one) != tip(&two));
    machines[1].ip("link set eth0 up");
    wait_to_agree(&[&one, &two], HEALED);
    assert_eq!(height(&two), 2);
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_node_that_moves_to_another_address_is_met_there() {
    if !inside("partition::a_node_that_moves_to_another_address_is_met_there") {
        return;
    }
    let mut wire = Wire::lay();
    let machines = [wire.machine(), wire.machine()];
    let [one, two] = [0, 1].map(|at: usize| machines[at].run(Node::builder().mdns().default_listen()).start());
    wait_until("they meet", PATIENCE, || knows(&one, &two) && knows(&two, &one));
    machines[1].ip(&format!("addr del {}/24 dev eth0", machines[1].address()));
    machines[1].ip("addr add 10.77.0.77/24 dev eth0");
    one.ask("mine 2");
    wait_to_agree(&[&one, &two], HEALED);
    two.ask("mine 1");
    wait_to_agree(&[&one, &two], HEALED);
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_connection_that_died_as_an_address_went_is_closed_soon() {
    if !inside("partition::a_connection_that_died_as_an_address_went_is_closed_soon") {
        return;
    }
    let mut wire = Wire::lay();
    let machines = [wire.machine(), wire.machine()];
    let listening = || Node::builder().mdns().listen("/ip4/0.0.0.0/tcp/6000");
    let [one, two] = [0, 1].map(|at: usize| machines[at].run(listening()).start());
    machines[1].ip("addr add 10.77.0.77/24 dev eth0");
    wait_until("they meet", PATIENCE, || knows(&one, &two) && knows(&two, &one));
    wait_until("the second address is known", PATIENCE, || two.stderr().contains("10.77.0.77"));
    machines[0].cut_from(&machines[1]);
    machines[1].ip("addr del 10.77.0.77/24 dev eth0");
    wait_until("it is noticed", Duration::from_secs(20), || !knows(&two, &one));
    machines[0].join_again(&machines[1]);
    wait_until("they meet again", HEALED, || knows(&one, &two) && knows(&two, &one));
}
