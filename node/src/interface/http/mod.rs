//! HTTP: the API under `/api/v1`, for programs on this machine.
//!
//! # Security
//! It listens on loopback unless told otherwise. Against other web pages: the `Host` header must be this machine's own name
//! (DNS rebinding), and whatever changes something must not come from a page of another origin, and be JSON, which no form of
//! such a page can send unasked; only the calls of [`old`] programs take forms too. On any other address everything that
//! changes something needs the token.

mod guard;
mod keys;
mod old;
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
    axum::serve(listener, app).with_graceful_shutdown(async move { stop.cancelled().await }).await
}
