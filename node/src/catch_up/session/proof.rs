//! What the headers of whoever is followed must show before any block of that chain is taken. Pure.
//!
//! A claim costs nothing, and blocks that were taken can be undone only so far: a node that has nothing yet, taken along by a
//! light chain for longer than that, could never come back. So nothing is taken before the headers have shown the work that
//! was claimed. Until then their ids are kept; of a chain that is too long for that, one in 2,000 is noted, and once it has
//! shown its work the headers are asked for again and compared with the notes.

use std::collections::VecDeque;

use bard_chain::{
    hash::BlockId,
    rules::in_chain::Position,
    units::{Height, Work},
};

/// Ids kept before their chain has shown its work: 40 bytes each, 4 MB.
const MAX_KEPT: usize = 100_000;
/// Of how many headers one is noted.
const NOTED_ONE_IN: u64 = 2_000;
/// Notes, at most: 4 MB, for 200 million headers.
const MAX_NOTED: usize = 100_000;

/// A block to be fetched.
type Wanted = (BlockId, Height);

/// How far the proof is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// All ids are kept.
    Keeping,
    /// Some are noted.
    Noting,
    /// The headers come a second time.
    Comparing,
    /// The work was shown.
    Shown,
}

/// What follows from some headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// More are needed.
    More,
    /// These blocks may be fetched.
    Fetch(Vec<Wanted>),
    /// The headers are to be asked for again, from here.
    Again(Box<Position>),
    /// They were others the first time.
    Changed,
    /// So many, and no more work than this node's chain has.
    TooMany,
}

/// The proof of one chain.
#[derive(Debug)]
pub(super) struct Proof {
    /// Work that must be shown, beside more than this node's own chain has.
    claimed: Work,
    stage: Stage,
    /// Where the headers began.
    began: Option<Position>,
    kept: Vec<Wanted>,
    noted: VecDeque<Wanted>,
}

impl Proof {
    /// Of a chain for which so much work is claimed.
    pub(super) const fn new(claimed: Work) -> Self {
        Self { claimed, stage: Stage::Keeping, began: None, kept: Vec::new(), noted: VecDeque::new() }
    }

    /// The same, with another claim.
    pub(super) fn of_claim(self, claimed: Work) -> Self {
        Self { claimed, ..self }
    }

    /// Whether the work that was claimed is still owed, where this node's chain has `ours`: what it has itself by now, nobody
    /// needs to show.
    pub(super) fn is_owed(&self, ours: Work) -> bool {
        self.stage != Stage::Shown && self.claimed > ours
    }

    /// Whether headers are still to show the work, and it is not compared yet what they showed.
    pub(super) fn is_being_shown(&self, ours: Work) -> bool {
        matches!(self.stage, Stage::Keeping | Stage::Noting) && self.is_owed(ours)
    }

    /// Takes headers that were checked, from one position to the other, with this node's work as it is now.
    pub(super) fn take(&mut self, from: &Position, to: &Position, ids: Vec<Wanted>, ours: Work) -> Step {
        let is_shown = to.work() > ours && to.work() >= self.claimed;
        match self.stage {
            Stage::Shown => Step::Fetch(ids),
            Stage::Keeping => {
                self.began.get_or_insert_with(|| from.clone());
                self.kept.extend(ids);
                if is_shown {
                    return self.shown();
                }
                if self.kept.len() <= MAX_KEPT {
                    return Step::More;
                }
                // Cheap headers do not get so far.
                if to.work() <= ours {
                    return Step::TooMany;
                }
                self.stage = Stage::Noting;
                let kept = std::mem::take(&mut self.kept);
                self.note(kept)
            }
            Stage::Noting => {
                let last = ids.last().copied();
                let step = self.note(ids);
                if !is_shown {
                    return step;
                }
                self.noted.extend(last.filter(|last| self.noted.back() != Some(last)));
                self.stage = Stage::Comparing;
                self.began.take().map_or(Step::Changed, |began| Step::Again(Box::new(began)))
            }
            Stage::Comparing => self.compare(ids),
        }
    }

    /// Nothing is owed any more, and nothing kept.
    fn shown(&mut self) -> Step {
        self.stage = Stage::Shown;
        self.began = None;
        Step::Fetch(std::mem::take(&mut self.kept))
    }

    fn note(&mut self, ids: Vec<Wanted>) -> Step {
        self.noted.extend(ids.into_iter().filter(|(_, height)| height.get() % NOTED_ONE_IN == 0));
        if self.noted.len() > MAX_NOTED { Step::TooMany } else { Step::More }
    }

