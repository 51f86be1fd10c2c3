//! How a console on a terminal ends, and how it leaves the terminal.

use bard_tests::process::{Node, PATIENCE, bard, wait_until};
use rustix::process::{Pid, Signal, kill_process};

use crate::screen::{CTRL_C, CTRL_D, ENTER, NODE, Person, Terminal};

fn terminate(terminal: &Terminal) {
    let process = Pid::from_raw(i32::try_from(terminal.process()).unwrap()).unwrap();
    kill_process(process, Signal::TERM).unwrap();
}

#[test]
fn ctrl_c_at_the_prompt_stops_the_node() {
    let mut node = Person::new().node();
    node.terminal.type_keys("half a li");
    node.terminal.wait_for_line("bard> half a li");
    node.terminal.type_keys(CTRL_C);
    assert_eq!(node.terminal.end().exit_code(), 0);
    assert!(node.terminal.is_plain());
}

#[test]
fn ctrl_d_ends_the_console_and_not_the_node() {
    let mut node = Person::new().node();
    node.terminal.type_keys(CTRL_D);
    node.terminal.wait_for("the node goes on");
    assert!(node.terminal.is_running());
    node.mine();
    assert_eq!(node.height(), 1);
    wait_until("the terminal is plain", PATIENCE, || node.terminal.is_plain());
    // Now it is the terminal that makes a signal of it.
    node.terminal.type_keys(CTRL_C);
    assert_eq!(node.terminal.end().exit_code(), 0);
}

#[test]
fn a_node_that_is_stopped_leaves_the_terminal_as_it_was() {
    let mut node = Person::new().node();
    node.terminal.type_keys("half a li");
    node.terminal.wait_for_line("bard> half a li");
    assert!(!node.terminal.is_plain(), "the editor has it");
    terminate(&node.terminal);
    assert_eq!(node.terminal.end().exit_code(), 0);
    assert!(node.terminal.is_plain());
}

#[test]
fn an_attached_console_ends_and_the_node_goes_on() {
    let node = Node::start();
    let person = Person::new();
    for how in ["quit\r", CTRL_C, CTRL_D] {
        let mut console = person.console(&node.file().api);
        console.type_keys("status");
        console.type_keys(ENTER);
        console.wait_for("chain is valid");
        console.wait_for_prompt();
        console.type_keys(how);
        assert_eq!(console.end().exit_code(), 0, "{how:?}");
        assert!(console.is_plain(), "{how:?}");
    }
    let mut console = person.console(&node.file().api);
    terminate(&console);
    assert_eq!(console.end().exit_code(), 0);
    assert!(console.is_plain());
    assert_eq!(node.height(), 0);
}

#[test]
fn a_node_in_the_background_runs_without_a_console() {
    let person = Person::new();
    let data = person.home().join("data");
    // The shell gives its job a group of its own, as with `&` at a prompt, and tells its number.
    let script = format!("set -m; \"$0\" {NODE} \"$1\" & echo job $!; wait; echo ended $?");
    let terminal =
        person.run_program("sh".as_ref(), &["-c", &script, bard().to_str().unwrap(), data.to_str().unwrap()]);
    terminal.wait_for("In the background there is no console");
    terminal.wait("it is ready", |_| data.join("node.json").exists());
    let text = terminal.text();
    let job = text.lines().find_map(|line| line.strip_prefix("job ")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(job).unwrap(), Signal::TERM).unwrap();
    terminal.wait_for("ended 0");
    assert!(terminal.is_plain());
}
