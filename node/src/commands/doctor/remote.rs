//! Other machines: whether each address that a node is to connect to can be reached, and who is there.

use std::{io, time::Duration};

use bard_chain::units::{Height, Timestamp, Work};
use bard_protocol::{
    Agent, Found, InspectConfig, InspectError, Inspected, Multiaddr, Status, inspect, topics::Kinship,
};
use tokio::net::TcpStream;

use super::{Finding, Subject, machine::Endpoint};
use crate::{clock, interface::client::Client};

/// How long somebody may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long nodes on the local network may take to announce themselves.
const MDNS: Duration = Duration::from_secs(3);
/// How long looking at nodes may take.
const INSPECT: Duration = Duration::from_secs(10);
/// Peers of a running node that are asked for their clocks.
const PEERS: usize = 4;
/// A difference between two clocks that is worth a word, in milliseconds.
const NOTABLE: u64 = 10_000;

const BOOTSTRAP: &str = "bootstrap";
const CLOCK: &str = "clock";

/// Whatever can be found out about others.
pub(super) async fn findings(subject: &Subject<'_>) -> Vec<Finding> {
    let bootstrap = &subject.options.bootstrap;
    let mut findings = Vec::new();
    let mut reached = Vec::new();
    for (address, outcome) in futures::future::join_all(bootstrap.iter().map(knock)).await {
        match outcome {
            Ok(()) => reached.push(address.clone()),
            Err(finding) => findings.push(finding),
        }
    }
    for (url, outcome) in futures::future::join_all(subject.options.tracker.iter().map(|url| knock_at_url(url))).await {
        findings
            .push(outcome.map_or_else(|fault| fault, |()| Finding::ok("tracker", format!("{url} takes connections"))));
    }
    let peers = known_peers(subject);
    let config = InspectConfig {
        status: own_status(subject),
        secret: subject.secret.clone(),
        max_block_len: subject.spec.max_block_len(),
        addresses: reached.iter().cloned().chain(peers.iter().cloned()).collect(),
        mdns: (!subject.options.no_mdns).then_some(MDNS),
        deadline: INSPECT,
    };
    let inspected = match inspect(config).await {
        Ok(inspected) => inspected,
        Err(error) => {
            findings.push(Finding::fault(BOOTSTRAP, error.to_string(), "mend what the system says is missing"));
            return findings;
        }
    };
    for one in inspected.iter().filter(|one| reached.contains(&one.address)) {
        findings.push(at_address(subject, one).await);
    }
    let is_left = |address: &&Multiaddr| !inspected.iter().any(|one| one.address == **address);
    for address in reached.iter().filter(is_left) {
        let meaning = format!("{address} takes connections; who is there was not looked at, the list is too long");
        findings.push(Finding::warning(BOOTSTRAP, meaning, "run the doctor with fewer addresses"));
    }
    findings.extend(on_the_local_network(subject, &inspected));
    findings.extend(versions(&inspected));
    findings.extend(clocks(&inspected, subject.spec.max_drift_ms));
    findings
}

fn own_status(subject: &Subject<'_>) -> Status {
    Status {
        chain: subject.spec.chain_id(),
        height: Height::ZERO,
        tip: bard_chain::hash::BlockId::ZERO,
        work: Work::ZERO,
        agent: Agent::new(concat!("bard-doctor/", env!("CARGO_PKG_VERSION"))),
        clock: clock::now(),
        blocks_from: Height::new(1),
    }
}

/// Addresses of peers that a running node dialled: they can be asked for their clocks.
fn known_peers(subject: &Subject<'_>) -> Vec<Multiaddr> {
    let peers = subject.running.iter().flat_map(|running| &running.peers.peers);
    let dialled = peers.filter(|peer| matches!(peer.direction, crate::interface::view::json::Direction::Outbound));
    dialled.filter_map(|peer| peer.addresses.first()?.parse().ok()).take(PEERS).collect()
}

/// Whether somebody takes connections at an address. Of QUIC that cannot be known before somebody answers.
async fn knock(address: &Multiaddr) -> (&Multiaddr, Result<(), Finding>) {
    let Some(endpoint) = Endpoint::of(address) else {
        let advice = "an address looks like /ip4/192.168.1.7/tcp/6000 or /dns/HOST/tcp/6000";
        return (address, Err(Finding::fault(BOOTSTRAP, format!("{address} cannot be connected to"), advice)));
    };
    let outcome = connect(BOOTSTRAP, &address.to_string(), &endpoint).await;
    (address, outcome)
}

async fn knock_at_url(url: &str) -> (&str, Result<(), Finding>) {
    let authority = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let endpoint = Endpoint { host, port: port.parse().unwrap_or(80), udp: false };
    (url, connect("tracker", url, &endpoint).await)
}

