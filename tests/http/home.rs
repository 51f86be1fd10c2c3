//! The page of a node: what it shows, and its forms as a browser sends them.

use bard_tests::process::{Node, PATIENCE, wait_until};
use serde_json::json;

use crate::{authority, send, send_json};

/// The one script of the page.
const OWN_SCRIPT: &str = "<script type=\"module\" src=\"/page/app.js\"></script>";

/// A browser without script and with the page open: it sends only forms that the page has, with all of their fields, and follows where it is led.
struct Browser<'a> {
    node: &'a Node,
    agent: ureq::Agent,
    page: String,
}

impl<'a> Browser<'a> {
    fn open(node: &'a Node) -> Self {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().into();
        let page =
            agent.get(node.file().api.as_str()).call().expect("a page").body_mut().read_to_string().expect("text");
        Self { node, agent, page }
    }

    /// The names of the fields of the form that goes to a path.
    fn fields(&self, path: &str) -> Vec<String> {
        let forms: Vec<_> = self.page.split("<form").skip(1).filter_map(|form| form.split("</form>").next()).collect();
        let action = format!("method=\"post\" action=\"{path}\"");
        let form = forms.iter().find(|form| form.contains(&action)).unwrap_or_else(|| panic!("no form for {path}"));
        form.split("name=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
    }

    fn submit(&mut self, path: &str, values: &[&str]) {
        let fields = self.fields(path);
        assert_eq!(fields.len(), values.len(), "{path}: {fields:?}");
        let form = fields.iter().map(String::as_str).zip(values.iter().copied());
        let own = format!("http://{}", authority(self.node));
        let request = self.agent.post(format!("{own}{path}")).header("Accept", "text/html,*/*;q=0.8");
        let mut answer =
            request.header("Origin", &own).header("Sec-Fetch-Site", "same-origin").send_form(form).expect("an answer");
        self.page = answer.body_mut().read_to_string().expect("text");
        assert_eq!(answer.status(), 200, "{path}: {}", self.page);
        assert!(self.page.starts_with("<!doctype html>"), "{path} leads back to the page: {}", self.page);
    }
}

#[test]
fn five_steps_by_the_forms_of_the_page() {
    let (node, other) = (Node::start(), Node::start());
    other.mine(1);
    let mut browser = Browser::open(&node);
    browser.submit("/register_node", &[&format!("http://{}", authority(&other))]);
    assert!(browser.page.contains(authority(&other)), "{}", browser.page);
    browser.submit("/consensus", &[]);
    wait_until("the other's block is here", PATIENCE, || node.height() == 1);
    browser.submit("/add_transaction", &["alice", "bob", "10"]);
    assert!(browser.page.contains("<li>alice pays 10 to bob</li>"), "it waits in the pool: {}", browser.page);
    browser.submit("/mine", &[]);
    let tip = node.tip();
    assert!(browser.page.contains(&tip) && browser.page.contains("<dt>Height</dt><dd>2</dd>"), "{}", browser.page);
    assert!(browser.page.contains(other.peer_id()), "{}", browser.page);
    assert!(browser.page.contains("action=\"/chain\""), "the last of the five lists the chain");
    assert_eq!(node.get("/chain").success()["length"], 3);
    wait_until("the other has it", PATIENCE, || other.tip() == tip);
}

#[test]
fn what_strangers_write_stays_text() {
    let node = Node::start();
    let evil = "<script>alert('1')</script>\"><img src=x onerror=alert(2)>";
    assert_eq!(send_json(&node, "POST /api/v1/wallet/record", &json!({ "text": evil })).status, 201);
    let item = "/api/v1/wallet/items/%3Cb%3Ebold%3C%2Fb%3E/request";
    assert_eq!(send_json(&node, &format!("POST {item}"), &json!({})).status, 201);
    for mined in [false, true] {
        let answer = send(&node, "GET /", &[], b"");
        let page = String::from_utf8(answer.body.clone()).expect("text");
        let page = page.replace(OWN_SCRIPT, "");
        assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"), "mined: {mined}: {page}");
        for markup in ["<script", "<img", "<b>", "style=", "javascript:"] {
            assert!(!page.contains(markup), "mined: {mined}: {markup}");
        }
        if !mined {
            node.mine(1);
        }
    }
}

#[test]
fn the_page_may_load_nothing_and_send_nothing_elsewhere() {
    let node = Node::start();
    for path in ["/", "/page/style.css", "/page/app.js", "/page/en.json", "/page/icon.svg"] {
        let answer = send(&node, &format!("GET {path}"), &[], b"");
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        let text = String::from_utf8(answer.body).expect("text");
        assert!(!text.contains("https://") && !text.contains("url("), "{path}");
    }
    let answer = send(&node, "GET /", &[], b"");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.contains("form-action 'self'") && policy.contains("require-trusted-types-for 'script'"), "{policy}");
    // With no-referrer a browser would say that a form comes from nowhere, which is refused.
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
}

#[test]
fn a_page_whose_forms_could_do_nothing_says_so() {
    let node = Node::builder().arg("--api-token").arg("a-secret-token").start();
    let page = Browser::open(&node).page;
    assert!(page.contains("asks for a token") && !page.contains("<form") && !page.contains("a-secret-token"), "{page}");
}

#[test]
fn the_files_of_the_page() {
    let node = Node::start();
    let page = String::from_utf8(send(&node, "GET /", &[], b"").body).expect("text");
    let named: Vec<_> = page.split("=\"/page/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(named.contains(&"app.js") && named.contains(&"style.css"), "{page}");
    for name in named {
        let answer = send(&node, &format!("GET /page/{name}"), &[], b"");
        assert_eq!(answer.status, 200, "{name}");
        let tag = answer.header("etag").expect("a tag");
        let again = send(&node, &format!("GET /page/{name}"), &[&format!("If-None-Match: {tag}")], b"");
        assert_eq!(again.status, 304, "{name}");
    }
    assert_eq!(send(&node, "GET /page/secrets.txt", &[], b"").status, 404);
}

#[test]
fn a_label_is_drawn_for_any_item() {
    let node = Node::start();
    let answer = send(&node, "GET /api/v1/items/key%207/label.svg", &[], b"");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("image/svg+xml")));
    let drawn = String::from_utf8(answer.body).expect("text");
    assert!(drawn.contains("<svg") && !drawn.contains("key 7"), "{drawn}");
    assert_eq!(send(&node, &format!("GET /api/v1/items/{}/label.svg", "x".repeat(65)), &[], b"").status, 404);
}

#[test]
fn a_label_leads_to_where_the_page_is_open() {
    let node = Node::start();
    let label = |query: &str| {
        let answer = send(&node, &format!("GET /api/v1/items/key/label.svg{query}"), &[], b"");
        assert_eq!(answer.status, 200, "{query}");
        answer.body
    };
    let own = label("");
    let host = authority(&node).replace(':', "%3A");
    assert_eq!(label(&format!("?origin=http%3A%2F%2F{host}")), own, "without an origin it is that of the call");
    // Behind a proxy, which hands the call on under another name.
    let public = label("?origin=https%3A%2F%2Fbard.example.org");
    assert_ne!(public, own);
    assert_ne!(public, label("?origin=http%3A%2F%2Fbard.example.org"));
    for origin in ["", "null", "javascript%3A%2F%2Fx", "https%3A%2F%2Fa%2Fb", "https%3A%2F%2Fme%40a"] {
        let answer = send(&node, &format!("GET /api/v1/items/key/label.svg?origin={origin}"), &[], b"");
        assert_eq!(answer.status, 400, "{origin}");
    }
}
