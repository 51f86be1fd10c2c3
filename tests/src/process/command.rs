//! A command of `bard` that ends by itself, with its own directory, variables and input.

use std::{
    ffi::OsString,
    io::Write,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    Ended, Output, PATIENCE, bard,
    builder::{end_of, isolate},
};

/// How a command is run; can be run again and again, in the same home.
#[derive(Clone)]
pub struct Run {
    home: Arc<TempDir>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    stdin: Vec<u8>,
}

/// A command that runs.
pub struct Running {
    child: Child,
    stdout: Output,
    stderr: Output,
}

impl Run {
    /// `bard` with these arguments.
    ///
    /// # Panics
    /// Where there is no temporary directory.
    pub fn new(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            home: Arc::new(TempDir::with_prefix("bard-test-").expect("a temporary directory")),
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            stdin: Vec::new(),
        }
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// The data directory, as an option.
    pub fn dir(self, dir: &Path) -> Self {
        self.arg("--data-dir").arg(dir)
    }

    /// A variable of the environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// What it reads from standard input.
    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.stdin = input.into();
        self
    }

    /// Starts it and does not wait.
    ///
    /// # Panics
    /// Where the system does not start it.
    pub fn spawn(&self) -> Running {
        let mut command = Command::new(bard());
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        isolate(&mut command, self.home.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().expect("bard runs");
        let stdout = Output::read(child.stdout.take().expect("a pipe"));
        let stderr = Output::read(child.stderr.take().expect("a pipe"));
        // One that reads nothing may have ended already.
        let _ = child.stdin.take().expect("a pipe").write_all(&self.stdin);
        Running { child, stdout, stderr }
    }

    /// Runs it to its end.
    pub fn end(&self) -> Ended {
        self.spawn().end()
    }

    /// Runs it to its end, which is a good one, and returns what it printed.
    ///
    /// # Panics
    /// Where it fails.
    pub fn success(&self) -> String {
        let ended = self.end();
        assert_eq!(ended.code(), Some(0), "{:?}: {}", self.arguments, ended.stderr);
        ended.stdout
    }

    /// Runs it to its end, which is a failure, and returns the one line that says why.
    ///
    /// # Panics
    /// Where it does not fail, or says more than one line.
    pub fn failure(&self) -> String {
        let ended = self.end();
        assert_eq!(ended.code(), Some(1), "{:?}: {} {}", self.arguments, ended.stdout, ended.stderr);
        let told = ended.told();
        assert_eq!(told.len(), 1, "{:?}: {told:?}", self.arguments);
        told[0].to_owned()
    }
}

impl Run {
    /// Runs it to its end, which is a failure, and returns the last line, which says why; what it told before has this in it.
    ///
    /// # Panics
    /// Where it does not fail, or did not tell that.
    pub fn failure_after(&self, part: &str) -> String {
        let ended = self.end();
        assert_eq!(ended.code(), Some(1), "{:?}: {} {}", self.arguments, ended.stdout, ended.stderr);
        assert!(ended.stderr.contains(part), "{:?}: {part} is not in {}", self.arguments, ended.stderr);
        ended.told().pop().unwrap_or_default().to_owned()
    }
}

impl Running {
    /// Waits for its end.
    ///
    /// # Panics
    /// Where it does not come in time.
    pub fn end(self) -> Ended {
        self.end_within(PATIENCE)
    }

    /// [`Self::end`] of a command that takes long.
    ///
    /// # Panics
    /// Where it does not come within `deadline`.
    pub fn end_within(mut self, deadline: Duration) -> Ended {
        let Some(status) = end_of(&mut self.child, deadline) else {
            let _ = self.child.kill().and_then(|()| self.child.wait());
            panic!("a command does not end\n{}", self.stderr.text());
        };
        self.stdout.wait_for_end(PATIENCE);
        self.stderr.wait_for_end(PATIENCE);
        Ended { status, stdout: self.stdout.text(), stderr: self.stderr.text() }
    }

    /// Ends it as a power cut does.
    ///
    /// # Panics
    /// Where it cannot be ended.
    pub fn kill9(mut self) -> Ended {
        let _ = self.child.kill();
        let status = self.child.wait().expect("a child");
        self.stdout.wait_for_end(PATIENCE);
        Ended { status, stdout: self.stdout.text(), stderr: self.stderr.text() }
    }
}
