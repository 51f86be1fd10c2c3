//! How a node is started.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use bard_chain::spec::ChainSpec;
use tempfile::TempDir;

use super::{Node, Output, PATIENCE, bard};

/// What a process has as its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// A pipe, which [`Node::ask`] writes to.
    Pipe,
    /// A pipe that is closed at once.
    Closed,
    /// `/dev/null`.
    Null,
}

/// How a node is started; can be started again and again, on the same directories.
///
/// Unless told otherwise: on free ports of loopback, without mDNS and UPnP, with a data directory and a home of its own, which
/// live as long as the builder and its nodes.
#[derive(Clone)]
pub struct Builder {
    home: Arc<TempDir>,
    data_dir: Option<PathBuf>,
    port: Option<u16>,
    listen: Vec<String>,
    mdns: bool,
    subcommand: Vec<OsString>,
    prefix: Vec<OsString>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    stdin: Stdin,
}

/// A process that ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed on stdout.
    pub stdout: String,
    /// What it printed on stderr.
    pub stderr: String,
}

impl Ended {
    /// Its exit code; `None` where a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The lines of stderr that are not log lines: what a person is told.
    pub fn told(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| !is_log_line(line)).collect()
    }
}

/// Log lines begin with a time.
fn is_log_line(line: &str) -> bool {
    line.get(..11).is_some_and(|start| start.ends_with('T') && start.starts_with("20"))
}

impl Default for Builder {
    fn default() -> Self {
        let home = Arc::new(TempDir::with_prefix("bard-test-").expect("a temporary directory"));
        Self {
            data_dir: Some(home.path().join("data")),
            home,
            port: Some(0),
            listen: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
            mdns: false,
            subcommand: vec!["node".into()],
            prefix: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: Stdin::Pipe,
        }
    }
}

impl Builder {
    /// The directory that is `HOME` to the node, and removed at the end.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The data directory.
    ///
    /// # Panics
    /// Where the node chooses it itself, see [`Self::default_data_dir`].
    pub fn dir(&self) -> &Path {
        self.data_dir.as_deref().expect("a data directory that the test chose")
    }

    /// A node of the same user: in the home of another.
    pub fn home_of(mut self, other: &Self) -> Self {
        self.home = Arc::clone(&other.home);
        self
    }

    /// Another data directory.
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// Lets the node choose its data directory, below its home.
    pub fn default_data_dir(mut self) -> Self {
        self.data_dir = None;
        self
    }

    /// A certain port of the API; `None` leaves the option out.
    pub fn port(mut self, port: impl Into<Option<u16>>) -> Self {
        self.port = port.into();
        self
    }

