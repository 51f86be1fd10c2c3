//! A client of the API, typed: what the console, the commands and the dashboard ask a node with. There is no other way.
//!
//! [`calls`] has a function for each call, [`stream`] follows events. A client reaches a node by its URL, or, inside the node
//! itself, without a connection: then no limit on connections and no slow network stands between a person and the node.

mod calls;
mod error;
mod stream;
mod transport;

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, body::Bytes, header};
use serde::{Serialize, de::DeserializeOwned};

use self::transport::Transport;
pub use self::{
    calls::BLOCKS_A_CALL,
    error::ClientError,
    stream::{Events, Told},
    transport::InProcess,
};

/// How long an answer may take; a node gives up by itself before.
const PATIENCE: Duration = Duration::from_secs(40);
/// The longest answer that is read, in bytes: a page of the largest blocks as JSON is shorter.
const MAX_ANSWER: usize = 64 << 20;

/// How long to wait for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// For [`PATIENCE`].
    Short,
    /// For as long as it takes: mining and checking a chain.
    Long,
}

/// A node, by its API. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    token: Option<String>,
}

impl Client {
    /// The node with this URL. No connection is made yet.
    ///
    /// # Errors
    /// Where the text is no `http` or `https` URL of a host.
    pub fn of_url(url: &str, token: Option<String>) -> Result<Self, ClientError> {
        Ok(Self { transport: Transport::of_url(url)?, token })
    }

    /// The node that this process runs.
    pub fn of_this_process(node: InProcess, token: Option<String>) -> Self {
        Self { transport: Transport::of_this_process(node), token }
    }

    /// What the node is called in messages: its URL.
    pub fn name(&self) -> &str {
        self.transport.name()
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, Bytes::new(), Wait::Short).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
        wait: Wait,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::strange(self.name(), error))?;
        self.call(method, path, body.into(), wait).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        wait: Wait,
    ) -> Result<T, ClientError> {
        let answer = self.exchange(method, path, body);
        let bytes = match wait {
            Wait::Long => answer.await?,
            Wait::Short => tokio::time::timeout(PATIENCE, answer)
                .await
                .map_err(|_| ClientError::Slow { node: self.name().to_owned(), seconds: PATIENCE.as_secs() })??,
        };
        serde_json::from_slice(&bytes).map_err(|error| ClientError::strange(self.name(), error))
    }

    /// What happens from now on, or after the event with this id. `kinds` are names separated by commas.
    ///
    /// # Errors
    /// Where the node does not let this client follow.
    pub async fn events(&self, kinds: &str, after: Option<String>) -> Result<Events, ClientError> {
        let mut path = format!("/api/v1/events?types={kinds}");
        if let Some(id) = after {
            path.push_str("&last_event_id=");
            path.push_str(&id);
        }
        let response = self.answer(Method::GET, &path, Bytes::new()).await?;
        Ok(Events::new(self.name(), response))
    }

    /// The body of a good answer; null where there is none.
    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
        let bytes = self.whole(self.answer(method, path, body).await?).await?;
        Ok(if bytes.is_empty() { Bytes::from_static(b"null") } else { bytes })
    }

    async fn whole(&self, body: transport::Body) -> Result<Bytes, ClientError> {
        let collected = Limited::new(body, MAX_ANSWER).collect().await;
        Ok(collected.map_err(|error| ClientError::strange(self.name(), error))?.to_bytes())
    }

    /// The body of a good answer as it comes.
    async fn answer(&self, method: Method, path: &str, body: Bytes) -> Result<transport::Body, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(self.transport.uri(path)?)
            .header(header::HOST, self.transport.host())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, application/problem+json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body)).map_err(|error| ClientError::strange(self.name(), error))?;
        let response = self.transport.send(request).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response.into_body());
        }
        let why = self.whole(response.into_body()).await?;
        Err(ClientError::refused(self.name(), status, &why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_nodes() {
        for good in ["http://127.0.0.1:5000", "http://localhost:5000/", "https://node.example", "http://[::1]:5000/"] {
            assert!(Client::of_url(good, None).is_ok(), "{good}");
        }
        for odd in ["", "127.0.0.1:5000", "ftp://x", "http://", "http://x/y", "http://x?y", "http:// x"] {
            let problem = Client::of_url(odd, None).map(|_| ()).expect_err(odd);
            assert!(problem.to_string().contains("http://HOST:PORT"), "{odd}: {problem}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_said_in_a_line() {
        // A port that was free a moment ago, and that nobody was told of.
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its number");
        let client = Client::of_url(&format!("http://{free}"), None).expect("a client");
        let problem = client.status().await.map(|_| ()).expect_err("nobody is there").to_string();
        assert!(problem.contains(&free.to_string()) && problem.contains("bard node"), "{problem}");
        assert_eq!(problem.lines().count(), 1);
    }
}
