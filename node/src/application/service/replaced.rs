//! What only the calls of the programs that BlockBard replaces ask for: see `docs/replaced-programs.md`.

use std::{sync::Arc, time::Duration};

use bard_chain::{
    source::Source,
    transaction::Action,
    units::{Amount, Height},
};
use bard_protocol::{Candidate, Origin};
use futures::StreamExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{Failure, FailureKind, Reply, Service, reply, shared::Shared};
use crate::{
    catch_up,
    meeting::{AddError, HostPort, Place},
    wallet::{self, OWN_NAME},
};

/// Orders to mine that go on though nobody waits for them; one more is refused before anything is recorded.
const MINING_SOON: usize = 1_024;
/// Blocks mined for one order until its transactions are in: more than it takes to empty the fullest pool.
const MAX_ROUNDS: usize = 64;
/// How long a caller waits for a block. It is mined all the same when it takes longer, or when the caller goes away.
const MINING_DEADLINE: Duration = Duration::from_secs(60);
/// How long nodes that were registered just now may take to be connected, all together.
const MEET_DEADLINE: Duration = Duration::from_secs(5);
/// Nodes waited for at the same time.
const MEET_AT_ONCE: usize = 8;
/// When to ask again where nobody could be asked.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// How long asking every peer may take.
const SYNC_DEADLINE: Duration = Duration::from_secs(60);
/// Answers with the whole chain that are made at once: each holds a part of it. One more waits for a place, a little.
const WHOLE_CHAINS: usize = 16;
/// How long.
const WHOLE_CHAIN_WAIT: Duration = Duration::from_secs(5);
/// How long a check of the chain waits for the one before it.
const VERDICT_WAIT: Duration = Duration::from_secs(60);
/// The account of the `dev` chain that an old program's `genesis` stands for: the one that its examples do not name.
const GENESIS_STANDS_FOR: &str = "dave";

/// The content type of a record that is a JSON value.
const JSON: &str = "application/json";

/// What one caller must not do as often as it likes.
pub(super) struct Limits {
    mining_soon: Arc<Semaphore>,
    whole_chains: Arc<Semaphore>,
    /// A check of the whole chain is one at a time: it takes every core.
    verdict: Shared<reply::Verified>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mining_soon: Arc::new(Semaphore::new(MINING_SOON)),
            whole_chains: Arc::new(Semaphore::new(WHOLE_CHAINS)),
            verdict: Shared::default(),
        }
    }
}

/// What goes on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Of what type the bytes are.
    pub content_type: String,
    /// What is recorded.
    pub bytes: Vec<u8>,
}

impl Recorded {
    /// A text as it is, anything else as JSON.
    pub fn value(value: &serde_json::Value) -> Self {
        match value {
            // Nothing could be told from a record without a byte.
            serde_json::Value::String(text) if !text.is_empty() => {
                Self { content_type: super::TEXT.to_owned(), bytes: text.clone().into_bytes() }
            }
            other => Self { content_type: JSON.to_owned(), bytes: other.to_string().into_bytes() },
        }
    }

    fn action(self) -> Action {
        Action::Record { content_type: self.content_type, bytes: self.bytes }
    }
}

/// What came of asking everybody.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Whether this node has another tip than before.
    pub replaced: bool,
    /// What asking came to; `None` where it took too long to wait for.
    pub summary: Option<catch_up::Summary>,
}

impl Service {
    /// Puts something on record by the node's own key, and has a block mined afterwards that nobody waits for.
    ///
    /// # Errors
    /// [`Failure`]; then nothing is recorded.
    pub async fn record_and_mine_soon(&self, record: Recorded) -> Result<(), Failure> {
        let place = self.mining_place()?;
        self.check_room(0, 1)?;
        self.sign_and_submit(None, Amount::ZERO, vec![record.action()]).await?;
        let miner = self.parts().miner.clone();
        tokio::spawn(async move {
            // An error says that the node stops; the record waits in the pool of others.
            let _ = miner.mine(1).await;
            drop(place);
        });
        Ok(())
    }

