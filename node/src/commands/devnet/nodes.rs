//! The processes of a devnet: started, watched, stopped.
//!
//! Each node has a pipe as its standard input and stops when that ends. The other end of the pipe is held by this process alone,
//! so that no node outlives it, however it ends.

use std::{
    collections::VecDeque,
    io::IsTerminal,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, Command},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::tell;
use crate::{config, registry::NodeFile};

/// How long a node may take to start: many of them may share a slow machine.
const START: Duration = Duration::from_secs(60);
/// How long the nodes may take to stop by themselves.
const STOP: Duration = Duration::from_secs(5);
/// How often it is looked whether a node is ready.
const LOOK: Duration = Duration::from_millis(50);
/// Lines of the log of a node that died that are shown again.
const LAST_LINES: usize = 10;
/// Colours of the names, by their ANSI numbers.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// The last lines of a log, the oldest first; an older one makes place for a newer one.
type LastLines = Arc<Mutex<VecDeque<String>>>;

/// A node that is ready.
pub(super) struct Started {
    /// From 1.
    pub(super) number: usize,
    /// What it says of itself.
    pub(super) file: NodeFile,
    /// What it keeps.
    pub(super) dir: PathBuf,
}

/// The processes.
pub(super) struct Nodes {
    dir: PathBuf,
    arguments: Vec<String>,
    mine: bool,
    /// Each waits for the end of a process.
    running: JoinSet<(usize, Option<ExitStatus>, LastLines)>,
    /// The standard inputs of the processes; closed, they stop.
    inputs: Vec<ChildStdin>,
    kill: CancellationToken,
}

/// What a node is called.
pub(super) fn name(number: usize) -> String {
    format!("node-{number}")
}

impl Nodes {
    /// None yet. They will keep what they have below `dir`, and all be told the same; the first one mines, if that is wanted.
    pub(super) fn new(dir: PathBuf, arguments: Vec<String>, mine: bool) -> Self {
        Self { dir, arguments, mine, running: JoinSet::new(), inputs: Vec::new(), kill: CancellationToken::new() }
    }

    /// Starts so many nodes, the others once the first can be connected to, and waits until all are ready.
    ///
    /// # Errors
    /// Names the node that did not start.
    pub(super) async fn start(&mut self, count: usize) -> Result<Vec<Started>, String> {
        let mut all = Vec::with_capacity(count);
        let pid = self.spawn(1, None)?;
        let first = self.ready(1, pid).await?;
        let address = first.file.listen.first().cloned();
        all.push(first);
        let mut pids = Vec::with_capacity(count);
        for number in 2..=count {
            pids.push((number, self.spawn(number, address.as_deref())?));
        }
        for (number, pid) in pids {
            all.push(self.ready(number, pid).await?);
        }
        Ok(all)
    }

    fn node_dir(&self, number: usize) -> PathBuf {
        self.dir.join(name(number))
    }

    fn spawn(&mut self, number: usize, bootstrap: Option<&str>) -> Result<Option<u32>, String> {
        let trouble = |error: std::io::Error| format!("{} cannot be started: {error}", name(number));
        let mut command = Command::new(std::env::current_exe().map_err(trouble)?);
        command.args(["node", "--no-console", "--stop-with-stdin", "--data-dir"]).arg(self.node_dir(number));
        command.args(&self.arguments);
        if let Some(address) = bootstrap {
            command.args(["--bootstrap", address]);
        }
        if self.mine && number == 1 {
            command.args(["--mine", "--mine-threads", "1"]);
        }
        // What this user's own node is told is not for these.
        for variable in config::variables() {
            command.env_remove(variable);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C is for this process, which then stops them; a second signal would cut their stop short.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(trouble)?;
        self.inputs.extend(child.stdin.take());
        let (pid, log, last) = (child.id(), child.stderr.take(), LastLines::default());
        self.running.spawn(watch(number, child, log, last, self.kill.clone()));
        Ok(pid)
    }

    async fn ready(&mut self, number: usize, pid: Option<u32>) -> Result<Started, String> {
        let dir = self.node_dir(number);
        let file = async {
            loop {
                match NodeFile::read(&dir).filter(|file| Some(file.pid) == pid) {
                    Some(file) => return file,
                    None => tokio::time::sleep(LOOK).await,
                }
            }
        };
        tokio::select! {
            file = tokio::time::timeout(START, file) => match file {
                Ok(file) => Ok(Started { number, file, dir: dir.clone() }),
                Err(_) => Err(format!("{} is not ready after {} s", name(number), START.as_secs())),
            },
            ended = self.running.join_next() => {
                if let Some(Ok((number, status, last))) = ended {
                    report(number, status, &last);
                    return Err(format!("{} did not start", name(number)));
                }
                Err("a node did not start".to_owned())
            }
        }
    }

    /// Waits until no node is left, and tells of each that ends.
    pub(super) async fn all_ended(&mut self) {
        while let Some(ended) = self.running.join_next().await {
            if let Ok((number, status, last)) = ended {
                report(number, status, &last);
            }
        }
    }

    /// Stops all nodes; those that take too long are killed.
    pub(super) async fn stop(&mut self) {
        self.inputs.clear();
        if tokio::time::timeout(STOP, self.gone()).await.is_err() {
            tell(&format!("{} nodes did not stop within {} s and are killed", self.running.len(), STOP.as_secs()));
            self.kill().await;
        }
    }

    /// Kills all nodes.
    pub(super) async fn kill(&mut self) {
        self.kill.cancel();
        self.gone().await;
    }

    async fn gone(&mut self) {
        while self.running.join_next().await.is_some() {}
    }
}

/// Tells of a node that ended though nobody stopped it.
fn report(number: usize, status: Option<ExitStatus>, last: &LastLines) {
    let how = status.map_or_else(|| "nobody knows how".to_owned(), |status| status.to_string());
    let last = last.lock().unwrap_or_else(PoisonError::into_inner);
    tell(&format!("{} has ended ({how}); the end of its log:", name(number)));
    for line in last.iter() {
        tell(&format!("  {line}"));
    }
}

/// Waits for the end of a process and of its log.
async fn watch(
    number: usize,
    mut child: Child,
    log: Option<ChildStderr>,
    last: LastLines,
    kill: CancellationToken,
) -> (usize, Option<ExitStatus>, LastLines) {
    let ended = async {
        tokio::select! {
            status = child.wait() => status.ok(),
            () = kill.cancelled() => {
                // An error says that it has ended already.
                let _ = child.start_kill();
                child.wait().await.ok()
            }
        }
    };
    let (status, ()) = tokio::join!(ended, show(number, log, &last));
    (number, status, last)
}

/// Prints the lines of a log as they come, each with the name of its node. While they cannot be printed, the node waits.
async fn show(number: usize, log: Option<ChildStderr>, last: &LastLines) {
    let Some(log) = log else { return };
    let prefix = prefix(number);
    let mut lines = BufReader::new(log).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tell(&format!("{prefix} {line}"));
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
}

fn prefix(number: usize) -> String {
    let plain = format!("{} |", name(number));
    if !std::io::stderr().is_terminal() || config::is_set("NO_COLOR") {
        return plain;
    }
    let colour = COLOURS.get(number % COLOURS.len()).copied().unwrap_or_default();
    format!("\u{1b}[{colour}m{plain}\u{1b}[0m")
}
