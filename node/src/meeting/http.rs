//! Short HTTP calls to servers that nobody vouches for.
//!
//! # Security
//! Whatever a server does, a call ends within [`TOTAL`], keeps at most [`MAX_BODY`] bytes, goes to the host it was meant for
//! (no redirect, no proxy of the environment), and at most [`AT_ONCE`] are under way.

use std::{
    io,
    net::{IpAddr, ToSocketAddrs},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::place::HostPort;

/// How long a call may take, from looking up the name to the last byte.
pub(super) const TOTAL: Duration = Duration::from_secs(5);
/// How long of that the connection may take: who does not answer by then is not there.
const CONNECT: Duration = Duration::from_secs(3);
/// The longest body that is read, in bytes: twice what a tracker sends at most. Its list of a class has about 50 KiB.
const MAX_BODY: u64 = 512 << 10;
/// Calls under way at once; one more waits.
const AT_ONCE: usize = 4;
/// Addresses of one name that are looked at.
const MAX_IPS: usize = 8;

/// Makes HTTP calls. Cheap to clone; all clones share the bound on calls at once.
#[derive(Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    places: Arc<Semaphore>,
}

/// What a server answered with a status of success.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// The addresses that the host's name stands for; at least one.
    pub(super) ips: Vec<IpAddr>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HttpError {
    /// No connection.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// A connection, and then nothing, or not all of it in time.
    #[error("did not answer within {} s", TOTAL.as_secs())]
    Silent,
    /// Something else than HTTP came, or the connection was closed.
    #[error("does not speak HTTP")]
    NotHttp,
    /// A status that is no success.
    #[error("answered with status {0}")]
    Status(u16),
    /// More than [`MAX_BODY`].
    #[error("answered with more than {} KiB", MAX_BODY >> 10)]
    TooLong,
}

impl Client {
    /// A client with nothing under way.
    pub(super) fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .max_idle_connections(0)
            .user_agent(concat!("bard/", env!("CARGO_PKG_VERSION")));
        Self { agent: config.build().into(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Gets a path, which begins with `/`.
    pub(super) async fn get(&self, server: &HostPort, path: &str) -> Result<Answer, HttpError> {
        self.call(server, path, None).await
    }

    /// Posts JSON to a path, which begins with `/`.
    pub(super) async fn post(&self, server: &HostPort, path: &str, json: String) -> Result<Answer, HttpError> {
        self.call(server, path, Some(json)).await
    }

    async fn call(&self, server: &HostPort, path: &str, json: Option<String>) -> Result<Answer, HttpError> {
        let late = || HttpError::Unreachable("its name is not found in time".to_owned());
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return Err(late()) };
        let (agent, server, path) = (self.agent.clone(), server.clone(), path.to_owned());
        // The place is given back when the thread is done, not when somebody no longer waits for it: threads are what is
        // bounded. The system's resolver alone can hold one longer than the call may take.
        let work = tokio::task::spawn_blocking(move || {
            let result = exchange(&agent, &server, &path, json);
            drop(place);
            result
        });
        match tokio::time::timeout(TOTAL + Duration::from_millis(500), work).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(late()),
        }
    }
}

fn exchange(agent: &ureq::Agent, server: &HostPort, path: &str, json: Option<String>) -> Result<Answer, HttpError> {
    let end = Instant::now() + TOTAL;
    let found = (server.host(), server.port()).to_socket_addrs();
    let mut ips: Vec<IpAddr> = found.map_err(|_| unknown_name())?.map(|address| address.ip()).take(MAX_IPS).collect();
    ips.dedup();
    if ips.is_empty() {
        return Err(unknown_name());
    }
    let left = end.saturating_duration_since(Instant::now());
    let url = server.url(path);
    let sent = match json {
        None => agent.get(url).config().timeout_global(Some(left)).build().call(),
        Some(json) => {
            let request = agent.post(url).content_type("application/json");
            request.config().timeout_global(Some(left)).build().send(json)
        }
    };
    let mut response = sent.map_err(|error| reason(&error))?;
    let status = response.status().as_u16();
    if !(200..300).contains(&status) {
        return Err(HttpError::Status(status));
    }
    let body = response.body_mut().with_config().limit(MAX_BODY).read_to_vec().map_err(|error| reason(&error))?;
    Ok(Answer { body, ips })
}

fn unknown_name() -> HttpError {
    HttpError::Unreachable("its name is unknown".to_owned())
}

fn reason(error: &ureq::Error) -> HttpError {
    use ureq::{Error, Timeout};
    match error {
        Error::HostNotFound => unknown_name(),
        Error::ConnectionFailed => HttpError::Unreachable("no connection".to_owned()),
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => HttpError::Unreachable("no answer".to_owned()),
        Error::Timeout(_) => HttpError::Silent,
        Error::BodyExceedsLimit(_) => HttpError::TooLong,
        Error::Io(error) => of_io(error),
        // Its body cannot be sent on, which is not wanted anyway.
        Error::RedirectFailed => HttpError::Status(307),
        _ => HttpError::NotHttp,
    }
}

/// Kinds that only an attempt to connect ends in; any other comes from a connection that was there.
fn of_io(error: &io::Error) -> HttpError {
    let what = match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there",
        io::ErrorKind::HostUnreachable => "the computer cannot be reached",
        io::ErrorKind::NetworkUnreachable => "the network cannot be reached",
        io::ErrorKind::AddrNotAvailable => "this computer does not have that address",
        io::ErrorKind::PermissionDenied => "the system does not allow it",
        io::ErrorKind::TimedOut => return HttpError::Silent,
        _ => return HttpError::NotHttp,
    };
    HttpError::Unreachable(what.to_owned())
}
