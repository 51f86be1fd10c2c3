//! Accounts and items as JSON.

use bard_chain::transaction::ItemName;
use serde::Serialize;
use utoipa::ToSchema;

use super::primitive::{Address, Amount, Hash};
use crate::{
    application::reply::{Balance, Handover, Place},
    wallet::Wallet,
};

/// An account.
#[derive(Serialize, ToSchema)]
pub struct Account<'a> {
    /// Its name on this node, if it has one.
    #[schema(required)]
    name: Option<&'a str>,
    address: Address,
    /// As confirmed at the tip.
    balance: Amount,
    /// How many transactions it has sent, as confirmed at the tip.
    nonce: u64,
    pending: Pending,
}

/// An account after all that is in the pool.
#[derive(Serialize, ToSchema)]
pub struct Pending {
    balance: Amount,
    /// The nonce of its next transaction.
    nonce: u64,
}

/// A page of accounts, by address.
#[derive(Serialize, ToSchema)]
pub struct AccountPage<'a> {
    accounts: Vec<Account<'a>>,
    /// What to give as `after` for the next page; null where there is none.
    #[schema(required)]
    next: Option<Address>,
}

/// The accounts that this node has keys for.
#[derive(Serialize, ToSchema)]
pub struct Keys<'a> {
    keys: Vec<Account<'a>>,
}

/// A key that was made.
#[derive(Serialize, ToSchema)]
pub struct NewKey<'a> {
    /// Its name.
    name: &'a str,
    address: Address,
}

impl<'a> NewKey<'a> {
    pub(super) fn new(name: &'a str, address: bard_chain::address::Address) -> Self {
        Self { name, address: Address(address) }
    }
}

/// An item.
#[derive(Serialize, ToSchema)]
pub struct Item<'a> {
    /// Its name.
    item: &'a str,
    /// Who holds it; null while it is free.
    #[schema(required)]
    holder: Option<Address>,
    /// The holder's name on this node, if it has one.
    #[schema(required)]
    holder_name: Option<String>,
}

/// A page of items, by name.
#[derive(Serialize, ToSchema)]
pub struct ItemPage<'a> {
    items: Vec<Item<'a>>,
    /// What to give as `after` for the next page; null where there is none.
    #[schema(required)]
    next: Option<&'a str>,
}

/// A page of an item's history, the oldest first.
#[derive(Serialize, ToSchema)]
pub struct ItemHistory<'a> {
    /// The item's name.
    item: &'a str,
    history: Vec<HandoverEntry>,
    /// What to give as `from` for the next page; null where there is none.
    #[schema(required)]
    next: Option<String>,
}

/// What a transaction did to an item.
#[derive(Serialize, ToSchema)]
pub struct HandoverEntry {
    /// `item_request`, `item_release` or `item_transfer`.
    action: &'static str,
    transaction: Hash,
    /// Height of the block.
    height: u64,
    /// Index in the block, from 0.
    position: u32,
    /// Who held it before; null where it was free.
    #[schema(required)]
    from: Option<Address>,
    /// Their name on this node.
    #[schema(required)]
    from_name: Option<String>,
    /// Who held it afterwards; null where it was free.
    #[schema(required)]
    to: Option<Address>,
    /// Their name on this node.
    #[schema(required)]
    to_name: Option<String>,
}

impl<'a> From<&'a Balance> for Account<'a> {
    fn from(balance: &'a Balance) -> Self {
        Self {
            name: balance.name.as_deref(),
            address: Address(balance.address),
            balance: balance.confirmed.balance.into(),
            nonce: balance.confirmed.nonce.get(),
            pending: Pending { balance: balance.pending.balance.into(), nonce: balance.pending.nonce.get() },
        }
    }
}

impl<'a> AccountPage<'a> {
    pub(super) fn new(accounts: &'a [Balance], next: Option<bard_chain::address::Address>) -> Self {
        Self { accounts: accounts.iter().map(Into::into).collect(), next: next.map(Address) }
    }
}

impl<'a> Keys<'a> {
    pub(super) fn new(all: &'a [Balance]) -> Self {
        Self { keys: all.iter().map(Into::into).collect() }
    }
}

impl<'a> Item<'a> {
    pub(super) fn new(name: &'a ItemName, holder: Option<bard_chain::address::Address>, wallet: &'a Wallet) -> Self {
        Self {
            item: name.as_str(),
            holder: holder.map(Address),
            holder_name: holder.and_then(|holder| wallet.name_of(&holder)),
        }
    }
}

impl<'a> ItemPage<'a> {
    pub(super) fn of(items: Vec<Item<'a>>, next: Option<&'a str>) -> Self {
        Self { items, next }
    }
}

impl<'a> ItemHistory<'a> {
    pub(super) fn new(item: &'a ItemName, entries: &[Handover], next: Option<Place>, wallet: &'a Wallet) -> Self {
        let name = |who: Option<bard_chain::address::Address>| who.and_then(|who| wallet.name_of(&who));
        let entry = |one: &Handover| HandoverEntry {
            action: one.action(),
            transaction: one.id.into(),
            height: one.place.height.get(),
            position: one.place.position,
            from: one.from.map(Address),
            from_name: name(one.from),
            to: one.to.map(Address),
            to_name: name(one.to),
        };
        Self {
            item: item.as_str(),
            history: entries.iter().map(entry).collect(),
            next: next.map(|place| place.to_string()),
        }
    }
}
