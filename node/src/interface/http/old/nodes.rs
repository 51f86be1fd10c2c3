//! Nodes by their HTTP addresses. Each is asked for its identity and addresses over `GET /api/v1/node` and then connected to.

use axum::{Json, extract::State, http::StatusCode, response::IntoResponse};
use serde_json::{Value, json};

use super::{
    answer::{Answer, Refusal, done},
    body::Asked,
};
use crate::application::Service;

/// What the simulation and its relatives call the field with the address.
const ALIASES: &[&str] = &["node_address", "node", "node_url", "nodes", "address", "peers"];
/// Addresses in one call: as many as the table of nodes holds.
const MAX_ADDRESSES: usize = 256;

/// `POST /update_peers`.
pub(super) async fn update_peers(State(service): State<Service>, asked: Asked) -> Answer {
    let title = "Failed to update peers";
    let peers = asked.fields.get("peers").ok_or_else(|| Refusal::error(title, "peers: a list of URLs is expected"))?;
    let peers = addresses(peers).map_err(|what| Refusal::error(title, format!("peers: {what}")))?;
    service.add_http_nodes(&peers).map_err(|failure| Refusal::titled(failure, "error", title))?;
    Ok(Json(json!({ "message": "Peers updated" })).into_response())
}

/// `POST /discover`.
pub(super) async fn discover(State(service): State<Service>, asked: Asked) -> Answer {
    let address = asked.given("address").ok_or_else(|| {
        Refusal::error("Peer address required", "address: the URL of a node is expected, such as http://127.0.0.1:5501")
    })?;
    let title = "Failed to process discovery";
    let address = addresses(address).map_err(|what| Refusal::error(title, format!("address: {what}")))?;
    service.add_http_nodes(&address).map_err(|failure| Refusal::titled(failure, "error", title))?;
    let (height, _) = service.height_and_reward();
    Ok(Json(json!({
        "chain_length": height.get().saturating_add(1),
        "message": "Discovery successful",
        "peers": urls(&service),
    }))
    .into_response())
}

/// `POST /nodes/register`.
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

/// `POST /register_node`.
pub(super) async fn register_node(State(service): State<Service>, asked: Asked) -> Answer {
    let title = "Please supply the address of a node";
    let node = asked.given_as(ALIASES).ok_or_else(|| {
        Refusal::error(title, "node_address: the address of a node is expected, such as http://127.0.0.1:5001")
    })?;
    let nodes = addresses(node).map_err(|what| Refusal::error(title, format!("node_address: {what}")))?;
    if nodes.is_empty() {
        return Err(Refusal::error(title, "node_address: the list is empty"));
    }
    service.add_http_nodes(&nodes).map_err(|failure| Refusal::titled(failure, "error", title))?;
    Ok(done(&asked, StatusCode::CREATED, registered(&service, "New node has been added")))
}

/// `GET /nodes`.
pub(super) async fn list(State(service): State<Service>) -> Json<Value> {
    Json(json!({ "nodes": urls(&service), "total_nodes": service.http_nodes() }))
}

fn registered(service: &Service, message: &str) -> Value {
    json!({ "message": message, "nodes": urls(service), "total_nodes": service.http_nodes() })
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
