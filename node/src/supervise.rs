//! Named tasks: the end of one that should go on stops the node, with that name; and an ordered stop with a deadline,
//! at a signal.

use std::{collections::HashMap, future::Future, io, time::Duration};

use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The tasks of a node.
#[derive(Default)]
pub struct Supervisor {
    tasks: JoinSet<Result<(), String>>,
    /// What each task is called: one that panics does not say so itself.
    names: HashMap<Id, &'static str>,
    stop: CancellationToken,
}

impl Supervisor {
    /// Cancelled when the node begins to stop.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a task that must not end before the node stops.
    pub fn spawn<F, E>(&mut self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display,
    {
        let spawned = self.tasks.spawn(async move { task.await.map_err(|error| error.to_string()) });
        self.names.insert(spawned.id(), name);
    }

    /// Waits until a task ends that should not have. Returns what to tell.
    pub async fn failed(&mut self) -> String {
        let Some(ended) = self.tasks.join_next_with_id().await else { return std::future::pending().await };
        match named(&self.names, ended) {
            (name, Ok(())) => format!("the task {name:?} ended"),
            (name, Err(error)) => format!("{name}: {error}"),
        }
    }

    /// Tells every task to stop and waits, at most for `deadline`. Returns what failed on the way.
    pub async fn stopped(mut self, deadline: Duration) -> Vec<String> {
        self.stop.cancel();
        let mut problems = Vec::new();
        let all = async {
            while let Some(ended) = self.tasks.join_next_with_id().await {
                if let (name, Err(error)) = named(&self.names, ended) {
                    problems.push(format!("{name}: {error}"));
                }
            }
        };
        if tokio::time::timeout(deadline, all).await.is_err() {
            problems.push(format!("{} tasks did not stop in time and were cut off", self.tasks.len()));
            self.tasks.abort_all();
        }
        problems
    }
}

/// How a task ended, and what it is called.
fn named(
    names: &HashMap<Id, &'static str>,
    ended: Result<(Id, Result<(), String>), JoinError>,
) -> (&'static str, Result<(), String>) {
    let (id, ended) = match ended {
        Ok(ended) => ended,
        Err(error) => (error.id(), Err(error.to_string())),
    };
    (names.get(&id).copied().unwrap_or("a task"), ended)
}

/// The signals that stop a node: SIGINT and SIGTERM; where there are none of these, Ctrl-C.
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// Where the system does not allow it.
    #[cfg(unix)]
    pub fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Catches them from now on.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for one.
    #[cfg(unix)]
    pub async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for one.
    #[cfg(not(unix))]
    pub async fn stop(&mut self) {
        // An error means that there is nothing to wait for.
        let _ = tokio::signal::ctrl_c().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_is_named() {
        let mut tasks = Supervisor::default();
        tasks.spawn("good", std::future::pending::<Result<(), String>>());
        tasks.spawn("bad", async { Err::<(), _>("the reason") });
        assert_eq!(tasks.failed().await, "bad: the reason");
    }

    #[tokio::test]
    async fn a_panic_is_named_too() {
        let mut tasks = Supervisor::default();
        tasks.spawn("bad", panics());
        let told = tasks.failed().await;
        assert!(told.starts_with("bad: ") && told.contains("panicked"), "{told}");
        let mut tasks = Supervisor::default();
        tasks.spawn("bad", panics());
        let told = tasks.stopped(Duration::from_secs(5)).await;
        assert!(told.len() == 1 && told[0].starts_with("bad: "), "{told:?}");
    }

    #[expect(clippy::unused_async, reason = "a task")]
    async fn panics() -> Result<(), String> {
        panic!("the reason")
    }

    #[tokio::test]
    async fn a_stop_waits_for_all() {
        let mut tasks = Supervisor::default();
        let stop = tasks.stop_token();
        tasks.spawn("waits", async move {
            stop.cancelled().await;
            Ok::<(), String>(())
        });
        assert!(tasks.stopped(Duration::from_secs(5)).await.is_empty());
    }
}
