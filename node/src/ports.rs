//! Taking a port, and as many connections as the system allows.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use tokio::net::TcpListener;

/// Asks the system for as many open files as this user may have: a thousand clients and their connections are more than the
/// usual default. Where it declines, the node has as many as it had.
pub fn allow_connections() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limits = getrlimit(Resource::Nofile);
        if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }) {
            tracing::debug!(%error, "no more open files are allowed");
        }
    }
}

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
