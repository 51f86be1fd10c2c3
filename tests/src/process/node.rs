//! A running node.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ExitStatus},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Builder, Http, Output, PATIENCE, builder::end_of, wait_until};

/// Lines of the log that a failed test shows.
const LOG_SHOWN: usize = 60;

/// What a running node says of itself in `node.json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct NodeFile {
    /// Its process.
    pub pid: u32,
    /// Its id in the network.
    pub peer_id: String,
    /// Where it listens: multiaddresses with `/p2p/`.
    pub listen: Vec<String>,
    /// URL of its API.
    pub api: String,
    /// Name of its chain.
    pub chain: String,
    /// Version of its software.
    pub version: String,
}

/// A node as a process. It is killed when this is dropped.
pub struct Node {
    builder: Builder,
    child: Child,
    stdin: Mutex<Option<ChildStdin>>,
    stdout: Output,
    stderr: Output,
    ready: Option<Ready>,
    questions: AtomicU64,
}

/// What is known of a node once it is ready.
struct Ready {
    path: PathBuf,
    file: NodeFile,
    http: Http,
}

/// The process that a `node.json` names.
pub(super) fn pid_in(file: &Path) -> Option<u32> {
    read(file).map(|file| file.pid)
}

pub(super) fn read(file: &Path) -> Option<NodeFile> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

impl Node {
    /// How a node is started, to be told more.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a node with nothing special.
    pub fn start() -> Self {
        Self::builder().start()
    }

    pub(super) fn new(
        builder: Builder,
        child: Child,
        stdin: Option<ChildStdin>,
        stdout: Output,
        stderr: Output,
    ) -> Self {
        Self { builder, child, stdin: Mutex::new(stdin), stdout, stderr, ready: None, questions: AtomicU64::new(0) }
    }

    /// Waits for `node.json`.
    ///
    /// # Panics
    /// Where the node ends instead, or is not ready within `deadline`; with what it printed.
    pub fn wait_ready(&mut self, deadline: Duration) {
        let path = super::wait_for("the node is ready", deadline, || {
            let status = self.child.try_wait().expect("a child");
            assert!(status.is_none(), "the node ended ({status:?}) instead of starting:\n{}", self.stderr.text());
            self.builder.node_file(self.pid())
        });
        let file = read(&path).expect("a file that was read just now");
        self.ready = Some(Ready { http: Http::new(&file.api), path, file });
    }

    fn ready(&self) -> &Ready {
        self.ready.as_ref().expect("a node that was waited for")
    }

