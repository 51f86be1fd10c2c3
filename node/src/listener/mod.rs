//! HTTP connections of a node's API and of a tracker: so many and no more, each with its deadlines, so that nobody can keep
//! others out.

mod asker;
mod rate;
mod stall;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{Id, JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use self::stall::Stalling;
pub use self::{
    asker::{is_own_name, other_page},
    rate::{Rates, network},
};

/// How long requests may go on once the listener stops.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait where the system has no sockets left.
const RETRY: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once. When all places are taken, the source with the most of them loses its oldest one: whoever holds
    /// many makes room for the others.
    pub connections: usize,
    /// How long a request may take to send its head; also how long a connection may wait for another request.
    pub head: Duration,
    /// The longest head, in bytes. A longer one is answered with 431.
    pub head_bytes: usize,
    /// The most header lines. More are answered with 431.
    pub header_lines: usize,
    /// How long the other side may take nothing of an answer that waits for it.
    pub stall: Duration,
    /// How long a connection may last; `None` for as long as it is used.
    pub lifetime: Option<Duration>,
}

/// Where a connection comes from: every request carries it.
#[derive(Clone, Copy, Debug)]
pub struct Source(pub IpAddr);

/// Serves until `stop`.
///
/// # Errors
/// None: what goes wrong with one connection ends that one.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) -> io::Result<()> {
    let mut connections = Connections { limits, tasks: JoinSet::new(), open: BTreeMap::new(), next: 0 };
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

/// An open connection.
struct Open {
    task: Id,
    source: IpAddr,
    close: CancellationToken,
}

struct Connections {
    limits: Limits,
    tasks: JoinSet<()>,
    /// The oldest first.
    open: BTreeMap<u64, Open>,
    next: u64,
}

impl Connections {
    fn open(&mut self, stream: TcpStream, from: SocketAddr, router: Router, stop: CancellationToken) {
        if self.open.len() >= self.limits.connections
            && let Some(key) = self.one_too_many()
            && let Some(open) = self.open.remove(&key)
        {
            open.close.cancel();
        }
        let close = CancellationToken::new();
        let source = network(from.ip());
        let task = self.tasks.spawn(connection(stream, from, router, self.limits, close.clone(), stop));
        self.open.insert(self.next, Open { task: task.id(), source, close });
        self.next = self.next.wrapping_add(1);
    }

    /// The oldest connection of the source that has the most.
    fn one_too_many(&self) -> Option<u64> {
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for open in self.open.values() {
            let count = counts.entry(open.source).or_default();
            *count = count.saturating_add(1);
        }
        let (busiest, _) = counts.into_iter().max_by_key(|(source, count)| (*count, *source))?;
        self.open.iter().find(|(_, open)| open.source == busiest).map(|(key, _)| *key)
    }

    fn forget(&mut self, ended: &Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        self.open.retain(|_, open| open.task != id);
    }
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    limits: Limits,
    close: CancellationToken,
    stop: CancellationToken,
) {
    let source = Source(from.ip().to_canonical());
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(source);
        router.call(request)
    });
    // An answer is mostly one small packet: it does not wait for company.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes)
        .max_headers(limits.header_lines)
        .serve_connection(TokioIo::new(Stalling::new(stream, limits.stall)), service);
    let mut connection = std::pin::pin!(connection);
    let lifetime = async {
        match limits.lifetime {
            Some(lifetime) => tokio::time::sleep(lifetime).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // A connection that breaks is the other side's concern.
        _ = connection.as_mut() => {}
        () = close.cancelled() => {}
        () = lifetime => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, routing::get};
    use futures::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LIMITS: Limits = Limits {
        connections: 4,
        head: Duration::from_secs(10),
        head_bytes: 16 << 10,
        header_lines: 100,
        stall: Duration::from_millis(100),
        lifetime: None,
    };

    /// A server of an answer without an end; `dropped` tells when it is held no longer.
    async fn endless(dropped: CancellationToken, stop: CancellationToken) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let route = get(move || async move {
            let held = dropped.drop_guard();
            let pieces = stream::repeat_with(move || {
                let _held = &held;
                Ok::<_, io::Error>(vec![0; 64 << 10])
            });
            Body::from_stream(pieces)
        });
        tokio::spawn(serve(listener, Router::new().route("/", route), LIMITS, stop));
        address
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_is_given_up_and_dropped() {
        let (dropped, stop) = (CancellationToken::new(), CancellationToken::new());
        let address = endless(dropped.clone(), stop.clone()).await;
        let mut client = TcpStream::connect(address).await.expect("it listens");
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("a request");
        let patience = Duration::from_secs(30);
        tokio::time::timeout(patience, dropped.cancelled()).await.expect("the answer is held no longer");
        let mut rest = Vec::new();
        let read = tokio::time::timeout(patience, client.read_to_end(&mut rest)).await.expect("the connection ends");
        assert!(read.is_err() || rest.len() > 64 << 10, "what was on its way may still come");
        stop.cancel();
    }
}
