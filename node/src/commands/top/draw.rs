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
