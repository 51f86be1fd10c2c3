//! What needs the blocks before: parent, height, target, time.

use crate::{
    block::Header,
    difficulty::{Anchor, Asert},
    hash::BlockId,
    invalid::Invalid,
    rules::isolated,
    spec::{ChainSpec, Difficulty},
    target::CompactTarget,
    units::{Height, Timestamp, Work},
};

/// Of how many blocks the median time is taken. Odd; as in Bitcoin.
pub const MEDIAN_SPAN: usize = 11;

/// Where a chain of headers stands: all that the next header is checked against.
///
/// It walks along: [`Position::step`] checks one header and returns the position after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    id: BlockId,
    height: Height,
    target: CompactTarget,
    work: Work,
    /// Time of block 1 of this branch, from which ASERT measures; `None` before there is one.
    anchor: Option<Timestamp>,
    /// Times of the last blocks, oldest first, at most [`MEDIAN_SPAN`].
    times: Vec<Timestamp>,
}

impl Position {
    /// After the genesis block.
    pub fn genesis(spec: &ChainSpec) -> Self {
        let genesis = spec.genesis().header;
        Self {
            id: genesis.id(spec.pow),
            height: Height::ZERO,
            target: genesis.target,
            work: Work::ZERO,
            anchor: None,
            times: vec![genesis.timestamp],
        }
    }

    /// From its parts, read back from where they were stored. `times` are those of the last blocks, oldest first.
    pub fn restore(
        (id, header): (BlockId, &Header),
        work: Work,
        anchor: Option<Timestamp>,
        times: Vec<Timestamp>,
    ) -> Self {
        Self { id, height: header.height, target: header.target, work, anchor, times }
    }

    /// The id of the last block.
    pub const fn id(&self) -> BlockId {
        self.id
    }

    /// Its height.
    pub const fn height(&self) -> Height {
        self.height
    }

    /// The work of the chain up to it; that of the genesis block counts as none.
    pub const fn work(&self) -> Work {
        self.work
    }

    /// The time of block 1 of this branch.
    pub const fn anchor(&self) -> Option<Timestamp> {
        self.anchor
    }

    /// The median of the last times: the next block must be later.
    pub fn median_time(&self) -> Timestamp {
        let mut times = self.times.clone();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(Timestamp::ZERO)
    }

    /// The earliest time that the next block may have.
    pub fn earliest_time(&self) -> Timestamp {
        Timestamp::new(self.median_time().get().saturating_add(1))
    }

    /// The target that the next block must have.
    pub fn next_target(&self, spec: &ChainSpec) -> CompactTarget {
        let Difficulty::Asert { half_life_ms } = spec.difficulty else { return spec.initial_target };
        let (Some(anchor), Some(last), Some(target), Some(easiest)) =
            (self.anchor, self.times.last(), spec.initial_target.expand(), spec.easiest_target.expand())
        else {
            return spec.initial_target;
        };
        let interval = spec.target_interval_ms;
        let parent_time = Timestamp::new(anchor.get().saturating_sub(interval));
        let anchor = Anchor { height: Height::new(1), parent_time, target };
        Asert { interval, half_life: half_life_ms, easiest }.next_target(&anchor, self.height, *last).compact()
    }

    /// Checks a header that says it follows, whose own claims ([`isolated::check_header`]) gave `id`.
    ///
    /// # Errors
    /// The first rule it breaks; [`Invalid::TimeTooNew`] comes last, so that waiting can cure it.
    pub fn step(&self, spec: &ChainSpec, header: &Header, id: BlockId, now: Timestamp) -> Result<Self, Invalid> {
        if header.parent != self.id {
            return Err(Invalid::UnknownParent { parent: header.parent });
        }
        let expected = self.height.next().ok_or(Invalid::HeightTooLarge { height: header.height })?;
        if header.height != expected {
            return Err(Invalid::Height { height: header.height, expected });
        }
        let target = self.next_target(spec);
        if header.target != target {
            return Err(Invalid::Target { bits: header.target.bits(), expected: target.bits() });
        }
        let (timestamp, median) = (header.timestamp, self.median_time());
        if timestamp <= median {
            return Err(Invalid::TimeTooOld { timestamp, median });
        }
        not_too_new(spec, header, now)?;
        Ok(self.after(header, id))
    }

    /// The position after a header that follows.
    fn after(&self, header: &Header, id: BlockId) -> Self {
        let skip = self.times.len().saturating_add(1).saturating_sub(MEDIAN_SPAN);
        let times = self.times.iter().copied().skip(skip).chain([header.timestamp]).collect();
        let work = header.target.expand().map_or(Work::ZERO, |target| target.work());
        Self {
            id,
            height: header.height,
            target: header.target,
            work: self.work.saturating_add(work),
            anchor: self.anchor.or(Some(header.timestamp)),
            times,
        }
    }

    /// Checks a header wholly, its own claims included.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn step_unchecked_header(&self, spec: &ChainSpec, header: &Header, now: Timestamp) -> Result<Self, Invalid> {
        if header.parent != self.id {
            return Err(Invalid::UnknownParent { parent: header.parent });
        }
        let id = isolated::check_header(spec, header)?;
        self.step(spec, header, id, now)
    }
}

/// That a header's time is no later than the clock of whoever checks it, `now`, and what the specification allows besides.
///
/// # Errors
/// [`Invalid::TimeTooNew`].
pub fn not_too_new(spec: &ChainSpec, header: &Header, now: Timestamp) -> Result<(), Invalid> {
    let timestamp = header.timestamp;
    let acceptable_at = Timestamp::new(timestamp.get().saturating_sub(spec.max_drift_ms));
    if acceptable_at > now { Err(Invalid::TimeTooNew { timestamp, acceptable_at }) } else { Ok(()) }
}
