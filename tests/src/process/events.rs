//! The events of a node as a program follows them.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use serde_json::Value;

use super::{Node, PATIENCE};

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its id; that of the event before, where it has none of its own.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// What it tells.
    pub data: Value,
}

impl Event {
    /// Its number in the run of the node.
    ///
    /// # Panics
    /// Where its id has none.
    pub fn number(&self) -> u64 {
        self.id.split_once('-').and_then(|(_, number)| number.parse().ok()).expect("an id RUN-NUMBER")
    }
}

/// A stream of events.
pub struct Events {
    reader: BufReader<TcpStream>,
    id: String,
}

impl Events {
    /// Follows a node: `query` such as `types=block`, and the id of the last event that is known, if one is.
    ///
    /// # Panics
    /// Where the node does not let it; with what it says.
    pub fn follow(node: &Node, query: &str, last: Option<&str>) -> Self {
        Self::try_follow(node, query, last).unwrap_or_else(|head| panic!("no stream: {head}"))
    }

    /// [`Self::follow`], or the head of the answer where it is no stream.
    ///
    /// # Errors
    /// The head.
    ///
    /// # Panics
    /// Where no answer comes.
    pub fn try_follow(node: &Node, query: &str, last: Option<&str>) -> Result<Self, String> {
        let authority = node.file().api.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&authority).expect("the API listens");
        Self::over(stream, &authority, query, last)
    }

    /// [`Self::follow`] by a client whose side takes little that is not read.
    ///
    /// # Panics
    /// As there.
    pub fn follow_narrow(node: &Node, query: &str) -> Self {
        let authority = node.file().api.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let address: SocketAddr = authority.parse().expect("an address");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let stream = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.set_recv_buffer_size(4 << 10).expect("a small buffer");
            socket.connect(address).await.expect("the API listens").into_std().expect("a socket")
        });
        stream.set_nonblocking(false).expect("a socket that waits");
        Self::over(stream, &authority, query, None).unwrap_or_else(|head| panic!("no stream: {head}"))
    }

    fn over(mut stream: TcpStream, authority: &str, query: &str, last: Option<&str>) -> Result<Self, String> {
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        // As HTTP/1.0, so that the body comes as it is and ends with the connection.
        let request = format!("GET /api/v1/events?{query} HTTP/1.0\r\nHost: {authority}\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut events = Self { reader: BufReader::with_capacity(1 << 10, stream), id: String::new() };
        let mut head = String::new();
        while let Some(line) = events.line().filter(|line| !line.is_empty()) {
            head.push_str(&format!("{line}\n"));
        }
        let lower = head.to_ascii_lowercase();
        let good = head.contains(" 200 ") && lower.contains("content-type: text/event-stream");
        if good { Ok(events) } else { Err(head) }
    }

    /// The next event; `None` at the end of the stream.
    ///
    /// # Panics
    /// Where none comes for a long time, or the stream is malformed.
    #[allow(clippy::should_implement_trait, reason = "it is no iterator: it panics")]
    pub fn next(&mut self) -> Option<Event> {
        let (mut kind, mut data) = (String::new(), String::new());
        // Comments come all the time.
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < PATIENCE, "no event after {}", self.id);
            let line = self.line()?;
            match line.split_once(": ") {
                Some(("id", id)) => id.clone_into(&mut self.id),
                Some(("event", name)) => name.clone_into(&mut kind),
                Some(("data", text)) => text.clone_into(&mut data),
                Some(("retry" | "", _)) => {}
                _ if line.is_empty() && !data.is_empty() => {
                    let data = serde_json::from_str(&data).unwrap_or_else(|error| panic!("{error} in {data}"));
                    return Some(Event { id: self.id.clone(), kind, data });
                }
                _ => assert!(line.is_empty(), "no line of an event stream: {line:?}"),
            }
        }
    }

    /// The next event of a kind.
    ///
    /// # Panics
    /// Where the stream ends before.
    pub fn next_of(&mut self, kind: &str) -> Event {
        loop {
            let event = self.next().unwrap_or_else(|| panic!("the stream ended before {kind}"));
            if event.kind == kind {
                return event;
            }
        }
    }

    /// The id of the last event.
    pub fn last_id(&self) -> &str {
        &self.id
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line).expect("a line in time");
        (read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }
}
