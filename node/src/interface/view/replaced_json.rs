//! What the calls of the replaced programs take and show, for the description of the API alone: what a body holds is told
//! apart field by field, and what is shown is made in [`super::replaced`].

#![allow(missing_docs, reason = "a field whose name says all needs no more")]
#![allow(unused_qualifications, reason = "written so by the macros that describe the types")]

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, RefOr, schema::Schema, schema::SchemaType, schema::Type},
};

use super::json::{Action, Address, Amount, Digits, Hash, Hex, Time};

/// A block as the old calls show it.
#[derive(ToSchema)]
pub struct OldBlock<'a> {
    /// The height, by its old name.
    pub index: u64,
    /// Distance from the genesis block.
    pub height: u64,
    pub hash: Hash,
    /// The specification's hash in the first block.
    pub previous_hash: Hash,
    pub timestamp: Time,
    pub nonce: u64,
    pub version: u8,
    /// What the hash must not exceed, in compact form.
    pub target: String,
    pub difficulty: Digits,
    pub miner: Address,
    pub transactions_root: Hash,
    pub state_root: Hash,
    pub transactions: Vec<OldTransaction<'a>>,
    /// What is on record in it: the one record, several as a list, null where there is none.
    pub data: Value,
    /// Length in canonical bytes.
    pub size: u64,
    /// Whether it is on the active chain.
    pub active: bool,
    /// What the prototype said of a block that it mined.
    pub message: Option<String>,
}

/// A transaction as the old calls show it.
#[derive(ToSchema)]
pub struct OldTransaction<'a> {
    pub id: Hash,
    /// The id, by its old name.
    pub transaction_id: Hash,
    pub version: u8,
    /// A name that everybody knows, or an address.
    pub sender: String,
    pub sender_address: Address,
    pub nonce: u64,
    pub fee: Amount,
    pub action: Action<'a>,
    #[schema(value_type = Hex)]
    pub signature: Hex<'a>,
    /// Who is paid, if it is a payment.
    pub recipient: Option<String>,
    /// The same.
    pub receiver: Option<String>,
    /// What is paid, if it is a payment.
    pub amount: Option<Amount>,
    /// What is on record, if it is a record.
    pub data: Option<Value>,
    /// When its block was made, where it is in one.
    pub timestamp: Option<Time>,
}

/// The whole chain.
#[derive(ToSchema)]
pub struct OldChain<'a> {
    /// The blocks, the first first.
    pub chain: Vec<OldBlock<'a>>,
    /// How many there are.
    pub length: u64,
}

/// What asking the others came to.
#[derive(ToSchema)]
pub struct OldResolved<'a> {
    pub message: String,
    /// Whether this node has another chain now.
    pub replaced: bool,
    /// How long it took, such as `0.31 seconds`.
    pub time_taken: String,
    /// How busy the processors were, such as `41.67%`.
    pub cpu_utilization: String,
    /// Peers that were asked.
    pub asked: u64,
    /// Peers that answered.
    pub answered: u64,
    /// Why peers that have more work could not be followed.
    pub problems: Vec<String>,
    /// The blocks, the first first; not there where `new_chain` is.
    #[schema(nullable = false)]
    pub chain: Option<Vec<OldBlock<'a>>>,
    /// The blocks, if a `GET` came to another chain.
    #[schema(nullable = false)]
    pub new_chain: Option<Vec<OldBlock<'a>>>,
}

/// What to mine: `data`, `transactions`, or what is in the pool.
#[derive(ToSchema)]
#[schema(examples(json!({ "transactions": ["Alice pays Bob 10 BTC"] })))]
pub struct OldMine {
    /// Any value, to be put on record.
    pub data: Option<Value>,
    #[schema(value_type = Option<OldTexts>)]
    pub transactions: Option<OldTexts>,
}

/// An object, whatever is in it.
#[derive(ToSchema)]
pub struct OldNothing {}

