//! The asking side: registers at a point and asks who else did.
//!
//! # Security
//! It is our own, for libp2p's trusts the point: it panics at an answer that is a question or that lasts for ever, and keeps
//! every address it is told until the time that the point names. Here an answer is read up to a limit, understood or not,
//! and nothing of it is kept.

use core::time::Duration;
use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    core::PeerRecord,
    identity::Keypair,
    request_response::{self, ProtocolSupport},
};

use super::{
    PROTOCOL, framed, invalid,
    messages::{Value, fields, put_bytes, put_field},
    read_length, record_in,
};

/// The longest answer, in bytes, as in libp2p: a hundred records of 4 KiB, and some room for points that send longer ones.
const ANSWER_MAX_LEN: usize = 1 << 20;
/// Bytes reserved for an answer before any of it has come.
const FIRST_RESERVE: usize = 16 << 10;
/// Nodes read of one answer; whoever asks for fewer is told fewer.
pub(crate) const MAX_FOUND: usize = 100;
/// The longest cookie that is kept, in bytes: a number and a name.
const MAX_COOKIE_LEN: usize = 1024;
/// How long a question and its answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The number that says that all went well.
const OK: u64 = 0;

/// Asks; what to ask is the driver's.
pub(crate) type Behaviour = request_response::Behaviour<Codec>;

/// What a point is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// To hand out this signed record under a name, for as long as the point likes.
    Register { namespace: String, record: Vec<u8> },
    /// To do so no longer. There is no answer to this.
    Unregister { namespace: String },
    /// Who is registered under a name, at most so many, of those not told yet by the cookie.
    Discover { namespace: String, limit: u64, cookie: Option<Vec<u8>> },
}

/// What a point answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    /// This node is registered for so long; `None` where the point does not say.
    Registered(Option<Duration>),
    /// It is not, for the reason of this number in the specification.
    NotRegistered(u64),
    /// These are registered, at most [`MAX_FOUND`]; records that are not signed by whom they name are left out. The cookie
    /// is of the point's own making.
    Found { nodes: Vec<(PeerId, Vec<Multiaddr>)>, cookie: Option<Vec<u8>> },
    /// The point did not like the question, for the reason of this number in the specification.
    NotFound(u64),
}

/// The behaviour of a rendezvous client.
pub(crate) fn behaviour() -> Behaviour {
    let config = request_response::Config::default().with_request_timeout(TIMEOUT);
    Behaviour::with_codec(Codec, [(PROTOCOL, ProtocolSupport::Outbound)], config)
}

/// A record to register: who signs it, and where that is reached. `None` if it cannot be signed.
pub(crate) fn record(keypair: &Keypair, addresses: Vec<Multiaddr>) -> Option<Vec<u8>> {
    let record = PeerRecord::new(keypair, addresses).ok()?;
    Some(record.into_signed_envelope().into_protobuf_encoding())
}

impl Request {
    fn encode(&self) -> Vec<u8> {
        let mut inner = Vec::new();
        let (kind, place) = match self {
            Self::Register { namespace, record } => {
                put_bytes(&mut inner, 1, namespace.as_bytes());
                put_bytes(&mut inner, 2, record);
                (0, 2)
            }
            Self::Unregister { namespace } => {
                put_bytes(&mut inner, 1, namespace.as_bytes());
                (2, 4)
            }
            Self::Discover { namespace, limit, cookie } => {
                put_bytes(&mut inner, 1, namespace.as_bytes());
                put_field(&mut inner, 2, *limit);
                if let Some(cookie) = cookie {
                    put_bytes(&mut inner, 3, cookie);
                }
                (3, 5)
            }
        };
        let mut message = Vec::with_capacity(inner.len().saturating_add(16));
        put_field(&mut message, 1, kind);
        put_bytes(&mut message, place, &inner);
        message
    }
}

impl Response {
    /// Reads an answer; `None` where the bytes are none.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (mut kind, mut register, mut discover) = (None, None, None);
        for field in fields(bytes) {
            match field? {
                (1, Value::Number(number)) => kind = Some(number),
                (3, Value::Bytes(bytes)) => register = Some(bytes),
                (6, Value::Bytes(bytes)) => discover = Some(bytes),
                _ => {}
            }
        }
        match kind? {
            1 => registered_in(register?),
            4 => found_in(discover?),
            _ => None,
        }
    }
}

fn registered_in(bytes: &[u8]) -> Option<Response> {
    let (mut status, mut ttl) = (OK, None);
    for field in fields(bytes) {
        match field? {
            (1, Value::Number(number)) => status = number,
            (3, Value::Number(number)) => ttl = Some(Duration::from_secs(number)),
            _ => {}
        }
    }
    Some(if status == OK { Response::Registered(ttl) } else { Response::NotRegistered(status) })
}

