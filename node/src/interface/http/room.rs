//! Room for what requests bring and for what they are answered with: all that is held at the same time has a bound, however
//! many send or read it, and however slowly.
//!
//! What is small takes no room, so that small calls are answered whatever others do. What is longer takes it: a body as it
//! comes, until its request is answered; an answer until it is read.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use http_body_util::BodyExt;

use super::problem::Problem;

/// The part of a body that takes no room, in bytes: as many as there are connections hold 32 MiB.
const FREE: usize = 16 << 10;
/// Room for the rest of all bodies, in bytes.
const BODIES: usize = 32 << 20;
/// An answer up to this long takes no room, in bytes: as many as there are connections hold 128 MiB.
const SHORT: u64 = 64 << 10;
/// Room for all longer answers, in bytes.
const ANSWERS: usize = 128 << 20;

/// There is no room for more of a body now.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many large bodies are being read; try again later")]
pub(super) struct NoRoom;

impl NoRoom {
    /// Whether this is why a body could not be read.
    pub(super) fn is_cause_of(error: &axum::Error) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// Marks an answer whose bytes are kept anyway: it takes no room.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept;

/// So many bytes and no more.
#[derive(Debug)]
struct Room {
    taken: AtomicUsize,
    size: usize,
}

impl Room {
    fn of(size: usize) -> Arc<Self> {
        Arc::new(Self { taken: AtomicUsize::new(0), size })
    }

    fn take(&self, bytes: usize) -> Result<(), NoRoom> {
        let more = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= self.size);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map(drop).map_err(|_| NoRoom)
    }
}

/// What one request holds; given back with the last who has it.
#[derive(Debug)]
struct Held {
    room: Arc<Room>,
    /// Bytes that came, and how many of them took room.
    came: AtomicUsize,
    taken: AtomicUsize,
}

impl Held {
    fn nothing_of(room: &Arc<Room>) -> Self {
        Self { room: Arc::clone(room), came: AtomicUsize::new(0), taken: AtomicUsize::new(0) }
    }

    fn take(&self, bytes: usize) -> Result<(), NoRoom> {
        self.room.take(bytes)?;
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn add(&self, part: Bytes) -> Result<Bytes, NoRoom> {
        let came = self.came.fetch_add(part.len(), Ordering::Relaxed).saturating_add(part.len());
        self.take(came.saturating_sub(FREE).saturating_sub(self.taken.load(Ordering::Relaxed)))?;
        Ok(part)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(*self.taken.get_mut(), Ordering::Relaxed);
    }
}

/// The room of a server.
#[derive(Debug)]
pub(super) struct Rooms {
    bodies: Arc<Room>,
    answers: Arc<Room>,
}

impl Rooms {
    pub(super) fn new() -> Self {
        Self { bodies: Room::of(BODIES), answers: Room::of(ANSWERS) }
    }
}

/// Counts what a request brings until it is answered, and its answer until it is read.
pub(super) async fn bound<F: Future<Output = Response>>(
    rooms: &Rooms,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let response = bound_body(&rooms.bodies, request, next).await;
    let length = response.body().size_hint().exact().filter(|length| *length > SHORT);
    let Some(length) = length.filter(|_| response.extensions().get::<Kept>().is_none()) else { return response };
    let held = Held::nothing_of(&rooms.answers);
    match held.take(usize::try_from(length).unwrap_or(usize::MAX)) {
        // The body has it for as long as it lasts.
        Ok(()) => response.map(|body| {
            Body::new(body.map_err(move |error| {
                let _ = &held;
                error
            }))
        }),
        Err(NoRoom) => {
            Problem::unavailable("too many large answers are waiting to be read; try again later").into_response()
        }
    }
}

async fn bound_body<F: Future<Output = Response>>(
    room: &Arc<Room>,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    if request.body().is_end_stream() {
        return next(request).await;
    }
    let held = Arc::new(Held::nothing_of(room));
    let for_body = Arc::clone(&held);
    let counted = |body: Body| {
        let parts = body.into_data_stream();
        Body::from_stream(parts.map(move |part| part.and_then(|part| for_body.add(part).map_err(axum::Error::new))))
    };
    let response = next(request.map(counted)).await;
    drop(held);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(length: usize) -> Bytes {
        vec![b' '; length].into()
    }

    #[test]
    fn large_bodies_share_the_room_and_small_ones_need_none() {
        let room = Room::of(BODIES);
        let mut large = Vec::new();
        while large.len() < 1_000 {
            let one = Held::nothing_of(&room);
            let fits = (0..64).all(|_| one.add(part(FREE)).is_ok());
            large.push(one);
            if !fits {
                break;
            }
        }
        assert!((32..64).contains(&large.len()), "{}", large.len());
        assert!(room.taken.load(Ordering::Relaxed) <= BODIES);
        assert!(Held::nothing_of(&room).add(part(FREE)).is_ok(), "a small one");
        assert!(Held::nothing_of(&room).add(part(2 * FREE)).is_err());
        large.pop();
        assert!(Held::nothing_of(&room).add(part(2 * FREE)).is_ok(), "one is answered");
        drop(large);
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn answers_that_nobody_reads_take_room() {
        let rooms = Rooms::new();
        let answer = async |request: Request| match request.uri().path() {
            "/long" => part(1 << 20).into_response(),
            "/kept" => (axum::Extension(Kept), part(1 << 20)).into_response(),
            _ => part(1 << 10).into_response(),
        };
        let ask = async |path: &str| {
            let request = Request::builder().uri(path).body(Body::empty()).expect("a request");
            bound(&rooms, request, answer).await
        };
        let mut unread = Vec::new();
        for _ in 0..ANSWERS >> 20 {
            unread.push(ask("/long").await);
        }
        assert!(unread.iter().all(|answer| answer.status() == 200));
        assert_eq!(unread[0].body().size_hint().exact(), Some(1 << 20), "its length is told");
        assert_eq!(ask("/long").await.status().as_u16(), 503);
        for path in ["/short", "/kept"] {
            assert_eq!(ask(path).await.status(), 200, "{path}");
        }
        unread.pop();
        assert_eq!(ask("/long").await.status(), 200);
    }

    #[tokio::test]
    async fn the_cause_is_known() {
        let parts = futures::stream::iter([Ok(part(1)), Err(axum::Error::new(NoRoom))]);
        let error = axum::body::to_bytes(Body::from_stream(parts), 10).await.expect_err("no room");
        assert!(NoRoom::is_cause_of(&error));
        let long = axum::body::to_bytes(Body::from("long"), 1).await.expect_err("too long");
        assert!(!NoRoom::is_cause_of(&long));
    }
}
