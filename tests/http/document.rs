//! The description and the page that shows it.

use bard_tests::process::Node;

use crate::send;

const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

#[test]
fn what_is_described_is_there_and_nothing_else() {
    let node = Node::start();
    let document = send(&node, "GET /openapi.json", &[], b"").json();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let mut described: Vec<String> =
            METHODS.into_iter().filter(|method| operations.get(method).is_some()).map(str::to_uppercase).collect();
        if described.iter().any(|method| method == "GET") {
            described.push("HEAD".to_owned());
        }
        described.sort();
        let concrete: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect();
        let answer = send(&node, &format!("OPTIONS {}", concrete.join("/")), &[], b"");
        let mut allowed: Vec<_> = answer.header("allow").unwrap_or_default().split(',').map(str::to_owned).collect();
        allowed.sort();
        assert_eq!((answer.status, allowed), (204, described), "{path}");
        let wrong = send(&node, &format!("BREW {}", concrete.join("/")), &[], b"");
        assert_eq!(wrong.status, 405, "{path}");
        assert!(wrong.header("allow").is_some(), "{path}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(whole: &serde_json::Value, part: &serde_json::Value) {
        if let Some(reference) = part.get("$ref").and_then(|reference| reference.as_str()) {
            let pointer = reference.trim_start_matches('#');
            assert!(whole.pointer(pointer).is_some(), "{reference}");
        }
        match part {
            serde_json::Value::Object(fields) => fields.values().for_each(|field| walk(whole, field)),
            serde_json::Value::Array(all) => all.iter().for_each(|one| walk(whole, one)),
            _ => {}
        }
    }
    let document = send(&Node::start(), "GET /openapi.json", &[], b"").json();
    walk(&document, &document);
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let node = Node::start();
    let mut length = 0;
    for (path, kind) in [("/docs", "text/html"), ("/docs/page.js", "text/javascript"), ("/docs/page.css", "text/css")] {
        let answer = send(&node, &format!("GET {path}"), &[], b"");
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").is_some_and(|given| given.starts_with(kind)), "{path}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let text = String::from_utf8(answer.body).expect("text");
        assert!(!text.contains("http://") && !text.contains("https://"), "{path}");
        assert!(!text.contains("innerHTML") && !text.contains("style=") && !text.contains(" onclick"), "{path}");
        length += text.len();
    }
    assert!(length < 20_000, "{length} bytes");
}
