//! Nodes by their HTTP addresses. Each is asked for its identity and addresses over `GET /api/v1/node` and then connected to.

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use serde_json::Value;

use super::{
    answer::{Answer, Refusal, done},
    body::Asked,
    shown::{OldDiscovery, OldMessage, OldNodeList, OldRefusal},
};
use crate::{
    application::Service,
    interface::view::replaced_json::{OldNode, OldNodes, OldPeer, OldPeers},
};

/// What the simulation and its relatives call the field with the address.
const ALIASES: &[&str] = &["node_address", "node", "node_url", "nodes", "address", "peers"];
/// Addresses in one call: as many as the table of nodes holds.
const MAX_ADDRESSES: usize = 256;

/// Name nodes
#[utoipa::path(post, path = "/update_peers", operation_id = "old_update_peers", tag = "replaced",
    request_body(content((OldPeers = "application/json"), (OldPeers = "application/x-www-form-urlencoded"))),
    responses((status = 200, description = "They will be connected to.", body = OldMessage)))]
pub(super) async fn update_peers(State(service): State<Service>, asked: Asked) -> Answer {
    let title = "Failed to update peers";
    let peers = asked.fields.get("peers").ok_or_else(|| Refusal::error(title, "peers: a list of URLs is expected"))?;
    let peers = addresses(peers).map_err(|what| Refusal::error(title, format!("peers: {what}")))?;
    service.add_http_nodes(&peers).map_err(|failure| Refusal::titled(failure, "error", title))?;
    Ok(Json(OldMessage { message: "Peers updated" }).into_response())
}

/// Name a node, and hear of others
#[utoipa::path(post, path = "/discover", operation_id = "old_discover", tag = "replaced",
    request_body(content((OldPeer = "application/json"), (OldPeer = "application/x-www-form-urlencoded"))),
    responses((status = 200, description = "It will be connected to.", body = OldDiscovery)))]
pub(super) async fn discover(State(service): State<Service>, asked: Asked) -> Answer {
    let address = asked.given("address").ok_or_else(|| {
        Refusal::error("Peer address required", "address: the URL of a node is expected, such as http://127.0.0.1:5501")
    })?;
    let title = "Failed to process discovery";
    let address = addresses(address).map_err(|what| Refusal::error(title, format!("address: {what}")))?;
    service.add_http_nodes(&address).map_err(|failure| Refusal::titled(failure, "error", title))?;
    let (height, _) = service.height_and_reward();
    let discovery = OldDiscovery {
        chain_length: height.get().saturating_add(1),
        message: "Discovery successful",
        peers: urls(&service),
    };
    Ok(Json(discovery).into_response())
}

/// Name nodes, as the prototype did
#[utoipa::path(post, path = "/nodes/register", operation_id = "old_nodes_register", tag = "replaced",
    request_body(content((OldNodes = "application/json"), (OldNodes = "application/x-www-form-urlencoded"))),
    responses((status = 201, description = "They will be connected to.", body = OldNodeList),
        (status = 400, description = "They are none, or not all of them.",
            content((OldRefusal = "application/json"), (String = "text/plain")))))]
pub(super) async fn register(State(service): State<Service>, asked: Asked) -> Answer {
    let missing = "Error: Please supply a valid list of nodes";
    let nodes = asked.given("nodes").ok_or_else(|| Refusal::text(missing))?;
    let nodes = addresses(nodes).map_err(|what| Refusal::text(format!("{missing}: {what}")))?;
    if nodes.is_empty() {
        return Err(Refusal::text(missing));
    }
    service.add_http_nodes(&nodes).map_err(|failure| Refusal::titled(failure, "error", missing))?;
    Ok(done(&asked, StatusCode::CREATED, registered(&service, "New nodes have been added")))
}

/// Name nodes, as the simulation did
#[utoipa::path(post, path = "/register_node", operation_id = "old_register_node", tag = "replaced",
    request_body(content((OldNode = "application/json"), (OldNode = "application/x-www-form-urlencoded"))),
    responses((status = 201, description = "They will be connected to.", body = OldNodeList)))]
pub(super) async fn register_node(State(service): State<Service>, asked: Asked) -> Answer {
    let title = "Please supply the address of a node";
    let given: Vec<_> = ALIASES.iter().filter_map(|name| Some((*name, asked.given(name)?))).collect();
    if given.is_empty() {
        let what = "node_address: the address of a node is expected, such as http://127.0.0.1:5001";
        return Err(Refusal::error(title, what));
    }
    let mut nodes = Vec::new();
    for (name, value) in given {
        nodes.extend(addresses(value).map_err(|what| Refusal::error(title, format!("{name}: {what}")))?);
    }
    if nodes.is_empty() {
        return Err(Refusal::error(title, "node_address: the list is empty"));
    }
    service.add_http_nodes(&nodes).map_err(|failure| Refusal::titled(failure, "error", title))?;
    Ok(done(&asked, StatusCode::CREATED, registered(&service, "New node has been added")))
}

/// Nodes that are known by HTTP addresses
#[utoipa::path(get, path = "/nodes", operation_id = "old_nodes", tag = "replaced",
    responses((status = 200, description = "The nodes.", body = OldNodeList)))]
pub(super) async fn list(State(service): State<Service>) -> Json<OldNodeList> {
    Json(OldNodeList { message: None, nodes: urls(&service), total_nodes: service.http_nodes() })
}

fn registered(service: &Service, message: &'static str) -> OldNodeList {
    OldNodeList { message: Some(message), nodes: urls(service), total_nodes: service.http_nodes() }
}

fn urls(service: &Service) -> Vec<String> {
    service.http_nodes().iter().map(|place| format!("http://{place}")).collect()
}

/// The addresses in a list, or in a text with commas or spaces between them.
fn addresses(value: &Value) -> Result<Vec<String>, String> {
    let texts: Vec<&str> = match value {
        Value::String(text) => vec![text],
        Value::Array(list) => {
            let texts = list.iter().map(|one| one.as_str().ok_or("every address must be a text"));
            texts.collect::<Result<_, _>>()?
        }
        _ => return Err("a list of texts is expected".to_owned()),
    };
    let parts = texts.iter().flat_map(|text| text.split(|c: char| c == ',' || c.is_whitespace()));
    let found: Vec<String> = parts.filter(|text| !text.is_empty()).map(str::to_owned).collect();
    if found.len() > MAX_ADDRESSES {
        return Err(format!("{} addresses are too many, {MAX_ADDRESSES} are allowed", found.len()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_come_as_lists_and_as_texts() {
        let read = |value: Value| addresses(&value);
        let two = || Ok(vec!["a:1".to_owned(), "http://b:2".to_owned()]);
        assert_eq!(read(json!(["a:1", "http://b:2"])), two());
        assert_eq!(read(json!("a:1, http://b:2")), two());
        assert_eq!(read(json!([" a:1\n", "", "http://b:2"])), two());
        assert_eq!(read(json!([])), Ok(Vec::new()));
        for bad in [json!(7), json!({}), json!([7]), json!([["a:1"]]), json!(vec!["a:1"; MAX_ADDRESSES + 1])] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
