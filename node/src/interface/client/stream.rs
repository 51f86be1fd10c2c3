//! Events as a client reads them: server-sent events, taken apart.

use http_body_util::BodyExt;
use hyper::body::Bytes;

use super::{ClientError, transport::Body};

/// The longest event that is read, in bytes: nodes send far shorter ones.
const MAX_EVENT: usize = 1 << 20;

/// What a node told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The place in the stream after it; empty where the node named none.
    pub id: String,
    /// Its name: a kind of event, or `reset` or `error`.
    pub name: String,
    /// What it says, JSON.
    pub data: String,
}

/// Events as they come.
pub struct Events {
    node: String,
    body: Body,
    lines: Lines,
}

/// Bytes in, events out.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
    begun: Told,
}

impl Events {
    pub(super) fn new(node: &str, body: Body) -> Self {
        Self { node: node.to_owned(), body, lines: Lines::default() }
    }

    /// The next event; `None` where the node ended the stream.
    ///
    /// # Errors
    /// Where the connection is lost or what comes over it is no stream of events.
    pub async fn next(&mut self) -> Result<Option<Told>, ClientError> {
        loop {
            if let Some(told) = self.lines.next() {
                return Ok(Some(told));
            }
            if self.lines.rest.len() > MAX_EVENT || self.lines.begun.data.len() > MAX_EVENT {
                return Err(ClientError::strange(&self.node, "an event without an end"));
            }
            let frame = match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => frame.map_err(|error| ClientError::strange(&self.node, error))?,
            };
            let bytes: Bytes = frame.into_data().unwrap_or_default();
            self.lines.rest.extend_from_slice(&bytes);
        }
    }
}

impl Lines {
    /// The next whole event of what came so far. Comments and the time to come back are passed over.
    fn next(&mut self) -> Option<Told> {
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() {
                let told = std::mem::take(&mut self.begun);
                self.begun.id.clone_from(&told.id);
                if !told.data.is_empty() {
                    return Some(told);
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => value.clone_into(&mut self.begun.id),
                "event" => value.clone_into(&mut self.begun.name),
                "data" => self.begun.data.push_str(value),
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_apart_wherever_they_are_cut() {
        let text = "retry: 1000\nid: 7-3\n\n: still here\nid: 7-4\n\nid: 7-5\nevent: block\ndata: {\"a\":1}\n\n";
        for cut in 0..text.len() {
            let (mut lines, mut told) = (Lines::default(), Vec::new());
            for part in [&text[..cut], &text[cut..]] {
                lines.rest.extend_from_slice(part.as_bytes());
                while let Some(one) = lines.next() {
                    told.push(one);
                }
            }
            let expected = Told { id: "7-5".into(), name: "block".into(), data: "{\"a\":1}".into() };
            assert_eq!(told, [expected], "{cut}");
        }
    }
}
