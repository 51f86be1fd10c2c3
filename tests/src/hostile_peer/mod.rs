//! A peer without manners: a libp2p node of its own that sends any bytes on any stream and answers as a script says.
//!
//! Its methods wait for what they start, each with a deadline, so that a test reads from top to bottom.

pub mod gossip;
pub mod records;
mod relayed;
mod script;
pub mod sealed;
mod streams;

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bard_chain::{encoding, spec::ChainSpec};
use bard_protocol::{
    SyncRequest, SyncResponse,
    topics::Names,
    wire::{frame, limits::response_max_len},
};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, future::join_all};
use libp2p::{
    Multiaddr, PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, identify,
    identity::Keypair,
    noise, ping, relay,
    swarm::{NetworkBehaviour, SwarmEvent, dial_opts::DialOpts},
    tcp, yamux,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

pub use script::{Answer, Heard, Script, quiet};
use streams::{Open, Streams};

/// How long the other side may take for anything that it should do at once; generous, for a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(15);
/// Streams wished for, and streams arrived, that wait.
const QUEUE: usize = 1024;

/// Who a hostile peer says it is, and how it answers.
pub struct Guise {
    /// Its key pair.
    pub identity: Keypair,
    /// What it says of its software and chain; by default what a node of this chain says.
    pub protocol_version: Option<String>,
    /// The protocols it offers; by default those of a node of this chain that only gossips and answers.
    pub offers: Option<Vec<String>>,
    /// What it says to whatever it is asked, by the end of a protocol's name, instead of what the script says.
    pub says: Option<(&'static str, Vec<u8>)>,
    /// How it answers.
    pub script: Script,
}

impl Default for Guise {
    /// A stranger on the node's chain who answers nothing.
    fn default() -> Self {
        let identity = Keypair::generate_ed25519();
        Self { identity, protocol_version: None, offers: None, says: None, script: quiet() }
    }
}

impl Guise {
    /// A stranger on the node's chain who answers by a script.
    pub fn with_script(script: impl FnMut(&SyncRequest) -> Answer + Send + 'static) -> Self {
        Self { script: Box::new(script), ..Self::default() }
    }
}

/// How far a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Dialling,
    Connected,
    /// Never connected, and why.
    Refused(String),
    /// No longer connected.
    Closed,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    relay: relay::client::Behaviour,
    streams: Streams,
}

/// A hostile peer, connected to one node. Dropped, it disconnects.
pub struct HostilePeer {
    names: Names,
    response_limit: usize,
    id: PeerId,
    wishes: mpsc::Sender<Open>,
    phase: watch::Receiver<Phase>,
    heard: Heard,
    /// Bytes of gossip that it was told.
    told: Arc<AtomicUsize>,
    /// The stream of [`HostilePeer::gossip`], opened on first use: a node reads one of each peer.
    gossip: Mutex<Option<Stream>>,
    runtime: Runtime,
}

impl HostilePeer {
    /// Connects to a node as somebody. Whether the node keeps the connection is another matter.
    ///
    /// # Errors
    /// Why there is no connection.
    ///
    /// # Panics
    /// Where nothing happens at all.
    pub fn connect(address: &Multiaddr, spec: &ChainSpec, guise: Guise) -> Result<Self, String> {
        let dial = |swarm: &mut Swarm<Behaviour>| {
            swarm.dial(DialOpts::from(address.clone())).map_err(|error| error.to_string())
        };
        let peer = Self::start(spec, guise, async |swarm| dial(swarm))?.0;
        match peer.wait(|phase| *phase != Phase::Dialling) {
            Phase::Refused(reason) => Err(reason),
            Phase::Dialling | Phase::Connected | Phase::Closed => Ok(peer),
        }
    }

    /// Waits for whoever connects, at an address of loopback, as somebody.
    ///
    /// # Panics
    /// Where it cannot listen.
    pub fn listening(spec: &ChainSpec, guise: Guise) -> (Self, Multiaddr) {
        let listen = async |swarm: &mut Swarm<Behaviour>| {
            let anywhere = "/ip4/127.0.0.1/tcp/0".parse().expect("an address");
            swarm.listen_on(anywhere).map_err(|error| error.to_string())?;
            loop {
                if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                    return Ok(address);
                }
            }
        };
        Self::start(spec, guise, listen).expect("it listens")
    }

    /// Makes a swarm, lets `begin` do its first step, and lets it run.
    fn start<T>(
        spec: &ChainSpec,
        guise: Guise,
        begin: impl AsyncFnOnce(&mut Swarm<Behaviour>) -> Result<T, String>,
    ) -> Result<(Self, T), String> {
        let names = Names::new(spec.chain_id());
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (wishes, wished) = mpsc::channel(QUEUE);
        let (arrivals, arrived) = mpsc::channel(QUEUE);
        let (news, phase) = watch::channel(Phase::Dialling);
        let (heard, told) = (Heard::default(), Arc::new(AtomicUsize::new(0)));
        let id = guise.identity.public().to_peer_id();
        let version = guise.protocol_version.unwrap_or_else(|| names.protocol_version());
        let begun = runtime.block_on(async {
            let offered = guise.offers.unwrap_or_else(|| script::usual(&names));
            let mut swarm = swarm(&guise.identity, version, Streams::new(script::offered(offered), arrivals));
            let begun = begin(&mut swarm).await?;
            tokio::spawn(drive(swarm, wished, news));
            let part = script::Part { script: guise.script, says: guise.says };
            tokio::spawn(script::play(part, Arc::clone(&heard), Arc::clone(&told), arrived));
            Ok::<T, String>(begun)
        })?;
        let response_limit = response_max_len(spec.max_block_len());
        let peer = Self { names, response_limit, id, wishes, phase, heard, told, gossip: Mutex::new(None), runtime };
        Ok((peer, begun))
    }

    /// Its id.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// The names of the node's chain.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// What it was asked so far.
    pub fn heard(&self) -> Vec<SyncRequest> {
        self.heard.lock().expect("not poisoned").clone()
    }

    /// Bytes of gossip that it was told so far.
    pub fn told(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }

    /// Whether the connection still stands.
    pub fn is_connected(&self) -> bool {
        *self.phase.borrow() == Phase::Connected
    }

    /// Waits until the other side has closed the connection.
    ///
    /// # Panics
    /// Where it does not.
    pub fn wait_until_disconnected(&self) {
        self.wait(|phase| *phase == Phase::Closed);
    }

    fn wait(&self, reached: impl FnMut(&Phase) -> bool) -> Phase {
        let mut phase = self.phase.clone();
        let waited = self
            .runtime
            .block_on(async { timeout(DEADLINE, phase.wait_for(reached)).await.map(|r| r.map(|p| p.clone())) });
        match waited {
            Ok(Ok(phase)) => phase,
            Ok(Err(_)) => panic!("the peer's own task has ended"),
            Err(_) => panic!("nothing more after {DEADLINE:?}: {:?}", self.phase.borrow()),
        }
    }

    /// Opens a stream of a protocol.
    ///
    /// # Errors
    /// Where the other side refuses or the connection is gone.
    pub fn open(&self, protocol: &str) -> io::Result<RawStream<'_>> {
        self.open_many(protocol, 1).remove(0)
    }

    /// Opens many streams of a protocol at once.
    pub fn open_many(&self, protocol: &str, count: usize) -> Vec<io::Result<RawStream<'_>>> {
        let one = || open(self.wishes.clone(), protocol.to_owned());
        let opened = self.runtime.block_on(join_all((0..count).map(|_| one())));
        opened.into_iter().map(|stream| stream.map(|stream| RawStream { stream, peer: self })).collect()
    }

    /// Sends bytes as a question about the chain, ends the stream's way there, and returns all that comes back.
    ///
    /// # Errors
    /// Where the stream breaks.
    pub fn exchange(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = self.open(&self.names.sync())?;
        stream.write(bytes)?;
        stream.finish()?;
        stream.read_to_end()
    }

    /// Asks a question in due form.
    ///
    /// # Errors
    /// Where no answer comes, or one that is none.
    pub fn ask(&self, request: &SyncRequest) -> io::Result<SyncResponse> {
        self.read_answer(&self.exchange(&question(request))?)
    }

    /// Reads a whole frame as an answer.
    ///
    /// # Errors
    /// Where it is none.
    pub fn read_answer(&self, bytes: &[u8]) -> io::Result<SyncResponse> {
        let body = bytes.get(4..).ok_or(io::ErrorKind::UnexpectedEof)?;
        frame::open(body, self.response_limit).map_err(io::Error::other)
    }

    /// Opens a stream of gossip of its own, to write bytes to it.
    ///
    /// # Panics
    /// Where it is refused.
    pub fn gossip_stream(&self) -> RawStream<'_> {
        self.open(gossip::PROTOCOL).expect("the node takes gossip")
    }

    /// Sends one RPC of gossip.
    ///
    /// # Errors
    /// Where the stream breaks.
    pub fn gossip(&self, rpc: &[u8]) -> io::Result<()> {
        let mut kept = self.gossip.lock().expect("not poisoned");
        let stream = match kept.take() {
            Some(stream) => stream,
            None => self.open(gossip::PROTOCOL)?.stream,
        };
        let mut stream = RawStream { stream, peer: self };
        stream.write(&gossip::framed(rpc))?;
        *kept = Some(stream.stream);
        Ok(())
    }

    /// Says anew who it is: where it sees the node, truly or not.
    ///
    /// # Errors
    /// Where the stream is refused or breaks.
    pub fn introduce(&self, observed: &Multiaddr) -> io::Result<()> {
        let said = gossip::framed(&gossip::field(4, &observed.to_vec()));
        let mut stream = self.open(identify::PUSH_PROTOCOL_NAME.as_ref())?;
        stream.write(&said)?;
        stream.finish()
    }

    /// Gossips a block.
    ///
    /// # Panics
    /// Where the stream breaks.
    pub fn gossip_block(&self, bytes: &[u8]) {
        self.gossip(&gossip::publication(self.names.blocks(), bytes)).expect("written");
    }

    /// Gossips bytes where batches of transactions are expected.
    ///
    /// # Panics
    /// Where the stream breaks.
    pub fn gossip_batch(&self, bytes: &[u8]) {
        self.gossip(&gossip::publication(self.names.transactions(), bytes)).expect("written");
    }
}

