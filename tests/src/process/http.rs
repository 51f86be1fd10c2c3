//! A node's HTTP API as a program uses it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// How long an answer may take unless said otherwise.
const DEADLINE: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 20;

/// A client of one node.
#[derive(Clone)]
pub struct Http {
    base: String,
    agent: ureq::Agent,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its content type, empty where it names none.
    pub content_type: String,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// Its body as JSON.
    ///
    /// # Panics
    /// Where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {} {:?}", self.status, self.body))
    }

    /// Its body as JSON, of an answer that says that all went well.
    ///
    /// # Panics
    /// Where it is none, or says otherwise.
    pub fn success(&self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.json()
    }
}

impl Http {
    /// A client of the API at this URL.
    pub fn new(api: &str) -> Self {
        Self::with_deadline(api, DEADLINE)
    }

    /// A client with its own patience.
    pub fn with_deadline(api: &str, deadline: Duration) -> Self {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(deadline)).proxy(None);
        Self { base: api.trim_end_matches('/').to_owned(), agent: config.build().into() }
    }

    /// Gets a path such as `/api/v1/status`; an error where no answer comes.
    ///
    /// # Errors
    /// What failed, in one line.
    pub fn try_get(&self, path: &str) -> Result<Answer, String> {
        let answer = self.agent.get(format!("{}{path}", self.base)).call();
        answer.map_err(|error| error.to_string()).and_then(read)
    }

    /// Posts JSON to a path; an error where no answer comes.
    ///
    /// # Errors
    /// What failed, in one line.
    pub fn try_post(&self, path: &str, body: &Value) -> Result<Answer, String> {
        let answer = self.agent.post(format!("{}{path}", self.base)).send_json(body);
        answer.map_err(|error| error.to_string()).and_then(read)
    }

    /// Gets a path.
    ///
    /// # Panics
    /// Where no answer comes.
    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {}{path}: {error}", self.base))
    }

    /// Posts JSON to a path.
    ///
    /// # Panics
    /// Where no answer comes.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).unwrap_or_else(|error| panic!("POST {}{path}: {error}", self.base))
    }

    /// Puts JSON to a path.
    ///
    /// # Panics
    /// Where no answer comes.
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        let answer = self.agent.put(format!("{}{path}", self.base)).send_json(body).map_err(|error| error.to_string());
        answer.and_then(read).unwrap_or_else(|error| panic!("PUT {}{path}: {error}", self.base))
    }

    /// Sends exactly these bytes and returns everything that comes back until the node closes or falls silent for a second;
    /// empty where it closes without a word.
    ///
    /// # Panics
    /// Where the node cannot be reached at all.
    pub fn raw(&self, request: &[u8]) -> String {
        let authority = self.base.trim_start_matches("http://");
        let mut stream = TcpStream::connect(authority).expect("the API listens");
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
        // A node that has seen enough may close before it read everything.
        let _ = stream.write_all(request);
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            answer.extend(buffer.get(..read).unwrap_or_default());
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Result<Answer, String> {
    let content_type = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
    let (status, content_type) = (answer.status().as_u16(), content_type.unwrap_or_default().to_owned());
    let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(|error| error.to_string())?;
    // A file, such as a receipt, is no text: whoever looks at it as one sees that.
    let body = String::from_utf8(body).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok(Answer { status, content_type, body })
}
