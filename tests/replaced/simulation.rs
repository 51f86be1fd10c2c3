//! The web simulation: register nodes, add a transaction, mine, resolve, look; by forms as a browser sends them, and as JSON.

use bard_tests::process::{Node, PATIENCE, wait_until};
use serde_json::json;

use crate::caller::{Answer, Caller, authority};

/// What a browser sends with a form, besides its fields.
const BROWSER: &str = "-H 'Accept: text/html,application/xhtml+xml,*/*;q=0.8' -H 'Sec-Fetch-Site: same-origin'";

fn form(caller: Caller, node: &Node, path: &str, fields: &str) -> Answer {
    let origin = format!("-H 'Origin: http://{}'", authority(node));
    caller.run(node, &format!("curl -X POST {BROWSER} {origin} -d '{fields}' http://localhost:5000{path}"))
}

fn json_of(caller: Caller, node: &Node, path: &str, body: &str) -> Answer {
    caller
        .run(node, &format!("curl -X POST -H 'Content-Type: application/json' -d '{body}' http://localhost:5000{path}"))
}

fn goes_to_the_page(answer: &Answer) {
    assert_eq!(answer.status, 302, "{answer:?}");
    assert!(answer.location == "/" || answer.location.is_empty(), "{answer:?}");
}

#[test]
fn five_steps_by_form() {
    for caller in Caller::all() {
        let (one, two) = (Node::start(), Node::start());
        let address = format!("node_address=http%3A%2F%2F{}", authority(&two).replace(':', "%3A"));
        goes_to_the_page(&form(caller, &one, "/register_node", &address));
        goes_to_the_page(&form(caller, &one, "/add_transaction", "sender=alice&receiver=bob&amount=10"));
        goes_to_the_page(&form(caller, &one, "/mine", ""));
        goes_to_the_page(&form(caller, &one, "/consensus", ""));
        let chain = caller.run(&one, "curl http://localhost:5000/chain").with(200);
        assert_eq!((&chain["length"], &chain["chain"][1]["transactions"][0]["amount"]), (&json!(2), &json!(10)));
        let nodes = caller.run(&one, "curl http://localhost:5000/nodes").with(200);
        assert_eq!(nodes["nodes"], json!([format!("http://{}", authority(&two))]));
        wait_until("the other has it", PATIENCE, || two.height() == 1);
        // Nothing is left to mine; a mistake is told, not hidden behind the page.
        assert_eq!(form(caller, &one, "/mine", "").with(400)["message"], "No transactions to mine");
        assert_eq!(
            form(caller, &one, "/add_transaction", "sender=alice&amount=1").with(400)["error"],
            "Missing values"
        );
        // A program that sends a form gets JSON.
        let command = "curl -X POST -d 'sender=alice&recipient=bob&amount=1' http://localhost:5000/add_transaction";
        assert!(caller.run(&one, command).with(201)["message"].is_string());
    }
}

#[test]
fn five_steps_as_json() {
    for caller in Caller::all() {
        let (one, two) = (Node::start(), Node::start());
        let url = format!("http://{}", authority(&two));
        for body in [
            json!({ "node_address": url }),
            json!({ "node": url }),
            json!({ "node_url": format!("{url}/") }),
            json!({ "nodes": [authority(&two)] }),
            json!({ "address": authority(&two) }),
        ] {
            let registered = json_of(caller, &one, "/register_node", &body.to_string()).with(201);
            assert_eq!((&registered["nodes"], &registered["total_nodes"]), (&json!([url]), &json!([authority(&two)])));
        }
        let body = r#"{"sender": "alice", "receiver": "carla", "amount": 10}"#;
        assert!(json_of(caller, &one, "/add_transaction", body).with(201)["message"].is_string());
        let mined = caller.run(&one, "curl -X POST http://localhost:5000/mine").with(201);
        assert_eq!((&mined["block"]["index"], &mined["message"]), (&json!(1), &json!("New block mined")));
        let payment = &mined["block"]["transactions"][0];
        assert_eq!((&payment["sender"], &payment["amount"]), (&json!("alice"), &json!(10)));
        let keys = one.get("/api/v1/wallet/keys").success()["keys"].clone();
        let carla = keys.as_array().unwrap().iter().find(|key| key["name"] == "carla").unwrap();
        assert_eq!(payment["receiver"], carla["address"], "a name of one node means nothing on another");
        wait_until("the other has it", PATIENCE, || two.height() == 1);
        let agreed = caller.run(&two, "curl -X POST http://localhost:5000/consensus").with(200);
        assert_eq!(agreed["chain"].as_array().unwrap().len(), 2);
        assert!(agreed["message"].is_string());
        let nothing = json_of(caller, &one, "/mine", "{}").with(400);
        assert_eq!(nothing["message"], "No transactions to mine");
        assert_eq!(json_of(caller, &one, "/register_node", "{}").status, 400);
    }
}
