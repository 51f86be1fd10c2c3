//! Events as a stream of server-sent events that a client may leave and take up again.

#![allow(unused_qualifications, reason = "written so by the macros that describe the calls")]

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{OwnProcess, extract::Query, problem::Problem};
use crate::{
    application::{
        Service,
        events::{Event, Follower, Full, Kinds, MAX_FOLLOWERS, Missed, Place, Reset},
    },
    interface::view::event_json::{self, Event as Told},
};

/// How often a stream on which nothing happens shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Events go out together up to about this many bytes. The server holds 16 such pieces for a client that does not read.
const PIECE: usize = 2 << 10;
/// After how many milliseconds a browser comes back.
const RETRY: u32 = 1_000;

/// The route of the stream.
pub(super) fn routes() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(events))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Choice {
    /// Only events of these kinds, with commas between them; all if left out.
    #[param(
        pattern = "^(block|reorg|transaction|peer|mining|sync|lab)(,(block|reorg|transaction|peer|mining|sync|lab))*$"
    )]
    types: Option<String>,
    /// The id of the last event that is known: what came since is told. For clients that cannot set a header. `start` is
    /// before the first event that the node still keeps.
    last_event_id: Option<String>,
}

/// What happens, as it happens
///
/// An endless stream of server-sent events. The node keeps the last 1,024 events of each kind: whoever comes back with the id
/// of the last event that it knows gets everything since. Where that cannot be, the first event is `reset`.
#[utoipa::path(get, path = "/api/v1/events", tag = "node",
    params(Choice, ("last-event-id" = Option<String>, Header,
        description = "The id of the last event that is known; browsers send it by themselves when they come back.")),
    responses((status = 200, description = "The events, each as its name and its data.", body = event_json::Streamed,
            content_type = "text/event-stream"),
        (status = 503, description = "1,024 clients follow already.", body = Problem,
            content_type = "application/problem+json")))]
async fn events(
    State(service): State<Service>,
    headers: HeaderMap,
    own: Option<Extension<OwnProcess>>,
    Query(choice): Query<Choice>,
) -> Result<Response, Problem> {
    let kinds = choice.types.as_deref().map_or(Ok(Kinds::ALL), Kinds::parse).map_err(Problem::malformed)?;
    // What a browser sends when it comes back is newer than what the page asked for in the first place.
    let header = headers.get("last-event-id").map(|value| value.to_str().unwrap_or_default().to_owned());
    let from = header.or(choice.last_event_id).map_or(Place::Now, |id| Place::after(&id));
    let (follower, reset) = match own {
        Some(_) => service.events().read(kinds, from),
        None => service.events().follow(kinds, from).map_err(|Full| {
            let detail = format!("{MAX_FOLLOWERS} clients follow events already, no more are served; try again later");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not possible now", detail)
        })?,
    };
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
                    Ok(Err(Missed)) => return Some((Ok(too_slow().into()), Self::Ends)),
                }
                Some((Ok(piece.into()), Self::Follows { follower }))
            }
            Self::Ends => None,
        }
    }
}

/// The last word to a client that is dropped. It has no id: the client goes on after the last event that it read.
fn too_slow() -> String {
    format!("event: error\ndata: {}\n\n", Told::too_slow().data())
}

fn beginning(id: &str, reset: Option<Reset>) -> String {
    let Some(reset) = reset else { return format!("retry: {RETRY}\nid: {id}\n\n") };
    format!("retry: {RETRY}\nid: {id}\nevent: reset\ndata: {}\n\n", Told::reset(reset).data())
}

fn frame(piece: &mut String, id: &str, event: &Event) {
    // JSON of serde_json has no line breaks, so it is one line of data.
    let body = event.text(|change| Told::from(change).data());
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
        assert!(text.starts_with("retry: 1000\nid: 7-3\nevent: reset\ndata: {\"reason\":\"expired\","), "{text}");
        assert!(text.ends_with("}\n\n"), "{text}");
    }

    #[test]
    fn the_last_word_is_one_event() {
        let word = too_slow();
        let data = word.strip_prefix("event: error\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
        let body: serde_json::Value = serde_json::from_str(data.expect("an event")).expect("JSON");
        assert_eq!(body["reason"], "too-slow");
    }
}
