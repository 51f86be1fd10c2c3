//! The HTTP API: reads, and signed transactions one by one, of a node that mines and takes blocks of another; signed
//! transactions in batches, of a node alone. Each beside a server that only answers, with as many bytes.

use std::{net::SocketAddr, sync::Arc};

use bard_chain::{encoding, signature::SecretKey, transaction::Transaction, units::Nonce};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::{
    Figure, Scale,
    chain::temporary,
    load::{self, Load, Requests},
    process::{Node, start},
    workload::{self, Senders},
};

/// Transfers in the large block.
const TRANSFERS: u32 = 2_000;
/// Connections that ask for what is small, or bring one transaction each; and that ask for the large block or bring many.
const MANY: usize = 32;
const FEW: usize = 4;
/// Transactions in one request that brings many.
const BATCH: usize = 1_000;
/// Transactions of each sender that are brought one by one, and together.
const SINGLE_ROUNDS: u64 = 60;
const BATCH_ROUNDS: u64 = 150;

/// The node, the load and the server to compare with, each with its own threads.
struct Bench<'a> {
    scale: &'a Scale,
    node: SocketAddr,
    load: Runtime,
    plain: Runtime,
    figures: Vec<Figure>,
}

/// Reads and submissions.
pub(super) fn measure(scale: &Scale, signatures: f64) -> Result<Vec<Figure>, String> {
    let (made, other) = (temporary()?, temporary()?);
    let workload = workload::make(made.path(), 1, TRANSFERS, Senders::Known)?;
    let spec = made.path().join("spec.toml");
    std::fs::write(&spec, workload.spec.to_toml()).map_err(|error| error.to_string())?;
    let node = start(made.path(), &spec, &["--mine"])?;
    let address = node.file.listen.first().ok_or("the node listens nowhere")?;
    let other_node = start(other.path(), &spec, &["--mine", "--bootstrap", address])?;
    let failed = |error: std::io::Error| error.to_string();
    let mut bench = Bench {
        scale,
        node: authority(&node)?.parse().map_err(|_| "the node has no address")?,
        load: Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed)?,
        plain: Builder::new_multi_thread().enable_all().build().map_err(failed)?,
        figures: Vec::new(),
    };
    let senders: Vec<SecretKey> = (0..TRANSFERS).map(workload::sender).collect();
    let account = senders.first().ok_or("there are no senders")?.address();
    bench.reads("an empty block", "/api/v1/blocks/0", MANY)?;
    bench.reads("the tip", "/api/v1/blocks/tip", MANY)?;
    bench.reads("an account", &format!("/api/v1/accounts/{account}"), MANY)?;
    bench.reads(&format!("a block of {TRANSFERS} transfers"), "/api/v1/blocks/1", FEW)?;
    // Each load has senders of its own, who all sent once in the large block.
    let (single_senders, batch_senders) = senders.split_at(senders.len() / 2);
    let sign = |senders: &[SecretKey], rounds: u64| -> Vec<Vec<Transaction>> {
        let chain = workload.spec.chain_id();
        (1..=rounds).map(|nonce| workload::transfers_of(chain, senders, Nonce::new(nonce))).collect()
    };
    let single = |chunk: &[String]| json!({ "hex": chunk.first() });
    let batch = |chunk: &[String]| json!({ "transactions": chunk });
    let rounds = sign(single_senders, SINGLE_ROUNDS);
    bench.submits("signed transactions, one a request", &rounds, (MANY, 1), &single, signatures)?;
    drop((node, other_node));
    // The same again without the other node, whose checks are on the same cores, and without miners.
    let rounds = sign(batch_senders, BATCH_ROUNDS);
    let fresh = temporary()?;
    workload::make(fresh.path(), 1, TRANSFERS, Senders::Known)?;
    let node = start(fresh.path(), &spec, &[])?;
    bench.node = authority(&node)?.parse().map_err(|_| "the node has no address")?;
    bench.submits(&format!("signed transactions, {BATCH} a request"), &rounds, (FEW, BATCH), &batch, signatures)?;
    Ok(bench.figures)
}

impl Bench<'_> {
    /// One path, asked for again and again.
    fn reads(&mut self, what: &str, path: &str, connections: usize) -> Result<(), String> {
        let request: Arc<[u8]> = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.node).into_bytes().into();
        let all = || -> Vec<Requests> {
            (0..connections).map(|_| Box::new(std::iter::repeat(Arc::clone(&request))) as Requests).collect()
        };
        let load = self.load.block_on(load::run(self.node, self.scale.time, all()))?;
        let plain = self.plain(load.body, all())?;
        self.note(&format!("GET {what}"), &load, 1.0, ("a server that only answers", plain));
        Ok(())
    }

    /// Rounds of transactions, one of each sender a round, so many a request. Each connection has senders of its own, so that
    /// what one of them signed comes in order.
    fn submits(
        &mut self,
        what: &str,
        rounds: &[Vec<Transaction>],
        (connections, each): (usize, usize),
        body: &dyn Fn(&[String]) -> Value,
        signatures: f64,
    ) -> Result<(), String> {
        let all: Vec<Vec<Arc<[u8]>>> = (0..connections)
            .map(|connection| {
                let own = rounds.iter().flat_map(|round| round.iter().skip(connection).step_by(connections));
                let texts: Vec<String> = own.map(|one| hex::encode(encoding::encode(one))).collect();
                texts.chunks(each).map(|chunk| post(self.node, &body(chunk).to_string())).collect()
            })
            .collect();
        let requests = || all.iter().map(|own| Box::new(own.clone().into_iter()) as Requests).collect();
        let load = self.load.block_on(load::run(self.node, self.scale.time, requests()))?;
        let plain = self.plain(load.body, requests())?;
        #[allow(clippy::cast_precision_loss, reason = "a small number")]
        let each = each as f64;
        self.note(&format!("POST {what}"), &load, each, ("a server that only answers", plain * each));
        let beside = Some(("the signature ceiling", signatures));
        self.figures.push(Figure { name: "  the same".to_owned(), value: load.rate * each, unit: "/s", beside });
        Ok(())
    }

    /// The rate of a server that only answers, with so many bytes.
    fn plain(&self, body: usize, requests: Vec<Requests>) -> Result<f64, String> {
        let address = self.plain.block_on(load::serve_only(vec![b'x'; body].into()))?;
        Ok(self.load.block_on(load::run(address, self.scale.time, requests))?.rate)
    }

    fn note(&mut self, name: &str, load: &Load, each: f64, beside: (&'static str, f64)) {
        let value = load.rate * each;
        self.figures.push(Figure { name: name.to_owned(), value, unit: "/s", beside: Some(beside) });
        let name = "  99 of 100 answers within".to_owned();
        self.figures.push(Figure { name, value: load.p99, unit: "ms", beside: None });
    }
}

fn post(node: SocketAddr, body: &str) -> Arc<[u8]> {
    let length = body.len();
    let head = format!(
        "POST /api/v1/transactions HTTP/1.1\r\nHost: {node}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    (head + body).into_bytes().into()
}

fn authority(node: &Node) -> Result<&str, String> {
    let authority = node.file.api.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    authority.ok_or_else(|| format!("{} is not where an API is", node.file.api))
}
