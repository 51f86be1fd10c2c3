//! Why a node gave no answer, or a bad one.

use hyper::StatusCode;
use serde::Deserialize;

/// Characters of an answer that makes no sense that are repeated.
const SHOWN: usize = 80;

/// Why there is no answer: one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It is not the URL of a node.
    #[error("{0:?} is not the URL of a node: http://HOST:PORT or https://HOST is expected")]
    Url(String),
    /// Nobody answers.
    #[error("no node answers at {node}: {reason}; start one with `bard node`, or name another with --api URL")]
    Unreachable {
        /// Its URL.
        node: String,
        /// What went wrong.
        reason: String,
    },
    /// The connection is there, the answer is not.
    #[error("{node} gave no answer within {seconds} s")]
    Slow {
        /// Its URL.
        node: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The node refused, and said why.
    #[error("{detail}")]
    Refused {
        /// The status of the answer.
        status: u16,
        /// Which problem it is, for programs.
        kind: String,
        /// What was wrong.
        detail: String,
    },
    /// The answer is not one that a node gives.
    #[error("{node} answers with what no node of this version says: {reason}")]
    Strange {
        /// Its URL.
        node: String,
        /// What is odd about it.
        reason: String,
    },
}

/// A problem, as nodes send it.
#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
}

impl ClientError {
    /// An answer that cannot be understood.
    pub(super) fn strange(node: &str, reason: impl std::fmt::Display) -> Self {
        Self::Strange { node: node.to_owned(), reason: line(&reason.to_string()) }
    }

    /// An answer that is no success.
    pub(super) fn refused(node: &str, status: StatusCode, body: &[u8]) -> Self {
        match serde_json::from_slice::<Problem>(body) {
            Ok(problem) => Self::Refused {
                status: status.as_u16(),
                kind: problem.kind,
                detail: with_hint(status, line(&problem.detail)),
            },
            Err(_) => {
                let text: String = String::from_utf8_lossy(body).chars().take(SHOWN).collect();
                Self::strange(node, format!("{status} {text}"))
            }
        }
    }
}

/// What to do about a refusal that has to do with how the node was called.
fn with_hint(status: StatusCode, detail: String) -> String {
    match status {
        StatusCode::UNAUTHORIZED => format!("{detail}: give it with --api-token or BARD_API_TOKEN"),
        _ => detail,
    }
}

/// A text as one line, with nothing in it that a terminal could take for a command.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_the_node_said() {
        let body =
            br#"{"type": "urn:blockbard:problem:conflict", "title": "t", "status": 409, "detail": "it is\ntaken"}"#;
        let refused = ClientError::refused("http://x/", StatusCode::CONFLICT, body);
        assert_eq!(refused.to_string(), "it is taken");
        assert!(matches!(refused, ClientError::Refused { status: 409, .. }));
        let odd = ClientError::refused("http://x/", StatusCode::BAD_GATEWAY, b"<html>\x1b[31m").to_string();
        assert!(odd.starts_with("http://x/ answers with") && !odd.chars().any(char::is_control), "{odd}");
    }
}
