//! How the dashboard looks. Whatever does not fit is cut off, the least important last.

use std::collections::BTreeMap;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    text::{Line, Span},
    widgets::{Block, List, Paragraph, Row, Table},
};

use super::state::{Seen, Snapshot};
use crate::{
    clock,
    interface::view::{
        json::{Direction, Peer},
        text::rate,
    },
};

/// Lines of the overview with its frame.
const OVERVIEW: u16 = 9;
/// Lines of blocks and news that are shown at least, with their frame.
const LEAST: u16 = 5;
/// Characters of a hash or peer id that are shown.
const SHORT: usize = 16;

/// Draws everything.
pub(super) fn all(frame: &mut Frame<'_>, seen: &Seen) {
    let [title, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    frame.render_widget(heading(seen), title);
    frame.render_widget(Line::from("q quits").dim(), foot);
    let Some(last) = &seen.last else { return };
    let peers = u16::try_from(last.peers.peers.len()).unwrap_or(u16::MAX).saturating_add(3);
    let [overview_at, peers_at, lower] =
        Layout::vertical([Constraint::Length(OVERVIEW), Constraint::Max(peers.max(LEAST)), Constraint::Min(LEAST)])
            .areas(body);
    overview(frame, overview_at, last);
    peer_table(frame, peers_at, last);
    let [blocks_at, news_at] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(lower);
    blocks(frame, blocks_at, last);
    let news = seen.news.iter().map(|line| line.trim_start_matches("* ").to_owned());
    frame.render_widget(List::new(news).block(Block::bordered().title("news")), news_at);
}

/// Who the node is, and in red why it does not answer.
fn heading(seen: &Seen) -> Line<'_> {
    match &seen.trouble {
        Some(why) => Line::from(format!("lost: {why}; it is asked again")).style(Style::new().fg(Color::Red).bold()),
        None => {
            let version = seen.last.as_ref().map_or("", |last| &last.node.version);
            Line::from(vec!["bard ".bold(), Span::from(version), Span::from(format!(" at {}", seen.url))])
        }
    }
}

fn overview(frame: &mut Frame<'_>, area: Rect, last: &Snapshot) {
    let status = &last.status;
    let mining = if status.mining.enabled { "on" } else { "off" };
    let sync = if status.sync.syncing {
        format!("catching up to height {}, {} blocks so far", status.sync.target_height, status.sync.accepted)
    } else {
        "nothing to catch up".to_owned()
    };
    let lines = [
        ("chain", format!("{} ({})", status.chain, short(&last.node.chain.id.to_string()))),
        ("height", format!("{}, difficulty {} hashes a block", status.height, status.difficulty)),
        ("tip", format!("{}, {}", status.tip, clock::local(status.tip_time.0))),
        ("sync", sync),
        ("pool", format!("{} transactions, {} bytes", status.pool.transactions, status.pool.bytes)),
        (
            "mining",
            format!(
                "{mining}, {} threads, {}, {} blocks found",
                status.mining.threads,
                rate(status.mining.hash_rate),
                status.mining.mined
            ),
        ),
        ("reachable", status.reachability.to_string()),
    ];
    let line = |(name, value): (&'static str, String)| Line::from(vec![format!("{name:10} ").bold(), value.into()]);
    let text: Vec<_> = lines.into_iter().map(line).collect();
    frame.render_widget(Paragraph::new(text).block(Block::bordered().title("node")), area);
}

fn peer_table(frame: &mut Frame<'_>, area: Rect, last: &Snapshot) {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for kind in last.peers.peers.iter().map(|peer| peer.found_by.as_deref().unwrap_or("?")) {
        *kinds.entry(kind).or_default() += 1;
    }
    let kinds: Vec<_> = kinds.into_iter().map(|(kind, count)| format!("{count} by {kind}")).collect();
    let agreeing = format!("{}, {} at the same tip", last.status.peers, last.status.agreeing_peers);
    let title = match kinds.as_slice() {
        [] => format!("peers: {agreeing}"),
        _ => format!("peers: {agreeing}; {}", kinds.join(", ")),
    };
    let widths = [
        Constraint::Length(18),
        Constraint::Length(8),
        Constraint::Length(11),
        Constraint::Length(10),
        Constraint::Min(20),
    ];
    let table = Table::new(last.peers.peers.iter().map(peer), widths)
        .header(Row::new(["peer", "height", "found by", "latency", "address"]).bold())
        .block(Block::bordered().title(title));
    frame.render_widget(table, area);
}

