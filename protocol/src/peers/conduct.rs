//! How peers behave: faults, the visible ledger of them, and bans. Only what is provably the sender's fault belongs here;
//! slowness does not. A person may ban whom he likes.
//!
//! A ban is of a peer, not of an address: a class behind one router shares an address, and who is banned there would take all
//! others with him.

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

/// That a peer is not spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub peer: PeerId,
    /// For how long from now on.
    pub remaining: Duration,
    /// Whose decision it was.
    pub by: BannedBy,
    /// Why, in one line of at most 200 characters; empty where a person did not say.
    pub reason: String,
}

/// Whose decision a ban was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BannedBy {
    /// This node's, for provable faults.
    Fault,
    /// A person's.
    Person,
}

/// The longest ban, in seconds: ten years.
pub const MAX_BAN_SECONDS: u64 = 10 * 365 * 24 * 3600;

/// Points at which a peer is banned.
const BAN_POINTS: u32 = 100;
/// How long a point lasts.
const POINT_DECAY: Duration = Duration::from_secs(6);
/// How long a ban lasts: long enough to be worth nothing, short enough that a mended node comes back by itself.
pub const BAN: Duration = Duration::from_secs(3600);
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
    banned: Option<Banned>,
    faults: VecDeque<String>,
}

/// A ban; the order is that of worth, the least first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Banned {
    by: BannedBy,
    until: Duration,
    reason: String,
}

impl Record {
    fn decay(&mut self, now: Duration) {
        let steps = now.saturating_sub(self.updated).as_millis() / POINT_DECAY.as_millis();
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.points = self.points.saturating_sub(steps);
        self.updated = self.updated.saturating_add(POINT_DECAY.saturating_mul(steps));
    }

    /// Begins anew, if it was banned; says whether it was.
    fn end_ban(&mut self, now: Duration) -> bool {
        if self.banned.take().is_none() {
            return false;
        }
        self.points = 0;
        self.updated = now;
        true
    }
}

/// A reason, short and without what a terminal could take for a command.
fn one_line(reason: &str) -> String {
    reason.chars().filter(|character| !character.is_control()).take(MAX_REASON).collect()
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
        let reason = one_line(reason);
        record.faults.push_back(format!("{fault}: {reason}"));
        if record.points < BAN_POINTS || record.banned.is_some() {
            return false;
        }
        record.banned = Some(Banned { by: BannedBy::Fault, until: now.saturating_add(BAN), reason });
        true
    }

    /// Bans a peer, or changes its ban.
    pub(crate) fn ban(&mut self, ban: Ban, now: Duration) {
        let Ban { peer, remaining, by, reason } = ban;
        self.make_room(peer);
        let record = self.records.entry(peer).or_insert_with(|| Record { updated: now, ..Record::default() });
        let until = now.saturating_add(remaining.min(Duration::from_secs(MAX_BAN_SECONDS)));
        record.banned = Some(Banned { by, until, reason: one_line(&reason) });
    }

    /// Ends a ban before its time. Returns whether there was one.
    pub(crate) fn lift(&mut self, peer: &PeerId, now: Duration) -> bool {
        self.records.get_mut(peer).is_some_and(|record| record.end_ban(now))
    }

    /// The bans, by peer.
    pub(crate) fn bans(&self, now: Duration) -> Vec<Ban> {
        let banned = self.records.iter().filter_map(|(peer, record)| Some((*peer, record.banned.as_ref()?)));
        let ban = |(peer, banned): (PeerId, &Banned)| Ban {
            peer,
            remaining: banned.until.saturating_sub(now),
            by: banned.by,
            reason: banned.reason.clone(),
        };
        banned.map(ban).collect()
    }

    /// The faults of a peer, the oldest first.
    pub(crate) fn faults(&self, peer: &PeerId) -> Vec<String> {
        self.records.get(peer).map(|record| record.faults.iter().cloned().collect()).unwrap_or_default()
    }

    /// Whether a peer is banned.
    pub(crate) fn is_banned(&self, peer: &PeerId) -> bool {
        self.records.get(peer).is_some_and(|record| record.banned.is_some())
    }

    /// Ends the bans whose time is over, and says whose.
    pub(crate) fn pardon(&mut self, now: Duration) -> Vec<PeerId> {
        let mut pardoned = core::mem::take(&mut self.forgotten);
        for (peer, record) in &mut self.records {
            if record.banned.as_ref().is_some_and(|banned| banned.until <= now) && record.end_ban(now) {
                pardoned.push(*peer);
            }
        }
        pardoned
    }

    fn make_room(&mut self, newcomer: PeerId) {
        if self.records.len() < MAX_PEERS || self.records.contains_key(&newcomer) {
            return;
        }
        // A banned peer is never forgotten for an unbanned one, nor one that a person banned for one that this node did;
        // among a thousand bans of a kind the one that ends first goes.
        let harmless = |one: &Record, other: &Record| {
            let rest = (one.points, one.updated).cmp(&(other.points, other.updated));
            one.banned.cmp(&other.banned).then(rest)
        };
        let least = self.records.iter().min_by(|(_, one), (_, other)| harmless(one, other)).map(|(peer, _)| *peer);
        if let Some(peer) = least
            && self.records.remove(&peer).is_some_and(|record| record.banned.is_some())
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

    fn by_a_person(peer: PeerId, seconds: u64) -> Ban {
        Ban { peer, remaining: Duration::from_secs(seconds), by: BannedBy::Person, reason: "a\nreason".to_owned() }
    }

    #[test]
    fn a_person_bans_and_pardons() {
        let (mut conduct, peer) = (Conduct::default(), PeerId::random());
        conduct.ban(by_a_person(peer, 60), START);
        let told = Ban { reason: "areason".to_owned(), ..by_a_person(peer, 50) };
        assert_eq!(conduct.bans(START + Duration::from_secs(10)), [told]);
        conduct.ban(by_a_person(peer, 600), START);
        assert_eq!(conduct.pardon(START + Duration::from_secs(60)), [], "the later word counts");
        assert!(conduct.is_banned(&peer) && conduct.lift(&peer, START));
        assert!(!conduct.is_banned(&peer) && !conduct.lift(&peer, START), "there is none any more");
        conduct.ban(by_a_person(peer, u64::MAX), START);
        assert_eq!(conduct.bans(START)[0].remaining, Duration::from_secs(MAX_BAN_SECONDS));
        assert!(conduct.note(PeerId::random(), Fault::Fatal, "false work", START));
        assert_eq!(conduct.bans(START).len(), 2);
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
        let by_hand = PeerId::random();
        conduct.ban(by_a_person(by_hand, 1), START);
        for _ in 0..MAX_PEERS + 10 {
            conduct.note(PeerId::random(), Fault::Fatal, "", START + POINT_DECAY);
        }
        assert!(conduct.is_banned(&by_hand), "strangers who are banned do not lift what a person decided");
        assert!(!conduct.is_banned(&banned) && conduct.pardon(START).contains(&banned), "the one that ends first");
        assert_eq!(conduct.records.len(), MAX_PEERS);
    }
}
