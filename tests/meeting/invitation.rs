//! A class joins by a link; who has a wrong one, or none, stays outside.

use std::{fs, path::PathBuf, time::Duration};

use bard_chain::spec::ChainSpec;
use bard_protocol::{Agent, Identity, NetworkConfig};
use bard_tests::{
    hostile_peer::{Guise, HostilePeer},
    process::{Builder, Ended, Node, PATIENCE, holds_for, wait_until},
};

use crate::group::{carries_a_block, is_one_network};

/// Those who join.
const CLASS: usize = 9;
/// How long somebody looks who will not find anybody, in seconds.
const WAIT: &str = "3";

/// A chain that somebody made, the node of its maker, and where its specification is.
struct Made {
    node: Node,
    spec: PathBuf,
}

impl Made {
    /// By `bard chain new`, with these options.
    fn new(options: &[&str]) -> Self {
        let builder = Builder::default();
        let dir = builder.dir().to_str().unwrap().to_owned();
        let arguments = ["chain", "new", "--name", "kiln", "--preset", "demo", "--data-dir", &dir];
        let made = builder.tool(&[&arguments[..], options].concat());
        assert_eq!(made.code(), Some(0), "{}", made.stderr);
        let spec = builder.home().join("kiln.toml");
        Self { node: builder.arg("--chain").arg("kiln").start(), spec }
    }

    /// What `bard invite` prints.
    fn invite(&self, options: &[&str]) -> String {
        let builder = self.node.builder_of();
        let dir = builder.dir().to_str().unwrap().to_owned();
        let invited = builder.tool(&[&["invite", "--data-dir", &dir][..], options].concat());
        assert_eq!(invited.code(), Some(0), "{}", invited.stderr);
        assert_eq!(invited.stdout.lines().count(), 1, "on a pipe the link alone: {}", invited.stdout);
        invited.stdout.trim().to_owned()
    }

    fn spec(&self) -> ChainSpec {
        ChainSpec::from_toml(&fs::read_to_string(&self.spec).unwrap()).unwrap()
    }
}

fn joining(link: &str) -> Builder {
    Builder::default().join(link).arg("--wait").arg(WAIT)
}

/// Asserts that somebody did not join, and was told why in one line with all of `parts`.
fn assert_refused(ended: &Ended, parts: &[&str]) {
    let errors: Vec<_> = ended.told().into_iter().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!((ended.code(), errors.len()), (Some(1), 1), "{}", ended.stderr);
    for part in parts {
        assert!(errors[0].contains(part), "{part:?} is not in {:?}", errors[0]);
    }
}

fn class_joins(options: &[&str]) -> Made {
    let made = Made::new(options);
    let link = made.invite(&[]);
    let mut nodes: Vec<Node> = (0..CLASS).map(|_| Builder::default().join(&link).spawn()).collect();
    for node in &mut nodes {
        node.wait_ready(Duration::from_secs(60));
    }
    wait_until("they are one network", PATIENCE, || {
        nodes.iter().all(|node| node.peers().iter().any(|peer| peer == made.node.peer_id()))
    });
    wait_until("nobody depends on the maker", PATIENCE, || is_one_network(&nodes));
    nodes[0].mine(1);
    for node in &nodes {
        assert_eq!(node.file().chain, "kiln");
        node.wait_for_same_tip(&nodes[0]);
    }
    made.node.wait_for_same_tip(&nodes[0]);
    assert_eq!(made.node.height(), 1);
    // Joined once, a node starts by the link or by the name alone.
    let mut one = nodes.pop().unwrap();
    let builder = one.builder_of().clone();
    one.stop();
    let again = builder.start();
    again.wait_for_same_tip(&made.node);
    drop(again);
    let by_name = Builder::default().data_dir(builder.dir()).home_of(&builder).arg("--chain").arg("kiln").start();
    by_name.wait_for_same_tip(&made.node);
    nodes.push(by_name);
    carries_a_block(&nodes);
    made
}

#[test]
fn a_class_of_ten_joins_an_open_chain_by_a_link() {
    let made = class_joins(&[]);
    let own = made.node.get("/api/v1/accounts/me").success();
    assert_eq!(own["balance"], 1_000_000, "the maker has what the specification says");
}

#[test]
fn a_class_of_ten_joins_a_closed_chain_by_a_link() {
    let made = class_joins(&["--closed"]);
    let secret = made.node.dir().join("chain.secret");
    assert_eq!(fs::read_to_string(secret).unwrap().trim().len(), 32);
}

