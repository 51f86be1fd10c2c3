//! What an account, an item and the records were at an earlier height, asked of a node in every way there is.

use bard_tests::process::Node;
use serde_json::json;

#[test]
fn the_past_is_told_by_the_api_the_command_line_and_the_console() {
    let node = Node::start();
    node.mine(1);
    let before = node.get("/api/v1/accounts/bob").success()["balance"].as_u64().unwrap();
    node.pay("alice", "bob", 50);
    node.ask("request projector");
    node.ask("record the kiln was cleaned");
    node.mine(1);
    node.ask("release projector");
    node.mine(3);
    node.pay("bob", "alice", 7);

    let at = |height: u64| node.get(&format!("/api/v1/accounts/bob?height={height}")).success();
    for (height, balance) in [(0, before), (1, before), (2, before + 50), (5, before + 50)] {
        let account = at(height);
        let expected = (&json!(balance), &json!(height), &json!(balance));
        assert_eq!((&account["balance"], &account["height"], &account["pending"]["balance"]), expected);
    }
    assert!(node.get("/api/v1/accounts/bob").success().get("height").is_none(), "at the tip nothing is added");
    // The reward of each block is its miner's from then on.
    let own = |height: u64| node.get(&format!("/api/v1/accounts/me?height={height}")).success()["balance"].as_u64();
    assert_eq!((own(0), own(1) < own(2), own(4) < own(5)), (Some(0), true, true));

    let item = |height: u64| node.get(&format!("/api/v1/items/projector?height={height}"));
    assert_eq!(item(1).status, 404, "nobody had ever held it");
    assert_eq!(item(2).success()["holder_name"], "me");
    assert_eq!(item(3).success()["holder"], json!(null));
    let records = |height: u64| node.get(&format!("/api/v1/records?height={height}")).success()["transactions"].clone();
    assert_eq!(records(1), json!([]));
    assert_eq!(records(2).as_array().unwrap().len(), 1);

    for path in ["accounts/bob", "items/projector", "records"] {
        let above = node.get(&format!("/api/v1/{path}?height=6"));
        assert_eq!(above.status, 404, "{path}: {}", above.body);
        let detail = "there is no height 6 yet: the chain ends at height 5";
        assert_eq!(above.json()["detail"], detail, "{path}");
        for bad in ["-1", "x", "9007199254740992"] {
            assert_eq!(node.get(&format!("/api/v1/{path}?height={bad}")).status, 400, "{path} at {bad}");
        }
    }

    let api = node.file().api.clone();
    let ended = node.builder_of().tool(&["balance", "bob", "--height", "2", "--api", &api]);
    assert!(ended.stdout.ends_with(&format!(" {} at height 2", before + 50)), "{}{}", ended.stdout, ended.stderr);
    let ended = node.builder_of().tool(&["balance", "bob", "--height", "9", "--api", &api]);
    assert_eq!((ended.code(), ended.told().len()), (Some(1), 1), "{}", ended.stderr);
    assert!(node.ask_line("balance bob at 1").ends_with(&format!(" {before} at height 1")));
    assert!(node.ask_line("balance bob at noon").starts_with("error: "));
}
