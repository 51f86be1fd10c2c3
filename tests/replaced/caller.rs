//! Commands as the READMEs have them, such as `curl -X POST -d '...' http://localhost:5000/mine`, sent byte by byte as curl
//! sends them, or by curl itself.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

use bard_tests::process::{Node, TrackerProcess};
use serde_json::Value;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) location: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert!(self.content_type.starts_with("application/"), "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Its JSON, where it has this status.
    pub(crate) fn with(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        self.json()
    }
}

/// Who sends the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// This test, as curl would.
    Bytes,
    /// The program `curl`.
    Curl,
}

impl Caller {
    /// Those that there are on this machine.
    pub(crate) fn all() -> Vec<Self> {
        let curl = Command::new("curl").arg("--version").output().is_ok_and(|done| done.status.success());
        if curl { vec![Self::Bytes, Self::Curl] } else { vec![Self::Bytes] }
    }

    /// Runs a command whose URL names `localhost:PORT`, on this node instead.
    pub(crate) fn run(self, node: &Node, command: &str) -> Answer {
        self.send(authority(node), command)
    }

    /// Runs a command on a tracker.
    pub(crate) fn run_on(self, tracker: &TrackerProcess, command: &str) -> Answer {
        self.send(tracker.authority(), command)
    }

    fn send(self, authority: &str, command: &str) -> Answer {
        let typed = Typed::read(command);
        match self {
            Self::Bytes => bytes(authority, &typed),
            Self::Curl => curl(authority, &typed),
        }
    }
}

/// Host and port of a node's API.
pub(crate) fn authority(node: &Node) -> &str {
    node.file().api.trim_start_matches("http://").trim_end_matches('/')
}

/// A command, read.
struct Typed {
    method: String,
    path: String,
    headers: Vec<String>,
    data: Option<String>,
}

impl Typed {
    fn read(command: &str) -> Self {
        let mut words = words(command).into_iter();
        assert_eq!(words.next().as_deref(), Some("curl"), "{command}");
        let (mut method, mut url, mut headers, mut data) = (None, None, Vec::new(), None);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap_or_else(|| panic!("nothing after {word}: {command}"));
            match word.as_str() {
                "-X" => method = Some(value()),
                "-H" => headers.push(value()),
                "-d" | "--data" => data = Some(value()),
                other => url = Some(other.to_owned()),
            }
        }
        let url = url.unwrap_or_else(|| panic!("no URL: {command}"));
        let authority_and_path = url.trim_start_matches("http://");
        let path = authority_and_path.find('/').map_or("/", |at| &authority_and_path[at..]).to_owned();
        let method = method.unwrap_or_else(|| if data.is_some() { "POST" } else { "GET" }.to_owned());
        Self { method, path, headers, data }
    }
}

/// The words of a command, as a shell parts them.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in command.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn bytes(authority: &str, typed: &Typed) -> Answer {
    let Typed { method, path, headers, data } = typed;
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n");
    for header in headers {
        if header.to_ascii_lowercase().starts_with("accept:") {
            head = head.replace("Accept: */*\r\n", "");
        }
        head.push_str(&format!("{header}\r\n"));
    }
    if let Some(data) = data {
        if !headers.iter().any(|header| header.to_ascii_lowercase().starts_with("content-type:")) {
            head.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
        }
        head.push_str(&format!("Content-Length: {}\r\n", data.len()));
    }
    raw(authority, &[head.as_bytes(), b"\r\n", data.as_deref().unwrap_or_default().as_bytes()].concat())
}

/// Sends bytes and reads one answer.
pub(crate) fn raw(authority: &str, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    // A node that has seen enough may close before it read everything.
    let _ = stream.write_all(request);
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status in {line:?} to {:?}", String::from_utf8_lossy(request)));
    let (mut content_type, mut location, mut length, mut chunked) = (String::new(), String::new(), None, false);
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-type" => content_type = value.to_owned(),
            "location" => location = value.to_owned(),
            "content-length" => length = Some(value.parse::<usize>().unwrap()),
            "transfer-encoding" => chunked = value == "chunked",
            _ => {}
        }
    }
    let mut body = Vec::new();
    if chunked {
        loop {
            line.clear();
            stream.read_line(&mut line).unwrap();
            let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
            let mut chunk = vec![0; length + 2];
            stream.read_exact(&mut chunk).unwrap();
            if length == 0 {
                break;
            }
            body.extend(&chunk[..length]);
        }
    } else {
        body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).unwrap();
    }
    Answer { status, content_type, location, body: String::from_utf8(body).unwrap() }
}

fn curl(authority: &str, typed: &Typed) -> Answer {
    let mut command = Command::new("curl");
    command.args(["-s", "--noproxy", "*", "--max-time", "60"]);
    command.args(["-w", "\n%{http_code}\n%{content_type}\n%header{location}", "-X", &typed.method]);
    for header in &typed.headers {
        command.args(["-H", header]);
    }
    if let Some(data) = &typed.data {
        command.args(["-d", data]);
    }
    let done = command.arg(format!("http://{authority}{}", typed.path)).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let mut parts = text.rsplitn(4, '\n');
    let mut last = || parts.next().unwrap_or_default().to_owned();
    let (location, content_type, status, body) = (last(), last(), last(), last());
    let status = status.parse().unwrap_or_else(|_| panic!("curl: {text:?}"));
    // Versions before 7.84 do not know %header and print it as it is.
    let location = if location.starts_with('%') { String::new() } else { location };
    Answer { status, content_type, location, body }
}
