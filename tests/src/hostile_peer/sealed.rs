//! A TCP connection that gets as far as Noise, and no further: whatever is written then is encrypted junk.

use std::{future::poll_fn, io, pin::Pin};

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{
    Multiaddr, PeerId,
    core::{
        Endpoint, Transport,
        transport::{DialOpts, ListenerId, PortUse, TransportEvent},
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade},
    },
    identity::Keypair,
    multiaddr::Protocol,
    noise, tcp,
};

/// What a connection says first: multistream, then Noise.
pub const GREETING: &[u8] = b"\x13/multistream/1.0.0\n\x07/noise\n";

/// What is said inside Noise to agree on Yamux.
pub const YAMUX_GREETING: &[u8] = b"\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n";

/// The socket below Noise.
type Socket = <tcp::tokio::Transport as Transport>::Output;

/// An encrypted connection.
pub struct Sealed {
    /// Who is at the other end.
    pub peer: PeerId,
    /// Plain bytes go in and come out.
    pub channel: noise::Output<Socket>,
}

/// Connects to an address and proves to be `identity`.
///
/// # Errors
/// Where the other side refuses.
pub async fn connect(address: &Multiaddr, identity: &Keypair) -> io::Result<Sealed> {
    let address = address.iter().take(2).collect();
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let dial = tcp::tokio::Transport::new(tcp::Config::default()).dial(address, options).map_err(io::Error::other)?;
    let mut socket = dial.await?;
    greet(&mut socket, GREETING).await?;
    let noise = noise::Config::new(identity).map_err(io::Error::other)?;
    let (peer, channel) = noise.upgrade_outbound(socket, "/noise").await.map_err(io::Error::other)?;
    Ok(Sealed { peer, channel })
}

/// Says a greeting and reads it back: the other side agrees by repeating it.
///
/// # Errors
/// Where it does not.
pub async fn greet<T>(io: &mut T, greeting: &[u8]) -> io::Result<()>
where
    T: futures::AsyncRead + futures::AsyncWrite + Unpin,
{
    io.write_all(greeting).await?;
    io.flush().await?;
    let mut echo = vec![0; greeting.len()];
    io.read_exact(&mut echo).await?;
    if echo == greeting { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Waits on loopback for whoever connects.
pub struct Listening {
    transport: tcp::tokio::Transport,
    /// Where.
    pub address: Multiaddr,
}

impl Listening {
    /// Begins to listen.
    ///
    /// # Errors
    /// Where the system refuses.
    pub async fn begin() -> io::Result<Self> {
        let mut transport = tcp::tokio::Transport::new(tcp::Config::default());
        let anywhere = Multiaddr::from(Protocol::Ip4([127, 0, 0, 1].into())).with(Protocol::Tcp(0));
        transport.listen_on(ListenerId::next(), anywhere).map_err(io::Error::other)?;
        loop {
            if let TransportEvent::NewAddress { listen_addr, .. } = next(&mut transport).await {
                return Ok(Self { transport, address: listen_addr });
            }
        }
    }

    /// The next that connects, to whom this side proves to be `identity`.
    ///
    /// # Errors
    /// Where it is not spoken with.
    pub async fn accept(&mut self, identity: &Keypair) -> io::Result<Sealed> {
        let mut socket = loop {
            if let TransportEvent::Incoming { upgrade, .. } = next(&mut self.transport).await {
                break upgrade.await?;
            }
        };
        let mut greeting = vec![0; GREETING.len()];
        socket.read_exact(&mut greeting).await?;
        socket.write_all(&greeting).await?;
        let noise = noise::Config::new(identity).map_err(io::Error::other)?;
        let (peer, channel) = noise.upgrade_inbound(socket, "/noise").await.map_err(io::Error::other)?;
        Ok(Sealed { peer, channel })
    }
}

async fn next(
    transport: &mut tcp::tokio::Transport,
) -> TransportEvent<<tcp::tokio::Transport as Transport>::ListenerUpgrade, io::Error> {
    poll_fn(|cx| Pin::new(&mut *transport).poll(cx)).await
}
