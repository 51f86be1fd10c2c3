//! What a person may ask of a node, at the console or on the command line, and the answer: both go through the API.

use serde::Serialize;

use super::{
    client::{BLOCKS_A_CALL, Client, ClientError},
    view::json::{
        Account, Admitted, Ban, Bans, Block, BlockPage, Connected, HandoverEntry, Item, ItemPage, Keys, Lifted,
        MinedBlocks, Mining, NewBan, NewKey, NewRecord, Node, Peers, PlacedTransaction, PoolPage, Proof, Protection,
        Status, Synced, TransactionPage, Transfer, Unlock, Verified,
    },
};

/// The most blocks in one answer.
pub const MAX_BLOCKS: usize = 1_000;
/// The most items in one answer, the most transactions of the pool, and the most handovers of an item.
pub const MAX_LISTED: usize = 10_000;
/// Entries of a page of all else.
const PAGE: usize = 100;

/// Which items are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemState {
    /// Those that somebody holds.
    Reserved,
    /// Those that were held once and are free.
    Available,
}

impl ItemState {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Available => "available",
        }
    }
}

/// What a person may ask. Names, addresses and hashes are still as they were typed: the node knows what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Who and where the node is.
    Node,
    /// How it is doing.
    Status,
    /// Its connected peers.
    Peers,
    /// Connect to a multiaddress, `host:port`, or the URL of a node's API.
    Connect {
        /// As typed.
        address: String,
    },
    /// Who is banned.
    Bans,
    /// Ban a peer, or change its ban.
    Ban(NewBan),
    /// End the ban of a peer, or all.
    LiftBans {
        /// Whose; all if left out.
        peer: Option<String>,
    },
    /// Mine blocks now and wait for them.
    Mine {
        /// How many.
        blocks: u32,
        /// Recorded in the first of them.
        data: Option<String>,
    },
    /// Mine continuously, or stop.
    SetMining {
        /// Whether to mine.
        enabled: bool,
        /// On how many threads; as before if left out.
        threads: Option<usize>,
    },
    /// Blocks of the active chain, by ascending height.
    Blocks {
        /// The first; the last of the chain if left out.
        from: Option<u64>,
        /// How many, [`MAX_BLOCKS`] at most.
        count: usize,
    },
    /// One block.
    Block {
        /// Its height, its hash, or `tip`.
        block: String,
    },
    /// One transaction.
    Transaction {
        /// Its id.
        id: String,
    },
    /// That a mined transaction is in its block.
    Proof {
        /// Its id.
        id: String,
    },
    /// What waits to be mined.
    Pool,
    /// Pay.
    Send {
        /// Whose money; the node's own if left out.
        from: Option<String>,
        /// To whom.
        to: String,
        /// How much, in the smallest unit.
        amount: u64,
        /// What the miner gets.
        fee: u64,
    },
    /// Put a text on record.
    Record {
        /// Who signs; the node itself if left out.
        signer: Option<String>,
        /// The text.
        text: String,
    },
    /// Take free items: all of them or none.
    RequestItems {
        /// Who takes; the node itself if left out.
        signer: Option<String>,
        /// Which.
        items: Vec<String>,
    },
    /// Give an item back.
    ReleaseItem {
        /// Who holds it; the node itself if left out.
        signer: Option<String>,
        /// Which.
        item: String,
    },
    /// Hand an item on.
    TransferItem {
        /// Who holds it; the node itself if left out.
        signer: Option<String>,
        /// Which.
        item: String,
        /// To whom.
        to: String,
    },
    /// Items that were ever named.
    Items {
        /// Which; all if left out.
        state: Option<ItemState>,
    },
    /// Who holds an item, and who held it.
    Item {
        /// Which.
        item: String,
        /// After the block at this height; at the tip if left out.
        height: Option<u64>,
    },
    /// What an account has.
    Balance {
        /// Whose; that of the node itself if left out.
        who: Option<String>,
        /// After the block at this height; at the tip if left out.
        height: Option<u64>,
    },
    /// What an account sent and got, the newest first.
    History {
        /// Whose; that of the node itself if left out.
        who: Option<String>,
    },
    /// The names the node has keys for.
    Wallets,
    /// Make a key.
    NewKey {
        /// Its name.
        name: String,
    },
    /// Open the keys with the passphrase.
    Unlock(Unlock),
    /// Forget the secrets of the keys until the passphrase is given again.
    Lock,
    /// Check the whole chain anew.
    Verify,
    /// Ask every peer now whether it knows more.
    Sync,
}

