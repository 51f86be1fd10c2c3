//! A running tracker.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

use super::{Ended, Http, NodeFile, Output, PATIENCE, bard, builder, node, wait_for};

/// How a tracker is started; can be started again and again, on the same directory.
///
/// Unless told otherwise on free ports of loopback, with a data directory and a home of its own.
pub struct TrackerBuilder {
    home: Arc<TempDir>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Default for TrackerBuilder {
    fn default() -> Self {
        let home = TempDir::with_prefix("bard-test-").expect("a temporary directory");
        Self { home: Arc::new(home), arguments: Vec::new(), environment: Vec::new() }
    }
}

impl TrackerBuilder {
    /// One more argument.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A variable of the environment.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Its data directory.
    pub fn dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Its home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts a tracker and waits until it is ready.
    ///
    /// # Panics
    /// Where it ends instead, or is not ready in time; with what it printed.
    pub fn start(&self) -> TrackerProcess {
        let (mut child, stderr) = self.spawn();
        let path = self.dir().join("node.json");
        wait_for("the tracker is ready", PATIENCE, || {
            let status = child.try_wait().expect("a child");
            assert!(status.is_none(), "the tracker ended ({status:?}) instead of starting:\n{}", stderr.text());
            (node::pid_in(&path) == Some(child.id())).then_some(())
        });
        let file = node::read(&path).expect("a file that was read just now");
        let _home = Arc::clone(&self.home);
        TrackerProcess { _home, http: Http::new(&file.api), path, file, child, stderr }
    }

    /// Runs a tracker that is expected to end by itself.
    ///
    /// # Panics
    /// Where it does not end in time.
    pub fn run(&self) -> Ended {
        let (mut child, stderr) = self.spawn();
        let status = builder::end_of(&mut child, PATIENCE).unwrap_or_else(|| {
            let _ = child.kill().and_then(|()| child.wait());
            panic!("the tracker does not end\n{}", stderr.text())
        });
        stderr.wait_for_end(PATIENCE);
        Ended { status, stdout: String::new(), stderr: stderr.text() }
    }

    fn spawn(&self) -> (Child, Output) {
        let mut command = Command::new(bard());
        command.arg("tracker").arg("--data-dir").arg(self.dir()).args(&self.arguments);
        for (option, value) in [("--port", "0"), ("--listen", "/ip4/127.0.0.1/tcp/0")] {
            if !self.arguments.iter().any(|given| given == option) {
                command.args([option, value]);
            }
        }
        builder::isolate(&mut command, self.home());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", bard().display()));
        let stderr = Output::read(child.stderr.take().expect("a pipe"));
        (child, stderr)
    }
}

/// A tracker as a process. It is killed when this is dropped.
pub struct TrackerProcess {
    /// Removed when this and its builder are gone.
    _home: Arc<TempDir>,
    child: Child,
    path: PathBuf,
    file: NodeFile,
    http: Http,
    stderr: Output,
}

impl TrackerProcess {
    /// What it says of itself in `node.json`.
    pub fn file(&self) -> &NodeFile {
        &self.file
    }

    /// Where its `node.json` is.
    pub fn file_path(&self) -> &Path {
        &self.path
    }

    /// Its calls.
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// URL of its HTTP half.
    pub fn url(&self) -> String {
        format!("http://{}", self.authority())
    }

    /// Where its libp2p half listens first, with `/p2p/`.
    ///
    /// # Panics
    /// Where it listens nowhere.
    pub fn address(&self) -> &str {
        self.file().listen.first().expect("an address")
    }

    /// Host and port of its HTTP half.
    pub fn authority(&self) -> &str {
        self.file.api.trim_start_matches("http://").trim_end_matches('/')
    }

    /// Its log.
    pub fn stderr(&self) -> &Output {
        &self.stderr
    }

    /// Asks it to stop, as a service manager does, and waits.
    ///
    /// # Panics
    /// Where it does not end well within 5 s.
    #[cfg(unix)]
    pub fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a process that was not waited for");
        let status = self.wait_for_end(Duration::from_secs(5));
        assert_eq!(status.code(), Some(0), "{}", self.stderr.text());
    }

    /// Ends it as a power cut does.
    ///
    /// # Panics
    /// Where it cannot be ended.
    pub fn kill9(&mut self) {
        self.child.kill().expect("killed");
        self.wait_for_end(PATIENCE);
    }

    fn wait_for_end(&mut self, deadline: Duration) -> ExitStatus {
        let status = builder::end_of(&mut self.child, deadline);
        status.unwrap_or_else(|| panic!("the tracker still runs\n{}", self.stderr.text()))
    }
}

impl Drop for TrackerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
