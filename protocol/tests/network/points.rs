//! Rendezvous points that answer what they like.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bard_protocol::Multiaddr;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    StreamProtocol, SwarmBuilder,
    core::PeerRecord,
    identify,
    identity::Keypair,
    multiaddr::Protocol,
    noise,
    request_response::{self, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};

use super::rig::{Node, Options, eventually};

/// Answers every question with the same bytes.
#[derive(Clone)]
struct Parrot(Vec<u8>);

impl request_response::Codec for Parrot {
    type Protocol = StreamProtocol;
    type Request = ();
    type Response = ();

    async fn read_request<T: futures::AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<()> {
        io.read_exact(&mut [0; 2]).await
    }

    async fn read_response<T: futures::AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
    ) -> io::Result<()> {
        Ok(())
    }

    async fn write_request<T: futures::AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        (): (),
    ) -> io::Result<()> {
        Ok(())
    }

    async fn write_response<T: futures::AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        (): (),
    ) -> io::Result<()> {
        io.write_all(&self.0).await
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    point: request_response::Behaviour<Parrot>,
}

/// Starts a point that gives this answer, and counts how often.
async fn point(answer: Vec<u8>) -> (Multiaddr, Arc<AtomicUsize>) {
    let protocols = [(StreamProtocol::new("/rendezvous/1.0.0"), ProtocolSupport::Inbound)];
    let behaviour = |keypair: &Keypair| Behaviour {
        identify: identify::Behaviour::new(identify::Config::new("any/1".into(), keypair.public())),
        point: request_response::Behaviour::with_codec(Parrot(answer), protocols, Default::default()),
    };
    let mut swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("tcp")
        .with_behaviour(behaviour)
        .expect("a behaviour")
        .with_swarm_config(|config| config.with_idle_connection_timeout(super::DEADLINE * 10))
        .build();
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().expect("a multiaddress")).expect("it listens");
    let own = *swarm.local_peer_id();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address.with(Protocol::P2p(own));
        }
    };
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    tokio::spawn(async move {
        loop {
            if let SwarmEvent::Behaviour(BehaviourEvent::Point(event)) = swarm.select_next_some().await {
                match event {
                    request_response::Event::Message {
                        message: request_response::Message::Request { channel, .. },
                        ..
                    } => {
                        let _ = swarm.behaviour_mut().point.send_response(channel, ());
                    }
                    request_response::Event::ResponseSent { .. } => drop(count.fetch_add(1, Ordering::SeqCst)),
                    _ => {}
                }
            }
        }
    });
    (address, answered)
}

/// A protobuf field that holds bytes, fewer than 16 KiB.
fn bytes(place: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short");
    let (low, high) = ((length & 0x7f) as u8 | 0x80, (length >> 7) as u8);
    [&[place << 3 | 2, low, high], content].concat()
}

/// A field that holds the largest number.
fn largest(place: u8) -> Vec<u8> {
    [&[place << 3][..], &[0xff; 9], &[1]].concat()
}

/// A message of this kind, behind its length.
fn message(kind: u8, inner: &[u8]) -> Vec<u8> {
    // The length is that of a field of bytes, without its tag.
    bytes(0, &[&[8, kind], inner].concat()).split_off(1)
}

/// That this node is registered for ever.
fn registered_for_ever() -> Vec<u8> {
    message(1, &bytes(3, &largest(3)))
}

/// That somebody is registered for ever.
fn found_for_ever() -> Vec<u8> {
    let somewhere = vec!["/ip4/127.0.0.1/tcp/9".parse().expect("a multiaddress")];
    let record = PeerRecord::new(&Keypair::generate_ed25519(), somewhere).expect("signed");
    let record = record.into_signed_envelope().into_protobuf_encoding();
    let registration = [bytes(1, b"a"), bytes(2, &record), largest(3)].concat();
    message(4, &bytes(6, &[bytes(1, &registration), bytes(2, &[0; 8])].concat()))
}

#[tokio::test]
async fn points_that_talk_nonsense_harm_nobody() {
    let answers = [
        registered_for_ever(),
        found_for_ever(),
        // A question, that somebody is no longer to be found.
        message(2, &bytes(4, &bytes(1, b"a"))),
        // The beginning of two megabytes.
        vec![0xff, 0xff, 0x7f, 8, 4],
        Vec::new(),
    ];
    let (mut rendezvous, mut answered) = (Vec::new(), Vec::new());
    for answer in answers {
        let (address, count) = point(answer).await;
        rendezvous.push(address);
        answered.push(count);
    }
    let node = Node::start(Options { rendezvous, ..Options::default() }).await;
    // The registration and the question who is there, and a question more once that was answered.
    let all = || answered.iter().all(|count| count.load(Ordering::SeqCst) >= 3);
    eventually("every point has answered", all).await;
    let other = Node::start(Options { bootstrap: vec![node.address()], ..Options::default() }).await;
    node.meets(&other).await;
    node.stop().await;
}
