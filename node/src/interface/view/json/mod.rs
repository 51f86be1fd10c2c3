//! Replies as JSON, as the outer contract has them: amounts are integers, hashes hex, addresses bech32m, times RFC 3339.
//!
//! Each is a type that says what it is in the description of the API too, so that the two cannot differ.

mod account;
mod bans;
mod block;
mod node;
mod primitive;
mod proof;
mod request;
mod spec;

use bard_chain::transaction::ItemName;
use serde::Serialize;

pub use self::{
    account::{Account, AccountPage, HandoverEntry, Item, ItemHistory, ItemPage, Keys, NewKey, Pending, Protection},
    bans::{Ban, Bans, Departed, Judge, Lifted},
    block::{
        Action, Admitted, Block, BlockOutcome, BlockPage, BlockTaken, BlockVerdict, Forks, Header, KnownBlock,
        MinedBlock, MinedBlocks, PlaceInBlock, PlacedTransaction, PoolPage, PoolState, Transaction, TransactionPage,
        TransactionTaken,
    },
    node::{
        Chain, Connected, Direction, ItemCounts, Lab, Mining, Node, Peer, Peers, PoolSize, Status, SyncProgress,
        Synced, Verified,
    },
    primitive::{Address, Amount, Cbor, Digits, Hash, Hex, MAX_EXACT, Time},
    proof::Proof,
    request::{
        HexBlock, ItemRequests, ItemTransfer, Mine, NewBan, NewKeyName, NewPeer, NewRecord, SetLab, SetMining, Signer,
        Submission, Transfer, Unlock,
    },
    spec::{Allocation, Spec, Subsidy},
};
use crate::{
    application::reply::{Answered, Reply},
    wallet::Wallet,
};

/// Where the blocks of a node begin that does not say: it has all of them.
const fn first() -> u64 {
    1
}

/// Any reply.
#[derive(Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "each is named as what it holds")]
pub enum View<'a> {
    Node(Node<'a>),
    Status(Box<Status<'a>>),
    Peers(Peers<'a>),
    Bans(Bans<'a>),
    Ban(Ban<'a>),
    Lifted(Lifted),
    Connected(Connected),
    MinedBlocks(MinedBlocks),
    Mining(Mining),
    Lab(Lab),
    BlockPage(BlockPage<'a>),
    Block(Box<Block<'a>>),
    Header(Box<Header>),
    Hex(Hex<'a>),
    Forks(Forks),
    BlockTaken(BlockTaken),
    Taken(Vec<Option<TransactionTaken>>),
    Transaction(Box<PlacedTransaction<'a>>),
    TransactionPage(TransactionPage<'a>),
    Proof(Box<Proof>),
    PoolPage(PoolPage<'a>),
    Admitted(Admitted<'a>),
    ItemPage(ItemPage<'a>),
    Item(Item<'a>),
    ItemHistory(ItemHistory<'a>),
    AccountPage(AccountPage<'a>),
    Account(Account<'a>),
    Keys(Keys<'a>),
    NewKey(NewKey<'a>),
    Protection(Protection),
    Verified(Verified<'a>),
    Synced(Synced),
    Spec(Box<Spec<'a>>),
}

/// The JSON of a reply.
pub fn reply<'a>(reply: &'a Reply, wallet: &'a Wallet) -> View<'a> {
    match reply {
        Reply::Node(one) => View::Node(one.as_ref().into()),
        Reply::Status(one) => View::Status(Box::new((&**one).into())),
        Reply::Peers(all) => View::Peers(Peers::new(all)),
        Reply::Bans(all) => View::Bans(Bans::new(all)),
        Reply::Banned(one) => View::Ban(one.into()),
        Reply::Lifted(lifted) => View::Lifted(Lifted { lifted: *lifted }),
        Reply::Connected(id) | Reply::Disconnected(id) => View::Connected(Connected::new(id)),
        Reply::Mined(all) => View::MinedBlocks(MinedBlocks::new(all)),
        Reply::Mining(activity) => View::Mining(activity.into()),
        Reply::Lab(lab) => View::Lab(lab.into()),
        Reply::Blocks { blocks, next } => View::BlockPage(BlockPage::new(blocks, *next)),
        Reply::Block(one) => View::Block(Box::new(one.into())),
        Reply::Header(one) => View::Header(Box::new(Header::new(one.id, &one.header))),
        Reply::RawBlock { bytes, .. } => View::Hex(Hex(std::borrow::Cow::Borrowed(bytes))),
        Reply::Forks(tree) => View::Forks(tree.into()),
        Reply::BlockAccepted(accepted) => View::BlockTaken(accepted.into()),
        Reply::Answers(all) => View::Taken(all.iter().map(|one: &Answered| TransactionTaken::of(one)).collect()),
        Reply::Transaction(one) => View::Transaction(Box::new((&**one).into())),
        Reply::Transactions { transactions, next, blocks_from } => {
            View::TransactionPage(TransactionPage::new(transactions, *next, *blocks_from))
        }
        Reply::Proof(proof) => View::Proof(Box::new((&**proof).into())),
        Reply::Receipt { receipt, .. } => View::Hex(Hex(receipt.to_bytes().into())),
        Reply::PoolPage { transactions, next } => View::PoolPage(PoolPage::new(transactions, *next)),
        Reply::Admitted(all) => View::Admitted(Admitted::new(all)),
        Reply::ItemsPage { items, next } => {
            let all = items.iter().map(|item| Item::new(&item.name, item.holder, wallet));
            View::ItemPage(ItemPage::of(all.collect(), next.as_ref().map(ItemName::as_str)))
        }
        Reply::Item(item) => {
            let height = item.height.map(bard_chain::units::Height::get);
            View::Item(Item { height, ..Item::new(&item.name, item.holder, wallet) })
        }
        Reply::ItemHistory { item, entries, next, blocks_from } => {
            View::ItemHistory(ItemHistory::new(item, entries, (*next, *blocks_from), wallet))
        }
        Reply::Accounts { accounts, next } => View::AccountPage(AccountPage::new(accounts, *next)),
        Reply::Balance(one) => View::Account(one.into()),
        Reply::Wallets(all) => View::Keys(Keys::new(all, wallet.protection())),
        Reply::NewKey { name, address } => View::NewKey(NewKey::new(name, *address)),
        Reply::Protection(protection) => View::Protection((*protection).into()),
        Reply::Verified(one) => View::Verified(one.into()),
        Reply::Synced(summary, height) => View::Synced(Synced::new(summary, height.get())),
        Reply::Spec(spec) => View::Spec(Box::new((&**spec).into())),
    }
}
