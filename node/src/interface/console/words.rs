//! What completion offers besides commands: names, items and addresses of the node, asked for beside the conversation, so that
//! the editor never waits for the node.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::Notify;

use crate::interface::client::{Client, ClientError};

/// The most names that are offered.
const MAX_NAMES: usize = 1_000;
/// The most items, and how many of them a call brings.
const MAX_ITEMS: usize = 500;
const ITEMS_A_CALL: usize = 100;
/// The most addresses: those of peers that are connected, then of those that were. The oldest are forgotten first.
const MAX_ADDRESSES: usize = 64;
/// How long until they are asked for again, however much happens.
const PAUSE: Duration = Duration::from_millis(500);

/// Names, items and addresses as the node last told them. The conversation asks for them anew, the editor reads them.
#[derive(Debug, Default)]
pub(super) struct Words {
    known: RwLock<Arc<Known>>,
    stale: Notify,
}

/// What the node told.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) names: Vec<String>,
    pub(super) items: Vec<Item>,
    pub(super) addresses: Vec<String>,
}

/// An item, and whether somebody holds it.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) held: bool,
}

impl Words {
    /// As last told.
    pub(super) fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Something happened that may have changed them.
    pub(super) fn outdated(&self) {
        self.stale.notify_one();
    }

    /// Asks the node for them, now and whenever they may have changed.
    pub(super) async fn keep(&self, client: &Client) -> Infallible {
        loop {
            // A node that does not answer now is asked again with the next news.
            if let Ok(known) = ask(client, &self.known()).await {
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
            }
            tokio::time::sleep(PAUSE).await;
            self.stale.notified().await;
        }
    }
}

async fn ask(client: &Client, before: &Known) -> Result<Known, ClientError> {
    let keys = client.keys().await?.keys;
    let names = keys.into_iter().filter_map(|key| key.name).take(MAX_NAMES).map(Into::into).collect();
    let mut items = Vec::new();
    let mut after = None;
    while items.len() < MAX_ITEMS {
        let page = client.items(None, after, ITEMS_A_CALL).await?;
        items.extend(page.items.into_iter().map(|item| Item { held: item.holder.is_some(), name: item.item.into() }));
        after = page.next.map(Into::into);
        if after.is_none() {
            break;
        }
    }
    let connected = client.peers().await?.peers.into_iter().filter_map(|peer| peer.addresses.into_iter().next());
    let mut addresses: Vec<String> = Vec::new();
    for address in connected.chain(before.addresses.iter().cloned()) {
        if addresses.len() < MAX_ADDRESSES && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(Known { names, items, addresses })
}