/// A question as it lies in a stream.
pub fn question(request: &SyncRequest) -> Vec<u8> {
    framed(&encoding::encode(request))
}

/// Bytes as the message of a frame of the known version.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len() + 1).expect("short");
    [&length.to_be_bytes()[..], &[1], message].concat()
}

/// A stream of raw bytes.
pub struct RawStream<'a> {
    stream: Stream,
    peer: &'a HostilePeer,
}

impl RawStream<'_> {
    fn within<T>(&mut self, work: impl AsyncFnOnce(&mut Stream) -> io::Result<T>) -> io::Result<T> {
        let stream = &mut self.stream;
        self.peer.runtime.block_on(async { timeout(DEADLINE, work(stream)).await? })
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// Where the stream breaks or takes no more.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.within(async |stream| {
            stream.write_all(bytes).await?;
            stream.flush().await
        })
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// Where the stream breaks.
    pub fn finish(&mut self) -> io::Result<()> {
        self.within(async |stream| stream.close().await)
    }

    /// Reads until the other side is done.
    ///
    /// # Errors
    /// Where the stream breaks, or the other side takes too long.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        self.within(async |stream| {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await?;
            Ok(bytes)
        })
    }
}

async fn open(wishes: mpsc::Sender<Open>, protocol: String) -> io::Result<Stream> {
    let protocol = StreamProtocol::try_from_owned(protocol).map_err(io::Error::other)?;
    let (delivery, delivered) = oneshot::channel();
    let gone = || io::Error::from(io::ErrorKind::NotConnected);
    wishes.send(Open { protocol, delivery }).await.map_err(|_| gone())?;
    timeout(DEADLINE, delivered).await?.map_err(|_| gone())?
}

