//! Questions and answers over libp2p's request-response, in the frames of [`crate::wire::frame`].
//!
//! A stream carries one frame each way. Reading happens in the task of the connection, so a slow peer delays only itself.

use core::{
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{io, sync::Arc};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{
    StreamProtocol,
    request_response::{self, ProtocolSupport},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::wire::{
    WireError,
    frame::{self, Answer},
    limits::{
        FRAME_PREFIX_LEN, PEERS_REQUEST_MAX_LEN, PEERS_RESPONSE_MAX_LEN, REQUEST_MAX_LEN, SPEC_REQUEST_MAX_LEN,
        SPEC_RESPONSE_MAX_LEN, response_max_len,
    },
    peers::{PeersRequest, PeersResponse},
    spec::{SpecRequest, SpecResponse},
    sync::{SyncRequest, SyncResponse},
};

/// After this libp2p gives up a request or an answer. Callers have shorter deadlines of their own; this one frees the
/// stream of a peer that never finishes. Three answers of 1 MiB side by side take as long at 140 kbit/s.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(180);

/// Streams of one connection at once, both ways together: our own requests, the peer's, and some room.
const MAX_STREAMS: usize = 64;

/// Bytes reserved for a body before any of it has come.
const FIRST_RESERVE: usize = 64 << 10;
/// Bytes of a body that are read at once.
const PIECE: usize = 16 << 10;

/// How many bytes of an answer have come. Cheap to clone: whoever waits for the answer looks at it while the codec counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<AtomicU64>);

impl Heard {
    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.0.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// What is asked, and whether somebody counts what comes of the answer.
pub(crate) trait Question {
    /// Where the bytes of the answer are counted.
    fn heard(&self) -> Heard {
        Heard::default()
    }
}

impl Question for PeersRequest {}
impl Question for SpecRequest {}

/// A question about the chain whose answer is watched while it comes. On the wire it is the question alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Watched {
    pub(crate) request: SyncRequest,
    #[serde(skip)]
    pub(crate) heard: Heard,
}

impl Question for Watched {
    fn heard(&self) -> Heard {
        self.heard.clone()
    }
}

impl From<SyncRequest> for Watched {
    fn from(request: SyncRequest) -> Self {
        Self { request, heard: Heard::default() }
    }
}

/// Questions about the chain.
pub(crate) type SyncBehaviour = request_response::Behaviour<FrameCodec<Watched, SyncResponse>>;
/// Questions about peers.
pub(crate) type PeersBehaviour = request_response::Behaviour<FrameCodec<PeersRequest, PeersResponse>>;
/// Questions for the specification.
pub(crate) type SpecBehaviour = request_response::Behaviour<FrameCodec<SpecRequest, SpecResponse>>;

/// The behaviour that answers questions about the chain.
pub(crate) fn sync(protocol: StreamProtocol, max_block_len: usize) -> SyncBehaviour {
    behaviour(protocol, FrameCodec::new(REQUEST_MAX_LEN, response_max_len(max_block_len)))
}

/// The behaviour that answers questions about peers.
pub(crate) fn peers(protocol: StreamProtocol) -> PeersBehaviour {
    behaviour(protocol, FrameCodec::new(PEERS_REQUEST_MAX_LEN, PEERS_RESPONSE_MAX_LEN))
}

/// The behaviour that asks for the specification, and answers.
pub(crate) fn spec(protocol: StreamProtocol) -> SpecBehaviour {
    behaviour(protocol, FrameCodec::new(SPEC_REQUEST_MAX_LEN, SPEC_RESPONSE_MAX_LEN))
}

fn behaviour<C: request_response::Codec<Protocol = StreamProtocol> + Clone + Send + 'static>(
    protocol: StreamProtocol,
    codec: C,
) -> request_response::Behaviour<C> {
    let config =
        request_response::Config::default().with_request_timeout(TIMEOUT).with_max_concurrent_streams(MAX_STREAMS);
    request_response::Behaviour::with_codec(codec, [(protocol, ProtocolSupport::Full)], config)
}

/// Reads and writes frames of `Q` and `A`.
pub(crate) struct FrameCodec<Q, A> {
    request_limit: usize,
    response_limit: usize,
    /// Of the answer to what this copy has asked: each stream has a copy of its own.
    heard: Heard,
    messages: PhantomData<fn() -> (Q, A)>,
}

impl<Q, A> FrameCodec<Q, A> {
    fn new(request_limit: usize, response_limit: usize) -> Self {
        Self { request_limit, response_limit, heard: Heard::default(), messages: PhantomData }
    }
}

impl<Q, A> Clone for FrameCodec<Q, A> {
    fn clone(&self) -> Self {
        Self::new(self.request_limit, self.response_limit)
    }
}

impl<Q, A> request_response::Codec for FrameCodec<Q, A>
where
    Q: Question + Serialize + DeserializeOwned + Send,
    A: Answer + Send,
{
    type Protocol = StreamProtocol;
    /// A request that was not understood is handed on as its fault, so that it gets an answer too.
    type Request = Result<Q, WireError>;
    type Response = A;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        Ok(read(io, self.request_limit, &Heard::default())
            .await?
            .and_then(|body| frame::open(&body, self.request_limit)))
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<A>
    where
        T: AsyncRead + Unpin + Send,
    {
        let body = read(io, self.response_limit, &self.heard).await?.map_err(invalid_data)?;
        frame::open(&body, self.response_limit).map_err(invalid_data)
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Self::Request) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let request = request.map_err(invalid_data)?;
        self.heard = request.heard();
        let frame = frame::seal(&request, self.request_limit).map_err(invalid_data)?;
        io.write_all(&frame).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, response: A) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let frame = match frame::seal(&response, self.response_limit) {
            Ok(frame) => frame,
            // A plain word instead of a frame that the peer would have to refuse, and hold against us.
            Err(_) => frame::seal(&A::too_large(), self.response_limit).map_err(invalid_data)?,
        };
        // A slow reader holds one copy, not two.
        drop(response);
        io.write_all(&frame).await
    }
}

