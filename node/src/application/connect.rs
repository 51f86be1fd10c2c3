//! Connecting to a node that somebody named: by multiaddress, by host and port, or by the URL of its API.

use std::time::Duration;

use bard_protocol::{Candidate, ConnectError, Multiaddr, NetworkHandle, Origin, PeerId};
use tokio::time::Instant;

use super::service::{Failure, FailureKind};
use crate::meeting::{self, HostPort, Place};

/// How long the addresses that an API named are tried, all together; the last begun is ended then.
const DEADLINE: Duration = Duration::from_secs(30);

/// Connects and waits until the peer has turned out to be of our chain.
///
/// # Errors
/// [`Failure`] says what was tried.
pub(super) async fn connect(
    network: &NetworkHandle,
    meeting: &meeting::Handle,
    address: &str,
) -> Result<PeerId, Failure> {
    match Place::parse(address).map_err(|error| Failure::new(FailureKind::Malformed, error.to_string()))? {
        Place::Multiaddr(address) => network.connect(address, Origin::Manual).await.map_err(unavailable),
        Place::Api(api) => by_api(network, meeting, &api).await,
        Place::HostPort(place) => by_port(network, meeting, &place).await,
    }
}

fn unavailable(error: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Unavailable, error.to_string())
}

/// A port may be that of a node or of its API, as in the programs that this one replaces.
async fn by_port(network: &NetworkHandle, meeting: &meeting::Handle, place: &HostPort) -> Result<PeerId, Failure> {
    let address = place
        .multiaddr()
        .ok_or_else(|| Failure::new(FailureKind::Malformed, format!("{place} cannot be written as a multiaddress")))?;
    let refused = match network.connect(address, Origin::Manual).await {
        Ok(peer) => return Ok(peer),
        // Nothing there speaks our language. All other errors come from a node.
        Err(error @ (ConnectError::Unreachable { .. } | ConnectError::Timeout { .. })) => error,
        Err(error) => return Err(unavailable(error)),
    };
    by_api(network, meeting, place).await.map_err(|error| Failure::new(error.kind, format!("{refused}; {error}")))
}

async fn by_api(network: &NetworkHandle, meeting: &meeting::Handle, api: &HostPort) -> Result<PeerId, Failure> {
    let Candidate { addresses, .. } = meeting.ask(api, Origin::Manual).await.map_err(unavailable)?;
    let end = Instant::now() + DEADLINE;
    let mut tried = Vec::new();
    for address in addresses {
        match tokio::time::timeout_at(end, network.connect(address.clone(), Origin::Manual)).await {
            Ok(Ok(peer)) => return Ok(peer),
            Ok(Err(error)) => tried.push(error.to_string()),
            Err(_) => {
                tried.push(out_of_time(&address));
                break;
            }
        }
    }
    Err(unavailable(format_args!("the node at http://{api} cannot be connected to: {}", tried.join("; "))))
}

fn out_of_time(address: &Multiaddr) -> String {
    format!("no answer from {address} within the {} s for all addresses", DEADLINE.as_secs())
}
