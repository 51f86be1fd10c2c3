//! Blocks that share one asking of the disk to make them durable: what is told of them waits until it has.

use std::time::{Duration, Instant};

use bard_chain::{
    engine::{Connected, Effects, Outcome},
    hash::BlockId,
    mempool::{Followed, Step},
    rules::isolated,
    source::Source,
    units::Height,
};
use tokio::sync::oneshot;

use super::{ChainEvent, KeeperError, Task};
use crate::keeper::handle::{Accepted, BlockReply};

/// How many blocks are written before the disk is asked to make them durable, while more are ready. It bounds what repeating
/// would cost.
pub(crate) const GROUP: usize = 128;
/// Bytes of these blocks; beyond it nothing more is written before. It bounds what a group holds in memory.
pub(crate) const GROUP_LEN: usize = 4 << 20;
/// How long the first of them waits at most, but for the last one's own time.
pub(crate) const GROUP_TIME: Duration = Duration::from_millis(50);

/// Blocks that were written but are not yet durable, with those who wait for them.
#[derive(Default)]
pub(super) struct Group {
    /// When the first was written.
    began: Option<Instant>,
    /// Bytes of the blocks.
    length: usize,
    replies: Vec<(oneshot::Sender<BlockReply>, Accepted)>,
    events: Vec<ChainEvent>,
    step: Step,
    moved: bool,
}

impl Group {
    pub(super) fn is_full(&self) -> bool {
        let late = self.began.is_some_and(|began| began.elapsed() >= GROUP_TIME);
        late || self.replies.len() >= GROUP || self.length >= GROUP_LEN
    }

    pub(super) fn add(&mut self, length: usize, reply: oneshot::Sender<BlockReply>, accepted: Accepted) {
        self.began.get_or_insert_with(Instant::now);
        self.length = self.length.saturating_add(length);
        self.replies.push((reply, accepted));
    }
}

impl Task {
    /// Gathers what is told once the group is durable.
    pub(super) fn note(&mut self, effects: Effects) {
        self.group.step.touch(&effects.state);
        self.take_back(&effects.disconnected);
        let group = &mut self.group;
        match effects.outcome {
            Outcome::Reorganised => {
                let above = effects.connected.first().map_or(Height::ZERO, |first| first.block.header().height);
                let old_tip = effects.disconnected.first().copied().unwrap_or_default();
                group.events.push(ChainEvent::Reorg {
                    disconnected: effects.disconnected.len(),
                    connected: effects.connected.len(),
                    fork: above.saturating_sub(Height::new(1)),
                    old_tip,
                });
            }
            Outcome::BranchRefused { at, reason } => group.events.push(ChainEvent::BranchRefused { at, reason }),
            Outcome::Extended | Outcome::SideBranch => {}
        }
        group.moved |= !effects.connected.is_empty();
        for Connected { block, .. } in effects.connected {
            group.step.confirm(block.transaction_ids());
            group.events.push(ChainEvent::Block { block });
        }
    }

    /// Gathers the transactions of undone blocks, the highest first, for the pool: of more than it could hold the highest blocks'.
    fn take_back(&mut self, disconnected: &[BlockId]) {
        let room = if disconnected.is_empty() { 0 } else { self.read_pool().limits().bytes };
        let step = &mut self.group.step;
        let (mut blocks, mut length) = (Vec::new(), 0_usize);
        for id in disconnected {
            match self.reader.block(id) {
                Ok(block) => {
                    for id in block.transaction_ids() {
                        step.confirmed.remove(id);
                    }
                    length = length.saturating_add(block.bytes().len());
                    if length <= room {
                        blocks.push(isolated::from_block(&block));
                    }
                }
                Err(error) => tracing::error!(%id, %error, "the transactions of an undone block are lost"),
            }
        }
        let later = std::mem::take(&mut step.undone);
        step.undone = blocks.into_iter().rev().flatten().chain(later).collect();
    }

    /// Makes the group durable, then tells of it: the pool follows, the tip moves, whoever waits gets its answer.
    pub(super) fn settle(&mut self) -> Result<(), KeeperError> {
        if self.group.replies.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        self.store.sync()?;
        self.counts.committed(self.group.replies.len(), began.elapsed());
        let Group { replies, events, step, moved, .. } = std::mem::take(&mut self.group);
        let mut followed = Followed::default();
        if moved {
            let planned = self.read_pool().plan(step, self.pool_time(), &self.reader);
            followed = self.carry_out(planned.map(Some), true)?;
            self.pool_version.send_modify(|version| *version = version.wrapping_add(1));
        }
        for event in events {
            // Nobody listening is fine.
            let _ = self.events.send(event);
        }
        self.announce(followed.ready);
        for (reply, accepted) in replies {
            let _ = reply.send(Ok(accepted));
        }
        drop(followed.before);
        Ok(())
    }
}
