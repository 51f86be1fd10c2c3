//! The tasks of a node that have nothing to say when they end.

use futures::{FutureExt, future::BoxFuture};

use crate::{application::service::Failure, supervise::Supervisor};

/// Tasks that have nothing to say when they end, and that end when the node stops. All are made before any runs, so that what
/// one does from its first moment on is seen by the others.
#[derive(Default)]
pub(super) struct Tasks(Vec<(&'static str, BoxFuture<'static, ()>)>);

impl Tasks {
    pub(super) fn add(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0.push((name, task.boxed()));
    }

    pub(super) fn spawn(self, supervisor: &mut Supervisor) {
        for (name, task) in self.0 {
            let stop = supervisor.stop_token();
            supervisor.spawn(name, async move {
                tokio::select! {
                    () = task => {}
                    () = stop.cancelled() => {}
                }
                Ok::<(), Failure>(())
            });
        }
    }
}

/// A task that has nothing to say when it ends, as the supervisor takes it.
pub(super) async fn unfailing(task: impl Future<Output = ()>) -> Result<(), Failure> {
    task.await;
    Ok(())
}