/// A payment. The receiver has either name.
#[derive(ToSchema)]
#[schema(examples(json!({ "sender": "alice", "recipient": "bob", "amount": 5 })))]
pub struct OldPayment {
    /// A name or an address.
    #[schema(examples("alice"))]
    pub sender: String,
    /// A name or an address.
    #[schema(examples("bob"))]
    pub recipient: Option<String>,
    /// The same.
    pub receiver: Option<String>,
    pub amount: OldAmount,
}

/// A list of nodes.
#[derive(ToSchema)]
pub struct OldNodes {
    pub nodes: OldAddresses,
}

/// A list of peers.
#[derive(ToSchema)]
pub struct OldPeers {
    pub peers: OldAddresses,
}

/// A peer.
#[derive(ToSchema)]
pub struct OldPeer {
    pub address: OldAddresses,
}

/// A node, by any of these names.
#[derive(ToSchema)]
#[schema(min_properties = 1, examples(json!({ "node_address": "http://127.0.0.1:5001" })))]
pub struct OldNode {
    pub node_address: Option<OldAddresses>,
    pub node: Option<OldAddresses>,
    pub node_url: Option<OldAddresses>,
    pub nodes: Option<OldAddresses>,
    pub address: Option<OldAddresses>,
    pub peers: Option<OldAddresses>,
}

/// A block that another program shows.
#[derive(ToSchema)]
pub struct OldBlockShown {
    pub index: u64,
    pub hash: String,
    pub previous_hash: String,
    /// Either this or `transactions` is needed.
    pub data: Option<Value>,
    pub transactions: Option<Value>,
}

/// Texts to put on record: a list of any values, or one value that is not empty.
pub struct OldTexts;

/// A whole number of the smallest unit, or a text that is one.
pub struct OldAmount;

/// A text with addresses, or a list of such texts.
pub struct OldAddresses;

fn any_of(description: &str, all: impl IntoIterator<Item = RefOr<Schema>>) -> RefOr<Schema> {
    let all = all.into_iter().fold(OneOfBuilder::new(), OneOfBuilder::item);
    all.description(Some(description)).into()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).min_length(Some(1))
}

impl PartialSchema for OldTexts {
    fn schema() -> RefOr<Schema> {
        let any = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
        let list = ArrayBuilder::new().items(any).min_items(Some(1)).max_items(Some(1000));
        let list = list.examples([json!(["Alice pays Bob 10 BTC"])]);
        let object = ObjectBuilder::new().schema_type(Type::Object).min_properties(Some(1));
        let number = || ObjectBuilder::new().schema_type(Type::Number);
        let (above, below) = (number().exclusive_minimum(Some(0)), number().exclusive_maximum(Some(0)));
        let yes = ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([true]));
        let all = [list.into(), text().into(), object.into(), above.into(), below.into(), yes.into()];
        any_of("Texts to put on record: a list of any values, or one that is not empty.", all)
    }
}

impl ToSchema for OldTexts {
    fn name() -> Cow<'static, str> {
        "OldTexts".into()
    }
}

impl PartialSchema for OldAmount {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new().schema_type(Type::Number).minimum(Some(1)).multiple_of(Some(1));
        let number = number.maximum(Some(super::json::MAX_EXACT)).examples([json!(5)]);
        let digits = text().pattern(Some("^[1-9][0-9]{0,15}$"));
        any_of("A whole number of the smallest unit, or a text that is one.", [number.into(), digits.into()])
    }
}

impl ToSchema for OldAmount {
    fn name() -> Cow<'static, str> {
        "OldAmount".into()
    }
}

impl PartialSchema for OldAddresses {
    fn schema() -> RefOr<Schema> {
        let one = || ObjectBuilder::new().schema_type(Type::String).examples([json!("http://127.0.0.1:5001")]);
        let list = ArrayBuilder::new().items(one()).max_items(Some(256));
        any_of(
            "`http://host:port` or `host:port`: a text with one or more, or a list of texts.",
            [one().into(), list.into()],
        )
    }
}

impl ToSchema for OldAddresses {
    fn name() -> Cow<'static, str> {
        "OldAddresses".into()
    }
}