    /// What is before a note that is the same has shown its work.
    fn compare(&mut self, ids: Vec<Wanted>) -> Step {
        let mut fetch = Vec::new();
        for (id, height) in ids {
            self.kept.push((id, height));
            match self.noted.front() {
                Some((noted, at)) if *at == height => {
                    if *noted != id {
                        return Step::Changed;
                    }
                    self.noted.pop_front();
                    fetch.append(&mut self.kept);
                }
                Some(_) => {}
                None => fetch.append(&mut self.kept),
            }
        }
        if self.noted.is_empty() {
            self.stage = Stage::Shown;
        }
        if fetch.is_empty() { Step::More } else { Step::Fetch(fetch) }
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::{block::Header, presets, target::Target, units::Timestamp};

    use super::*;

    /// Headers in an answer.
    const ANSWER: u64 = 2_000;

    fn id(height: u64, branch: u8) -> BlockId {
        let mut bytes = [branch; 32];
        bytes[..8].copy_from_slice(&height.to_be_bytes());
        BlockId::new(bytes)
    }

    /// Every block adds two of work.
    fn work(height: u64) -> Work {
        let per_block = Target::of_hashes(2).work();
        (0..height.ilog2() + 1).rev().fold(Work::ZERO, |sum, bit| {
            let double = sum.saturating_add(sum);
            if height >> bit & 1 == 1 { double.saturating_add(per_block) } else { double }
        })
    }

    fn position(height: u64) -> Position {
        let header = Header { height: Height::new(height), ..presets::dev().genesis().header };
        Position::restore((id(height, 0), &header), work(height.max(1)), None, vec![Timestamp::ZERO])
    }

    /// The headers after `from` up to `to`, on a branch, come in answers; what each leads to.
    fn show(proof: &mut Proof, from: u64, to: u64, branch: u8) -> Vec<Step> {
        let answer = |begin: u64| {
            let end = (begin + ANSWER).min(to);
            let ids = (begin + 1..=end).map(|height| (id(height, branch), Height::new(height))).collect();
            proof.take(&position(begin), &position(end), ids, Work::ZERO)
        };
        (from..to).step_by(ANSWER as usize).map(answer).collect()
    }

    fn fetched(steps: &[Step]) -> Vec<u64> {
        let ids = steps.iter().flat_map(|step| match step {
            Step::Fetch(ids) => ids.clone(),
            _ => Vec::new(),
        });
        ids.map(|(_, height)| height.get()).collect()
    }

    #[test]
    fn nothing_is_fetched_before_the_claim_is_shown() {
        let mut proof = Proof::new(work(5_000));
        let steps = show(&mut proof, 0, 4_999, 0);
        assert_eq!(steps, [Step::More, Step::More, Step::More]);
        assert!(proof.is_owed(Work::ZERO) && proof.is_owed(work(4_999)));
        assert!(proof.is_being_shown(Work::ZERO) && !proof.is_being_shown(work(5_000)));
        assert!(!proof.is_owed(work(5_000)), "this node has as much by now");
        let steps = show(&mut proof, 4_999, 5_001, 0);
        assert_eq!(fetched(&steps), (1..=5_001).collect::<Vec<_>>());
        assert!(!proof.is_owed(Work::ZERO));
        assert_eq!(fetched(&show(&mut proof, 5_001, 5_003, 0)), [5_002, 5_003], "and all after it");
    }

    #[test]
    fn a_chain_too_long_to_be_kept_is_asked_for_twice() {
        let length = MAX_KEPT as u64 + 9_001;
        let mut proof = Proof::new(work(length));
        let mut steps = show(&mut proof, 0, length, 0);
        assert_eq!(steps.pop(), Some(Step::Again(Box::new(position(0)))));
        assert!(steps.iter().all(|step| *step == Step::More));
        assert!(proof.is_owed(Work::ZERO) && !proof.is_being_shown(Work::ZERO), "it was shown, and is compared");
        assert!(proof.kept.is_empty() && proof.noted.len() as u64 == length / NOTED_ONE_IN + 1);
        let steps = show(&mut proof, 0, length + 5, 0);
        assert_eq!(fetched(&steps), (1..=length + 5).collect::<Vec<_>>());
        assert!(!proof.is_owed(Work::ZERO) && proof.kept.is_empty() && proof.noted.is_empty());
    }

    #[test]
    fn a_chain_that_is_another_the_second_time_brings_nothing() {
        let length = MAX_KEPT as u64 + 4_001;
        let mut proof = Proof::new(work(length));
        show(&mut proof, 0, length, 0);
        let steps = show(&mut proof, 0, ANSWER, 1);
        assert_eq!(steps, [Step::Changed]);
        assert!(proof.is_owed(Work::ZERO));
    }

    #[test]
    fn headers_that_show_nothing_end() {
        let mut proof = Proof::new(work(u64::from(u32::MAX)));
        let ours = work(u64::from(u32::MAX) / 2);
        let ids = |from: u64| (from..from + ANSWER).map(|height| (id(height, 0), Height::new(height))).collect();
        let step = |proof: &mut Proof, n| proof.take(&position(n), &position(n + ANSWER), ids(n), ours);
        let steps: Vec<_> = (0..=MAX_KEPT as u64 / ANSWER).map(|n| step(&mut proof, n * ANSWER)).collect();
        let (last, before) = steps.split_last().expect("some");
        assert_eq!(last, &Step::TooMany);
        assert!(before.iter().all(|step| *step == Step::More));
    }
}
