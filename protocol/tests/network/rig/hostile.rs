//! A peer that speaks libp2p and our names, and sends what it likes.

use std::{collections::VecDeque, io};

use bard_protocol::topics::Names;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, gossipsub, identify, noise,
    request_response::{self, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};

use super::{CHAIN, DEADLINE, Node};

/// Writes bytes as they are, reads until the other side is done.
#[derive(Clone, Default)]
struct Raw;

impl request_response::Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T: futures::AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
    ) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    async fn read_response<T: futures::AsyncRead + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
    ) -> io::Result<Vec<u8>> {
        let mut answer = Vec::new();
        io.read_to_end(&mut answer).await?;
        Ok(answer)
    }

    async fn write_request<T: futures::AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        bytes: Vec<u8>,
    ) -> io::Result<()> {
        io.write_all(&bytes).await
    }

    async fn write_response<T: futures::AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        _: Vec<u8>,
    ) -> io::Result<()> {
        Ok(())
    }
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    gossip: gossipsub::Behaviour,
    sync: request_response::Behaviour<Raw>,
}

/// The hostile peer, connected to one node.
pub(crate) struct Hostile {
    swarm: Swarm<Behaviour>,
    names: Names,
    victim: PeerId,
    answers: VecDeque<Vec<u8>>,
    subscriptions: usize,
}

impl Hostile {
    /// Connects to a node, and waits until it listens to gossip.
    pub(crate) async fn connect(victim: &Node) -> Self {
        let names = Names::new(CHAIN);
        let mut swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .expect("tcp")
            .with_behaviour(|keypair| Self::behaviour(&names, keypair.public()))
            .expect("a behaviour")
            .build();
        let address: Multiaddr = victim.address();
        swarm.dial(address).expect("dialled");
        let mut hostile = Self { swarm, names, victim: victim.id(), answers: VecDeque::new(), subscriptions: 0 };
        while hostile.subscriptions < 2 {
            hostile.step().await;
        }
        hostile
    }

    fn behaviour(names: &Names, key: libp2p::identity::PublicKey) -> Behaviour {
        let config = gossipsub::ConfigBuilder::default()
            .validation_mode(gossipsub::ValidationMode::Anonymous)
            .message_id_fn(|message| gossipsub::MessageId::new(&message.data))
            .build()
            .expect("a sound configuration");
        let mut gossip = gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, config)
            .expect("a sound configuration");
        gossip.subscribe(&gossipsub::IdentTopic::new(names.transactions())).expect("subscribed");
        let protocol = StreamProtocol::try_from_owned(names.sync()).expect("a protocol name");
        Behaviour {
            identify: identify::Behaviour::new(identify::Config::new(names.protocol_version(), key)),
            gossip,
            sync: request_response::Behaviour::new([(protocol, ProtocolSupport::Full)], Default::default()),
        }
    }

    pub(crate) fn id(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    async fn step(&mut self) {
        let event = tokio::time::timeout(DEADLINE, self.swarm.select_next_some()).await.expect("an event in time");
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Sync(request_response::Event::Message {
                message: request_response::Message::Response { response, .. },
                ..
            })) => self.answers.push_back(response),
            SwarmEvent::Behaviour(BehaviourEvent::Sync(request_response::Event::OutboundFailure { error, .. })) => {
                panic!("no answer: {error}");
            }
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Subscribed { .. })) => {
                self.subscriptions += 1;
            }
            _ => {}
        }
    }

    /// Sends bytes as a request, and returns the bytes that come back.
    pub(crate) async fn exchange(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.swarm.behaviour_mut().sync.send_request(&self.victim, bytes);
        loop {
            if let Some(answer) = self.answers.pop_front() {
                return answer;
            }
            self.step().await;
        }
    }

    /// Gossips bytes as if they were transactions, and keeps talking for a while so that they leave.
    pub(crate) async fn gossip_transactions(&mut self, bytes: Vec<u8>) {
        let topic = gossipsub::IdentTopic::new(self.names.transactions());
        self.swarm.behaviour_mut().gossip.publish(topic, bytes).expect("published");
        let while_it_leaves = async {
            loop {
                self.swarm.select_next_some().await;
            }
        };
        let _ = tokio::time::timeout(std::time::Duration::from_millis(300), while_it_leaves).await;
    }
}
