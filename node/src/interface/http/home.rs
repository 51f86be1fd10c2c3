//! `GET /`: the page of the node. With script it is what [`super::page`] holds; without, it is what the node has, and forms for
//! what the web simulation could do.
//!
//! # Security
//! All that comes from the chain, the network or a person goes through [`Html::text`], which leaves no markup in it; the page
//! may load nothing but its own files and send forms nowhere but here.

#![allow(unused_qualifications, reason = "written so by the macros that describe the calls")]

use axum::{
    Extension,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Access, page::POLICY, problem::Problem};
use crate::{
    application::{Command, Reply, Service, reply},
    interface::view::replaced,
};

/// The frame of the page; [`PLAIN`] stands where what it has without script goes.
const FRAME: &str = include_str!("page/index.html");
const PLAIN: &str = "<!-- what the page has without script -->
";

/// Blocks, transactions of one block and of the pool, and peers that the page shows.
const BLOCKS: usize = 10;
const TRANSACTIONS: usize = 10;
const PEERS: usize = 50;
/// How much of one text the page shows, in characters.
const SHOWN: usize = 200;

/// Whether changing something needs a token, which a form cannot carry.
#[derive(Clone, Copy)]
struct NeedsToken(bool);

pub(super) fn router(access: &Access) -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(home)).layer(Extension(NeedsToken(access.token.is_some())))
}

/// The page of the node
///
/// What it has, and forms for what can be done.
#[utoipa::path(get, path = "/", tag = "docs",
    responses((status = 200, description = "The page.", content_type = "text/html", body = String)))]
