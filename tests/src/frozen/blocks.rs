//! Headers, transactions, addresses, trees and whole chains.

use bard_chain::{
    address::Address,
    block::Header,
    encoding,
    hash::{BlockId, ChainId, Hash32, TransactionId},
    merkle,
    pow::PowFunction,
    presets,
    signature::SecretKey,
    spec::ChainSpec,
    target::CompactTarget,
    transaction::{Action, ItemName, Transaction},
    units::{Amount, Height, Nonce, Timestamp},
};
use serde::{Deserialize, Serialize};

use crate::{
    actions::{hand_over, key, pay, record, release, request},
    chain_builder::{EASIEST, MemoryNode, easy_spec},
};

/// A header, its bytes, and its id by each proof-of-work function. Hashes and keys are in hex.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of a header and what follows from them")]
pub struct HeaderCase {
    pub version: u8,
    pub height: u64,
    pub parent: String,
    pub transactions_root: String,
    pub state_root: String,
    pub timestamp: u64,
    pub target: String,
    pub miner: String,
    pub nonce: u64,
    pub encoding: String,
    pub digest: String,
    pub id_sha256d: String,
    pub id_blake3: String,
}

impl HeaderCase {
    /// The header of the inputs.
    ///
    /// # Panics
    /// For inputs that are not a header's.
    pub fn header(&self) -> Header {
        Header {
            version: self.version,
            height: Height::new(self.height),
            parent: self.parent.parse().expect("a hash"),
            transactions_root: self.transactions_root.parse().expect("a hash"),
            state_root: self.state_root.parse().expect("a hash"),
            timestamp: Timestamp::new(self.timestamp),
            target: CompactTarget::new(u32::from_str_radix(&self.target, 16).expect("hex")),
            miner: Address::new(bytes(&self.miner)),
            nonce: self.nonce,
        }
    }

    /// Freezes a header.
    pub fn of(header: &Header) -> Self {
        Self {
            version: header.version,
            height: header.height.get(),
            parent: header.parent.to_string(),
            transactions_root: header.transactions_root.to_string(),
            state_root: header.state_root.to_string(),
            timestamp: header.timestamp.get(),
            target: header.target.to_string(),
            miner: hex::encode(header.miner.as_bytes()),
            nonce: header.nonce,
            encoding: hex::encode(encoding::encode(header)),
            digest: header.digest().to_string(),
            id_sha256d: header.id(PowFunction::Sha256d).to_string(),
            id_blake3: header.id(PowFunction::Blake3).to_string(),
        }
    }

    /// The headers that are frozen: small, ordinary, and with every number at its end.
    pub fn all() -> Vec<Self> {
        let header = |height, timestamp, target, nonce, fill: u8| Header {
            version: bard_chain::block::VERSION,
            height: Height::new(height),
            parent: BlockId::new([fill; 32]),
            transactions_root: Hash32::new([fill.wrapping_add(1); 32]),
            state_root: Hash32::new([fill.wrapping_add(2); 32]),
            timestamp: Timestamp::new(timestamp),
            target: CompactTarget::new(target),
            miner: Address::new([fill.wrapping_add(3); 32]),
            nonce,
        };
        let headers = [
            header(0, 0, 0x207f_ffff, 0, 0),
            header(1, 1_767_225_600_000, 0x1f00_ffff, 23, 0x10),
            header(24, 1_767_225_602_000, 0x1d00_ffff, 24, 0x20),
            header(256, 1_767_225_604_000, 0x1b04_04cb, 65_536, 0x80),
            header(65_536, 4_294_967_296, 0x1705_ae3a, 4_294_967_295, 0xf0),
            header(u64::MAX, u64::MAX, u32::MAX, u64::MAX, 0xff),
        ];
        headers.iter().chain([&presets::dev().genesis().header]).map(Self::of).collect()
    }
}

/// 32 bytes from hex.
///
/// # Panics
/// For anything else.
pub fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).expect("hex").try_into().expect("of this length")
}

/// A signed transaction. Hashes, keys and bytes are in hex.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of a transaction and what follows from them")]
pub struct TransactionCase {
    pub seed: String,
    pub chain: String,
    pub sender: String,
    pub nonce: u64,
    pub fee: u64,
    pub action: ActionCase,
    pub signing_hash: String,
    pub signature: String,
    pub id: String,
    pub encoding: String,
}

