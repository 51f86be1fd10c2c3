//! How peers behave: faults, the visible ledger of them, and bans. Only what is provably the sender's fault belongs here;
//! slowness does not.

use core::{fmt, time::Duration};
use std::collections::{BTreeMap, VecDeque};

use libp2p::PeerId;

/// How grave a provable fault of a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// May happen to an honest node now and then; 50 in short succession ban.
    Minor,
    /// Does not happen to honest software in order; 5 in short succession ban.
    Serious,
    /// Does not happen by accident, as a block with a false proof of work; bans at once.
    Fatal,
}

impl Fault {
    const fn points(self) -> u32 {
        match self {
            Self::Minor => 2,
            Self::Serious => 20,
            Self::Fatal => BAN_POINTS,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minor => "minor",
            Self::Serious => "serious",
            Self::Fatal => "fatal",
        })
    }
}

/// Points at which a peer is banned.
const BAN_POINTS: u32 = 100;
/// How long a point lasts.
const POINT_DECAY: Duration = Duration::from_secs(6);
/// How long a ban lasts: long enough to be worth nothing, short enough that a mended node comes back by itself.
pub(crate) const BAN: Duration = Duration::from_secs(3600);
/// Peers whose conduct is remembered; above it the one with the fewest points is forgotten. Peer ids cost nothing, so
/// whoever fills this could as well come back under another one.
const MAX_PEERS: usize = 1000;
/// Faults shown of one peer; older ones are forgotten.
const MAX_FAULTS: usize = 16;
/// Characters kept of a reason.
const MAX_REASON: usize = 200;

/// The ledger of all peers.
#[derive(Debug, Default)]
pub(crate) struct Conduct {
    records: BTreeMap<PeerId, Record>,
    /// Banned peers that had to be forgotten before their time; [`Conduct::pardon`] tells of them.
    forgotten: Vec<PeerId>,
}

#[derive(Debug, Default)]
struct Record {
    points: u32,
    /// When `points` were last brought up to date.
    updated: Duration,
    banned_until: Option<Duration>,
    faults: VecDeque<String>,
}

impl Record {
    fn decay(&mut self, now: Duration) {
        let steps = now.saturating_sub(self.updated).as_millis() / POINT_DECAY.as_millis();
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.points = self.points.saturating_sub(steps);
        self.updated = self.updated.saturating_add(POINT_DECAY.saturating_mul(steps));
    }
}

impl Conduct {
    /// Notes a fault. Returns whether the peer is banned for it now.
    pub(crate) fn note(&mut self, peer: PeerId, fault: Fault, reason: &str, now: Duration) -> bool {
        self.make_room(peer);
        let record = self.records.entry(peer).or_insert_with(|| Record { updated: now, ..Record::default() });
        record.decay(now);
        record.points = record.points.saturating_add(fault.points());
        if record.faults.len() == MAX_FAULTS {
            record.faults.pop_front();
        }
        let reason: String = reason.chars().filter(|character| !character.is_control()).take(MAX_REASON).collect();
        record.faults.push_back(format!("{fault}: {reason}"));
        if record.points < BAN_POINTS || record.banned_until.is_some() {
            return false;
        }
        record.banned_until = Some(now.saturating_add(BAN));
        true
    }

    /// The faults of a peer, the oldest first.
    pub(crate) fn faults(&self, peer: &PeerId) -> Vec<String> {
        self.records.get(peer).map(|record| record.faults.iter().cloned().collect()).unwrap_or_default()
    }

    /// Whether a peer is banned.
    pub(crate) fn is_banned(&self, peer: &PeerId) -> bool {
        self.records.get(peer).is_some_and(|record| record.banned_until.is_some())
    }

    /// Ends the bans whose time is over, and says whose.
    pub(crate) fn pardon(&mut self, now: Duration) -> Vec<PeerId> {
        let mut pardoned = core::mem::take(&mut self.forgotten);
        for (peer, record) in &mut self.records {
            if record.banned_until.is_some_and(|until| until <= now) {
                record.banned_until = None;
                record.points = 0;
                record.updated = now;
                pardoned.push(*peer);
            }
        }
        pardoned
    }

    fn make_room(&mut self, newcomer: PeerId) {
        if self.records.len() < MAX_PEERS || self.records.contains_key(&newcomer) {
            return;
        }
        // A banned peer is never forgotten for an unbanned one; among a thousand bans the one that ends first goes.
        let harmless = |record: &Record| (record.banned_until, record.points, record.updated);
        let least = self.records.iter().min_by_key(|(_, record)| harmless(record)).map(|(peer, _)| *peer);
        if let Some(peer) = least
            && self.records.remove(&peer).is_some_and(|record| record.banned_until.is_some())
        {
            self.forgotten.push(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(10);

    #[test]
    fn a_fatal_fault_bans_for_an_hour() {
        let (mut conduct, peer) = (Conduct::default(), PeerId::random());
        assert!(conduct.note(peer, Fault::Fatal, "false work", START));
        assert!(conduct.is_banned(&peer));
        assert!(!conduct.note(peer, Fault::Fatal, "false work", START), "banned already");
        assert_eq!(conduct.pardon(START + BAN - Duration::from_millis(1)), []);
        assert_eq!(conduct.pardon(START + BAN), [peer]);
        assert!(!conduct.is_banned(&peer));
        assert!(!conduct.note(peer, Fault::Minor, "late", START + BAN), "a new life");
        assert_eq!(conduct.faults(&peer).len(), 3, "but not forgotten");
    }

    #[test]
    fn points_add_up_and_decay() {
        let (mut conduct, peer) = (Conduct::default(), PeerId::random());
        for _ in 0..4 {
            assert!(!conduct.note(peer, Fault::Serious, "junk", START));
        }
        assert!(!conduct.note(peer, Fault::Serious, "junk", START + POINT_DECAY * 60), "most points have decayed");
        assert!(!conduct.note(peer, Fault::Serious, "junk", START + POINT_DECAY * 60));
        assert!(!conduct.note(peer, Fault::Serious, "junk", START + POINT_DECAY * 60));
        assert!(conduct.note(peer, Fault::Serious, "junk", START + POINT_DECAY * 60), "80 - 60 + 80");
    }

    #[test]
    fn the_ledger_is_bounded() {
        let (mut conduct, peer) = (Conduct::default(), PeerId::random());
        for _ in 0..40 {
            conduct.note(peer, Fault::Minor, &"x\n".repeat(1000), START);
        }
        assert_eq!(conduct.faults(&peer).len(), MAX_FAULTS);
        assert_eq!(conduct.faults(&peer)[0].len(), "minor: ".len() + MAX_REASON);
        let banned = PeerId::random();
        conduct.note(banned, Fault::Fatal, "", START);
        for _ in 0..MAX_PEERS + 10 {
            conduct.note(PeerId::random(), Fault::Minor, "", START);
        }
        assert_eq!(conduct.records.len(), MAX_PEERS);
        assert!(conduct.is_banned(&banned));
    }
}
