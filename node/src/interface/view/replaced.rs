//! Blocks and transactions with the field names of the programs that BlockBard replaces, besides its own.

use bard_chain::{
    address::Address,
    hash::TransactionId,
    target::Target,
    transaction::{Action, Transaction},
    units::Height,
};
use serde_json::Value;

use super::json;
use crate::{application::reply::Block, clock, wallet::Wallet};

/// What the genesis block of the old programs carries.
const GENESIS_DATA: &str = "Genesis Block";
/// The content type of a record whose bytes are a JSON value.
pub const JSON: &str = "application/json";

/// What is on record in a block, as the old programs' `data`: the one record as the value that it is, several as a list, null
/// where there is none.
pub fn data(block: &Block) -> Value {
    if block.header().height == Height::ZERO {
        return GENESIS_DATA.into();
    }
    let mut records: Vec<Value> =
        block.block.block().transactions.iter().filter_map(|one| recorded(&one.action)).collect();
    match records.len() {
        0 => Value::Null,
        1 => records.swap_remove(0),
        _ => Value::Array(records),
    }
}

fn recorded(action: &Action) -> Option<Value> {
    let Action::Record { content_type, bytes } = action else { return None };
    let value = if content_type == JSON { serde_json::from_slice(bytes).ok() } else { None };
    let text = || std::str::from_utf8(bytes).ok().map(Value::from);
    let hex = || bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    Some(value.or_else(text).unwrap_or_else(hex))
}

/// A block as the old calls show it: as the API does, and each transaction with the old names too. It is the same on every
/// node: of the accounts only those have a name that everybody knows by it.
pub fn block(block: &Block, wallet: &Wallet) -> Value {
    let mut shown = plain(block);
    let time = clock::rfc3339(block.header().timestamp);
    if let Some(list) = shown.get_mut("transactions").and_then(Value::as_array_mut) {
        for (shown, one) in list.iter_mut().zip(&block.block.block().transactions) {
            add_old_names(shown, one, &|address| wallet.public_name_of(address).map(str::to_owned));
            insert(shown, "timestamp", time.clone().into());
        }
    }
    shown
}

/// A block with its first transactions as people are shown them: by the names that this node has.
pub fn head(block: &Block, transactions: usize, wallet: &Wallet) -> Value {
    let ids = block.block.transaction_ids().iter();
    let all = ids.zip(&block.block.block().transactions).take(transactions);
    let all: Vec<_> = all.map(|(id, one)| transaction(*id, one, wallet)).collect();
    serde_json::json!({
        "height": block.header().height.get(),
        "hash": block.block.id().to_string(),
        "timestamp": clock::rfc3339(block.header().timestamp),
        "transactions": all,
    })
}

fn plain(block: &Block) -> Value {
    serde_json::to_value(json::Block::from(block)).unwrap_or_default()
}

/// A transaction as the old calls show it to whoever made it, with the names that this node has.
pub fn transaction(id: TransactionId, one: &Transaction, wallet: &Wallet) -> Value {
    let mut shown = serde_json::to_value(json::Transaction::new(id, one)).unwrap_or_default();
    add_old_names(&mut shown, one, &|address| wallet.name_of(address));
    shown
}

fn add_old_names(shown: &mut Value, one: &Transaction, name_of: &dyn Fn(&Address) -> Option<String>) {
    let named = |address: &Address| name_of(address).unwrap_or_else(|| address.to_string());
    if let Some(id) = shown.get("id").cloned() {
        insert(shown, "transaction_id", id);
    }
    insert(shown, "sender_address", one.sender.to_string().into());
    insert(shown, "sender", named(&one.sender).into());
    match &one.action {
        Action::Transfer { to, amount } => {
            insert(shown, "recipient", named(to).into());
            insert(shown, "receiver", named(to).into());
            insert(shown, "amount", amount.get().into());
        }
        action => {
            if let Some(value) = recorded(action) {
                insert(shown, "data", value);
            }
        }
    }
}

fn insert(shown: &mut Value, name: &str, value: Value) {
    if let Some(fields) = shown.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// The old programs' difficulty: hex digits at the beginning of a block's hash that must be zero.
pub fn zero_digits(block: &Block) -> u32 {
    let target = block.header().target.expand().map_or([0xff; 32], Target::to_be_bytes);
    let whole = target.iter().take_while(|byte| **byte == 0).count();
    let half = target.get(whole).is_some_and(|byte| *byte < 0x10);
    u32::try_from(2 * whole).unwrap_or(u32::MAX).saturating_add(half.into())
}

/// Whether a block that somebody shows is this one: every field that this one has too says the same.
pub fn is_same(shown: &Value, block: &Block, wallet: &Wallet) -> bool {
    let (plain, named) = (plain(block), self::block(block, wallet));
    let Some(fields) = shown.as_object() else { return false };
    // Whether it is on the active chain is an opinion; an id says all about a transaction.
    let same = |name: &String, value: &Value| match name.as_str() {
        "active" => true,
        "transactions" => same_ids(value, &plain["transactions"]),
        _ => plain.get(name).or_else(|| named.get(name)).is_none_or(|own| own == value),
    };
    fields.iter().all(|(name, value)| same(name, value))
}

fn same_ids(shown: &Value, own: &Value) -> bool {
    let ids = |list: &Value| {
        let list = list.as_array()?.iter().map(|one| one.get("id").and_then(Value::as_str).map(str::to_owned));
        list.collect::<Option<Vec<_>>>()
    };
    ids(shown).is_some_and(|shown| Some(shown) == ids(own))
}
