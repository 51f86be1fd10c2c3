//! The calls, each as a function.

use hyper::{Method, body::Bytes};
use serde_json::Value;

use super::{Client, ClientError, Wait};
use crate::interface::view::json::{
    Account, AccountPage, Admitted, Ban, Bans, Block, BlockPage, Connected, Item, ItemHistory, ItemPage, ItemRequests,
    ItemTransfer, Keys, Lab, Lifted, Mine, MinedBlocks, Mining, NewBan, NewKey, NewKeyName, NewPeer, NewRecord, Node,
    Peers, PlacedTransaction, PoolPage, Proof, Protection, SetLab, SetMining, Signer, Status, Submission, Synced,
    Transaction, TransactionPage, TransactionTaken, Transfer, Unlock, Verified,
};

/// The most blocks that one call brings.
pub const BLOCKS_A_CALL: usize = 100;

type Result<T> = std::result::Result<T, ClientError>;

/// A path with what stands in it and in its query, each encoded.
fn path(before: &str, segment: &str, after: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{before}{encoded}{after}")
}

fn query(path: &str, fields: &[(&str, Option<String>)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

impl Client {
    /// Who and where the node is.
    pub async fn node(&self) -> Result<Node<'static>> {
        self.get("/api/v1/node").await
    }

    /// The specification of its chain, as TOML.
    pub async fn specification(&self) -> Result<String> {
        let toml = self.exchange(Method::GET, "/api/v1/chain/spec?format=toml", Bytes::new()).await?;
        String::from_utf8(toml.into()).map_err(|error| ClientError::strange(self.name(), error))
    }

    /// How it is doing.
    pub async fn status(&self) -> Result<Status<'static>> {
        self.get("/api/v1/status").await
    }

    /// Its connected peers.
    pub async fn peers(&self) -> Result<Peers<'static>> {
        self.get("/api/v1/peers").await
    }

    /// Connects it to a peer.
    pub async fn connect(&self, address: String) -> Result<Connected> {
        self.send(Method::POST, "/api/v1/peers", &NewPeer { address }, Wait::Short).await
    }

    /// Closes its connections to a peer.
    pub async fn disconnect(&self, peer: &str) -> Result<()> {
        self.send(Method::DELETE, &path("/api/v1/peers/", peer, ""), &Value::Null, Wait::Short).await
    }

    /// Who is banned.
    pub async fn bans(&self) -> Result<Bans<'static>> {
        self.get("/api/v1/bans").await
    }

    /// Lets it ban a peer.
    pub async fn ban(&self, ban: &NewBan) -> Result<Ban<'static>> {
        self.send(Method::POST, "/api/v1/bans", ban, Wait::Short).await
    }

    /// Lets it end the ban of a peer, or all.
    pub async fn lift_bans(&self, peer: Option<String>) -> Result<Lifted> {
        self.send(Method::DELETE, &query("/api/v1/bans", &[("peer", peer)]), &Value::Null, Wait::Short).await
    }

    /// Mines blocks and waits for them.
    pub async fn mine(&self, blocks: u32, data: Option<String>) -> Result<MinedBlocks> {
        let data = data.map_or(Value::Null, Value::String);
        self.send(Method::POST, "/api/v1/mine", &Mine { blocks, data }, Wait::Long).await
    }

    /// Lets it mine continuously, or stop.
    pub async fn set_mining(&self, enabled: bool, threads: Option<usize>) -> Result<Mining> {
        self.send(Method::PUT, "/api/v1/mining", &SetMining { enabled, threads }, Wait::Short).await
    }

    /// What of its laboratory is switched on.
    pub async fn lab(&self) -> Result<Lab> {
        self.get("/api/v1/lab").await
    }

    /// Switches some of its laboratory.
    pub async fn set_lab(&self, wanted: &SetLab) -> Result<Lab> {
        self.send(Method::PUT, "/api/v1/lab", wanted, Wait::Short).await
    }

    /// Lets it ask every peer whether it knows more.
    pub async fn sync(&self) -> Result<Synced> {
        self.send(Method::POST, "/api/v1/sync", &serde_json::json!({}), Wait::Short).await
    }

    /// Lets it check the whole chain anew.
    pub async fn verify(&self) -> Result<Verified<'static>> {
        self.send(Method::POST, "/api/v1/verify", &serde_json::json!({}), Wait::Long).await
    }

    /// Blocks of the active chain: ascending from a height, or descending from the tip where there is none.
    pub async fn blocks(&self, from: Option<u64>, limit: usize) -> Result<BlockPage<'static>> {
        let order = if from.is_some() { "asc" } else { "desc" };
        let fields = [
            ("from", from.map(|from| from.to_string())),
            ("limit", Some(limit.min(BLOCKS_A_CALL).to_string())),
            ("order", Some(order.to_owned())),
        ];
        self.get(&query("/api/v1/blocks", &fields)).await
    }

    /// A block, by its height, its hash, or `tip`.
    pub async fn block(&self, id: &str) -> Result<Block<'static>> {
        self.get(&path("/api/v1/blocks/", id, "")).await
    }

    /// The canonical bytes of a block, by its height, its hash, or `tip`.
    pub async fn raw_block(&self, id: &str) -> Result<Bytes> {
        self.exchange(Method::GET, &path("/api/v1/blocks/", id, "/raw"), Bytes::new()).await
    }

    /// A transaction, mined or in the pool.
    pub async fn transaction(&self, id: &str) -> Result<PlacedTransaction<'static>> {
        self.get(&path("/api/v1/transactions/", id, "")).await
    }

    /// That a mined transaction is in its block.
    pub async fn proof(&self, id: &str) -> Result<Proof> {
        self.get(&path("/api/v1/transactions/", id, "/proof")).await
    }

    /// The receipt of a mined transaction, as the bytes of its file; `short` if its headers shall begin with its own block,
    /// `until` the height with which they shall end.
    pub async fn receipt(&self, id: &str, short: bool, until: Option<u64>) -> Result<Bytes> {
        let path = path("/api/v1/transactions/", id, "/receipt");
        let headers = short.then(|| "short".to_owned());
        self.exchange(
            Method::GET,
            &query(&path, &[("headers", headers), ("until", until.map(|until| until.to_string()))]),
            Bytes::new(),
        )
        .await
    }

    /// The oldest records with a digest.
    pub async fn records_by_digest(&self, digest: &str, limit: usize) -> Result<TransactionPage<'static>> {
        let fields = [("digest", Some(digest.to_owned())), ("limit", Some(limit.to_string()))];
        self.get(&query("/api/v1/records", &fields)).await
    }

    /// A page of the pool.
    pub async fn pool(&self, from: Option<u64>, limit: usize) -> Result<PoolPage<'static>> {
        let fields = [("from", from.map(|from| from.to_string())), ("limit", Some(limit.to_string()))];
        self.get(&query("/api/v1/pool", &fields)).await
    }

    /// An account, by its address or name.
    pub async fn account(&self, who: &str) -> Result<Account<'static>> {
        self.account_at(who, None).await
    }

    /// An account as it was after the block at a height; at the tip if left out.
    pub async fn account_at(&self, who: &str, height: Option<u64>) -> Result<Account<'static>> {
        self.get(&query(&path("/api/v1/accounts/", who, ""), &[("height", height.map(|at| at.to_string()))])).await
    }

    /// A page of the accounts, by address.
    pub async fn accounts(&self, after: Option<String>, limit: usize) -> Result<AccountPage<'static>> {
        self.get(&query("/api/v1/accounts", &[("after", after), ("limit", Some(limit.to_string()))])).await
    }

    /// A page of an account's transactions, the newest first.
    pub async fn account_transactions(
        &self,
        who: &str,
        from: Option<String>,
        limit: usize,
    ) -> Result<TransactionPage<'static>> {
        let path = path("/api/v1/accounts/", who, "/transactions");
        self.get(&query(&path, &[("from", from), ("limit", Some(limit.to_string()))])).await
    }

    /// A page of the items, by name; `state` is `reserved` or `available`.
    pub async fn items(&self, state: Option<&str>, after: Option<String>, limit: usize) -> Result<ItemPage<'static>> {
        let fields = [("state", state.map(str::to_owned)), ("after", after), ("limit", Some(limit.to_string()))];
        self.get(&query("/api/v1/items", &fields)).await
    }

    /// An item.
    pub async fn item(&self, item: &str) -> Result<Item<'static>> {
        self.item_at(item, None).await
    }

    /// An item as it was after the block at a height; at the tip if left out.
    pub async fn item_at(&self, item: &str, height: Option<u64>) -> Result<Item<'static>> {
        self.get(&query(&path("/api/v1/items/", item, ""), &[("height", height.map(|at| at.to_string()))])).await
    }

    /// A page of an item's history, the oldest first.
    pub async fn item_history(&self, item: &str, from: Option<String>, limit: usize) -> Result<ItemHistory<'static>> {
        let path = path("/api/v1/items/", item, "/history");
        self.get(&query(&path, &[("from", from), ("limit", Some(limit.to_string()))])).await
    }

    /// The names that it has keys for.
    pub async fn keys(&self) -> Result<Keys<'static>> {
        self.get("/api/v1/wallet/keys").await
    }

    /// Lets it make a key.
    pub async fn new_key(&self, name: String) -> Result<NewKey<'static>> {
        self.send(Method::POST, "/api/v1/wallet/keys", &NewKeyName { name }, Wait::Short).await
    }

    /// Opens its keys with the passphrase.
    pub async fn unlock(&self, unlock: &Unlock) -> Result<Protection> {
        self.send(Method::POST, "/api/v1/wallet/unlock", unlock, Wait::Short).await
    }

    /// Lets it forget the secrets of its keys.
    pub async fn lock(&self) -> Result<Protection> {
        self.send(Method::POST, "/api/v1/wallet/lock", &serde_json::json!({}), Wait::Short).await
    }

    /// Hands it a transaction that was signed elsewhere, in hex.
    pub async fn submit_transaction(&self, hex: String) -> Result<TransactionTaken> {
        let submission = Submission { hex: Some(hex), transactions: None };
        self.send(Method::POST, "/api/v1/transactions", &submission, Wait::Short).await
    }

    /// Pays, signed by it.
    pub async fn transfer(&self, transfer: &Transfer) -> Result<Transaction<'static>> {
        self.send(Method::POST, "/api/v1/wallet/transfer", transfer, Wait::Short).await
    }

    /// Puts content on record, signed by it.
    pub async fn record(&self, record: &NewRecord) -> Result<Transaction<'static>> {
        self.send(Method::POST, "/api/v1/wallet/record", record, Wait::Short).await
    }

    /// Takes free items, all of them or none.
    pub async fn request_items(&self, from: Option<String>, items: Vec<String>) -> Result<Admitted<'static>> {
        self.send(Method::POST, "/api/v1/wallet/items/request", &ItemRequests { from, items }, Wait::Short).await
    }

    /// Gives an item back.
    pub async fn release_item(&self, from: Option<String>, item: &str) -> Result<Transaction<'static>> {
        self.send(Method::POST, &path("/api/v1/wallet/items/", item, "/release"), &Signer { from }, Wait::Short).await
    }

    /// Hands an item on.
    pub async fn transfer_item(&self, from: Option<String>, item: &str, to: String) -> Result<Transaction<'static>> {
        let path = path("/api/v1/wallet/items/", item, "/transfer");
        self.send(Method::POST, &path, &ItemTransfer { from, to }, Wait::Short).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_paths_is_encoded() {
        assert_eq!(path("/a/", "x y/z.é", "/b"), "/a/x%20y%2Fz%2E%C3%A9/b");
        assert_eq!(query("/a", &[("from", None), ("x", Some("1&2".to_owned()))]), "/a?x=1%262");
        assert_eq!(query("/a", &[("from", None)]), "/a");
    }
}