async fn connect(check: &'static str, name: &str, endpoint: &Endpoint) -> Result<(), Finding> {
    let (host, port) = (endpoint.host.as_str(), endpoint.port);
    let resolved: Vec<_> = match tokio::net::lookup_host((host, port)).await {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            let meaning = format!("{name}: the name {host} is not found ({error})");
            return Err(Finding::fault(
                check,
                meaning,
                "correct the name, or give the IP address; look at the DNS of this machine",
            ));
        }
    };
    if endpoint.udp {
        return Ok(());
    }
    match tokio::time::timeout(CONNECT, TcpStream::connect(resolved.as_slice())).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(not_connected(check, name, &error)),
        Err(_) => Err(no_answer(check, name)),
    }
}

fn no_answer(check: &'static str, name: &str) -> Finding {
    let meaning = format!(
        "{name}: no answer within {} s: a firewall drops it, or the machine is off or elsewhere",
        CONNECT.as_secs()
    );
    Finding::fault(check, meaning, "let the port through the firewall of that machine, and check its address")
}

fn not_connected(check: &'static str, name: &str, error: &io::Error) -> Finding {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            let meaning = format!("{name}: refused: the machine is there, but nothing listens on that port");
            Finding::fault(
                check,
                meaning,
                "start the node there, and check the port: `node` at its console shows its addresses",
            )
        }
        io::ErrorKind::TimedOut => no_answer(check, name),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            let meaning = format!("{name}: no way leads there ({error})");
            Finding::fault(check, meaning, "both machines have to be on networks that are connected; check the address")
        }
        _ => Finding::fault(check, format!("{name}: {error}"), "check the address"),
    }
}

/// What somebody at a bootstrap address means.
async fn at_address(subject: &Subject<'_>, one: &Inspected) -> Finding {
    let address = &one.address;
    match &one.outcome {
        Ok(found) => found_there(subject, address, found),
        Err(InspectError::OtherPeer(found)) => Finding::fault(
            BOOTSTRAP,
            format!("{address}: another node answers there, {found}"),
            format!("correct what is after /p2p/, or leave it out: {}", without_peer(address)),
        ),
        Err(error) => no_node(subject, address, error).await,
    }
}

fn without_peer(address: &Multiaddr) -> String {
    address.to_string().split("/p2p/").next().unwrap_or_default().to_owned()
}

fn found_there(subject: &Subject<'_>, address: &Multiaddr, found: &Found) -> Finding {
    if subject.own == Some(found.peer) {
        let text = address.to_string();
        return match &subject.running {
            Some(running) if running.is_at(&text) => {
                Finding::warning(BOOTSTRAP, format!("{address} is this node itself"), "name another node")
            }
            _ => Finding::fault(
                "identity",
                format!("{address}: a node runs there with this node's identity ({})", found.peer),
                "stop one of the two, delete identity.key in its data directory, and start it again",
            ),
        };
    }
    match &found.kinship {
        Kinship::Ours => Finding::ok(BOOTSTRAP, format!("{address}: {} {}, of this chain", found.agent, found.peer)),
        Kinship::OtherChain(other) => Finding::fault(
            BOOTSTRAP,
            format!(
                "{address}: the node there follows another chain, {}; this one follows {}",
                other.short(),
                subject.spec.chain_id().short()
            ),
            "let both follow one chain: the same --chain file, or bard invite there and bard join here",
        ),
        Kinship::MeetingPoint => Finding::warning(
            BOOTSTRAP,
            format!("{address} is a tracker, which holds no chain"),
            format!("use it as --rendezvous {}", without_peer(address)),
        ),
        Kinship::Stranger(software) if software.starts_with("blockbard/") => Finding::fault(
            "version",
            format!("{address}: the node there speaks {software}, this program another version of the protocol"),
            "let both run the same version of bard",
        ),
        Kinship::Stranger(software) => Finding::fault(
            BOOTSTRAP,
            format!("{address}: another program answers there ({software}), no BlockBard node"),
            "correct the address",
        ),
        Kinship::Inquirer => Finding::fault(
            BOOTSTRAP,
            format!("{address}: another doctor answers there, no node"),
            "correct the address",
        ),
    }
}

/// Somebody takes connections, and is no node that talks to this one.
async fn no_node(subject: &Subject<'_>, address: &Multiaddr, error: &InspectError) -> Finding {
    let Some(endpoint) = Endpoint::of(address) else {
        return Finding::fault(BOOTSTRAP, format!("{address}: {error}"), "correct the address");
    };
    if endpoint.udp {
        let meaning = format!("{address}: {error}: nobody is there, or a firewall drops UDP");
        return Finding::fault(BOOTSTRAP, meaning, "try the node's TCP address, and let UDP through the firewall");
    }
    if let Some(right) = behind_api(&endpoint).await {
        let meaning = format!("{address} is the port of a node's API, not of its P2P");
        return Finding::fault(BOOTSTRAP, meaning, format!("use {right}"));
    }
    if subject.spec.closed {
        let meaning = format!("{address}: the node there does not take this chain's secret ({error})");
        return Finding::fault(
            BOOTSTRAP,
            meaning,
            "it has another secret, or follows another chain: join by a new link of bard invite",
        );
    }
    let meaning = format!("{address}: whoever is there does not talk to this node ({error})");
    Finding::fault(
        BOOTSTRAP,
        meaning,
        "it is on a closed chain, which is joined by a link of bard invite, or no BlockBard node at all",
    )
}