#[test]
fn a_mistyped_link_and_one_to_nodes_that_are_gone_are_refused() {
    let mut made = Made::new(&[]);
    let link = made.invite(&[]);
    let at = link.len() / 2;
    let wrong = if &link[at..=at] == "q" { "p" } else { "q" };
    let mistyped = format!("{}{wrong}{}", &link[..at], &link[at + 1..]);
    assert_refused(&joining(&mistyped).run(PATIENCE), &["a character of it is wrong"]);
    assert_refused(&joining(&link[..at]).run(PATIENCE), &["not copied whole"]);
    assert_refused(&joining("https://example.org").run(PATIENCE), &["no invitation", "bard:join1"]);
    let nowhere = made.invite(&["--no-address"]);
    assert_refused(&joining(&nowhere).run(PATIENCE), &["nobody to ask"]);
    made.node.stop();
    assert_refused(&joining(&link).run(PATIENCE), &["no node told", "nothing listens there"]);
}

#[test]
fn a_specification_that_was_altered_is_refused_and_another_node_is_asked() {
    let made = Made::new(&[]);
    let spec = made.spec();
    let altered = ChainSpec { subsidy: bard_chain::spec::Subsidy { amount: 1_000, ..spec.subsidy }, ..spec.clone() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let liar = runtime.block_on(lie(&spec, &altered));
    let address = liar.listen_addresses().remove(0).to_string();
    let link = made.invite(&["--address", &address]);
    assert_refused(&joining(&link).run(PATIENCE), &[&address[..20], "the specification of another chain"]);
    let link = made.invite(&["--address", &address, "--address", made.node.bare_address()]);
    joining(&link).start().wait_for_same_tip(&made.node);
}

/// A node of one chain that tells another specification.
async fn lie(spec: &ChainSpec, told: &ChainSpec) -> bard_protocol::NetworkHandle {
    let config = NetworkConfig {
        specification: told.to_toml().into(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        ..NetworkConfig::alone(spec, Identity::generate(), Agent::new("liar"))
    };
    let network = bard_protocol::start(config).await.unwrap();
    tokio::spawn(network.driver.run());
    network.handle
}

#[test]
fn without_the_secret_or_with_another_nobody_gets_in() {
    let made = Made::new(&["--closed"]);
    let address = made.node.address().to_owned();
    let without = made.invite(&["--no-secret"]);
    assert_refused(&joining(&without).run(PATIENCE), &["no node told", "lack its secret"]);
    let builder = joining(&without);
    let file = builder.home().join("secret");
    fs::write(&file, "00112233445566778899aabbccddeeff").unwrap();
    let ended = builder.clone().arg("--chain-secret-file").arg(&file).run(PATIENCE);
    assert_refused(&ended, &["no node told", "another secret"]);
    // Who has the specification needs the secret all the same.
    let with_spec = || Builder::default().arg("--chain").arg(&made.spec).bootstrap(&address);
    assert_refused(&with_spec().run(PATIENCE), &["closed", "--chain-secret-file"]);
    fs::write(&file, "hunter2").unwrap();
    let ended = with_spec().arg("--chain-secret-file").arg(&file).run(PATIENCE);
    assert_refused(&ended, &["no secret of a chain"]);
    assert!(!ended.stderr.contains("hunter2"), "what may be a secret is not shown");
    fs::write(&file, "00112233445566778899aabbccddeeff").unwrap();
    let outsider = with_spec().arg("--chain-secret-file").arg(&file).start();
    let said = outsider.ask_line(&format!("connect {address}"));
    assert!(said.starts_with("error: ") && said.contains("secret"), "{said}");
    holds_for("they do not meet", Duration::from_secs(2), || {
        outsider.peers().is_empty() && made.node.peers().is_empty()
    });
}

#[test]
fn a_closed_chain_tells_strangers_nothing() {
    for transport in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"] {
        let made = Made::new(&["--closed"]);
        let dir = made.node.builder_of().dir().to_owned();
        let builder = Builder::default().home_of(made.node.builder_of()).data_dir(&dir).listen(transport);
        drop(made.node);
        let node = builder.arg("--chain").arg("kiln").start();
        let spec = ChainSpec::from_toml(&fs::read_to_string(&made.spec).unwrap()).unwrap();
        let address = node.address().parse().unwrap();
        if let Ok(stranger) = HostilePeer::connect(&address, &spec, Guise::default()) {
            wait_until("the stranger is let go of", PATIENCE, || !stranger.is_connected());
            assert!(stranger.heard().is_empty());
        }
        assert!(node.peers().is_empty());
    }
}
