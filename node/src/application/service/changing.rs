//! What changes something: transactions, blocks, connections.
//!
//! Whoever asked may go away at any moment. What was taken is told to the others all the same: the two are done in a task
//! of their own.

use std::sync::Arc;

use bard_chain::{
    address::Address,
    encoding,
    engine::Outcome,
    mempool::PoolRefusal,
    rules::isolated::CheckedTransaction,
    signature::SecretKey,
    transaction::{Action, ItemName, Transaction},
    units::{Amount, Nonce},
};
use bard_protocol::PeerId;

use super::{Failure, FailureKind, Service, TEXT};
use crate::{
    application::reply::Reply,
    clock,
    keeper::Accepted,
    miner,
    wallet::{self, OWN_NAME},
};

/// The most threads that a miner may be told to use.
const MAX_THREADS: usize = 256;

pub(super) fn malformed(what: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Malformed, what)
}

/// Does something to its end, whoever waits for it.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    let cut_off = |_| Err(Failure::new(FailureKind::Unavailable, "the node is stopping"));
    tokio::spawn(work).await.unwrap_or_else(cut_off)
}

impl Service {
    pub(super) async fn mine(&self, blocks: u32, data: Option<String>) -> Result<Reply, Failure> {
        if blocks == 0 || blocks > miner::MAX_BLOCKS {
            return Err(malformed(format!("blocks: {blocks} is not in 1 to {}", miner::MAX_BLOCKS)));
        }
        self.check_room(0, blocks)?;
        if let Some(text) = data {
            self.record(None, TEXT.to_owned(), text.into_bytes(), Amount::ZERO).await?;
        }
        let mined = self.parts().miner.mine(blocks).await?;
        if mined.len() < blocks as usize {
            self.check_room(mined.len(), blocks)?;
            self.check_clock(mined.len(), blocks)?;
        }
        Ok(Reply::Mined(mined))
    }

    /// Where the disk is nearly full, or the index is being checked, mining ends before all the blocks were mined that somebody asked for.
    pub(super) fn check_room(&self, mined: usize, blocks: u32) -> Result<(), Failure> {
        match self.parts().keeper.space().why_not_mined() {
            None => Ok(()),
            Some(why) => {
                Err(Failure::new(FailureKind::Unavailable, format!("{mined} of {blocks} blocks were mined: {why}")))
            }
        }
    }

    /// So it does where the next block would be refused for its time.
    fn check_clock(&self, mined: usize, blocks: u32) -> Result<(), Failure> {
        let Some(time) = self.parts().miner.activity().too_early_for else { return Ok(()) };
        let time = clock::rfc3339(time);
        Err(Failure::new(
            FailureKind::Unavailable,
            format!(
                "{mined} of {blocks} blocks were mined: the next one's time would be {time}, further ahead of this machine's clock \
                 than the chain allows: check the clock"
            ),
        ))
    }

    pub(super) async fn set_mining(&self, enabled: bool, threads: Option<usize>) -> Result<Reply, Failure> {
        if let Some(threads) = threads.filter(|threads| !(1..=MAX_THREADS).contains(threads)) {
            return Err(malformed(format!("threads: {threads} is not in 1 to {MAX_THREADS}")));
        }
        self.parts().miner.set_continuous(enabled, threads).await?;
        let before = self.parts().miner.activity();
        let threads = threads.unwrap_or(before.threads);
        Ok(Reply::Mining(miner::Activity { continuous: enabled, threads, ..before }))
    }

    pub(super) async fn disconnect(&self, peer: &str) -> Result<Reply, Failure> {
        let id: PeerId = peer.parse().map_err(|_| malformed(format!("{peer:?} is not a peer id")))?;
        if !self.parts().network.peers().borrow().iter().any(|connected| connected.id == id) {
            return Err(Failure::new(FailureKind::NotFound, format!("{id} is not connected")));
        }
        self.parts().network.disconnect(id).await;
        Ok(Reply::Disconnected(id))
    }

    pub(super) async fn send(
        &self,
        from: Option<String>,
        to: &str,
        amount: Amount,
        fee: Amount,
    ) -> Result<Reply, Failure> {
        let to = self.address("to", to)?;
        self.sign_and_submit(from, fee, vec![Action::Transfer { to, amount }]).await
    }

