//! What of one answer leads to which other call.

use utoipa::openapi::{OpenApi, RefOr, link::LinkBuilder, path::Operation};

/// A link: the call and the status of its answer, the call that it leads to, and where the value of which parameter is.
struct Link {
    from: &'static str,
    status: &'static str,
    to: &'static str,
    parameter: &'static str,
    value: &'static str,
}

const fn link(
    from: &'static str,
    status: &'static str,
    to: &'static str,
    parameter: &'static str,
    value: &'static str,
) -> Link {
    Link { from, status, to, parameter, value }
}

const LINKS: &[Link] = &[
    link("node", "200", "account", "account", "$response.body#/address"),
    link("status", "200", "block", "id", "$response.body#/tip"),
    link("mine", "200", "block", "id", "$response.body#/blocks/0/hash"),
    link("mine", "200", "block_header", "id", "$response.body#/blocks/0/hash"),
    link("mine", "200", "raw_block", "id", "$response.body#/blocks/0/hash"),
    link("blocks", "200", "block", "id", "$response.body#/blocks/0/hash"),
    link("block", "200", "block_header", "id", "$response.body#/hash"),
    link("block", "200", "account", "account", "$response.body#/miner"),
    link("block", "200", "transaction", "id", "$response.body#/transactions/0/id"),
    link("forks", "200", "block", "id", "$response.body#/blocks/0/hash"),
    link("submit_block", "201", "block", "id", "$response.body#/hash"),
    link("submit_transactions", "201", "transaction", "id", "$response.body#/id"),
    link("pool", "200", "transaction", "id", "$response.body#/transactions/0/id"),
    link("transaction", "200", "account", "account", "$response.body#/sender"),
    link("block", "200", "proof", "id", "$response.body#/transactions/0/id"),
    link("block", "200", "receipt", "id", "$response.body#/transactions/0/id"),
    link("transfer", "201", "transaction", "id", "$response.body#/id"),
    link("put_on_record", "201", "record", "id", "$response.body#/id"),
    link("request_item", "201", "transaction", "id", "$response.body#/id"),
    link("request_item", "201", "release_item", "item", "$response.body#/action/item"),
    link("request_item", "201", "transfer_item", "item", "$response.body#/action/item"),
    link("release_item", "201", "request_item", "item", "$response.body#/action/item"),
    link("items", "200", "item", "item", "$response.body#/items/0/item"),
    link("item", "200", "item_history", "item", "$response.body#/item"),
    link("item_history", "200", "transaction", "id", "$response.body#/history/0/transaction"),
    link("records", "200", "record", "id", "$response.body#/transactions/0/id"),
    link("accounts", "200", "account", "account", "$response.body#/accounts/0/address"),
    link("account", "200", "account_transactions", "account", "$response.body#/address"),
    link("account_transactions", "200", "transaction", "id", "$response.body#/transactions/0/id"),
    link("keys", "200", "account", "account", "$response.body#/keys/0/name"),
    link("new_key", "201", "account", "account", "$response.body#/name"),
    link("peers", "200", "drop_peer", "id", "$response.body#/peers/0/peer_id"),
    link("bans", "200", "lift_ban", "id", "$response.body#/bans/0/peer"),
    link("ban", "201", "lift_ban", "id", "$response.body#/peer"),
    link("add_peer", "201", "drop_peer", "id", "$response.body#/peer_id"),
    link("old_mine", "201", "block", "id", "$response.body#/block/hash"),
    link("old_mine_by_get", "200", "block", "id", "$response.body#/hash"),
    link("old_add_transaction", "201", "transaction", "id", "$response.body#/transaction/id"),
    link("old_transactions_new", "201", "transaction", "id", "$response.body#/transaction/id"),
];

/// Writes the links into the document.
pub(super) fn add(document: &mut OpenApi) {
    let items = document.paths.paths.values_mut();
    let operations = items.flat_map(|item| [&mut item.get, &mut item.put, &mut item.post, &mut item.delete]);
    for operation in operations.flatten() {
        add_to(operation);
    }
}

fn add_to(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    for link in LINKS.iter().filter(|link| link.from == id) {
        if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(link.status) {
            let value = LinkBuilder::new().operation_id(link.to).parameter(link.parameter, link.value).build();
            response.links.insert(link.to.to_owned(), RefOr::T(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::http::{described, docs::Document, tests::access};

    #[test]
    fn every_link_is_written_and_leads_to_a_call_with_that_parameter() {
        let document = Document::new(described(&access()).into_openapi());
        let document: serde_json::Value = serde_json::from_slice(document.bytes()).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let operations: Vec<_> = paths.values().flat_map(|item| item.as_object().expect("an item").values()).collect();
        let find = |id: &str| operations.iter().find(|one| one["operationId"] == id).unwrap_or_else(|| panic!("{id}"));
        for link in LINKS {
            let to = &find(link.from)["responses"][link.status]["links"][link.to];
            assert_eq!(to["parameters"][link.parameter], link.value, "{} -> {}", link.from, link.to);
            let parameters = find(link.to)["parameters"].as_array().expect("parameters");
            assert!(parameters.iter().any(|one| one["name"] == link.parameter), "{} -> {}", link.from, link.to);
        }
    }
}
