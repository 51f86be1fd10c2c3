//! Who is banned is not spoken to, over restarts too, until the ban ends or is ended.

use std::{fs, time::Duration};

use bard_tests::process::{Node, PATIENCE, holds_for, wait_until};
use serde_json::{Value, json};

fn bans(node: &Node) -> Vec<Value> {
    node.get("/api/v1/bans").success()["bans"].as_array().unwrap().clone()
}

fn meets(one: &Node, other: &Node) -> bool {
    one.peers().contains(&other.peer_id().to_owned())
}

/// Two nodes, each dialling the other for ever.
fn friends() -> (Node, Node) {
    let one = Node::start();
    let other = Node::builder().bootstrap(one.address()).start();
    other.wait_for_peers(1);
    one.ask_line(&format!("connect {}", other.address()));
    one.wait_for_peers(1);
    (one, other)
}

#[test]
fn a_ban_outlives_restarts_and_is_lifted() {
    let (mut one, other) = friends();
    let before = time_of_tip(&one);
    let order = json!({ "peer": other.peer_id(), "seconds": 600, "reason": "sends noise" });
    let answer = one.post("/api/v1/bans", &order);
    assert_eq!(answer.status, 201);
    let ban = answer.json();
    assert_eq!(
        (&ban["peer"], &ban["by"], &ban["reason"]),
        (&json!(other.peer_id()), &json!("person"), &json!("sends noise"))
    );
    assert!(ban["until"].as_str().unwrap() > before.as_str());
    wait_until("they part", PATIENCE, || !meets(&one, &other) && !meets(&other, &one));
    let departed = one.get("/api/v1/peers").success()["departed"][0].clone();
    assert_eq!(
        (&departed["peer_id"], &departed["reason"]),
        (&json!(other.peer_id()), &json!("banned by order: sends noise"))
    );

    // What was acknowledged holds after a crash.
    one.kill9();
    let mut one = one.builder_of().start();
    assert_eq!(bans(&one)[0]["reason"], "sends noise");
    one.ask_line("unban all");
    assert_eq!(bans(&one), [] as [Value; 0]);
    one.kill9();
    let one = one.builder_of().start();
    assert_eq!(bans(&one), [] as [Value; 0], "nor does it come back");
    one.ask_line(&format!("connect {}", other.address()));
    wait_until("they meet again", PATIENCE, || meets(&one, &other) && meets(&other, &one));
}

/// A time that every later one is greater than, as text: that of the tip.
fn time_of_tip(node: &Node) -> String {
    node.status()["tip_time"].as_str().unwrap().to_owned()
}

#[test]
fn a_ban_holds_in_both_directions_and_ends_by_itself() {
    let (one, other) = friends();
    let told = one.ask_line(&format!("ban {} 4 for a moment", other.peer_id()));
    assert!(told.starts_with(&format!("banned {} until ", other.peer_id())), "{told}");
    assert!(told.ends_with(", by order: for a moment"), "{told}");
    wait_until("they part", PATIENCE, || !meets(&one, &other) && !meets(&other, &one));
    let listed = one.ask("bans");
    assert_eq!(listed[0], "banned (1):");
    let refused = other.ask_line(&format!("connect {}", one.address()));
    assert!(refused.starts_with("error: "), "{refused}");
    let refused = one.ask_line(&format!("connect {}", other.address()));
    assert!(refused.contains("this node has banned that peer"), "{refused}");
    wait_until("the ban ends", PATIENCE, || bans(&one).is_empty());
    wait_until("they meet again by themselves", Duration::from_secs(60), || meets(&one, &other));
    wait_until("the file knows", PATIENCE, || {
        fs::read_to_string(one.dir().join("bans.json")).is_ok_and(|text| text.contains("\"bans\": []"))
    });
}

#[test]
fn orders_that_make_no_sense_change_nothing() {
    let node = Node::start();
    let stranger = "12D3KooWEgj3frYEYvBmhwA5ZuxdE3iFRrjkdUsDKQ5NAdocqm9H";
    for (body, status, part) in [
        (json!({ "peer": "nobody" }), 400, "is not a peer id"),
        (json!({ "peer": stranger, "seconds": 0 }), 400, "seconds: 0 is not in 1 to 315360000"),
        (json!({ "peer": stranger, "seconds": 315_360_001 }), 400, "is not in 1 to"),
        (json!({ "peer": stranger, "reason": "x".repeat(201) }), 400, "at most 200 characters"),
        (json!({ "peer": stranger, "reason": "two\nlines" }), 400, "one line"),
        (json!({ "peer": node.peer_id() }), 409, "is this node itself"),
    ] {
        let answer = node.post("/api/v1/bans", &body);
        assert_eq!(answer.status, status, "{body}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(part), "{detail}");
    }
    let missing = node.ask_line(&format!("unban {stranger}"));
    assert_eq!(missing, format!("error: {stranger} is not banned"));
    assert_eq!(node.ask_line("bans"), "nobody is banned");
    assert!(!node.dir().join("bans.json").exists());
    // A peer that was never met can be banned before it comes.
    node.post("/api/v1/bans", &json!({ "peer": stranger })).success();
    assert_eq!(bans(&node)[0]["peer"], stranger);
    holds_for("it stays banned", Duration::from_millis(500), || bans(&node).len() == 1);
}

#[test]
fn a_damaged_file_is_set_aside() {
    let mut node = Node::start();
    node.stop();
    fs::write(node.dir().join("bans.json"), "{\"format\": 1, \"bans\": [").unwrap();
    let node = node.builder_of().start();
    assert!(node.stderr().contains("it is set aside as"), "{}", node.stderr().text());
    assert_eq!(bans(&node), [] as [Value; 0]);
    assert!(node.dir().join("bans.json.damaged").exists());
}
