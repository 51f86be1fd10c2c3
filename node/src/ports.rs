//! Taking a port.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use tokio::net::TcpListener;

/// Takes a port for HTTP; 0 is a free one. Returns where it listens, too.
///
/// # Errors
/// One line; for a busy port it names a free one.
pub async fn bind(host: IpAddr, port: u16) -> Result<(TcpListener, SocketAddr), String> {
    let wanted = SocketAddr::new(host, port);
    let listener = match TcpListener::bind(wanted).await {
        Ok(listener) => listener,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let free = TcpListener::bind(SocketAddr::new(host, 0)).await.and_then(|free| free.local_addr());
            let hint = free.map_or_else(|_| String::new(), |free| format!(": try --port {}", free.port()));
            return Err(format!("port {port} is taken by another program{hint}"));
        }
        Err(error) => return Err(format!("cannot serve the API on {wanted}: {error}")),
    };
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok((listener, address))
}
