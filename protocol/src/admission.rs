//! Admission to a closed chain: both ends of every connection prove that they know the chain's secret, before anything else
//! crosses it.
//!
//! Noise, or TLS below QUIC, has just shown to each end whose keys it speaks to. Then the dialler sends a proof, the listener
//! checks it and sends its own; only afterwards streams are multiplexed and protocols offered. Whoever does not know the
//! secret therefore learns a peer id and that somebody listens: no protocol, no chain, nothing of gossip, Kademlia or
//! addresses. It is not banned: a person may simply have the wrong invitation.
//!
//! # Security
//! A proof is a keyed hash over who proves it to whom. The secure channel below shows that a peer id is its sender's, so a
//! proof that is seen by another, or kept, is of no use to anybody else. The secret has 128 bits of randomness: it cannot be
//! guessed from a proof.

use core::{fmt, future::poll_fn, str::FromStr};
use std::io;

use bard_chain::hash::ChainId;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt, future::BoxFuture};
use libp2p::{
    PeerId,
    core::{
        ConnectedPoint, Endpoint,
        muxing::{StreamMuxer, StreamMuxerExt},
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
    },
    noise,
};

/// The BLAKE3 context of the key of proofs.
const CONTEXT: &str = "blockbard 2026 v1 admission";
/// Bytes of a secret.
const SECRET_LEN: usize = 16;
/// Bytes of a proof.
const PROOF_LEN: usize = 32;

/// What the members of a closed chain know.
#[derive(Clone, PartialEq, Eq)]
pub struct ChainSecret([u8; SECRET_LEN]);

/// A text that is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {} hex digits", SECRET_LEN * 2)]
pub struct SecretError;

impl ChainSecret {
    /// From its bytes, which must be random.
    pub const fn new(bytes: [u8; SECRET_LEN]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; SECRET_LEN] {
        &self.0
    }

    /// As hex digits, the form that is kept in a file.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl FromStr for ChainSecret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let mut secret = [0; SECRET_LEN];
        if text.len() != SECRET_LEN * 2 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(SecretError);
        }
        for (byte, digits) in secret.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = core::str::from_utf8(digits).map_err(|_| SecretError)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| SecretError)?;
        }
        Ok(Self(secret))
    }
}

impl fmt::Debug for ChainSecret {
    /// Shows nothing of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainSecret")
    }
}

/// Why a connection was not secured or not admitted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdmissionError {
    /// The secure channel could not be made.
    #[error("handshake: {0}")]
    Noise(#[source] noise::Error),
    /// The peer did not prove that it knows the secret.
    #[error("it does not know this chain's secret")]
    NoProof,
    /// The peer closed the connection instead of proving anything.
    #[error("it did not take this chain's secret: it follows another chain, or has another secret")]
    NotTaken,
    /// The multiplexer failed before there was a stream.
    #[error("no stream for the proof: {0}")]
    Muxer(String),
}

/// Which end of the connection proves.
#[derive(Clone, Copy)]
enum Role {
    Dialler = 0,
    Listener = 1,
}

/// One node's side of admissions.
#[derive(Clone)]
pub(crate) struct Admission {
    key: [u8; 32],
    own: PeerId,
}

