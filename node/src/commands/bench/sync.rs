//! Sync between two processes on loopback.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Figure, Scale,
    chain::{EMPTY, temporary},
    workload,
};
use crate::registry::{FILE, NodeFile};

/// How long a node may take to start, and the blocks to arrive.
const DEADLINE: Duration = Duration::from_secs(300);

/// A node that ends with this value.
pub(super) struct Node {
    process: Child,
    pub(super) file: NodeFile,
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already; either way there is nothing left to wait for afterwards.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A late joiner takes the whole chain from one peer: full blocks, then empty ones.
pub(super) fn measure(scale: &Scale, signatures: f64) -> Result<Vec<Figure>, String> {
    let full = sync(scale.blocks, scale.transfers)? * f64::from(scale.transfers);
    let empty = sync(EMPTY, 0)?;
    Ok(vec![
        Figure {
            name: format!("sync of {} blocks of {} transfers", scale.blocks, scale.transfers),
            value: full,
            unit: "tx/s",
            beside: Some(("the signature ceiling", signatures)),
        },
        Figure { name: format!("sync of {EMPTY} empty blocks"), value: empty, unit: "blocks/s", beside: None },
    ])
}

/// Blocks a second.
fn sync(blocks: u32, transfers: u32) -> Result<f64, String> {
    let (made, fresh) = (temporary()?, temporary()?);
    let workload = workload::make(made.path(), blocks, transfers)?;
    let spec = made.path().join("spec.toml");
    std::fs::write(&spec, workload.spec.to_toml()).map_err(|error| error.to_string())?;
    let (source, joiner) = (start(made.path(), &spec, &[])?, start(fresh.path(), &spec, &[])?);
    let address = source.file.listen.first().ok_or("the source listens nowhere")?;
    let began = Instant::now();
    let body = json!({ "address": address }).to_string();
    ureq::post(format!("{}api/v1/peers", joiner.file.api))
        .content_type("application/json")
        .send(&body)
        .map_err(|error| error.to_string())?;
    until("the blocks arrive", || {
        let status = ureq::get(format!("{}api/v1/status", joiner.file.api)).call().ok()?;
        let status: Value = status.into_body().read_json().ok()?;
        (status.get("height")?.as_u64()? >= u64::from(blocks)).then_some(())
    })?;
    Ok(f64::from(blocks) / began.elapsed().as_secs_f64())
}

/// Starts a node of this very program, with these options besides, and waits until it listens.
pub(super) fn start(dir: &Path, spec: &Path, more: &[&str]) -> Result<Node, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["node", "--port", "0", "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns", "--no-upnp", "--no-console"]);
    let options = [OsStr::new("--log"), OsStr::new("warn"), OsStr::new("--data-dir"), dir.as_os_str()];
    command.args(options).args(more).arg("--chain").arg(spec).stdin(Stdio::null()).stdout(Stdio::null());
    let process = command.spawn().map_err(|error| error.to_string())?;
    let empty = NodeFile {
        pid: 0,
        peer_id: String::new(),
        listen: Vec::new(),
        api: String::new(),
        chain: String::new(),
        version: String::new(),
    };
    let mut node = Node { process, file: empty };
    node.file = until("a node starts", || serde_json::from_slice(&std::fs::read(dir.join(FILE)).ok()?).ok())?;
    Ok(node)
}

/// Waits for something that will come.
pub(super) fn until<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> Result<T, String> {
    let began = Instant::now();
    while began.elapsed() < DEADLINE {
        if let Some(value) = done() {
            return Ok(value);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(format!("waited {} s in vain until {what}", DEADLINE.as_secs()))
}