/// Where the node listens whose API is at an endpoint.
async fn behind_api(endpoint: &Endpoint) -> Option<String> {
    let client = Client::of_url(&format!("http://{}:{}/", endpoint.host, endpoint.port), None).ok()?;
    let node = tokio::time::timeout(CONNECT, client.node()).await.ok()?.ok()?;
    node.listen.into_iter().next()
}

/// Who announces itself.
fn on_the_local_network(subject: &Subject<'_>, inspected: &[Inspected]) -> Option<Finding> {
    let check = "local network";
    if subject.options.no_mdns {
        return None;
    }
    let found = inspected.iter().filter(|one| one.announced).filter_map(|one| one.outcome.as_ref().ok());
    let found: Vec<_> = found.filter(|found| subject.own != Some(found.peer)).collect();
    let ours = found.iter().filter(|found| found.kinship == Kinship::Ours).count();
    let foreign = found.iter().find_map(|found| match found.kinship {
        Kinship::OtherChain(other) => Some(other.short()),
        _ => None,
    });
    Some(match (ours, foreign) {
        (0, None) if subject.has_other_ways() => Finding::ok(check, "no node announces itself"),
        (0, None) => Finding::warning(
            check,
            "no node of this chain announces itself",
            "start a second node; where one runs already, the network may keep multicast from machine to machine: use --bootstrap",
        ),
        (0, Some(other)) => Finding::warning(
            check,
            format!(
                "nodes of another chain, {other}, announce themselves; this one follows {}",
                subject.spec.chain_id().short()
            ),
            "let all follow one chain: the same --chain file, or bard invite there and bard join here",
        ),
        (ours, _) => Finding::ok(check, format!("nodes of this chain that announce themselves: {ours}")),
    })
}

/// Nodes of this chain that run another version.
fn versions(inspected: &[Inspected]) -> Option<Finding> {
    let own = concat!("bard/", env!("CARGO_PKG_VERSION"));
    let found = inspected.iter().filter_map(|one| one.outcome.as_ref().ok());
    let other = found.filter(|found| found.kinship == Kinship::Ours).find(|found| found.agent.as_str() != own)?;
    let meaning = format!("{} runs {}, this program is {own}", other.peer, other.agent);
    Some(Finding::warning("version", meaning, "let all run the same version"))
}

/// How this machine's clock agrees with those of others: by the median, so that one odd clock decides nothing.
fn clocks(inspected: &[Inspected], max_drift_ms: u64) -> Option<Finding> {
    let told = inspected.iter().filter_map(|one| one.outcome.as_ref().ok()?.clock);
    let mut ahead: Vec<i64> = told.map(|(theirs, at)| ahead_of(theirs, at)).collect();
    ahead.sort_unstable();
    let median = *ahead.get(ahead.len() / 2)?;
    let (off, side) = (median.unsigned_abs(), if median < 0 { "behind" } else { "ahead of" });
    let of_whom = if ahead.len() == 1 {
        "the clock of a peer".to_owned()
    } else {
        format!("the clocks of {} peers", ahead.len())
    };
    if off < NOTABLE {
        return Some(Finding::ok(CLOCK, format!("{:.1} s {side} {of_whom}", seconds(off))));
    }
    let meaning = format!(
        "{:.0} s {side} {of_whom}; blocks from more than {:.0} s in the future are not accepted yet",
        seconds(off),
        seconds(max_drift_ms)
    );
    let advice = "set the clocks of both machines, best by NTP";
    Some(Finding::fault_unless(off <= max_drift_ms, CLOCK, meaning, advice))
}

/// By how many milliseconds this clock is ahead of one that told its time at that moment.
fn ahead_of(theirs: Timestamp, at: tokio::time::Instant) -> i64 {
    let since = i64::try_from(at.elapsed().as_millis()).unwrap_or(i64::MAX);
    let ours = i64::try_from(clock::now().get()).unwrap_or(i64::MAX).saturating_sub(since);
    ours.saturating_sub(i64::try_from(theirs.get()).unwrap_or(i64::MAX))
}

#[allow(clippy::cast_precision_loss, reason = "differences of clocks are far below 2^53 ms")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
