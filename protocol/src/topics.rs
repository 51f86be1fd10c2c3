//! The names a chain gives to its protocols and topics, and how gossip behaves.
//!
//! The chain is in every name, so that nodes of different chains never hand each other a message. gossipsub itself keeps
//! its standard protocol ids: under names of its own rust-libp2p would lose version 1.2 and with it IDONTWANT.

use core::time::Duration;
use std::{collections::HashSet, io};

use bard_chain::hash::ChainId;
use libp2p::{
    StreamProtocol,
    gossipsub::{
        self, ConfigBuilder, ConfigBuilderError, DataTransform, IdentTopic, IdentityTransform, Message,
        MessageAuthenticity, MessageId, RawMessage, TopicHash, ValidationMode, WhitelistSubscriptionFilter,
    },
};

use crate::{config::NetworkError, wire::limits::gossip_transmit_len};

/// The version in all names. Nodes of different versions do not understand each other.
const VERSION: u32 = 1;

/// What precedes the chain id in what a node says of itself.
const SOFTWARE: &str = "blockbard/1";

/// What a meeting point says of itself, whatever chains it serves.
pub(crate) const MEETING_POINT: &str = "blockbard-meeting/1";

/// What somebody says who only looks who is there.
pub(crate) const INQUIRER: &str = "blockbard-inquiry/1";

/// The BLAKE3 context of message ids.
const MESSAGE_ID_CONTEXT: &str = "blockbard 2026 v1 gossip message id";

/// Ids of messages that are offered or asked for at once: 34 bytes each.
const MAX_OFFERED: usize = 400;

/// gossipsub with the topics of one chain.
pub(crate) type Gossip = gossipsub::Behaviour<OwnTopics, WhitelistSubscriptionFilter>;

/// Lets messages of the chain's own topics in, and no others: gossipsub itself would keep those for a while, unseen and
/// unbounded. The filter of subscriptions does not concern messages.
#[derive(Clone, Debug)]
pub(crate) struct OwnTopics(HashSet<TopicHash>);

impl DataTransform for OwnTopics {
    fn inbound_transform(&self, raw: RawMessage) -> io::Result<Message> {
        if self.0.contains(&raw.topic) {
            IdentityTransform.inbound_transform(raw)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a topic of this chain"))
        }
    }

    fn outbound_transform(&self, topic: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        IdentityTransform.outbound_transform(topic, data)
    }
}

/// The names of one chain.
#[derive(Clone, Debug)]
pub struct Names {
    chain: ChainId,
    blocks: TopicHash,
    transactions: TopicHash,
}

/// What a peer's protocol version says about its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kinship {
    /// Our chain.
    Ours,
    /// A BlockBard node of another chain, named by its id.
    OtherChain(ChainId),
    /// A place to meet, of no chain: it has no blocks, and is no peer.
    MeetingPoint,
    /// Somebody who only looks who is there, and leaves.
    Inquirer,
    /// Another kind of software, named as it names itself.
    Stranger(String),
}

impl Names {
    /// The names of `chain`.
    pub fn new(chain: ChainId) -> Self {
        let topic = |kind: &str| TopicHash::from_raw(format!("/blockbard/{}/{kind}/{VERSION}", chain.short()));
        Self { chain, blocks: topic("blocks"), transactions: topic("transactions") }
    }

    /// The topic of blocks: `/blockbard/<16 hex>/blocks/1`.
    pub fn blocks(&self) -> &str {
        self.blocks.as_str()
    }

    /// The topic of transactions: `/blockbard/<16 hex>/transactions/1`.
    pub fn transactions(&self) -> &str {
        self.transactions.as_str()
    }

    /// The protocol of questions about the chain: `/blockbard/<16 hex>/sync/1`.
    pub fn sync(&self) -> String {
        format!("/blockbard/{}/sync/{VERSION}", self.chain.short())
    }

    /// The protocol of questions about peers: `/blockbard/<16 hex>/peers/1`.
    pub fn peers(&self) -> String {
        format!("/blockbard/{}/peers/{VERSION}", self.chain.short())
    }

    /// The protocol of questions for the specification: `/blockbard/<16 hex>/spec/1`.
    pub fn spec(&self) -> String {
        format!("/blockbard/{}/spec/{VERSION}", self.chain.short())
    }

    /// The protocol of Kademlia: `/blockbard/<16 hex>/kad/1`.
    pub fn kademlia(&self) -> String {
        format!("/blockbard/{}/kad/{VERSION}", self.chain.short())
    }

    /// The namespace at rendezvous points: `blockbard/<16 hex>`.
    pub fn rendezvous_namespace(&self) -> String {
        format!("blockbard/{}", self.chain.short())
    }

