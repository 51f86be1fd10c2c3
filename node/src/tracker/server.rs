//! Connections of the HTTP tracker: so many and no more, none for long, so that nobody can keep others out.

use std::{collections::BTreeMap, io, net::SocketAddr, time::Duration};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::http::Source;

/// Connections at once. When all places are taken, the oldest connection is closed: a request takes milliseconds, so the
/// oldest is one that does not get on.
const MAX_CONNECTIONS: usize = 256;
/// How long a request may take to send its head; also how long a connection may wait for another.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// The longest head, in bytes; and how many headers.
const MAX_HEAD: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// How long a connection may last, however slowly its other side reads.
const LIFETIME: Duration = Duration::from_secs(60);
/// How long requests may go on once the tracker stops.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait where the system has no sockets left.
const RETRY: Duration = Duration::from_millis(100);

/// Serves until `stop`.
///
/// # Errors
/// None: what goes wrong with one connection ends that one.
pub(super) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<()> {
    let mut connections = Connections { tasks: JoinSet::new(), open: BTreeMap::new(), next: 0 };
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.tasks.join_next_with_id() => connections.forget(&ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => connections.open(stream, from, router.clone(), stop.clone()),
                Err(error) => {
                    tracing::debug!("a connection could not be accepted: {error}");
                    tokio::time::sleep(RETRY).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while connections.tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        connections.tasks.abort_all();
    }
    Ok(())
}

struct Connections {
    tasks: JoinSet<()>,
    /// What closes each, the oldest first.
    open: BTreeMap<u64, (Id, CancellationToken)>,
    next: u64,
}

impl Connections {
    fn open(&mut self, stream: TcpStream, from: SocketAddr, router: Router, stop: CancellationToken) {
        if self.open.len() >= MAX_CONNECTIONS
            && let Some((_, (_, close))) = self.open.pop_first()
        {
            close.cancel();
        }
        let close = CancellationToken::new();
        let task = self.tasks.spawn(connection(stream, from, router, close.clone(), stop));
        self.open.insert(self.next, (task.id(), close));
        self.next = self.next.wrapping_add(1);
    }

    fn forget(&mut self, ended: &Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.open.retain(|_, (task, _)| *task != id);
    }
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    close: CancellationToken,
    stop: CancellationToken,
) {
    let router = router.layer(Extension(Source(from.ip().to_canonical())));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A connection that breaks is the other side's concern.
        _ = connection.as_mut() => {}
        () = close.cancelled() => {}
        () = tokio::time::sleep(LIFETIME) => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
