//! The numbers of one chain: a specification, written as TOML, and what follows from it: the genesis block and the chain id.
//!
//! The genesis block's parent is the hash of the whole specification, so two chains that differ in any number have
//! different ids and never mix.

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    block::{self, Block, Header},
    encoding,
    hash::{BlockId, ChainId, Domain},
    ledger::{Account, Change, Delta, commitment::Commitment},
    merkle,
    pow::PowFunction,
    target::{CompactTarget, Target},
    units::{Amount, Height, Timestamp},
};

/// Format of the canonical specification; part of what is hashed. That of a closed chain has another number, and is else the
/// same.
const FORMAT: u8 = 1;
const FORMAT_CLOSED: u8 = 2;
/// The longest specification file in bytes, read before anything in it is believed.
pub const MAX_FILE_LEN: usize = 4 << 20;
/// The largest `max_block_bytes`. It bounds every message and every allocation that a block can cause.
pub const BLOCK_BYTES_CEILING: u64 = 4 << 20;
/// The smallest `max_block_bytes`: room for a header and one transaction of any kind.
const BLOCK_BYTES_FLOOR: u64 = 4 << 10;
/// The most accounts a specification may fund.
const MAX_ALLOCATIONS: usize = 65_536;
/// The longest interval and half-life: 30 days, so that no product of times and heights leaves 128 bits.
const MAX_PERIOD_MS: u64 = 30 * 24 * 3600 * 1000;
/// The deepest reorganisation a specification may allow; every block this close to the tip is kept in memory by its header.
const MAX_REORG_DEPTH: u64 = 100_000;

/// How the target of the next block follows from the blocks before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difficulty {
    /// Always the initial target.
    Fixed,
    /// ASERT, see [`crate::difficulty`].
    Asert {
        /// How far behind schedule doubles the target, in milliseconds.
        half_life_ms: u64,
    },
}

/// What the miner of a block gets besides the fees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subsidy {
    /// Amount of the first block.
    pub amount: u64,
    /// Every so many blocks it halves; 0: it never does.
    pub halving_interval: u64,
    /// The last block that gets any.
    pub last_height: u64,
}

impl Subsidy {
    /// The subsidy of the block at `height`; the genesis block has none.
    pub fn at(&self, height: Height) -> Amount {
        let height = height.get();
        if height == 0 || height > self.last_height {
            return Amount::ZERO;
        }
        let halvings = height.saturating_sub(1).checked_div(self.halving_interval).unwrap_or(0);
        let halved = u32::try_from(halvings).ok().and_then(|halvings| self.amount.checked_shr(halvings)).unwrap_or(0);
        Amount::new(halved)
    }

    /// All that the blocks up to `height` pay. Two numbers of 64 bits multiplied: it always fits.
    pub fn paid_by(&self, height: Height) -> u128 {
        let last = u128::from(self.last_height.min(height.get()));
        if self.halving_interval == 0 {
            return u128::from(self.amount).saturating_mul(last);
        }
        let interval = u128::from(self.halving_interval);
        (0..u64::BITS).fold(0_u128, |sum, halvings| {
            let blocks = last.saturating_sub(interval.saturating_mul(halvings.into())).min(interval);
            sum.saturating_add(blocks.saturating_mul(u128::from(self.amount >> halvings)))
        })
    }
}

/// The numbers of one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSpec {
    /// What people call it: 1 to 32 of `a-z`, `0-9` and `-`.
    pub name: String,
    /// The proof-of-work function.
    pub pow: PowFunction,
    /// When the genesis block is said to be made.
    pub genesis_time: Timestamp,
    /// Intended time between two blocks, in milliseconds.
    pub target_interval_ms: u64,
    /// How the target follows the chain.
    pub difficulty: Difficulty,
    /// Target of the first blocks.
    pub initial_target: CompactTarget,
    /// The easiest target that any block may have.
    pub easiest_target: CompactTarget,
    /// What miners get.
    pub subsidy: Subsidy,
    /// The longest block, in canonical bytes.
    pub max_block_bytes: u64,
    /// The longest content of one record, in bytes.
    pub max_record_bytes: u64,
    /// How many blocks a reorganisation may undo. A branch that left the chain further back is refused, however heavy.
    pub max_reorg_depth: u64,
    /// How far in the future, by the reader's clock, a block's time may be, in milliseconds.
    pub max_drift_ms: u64,
    /// Whether only those who know the group's secret take part. The secret itself is not here, so that it can be changed.
    pub closed: bool,
    /// Who has what at the start, by ascending address.
    pub allocations: Vec<(Address, Amount)>,
}