/// Reads the body of one frame. The outer error is the stream's, the inner one the peer's.
async fn read<T: AsyncRead + Unpin>(io: &mut T, limit: usize, heard: &Heard) -> io::Result<Result<Vec<u8>, WireError>> {
    let mut prefix = [0; FRAME_PREFIX_LEN];
    io.read_exact(&mut prefix).await?;
    let length = match frame::body_len(prefix, limit) {
        Ok(length) => length,
        Err(fault) => return Ok(Err(fault)),
    };
    // Grows with what really comes: a claim of megabytes alone costs its maker as much as us.
    let mut body = Vec::with_capacity(length.min(FIRST_RESERVE));
    while body.len() < length {
        let come = body.len();
        body.resize(length.min(come.saturating_add(PIECE)), 0);
        let more = io.read(body.get_mut(come..).unwrap_or_default()).await?;
        if more == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        heard.add(more);
        body.truncate(come.saturating_add(more));
    }
    Ok(Ok(body))
}

fn invalid_data(fault: WireError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

/// The fault of the peer in an error of its stream, if it is one.
pub(crate) fn fault_in(error: &io::Error) -> Option<WireError> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<WireError>()).cloned()
}

#[cfg(test)]
mod tests {
    use futures::{executor::block_on, io::Cursor};
    use libp2p::request_response::Codec;

    use super::*;
    use crate::wire::sync::RefusedReason;

    const PROTOCOL: StreamProtocol = StreamProtocol::new("/test");

    fn codec() -> FrameCodec<Watched, SyncResponse> {
        FrameCodec::new(64, 64)
    }

    #[test]
    fn an_answer_that_grew_too_large_becomes_a_refusal() {
        let mut stream = Cursor::new(Vec::new());
        block_on(codec().write_response(&PROTOCOL, &mut stream, SyncResponse::Blocks(vec![vec![0; 100]])))
            .expect("written");
        stream.set_position(0);
        let read = block_on(codec().read_response(&PROTOCOL, &mut stream)).expect("read");
        assert_eq!(read, SyncResponse::Refused(RefusedReason::TooLarge));
    }

    #[test]
    fn a_request_that_is_not_understood_is_handed_on_as_its_fault() {
        let mut claims = Cursor::new(vec![0xff, 0xff, 0xff, 0xff, 1, 2, 3]);
        let read = block_on(codec().read_request(&PROTOCOL, &mut claims)).expect("read");
        assert!(matches!(read, Err(WireError::TooLong { .. })));
        let mut version = Cursor::new(vec![0, 0, 0, 2, 7, 0x80]);
        let read = block_on(codec().read_request(&PROTOCOL, &mut version)).expect("read");
        assert!(matches!(read, Err(WireError::UnknownVersion { version: 7 })));
    }

    #[test]
    fn what_comes_of_an_answer_is_counted_for_whoever_asked() {
        let mut codec = FrameCodec::<Watched, SyncResponse>::new(1 << 20, 1 << 20);
        let question = Watched::from(SyncRequest::PoolIds);
        let mut sent = Cursor::new(Vec::new());
        block_on(codec.write_request(&PROTOCOL, &mut sent, Ok(question.clone()))).expect("written");
        let plain = frame::seal(&SyncRequest::PoolIds, 1 << 20).expect("sealed");
        assert_eq!(sent.into_inner(), plain, "on the wire it is the question alone");
        let mut stream = Cursor::new(Vec::new());
        let answer = SyncResponse::Blocks(vec![vec![7; 100_000]]);
        block_on(codec.clone().write_response(&PROTOCOL, &mut stream, answer.clone())).expect("written");
        let written = stream.into_inner();
        let half = written.get(..written.len() / 2).expect("a half").to_vec();
        block_on(codec.read_response(&PROTOCOL, &mut Cursor::new(half))).expect_err("cut short");
        assert!((40_000..60_000).contains(&question.heard.bytes()), "{}", question.heard.bytes());
        let read = block_on(codec.read_response(&PROTOCOL, &mut Cursor::new(written))).expect("read");
        assert_eq!(read, answer);
    }

    #[test]
    fn a_frame_cut_short_is_the_streams_fault() {
        let mut short = Cursor::new(vec![0, 0, 0, 9, 1, 2]);
        let error = block_on(codec().read_response(&PROTOCOL, &mut short)).expect_err("cut short");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(fault_in(&error), None);
        let mut junk = Cursor::new(vec![0, 0, 0, 2, 1, 0xff]);
        let error = block_on(codec().read_response(&PROTOCOL, &mut junk)).expect_err("junk");
        assert!(fault_in(&error).is_some());
    }
}
