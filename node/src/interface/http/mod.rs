//! HTTP: the API under `/api/v1`, for programs on this machine.
//!
//! # Security
//! It listens on loopback unless told otherwise. Against other web pages: the `Host` header must be this machine's own name
//! (DNS rebinding), and whatever changes something must be JSON, which no form of another page can send unasked. On any
//! other address everything that changes something needs the token.

mod events;
mod guard;
mod health;
mod metrics;
mod patience;
mod problem;
mod routes;

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::application::Service;

/// Who may do what.
#[derive(Clone, Debug)]
pub struct Access {
    /// The token that changing requests must carry; `None` on loopback, if none was set.
    pub token: Option<String>,
    /// Where the API listens.
    pub address: SocketAddr,
}

/// Serves until `stop`.
///
/// # Errors
/// Where the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    access: Access,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let app: Router = routes::router(service, access);
    axum::serve(patience::Patient(listener), app).with_graceful_shutdown(async move { stop.cancelled().await }).await
}