/// An action. Keys and bytes are in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of an action")]
pub enum ActionCase {
    Transfer { to: String, amount: u64 },
    Record { content_type: String, bytes: String },
    ItemRequest { item: String },
    ItemRelease { item: String },
    ItemTransfer { item: String, to: String },
}

impl From<&Action> for ActionCase {
    fn from(action: &Action) -> Self {
        let name = |item: &ItemName| item.as_str().to_owned();
        let address = |to: &Address| hex::encode(to.as_bytes());
        match action {
            Action::Transfer { to, amount } => Self::Transfer { to: address(to), amount: amount.get() },
            Action::Record { content_type, bytes } => {
                Self::Record { content_type: content_type.clone(), bytes: hex::encode(bytes) }
            }
            Action::ItemRequest { item } => Self::ItemRequest { item: name(item) },
            Action::ItemRelease { item } => Self::ItemRelease { item: name(item) },
            Action::ItemTransfer { item, to } => Self::ItemTransfer { item: name(item), to: address(to) },
        }
    }
}

impl From<&ActionCase> for Action {
    fn from(case: &ActionCase) -> Self {
        let address = |to: &str| Address::new(bytes(to));
        match case {
            ActionCase::Transfer { to, amount } => Self::Transfer { to: address(to), amount: Amount::new(*amount) },
            ActionCase::Record { content_type, bytes } => {
                Self::Record { content_type: content_type.clone(), bytes: hex::decode(bytes).expect("hex") }
            }
            ActionCase::ItemRequest { item } => Self::ItemRequest { item: ItemName::new(item) },
            ActionCase::ItemRelease { item } => Self::ItemRelease { item: ItemName::new(item) },
            ActionCase::ItemTransfer { item, to } => Self::ItemTransfer { item: ItemName::new(item), to: address(to) },
        }
    }
}

impl TransactionCase {
    /// Signs and freezes a transaction.
    pub fn of(seed: &[u8; 32], chain: ChainId, nonce: u64, fee: u64, action: &Action) -> Self {
        let key = SecretKey::from_seed(seed);
        let transaction = Transaction::sign(chain, &key, Nonce::new(nonce), Amount::new(fee), action.clone());
        Self {
            seed: hex::encode(seed),
            chain: chain.to_string(),
            sender: hex::encode(transaction.sender.as_bytes()),
            nonce,
            fee,
            action: action.into(),
            signing_hash: transaction.signing_hash(chain).to_string(),
            signature: hex::encode(transaction.signature.as_bytes()),
            id: transaction.id().to_string(),
            encoding: hex::encode(encoding::encode(&transaction)),
        }
    }

    /// The same from its inputs.
    ///
    /// # Panics
    /// For inputs that are not a transaction's.
    pub fn again(&self) -> Self {
        let chain = self.chain.parse().expect("a hash");
        Self::of(&bytes(&self.seed), chain, self.nonce, self.fee, &(&self.action).into())
    }

    /// The transactions that are frozen: every action, small and large.
    pub fn all() -> Vec<Self> {
        let chain = presets::dev().chain_id();
        let to = Address::new([0xee; 32]);
        let actions = [
            pay("bob", 1),
            Action::Transfer { to, amount: Amount::MAX },
            record(""),
            record("Grüße"),
            Action::Record { content_type: "application/octet-stream".into(), bytes: (0..=255).collect() },
            request("projector"),
            request(&"x".repeat(ItemName::MAX_LEN)),
            release("Schlüssel 7"),
            hand_over("projector", "carol"),
        ];
        let ordinary = actions.iter().zip(0..).map(|(action, nonce)| Self::of(&[1; 32], chain, nonce, 2, action));
        let of_zero = Self::of(&[0; 32], ChainId::ZERO, 0, 0, &pay("alice", 1));
        let at_the_end = Self::of(&[0xff; 32], ChainId::new([0xff; 32]), u64::MAX, Amount::MAX.get(), &pay("alice", 1));
        ordinary.chain([of_zero, at_the_end]).collect()
    }
}

/// A public key and how it is written.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "a key in hex and its address")]
pub struct AddressCase {
    pub key: String,
    pub address: String,
}

impl AddressCase {
    /// Freezes an address.
    pub fn of(address: &Address) -> Self {
        Self { key: hex::encode(address.as_bytes()), address: address.to_string() }
    }