    /// What a node says of itself on meeting: `blockbard/1 <64 hex of the chain id>`.
    pub fn protocol_version(&self) -> String {
        format!("{SOFTWARE} {}", self.chain)
    }

    /// What the protocol version of a peer means.
    pub fn kinship(&self, protocol_version: &str) -> Kinship {
        if protocol_version == MEETING_POINT {
            return Kinship::MeetingPoint;
        }
        if protocol_version == INQUIRER {
            return Kinship::Inquirer;
        }
        let chain = protocol_version.strip_prefix(SOFTWARE).and_then(|rest| rest.strip_prefix(' '));
        match chain.and_then(|text| text.parse::<ChainId>().ok()) {
            Some(chain) if chain == self.chain => Kinship::Ours,
            Some(chain) => Kinship::OtherChain(chain),
            None => {
                let printable = protocol_version.chars().filter(|character| !character.is_control());
                Kinship::Stranger(printable.take(64).collect())
            }
        }
    }

    pub(crate) fn sync_protocol(&self) -> Result<StreamProtocol, NetworkError> {
        protocol(self.sync())
    }

    pub(crate) fn kademlia_protocol(&self) -> Result<StreamProtocol, NetworkError> {
        protocol(self.kademlia())
    }

    pub(crate) fn peers_protocol(&self) -> Result<StreamProtocol, NetworkError> {
        protocol(self.peers())
    }

    pub(crate) fn spec_protocol(&self) -> Result<StreamProtocol, NetworkError> {
        protocol(self.spec())
    }

    pub(crate) fn blocks_topic(&self) -> &TopicHash {
        &self.blocks
    }

    pub(crate) fn transactions_topic(&self) -> &TopicHash {
        &self.transactions
    }

    /// gossipsub, subscribed to the two topics.
    ///
    /// # Errors
    /// The reason in words: a contradiction in the configuration, which no input of a user can cause.
    pub(crate) fn gossip(&self, max_block_len: usize) -> Result<Gossip, String> {
        let config = gossip_config(max_block_len).map_err(|error| error.to_string())?;
        let allowed = HashSet::from([self.blocks.clone(), self.transactions.clone()]);
        let filter = WhitelistSubscriptionFilter(allowed.clone());
        let mut gossip = Gossip::new_with_subscription_filter_and_transform(
            MessageAuthenticity::Anonymous,
            config,
            filter,
            OwnTopics(allowed),
        )?;
        for topic in [self.blocks(), self.transactions()] {
            gossip.subscribe(&IdentTopic::new(topic)).map_err(|error| error.to_string())?;
        }
        Ok(gossip)
    }
}

/// A name as libp2p takes it.
fn protocol(name: String) -> Result<StreamProtocol, NetworkError> {
    StreamProtocol::try_from_owned(name)
        .map_err(|error| NetworkError::Setup { part: "protocol names", reason: error.to_string() })
}

/// The id of a message is the hash of its topic and its content, so that the same content is the same message whoever
/// sends it.
fn message_id(message: &Message) -> MessageId {
    let mut hasher = blake3::Hasher::new_derive_key(MESSAGE_ID_CONTEXT);
    let topic = message.topic.as_str();
    hasher.update(&u64::try_from(topic.len()).unwrap_or(u64::MAX).to_be_bytes());
    hasher.update(topic.as_bytes());
    hasher.update(&message.data);
    MessageId::new(hasher.finalize().as_bytes())
}