/// What is wrong with a specification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// Not TOML, or a field is missing, unknown or of the wrong type.
    #[error("{0}")]
    Syntax(String),
    /// A field has a value it cannot have.
    #[error("{field}: {problem}")]
    Field {
        /// Name of the field in the file.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// The file's own shape; everything in it is checked on the way to [`ChainSpec`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    pow: String,
    genesis_time_ms: u64,
    target_interval_ms: u64,
    difficulty: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    half_life_ms: Option<u64>,
    initial_target: String,
    easiest_target: String,
    max_block_bytes: u64,
    max_record_bytes: u64,
    max_reorg_depth: u64,
    max_drift_ms: u64,
    #[serde(default, skip_serializing_if = "is_open")]
    closed: bool,
    subsidy: Subsidy,
    #[serde(default, rename = "allocation", skip_serializing_if = "Vec::is_empty")]
    allocations: Vec<Allocation>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Allocation {
    address: String,
    amount: u64,
}

fn is_open(closed: &bool) -> bool {
    !*closed
}

fn wrong(field: &'static str, problem: impl Into<String>) -> SpecError {
    SpecError::Field { field, problem: problem.into() }
}

fn in_range(field: &'static str, value: u64, low: u64, high: u64) -> Result<u64, SpecError> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(wrong(field, format!("{value} is not in {low} to {high}")))
    }
}

fn target(field: &'static str, text: &str) -> Result<CompactTarget, SpecError> {
    let bits = u32::from_str_radix(text, 16).map_err(|_| wrong(field, "expected 8 hex digits, such as 1f00ffff"))?;
    let compact = CompactTarget::new(bits);
    match compact.expand() {
        Some(target) if target <= Target::EASIEST => Ok(compact),
        Some(_) => Err(wrong(field, "easier than the easiest possible target, 207fffff")),
        None => Err(wrong(field, "not a compact target in its shortest form")),
    }
}

impl File {
    fn check(self) -> Result<ChainSpec, SpecError> {
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=32).contains(&self.name.len()) || !self.name.bytes().all(named) {
            return Err(wrong("name", "expected 1 to 32 of a-z, 0-9 and -"));
        }
        let pow = PowFunction::parse(&self.pow).ok_or_else(|| wrong("pow", "expected sha256d or blake3"))?;
        let difficulty = match (self.difficulty.as_str(), self.half_life_ms) {
            ("fixed", None) => Difficulty::Fixed,
            ("fixed", Some(_)) => return Err(wrong("half_life_ms", "only with difficulty = \"asert\"")),
            ("asert", Some(ms)) => Difficulty::Asert { half_life_ms: in_range("half_life_ms", ms, 1, MAX_PERIOD_MS)? },
            ("asert", None) => return Err(wrong("half_life_ms", "missing; asert needs it")),
            _ => return Err(wrong("difficulty", "expected fixed or asert")),
        };
        let initial_target = target("initial_target", &self.initial_target)?;
        let easiest_target = target("easiest_target", &self.easiest_target)?;
        if initial_target.expand() > easiest_target.expand() {
            return Err(wrong("initial_target", "easier than easiest_target"));
        }
        let subsidy = self.subsidy;
        in_range("subsidy.last_height", subsidy.last_height, 0, Height::MAX.get())?;
        let allocations = allocations(&self.allocations)?;
        if supply(&allocations, &subsidy, Height::MAX) > u128::from(Amount::MAX.get()) {
            return Err(wrong("subsidy", format!("with the allocations it would exceed a supply of {}", Amount::MAX)));
        }
        Ok(ChainSpec {
            name: self.name,
            pow,
            genesis_time: Timestamp::new(in_range("genesis_time_ms", self.genesis_time_ms, 0, 1 << 53)?),
            target_interval_ms: in_range("target_interval_ms", self.target_interval_ms, 1, MAX_PERIOD_MS)?,
            difficulty,
            initial_target,
            easiest_target,
            subsidy,
            max_block_bytes: in_range("max_block_bytes", self.max_block_bytes, BLOCK_BYTES_FLOOR, BLOCK_BYTES_CEILING)?,
            max_record_bytes: in_range("max_record_bytes", self.max_record_bytes, 0, self.max_block_bytes / 2)?,
            max_reorg_depth: in_range("max_reorg_depth", self.max_reorg_depth, 1, MAX_REORG_DEPTH)?,
            max_drift_ms: in_range("max_drift_ms", self.max_drift_ms, 0, MAX_PERIOD_MS)?,
            closed: self.closed,
            allocations,
        })
    }
}

fn allocations(given: &[Allocation]) -> Result<Vec<(Address, Amount)>, SpecError> {
    if given.len() > MAX_ALLOCATIONS {
        return Err(wrong("allocation", format!("{} accounts, at most {MAX_ALLOCATIONS} are allowed", given.len())));
    }
    let mut all = Vec::with_capacity(given.len());
    for Allocation { address, amount } in given {
        let address: Address = address.parse().map_err(|e| wrong("allocation", format!("{address}: {e}")))?;
        all.push((address, Amount::new(in_range("allocation", *amount, 1, Amount::MAX.get())?)));
    }
    all.sort_unstable();
    match all.windows(2).find(|pair| matches!(pair, [(one, _), (two, _)] if one == two)) {
        Some(_) => Err(wrong("allocation", "an address occurs twice")),
        None => Ok(all),
    }
}

