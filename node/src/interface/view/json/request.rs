//! What calls of the API take, as JSON. Fields that no call knows are refused.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::wallet::Passphrase;

/// A peer to connect to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPeer {
    /// A multiaddress, the URL of another node's API, or `host:port` of either.
    #[schema(examples("/ip4/192.168.1.7/tcp/6000", "192.168.1.7:6000", "http://192.168.1.7:5000"))]
    pub address: String,
}

/// A peer to be banned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBan {
    /// Its id in the network.
    #[schema(examples("12D3KooWEgj3frYEYvBmhwA5ZuxdE3iFRrjkdUsDKQ5NAdocqm9H"))]
    pub peer: String,
    /// For how long; a day if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 315_360_000_u64)]
    pub seconds: Option<u64>,
    /// Why, in one line.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub reason: String,
}

/// What to mine.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mine {
    /// How many blocks.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 100_000, default = 1)]
    pub blocks: u32,
    /// Recorded in the first of them by the node's own key, if it is not null: text as it is, all else as JSON.
    #[serde(default)]
    pub data: Value,
}

const fn one() -> u32 {
    1
}

/// Whether to mine continuously.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMining {
    /// Whether to mine.
    pub enabled: bool,
    /// On how many threads; as before if left out.
    #[schema(minimum = 1, maximum = 256)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
}

/// What of the laboratory to switch; what is left out stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLab {
    /// Whether to cut this node off from its peers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apart: Option<bool>,
    /// For how long to hold back blocks and transactions on their way in and out, in ms; 0: not at all.
    #[schema(maximum = 5000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Whether to let a second miner mine on a branch of its own, for the key `rival`, which is made if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rival: Option<bool>,
}

/// A block that was sealed elsewhere.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HexBlock {
    /// Its canonical bytes, as hex digits.
    #[schema(pattern = "^([0-9a-fA-F]{2})*$")]
    pub hex: String,
}

/// One signed transaction, or several.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1, max_properties = 1)]
pub struct Submission {
    /// The canonical bytes of one, as hex digits.
    #[schema(pattern = "^([0-9a-fA-F]{2})*$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    /// Those of several, each for itself.
    #[schema(max_items = 1000, min_items = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transactions: Option<Vec<String>>,
}

/// A key to be made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKeyName {
    /// Its name: letters, digits, `_` and `-`.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,32}$")]
    pub name: String,
}

/// The passphrase of the node's keystore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unlock {
    /// The passphrase.
    #[serde(serialize_with = "revealed")]
    #[schema(value_type = String, format = "password", min_length = 1)]
    pub passphrase: Passphrase,
}

impl Unlock {
    /// With what was typed.
    ///
    /// # Errors
    /// One line: it is empty or endless.
    pub fn new(typed: impl Into<Zeroizing<String>>) -> Result<Self, String> {
        Ok(Self { passphrase: Passphrase::new(typed)? })
    }
}

fn revealed<S: Serializer>(passphrase: &Passphrase, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(passphrase.reveal())
}

/// A payment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Name or address of who pays; the node's own key if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Name or address of who is paid.
    pub to: String,
    /// In the smallest unit.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub amount: u64,
    /// What the miner gets.
    #[serde(default)]
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    pub fee: u64,
}

/// Content to put on record: `text` or `hex`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRecord {
    /// Name or address of who signs; the node's own key if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Bytes, as hex digits.
    #[schema(pattern = "^([0-9a-fA-F]{2})*$")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hex: Option<String>,
    /// What it is; `text/plain` for text and `application/octet-stream` for bytes if left out.
    #[schema(min_length = 1, max_length = 64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What the miner gets.
    #[serde(default)]
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    pub fee: u64,
}

/// Who signs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// Name or address of who signs; the node's own key if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// Free items to take, all of them or none.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemRequests {
    /// Name or address of who signs; the node's own key if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Their names.
    #[schema(min_items = 1, max_items = 100)]
    pub items: Vec<String>,
}

/// To whom an item goes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemTransfer {
    /// Name or address of who holds it; the node's own key if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Name or address of who holds it then.
    pub to: String,
}
