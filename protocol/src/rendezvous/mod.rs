//! Rendezvous, as libp2p's specification describes it: peers register signed records under a name, and ask who did. Here is
//! the server; [`client`] is the asking side.
//!
//! It is our own, for libp2p's cannot be bounded: it keeps records of a megabyte each, every renewal besides the one it
//! renews until that would have expired, and answers with all of them in one message, so that a single peer can fill its
//! memory and blind everybody else. Here a record is short, a renewal replaces, an answer has a limit, and what an asker has
//! seen is a number in its cookie instead of a set that is kept for it.

pub(crate) mod client;
mod messages;
mod table;

use core::time::Duration;
use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{
    PeerId, StreamProtocol,
    core::{PeerRecord, SignedEnvelope},
    request_response::{self, ProtocolSupport},
};

pub(crate) use self::{
    messages::{Answer, Question},
    table::Table,
};

/// The protocol's name, the same for all of libp2p.
const PROTOCOL: StreamProtocol = StreamProtocol::new("/rendezvous/1.0.0");
/// The longest question, in bytes: a record of [`table::MAX_RECORD_LEN`] and a name.
const QUESTION_MAX_LEN: usize = table::MAX_RECORD_LEN + 1024;
/// How long a question and its answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Questions of one connection at once. libp2p's client renews all its registrations for each of its addresses that changes.
const MAX_STREAMS: usize = 32;
/// Bytes of a length: seven bits each, enough for the longest question and answer and to see that one is longer.
const LENGTH_MAX_LEN: usize = 3;

/// Takes questions; answers are the driver's.
pub(crate) type Behaviour = request_response::Behaviour<Codec>;

/// The behaviour of a rendezvous server.
pub(crate) fn behaviour() -> Behaviour {
    let config =
        request_response::Config::default().with_request_timeout(TIMEOUT).with_max_concurrent_streams(MAX_STREAMS);
    Behaviour::with_codec(Codec, [(PROTOCOL, ProtocolSupport::Inbound)], config)
}

/// Whose record it is, if its signature holds and it names whoever signed it.
fn signer(record: &[u8]) -> Option<PeerId> {
    record_in(record).map(|record| record.peer_id())
}

/// The record in these bytes, if its signature holds and it names whoever signed it.
fn record_in(bytes: &[u8]) -> Option<PeerRecord> {
    let envelope = SignedEnvelope::from_protobuf_encoding(bytes).ok()?;
    PeerRecord::from_signed_envelope(envelope).ok()
}

/// Protobuf messages, each behind its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codec;

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Question;
    type Response = Answer;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Question>
    where
        T: AsyncRead + Unpin + Send,
    {
        let length = read_length(io).await?;
        if length > QUESTION_MAX_LEN {
            return Err(invalid("the question is too long"));
        }
        let mut body = vec![0; length];
        io.read_exact(&mut body).await?;
        Question::decode(&body).ok_or_else(|| invalid("not a question"))
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<Answer>
    where
        T: AsyncRead + Unpin + Send,
    {
        Err(invalid("a server asks nothing"))
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, _: &mut T, _: Question) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Err(invalid("a server asks nothing"))
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, answer: Answer) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&framed(&answer.encode())).await
    }
}

/// A message behind its length.
fn framed(body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(body.len().saturating_add(8));
    messages::put_number(&mut framed, body.len() as u64);
    framed.extend_from_slice(body);
    framed
}

async fn read_length<T: AsyncRead + Unpin>(io: &mut T) -> io::Result<usize> {
    let mut length = 0_usize;
    for place in 0..LENGTH_MAX_LEN {
        let mut byte = [0_u8; 1];
        io.read_exact(&mut byte).await?;
        let [byte] = byte;
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(length);
        }
    }
    Err(invalid("the message is too long"))
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