    pub(super) async fn record(
        &self,
        signer: Option<String>,
        content_type: String,
        bytes: Vec<u8>,
        fee: Amount,
    ) -> Result<Reply, Failure> {
        self.sign_and_submit(signer, fee, vec![Action::Record { content_type, bytes }]).await
    }

    pub(super) async fn request_items(&self, signer: Option<String>, items: Vec<String>) -> Result<Reply, Failure> {
        let request = |item| Action::ItemRequest { item: ItemName::new(item) };
        self.sign_and_submit(signer, Amount::ZERO, items.into_iter().map(request).collect()).await
    }

    pub(super) async fn release_item(&self, signer: Option<String>, item: String) -> Result<Reply, Failure> {
        let action = Action::ItemRelease { item: ItemName::new(&item) };
        let released = self.sign_and_submit(signer, Amount::ZERO, vec![action]).await;
        released.map_err(|failure| self.with_meant_item(failure, &item))
    }

    pub(super) async fn transfer_item(&self, signer: Option<String>, item: String, to: &str) -> Result<Reply, Failure> {
        let to = self.address("to", to)?;
        let action = Action::ItemTransfer { item: ItemName::new(&item), to };
        let handed_on = self.sign_and_submit(signer, Amount::ZERO, vec![action]).await;
        handed_on.map_err(|failure| self.with_meant_item(failure, &item))
    }

    /// The address that a field's name or address means.
    fn address(&self, field: &str, text: &str) -> Result<Address, Failure> {
        self.parts().wallet.address(text).map_err(|error| malformed(format!("{field}: {error}")))
    }

    pub(super) async fn sign_and_submit(
        &self,
        signer: Option<String>,
        fee: Amount,
        actions: Vec<Action>,
    ) -> Result<Reply, Failure> {
        actions.iter().try_for_each(wallet::check_recipient).map_err(malformed)?;
        let key = self.parts().wallet.key(signer.as_deref().unwrap_or(OWN_NAME));
        let key = key.map_err(|error| {
            let Failure { kind, message } = Failure::from(error);
            Failure::new(kind, if kind == FailureKind::Locked { message } else { format!("from: {message}") })
        })?;
        let service = self.clone();
        to_the_end(async move { service.submit_signed_by(&key, fee, actions).await }).await
    }

    /// Signs actions as transactions one after the other and puts all of them in the pool, or none.
    async fn submit_signed_by(&self, key: &SecretKey, fee: Amount, actions: Vec<Action>) -> Result<Reply, Failure> {
        let turn = self.0.signing.lock().await;
        let keeper = &self.parts().keeper;
        let mut nonce = {
            let pool = keeper.pool();
            pool.next_nonce(&key.address(), keeper.reader())?
        };
        let mut signed = Vec::with_capacity(actions.len());
        for action in actions {
            signed.push(self.sign(key, nonce, fee, action));
            nonce = nonce.next().unwrap_or(nonce);
        }
        let checked: Vec<Arc<CheckedTransaction>> = keeper
            .check_transactions(signed)
            .await?
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|fault| Failure::from(PoolRefusal::from(fault)))?;
        keeper.admit_all(checked.clone()).await?.map_err(|(_, refusal)| Failure::from(refusal))?;
        // The next may sign meanwhile, and share the write.
        drop(turn);
        let kept = self.parts().journal.keep(&checked).await;
        self.parts().relay.announce_transactions(checked.clone()).await;
        kept?;
        Ok(Reply::Admitted(checked))
    }

    fn sign(&self, key: &SecretKey, nonce: Nonce, fee: Amount, action: Action) -> Vec<u8> {
        encoding::encode(&Transaction::sign(self.parts().keeper.chain(), key, nonce, fee, action))
    }

    /// Takes a block that was sealed elsewhere.
    pub(super) async fn submit_block(&self, bytes: Vec<u8>) -> Result<Reply, Failure> {
        let service = self.clone();
        to_the_end(async move {
            let accepted: Accepted = service.parts().keeper.accept(bytes.as_slice()).await??;
            if let Outcome::BranchRefused { at, reason } = &accepted.outcome {
                let what = format!("its branch has more work, but block {at} of it breaks a rule: {reason}");
                return Err(Failure::new(FailureKind::Invalid, what));
            }
            // On a side branch nobody has looked yet at what it does.
            if accepted.outcome != Outcome::SideBranch {
                service.parts().relay.announce_block(bytes).await;
            }
            Ok(Reply::BlockAccepted(accepted))
        })
        .await
    }
}
