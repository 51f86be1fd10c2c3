//! How a request gets to a node: over a connection, or by a call inside the node's own process.

use std::{convert::Infallible, time::Duration};

use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, Uri,
    body::{Bytes, Incoming},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tower::{ServiceExt, util::BoxCloneSyncService};

use super::ClientError;

/// How long it may take until somebody takes the connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection is kept that nothing is asked on.
const IDLE: Duration = Duration::from_secs(30);

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;
/// The API of the node in this process, as something to call.
pub type InProcess = BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, Infallible>;

#[derive(Clone)]
enum Way {
    Connection(Pool<HttpConnector, Full<Bytes>>),
    /// Over TLS, which ends at a proxy before the node.
    Secured(Pool<HttpsConnector<HttpConnector>, Full<Bytes>>),
    Call(InProcess),
}

/// A way to a node.
#[derive(Clone)]
pub(super) struct Transport {
    way: Way,
    /// Scheme and host, with a slash at the end.
    base: String,
    host: String,
}

impl Transport {
    pub(super) fn of_url(url: &str) -> Result<Self, ClientError> {
        let odd = || ClientError::Url(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| odd())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(odd()) };
        let bare = matches!(uri.path_and_query().map(|path| path.as_str()), None | Some("" | "/"));
        if !matches!(scheme, "http" | "https") || uri.host().is_none_or(str::is_empty) || !bare {
            return Err(odd());
        }
        let (base, host) = (format!("{scheme}://{authority}/"), authority.to_string());
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(CONNECT));
        http.set_nodelay(true);
        let mut pool = Pool::builder(TokioExecutor::new());
        let pool = pool.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        let way = if scheme == "http" {
            Way::Connection(pool.build(http))
        } else {
            http.enforce_http(false);
            let cryptography = rustls::crypto::ring::default_provider();
            let connector = HttpsConnectorBuilder::new().with_provider_and_native_roots(cryptography);
            let connector = connector.map_err(|error| ClientError::strange(&base, error))?;
            Way::Secured(pool.build(connector.https_only().enable_http1().wrap_connector(http)))
        };
        Ok(Self { way, base, host })
    }

    pub(super) fn of_this_process(node: InProcess) -> Self {
        Self { way: Way::Call(node), base: "http://localhost/".to_owned(), host: "localhost".to_owned() }
    }

    pub(super) fn name(&self) -> &str {
        &self.base
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The address of a call; `path` begins with a slash. Inside a process it is the path alone, as a server sees it.
    pub(super) fn uri(&self, path: &str) -> Result<Uri, ClientError> {
        let text = match self.way {
            Way::Connection(_) | Way::Secured(_) => format!("{}{path}", self.base.trim_end_matches('/')),
            Way::Call(_) => path.to_owned(),
        };
        text.parse().map_err(|error| ClientError::strange(&self.base, error))
    }

    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, ClientError> {
        match &self.way {
            Way::Call(node) => match node.clone().oneshot(request).await {
                Ok(response) => Ok(response),
                Err(never) => match never {},
            },
            Way::Connection(pool) => self.received(pool.request(request).await),
            Way::Secured(pool) => self.received(pool.request(request).await),
        }
    }

    fn received(
        &self,
        received: Result<Response<Incoming>, hyper_util::client::legacy::Error>,
    ) -> Result<Response<Body>, ClientError> {
        match received {
            Ok(response) => Ok(response.map(|body| body.map_err(Into::into).boxed_unsync())),
            Err(error) => Err(ClientError::Unreachable { node: self.base.clone(), reason: innermost(&error) }),
        }
    }
}

/// The first cause of an error, which is what says something.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