    /// How it was started.
    pub fn builder_of(&self) -> &Builder {
        &self.builder
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The memory that it uses, in bytes.
    ///
    /// # Panics
    /// Where the system does not tell.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a running process");
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next());
        kilobytes.and_then(|text| text.parse::<u64>().ok()).expect("its memory") << 10
    }

    /// What it says of itself in `node.json`.
    pub fn file(&self) -> &NodeFile {
        &self.ready().file
    }

    /// Where its `node.json` is.
    pub fn file_path(&self) -> &Path {
        &self.ready().path
    }

    /// Its data directory.
    ///
    /// # Panics
    /// Before it is ready.
    pub fn dir(&self) -> &Path {
        self.file_path().parent().expect("a file in a directory")
    }

    /// Its id in the network.
    pub fn peer_id(&self) -> &str {
        &self.file().peer_id
    }

    /// Its first address, with `/p2p/`.
    ///
    /// # Panics
    /// Where it listens nowhere.
    pub fn address(&self) -> &str {
        self.file().listen.first().expect("an address")
    }

    /// Its first address, without `/p2p/`.
    pub fn bare_address(&self) -> &str {
        self.address().split("/p2p/").next().unwrap_or_default()
    }

    /// What it printed: answers and news.
    pub fn stdout(&self) -> &Output {
        &self.stdout
    }

    /// Its log.
    pub fn stderr(&self) -> &Output {
        &self.stderr
    }

    /// Its API.
    pub fn http(&self) -> &Http {
        &self.ready().http
    }

    /// Gets a path of its API.
    pub fn get(&self, path: &str) -> Answer {
        self.http().get(path)
    }

    /// Posts JSON to a path of its API.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.http().post(path, body)
    }

    /// Writes bytes to its standard input.
    ///
    /// # Panics
    /// Where it has none any more.
    pub fn type_bytes(&self, bytes: &[u8]) {
        let mut stdin = self.stdin.lock().unwrap_or_else(PoisonError::into_inner);
        let stdin = stdin.as_mut().expect("an open standard input");
        stdin.write_all(bytes).and_then(|()| stdin.flush()).expect("the node reads its standard input");
    }

    /// Types a line and does not wait for the answer.
    pub fn type_line(&self, line: &str) {
        self.type_bytes(format!("{line}\n").as_bytes());
    }

    /// Closes its standard input.
    pub fn close_stdin(&self) {
        *self.stdin.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Types a line and returns the lines of its answer; news are left out.
    ///
    /// # Panics
    /// Where the answer does not come.
    pub fn ask(&self, line: &str) -> Vec<String> {
        self.ask_bytes(format!("{line}\n").as_bytes(), PATIENCE)
    }

    /// [`Self::ask`] with bytes that need not be text, and its own patience.
    ///
    /// # Panics
    /// Where the answer does not come.
    pub fn ask_bytes(&self, question: &[u8], deadline: Duration) -> Vec<String> {
        // Lines are answered in their order, so the answer to one that is unknown for sure ends the answer before it.
        let mark = format!("mark-{}-{}", self.pid(), self.questions.fetch_add(1, Ordering::Relaxed));
        let first = self.stdout.len();
        self.type_bytes(&[question, mark.as_bytes(), b"\n"].concat());
        let answer = self.stdout.until(first, deadline, |line| line.starts_with("error: ") && line.contains(&mark));
        let shown = String::from_utf8_lossy(question.get(..question.len().min(80)).unwrap_or_default()).into_owned();
        let mut lines =
            answer.unwrap_or_else(|| panic!("no answer to {shown:?}; so far {:?}", self.stdout.from(first)));
        lines.pop();
        lines.retain(|line| !is_news(line));
        lines
    }

    /// The one line that answers a line.
    ///
    /// # Panics
    /// Where it is not one.
    pub fn ask_line(&self, line: &str) -> String {
        let mut lines = self.ask(line);
        assert_eq!(lines.len(), 1, "{line}: {lines:?}");
        lines.swap_remove(0)
    }

    /// What follows a word in the answer to `status`, such as `height`.
    ///
    /// # Panics
    /// Where nothing does.
    pub fn status_line(&self, word: &str) -> String {
        let status = self.ask("status");
        let value = status.iter().find_map(|line| line.strip_prefix(word)).map(|rest| rest.trim().to_owned());
        value.unwrap_or_else(|| panic!("no {word} in {status:?}"))
    }

    /// `GET /api/v1/status`.
    pub fn status(&self) -> Value {
        self.get("/api/v1/status").success()
    }

    /// Its height.
    ///
    /// # Panics
    /// Where its status has none.
    pub fn height(&self) -> u64 {
        self.status()["height"].as_u64().expect("a height")
    }

    /// The id of its last block.
    ///
    /// # Panics
    /// Where its status has none.
    pub fn tip(&self) -> String {
        self.status()["tip"].as_str().expect("a tip").to_owned()
    }

    /// The ids of its connected peers.
    ///
    /// # Panics
    /// Where they cannot be read.
    pub fn peers(&self) -> Vec<String> {
        let peers = self.get("/api/v1/peers").success();
        let peers = peers["peers"].as_array().expect("a list").clone();
        peers.iter().map(|peer| peer["peer_id"].as_str().expect("an id").to_owned()).collect()
    }

    /// The ids of the transactions in its pool.
    ///
    /// # Panics
    /// Where they cannot be read.
    pub fn pool(&self) -> Vec<String> {
        let pool = self.get("/api/v1/pool").success();
        let pool = pool["transactions"].as_array().expect("a list").clone();
        pool.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// The id of its block at a height; `None` where there is none.
    ///
    /// # Panics
    /// Where the answer has none.
    pub fn block_at(&self, height: u64) -> Option<String> {
        let answer = self.get(&format!("/api/v1/blocks/{height}"));
        (answer.status == 200).then(|| answer.json()["hash"].as_str().expect("a hash").to_owned())
    }

    /// Mines blocks over the API and returns their ids.
    ///
    /// # Panics
    /// Where that fails.
    pub fn mine(&self, blocks: u32) -> Vec<String> {
        let mined = self.post("/api/v1/mine", &json!({ "blocks": blocks })).success();
        let mined = mined["blocks"].as_array().expect("a list").clone();
        mined.iter().map(|block| block["hash"].as_str().expect("a hash").to_owned()).collect()
    }

    /// Pays between two names over the API and returns the transaction's id.
    ///
    /// # Panics
    /// Where that fails.
    pub fn pay(&self, from: &str, to: &str, amount: u64) -> String {
        let body = json!({ "from": from, "to": to, "amount": amount });
        let paid = self.post("/api/v1/wallet/transfer", &body).success();
        paid["id"].as_str().expect("an id").to_owned()
    }

    /// The height of the block that a transaction is in; `None` while it waits in the pool or is unknown.
    pub fn mined_at(&self, transaction: &str) -> Option<u64> {
        let answer = self.ask(&format!("tx {transaction}"));
        answer.get(1)?.strip_prefix("in block ")?.split(' ').next()?.parse().ok()
    }

    /// Waits until it is connected to at least so many peers.
    pub fn wait_for_peers(&self, count: usize) {
        wait_until(&format!("{count} peers"), PATIENCE, || self.peers().len() >= count);
    }

    /// Waits until it has the tip of another.
    pub fn wait_for_same_tip(&self, other: &Self) {
        wait_until("the same tip", PATIENCE, || self.tip() == other.tip());
    }

    /// Asks it to stop, as a service manager does.
    #[cfg(unix)]
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Asks it to stop, as Ctrl-C does.
    #[cfg(unix)]
    pub fn interrupt(&self) {
        self.signal(rustix::process::Signal::INT);
    }

    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a process that was not waited for");
    }

    /// Ends it as a power cut does.
    ///
    /// # Panics
    /// Where it cannot be ended.
    pub fn kill9(&mut self) {
        self.child.kill().expect("killed");
        self.wait_for_end(PATIENCE);
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// Where the system does not know.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// Where it does not come within `deadline`.
    pub fn wait_for_end(&mut self, deadline: Duration) -> ExitStatus {
        let status = end_of(&mut self.child, deadline);
        let status = status.unwrap_or_else(|| panic!("the node still runs after {:.1} s", deadline.as_secs_f64()));
        self.stdout.wait_for_end(PATIENCE);
        self.stderr.wait_for_end(PATIENCE);
        status
    }

    /// Stops it as a service manager does, and waits.
    ///
    /// # Panics
    /// Where it does not end well within 5 s.
    #[cfg(unix)]
    pub fn stop(&mut self) {
        self.terminate();
        let status = self.wait_for_end(Duration::from_secs(5));
        assert_eq!(status.code(), Some(0), "{}", self.stderr.text());
    }
}

/// Whether a line of the console is news rather than an answer.
fn is_news(line: &str) -> bool {
    line.starts_with("* ") || (line.starts_with('(') && line.ends_with("news were too many to show)"))
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let lines = self.stderr.from(self.stderr.len().saturating_sub(LOG_SHOWN));
            #[allow(clippy::print_stderr, reason = "shown with the failure of the test")]
            {
                eprintln!("--- the end of the log of process {}:\n{}", self.pid(), lines.join("\n"));
            }
        }
    }
}
