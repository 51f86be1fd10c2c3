//! Asking a running node, for commands that are about a chain and not about what is on it.

use bard_chain::spec::ChainSpec;
use serde_json::Value;

use super::remote::block_on;
use crate::interface::client::Client;

/// A client of the node at `url`.
pub(super) fn client(url: &str) -> Result<Client, String> {
    Client::of_url(url, None).map_err(|error| error.to_string())
}

/// Who and where the node at `url` is.
///
/// # Errors
/// One line that names the URL and why it does not answer; so with all below.
pub(super) fn node(url: &str) -> Result<Value, String> {
    let client = client(url)?;
    let node = block_on(async { client.node().await.map_err(|error| error.to_string()) })?;
    serde_json::to_value(node).map_err(|error| error.to_string())
}

/// How it is doing.
pub(super) fn status(url: &str) -> Result<Value, String> {
    let client = client(url)?;
    let status = block_on(async { client.status().await.map_err(|error| error.to_string()) })?;
    serde_json::to_value(status).map_err(|error| error.to_string())
}

/// The specification of its chain.
pub(super) fn specification(url: &str) -> Result<ChainSpec, String> {
    let client = client(url)?;
    let text = block_on(async { client.specification().await.map_err(|error| error.to_string()) })?;
    ChainSpec::from_toml(&text).map_err(|error| format!("the specification at {url} cannot be read: {error}"))
}