fn found_in(bytes: &[u8]) -> Option<Response> {
    let (mut status, mut nodes, mut cookie) = (OK, Vec::new(), None);
    for field in fields(bytes) {
        match field? {
            (1, Value::Bytes(_)) if nodes.len() >= MAX_FOUND => return None,
            (1, Value::Bytes(bytes)) => nodes.extend(node_in(bytes)),
            (2, Value::Bytes(bytes)) => cookie = Some(bytes.to_vec()).filter(|cookie| cookie.len() <= MAX_COOKIE_LEN),
            (3, Value::Number(number)) => status = number,
            _ => {}
        }
    }
    Some(if status == OK { Response::Found { nodes, cookie } } else { Response::NotFound(status) })
}

/// The node of a registration.
fn node_in(registration: &[u8]) -> Option<(PeerId, Vec<Multiaddr>)> {
    let mut record = None;
    for field in fields(registration) {
        if let (2, Value::Bytes(bytes)) = field? {
            record = Some(bytes);
        }
    }
    let record = record_in(record?)?;
    Some((record.peer_id(), record.addresses().to_vec()))
}

/// Protobuf messages, each behind its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codec;

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Response;

    async fn read_request<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        Err(invalid("a client is asked nothing"))
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        let length = read_length(io).await?;
        if length > ANSWER_MAX_LEN {
            return Err(invalid("the answer is too long"));
        }
        let mut body = Vec::with_capacity(length.min(FIRST_RESERVE));
        io.take(length as u64).read_to_end(&mut body).await?;
        if body.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Response::decode(&body).ok_or_else(|| invalid("not an answer"))
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Request) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&framed(&request.encode())).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, _: &mut T, _: Response) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Err(invalid("a client is asked nothing"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::messages::{Answer, Cookie, Listed, Question, Refusal},
        *,
    };

    fn signed() -> (PeerId, Vec<Multiaddr>, Vec<u8>) {
        let keypair = Keypair::generate_ed25519();
        let addresses: Vec<Multiaddr> = vec!["/ip4/10.0.0.1/tcp/6000".parse().expect("a multiaddress")];
        let record = record(&keypair, addresses.clone()).expect("signed");
        (keypair.public().to_peer_id(), addresses, record)
    }

    #[test]
    fn the_server_understands_the_questions() {
        let (_, _, record) = signed();
        let namespace = || "blockbard/1".to_owned();
        let register = Request::Register { namespace: namespace(), record: record.clone() };
        let expected = Question::Register { namespace: namespace(), record, ttl: None };
        assert_eq!(Question::decode(&register.encode()), Some(expected));
        let unregister = Request::Unregister { namespace: namespace() };
        assert_eq!(Question::decode(&unregister.encode()), Some(Question::Unregister { namespace: namespace() }));
        let discover =
            Request::Discover { namespace: namespace(), limit: 100, cookie: Some(vec![0, 0, 0, 0, 0, 0, 0, 7]) };
        let cookie = Some(Cookie { seen: 7, namespace: None });
        let expected = Question::Discover { namespace: Some(namespace()), limit: Some(100), cookie };
        assert_eq!(Question::decode(&discover.encode()), Some(expected));
    }

    #[test]
    fn the_answers_of_the_server_are_understood() {
        let (peer, addresses, record) = signed();
        let listed = |record: Vec<u8>| Listed { namespace: "a".to_owned(), record, ttl: u64::MAX };
        let cookie = Cookie { seen: 9, namespace: Some("a".to_owned()) };
        let found = |listed| Answer::Found { listed, cookie: cookie.clone() }.encode();
        let Some(Response::Found { nodes, cookie: Some(bytes) }) =
            Response::decode(&found(vec![listed(vec![7; 40]), listed(record.clone())]))
        else {
            panic!("nodes and a cookie")
        };
        assert_eq!(nodes, [(peer, addresses)], "a record that is none is passed over");
        assert_eq!(bytes.len(), 8 + 1);
        assert_eq!(Response::decode(&found(vec![listed(record); MAX_FOUND + 1])), None, "more than anybody asks for");
        let forever = Answer::Registered(u64::MAX).encode();
        assert_eq!(Response::decode(&forever), Some(Response::Registered(Some(Duration::from_secs(u64::MAX)))));
        let refused = Answer::NotRegistered(Refusal::Unavailable).encode();
        assert_eq!(Response::decode(&refused), Some(Response::NotRegistered(400)));
        assert_eq!(Response::decode(&Answer::NotFound(Refusal::BadCookie).encode()), Some(Response::NotFound(103)));
    }

    #[test]
    fn a_question_is_no_answer() {
        let question = Request::Unregister { namespace: "a".to_owned() };
        assert_eq!(Response::decode(&question.encode()), None);
        assert_eq!(Response::decode(&[8, 1]), None, "nothing is answered");
        assert_eq!(Response::decode(&[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Response::decode(&bytes);
            let _ = Response::decode(&[&[8, 4, 50, 100][..], &bytes].concat());
        }
    }
}
