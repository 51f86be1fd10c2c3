//! Events as a stream of server-sent events that a client may leave and take up again.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::stream;
use serde::Deserialize;

use super::problem::Problem;
use crate::{
    application::{
        Service,
        events::{Event, Follower, Full, Kinds, MAX_FOLLOWERS, Missed, Place, Reset},
    },
    interface::view::event,
};

/// How often a stream on which nothing happens shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events go out together up to about this many bytes. The server holds 16 such pieces for a client that does not read.
const PIECE: usize = 2 << 10;
/// After how many milliseconds a browser comes back.
const RETRY: u32 = 1_000;

/// The route of the stream, under `/api/v1`.
pub(super) fn routes() -> Router<Service> {
    Router::new().route("/events", get(events))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    types: Option<String>,
    last_event_id: Option<String>,
}

async fn events(
    State(service): State<Service>,
    headers: HeaderMap,
    choice: Result<Query<Choice>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(choice) = choice.map_err(|error| Problem::malformed(error.body_text()))?;
    let kinds = choice.types.as_deref().map_or(Ok(Kinds::ALL), Kinds::parse).map_err(Problem::malformed)?;
    // What a browser sends when it comes back is newer than what the page asked for in the first place.
    let header = headers.get("last-event-id").map(|value| value.to_str().unwrap_or_default().to_owned());
    let from = header.or(choice.last_event_id).map_or(Place::Now, |id| Place::after(&id));
    let (follower, reset) = service.events().follow(kinds, from).map_err(|Full| {
        let detail = format!("{MAX_FOLLOWERS} clients follow events already, no more are served; try again later");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible now", detail)
    })?;
    let stream = stream::unfold(Client::Begins { follower, reset }, Client::next);
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    // Proxies that gather answers would keep events back.
    Ok((kind, [("x-accel-buffering", "no")], Body::from_stream(stream)).into_response())
}

/// A client, as far as it is.
enum Client {
    Begins { follower: Follower, reset: Option<Reset> },
    Follows { follower: Follower },
    Ends,
}

type Piece = Result<Bytes, Infallible>;

impl Client {
    /// The next piece of its stream, and the client after it.
    async fn next(self) -> Option<(Piece, Self)> {
        match self {
            Self::Begins { follower, reset } => {
                Some((Ok(beginning(&follower.id(), reset).into()), Self::Follows { follower }))
            }
            Self::Follows { mut follower } => {
                let mut piece = String::new();
                match tokio::time::timeout(KEEP_ALIVE, follower.next()).await {
                    // The id spares a client that filters from asking for what it does not want.
                    Err(_) => piece.push_str(&format!(": still here\nid: {}\n\n", follower.id())),
                    Ok(Ok(None)) => return None,
                    Ok(Ok(Some(first))) => {
                        frame(&mut piece, &follower.id(), &first);
                        while piece.len() < PIECE
                            && let Ok(Some(event)) = follower.ready()
                        {
                            frame(&mut piece, &follower.id(), &event);
                        }
                    }
                    Ok(Err(Missed)) => return Some((Ok(Bytes::from_static(TOO_SLOW.as_bytes())), Self::Ends)),
                }
                Some((Ok(piece.into()), Self::Follows { follower }))
            }
            Self::Ends => None,
        }
    }
}

/// The last word to a client that is dropped. It has no id: the client goes on after the last event that it read.
const TOO_SLOW: &str = "event: error\ndata: {\"reason\":\"too-slow\",\"detail\":\"events were not read in time; connect \
                        again with the id of the last one that was read\"}\n\n";

fn beginning(id: &str, reset: Option<Reset>) -> String {
    let Some(reset) = reset else { return format!("retry: {RETRY}\nid: {id}\n\n") };
    let (reason, detail) = match reset {
        Reset::Restarted => ("restarted", "the node was started anew since that event"),
        Reset::Expired => ("expired", "what came after that event is no longer kept"),
        Reset::Unknown => ("unknown", "there is no event with that id"),
    };
    let body = serde_json::json!({ "reason": reason, "detail": format!("{detail}: fetch anew what you need") });
    format!("retry: {RETRY}\nid: {id}\nevent: reset\ndata: {body}\n\n")
}

fn frame(piece: &mut String, id: &str, event: &Event) {
    // JSON of serde_json has no line breaks, so it is one line of data.
    let body = event.text(|change| event::json(change).to_string());
    for part in ["id: ", id, "\nevent: ", event.change.kind().name(), "\ndata: ", body, "\n\n"] {
        piece.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_names_a_place_and_why_not_another() {
        assert_eq!(beginning("7-3", None), "retry: 1000\nid: 7-3\n\n");
        let text = beginning("7-3", Some(Reset::Expired));
        assert!(text.starts_with("retry: 1000\nid: 7-3\nevent: reset\ndata: {\"detail\":"), "{text}");
        assert!(text.contains("\"reason\":\"expired\"") && text.ends_with("}\n\n"), "{text}");
    }

    #[test]
    fn the_last_word_is_one_event() {
        let data = TOO_SLOW.strip_prefix("event: error\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
        let body: serde_json::Value = serde_json::from_str(data.expect("an event")).expect("JSON");
        assert_eq!(body["reason"], "too-slow");
    }
}