fn peer(peer: &Peer<'_>) -> Row<'static> {
    let arrow = match peer.direction {
        Direction::Inbound => "<-",
        Direction::Outbound => "->",
    };
    let unknown = || "?".to_owned();
    Row::new([
        // Peer ids differ at their ends.
        tail(&peer.peer_id),
        peer.height.map_or_else(unknown, |height| height.to_string()),
        peer.found_by.clone().unwrap_or_else(unknown),
        peer.latency_ms.map_or_else(unknown, |ms| format!("{ms:.1} ms")),
        format!("{arrow} {}", peer.addresses.first().map_or("?", String::as_str)),
    ])
}

fn blocks(frame: &mut Frame<'_>, area: Rect, last: &Snapshot) {
    let line = |block: &crate::interface::view::json::Block<'_>| {
        let header = &block.header;
        let time = clock::local(header.timestamp.0);
        format!("{} {} {time} {} tx", header.height, short(&header.hash.to_string()), block.transactions.len())
    };
    let lines: Vec<String> = last.blocks.blocks.iter().map(line).collect();
    frame.render_widget(List::new(lines).block(Block::bordered().title("last blocks")), area);
}

fn short(text: &str) -> String {
    text.chars().take(SHORT).collect()
}

fn tail(text: &str) -> String {
    let skipped = text.chars().count().saturating_sub(SHORT);
    text.chars().skip(skipped).collect()
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};
    use serde_json::json;

    use super::*;

    /// A node as it answers, with so many peers.
    fn snapshot(peers: usize) -> Snapshot {
        let address = "bard1zs45dqgweajfzpvdksa22p4xlkmr4rx6c925haqe30ky75cjtmqsly3422";
        let hash = "ab".repeat(32);
        let mining = json!({ "enabled": true, "threads": 2, "hash_rate": 1.5e6, "mined": 7 });
        let peer = |number: usize| {
            json!({
                "peer_id": format!("12D3KooWaaaaaaaaaaaaaaaaaaaa{number:04}"), "addresses": ["/ip4/10.0.0.1/tcp/6000"],
                "found_by": "mdns", "origins": ["mdns"], "direction": "outbound", "transport": "tcp", "agent": "bard",
                "latency_ms": 1.25, "height": 41, "tip": null, "faults": [],
            })
        };
        Snapshot {
            node: serde_json::from_value(json!({
                "version": "0.1.0", "peer_id": "x", "listen": [], "external": [], "address": address,
                "chain": { "name": "dev", "id": hash }, "reachability": "unknown", "uptime_ms": 1,
            }))
            .expect("a node"),
            status: serde_json::from_value(json!({
                "chain": "dev", "height": 42, "tip": hash, "tip_time": "2026-01-01T00:00:00.000Z", "state_root": hash,
                "total_work": "9", "difficulty": "65537", "target_interval_ms": 1000, "peers": peers,
                "agreeing_peers": 1, "pool": { "transactions": 3, "bytes": 500 }, "mining": mining, "hash_rate": 1.5e6,
                "sync": { "syncing": true, "target_height": 99, "accepted": 5 }, "reachability": "unknown",
                "items": { "reserved": 0, "available": 0 },
            }))
            .expect("a status"),
            peers: serde_json::from_value(json!({ "peers": (0..peers).map(peer).collect::<Vec<_>>() })).expect("peers"),
            blocks: serde_json::from_value(json!({ "blocks": [], "next": null })).expect("blocks"),
        }
    }

    fn drawn(seen: &Seen, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| all(frame, seen)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn everything_has_its_place() {
        let mut seen = Seen::new("http://127.0.0.1:5000/");
        seen.answered(snapshot(2));
        seen.heard("* block 42 abab (0 transactions)".to_owned());
        let shown = drawn(&seen, 110, 40);
        for part in [
            "bard 0.1.0 at http://127.0.0.1:5000/",
            "dev (abababababababab)",
            "42, difficulty 65537 hashes a block",
            "catching up to height 99, 5 blocks so far",
            "3 transactions, 500 bytes",
            "on, 2 threads, 1.5 MH/s, 7 blocks found",
            "peers: 2, 1 at the same tip; 2 by mdns",
            "-> /ip4/10.0.0.1/tcp/6000",
            "block 42 abab (0 transactions)",
            "q quits",
        ] {
            assert!(shown.contains(part), "{part:?} is not in\n{shown}");
        }
    }

    #[test]
    fn a_lost_node_is_named_and_what_it_said_last_stays() {
        let mut seen = Seen::new("http://x/");
        seen.answered(snapshot(0));
        seen.lost("no answer");
        let shown = drawn(&seen, 100, 30);
        assert!(shown.contains("lost: no answer; it is asked again") && shown.contains("42, difficulty"), "{shown}");
        seen.answered(snapshot(0));
        assert!(!drawn(&seen, 100, 30).contains("lost"));
    }

    #[test]
    fn no_terminal_is_too_small_and_no_network_too_large() {
        let mut seen = Seen::new("http://x/");
        seen.answered(snapshot(64));
        for (width, height) in [(1, 1), (10, 3), (20, 10), (40, 12), (80, 24), (250, 90)] {
            drawn(&seen, width, height);
        }
        for number in 0..1000 {
            seen.heard(format!("* {number}"));
        }
        assert_eq!((seen.news.len(), seen.news.front().map(String::as_str)), (200, Some("* 999")));
        let shown = drawn(&seen, 80, 40);
        assert!(
            shown.contains("999") && shown.contains("last blocks"),
            "news have their place beside 64 peers: {shown}"
        );
    }
}