/// What comes back; as JSON it is what the API says.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "each is named as what it holds")]
pub enum Answer {
    Node(Node<'static>),
    Status(Box<Status<'static>>),
    Peers(Peers<'static>),
    Connected(Connected),
    Bans(Bans<'static>),
    Banned(Ban<'static>),
    Lifted(Lifted),
    Mined(MinedBlocks),
    Mining(Mining),
    Blocks(BlockPage<'static>),
    Block(Box<Block<'static>>),
    Transaction(Box<PlacedTransaction<'static>>),
    Transactions(TransactionPage<'static>),
    Proof(Box<Proof>),
    Pool(PoolPage<'static>),
    Admitted(Admitted<'static>),
    Items {
        #[serde(skip)]
        state: Option<ItemState>,
        #[serde(flatten)]
        page: ItemPage<'static>,
    },
    Item(ItemAndHistory),
    Account(Account<'static>),
    Keys(Keys<'static>),
    NewKey(NewKey<'static>),
    Protection(Protection),
    Verified(Verified<'static>),
    Synced(Synced),
}

/// An item, and who held it, the oldest first.
#[derive(Clone, Debug, Serialize)]
pub struct ItemAndHistory {
    /// The item.
    #[serde(flatten)]
    pub item: Item<'static>,
    /// The first handovers.
    pub history: Vec<HandoverEntry>,
    /// Where more of them begin, as `from` of the API takes it; null where these are all.
    pub next: Option<String>,
    /// The height from which on the node knows them.
    pub blocks_from: u64,
}

impl Answer {
    /// Whether there are addresses in it that a person would rather see as names.
    pub const fn has_addresses(&self) -> bool {
        matches!(
            self,
            Self::Block(_) | Self::Transaction(_) | Self::Transactions(_) | Self::Pool(_) | Self::Admitted(_)
        )
    }
}

/// The address that a host and a port make, as [`Question::Connect`] takes it.
pub fn host_and_port(host: &str, port: u16) -> String {
    // Only an IPv6 address has colons of its own.
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The name of the node's own account.
const OWN: &str = "me";

/// Asks the node.
///
/// # Errors
/// One line: what the node said, or why it said nothing.
pub async fn ask(client: &Client, question: Question) -> Result<Answer, ClientError> {
    let own = |who: Option<String>| who.unwrap_or_else(|| OWN.to_owned());
    Ok(match question {
        Question::Node => Answer::Node(client.node().await?),
        Question::Status => Answer::Status(Box::new(client.status().await?)),
        Question::Peers => Answer::Peers(client.peers().await?),
        Question::Connect { address } => Answer::Connected(client.connect(address).await?),
        Question::Bans => Answer::Bans(client.bans().await?),
        Question::Ban(new) => Answer::Banned(client.ban(&new).await?),
        Question::LiftBans { peer } => Answer::Lifted(client.lift_bans(peer).await?),
        Question::Mine { blocks, data } => Answer::Mined(client.mine(blocks, data).await?),
        Question::SetMining { enabled, threads } => Answer::Mining(client.set_mining(enabled, threads).await?),
        Question::Blocks { from, count } => Answer::Blocks(blocks(client, from, count).await?),
        Question::Block { block } => Answer::Block(Box::new(client.block(&block).await?)),
        Question::Transaction { id } => Answer::Transaction(Box::new(client.transaction(&id).await?)),
        Question::Proof { id } => Answer::Proof(Box::new(client.proof(&id).await?)),
        Question::Pool => Answer::Pool(client.pool(None, MAX_LISTED).await?),
        Question::Send { .. }
        | Question::Record { .. }
        | Question::RequestItems { .. }
        | Question::ReleaseItem { .. }
        | Question::TransferItem { .. } => Answer::Admitted(sign(client, question).await?),
        Question::Items { state } => Answer::Items { state, page: items(client, state).await? },
        Question::Item { item, height } => Answer::Item(item_and_history(client, &item, height).await?),
        Question::Balance { who, height } => Answer::Account(client.account_at(&own(who), height).await?),
        Question::History { who } => Answer::Transactions(client.account_transactions(&own(who), None, PAGE).await?),
        Question::Wallets => Answer::Keys(client.keys().await?),
        Question::NewKey { name } => Answer::NewKey(client.new_key(name).await?),
        Question::Unlock(unlock) => Answer::Protection(client.unlock(&unlock).await?),
        Question::Lock => Answer::Protection(client.lock().await?),
        Question::Verify => Answer::Verified(client.verify().await?),
        Question::Sync => Answer::Synced(client.sync().await?),
    })
}

/// What the node signs: the transactions, in its pool.
async fn sign(client: &Client, question: Question) -> Result<Admitted<'static>, ClientError> {
    let one = match question {
        Question::Send { from, to, amount, fee } => client.transfer(&Transfer { from, to, amount, fee }).await?,
        Question::Record { signer, text } => {
            client.record(&NewRecord { from: signer, text: Some(text), ..NewRecord::default() }).await?
        }
        Question::ReleaseItem { signer, item } => client.release_item(signer, &item).await?,
        Question::TransferItem { signer, item, to } => client.transfer_item(signer, &item, to).await?,
        Question::RequestItems { signer, items } => return client.request_items(signer, items).await,
        _ => return Ok(Admitted { transactions: Vec::new() }),
    };
    Ok(Admitted { transactions: vec![one] })
}

/// Blocks in as many calls as they take; those that fit into a call may be fewer than asked for.
async fn blocks(client: &Client, from: Option<u64>, count: usize) -> Result<BlockPage<'static>, ClientError> {
    let mut page = client.blocks(from, count.min(BLOCKS_A_CALL)).await?;
    if from.is_none() {
        page.blocks.reverse();
        page.next = None;
        return Ok(page);
    }
    let wanted = count.min(MAX_BLOCKS);
    while let (Some(next), Some(left @ 1..)) = (page.next, wanted.checked_sub(page.blocks.len())) {
        let more = client.blocks(Some(next), left).await?;
        page.next = more.next;
        if more.blocks.is_empty() {
            break;
        }
        page.blocks.extend(more.blocks);
    }
    Ok(page)
}

async fn items(client: &Client, state: Option<ItemState>) -> Result<ItemPage<'static>, ClientError> {
    let state = state.map(ItemState::name);
    let mut page = client.items(state, None, PAGE).await?;
    while page.items.len() < MAX_LISTED
        && let Some(next) = page.next.take()
    {
        let more = client.items(state, Some(next.into_owned()), PAGE).await?;
        page.items.extend(more.items);
        page.next = more.next;
    }
    Ok(page)
}

/// An item and its handovers, up to those of the block at a height, in as many calls as they take.
async fn item_and_history(client: &Client, item: &str, height: Option<u64>) -> Result<ItemAndHistory, ClientError> {
    let mut page = client.item_history(item, None, PAGE).await?;
    let is_wanted = |entry: &HandoverEntry| height.is_none_or(|height| entry.height <= height);
    while page.history.len() < MAX_LISTED
        && page.history.last().is_none_or(is_wanted)
        && let Some(next) = page.next.take()
    {
        let more = client.item_history(item, Some(next), PAGE).await?;
        page.history.extend(more.history);
        page.next = more.next;
    }
    if !page.history.last().is_none_or(is_wanted) {
        page.next = None;
        page.history.retain(is_wanted);
    }
    let item = client.item_at(item, height).await?;
    Ok(ItemAndHistory { item, history: page.history, next: page.next, blocks_from: page.blocks_from })
}