fn swarm(identity: &Keypair, protocol_version: String, streams: Streams) -> Swarm<Behaviour> {
    let config = identify::Config::new(protocol_version, identity.public());
    SwarmBuilder::with_existing_identity(identity.clone())
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .expect("TCP")
        .with_quic()
        .with_relay_client(noise::Config::new, yamux::Config::default)
        .expect("circuits")
        .with_behaviour(|_, relay| Behaviour {
            identify: identify::Behaviour::new(config),
            ping: ping::Behaviour::default(),
            relay,
            streams,
        })
        .expect("a behaviour")
        .build()
}

/// Runs the swarm until the peer is dropped.
async fn drive(mut swarm: Swarm<Behaviour>, mut wishes: mpsc::Receiver<Open>, phase: watch::Sender<Phase>) {
    let mut node = None;
    loop {
        tokio::select! {
            wish = wishes.recv() => match (wish, node) {
                (None, _) => return,
                (Some(wish), Some(node)) => swarm.behaviour_mut().streams.open(node, wish),
                // Dropped: whoever wished hears that there is no connection.
                (Some(_), None) => {}
            },
            event = swarm.select_next_some() => match event {
                SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                    node = Some(peer_id);
                    phase.send_replace(Phase::Connected);
                }
                SwarmEvent::ConnectionClosed { .. } => {
                    node = None;
                    phase.send_replace(Phase::Closed);
                }
                SwarmEvent::OutgoingConnectionError { error, .. } => {
                    phase.send_replace(Phase::Refused(error.to_string()));
                }
                _ => {}
            },
        }
    }
}

/// What a peer was asked, to be looked at from outside.
pub(crate) fn note(heard: &Mutex<Vec<SyncRequest>>, request: &SyncRequest) {
    heard.lock().expect("not poisoned").push(request.clone());
}