    /// Another address to listen on for nodes, instead of all before.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = vec![address.into()];
        self
    }

    /// Leaves `--listen` out, so that the node takes its default ports or free ones. Only inside a namespace of its own.
    pub fn default_listen(mut self) -> Self {
        self.listen.clear();
        self
    }

    /// Looks for nodes on the local network. Only inside a namespace of its own.
    pub fn mdns(mut self) -> Self {
        self.mdns = true;
        self
    }

    /// Joins a chain by a link, instead of following one that is named.
    pub fn join(mut self, link: &str) -> Self {
        self.subcommand = vec!["join".into(), link.into()];
        self
    }

    /// A node to connect to.
    pub fn bootstrap(self, address: impl Into<OsString>) -> Self {
        self.arg("--bootstrap").arg(address)
    }

    /// Another chain: its specification is written into the home.
    ///
    /// # Panics
    /// Where the file cannot be written.
    pub fn chain(self, spec: &ChainSpec) -> Self {
        let file = self.home().join(format!("{}.toml", spec.name));
        fs::write(&file, spec.to_toml()).expect("written");
        self.arg("--chain").arg(file)
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A variable of the environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Another standard input.
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// A program and its arguments that run the node, and become it, such as `nsenter`.
    pub fn inside(mut self, prefix: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.prefix = prefix.into_iter().map(Into::into).collect();
        self
    }

    /// Starts a node and waits until it is ready.
    ///
    /// # Panics
    /// Where it ends instead, or is not ready in time; with what it printed.
    pub fn start(&self) -> Node {
        let mut node = self.spawn();
        node.wait_ready(PATIENCE);
        node
    }

    /// Starts a node and does not wait.
    ///
    /// # Panics
    /// Where the system does not start it.
    pub fn spawn(&self) -> Node {
        let mut child = self.command().spawn().unwrap_or_else(|error| panic!("{}: {error}", bard().display()));
        let stdout = Output::read(child.stdout.take().expect("a pipe"));
        let stderr = Output::read(child.stderr.take().expect("a pipe"));
        let stdin = child.stdin.take().filter(|_| self.stdin == Stdin::Pipe);
        Node::new(self.clone(), child, stdin, stdout, stderr)
    }

    /// Runs a node that is expected to end by itself, such as one that cannot start.
    ///
    /// # Panics
    /// Where it does not end within `deadline`.
    pub fn run(&self, deadline: Duration) -> Ended {
        let mut node = self.spawn();
        let status = node.wait_for_end(deadline);
        Ended { status, stdout: node.stdout().text(), stderr: node.stderr().text() }
    }

    fn command(&self) -> Command {
        let mut words = self.prefix.iter().cloned().chain([bard().into()]).chain(self.subcommand.iter().cloned());
        let mut command = Command::new(words.next().expect("there is a first"));
        command.args(words);
        if let Some(port) = self.port {
            command.arg("--port").arg(port.to_string());
        }
        for address in &self.listen {
            command.arg("--listen").arg(address);
        }
        if !self.mdns {
            command.arg("--no-mdns");
        }
        command.arg("--no-upnp");
        if let Some(dir) = &self.data_dir {
            command.arg("--data-dir").arg(dir);
        }
        command.args(&self.arguments);
        isolate(&mut command, self.home.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let stdin = if self.stdin == Stdin::Null { Stdio::null() } else { Stdio::piped() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs another command of this node's user where the node runs, and waits for its end.
    ///
    /// # Panics
    /// Where it does not end in time.
    pub fn tool(&self, arguments: &[&str]) -> Ended {
        let child = self.tool_command(arguments).stdin(Stdio::null()).spawn().expect("bard runs");
        ended(child, arguments)
    }

    /// Such a command, to be started with an input of one's own.
    ///
    /// # Panics
    /// Never: there is a first word.
    pub fn tool_command(&self, arguments: &[&str]) -> Command {
        let mut words = self.prefix.iter().cloned().chain([bard().into()]);
        let mut command = Command::new(words.next().expect("there is a first"));
        command.args(words).args(arguments).current_dir(self.home.path());
        isolate(&mut command, self.home.path());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The file `node.json` of the process with this id, wherever the node keeps it.
    pub(super) fn node_file(&self, pid: u32) -> Option<PathBuf> {
        let own = |dir: PathBuf| Some(dir.join("node.json")).filter(|file| super::node::pid_in(file) == Some(pid));
        match &self.data_dir {
            Some(dir) => own(dir.clone()),
            None => directories_below(&self.home.path().join("share")).into_iter().find_map(own),
        }
    }
}

/// Runs `bard` with these arguments and nothing of this user's, and waits for its end.
///
/// # Panics
/// Where it does not end in time.
pub fn run(arguments: &[&str]) -> Ended {
    let home = TempDir::with_prefix("bard-test-").expect("a temporary directory");
    let mut command = Command::new(bard());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    isolate(&mut command, home.path());
    ended(command.spawn().expect("bard runs"), arguments)
}

fn ended(mut child: Child, arguments: &[&str]) -> Ended {
    let stdout = Output::read(child.stdout.take().expect("a pipe"));
    let stderr = Output::read(child.stderr.take().expect("a pipe"));
    let status = end_of(&mut child, PATIENCE).unwrap_or_else(|| {
        let _ = child.kill().and_then(|()| child.wait());
        panic!("bard {arguments:?} does not end\n{}", stderr.text())
    });
    stdout.wait_for_end(PATIENCE);
    stderr.wait_for_end(PATIENCE);
    Ended { status, stdout: stdout.text(), stderr: stderr.text() }
}

/// Waits for the end of a process; `None` where it does not come in time.
pub(super) fn end_of(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    let end = std::time::Instant::now() + deadline;
    loop {
        match child.try_wait().expect("a child") {
            Some(status) => return Some(status),
            None if std::time::Instant::now() > end => return None,
            None => std::thread::sleep(super::LOOK),
        }
    }
}

/// Takes everything of this user's out of the environment of a process.
pub(super) fn isolate(command: &mut Command, home: &Path) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BARD_")) {
        command.env_remove(name);
    }
    // These tests may run under a service manager.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    command.env("HOME", home).env("XDG_DATA_HOME", home.join("share")).env("XDG_CONFIG_HOME", home.join("config"));
}

fn directories_below(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let directories = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    directories.flat_map(|dir| std::iter::once(dir.clone()).chain(directories_below(&dir))).collect()
}
