//! A TCP connection that gets as far as Noise, and no further: whatever is written then is encrypted junk.

use std::io;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{
    Multiaddr, PeerId,
    core::{
        Endpoint, Transport,
        transport::{DialOpts, PortUse},
        upgrade::OutboundConnectionUpgrade,
    },
    identity::Keypair,
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
