//! What a long chain and many accounts cost: a block, opening again, and memory, each beside what it was when the chain was short.
//!
//! One thread decides and stores blocks as the keeper does. They are made here, one by one, so no list of them is in memory; what
//! making one takes is not counted, and neither are signatures, which cost the same on any chain.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bard_chain::{
    address::Address,
    engine::Engine,
    hash::Domain,
    rules::isolated::Unsigned,
    signature::SecretKey,
    spec::ChainSpec,
    transaction::{Action, Transaction},
    units::{Amount, Nonce},
};
use rayon::prelude::*;

use super::{Figure, Scale, chain::temporary, workload};
use crate::{
    keeper,
    metrics::resident_bytes,
    store::{Opened, Store},
};

/// Blocks, or accounts, from which on a chain counts as short: figures of a long one are beside those until there.
const SHORT: u32 = 10_000;
/// Transfers in each block that makes accounts.
const TRANSFERS: u32 = 1_000;
const MEBIBYTE: f64 = 1_048_576.0;

/// A chain that grows.
struct Growing {
    engine: Engine,
    store: Store,
    /// Blocks since the disk was last asked to make them durable, their bytes, and the time that they took.
    group: (usize, usize, Duration),
}

impl Growing {
    fn open(dir: &Path, spec: &Arc<ChainSpec>) -> Result<Self, String> {
        let Opened { store, restored, .. } = Store::open(dir, Arc::clone(spec)).map_err(|error| error.to_string())?;
        Ok(Self { engine: Engine::restore(Arc::clone(spec), restored), store, group: Default::default() })
    }

    /// Makes the next block and takes it; says how long taking it took.
    fn grow(&mut self, transactions: Vec<Transaction>) -> Result<Duration, String> {
        let bytes = workload::seal(&self.engine, &self.store, transactions)?;
        let unsigned = Unsigned::read(self.engine.spec(), &bytes).map_err(|error| error.to_string())?;
        // Signed a moment ago by this very process.
        let block = Arc::new(unsigned.trust_stored());
        let now = block.header().timestamp;
        let began = Instant::now();
        let effects = self.engine.accept(&block, now, &self.store.newest()).map_err(|error| error.to_string())?;
        self.store.append(&effects).map_err(|error| error.to_string())?;
        self.engine.adopt(&effects);
        let (blocks, length, took) = &mut self.group;
        *blocks += 1;
        *length += bytes.len();
        *took += began.elapsed();
        // As the keeper groups them.
        if *blocks >= keeper::GROUP || *length >= keeper::GROUP_LEN || *took >= keeper::GROUP_TIME {
            self.group = Default::default();
            self.store.sync().map_err(|error| error.to_string())?;
        }
        Ok(began.elapsed())
    }
}

/// How long the first and the last of many took.
#[derive(Default)]
struct Ends {
    first: Duration,
    last: Duration,
    counted: u32,
}

impl Ends {
    /// Of `count` rounds, the first and the last `window`; the rounds in between are not counted.
    fn of(count: u32, window: u32, mut round: impl FnMut(u32) -> Result<Duration, String>) -> Result<Self, String> {
        let counted = window.min(count / 2).max(1);
        let mut ends = Self { counted, ..Self::default() };
        for number in 0..count {
            let took = round(number)?;
            if number < counted {
                ends.first += took;
            }
            if number >= count.saturating_sub(counted) {
                ends.last += took;
            }
        }
        Ok(ends)
    }

    fn figure(&self, name: String, of: f64, beside: &'static str) -> Figure {
        let each = |all: Duration| all.as_secs_f64() * 1e6 / f64::from(self.counted) / of;
        Figure { name, value: each(self.last), unit: "us", beside: Some((beside, each(self.first))) }
    }
}

/// Empty blocks, then accounts.
pub(super) fn measure(scale: &Scale) -> Result<Vec<Figure>, String> {
    let mut figures = blocks(scale.long_blocks)?;
    figures.extend(accounts(scale.long_accounts)?);
    Ok(figures)
}

/// Memory in use, and what this process had before.
fn memory(name: String, before: Option<f64>) -> Option<Figure> {
    let (now, before) = (resident_bytes()?, before?);
    let beside = Some(("what the process had before", before / MEBIBYTE));
    Some(Figure { name, value: now / MEBIBYTE, unit: "MiB", beside })
}

fn blocks(count: u32) -> Result<Vec<Figure>, String> {
    let (dir, before) = (temporary()?, resident_bytes());
    let spec = Arc::new(workload::spec(&[]));
    let mut chain = Growing::open(dir.path(), &spec)?;
    let ends = Ends::of(count, SHORT, |_| chain.grow(Vec::new()))?;
    let mut figures = vec![ends.figure(format!("an empty block, at height {count}"), 1.0, "at the first ones")];
    figures.extend(memory(format!("memory after {count} empty blocks"), before));
    // As after a kill: what is not in the index yet is replayed.
    drop(chain);
    let began = Instant::now();
    drop(Growing::open(dir.path(), &spec)?);
    let name = format!("opening again after {count} blocks");
    figures.push(Figure { name, value: began.elapsed().as_secs_f64() * 1e3, unit: "ms", beside: None });
    Ok(figures)
}

/// An account that nobody used before.
fn fresh(number: u64) -> Address {
    Address::new(*Domain::DevAccount.hash(&[b"bench fresh", &number.to_be_bytes()]).as_bytes())
}

fn accounts(count: u32) -> Result<Vec<Figure>, String> {
    let (dir, before) = (temporary()?, resident_bytes());
    let senders: Vec<SecretKey> = (0..TRANSFERS).map(workload::sender).collect();
    let spec = Arc::new(workload::spec(&senders));
    let mut chain = Growing::open(dir.path(), &spec)?;
    let id = spec.chain_id();
    let rounds = (count / TRANSFERS).max(1);
    let ends = Ends::of(rounds, SHORT / TRANSFERS, |round| {
        let sign = |(number, key): (u32, &SecretKey)| {
            let to = fresh(u64::from(round) * u64::from(TRANSFERS) + u64::from(number));
            Transaction::sign(
                id,
                key,
                Nonce::new(round.into()),
                Amount::ZERO,
                Action::Transfer { to, amount: Amount::new(1) },
            )
        };
        let numbered: Vec<_> = (0..).zip(&senders).collect();
        chain.grow(numbered.into_par_iter().map(sign).collect())
    })?;
    let made = rounds * TRANSFERS;
    let name = format!("a transfer to a new account, of {made}");
    let mut figures = vec![ends.figure(name, f64::from(TRANSFERS), "at the first ones")];
    figures.extend(memory(format!("memory after {made} transfers to new accounts"), before));
    Ok(figures)
}