impl Admission {
    pub(crate) fn new(chain: ChainId, secret: &ChainSecret, own: PeerId) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(chain.as_bytes()).update(secret.as_bytes());
        Self { key: *hasher.finalize().as_bytes(), own }
    }

    fn proof(&self, role: Role, prover: &PeerId, other: &PeerId) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[role as u8]);
        for id in [prover, other] {
            let bytes = id.to_bytes();
            // A peer id is a multihash of at most 64 bytes.
            hasher.update(&[u8::try_from(bytes.len()).unwrap_or(u8::MAX)]);
            hasher.update(&bytes);
        }
        hasher.finalize()
    }

    async fn send<S: AsyncWrite + Unpin>(&self, role: Role, peer: &PeerId, io: &mut S) -> io::Result<()> {
        io.write_all(self.proof(role, &self.own, peer).as_bytes()).await?;
        io.flush().await
    }

    /// Whether the proof that comes next is right. The comparison takes the same time whatever comes.
    async fn receive<S: AsyncRead + Unpin>(&self, role: Role, peer: &PeerId, io: &mut S) -> io::Result<bool> {
        let mut proof = [0; PROOF_LEN];
        io.read_exact(&mut proof).await?;
        Ok(self.proof(role, peer, &self.own) == proof)
    }

    /// The dialler's part. A listener that does not take the proof says nothing and closes.
    async fn ask<S: AsyncRead + AsyncWrite + Unpin>(&self, peer: &PeerId, io: &mut S) -> Result<(), AdmissionError> {
        let not_taken = |_: io::Error| AdmissionError::NotTaken;
        self.send(Role::Dialler, peer, io).await.map_err(not_taken)?;
        let holds = self.receive(Role::Listener, peer, io).await.map_err(not_taken)?;
        if holds { Ok(()) } else { Err(AdmissionError::NoProof) }
    }

    /// The listener's part: it gives nothing away before it has seen a right proof.
    async fn admit<S: AsyncRead + AsyncWrite + Unpin>(&self, peer: &PeerId, io: &mut S) -> Result<(), AdmissionError> {
        let no_proof = |_: io::Error| AdmissionError::NoProof;
        if !self.receive(Role::Dialler, peer, io).await.map_err(no_proof)? {
            return Err(AdmissionError::NoProof);
        }
        self.send(Role::Listener, peer, io).await.map_err(no_proof)
    }
}

/// Noise, and on a closed chain the proofs inside it.
#[derive(Clone)]
pub(crate) struct Secured {
    noise: noise::Config,
    admission: Option<Admission>,
}

impl Secured {
    pub(crate) fn new(noise: noise::Config, admission: Option<Admission>) -> Self {
        Self { noise, admission }
    }
}