fn supply(allocations: &[(Address, Amount)], subsidy: &Subsidy, height: Height) -> u128 {
    let allocated = allocations.iter().map(|(_, amount)| u128::from(amount.get()));
    allocated.fold(subsidy.paid_by(height), u128::saturating_add)
}

/// What the reader says, with the line it says it of: the message alone does not name the field.
fn syntax_error(text: &str, error: &toml::de::Error) -> SpecError {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map(|before| before.matches('\n').count().saturating_add(1));
    let shown = line.and_then(|line| text.lines().nth(line.saturating_sub(1))).unwrap_or_default().trim();
    let place = line.map_or_else(String::new, |line| format!("line {line} ({shown}): "));
    SpecError::Syntax(format!("{place}{}", error.message()))
}

impl ChainSpec {
    /// Reads a specification file.
    ///
    /// # Errors
    /// Names the field and what is wrong with it.
    pub fn from_toml(text: &str) -> Result<Self, SpecError> {
        if text.len() > MAX_FILE_LEN {
            return Err(SpecError::Syntax(format!("{} bytes, at most {MAX_FILE_LEN} are allowed", text.len())));
        }
        toml::from_str::<File>(text).map_err(|error| syntax_error(text, &error))?.check()
    }

    /// The specification as a file that [`ChainSpec::from_toml`] reads.
    pub fn to_toml(&self) -> String {
        let (difficulty, half_life_ms) = match self.difficulty {
            Difficulty::Fixed => ("fixed", None),
            Difficulty::Asert { half_life_ms } => ("asert", Some(half_life_ms)),
        };
        let allocation =
            |(address, amount): &(Address, Amount)| Allocation { address: address.to_string(), amount: amount.get() };
        let file = File {
            name: self.name.clone(),
            pow: self.pow.as_str().to_owned(),
            genesis_time_ms: self.genesis_time.get(),
            target_interval_ms: self.target_interval_ms,
            difficulty: difficulty.to_owned(),
            half_life_ms,
            initial_target: self.initial_target.to_string(),
            easiest_target: self.easiest_target.to_string(),
            max_block_bytes: self.max_block_bytes,
            max_record_bytes: self.max_record_bytes,
            max_reorg_depth: self.max_reorg_depth,
            max_drift_ms: self.max_drift_ms,
            closed: self.closed,
            subsidy: self.subsidy,
            allocations: self.allocations.iter().map(allocation).collect(),
        };
        // A struct of numbers, texts and one table cannot fail to be written.
        toml::to_string(&file).unwrap_or_default()
    }

    /// The hash of every number here; the genesis block names it as its parent.
    pub fn hash(&self) -> BlockId {
        let difficulty = match self.difficulty {
            Difficulty::Fixed => (0_u8, 0_u64),
            Difficulty::Asert { half_life_ms } => (1, half_life_ms),
        };
        let Subsidy { amount, halving_interval, last_height } = self.subsidy;
        let format = if self.closed { FORMAT_CLOSED } else { FORMAT };
        let canonical = encoding::encode(&(
            (format, &self.name, self.pow.as_str(), self.genesis_time, self.target_interval_ms),
            (difficulty, self.initial_target, self.easiest_target),
            (amount, halving_interval, last_height),
            (self.max_block_bytes, self.max_record_bytes, self.max_reorg_depth, self.max_drift_ms),
            &self.allocations,
        ));
        BlockId::new(*Domain::Specification.hash(&[&canonical]).as_bytes())
    }

    /// The allocations as changes to an empty ledger.
    pub fn genesis_delta(&self) -> Delta {
        let mut delta = Delta::default();
        for (address, balance) in &self.allocations {
            let after = Account { balance: *balance, ..Account::default() };
            delta.accounts.insert(*address, Change { before: Account::default(), after });
        }
        delta
    }

    /// The running state commitment after the genesis block.
    pub fn genesis_commitment(&self) -> Commitment {
        let mut commitment = Commitment::default();
        commitment.apply(&self.genesis_delta());
        commitment
    }

    /// The genesis block. It is what it is: nobody mined it, and its id need not meet a target.
    pub fn genesis(&self) -> Block {
        let header = Header {
            version: block::VERSION,
            height: Height::ZERO,
            parent: self.hash(),
            transactions_root: merkle::root(&[]),
            state_root: self.genesis_commitment().root(),
            timestamp: self.genesis_time,
            target: self.initial_target,
            miner: Address::NOBODY,
            nonce: 0,
        };
        Block { header, transactions: Vec::new() }
    }

