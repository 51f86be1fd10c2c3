//! Gossip: publishing, handing on to the node, carrying out its verdicts.

use std::{collections::VecDeque, sync::Arc};

use libp2p::{
    PeerId,
    gossipsub::{self, Message, MessageAcceptance, MessageId, PublishError, TopicHash},
};
use tracing::{debug, warn};

use super::{Driver, inflow::Amount};
use crate::{
    event::{GossipId, NetworkEvent},
    handle::Verdict,
    peers::conduct::Fault,
    wire::{
        WireError,
        compact::{self, Announcement},
        gossip,
    },
};

/// Blocks kept while nobody is there to hear them: the latest ones; all others can be asked for.
const KEPT_BLOCKS: usize = 8;
/// Batches of transactions kept likewise. When there are more, the oldest goes; the pool still has its transactions.
const KEPT_BATCHES: usize = 64;

/// Messages that nobody was there to hear.
#[derive(Default)]
pub(super) struct Outbox {
    blocks: VecDeque<Vec<u8>>,
    batches: VecDeque<Vec<u8>>,
}

fn keep(queue: &mut VecDeque<Vec<u8>>, most: usize, message: Vec<u8>) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(message);
}

impl Driver {
    /// Publishes the announcement of a block.
    pub(super) fn publish_block(&mut self, message: Vec<u8>) {
        let topic = self.names.blocks_topic().clone();
        if let Some(unheard) = self.publish(topic, message) {
            keep(&mut self.outbox.blocks, KEPT_BLOCKS, unheard);
        }
    }

    pub(super) fn publish_transactions(&mut self, transactions: Vec<Vec<u8>>) {
        for batch in gossip::encode_batches(transactions) {
            self.publish_batch(batch);
        }
    }

    fn publish_batch(&mut self, batch: Vec<u8>) {
        let topic = self.names.transactions_topic().clone();
        if let Some(unheard) = self.publish(topic, batch) {
            keep(&mut self.outbox.batches, KEPT_BATCHES, unheard);
        }
    }

    /// Publishes a message, or gives it back when nobody is there to hear it.
    fn publish(&mut self, topic: TopicHash, message: Vec<u8>) -> Option<Vec<u8>> {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.all_peers().any(|(_, topics)| topics.contains(&&topic)) {
            return Some(message);
        }
        match gossip.publish(topic, message) {
            Ok(_) | Err(PublishError::Duplicate) => {}
            // Every peer is behind by hundreds of messages; they will ask for what they miss.
            Err(PublishError::AllQueuesFull(peers)) => warn!(peers, "no peer takes more gossip at the moment"),
            Err(error) => warn!("a message could not be published: {error}"),
        }
        None
    }

    pub(super) fn report(&mut self, id: &GossipId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Reject => MessageAcceptance::Reject,
            Verdict::Ignore => MessageAcceptance::Ignore,
        };
        let now = self.now();
        if let (Verdict::Accept, Some(link)) = (verdict, self.links.get_mut(&id.source)) {
            link.useful_at = Some(now);
            link.inflow.was_of_use(id.kib());
        }
        self.settle(&id.message, &id.source, acceptance);
    }

    fn settle(&mut self, message: &MessageId, source: &PeerId, acceptance: MessageAcceptance) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.report_message_validation_result(message, source, acceptance) {
            debug!(%message, "the verdict came too late");
        }
    }

    pub(super) fn gossip_event(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.message(propagation_source, &message_id, message);
            }
            gossipsub::Event::Subscribed { topic, .. } => self.subscribed(&topic),
            gossipsub::Event::SlowPeer { peer_id, failed_messages } => {
                debug!(peer = %peer_id, ?failed_messages, "a slow peer misses gossip");
            }
            gossipsub::Event::Unsubscribed { .. } | gossipsub::Event::GossipsubNotSupported { .. } => {}
        }
    }

    /// Somebody listens: what was kept goes out.
    fn subscribed(&mut self, topic: &TopicHash) {
        if topic == self.names.blocks_topic() {
            for block in core::mem::take(&mut self.outbox.blocks) {
                self.publish_block(block);
            }
        } else if topic == self.names.transactions_topic() {
            for batch in core::mem::take(&mut self.outbox.batches) {
                self.publish_batch(batch);
            }
        }
    }

    fn message(&mut self, source: PeerId, id: &MessageId, message: Message) {
        let kib = u32::try_from(message.data.len().div_ceil(1 << 10)).unwrap_or(u32::MAX).max(1);
        let now = self.now();
        let amount = self.links.get_mut(&source).map_or(Amount::Much, |link| link.inflow.told(kib, now));
        if !self.bears(source, amount, "gossip without end") {
            return self.settle(id, &source, MessageAcceptance::Ignore);
        }
        let Ok(space) = Arc::clone(&self.space).try_acquire_many_owned(kib) else {
            debug!(%source, "too much unexamined gossip, a message is dropped");
            return self.settle(id, &source, MessageAcceptance::Ignore);
        };
        let gossip_id = GossipId { message: id.clone(), source, space: Arc::new(space) };
        match self.understand(message, source, gossip_id) {
            Err(fault) => {
                self.settle(id, &source, MessageAcceptance::Reject);
                self.penalise(source, Fault::Serious, &format!("gossip: {fault}"));
            }
            Ok(event) => {
                if self.events.try_send(event).is_err() {
                    debug!(%source, "too many events wait, a message is dropped");
                    self.settle(id, &source, MessageAcceptance::Ignore);
                }
            }
        }
    }

    fn understand(&self, message: Message, source: PeerId, id: GossipId) -> Result<NetworkEvent, WireError> {
        if message.topic == *self.names.blocks_topic() {
            Ok(match compact::read(message.data, self.max_block_len)? {
                Announcement::Whole(bytes) => NetworkEvent::Block { source, id, bytes },
                Announcement::Compact(compact) => NetworkEvent::CompactBlock { source, id, compact },
            })
        } else {
            // The topic filter lets nothing else through.
            let batch = gossip::decode_batch(&message.data, self.max_block_len)?;
            Ok(NetworkEvent::Transactions { source, id, batch })
        }
    }

    /// Whether so much of a peer is heeded. Whoever sends far too much is parted from, once a connection.
    pub(super) fn bears(&mut self, peer: PeerId, amount: Amount, reason: &str) -> bool {
        match amount {
            Amount::Fair => true,
            Amount::Much => false,
            Amount::Flood => {
                if self.links.get(&peer).is_some_and(|link| link.parting.is_none()) {
                    self.part_from(peer, reason);
                    self.penalise(peer, Fault::Serious, reason);
                }
                false
            }
        }
    }
}