impl UpgradeInfo for Secured {
    type Info = <noise::Config as UpgradeInfo>::Info;
    type InfoIter = <noise::Config as UpgradeInfo>::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.noise.protocol_info()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> InboundConnectionUpgrade<T> for Secured {
    type Output = (PeerId, noise::Output<T>);
    type Error = AdmissionError;
    type Future = BoxFuture<'static, Result<Self::Output, AdmissionError>>;

    fn upgrade_inbound(self, socket: T, info: Self::Info) -> Self::Future {
        async move {
            let (peer, mut io) = self.noise.upgrade_inbound(socket, info).await.map_err(AdmissionError::Noise)?;
            if let Some(admission) = self.admission {
                admission.admit(&peer, &mut io).await?;
            }
            Ok((peer, io))
        }
        .boxed()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> OutboundConnectionUpgrade<T> for Secured {
    type Output = (PeerId, noise::Output<T>);
    type Error = AdmissionError;
    type Future = BoxFuture<'static, Result<Self::Output, AdmissionError>>;

    fn upgrade_outbound(self, socket: T, info: Self::Info) -> Self::Future {
        async move {
            let (peer, mut io) = self.noise.upgrade_outbound(socket, info).await.map_err(AdmissionError::Noise)?;
            if let Some(admission) = self.admission {
                admission.ask(&peer, &mut io).await?;
            }
            Ok((peer, io))
        }
        .boxed()
    }
}

/// The same for a transport that multiplexes by itself: the proofs go through its first stream.
pub(crate) async fn over_streams<M>(
    admission: Option<Admission>,
    peer: PeerId,
    mut muxer: M,
    endpoint: ConnectedPoint,
) -> Result<(PeerId, M), AdmissionError>
where
    M: StreamMuxer + Unpin,
    M::Substream: Unpin,
{
    let Some(admission) = admission else { return Ok((peer, muxer)) };
    // Who punches a hole may have dialled and be the listener all the same.
    let dialler = matches!(endpoint, ConnectedPoint::Dialer { role_override: Endpoint::Dialer, .. });
    let opened =
        poll_fn(|context| if dialler { muxer.poll_outbound_unpin(context) } else { muxer.poll_inbound_unpin(context) });
    let mut stream = opened.await.map_err(|error| AdmissionError::Muxer(error.to_string()))?;
    if dialler {
        admission.ask(&peer, &mut stream).await?;
    } else {
        admission.admit(&peer, &mut stream).await?;
    }
    // The peer has what it needs; whether it saw the end of the stream does not matter.
    let _ = stream.close().await;
    Ok((peer, muxer))
}

#[cfg(test)]
mod tests {
    use core::{
        pin::Pin,
        task::{Context, Poll},
    };

    use futures::{executor::block_on, io::Cursor};

    use super::*;

    const CHAIN: ChainId = ChainId::new([1; 32]);

    /// One end of a connection: what has come, and what was said.
    struct End {
        incoming: Cursor<Vec<u8>>,
        outgoing: Vec<u8>,
    }

    impl AsyncRead for End {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.incoming).poll_read(context, buffer)
        }
    }

    impl AsyncWrite for End {
        fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(&mut self.outgoing).poll_write(context, bytes)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn end(incoming: Vec<u8>) -> End {
        End { incoming: Cursor::new(incoming), outgoing: Vec::new() }
    }

    /// What a listener says to a dialler, and what each makes of the other.
    fn meet(
        one: &ChainSecret,
        other: &ChainSecret,
    ) -> (Vec<u8>, Result<(), AdmissionError>, Result<(), AdmissionError>) {
        let (dialler, listener) = (PeerId::random(), PeerId::random());
        let (ours, theirs) = (Admission::new(CHAIN, one, dialler), Admission::new(CHAIN, other, listener));
        let mut sent = Vec::new();
        block_on(ours.send(Role::Dialler, &listener, &mut sent)).expect("memory");
        let mut far = end(sent);
        let admitted = block_on(theirs.admit(&dialler, &mut far));
        let asked = block_on(ours.ask(&listener, &mut end(far.outgoing.clone())));
        (far.outgoing, asked, admitted)
    }

    #[test]
    fn who_knows_the_secret_is_admitted_and_nobody_else_told_anything() {
        let (one, other) = (ChainSecret::new([7; 16]), ChainSecret::new([8; 16]));
        let (said, asked, admitted) = meet(&one, &one.clone());
        assert!(asked.is_ok() && admitted.is_ok() && said.len() == PROOF_LEN);
        let (said, asked, admitted) = meet(&one, &other);
        assert!(matches!(asked, Err(AdmissionError::NotTaken)), "{asked:?}");
        assert!(matches!(admitted, Err(AdmissionError::NoProof)) && said.is_empty(), "{admitted:?}");
    }

    #[test]
    fn a_listener_that_proves_nothing_is_left() {
        let admission = Admission::new(CHAIN, &ChainSecret::new([7; 16]), PeerId::random());
        let answer = block_on(admission.ask(&PeerId::random(), &mut end(vec![0; PROOF_LEN])));
        assert!(matches!(answer, Err(AdmissionError::NoProof)), "{answer:?}");
    }

    #[test]
    fn a_proof_is_good_for_one_pair_one_way_and_one_chain() {
        let secret = ChainSecret::new([7; 16]);
        let (one, two, three) = (PeerId::random(), PeerId::random(), PeerId::random());
        let admission = Admission::new(CHAIN, &secret, one);
        let proof = admission.proof(Role::Dialler, &one, &two);
        let others = [
            admission.proof(Role::Listener, &one, &two),
            admission.proof(Role::Dialler, &two, &one),
            admission.proof(Role::Dialler, &one, &three),
            admission.proof(Role::Dialler, &three, &two),
            Admission::new(ChainId::new([2; 32]), &secret, one).proof(Role::Dialler, &one, &two),
        ];
        assert!(others.iter().all(|other| *other != proof));
    }

    #[test]
    fn a_secret_is_its_hex_digits_and_never_shown() {
        let secret = ChainSecret::new([0xa5; 16]);
        assert_eq!(secret.to_hex().parse(), Ok(secret.clone()));
        for bad in ["", "a5", &"g".repeat(32), &"+5".repeat(16), &"a".repeat(33)] {
            assert_eq!(bad.parse::<ChainSecret>(), Err(SecretError), "{bad}");
        }
        assert_eq!(format!("{secret:?}"), "ChainSecret");
    }
}
