//! An HTTP server that does what a test says, and ends with it.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::meeting::HostPort;

/// The longest request that is read, and the most of them that are kept.
const BOUNDS: (usize, usize) = (64 << 10, 256);

/// What the server does with a request.
pub(super) enum Reaction {
    /// Answers with status 200 and this body.
    Json(String),
    /// Sends these bytes, HTTP or not.
    Raw(Vec<u8>),
    /// Sends nothing, and keeps the connection.
    Hang,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<String>>,
    held: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

/// A running server on a free port of loopback.
pub(super) struct Server {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one; `react` gets each request whole, head and body.
    pub(super) fn start(react: impl Fn(&str) -> Reaction + Send + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("a port"), react)
    }

    /// Starts one on a listener that is there.
    pub(super) fn on(listener: TcpListener, react: impl Fn(&str) -> Reaction + Send + 'static) -> Self {
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::default());
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if for_thread.ended.load(Ordering::SeqCst) {
                    return;
                }
                answer(stream, &for_thread, &react);
            }
        });
        Self { port, shared, thread: Some(thread) }
    }

    /// A server that always answers with this body.
    pub(super) fn json(body: impl Into<String>) -> Self {
        let body = body.into();
        Self::start(move |_| Reaction::Json(body.clone()))
    }

    /// Where it is.
    pub(super) fn place(&self) -> HostPort {
        HostPort::parse(&format!("127.0.0.1:{}", self.port)).expect("an address")
    }

    /// What it was asked so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream, shared: &Shared, react: &impl Fn(&str) -> Reaction) {
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    stream.set_write_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let request = request(&mut stream);
    let bytes = match react(&request) {
        Reaction::Json(body) => ok(body.as_bytes()),
        Reaction::Raw(bytes) => bytes,
        Reaction::Hang => {
            shared.held.lock().unwrap_or_else(PoisonError::into_inner).push(stream.try_clone().expect("a clone"));
            Vec::new()
        }
    };
    let mut requests = shared.requests.lock().unwrap_or_else(PoisonError::into_inner);
    if requests.len() < BOUNDS.1 {
        requests.push(request);
    }
    drop(requests);
    // Who has seen enough closes before it has read everything.
    let _ = stream.write_all(&bytes);
}

/// An answer with status 200 as bytes.
pub(super) fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn request(stream: &mut TcpStream) -> String {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while bytes.len() < BOUNDS.0 {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
            if body.len() >= length.unwrap_or(0_usize) {
                break;
            }
        }
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => bytes.extend(buffer.get(..read).unwrap_or_default()),
            _ => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
