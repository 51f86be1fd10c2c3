//! An API that other machines can reach.

use bard_tests::{
    netns::{inside, prepare_loopback},
    process::{Http, Node},
};
use serde_json::json;

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn an_api_for_others_needs_its_token_for_every_change() {
    if !inside("exposed::an_api_for_others_needs_its_token_for_every_change") {
        return;
    }
    prepare_loopback("10.99.0.1");
    let node = Node::builder().arg("--host").arg("0.0.0.0").start();
    let port = node.file().api.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    let line = node
        .stderr()
        .from(0)
        .into_iter()
        .find_map(|line| line.strip_prefix("API token for changing requests: ").map(str::to_owned));
    let token = line.unwrap_or_else(|| panic!("no token in {}", node.stderr().text()));
    let api = Http::new(&format!("http://10.99.0.1:{port}"));
    assert_eq!(api.get("/api/v1/status").status, 200);
    assert_eq!(api.post("/api/v1/mine", &json!({})).status, 401);
    let with = |token: &str| {
        let host = format!("Host: 10.99.0.1:{port}\r\nAuthorization: Bearer {token}");
        let head = format!("POST /api/v1/mine HTTP/1.1\r\n{host}\r\nConnection: close\r\n");
        api.raw(format!("{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}").as_bytes())
    };
    assert!(with("wrong").starts_with("HTTP/1.1 403"), "{}", with("wrong"));
    let answer = with(&token);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let logs = std::fs::read_dir(node.dir().join("logs")).unwrap();
    let logged =
        logs.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).any(|text| text.contains(&token));
    assert!(!logged, "a secret is in the log");
}

#[test]
#[ignore = "needs network namespaces: .ci/run network"]
fn a_token_of_ones_own_is_used_on_loopback_too() {
    if !inside("exposed::a_token_of_ones_own_is_used_on_loopback_too") {
        return;
    }
    prepare_loopback("10.99.0.1");
    let node = Node::builder().env("BARD_API_TOKEN", "of my own").start();
    assert_eq!(node.post("/api/v1/mine", &json!({})).status, 401);
    assert!(!node.stderr().contains("of my own"), "a secret is in the log");
    assert!(node.ask_line("mine").starts_with("mined block 1 "), "the console needs none");
}
