//! Nodes of this very program as processes: started, asked over their API, watched, stopped and killed.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{config, registry::NodeFile};

/// How long a node may take to start, and what will surely come to come.
const DEADLINE: Duration = Duration::from_secs(300);
/// How long a node may take for an answer: one on a machine that is all in use, too.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a node may take to stop.
const STOP: Duration = Duration::from_secs(10);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(2);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 20;
/// Ticks a second of the clock in which Linux tells processor time.
const TICKS: f64 = 100.0;
/// The file in a data directory that a node's log goes to.
pub(super) const LOG: &str = "stderr.log";

/// A node that ends with this value.
pub(super) struct Node {
    process: Child,
    agent: ureq::Agent,
    pub(super) file: NodeFile,
}

/// What the system says of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// Bytes of memory in use.
    pub(super) memory: f64,
    /// Open files and sockets.
    pub(super) descriptors: f64,
    /// Processor time used.
    pub(super) processor: Duration,
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already; either way there is nothing left to wait for afterwards.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a node with these options besides, and waits until it listens. Its log goes to this process's standard error.
pub(super) fn start(dir: &Path, spec: &Path, more: &[&str]) -> Result<Node, String> {
    launch(dir, spec, more, Stdio::inherit())
}

/// [`start`], with the log in a file of the data directory, after those of earlier runs.
pub(super) fn start_logged(dir: &Path, spec: &Path, more: &[&str]) -> Result<Node, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    fs::create_dir_all(dir).map_err(failed)?;
    let log: File = OpenOptions::new().create(true).append(true).open(dir.join(LOG)).map_err(failed)?;
    launch(dir, spec, more, log.into())
}

fn launch(dir: &Path, spec: &Path, more: &[&str], log: Stdio) -> Result<Node, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["node", "--port", "0", "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns", "--no-upnp"]);
    // However this process ends, they end with it.
    command.args(["--no-console", "--stop-with-stdin"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
    let options = [OsStr::new("--log"), OsStr::new("warn"), OsStr::new("--data-dir"), dir.as_os_str()];
    command.args(options).args(more).arg("--chain").arg(spec);
    for variable in config::variables() {
        command.env_remove(variable);
    }
    let mut process = command.spawn().map_err(|error| error.to_string())?;
    let pid = process.id();
    let ready = until("a node starts", || {
        let file = NodeFile::read(dir).filter(|file| file.pid == pid).map(Ok);
        file.or_else(|| process.try_wait().ok().flatten().map(Err))
    });
    let file = match ready {
        Ok(Ok(file)) => file,
        Ok(Err(status)) => return Err(format!("a node ended instead of starting: {status}")),
        Err(why) => {
            let _ = process.kill().and_then(|()| process.wait());
            return Err(why);
        }
    };
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(ANSWER))
        .build()
        .into();
    Ok(Node { process, agent, file })
}

impl Node {
    /// Its first address, with its id.
    pub(super) fn address(&self) -> Result<&str, String> {
        self.file.listen.first().map(String::as_str).ok_or_else(|| "a node listens nowhere".to_owned())
    }

    /// Gets a path of its API, which begins without `/`.
    pub(super) fn get(&self, path: &str) -> Result<Value, String> {
        let answer = self.agent.get(format!("{}{path}", self.file.api)).call();
        told(path, answer)
    }

    /// Gets a path of its API as the text that it is.
    pub(super) fn text(&self, path: &str) -> Result<String, String> {
        let failed = |error: ureq::Error| format!("{path}: {error}");
        let answer = self.agent.get(format!("{}{path}", self.file.api)).call().map_err(failed)?;
        answer.into_body().with_config().limit(MAX_ANSWER).read_to_string().map_err(failed)
    }

    /// Gets a path of its API as bytes.
    pub(super) fn bytes(&self, path: &str) -> Result<Vec<u8>, String> {
        let failed = |error: ureq::Error| format!("{path}: {error}");
        let answer = self.agent.get(format!("{}{path}", self.file.api)).call().map_err(failed)?;
        answer.into_body().with_config().limit(MAX_ANSWER).read_to_vec().map_err(failed)
    }

    /// Posts JSON to a path of its API.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.post_text(path, &body.to_string())
    }

    /// [`Self::post`] with JSON that is a text already.
    pub(super) fn post_text(&self, path: &str, body: &str) -> Result<Value, String> {
        let request = self.agent.post(format!("{}{path}", self.file.api)).content_type("application/json");
        told(path, request.send(body))
    }

    /// Puts JSON to a path of its API.
    pub(super) fn put(&self, path: &str, body: &Value) -> Result<Value, String> {
        let request = self.agent.put(format!("{}{path}", self.file.api)).content_type("application/json");
        told(path, request.send(body.to_string()))
    }

    /// Ends it as a power cut does.
    pub(super) fn kill(mut self) {
        // Dropping it does the rest.
        let _ = self.process.kill();
    }

    /// Asks it to stop, and waits.
    pub(super) fn stop(mut self) -> Result<(), String> {
        drop(self.process.stdin.take());
        let end = Instant::now() + STOP;
        loop {
            match self.process.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("a node that was to stop ended with {status}")),
                None if Instant::now() > end => return Err(format!("a node does not stop in {} s", STOP.as_secs())),
                None => std::thread::sleep(LOOK),
            }
        }
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<String> {
        self.process.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// What the system says of it; `None` where it does not tell.
    pub(super) fn usage(&self) -> Option<Usage> {
        let about = format!("/proc/{}", self.process.id());
        let status = fs::read_to_string(format!("{about}/status")).ok()?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?;
        let descriptors = fs::read_dir(format!("{about}/fd")).ok()?.count();
        let stat = fs::read_to_string(format!("{about}/stat")).ok()?;
        // The name of the process, in parentheses, may hold anything; after it the fields are numbers.
        let (_, fields) = stat.rsplit_once(')')?;
        let times = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
        Some(Usage {
            memory: memory.parse::<f64>().ok()? * 1024.0,
            descriptors: f64::from(u32::try_from(descriptors).ok()?),
            processor: Duration::from_secs_f64(times.sum::<f64>() / TICKS),
        })
    }
}

fn told(path: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, String> {
    let answer = answer.map_err(|error| format!("{path}: {error}"))?;
    let status = answer.status();
    let body = answer.into_body().with_config().limit(MAX_ANSWER).read_to_string();
    let body = body.map_err(|error| format!("{path}: {error}"))?;
    if !status.is_success() {
        return Err(format!("{path}: {status}: {body:.300}"));
    }
    if body.is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_str(&body).map_err(|error| format!("{path}: {error}"))
    }
}

/// Waits for something that will come.
pub(super) fn until<T>(what: &str, done: impl FnMut() -> Option<T>) -> Result<T, String> {
    within(DEADLINE, what, done)
}

/// Waits for something that must come in so long.
pub(super) fn within<T>(deadline: Duration, what: &str, mut done: impl FnMut() -> Option<T>) -> Result<T, String> {
    let began = Instant::now();
    while began.elapsed() < deadline {
        if let Some(value) = done() {
            return Ok(value);
        }
        std::thread::sleep(LOOK);
    }
    Err(format!("waited {} s in vain until {what}", deadline.as_secs()))
}
