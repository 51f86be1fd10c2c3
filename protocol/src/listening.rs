//! Where a swarm listens: taken ports are seen before, or avoided. And how it closes.

use core::{net::SocketAddr, time::Duration};
use std::{
    io,
    net::{TcpListener, UdpSocket},
};

use futures::StreamExt;
use libp2p::{
    Multiaddr, PeerId, Swarm, TransportError, core::transport::ListenerId, multiaddr::Protocol, swarm::NetworkBehaviour,
};
use tracing::{debug, info};

use crate::{config::NetworkError, swarm::reason};

/// How long closing may take before the connections are simply dropped.
const CLOSING: Duration = Duration::from_secs(1);

/// Begins to listen; where the port is taken and another would do, on any free one.
///
/// # Errors
/// [`NetworkError::Listen`] names the address and the reason.
pub(crate) fn listen<B: NetworkBehaviour>(
    swarm: &mut Swarm<B>,
    address: &Multiaddr,
    optional: bool,
) -> Result<ListenerId, NetworkError> {
    match try_listen(swarm, address) {
        Ok(id) => Ok(id),
        Err((io::ErrorKind::AddrInUse, _)) if optional => {
            info!(%address, "the port is already in use, taking another");
            try_listen(swarm, &with_port_zero(address))
                .map_err(|(_, reason)| NetworkError::Listen { address: address.clone(), reason })
        }
        Err((_, reason)) => Err(NetworkError::Listen { address: address.clone(), reason }),
    }
}

fn try_listen<B: NetworkBehaviour>(
    swarm: &mut Swarm<B>,
    address: &Multiaddr,
) -> Result<ListenerId, (io::ErrorKind, String)> {
    if is_taken(address) {
        return Err((io::ErrorKind::AddrInUse, "the port is already in use".to_owned()));
    }
    swarm.listen_on(address.clone()).map_err(|error| {
        let kind = match &error {
            TransportError::Other(error) => reason::io_kind(error),
            TransportError::MultiaddrNotSupported(_) => io::ErrorKind::Unsupported,
        };
        (kind, reason::of_transport(&error))
    })
}

/// Whether another socket has the port. libp2p's own TCP listeners share their port with any other that is willing to, such
/// as a second node of the same user: both would start, and each get half of the connections.
fn is_taken(address: &Multiaddr) -> bool {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return false,
    };
    let bound = match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind(SocketAddr::new(ip, port)).map(drop),
        Some(Protocol::Udp(port)) if port != 0 => UdpSocket::bind(SocketAddr::new(ip, port)).map(drop),
        _ => return false,
    };
    bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// Says goodbye to every peer, so that it knows at once instead of after a time-out, and waits for it, but not for long.
pub(crate) async fn close<B: NetworkBehaviour>(swarm: &mut Swarm<B>) {
    let peers: Vec<PeerId> = swarm.connected_peers().copied().collect();
    for peer in peers {
        // An error means that it is gone already.
        let _ = swarm.disconnect_peer_id(peer);
    }
    let all_closed = async {
        while swarm.connected_peers().next().is_some() {
            swarm.select_next_some().await;
        }
    };
    if tokio::time::timeout(CLOSING, all_closed).await.is_err() {
        debug!("some connections did not close in time");
    }
}

/// The address with `/p2p/<own>` at its end, as others dial it.
pub(crate) fn with_peer_id(address: &Multiaddr, own: PeerId) -> Multiaddr {
    match address.iter().last() {
        // An address at a relay has it already.
        Some(Protocol::P2p(peer)) if peer == own => address.clone(),
        _ => address.clone().with(Protocol::P2p(own)),
    }
}

fn with_port_zero(address: &Multiaddr) -> Multiaddr {
    let part = |part| match part {
        Protocol::Tcp(_) => Protocol::Tcp(0),
        Protocol::Udp(_) => Protocol::Udp(0),
        other => other,
    };
    address.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_seen_and_left() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = taken.local_addr().expect("bound").port();
        let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("a multiaddress");
        assert!(is_taken(&address));
        assert_eq!(with_port_zero(&address).to_string(), "/ip4/127.0.0.1/tcp/0");
        drop(taken);
        assert!(!is_taken(&address));
    }
}