    /// Puts something on record by the node's own key, all or none, and mines until the last of it is in a block.
    ///
    /// # Errors
    /// [`Failure`]: where it takes longer than a caller waits, it is mined all the same.
    pub async fn record_and_mine(&self, records: Vec<Recorded>) -> Result<reply::Block, Failure> {
        let place = self.mining_place()?;
        self.check_room(0, 1)?;
        let actions = records.into_iter().map(Recorded::action).collect();
        let admitted = self.sign_and_submit(None, Amount::ZERO, actions).await?;
        let Reply::Admitted(admitted) = admitted else { return Err(no_block()) };
        let Some(last) = admitted.last().map(|one| one.id()) else { return Err(no_block()) };
        let service = self.clone();
        let mined = async move {
            let _place = place;
            for _ in 0..MAX_ROUNDS {
                let mined = service.parts().miner.mine(1).await?;
                if let Some((height, _)) = service.parts().keeper.reader().transaction(&last)? {
                    return service.block_at(height).await;
                }
                if mined.is_empty() {
                    service.check_room(0, 1)?;
                }
            }
            Err(no_block())
        };
        meanwhile(MINING_DEADLINE, mined).await.unwrap_or_else(|| Err(not_mined()))
    }

    /// Mines a block of what is in the pool; `None` where that is nothing.
    ///
    /// # Errors
    /// [`Failure`]: where it takes longer than a caller waits, it is mined all the same.
    pub async fn mine_pool(&self) -> Result<Option<reply::Block>, Failure> {
        if self.parts().keeper.pool().is_empty() {
            return Ok(None);
        }
        let place = self.mining_place()?;
        self.check_room(0, 1)?;
        let service = self.clone();
        let mined = async move {
            let _place = place;
            let mined = service.parts().miner.mine(1).await?;
            let Some(last) = mined.last() else {
                service.check_room(0, 1)?;
                return Err(no_block());
            };
            service.block_at(last.height).await.map(Some)
        };
        meanwhile(MINING_DEADLINE, mined).await.unwrap_or_else(|| Err(not_mined()))
    }

