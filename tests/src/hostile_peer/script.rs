//! How a hostile peer answers: by a function from questions to answers, which need not be answers.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bard_chain::encoding;
use bard_protocol::{
    SyncRequest, SyncResponse,
    topics::Names,
    wire::{frame, limits::REQUEST_MAX_LEN, peers::PeersResponse},
};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{Stream, StreamProtocol};
use tokio::{sync::mpsc, task::JoinSet};

use super::{framed, gossip, note, streams::Arrived};

/// What a peer was asked, in order.
pub type Heard = Arc<Mutex<Vec<SyncRequest>>>;

/// What is said to a question.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A message in due form.
    Message(SyncResponse),
    /// These bytes, as they are.
    Bytes(Vec<u8>),
    /// These bytes, ten in a second.
    Dribble(Vec<u8>),
    /// Nothing, for ever; the stream stays open.
    Silence,
}

/// From questions to answers.
pub type Script = Box<dyn FnMut(&SyncRequest) -> Answer + Send>;

/// Answers nothing.
pub fn quiet() -> Script {
    Box::new(|_| Answer::Silence)
}

/// The protocols that a peer offers unless told otherwise.
pub(super) fn usual(names: &Names) -> Vec<String> {
    vec![names.sync(), names.peers(), gossip::PROTOCOL.to_owned()]
}

/// Names as libp2p takes them.
pub(super) fn offered(names: Vec<String>) -> Vec<StreamProtocol> {
    names.into_iter().map(|name| StreamProtocol::try_from_owned(name).expect("a protocol name")).collect()
}

/// What a peer has to say.
pub(super) struct Part {
    pub(super) script: Script,
    /// The same whatever is asked, on protocols that end like this.
    pub(super) says: Option<(&'static str, Vec<u8>)>,
}

/// Answers all streams that arrive until there can be no more, and counts what comes of gossip.
pub(super) async fn play(
    Part { mut script, says }: Part,
    heard: Heard,
    told: Arc<AtomicUsize>,
    mut arrivals: mpsc::Receiver<Arrived>,
) {
    let mut tasks = JoinSet::new();
    let mut held = Vec::new();
    while let Some((protocol, mut stream)) = arrivals.recv().await {
        if let Some((_, bytes)) = says.as_ref().filter(|(end, _)| protocol.as_ref().ends_with(end)) {
            tasks.spawn(say(stream, bytes.clone()));
        } else if protocol.as_ref().ends_with("/sync/1") {
            let Ok(request) = read_question(&mut stream).await else { continue };
            note(&heard, &request);
            match script(&request) {
                Answer::Message(response) => drop(tasks.spawn(say(stream, framed(&encoding::encode(&response))))),
                Answer::Bytes(bytes) => drop(tasks.spawn(say(stream, bytes))),
                Answer::Dribble(bytes) => drop(tasks.spawn(dribble(stream, bytes))),
                Answer::Silence => held.push(stream),
            }
        } else if protocol.as_ref().ends_with("/peers/1") {
            tasks.spawn(say(stream, framed(&encoding::encode(&PeersResponse::default()))));
        } else {
            tasks.spawn(listen(stream, Arc::clone(&told)));
        }
    }
}

async fn read_question(stream: &mut Stream) -> io::Result<SyncRequest> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).await?;
    let mut body = vec![0; frame::body_len(prefix, REQUEST_MAX_LEN).map_err(io::Error::other)?];
    stream.read_exact(&mut body).await?;
    frame::open(&body, REQUEST_MAX_LEN).map_err(io::Error::other)
}

/// Writes bytes and ends the stream. An error says that the other side did not want to hear it.
async fn say(mut stream: Stream, bytes: Vec<u8>) {
    if stream.write_all(&bytes).await.is_ok() {
        let _ = stream.close().await;
    }
}

/// Writes bytes one by one, as slowly as that goes.
async fn dribble(mut stream: Stream, bytes: Vec<u8>) {
    for byte in bytes {
        if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Reads gossip and forgets it, but for its length.
async fn listen(mut stream: Stream, told: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 64 << 10];
    while let Some(length) = stream.read(&mut buffer).await.ok().filter(|length| *length > 0) {
        told.fetch_add(length, Ordering::Relaxed);
    }
}
