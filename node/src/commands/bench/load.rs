//! Load on an HTTP server: connections that are kept open, each sending its next request as soon as the one before is
//! answered.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 20;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one connection sends.
pub(super) type Requests = Box<dyn Iterator<Item = Arc<[u8]>> + Send>;

/// What came of a load.
pub(super) struct Load {
    /// Answers a second.
    pub(super) rate: f64,
    /// All but one of a hundred answers took no longer than so many milliseconds.
    pub(super) p99: f64,
    /// Length of the body of an answer, in bytes.
    pub(super) body: usize,
}

/// Sends requests for `time`, or until there are no more.
pub(super) async fn run(address: SocketAddr, time: Duration, connections: Vec<Requests>) -> Result<Load, String> {
    let began = Instant::now();
    let open = |requests| tokio::spawn(connection(address, began + time, requests));
    let tasks: Vec<_> = connections.into_iter().map(open).collect();
    let (mut took, mut body) = (Vec::new(), 0);
    for task in tasks {
        let (more, length) = task.await.map_err(|error| error.to_string())??;
        took.extend(more);
        body = length.max(body);
    }
    let seconds = began.elapsed().as_secs_f64();
    took.sort_unstable();
    let late = took.get(took.len().saturating_mul(99) / 100).copied().unwrap_or_default();
    #[allow(clippy::cast_precision_loss, reason = "a count of answers")]
    let rate = took.len() as f64 / seconds;
    Ok(Load { rate, p99: late.as_secs_f64() * 1e3, body })
}

/// How long each answer took, and how long the last body was.
async fn connection(address: SocketAddr, end: Instant, requests: Requests) -> Result<(Vec<Duration>, usize), String> {
    let failed = |error: std::io::Error| format!("the load on {address}: {error}");
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let (mut took, mut body, mut buffer) = (Vec::new(), 0, Vec::new());
    for request in requests {
        let began = Instant::now();
        if began >= end {
            break;
        }
        stream.write_all(&request).await.map_err(failed)?;
        let answer = tokio::time::timeout(PATIENCE, answer(&mut stream, &mut buffer)).await;
        body = answer.map_err(|_| format!("{address} did not answer in time"))??;
        took.push(began.elapsed());
    }
    Ok((took, body))
}

/// Reads one answer, which must be a good one; returns the length of its body.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<usize, String> {
    buffer.clear();
    let (head, length) = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(buffer.get(..end).unwrap_or_default()).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            break (head, (end + 4, length.ok_or("an answer without a length")?));
        }
        more(stream, buffer).await?;
    };
    let (start, length) = length;
    while buffer.len() < start.saturating_add(length) {
        more(stream, buffer).await?;
    }
    let body = String::from_utf8_lossy(buffer.get(start..).unwrap_or_default());
    let good = head.starts_with("HTTP/1.1 2") && !body.contains("\"problem\"");
    if good { Ok(length) } else { Err(format!("{head}\n{:.500}", body)) }
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<(), String> {
    if buffer.len() > MAX_ANSWER {
        return Err("an answer is too long".to_owned());
    }
    match stream.read_buf(buffer).await {
        Ok(0) => Err("a connection was closed in the middle of a load".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// A server that reads a request and answers it with `body`, and does nothing else: what HTTP alone costs here.
pub(super) async fn serve_only(body: Bytes) -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let body = body.clone();
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let body = body.clone();
                    async move {
                        request.into_body().collect().await?;
                        Ok::<_, hyper::Error>(Response::new(Full::new(body)))
                    }
                });
                // A connection ends with whoever opened it.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(address)
}