async fn home(
    State(service): State<Service>,
    Extension(NeedsToken(needs_token)): Extension<NeedsToken>,
) -> Result<Response, Problem> {
    let page = write(&service, needs_token).await?;
    let mut response = page.0.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // A browser that may not say where a form comes from says that it comes from nowhere, and is refused.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// A page as far as it is written.
struct Html(String);

impl Html {
    /// Markup of our own.
    fn markup(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text of whoever it may be, cut where it is long.
    fn text(&mut self, text: &str) -> &mut Self {
        let mut characters = text.chars();
        for character in characters.by_ref().take(SHOWN) {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                character if character.is_control() => self.0.push('\u{fffd}'),
                character => self.0.push(character),
            }
        }
        if characters.next().is_some() {
            self.0.push_str("...");
        }
        self
    }

    /// A row of the list at the top.
    fn fact(&mut self, name: &'static str, value: &str) -> &mut Self {
        self.markup("<dt>").markup(name).markup("</dt><dd>").text(value).markup("</dd>\n")
    }
}

const FORMS: &str = "<h2>What can be done</h2>\n<div class=\"forms\">\n\
    <form method=\"post\" action=\"/register_node\"><h3>Register node</h3>\
    <p>It is asked who it is, and connected to.</p>\
    <label>Address <input name=\"node_address\" required placeholder=\"http://127.0.0.1:5001\"></label>\
    <button>Register</button></form>\n\
    <form method=\"post\" action=\"/add_transaction\"><h3>Add transaction</h3>\
    <label>Sender <input name=\"sender\" required></label>\
    <label>Receiver <input name=\"receiver\" required></label>\
    <label>Amount <input name=\"amount\" required inputmode=\"numeric\" pattern=\"[0-9]+\"></label>\
    <button>Add</button></form>\n\
    <form method=\"post\" action=\"/mine\"><h3>Mine</h3>\
    <p>What waits in the pool goes into a block.</p><button>Mine</button></form>\n\
    <form method=\"post\" action=\"/consensus\"><h3>Resolve conflicts</h3>\
    <p>Every peer is asked for a chain with more work.</p><button>Resolve</button></form>\n\
    <form method=\"get\" action=\"/chain\"><h3>List</h3>\
    <p>The whole chain as JSON.</p><button>List</button></form>\n</div>\n";

const TOKEN: &str = "<p class=\"note\">This node asks for a token from whoever changes something. A form cannot carry it: use \
    the <a href=\"/docs\">page of the API</a>, or any client that sends the header <code>Authorization: Bearer \
    TOKEN</code>.</p>\n";

const FOOT: &str = "<p><a href=\"/docs\">The API</a> · <a href=\"/nodes\">nodes</a> · <a href=\"/wallets\">wallets</a> · \
    <a href=\"/metrics\">metrics</a></p>\n";

async fn write(service: &Service, needs_token: bool) -> Result<Html, Problem> {
    let mut page = Html(String::with_capacity(8 << 10));
    let (before, after) = FRAME.split_once(PLAIN).unwrap_or((FRAME, ""));
    page.markup(before);
    if let Reply::Status(status) = service.execute(Command::Status).await? {
        write_status(&mut page, &status, service);
    }
    page.markup(if needs_token { TOKEN } else { FORMS });
    if let Reply::Blocks { blocks, .. } = service.execute(Command::BlocksDown { from: None, limit: BLOCKS }).await? {
        page.markup("<h2>Last blocks</h2>\n");
        write_blocks(&mut page, &blocks, service);
    }
    if let Reply::PoolPage { transactions, .. } =
        service.execute(Command::PoolPage { from: None, limit: TRANSACTIONS }).await?
    {
        page.markup("<h2>Waiting in the pool</h2>\n");
        let all: Vec<_> = transactions
            .iter()
            .map(|one| replaced::transaction(one.id(), one.transaction(), service.wallet()))
            .collect();
        write_transactions(&mut page, &all, service.pool_len());
    }
    if let Reply::Peers(peers) = service.execute(Command::Peers).await? {
        page.markup("<h2>Peers</h2>\n");
        write_peers(&mut page, &peers.connected);
    }
    page.markup(FOOT).markup(after);
    Ok(page)
}

fn write_status(page: &mut Html, status: &reply::Status, service: &Service) {
    page.markup("<h1>BlockBard: ").text(&status.chain_name).markup("</h1>\n<dl>\n");
    page.fact("Height", &status.height.to_string());
    page.fact("Tip", &status.tip.to_string());
    page.fact("Peers", &status.peers.to_string());
    page.fact("Pool", &status.pool.to_string());
    let nodes = service.http_nodes().join(", ");
    page.fact("Registered nodes", if nodes.is_empty() { "none" } else { &nodes });
    page.fact("Reachability", &status.reachability);
    page.markup("</dl>\n");
}

fn write_blocks(page: &mut Html, blocks: &[reply::Block], service: &Service) {
    page.markup("<table>\n<tr><th>Height</th><th>Hash</th><th>Mined</th><th>Transactions</th></tr>\n");
    for block in blocks {
        let shown = replaced::head(block, TRANSACTIONS, service.wallet());
        let field = |name: &str| shown.get(name).map(plain).unwrap_or_default();
        page.markup("<tr><td>").text(&field("height")).markup("</td><td><code>").text(&field("hash"));
        page.markup("</code></td><td>").text(&field("timestamp")).markup("</td><td>");
        let all = shown.get("transactions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        write_transactions(page, all, block.block.transaction_ids().len());
        page.markup("</td></tr>\n");
    }
    page.markup("</table>\n");
}

/// Some transactions, a line each, and how many there are besides.
fn write_transactions(page: &mut Html, shown: &[Value], count: usize) {
    if count == 0 {
        page.markup("<p>none</p>\n");
        return;
    }
    page.markup("<ul>\n");
    for one in shown {
        page.markup("<li>").text(&sentence(one)).markup("</li>\n");
    }
    if count > shown.len() {
        page.markup("<li>and ").text(&count.saturating_sub(shown.len()).to_string()).markup(" more</li>\n");
    }
    page.markup("</ul>\n");
}

fn write_peers(page: &mut Html, peers: &[reply::Peer]) {
    if peers.is_empty() {
        page.markup("<p>none</p>\n");
        return;
    }
    page.markup("<ul>\n");
    for peer in peers.iter().take(PEERS) {
        page.markup("<li><code>").text(&peer.info.id.to_string()).markup("</code> ");
        page.text(peer.info.agent.as_str()).markup("</li>\n");
    }
    page.markup("</ul>\n");
}

/// A value as a person reads it: a text without quotation marks.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What a transaction does, in a line.
fn sentence(one: &Value) -> String {
    let field = |name: &str| one.get(name).map(plain).unwrap_or_default();
    let sender = field("sender");
    if one.get("recipient").is_some() {
        return format!("{sender} pays {} to {}", field("amount"), field("recipient"));
    }
    if one.get("data").is_some() {
        return format!("{sender} records: {}", field("data"));
    }
    let action = one.get("action").unwrap_or(&Value::Null);
    let what = |name: &str| action.get(name).map(plain).unwrap_or_default();
    format!("{sender}: {} {} {}", what("type").replace('_', " "), what("item"), what("to"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_never_markup() {
        let mut page = Html(String::new());
        page.text("<script>alert(\"1\" & '2')</script>\0");
        assert_eq!(page.0, "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;\u{fffd}");
        let mut page = Html(String::new());
        page.text(&"x".repeat(SHOWN + 1));
        assert_eq!(page.0.len(), SHOWN + 3);
    }

    #[test]
    fn transactions_are_sentences() {
        let payment = json!({ "sender": "alice", "recipient": "bob", "amount": 5, "action": { "type": "transfer" } });
        assert_eq!(sentence(&payment), "alice pays 5 to bob");
        assert_eq!(sentence(&json!({ "sender": "alice", "data": { "a": 1 } })), "alice records: {\"a\":1}");
        let item = json!({ "sender": "bob", "action": { "type": "item_request", "item": "key" } });
        assert_eq!(sentence(&item).trim_end(), "bob: item request key");
    }

    #[test]
    fn the_page_has_no_script_and_no_style_of_its_own() {
        let (before, after) = FRAME.split_once(PLAIN).expect("a place for what the page has without script");
        assert!(before.ends_with("<noscript>\n") && after.starts_with("</noscript>"), "{FRAME}");
        for part in [FORMS, TOKEN, FOOT, after] {
            assert!(!part.contains("<script") && !part.contains("style=") && !part.contains(" on"), "{part}");
        }
        assert_eq!(before.matches("<script").count(), 1, "{before}");
        assert!(before.contains("<script type=\"module\" src=\"/page/app.js\"></script>"), "{before}");
    }
}
