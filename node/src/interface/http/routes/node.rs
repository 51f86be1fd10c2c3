//! The node itself: who it is, how it does, its peers, its miner, its checks.

use axum::{extract::State, http::StatusCode, response::IntoResponse};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Answer, answer, json};
use crate::{
    application::{Command, Service},
    interface::{
        http::{
            extract::{Body, Empty, NoQuery, Nothing, Segment},
            problem::Problem,
        },
        view::{
            self,
            json::{Mine, NewPeer, SetLab, SetMining},
        },
    },
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(node))
        .routes(routes!(status))
        .routes(routes!(peers, add_peer))
        .routes(routes!(drop_peer))
        .routes(routes!(set_mining))
        .routes(routes!(lab, set_lab))
        .routes(routes!(sync))
}

/// Calls that end with the client.
pub(super) fn patient() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(mine)).routes(routes!(verify))
}

/// Who and where the node is
#[utoipa::path(get, path = "/api/v1/node", tag = "node",
    responses((status = 200, description = "The node.", body = view::json::Node)))]
async fn node(State(service): State<Service>, _: NoQuery) -> Answer {
    answer(&service, Command::Node).await
}

/// How the chain, the pool, the miner and the peers are
#[utoipa::path(get, path = "/api/v1/status", tag = "node",
    responses((status = 200, description = "The status.", body = view::json::Status)))]
async fn status(State(service): State<Service>, _: NoQuery) -> Answer {
    answer(&service, Command::Status).await
}

/// The connected peers
#[utoipa::path(get, path = "/api/v1/peers", tag = "node",
    responses((status = 200, description = "The peers, the longest connected first.", body = view::json::Peers)))]
async fn peers(State(service): State<Service>, _: NoQuery) -> Answer {
    answer(&service, Command::Peers).await
}

/// Connect to a peer
#[utoipa::path(post, path = "/api/v1/peers", tag = "node", request_body = NewPeer,
    responses((status = 201, description = "It is connected, and of this chain.", body = view::json::Connected)))]
async fn add_peer(State(service): State<Service>, Body(peer): Body<NewPeer>) -> Answer {
    let connected = service.execute(Command::Connect { address: peer.address }).await?;
    Ok(json(&service, StatusCode::CREATED, &connected))
}

/// Close the connections to a peer
///
/// It may be dialled again, or dial itself.
#[utoipa::path(delete, path = "/api/v1/peers/{id}", tag = "node",
    params(("id" = String, Path, description = "Its id in the network.")),
    responses((status = 204, description = "The connections are closed.")))]
async fn drop_peer(State(service): State<Service>, Segment(peer): Segment, _: NoQuery) -> Answer {
    service.execute(Command::Disconnect { peer }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Mine blocks now
///
/// Answers when they are on disk. Who closes the connection ends the order.
#[utoipa::path(post, path = "/api/v1/mine", tag = "node", request_body = Mine,
    responses((status = 200, description = "The blocks.", body = view::json::MinedBlocks)))]
async fn mine(State(service): State<Service>, Body(mine): Body<Mine>) -> Answer {
    let data = match mine.data {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    answer(&service, Command::Mine { blocks: mine.blocks, data }).await
}

/// Mine continuously, or stop
#[utoipa::path(put, path = "/api/v1/mining", tag = "node", request_body = SetMining,
    responses((status = 200, description = "What the miner does now.", body = view::json::Mining)))]
async fn set_mining(State(service): State<Service>, Body(wanted): Body<SetMining>) -> Answer {
    answer(&service, Command::SetMining { enabled: wanted.enabled, threads: wanted.threads }).await
}

/// What of the laboratory is switched on
#[utoipa::path(get, path = "/api/v1/lab", tag = "node",
    responses((status = 200, description = "The laboratory.", body = view::json::Lab)))]
async fn lab(State(service): State<Service>, _: NoQuery) -> Answer {
    answer(&service, Command::Lab).await
}

/// Make forks on purpose
///
/// On chains for teaching alone: cut this node off, slow it down, let a rival mine. All is off when a node starts.
#[utoipa::path(put, path = "/api/v1/lab", tag = "node", request_body = SetLab,
    responses((status = 200, description = "What is switched on now.", body = view::json::Lab),
        (status = 409, description = "This chain is not for teaching.", body = Problem,
            content_type = "application/problem+json")))]
async fn set_lab(State(service): State<Service>, Body(wanted): Body<SetLab>) -> Answer {
    let SetLab { apart, delay_ms, rival } = wanted;
    answer(&service, Command::SetLab { apart, delay_ms, rival }).await
}

/// Ask every peer now whether it knows more
#[utoipa::path(post, path = "/api/v1/sync", tag = "node", request_body(content = Option<Empty>),
    responses((status = 200, description = "What came of it.", body = view::json::Synced)))]
async fn sync(State(service): State<Service>, _: Nothing) -> Answer {
    answer(&service, Command::Sync).await
}

/// Check the whole chain anew
///
/// One check at a time; who closes the connection ends it.
#[utoipa::path(post, path = "/api/v1/verify", tag = "node", request_body(content = Option<Empty>),
    responses((status = 200, description = "What the check found.", body = view::json::Verified)))]
async fn verify(State(service): State<Service>, _: Nothing) -> Answer {
    answer(&service, Command::Verify).await
}
