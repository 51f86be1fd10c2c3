//! The HTTP API of a real node, call by call, and what it does with those who mean it ill.

mod attempts;
mod caching;
mod calls;
mod crowds;
mod document;
mod documented;
mod framing;
mod home;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use bard_tests::process::Node;
use serde_json::Value;

/// Patience with one answer: more than any deadline of the API that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer, byte by byte.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {} {text:?}", self.status))
    }

    /// A header; `None` where it is missing.
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Where the API listens: `host:port`.
fn authority(node: &Node) -> &str {
    node.file().api.trim_start_matches("http://").trim_end_matches('/')
}

/// Sends bytes and reads until the node closes; `None` where it closes without an answer.
fn exchange(node: &Node, request: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(authority(node)).expect("the API listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // A node that has seen enough may close before it read everything.
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head, body: bytes[end + 4..].to_vec() })
}

/// Sends a request with these header lines besides those that every request has.
fn send(node: &Node, line: &str, headers: &[&str], body: &[u8]) -> Answer {
    let lines: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let host = if headers.iter().any(|header| header.to_ascii_lowercase().starts_with("host:")) {
        String::new()
    } else {
        format!("Host: {}\r\n", authority(node))
    };
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{line} HTTP/1.1\r\n{host}{lines}{length}Connection: close\r\n\r\n");
    let answer = exchange(node, &[head.as_bytes(), body].concat());
    answer.unwrap_or_else(|| panic!("{line:.80}: no answer"))
}

const JSON: &str = "Content-Type: application/json";

/// Sends JSON.
fn send_json(node: &Node, line: &str, body: &Value) -> Answer {
    send(node, line, &[JSON], body.to_string().as_bytes())
}
