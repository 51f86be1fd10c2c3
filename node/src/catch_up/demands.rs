//! Those who asked for a sync, and what came of it so far. Pure.

use std::{collections::BTreeSet, time::Duration};

use bard_protocol::PeerId;
use tokio::{sync::oneshot, time::Instant};

use super::{Progress, Summary};

/// Demands that are waited for together; one more waits in the channel.
const MAX_WAITING: usize = 8;
/// Problems that a summary names; what fails after them is left out.
const MAX_PROBLEMS: usize = 16;
/// How long nothing may be accepted before those who wait are told what came of it so far: peers that answer late, or claim
/// ever more, must not keep them waiting.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whoever waits, and what will be said.
#[derive(Debug)]
pub(super) struct Demands {
    waiting: Vec<oneshot::Sender<Summary>>,
    summary: Summary,
    /// Peers that did not answer yet since the first of them asked.
    to_answer: BTreeSet<PeerId>,
    /// Blocks accepted by the session under way when it was last looked.
    accepted: u64,
    /// When something was accepted last, or the first of them asked.
    moved: Instant,
}

impl Demands {
    /// Nobody waits.
    pub(super) fn new(now: Instant) -> Self {
        let (waiting, summary, to_answer) = (Vec::new(), Summary::default(), BTreeSet::new());
        Self { waiting, summary, to_answer, accepted: 0, moved: now }
    }

    /// Whether one more may wait.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    /// One more waits, while these peers are connected.
    pub(super) fn add(&mut self, reply: oneshot::Sender<Summary>, connected: BTreeSet<PeerId>, now: Instant) {
        if self.waiting.is_empty() {
            self.summary = Summary { asked: connected.len(), ..Summary::default() };
            (self.to_answer, self.accepted, self.moved) = (connected, 0, now);
        }
        self.waiting.push(reply);
    }

    /// A peer said how far it is. It may be asked more than once meanwhile, and others may come.
    pub(super) fn answered(&mut self, peer: &PeerId) {
        self.summary.answered += usize::from(self.to_answer.remove(peer));
    }

    /// A session ended: with so many blocks, and for this reason if it was cut short.
    pub(super) fn ended(&mut self, accepted: u64, problem: Option<String>) {
        if self.waiting.is_empty() {
            return;
        }
        self.summary.accepted = self.summary.accepted.saturating_add(accepted);
        self.accepted = 0;
        if self.summary.problems.len() < MAX_PROBLEMS {
            self.summary.problems.extend(problem);
        }
    }

    /// Tells all who wait, once there is nothing left to do, or nothing was accepted for a minute.
    pub(super) fn report(&mut self, is_done: bool, progress: Option<Progress>, now: Instant) {
        // Whoever waits no longer leaves room for others.
        self.waiting.retain(|reply| !reply.is_closed());
        if self.waiting.is_empty() {
            return;
        }
        let accepted = progress.map_or(0, |progress| progress.accepted);
        if accepted > self.accepted {
            (self.accepted, self.moved) = (accepted, now);
        }
        if !is_done {
            if now.saturating_duration_since(self.moved) < PATIENCE {
                return;
            }
            self.summary.accepted = self.summary.accepted.saturating_add(accepted);
            self.summary.problems.push(format!("still asking: no block came for {} seconds", PATIENCE.as_secs()));
        }
        for reply in self.waiting.drain(..) {
            // Whoever asked may be gone.
            let _ = reply.send(self.summary.clone());
        }
        self.summary = Summary::default();
        self.to_answer.clear();
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::units::Height;

    use super::*;

    fn progress(accepted: u64) -> Option<Progress> {
        Some(Progress { target: Height::new(9), accepted })
    }

    #[tokio::test]
    async fn who_waits_is_told_what_came_of_it() {
        let (now, peer) = (Instant::now(), PeerId::random());
        let mut demands = Demands::new(now);
        let (reply, answer) = oneshot::channel();
        demands.add(reply, BTreeSet::from([peer, PeerId::random()]), now);
        demands.answered(&peer);
        demands.answered(&peer);
        demands.answered(&PeerId::random());
        demands.ended(3, None);
        demands.ended(0, Some("a problem".to_owned()));
        demands.report(true, None, now);
        let problems = vec!["a problem".to_owned()];
        assert_eq!(answer.await, Ok(Summary { asked: 2, answered: 1, accepted: 3, problems }));
    }

    #[test]
    fn nothing_is_kept_while_nobody_waits_and_no_more_than_is_said() {
        let now = Instant::now();
        let mut demands = Demands::new(now);
        (0..1_000).for_each(|_| demands.ended(1, Some("a problem".to_owned())));
        assert_eq!(demands.summary, Summary::default());
        let (reply, _answer) = oneshot::channel();
        demands.add(reply, BTreeSet::new(), now);
        (0..1_000).for_each(|_| demands.ended(1, Some("a problem".to_owned())));
        assert_eq!((demands.summary.problems.len(), demands.summary.accepted), (MAX_PROBLEMS, 1_000));
    }

    #[test]
    fn few_wait_and_whoever_leaves_makes_room() {
        let now = Instant::now();
        let mut demands = Demands::new(now);
        let mut answers: Vec<_> = (0..MAX_WAITING)
            .map(|_| {
                assert!(demands.has_room());
                let (reply, answer) = oneshot::channel();
                demands.add(reply, BTreeSet::new(), now);
                answer
            })
            .collect();
        assert!(!demands.has_room());
        answers.pop();
        demands.report(false, None, now);
        assert!(demands.has_room());
    }

    #[tokio::test]
    async fn peers_that_never_come_to_an_end_keep_nobody_waiting() {
        let now = Instant::now();
        let mut demands = Demands::new(now);
        let (reply, mut answer) = oneshot::channel();
        demands.add(reply, BTreeSet::new(), now);
        let at = |seconds| now + Duration::from_secs(seconds);
        demands.report(false, progress(0), at(59));
        demands.report(false, progress(7), at(59));
        demands.report(false, progress(7), at(118));
        assert!(answer.try_recv().is_err(), "blocks come: it is waited for the rest");
        demands.report(false, progress(7), at(119));
        let summary = answer.await.expect("an answer");
        assert_eq!((summary.accepted, summary.problems.len()), (7, 1));
        assert!(demands.has_room() && demands.waiting.is_empty());
    }
}