    /// The addresses that are frozen.
    pub fn all() -> Vec<Self> {
        let counting = std::array::from_fn(|i| u8::try_from(i).expect("below 32"));
        let fixed = [[0; 32], [0xff; 32], counting].map(Address::new);
        fixed
            .into_iter()
            .chain(presets::DEV_ACCOUNTS.map(|name| key(name).address()))
            .map(|key| Self::of(&key))
            .collect()
    }
}

/// The root over so many leaves; leaf `i` is 32 bytes of value `i`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "a number of leaves and the root in hex")]
pub struct TreeCase {
    pub leaves: u8,
    pub root: String,
}

impl TreeCase {
    /// The leaves of a case.
    pub fn leaves(count: u8) -> Vec<TransactionId> {
        (0..count).map(|i| TransactionId::new([i; 32])).collect()
    }

    /// Freezes a root.
    pub fn of(leaves: u8) -> Self {
        Self { leaves, root: merkle::root(&Self::leaves(leaves)).to_string() }
    }

    /// The roots that are frozen.
    pub fn all() -> Vec<Self> {
        (0..=17).chain([100]).map(Self::of).collect()
    }
}

/// A chain specification, what follows from it, and blocks on it, each with the tip they lead to.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "a specification as TOML, hashes and blocks in hex")]
pub struct ChainCase {
    pub specification: String,
    pub hash: String,
    pub genesis: String,
    pub genesis_state_root: String,
    pub chain_id: String,
    pub blocks: Vec<BlockCase>,
}

/// A block's bytes and what it leads to, in hex.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "a block in hex, its id, the state root and the work after it")]
pub struct BlockCase {
    pub bytes: String,
    pub id: String,
    pub state_root: String,
    pub work: String,
}

impl ChainCase {
    fn of(spec: &ChainSpec, blocks: Vec<BlockCase>) -> Self {
        Self {
            specification: spec.to_toml(),
            hash: spec.hash().to_string(),
            genesis: hex::encode(encoding::encode(&spec.genesis())),
            genesis_state_root: spec.genesis_commitment().root().to_string(),
            chain_id: spec.chain_id().to_string(),
            blocks,
        }
    }

    /// The same from its specification and the bytes of its blocks.
    ///
    /// # Panics
    /// Where a block is refused.
    pub fn again(&self) -> Self {
        let spec = ChainSpec::from_toml(&self.specification).expect("a specification");
        let mut node = MemoryNode::new(spec.clone());
        let follow = |case: &BlockCase| {
            let bytes = hex::decode(&case.bytes).expect("hex");
            let chain = node.engine().chain();
            let block = bard_chain::rules::isolated::Isolated::read(&spec, chain, &bytes).expect("right in itself");
            node.accept(&block.into()).expect("accepted");
            Self::block(&node, &bytes)
        };
        let blocks = self.blocks.iter().map(follow).collect();
        Self::of(&spec, blocks)
    }

    fn block(node: &MemoryNode, bytes: &[u8]) -> BlockCase {
        let tip = node.engine().tip();
        BlockCase {
            bytes: hex::encode(bytes),
            id: tip.id.to_string(),
            state_root: node.engine().commitment().root().to_string(),
            work: tip.work.to_string(),
        }
    }

    /// The chains that are frozen: the `dev` chain, and easy ones by either proof-of-work function with every action.
    pub fn all() -> Vec<Self> {
        let difficulty = bard_chain::spec::Difficulty::Asert { half_life_ms: 30_000 };
        let asert = ChainSpec { name: "asert".into(), pow: PowFunction::Blake3, difficulty, ..easy_spec() };
        assert_eq!(asert.easiest_target, EASIEST);
        [presets::dev(), easy_spec(), asert].map(|spec| Self::mined(&spec)).into()
    }

    fn mined(spec: &ChainSpec) -> Self {
        let mut node = MemoryNode::new(spec.clone());
        let bodies = [
            vec![node.sign("alice", 0, 3, pay("bob", 50)), node.sign("carol", 0, 1, record("hello"))],
            Vec::new(),
            vec![
                node.sign("alice", 1, 0, request("projector")),
                node.sign("alice", 2, 0, hand_over("projector", "bob")),
            ],
            vec![node.sign("bob", 0, 2, release("projector"))],
        ];
        let mut blocks = Vec::new();
        for body in bodies {
            let block = node.extend(body);
            blocks.push(Self::block(&node, block.bytes()));
        }
        Self::of(spec, blocks)
    }
}
