//! Accounts and items as JSON.

use std::borrow::Cow;

use bard_chain::{transaction::ItemName, units::Height};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::primitive::{Address, Amount, Hash};
use crate::{
    application::reply::{self, Balance, Handover, Place},
    wallet::Wallet,
};

/// An account.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Account<'a> {
    /// Its name on this node, if it has one.
    #[schema(required)]
    pub name: Option<Cow<'a, str>>,
    /// The address.
    pub address: Address,
    /// As confirmed at the tip, or at `height`.
    pub balance: Amount,
    /// How many transactions it has sent, as confirmed at the tip, or at `height`.
    pub nonce: u64,
    /// After all that is in the pool; at an earlier height the same.
    pub pending: Pending,
    /// The height that was asked for; left out where it is the tip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
}

/// An account after all that is in the pool.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Pending {
    /// What it has, in the smallest unit.
    pub balance: Amount,
    /// The nonce of its next transaction.
    pub nonce: u64,
}

/// A page of accounts, by address.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AccountPage<'a> {
    /// The accounts.
    pub accounts: Vec<Account<'a>>,
    /// What to give as `after` for the next page; null where there is none.
    #[schema(required)]
    pub next: Option<Address>,
}

/// The accounts that this node has keys for.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Keys<'a> {
    /// Whether the node can sign with them.
    #[serde(flatten)]
    pub protection: Protection,
    /// The accounts, the node's own first.
    pub keys: Vec<Account<'a>>,
}

/// Whether the node can sign with its keys.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct Protection {
    /// Whether a passphrase protects them.
    pub protected: bool,
    /// Whether nothing can be signed until the passphrase is given.
    pub locked: bool,
}

impl From<reply::Protection> for Protection {
    fn from(protection: reply::Protection) -> Self {
        Self { protected: protection != reply::Protection::None, locked: protection == reply::Protection::Locked }
    }
}

/// A key that was made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NewKey<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// The address.
    pub address: Address,
}

impl<'a> NewKey<'a> {
    pub(super) fn new(name: &'a str, address: bard_chain::address::Address) -> Self {
        Self { name: Cow::Borrowed(name), address: Address(address) }
    }
}

/// An item.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Item<'a> {
    /// Its name.
    pub item: Cow<'a, str>,
    /// Who holds it; null while it is free.
    #[schema(required)]
    pub holder: Option<Address>,
    /// The holder's name on this node, if it has one.
    #[schema(required)]
    pub holder_name: Option<String>,
    /// The height that was asked for; left out where it is the tip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
}

/// A page of items, by name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ItemPage<'a> {
    /// The items.
    pub items: Vec<Item<'a>>,
    /// What to give as `after` for the next page; null where there is none.
    #[schema(required)]
    pub next: Option<Cow<'a, str>>,
}

/// A page of an item's history, the oldest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ItemHistory<'a> {
    /// The item's name.
    pub item: Cow<'a, str>,
    /// What happened.
    pub history: Vec<HandoverEntry>,
    /// What to give as `from` for the next page; null where there is none.
    #[schema(required)]
    pub next: Option<String>,
    /// Height of the lowest block that the node has besides the genesis block: 1, or more where it began with a later state. What
    /// happened before is not in the list.
    #[serde(default = "super::first")]
    pub blocks_from: u64,
}

/// What a transaction did to an item.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HandoverEntry {
    /// `item_request`, `item_release` or `item_transfer`.
    pub action: Cow<'static, str>,
    /// The id of the transaction.
    pub transaction: Hash,
    /// Height of the block.
    pub height: u64,
    /// Index in the block, from 0.
    pub position: u32,
    /// Who held it before; null where it was free.
    #[schema(required)]
    pub from: Option<Address>,
    /// Their name on this node.
    #[schema(required)]
    pub from_name: Option<String>,
    /// Who held it afterwards; null where it was free.
    #[schema(required)]
    pub to: Option<Address>,
    /// Their name on this node.
    #[schema(required)]
    pub to_name: Option<String>,
}

impl<'a> From<&'a Balance> for Account<'a> {
    fn from(balance: &'a Balance) -> Self {
        Self {
            name: balance.name.as_deref().map(Cow::Borrowed),
            address: Address(balance.address),
            balance: balance.confirmed.balance.into(),
            nonce: balance.confirmed.nonce.get(),
            pending: Pending { balance: balance.pending.balance.into(), nonce: balance.pending.nonce.get() },
            height: balance.height.map(Height::get),
        }
    }
}

impl<'a> AccountPage<'a> {
    pub(super) fn new(accounts: &'a [Balance], next: Option<bard_chain::address::Address>) -> Self {
        Self { accounts: accounts.iter().map(Into::into).collect(), next: next.map(Address) }
    }
}

impl<'a> Keys<'a> {
    pub(super) fn new(all: &'a [Balance], protection: reply::Protection) -> Self {
        Self { protection: protection.into(), keys: all.iter().map(Into::into).collect() }
    }
}

impl<'a> Item<'a> {
    pub(super) fn new(name: &'a ItemName, holder: Option<bard_chain::address::Address>, wallet: &'a Wallet) -> Self {
        Self {
            item: Cow::Borrowed(name.as_str()),
            holder: holder.map(Address),
            holder_name: holder.and_then(|holder| wallet.name_of(&holder)),
            height: None,
        }
    }
}

impl<'a> ItemPage<'a> {
    pub(super) fn of(items: Vec<Item<'a>>, next: Option<&'a str>) -> Self {
        Self { items, next: next.map(Cow::Borrowed) }
    }
}

impl<'a> ItemHistory<'a> {
    pub(super) fn new(
        item: &'a ItemName,
        entries: &[Handover],
        (next, blocks_from): (Option<Place>, Height),
        wallet: &'a Wallet,
    ) -> Self {
        let name = |who: Option<bard_chain::address::Address>| who.and_then(|who| wallet.name_of(&who));
        let entry = |one: &Handover| HandoverEntry {
            action: Cow::Borrowed(one.action()),
            transaction: one.id.into(),
            height: one.place.height.get(),
            position: one.place.position,
            from: one.from.map(Address),
            from_name: name(one.from),
            to: one.to.map(Address),
            to_name: name(one.to),
        };
        Self {
            item: Cow::Borrowed(item.as_str()),
            history: entries.iter().map(entry).collect(),
            next: next.map(|place| place.to_string()),
            blocks_from: blocks_from.get(),
        }
    }
}