fn gossip_config(max_block_len: usize) -> Result<gossipsub::Config, ConfigBuilderError> {
    let mut builder = ConfigBuilder::default();
    builder
        // Every node gets as many copies as it has peers in the mesh, which is most of what a transaction costs. What does not
        // come that way is asked for within a heartbeat. A node looks for two peers and so has four on average, for others look
        // for it; random graphs of this kind hang together. There is room for twice that many: whoever joins last dials all its peers
        // itself, and one whose mesh is full refuses those who dialled it. With hardly more room than places (4 of 5), a fifth of
        // simulated networks of 50 nodes fell apart.
        .mesh_n(3)
        .mesh_n_low(2)
        .mesh_n_high(8)
        .mesh_outbound_min(1)
        // Messages prove themselves by work and signatures; anonymity hides where they come from and halves the cost.
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .max_transmit_size(gossip_transmit_len(max_block_len))
        // The mesh forms within a second: people watch.
        .heartbeat_initial_delay(Duration::from_millis(500))
        .heartbeat_interval(Duration::from_millis(700))
        // 10 s for a verdict; 3 of them are told of to peers outside the mesh.
        .history_length(15)
        .history_gossip(5)
        // What is offered or asked for at once fits into what gossipsub reads at once, 16 KiB of control: where more came, the
        // other end would take nothing of this one's gossip any more, after a few times for good.
        .max_control_messages_sent(MAX_OFFERED)
        // A message older than this is recognised by the chain and the pool themselves. Each costs 200 bytes as long, whatever
        // came of it, and only what one peer may send (`swarm/inflow.rs`) bounds how many there are.
        .duplicate_cache_time(Duration::from_secs(120))
        // Blocks go to the mesh, or to everybody as long as that is fewer: a full upload to 64 peers helps nobody.
        .flood_publish(false)
        // A compact block of some hundred transactions and more; for less the notices cost as much as the copies they save.
        .idontwant_message_size_threshold(2 << 10)
        .idontwant_on_publish(true)
        // Full: the message is dropped for this peer; it learns of it from another, or asks.
        .connection_handler_queue_len(500)
        // A block of megabytes takes a slow uplink some seconds.
        .publish_queue_duration(Duration::from_secs(5))
        .forward_queue_duration(Duration::from_secs(5))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::limits::gossip_max_len;

    fn names() -> Names {
        Names::new(ChainId::new([0xab; 32]))
    }

    #[test]
    fn names_hold_the_chain() {
        assert_eq!(names().blocks(), "/blockbard/abababababababab/blocks/1");
        assert_eq!(names().transactions(), "/blockbard/abababababababab/transactions/1");
        assert_eq!(names().sync(), "/blockbard/abababababababab/sync/1");
        assert!(names().sync_protocol().is_ok() && names().peers_protocol().is_ok());
    }

    #[test]
    fn kinship_is_told_by_the_protocol_version() {
        assert_eq!(names().kinship(&names().protocol_version()), Kinship::Ours);
        let other = Names::new(ChainId::new([1; 32])).protocol_version();
        assert_eq!(names().kinship(&other), Kinship::OtherChain(ChainId::new([1; 32])));
        assert_eq!(names().kinship("ipfs/0.1.0\n"), Kinship::Stranger("ipfs/0.1.0".into()));
        assert!(matches!(names().kinship("blockbard/1 xyz"), Kinship::Stranger(_)));
        assert_eq!(names().kinship(MEETING_POINT), Kinship::MeetingPoint);
        assert_eq!(names().kinship(INQUIRER), Kinship::Inquirer);
    }

    #[test]
    fn equal_content_is_one_message_and_topics_are_apart() {
        let message = |topic: &TopicHash, data: &[u8]| Message {
            source: None,
            data: data.to_vec(),
            sequence_number: None,
            topic: topic.clone(),
        };
        let names = names();
        let one = message_id(&message(&names.blocks, b"x"));
        assert_eq!(one, message_id(&message(&names.blocks, b"x")));
        assert_ne!(one, message_id(&message(&names.transactions, b"x")));
        assert_ne!(one, message_id(&message(&names.blocks, b"y")));
    }

    #[test]
    fn messages_of_other_topics_are_not_let_in() {
        let names = names();
        let own = OwnTopics(HashSet::from([names.blocks.clone(), names.transactions.clone()]));
        let let_in = |topic: &TopicHash| {
            let (source, sequence_number, signature, key) = (None, None, None, None);
            let (data, topic) = (vec![1], topic.clone());
            own.inbound_transform(RawMessage { source, data, sequence_number, topic, signature, key, validated: false })
        };
        assert!(let_in(&names.blocks).is_ok() && let_in(&names.transactions).is_ok());
        assert!(let_in(&TopicHash::from_raw("/elsewhere")).is_err());
    }

    #[test]
    fn what_is_offered_at_once_is_read_at_once() {
        let config = gossip_config(1 << 20).expect("a sound configuration");
        let id = message_id(&Message { source: None, data: vec![1], sequence_number: None, topic: names().blocks });
        // Each id has a tag and a length, and so has all that is around them.
        let ids = config.max_control_messages_sent() * (id.0.len() + 2);
        let around = names().transactions().len() + 32;
        assert!(ids + around <= config.max_control_message_size(), "{ids} bytes of ids");
    }

    #[test]
    fn the_transmit_limit_leaves_room_for_the_read_buffer() {
        for max_block_len in [4 << 10, 1 << 20, 4 << 20] {
            let config = gossip_config(max_block_len).expect("a sound configuration");
            assert!(config.max_transmit_size() >= gossip_max_len(max_block_len) + (16 << 10));
        }
        assert!(names().gossip(1 << 20).is_ok());
    }
}