    /// The id of the chain: that of its genesis block.
    pub fn chain_id(&self) -> ChainId {
        ChainId::new(*self.genesis().header.id(self.pow).as_bytes())
    }

    /// What all accounts together have after the block at `height`: the allocations and every subsidy up to there. Fees only
    /// change hands, and nothing is ever destroyed.
    pub fn supply_at(&self, height: Height) -> u128 {
        supply(&self.allocations, &self.subsidy, height)
    }

    /// The longest block as a length in memory.
    pub fn max_block_len(&self) -> usize {
        usize::try_from(self.max_block_bytes).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets;

    #[test]
    fn a_file_says_the_same_after_writing_and_reading() {
        let dev = presets::dev();
        let closed = ChainSpec { closed: true, ..dev.clone() };
        assert_eq!(ChainSpec::from_toml(&closed.to_toml()), Ok(closed));
        assert_eq!(ChainSpec::from_toml(&dev.to_toml()), Ok(dev));
    }

    #[test]
    fn every_number_changes_the_chain_id() {
        let dev = presets::dev();
        let variants = [
            ChainSpec { name: "dev2".into(), ..dev.clone() },
            ChainSpec { pow: PowFunction::Blake3, ..dev.clone() },
            ChainSpec { genesis_time: Timestamp::new(1), ..dev.clone() },
            ChainSpec { target_interval_ms: 1, ..dev.clone() },
            ChainSpec { difficulty: Difficulty::Asert { half_life_ms: 1 }, ..dev.clone() },
            ChainSpec { initial_target: CompactTarget::new(0x1e00_ffff), ..dev.clone() },
            ChainSpec { easiest_target: Target::EASIEST.compact(), ..dev.clone() },
            ChainSpec { subsidy: Subsidy { amount: 1, ..dev.subsidy }, ..dev.clone() },
            ChainSpec { max_block_bytes: 5000, ..dev.clone() },
            ChainSpec { max_record_bytes: 5000, ..dev.clone() },
            ChainSpec { max_reorg_depth: 5, ..dev.clone() },
            ChainSpec { max_drift_ms: 5, ..dev.clone() },
            ChainSpec { closed: true, ..dev.clone() },
            ChainSpec { allocations: Vec::new(), ..dev.clone() },
        ];
        let mut ids: Vec<_> = variants.iter().map(ChainSpec::chain_id).chain([dev.chain_id()]).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), variants.len() + 1);
    }

    #[test]
    fn a_bad_field_is_named() {
        let good = presets::dev().to_toml();
        for (from, to, field) in [
            ("name = \"dev\"", "name = \"Dev!\"", "name"),
            ("pow = \"sha256d\"", "pow = \"md5\"", "pow"),
            ("difficulty = \"fixed\"", "difficulty = \"asert\"", "half_life_ms"),
            ("initial_target = \"1f00ffff\"", "initial_target = \"2000ffff\"", "initial_target"),
            ("initial_target = \"1f00ffff\"", "initial_target = \"zz\"", "initial_target"),
            ("max_block_bytes = 2097152", "max_block_bytes = 1", "max_block_bytes"),
            ("amount = 10\n", "amount = 9007199254740991\n", "subsidy"),
        ] {
            assert!(good.contains(from), "{from}");
            match ChainSpec::from_toml(&good.replacen(from, to, 1)) {
                Err(SpecError::Field { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{to}: {other:?}"),
            }
        }
        let wrong_type = good.replacen("name = \"dev\"", "\nname = 7", 1);
        assert!(
            matches!(ChainSpec::from_toml(&wrong_type), Err(SpecError::Syntax(text)) if text.contains("line 2 (name = 7)"))
        );
        let unknown = format!("colour = 1\n{good}");
        assert!(matches!(ChainSpec::from_toml(&unknown), Err(SpecError::Syntax(text)) if text.contains("colour")));
    }

    #[test]
    fn subsidies_halve_and_end() {
        let subsidy = Subsidy { amount: 50, halving_interval: 10, last_height: 25 };
        let at = |height| subsidy.at(Height::new(height)).get();
        assert_eq!([at(0), at(1), at(10), at(11), at(21), at(25), at(26)], [0, 50, 50, 25, 12, 12, 0]);
        let for_ever = Subsidy { halving_interval: 0, ..subsidy };
        let huge = Subsidy { amount: u64::MAX, halving_interval: 1, last_height: u64::MAX };
        for subsidy in [subsidy, for_ever, huge] {
            let mut paid = 0_u128;
            for height in (0..100).map(Height::new) {
                paid += u128::from(subsidy.at(height).get());
                assert_eq!(subsidy.paid_by(height), paid, "up to {height}");
            }
        }
    }
}