    /// A place among the orders to mine that go on by themselves.
    fn mining_place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.0.replaced.mining_soon).try_acquire_owned().map_err(|_| {
            let message = format!("{MINING_SOON} blocks are waiting to be mined already; try again in a second");
            Failure::new(FailureKind::Unavailable, message)
        })
    }

    async fn block_at(&self, height: Height) -> Result<reply::Block, Failure> {
        let block = super::Command::Block { block: crate::application::BlockChoice::Height(height) };
        match self.execute(block).await? {
            Reply::Block(block) => Ok(block),
            _ => Err(no_block()),
        }
    }

    /// The height of the chain, and what the next block's miner gets besides the fees.
    pub fn height_and_reward(&self) -> (Height, Amount) {
        let keeper = &self.parts().keeper;
        let height = keeper.tip().height;
        (height, keeper.spec().subsidy.at(height.next().unwrap_or(height)))
    }

    /// Transactions that wait to be mined.
    pub fn pool_len(&self) -> usize {
        self.parts().keeper.pool().len()
    }

    /// A place among the answers with the whole chain, which is theirs until it is dropped.
    ///
    /// # Errors
    /// Where none is free, and none becomes free.
    pub async fn whole_chain_place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let place = Arc::clone(&self.0.replaced.whole_chains).acquire_owned();
        match tokio::time::timeout(WHOLE_CHAIN_WAIT, place).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => {
                let message = format!("{WHOLE_CHAINS} answers with the whole chain are under way; try again later");
                Err(Failure::new(FailureKind::Unavailable, message))
            }
        }
    }

    /// Refuses where this node does not have every block.
    ///
    /// # Errors
    /// Where it began with a later state.
    pub fn check_whole(&self) -> Result<(), Failure> {
        Ok(self.parts().keeper.reader().check_held(Height::new(1))?)
    }

    /// Blocks of the active chain from a height up to another, until they have so many bytes together; at least one where
    /// there is one.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub async fn chain_part(&self, from: Height, last: Height, bytes: usize) -> Result<Vec<reply::Block>, Failure> {
        let read = move |service: &Self| {
            let reader = service.parts().keeper.reader();
            let (mut blocks, mut length) = (Vec::new(), 0_usize);
            for height in from.get()..=last.get() {
                let Some(id) = reader.id_at(Height::new(height))? else { break };
                let block = reader.block(&id)?;
                length = length.saturating_add(block.bytes().len());
                blocks.push(reply::Block { block, active: true });
                if length >= bytes {
                    break;
                }
            }
            Ok(Reply::Blocks { blocks, next: None })
        };
        match self.blocking(read).await? {
            Reply::Blocks { blocks, .. } => Ok(blocks),
            _ => Ok(Vec::new()),
        }
    }

    /// Checks the whole chain; those who come meanwhile wait, and share one verdict.
    ///
    /// # Errors
    /// [`Failure`]; also where the check before takes too long to wait for.
    pub async fn verify_alone(&self) -> Result<reply::Verified, Failure> {
        let check = async {
            match self.execute(super::Command::Verify).await? {
                Reply::Verified(verified) => Ok(verified),
                _ => Err(Failure::new(FailureKind::Internal, "the check gave no answer")),
            }
        };
        let busy = || Failure::new(FailureKind::Unavailable, "the chain is being checked already; try again later");
        self.0.replaced.verdict.answer(VERDICT_WAIT, check).await.unwrap_or_else(|| Err(busy()))
    }

    /// Waits a little for registered nodes that are not connected yet, asks every peer, and follows whoever has more work.
    ///
    /// # Errors
    /// Where the node stops.
    pub async fn resolve(&self) -> Result<Resolved, Failure> {
        let before = self.parts().keeper.tip().id;
        let end = Instant::now() + MEET_DEADLINE;
        let nodes = futures::stream::iter(self.parts().meeting.http_nodes());
        let meeting = nodes.for_each_concurrent(MEET_AT_ONCE, |node| self.meet(node));
        let met = tokio::time::timeout_at(end, meeting).await.is_ok() && !self.parts().meeting.http_nodes().is_empty();
        let mut summary = self.ask_everybody().await?;
        // A peer that came this moment may not be ready for questions yet.
        while met && summary.as_ref().is_some_and(|summary| summary.asked == 0 || !summary.problems.is_empty()) {
            if Instant::now() + ASK_AGAIN > end {
                break;
            }
            tokio::time::sleep(ASK_AGAIN).await;
            summary = self.ask_everybody().await?;
        }
        Ok(Resolved { replaced: self.parts().keeper.tip().id != before, summary })
    }

    async fn ask_everybody(&self) -> Result<Option<catch_up::Summary>, Failure> {
        match tokio::time::timeout(SYNC_DEADLINE, self.parts().catch_up.sync()).await {
            Ok(summary) => Ok(Some(summary?)),
            Err(_) => Ok(None),
        }
    }

    /// Has a registered node asked now rather than when it is due, and waits until it is connected. It is not dialled from
    /// here: of two connections that are made at once, one is closed again.
    async fn meet(&self, node: HostPort) {
        // A full queue says that it is about to be asked anyway; who cannot be reached is named in the log.
        let _ = self.parts().meeting.add_http_node(&node.url("/"));
        let Ok(Candidate { peer: Some(peer), .. }) = self.parts().meeting.ask(&node, Origin::Manual).await else {
            return;
        };
        let mut peers = self.parts().network.peers();
        // An error says that the network has ended.
        let _ = peers.wait_for(|peers| peers.iter().any(|known| known.id == peer)).await;
    }

    /// The nodes that are known by HTTP addresses, as `host:port`.
    pub fn http_nodes(&self) -> Vec<String> {
        self.parts().meeting.http_nodes().iter().map(ToString::to_string).collect()
    }

    /// Has nodes asked and connected to whose APIs are at these places, `host:port` or `http://host:port`; all or, where one
    /// is no such place, none. The node's own address is left out.
    ///
    /// # Errors
    /// [`Failure`] names what is wrong with which.
    pub fn add_http_nodes(&self, places: &[String]) -> Result<(), Failure> {
        let read = |text: &String| match Place::parse(text.trim().trim_end_matches('/')) {
            Ok(Place::HostPort(place) | Place::Api(place)) => Ok(place),
            Ok(Place::Multiaddr(_)) | Err(_) => {
                let shown: String = text.chars().take(80).collect();
                let message =
                    format!("{shown:?} is not the address of a node's API: expected http://HOST:PORT or HOST:PORT");
                Err(Failure::new(FailureKind::Malformed, message))
            }
        };
        let places = places.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        for place in places.iter().filter(|place| !self.is_own(place)) {
            self.parts().meeting.add_http_node(&place.url("/")).map_err(|error| {
                let kind = match &error {
                    AddError::NotAUrl(_) => FailureKind::Malformed,
                    AddError::Full => FailureKind::Conflict,
                    AddError::Busy => FailureKind::Unavailable,
                };
                Failure::new(kind, format!("{place}: {error}"))
            })?;
        }
        Ok(())
    }

    /// Whether a place is this node's own API, as far as its name tells; where it does not, asking it will.
    fn is_own(&self, place: &HostPort) -> bool {
        let own = self.parts().api;
        let same_ip = place.host().parse().is_ok_and(|ip: std::net::IpAddr| ip == own.ip());
        place.port() == own.port()
            && (same_ip || place.is_loopback() && (own.ip().is_loopback() || own.ip().is_unspecified()))
    }

    /// Whether names that nobody knows become keys when old calls use them.
    fn makes_keys_on_use(&self) -> bool {
        self.parts().keeper.spec().name == "dev"
    }

    /// The name or address that a name in an old call means.
    fn meant<'a>(&self, name: &'a str) -> &'a str {
        match name {
            "miner" => OWN_NAME,
            "genesis" if self.makes_keys_on_use() => GENESIS_STANDS_FOR,
            other => other,
        }
    }

    /// The account that a name or an address in an old call means. On the `dev` chain a name that nobody knows becomes a key.
    ///
    /// # Errors
    /// [`Failure`]: no such name, and none that a key may have.
    pub async fn account_for_use(&self, name: &str) -> Result<String, Failure> {
        let meant = self.meant(name).to_owned();
        if self.parts().wallet.address(&meant).is_err() && self.makes_keys_on_use() && wallet::is_name(&meant) {
            // Another request may have made it meanwhile: then the name is known now.
            match self.execute(super::Command::NewKey { name: meant.clone() }).await {
                Err(failure) if !self.parts().wallet.has(&meant) => return Err(failure),
                _ => {}
            }
        }
        self.parts().wallet.address(&meant)?;
        Ok(meant)
    }

    /// What the account has that a name or an address in an old call means. On the `dev` chain a name that nobody knows has
    /// nothing; looking makes no key.
    ///
    /// # Errors
    /// [`Failure`]: no such name.
    pub fn balance_of(&self, name: &str) -> Result<Option<reply::Balance>, Failure> {
        let meant = self.meant(name);
        match self.parts().wallet.address(meant) {
            Ok(address) => self.balance(address).map(Some),
            Err(_) if self.makes_keys_on_use() && wallet::is_name(meant) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The old names of accounts, each with what its account has.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn old_balances(&self) -> Result<Vec<(&'static str, reply::Balance)>, Failure> {
        let names =
            ["miner", "genesis"].into_iter().filter(|name| self.parts().wallet.address(self.meant(name)).is_ok());
        let balance = |name| Ok((name, self.balance(self.parts().wallet.address(self.meant(name))?)?));
        names.map(balance).collect()
    }
}

/// Does something to its end, and waits for it only so long: `None` where it goes on then.
async fn meanwhile<T: Send + 'static>(
    patience: Duration,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Option<Result<T, Failure>> {
    let stopping = |_| Err(Failure::new(FailureKind::Unavailable, "the node is stopping"));
    tokio::time::timeout(patience, tokio::spawn(work)).await.ok().map(|ended| ended.unwrap_or_else(stopping))
}

fn not_mined() -> Failure {
    Failure::new(FailureKind::Unavailable, "the block is not mined yet; mining goes on, look at GET /chain later")
}

/// Mining has ended without what was asked for.
fn no_block() -> Failure {
    let message = "the block was not mined; what is on its way to it waits in the pool: look at GET /api/v1/pool";
    Failure::new(FailureKind::Unavailable, message)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_takes_longer_than_a_caller_waits_goes_on() {
        let (go, wait) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let work = async move {
            let _ = wait.await;
            let _ = tell.send(7);
            Ok(7)
        };
        assert_eq!(meanwhile(Duration::from_millis(1), work).await, None);
        go.send(()).expect("it goes on");
        assert_eq!(told.await, Ok(7));
        assert_eq!(meanwhile(Duration::from_secs(60), async { Ok(8) }).await, Some(Ok(8)));
    }
}
