//! Whom to follow. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bard_chain::units::Work;
use bard_protocol::{PeerId, PeerInfo};
use tokio::time::Instant;

use super::Standing;

/// What there is to go by beside what peers claim.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// Peers that are reached through relays alone.
    relayed: BTreeSet<PeerId>,
    /// For how long each is connected; only after a session that failed.
    connected: Option<BTreeMap<PeerId, Duration>>,
}

impl Trust {
    pub(super) fn of(peers: &[PeerInfo], is_misled: bool) -> Self {
        let relayed = peers.iter().filter(|peer| peer.relayed.is_some()).map(|peer| peer.id).collect();
        let connected = is_misled.then(|| peers.iter().map(|peer| (peer.id, peer.since)).collect());
        Self { relayed, connected }
    }
}

/// After so many failures in a row nobody waits for a peer to show what it claims.
const HOPELESS: u32 = 8;

/// The peer with the most work, if that is more than ours, and the work that its headers have to show before anything of its
/// chain is taken. One that failed comes only after all that did not, or a few that claim the most and deliver nothing would be
/// followed in turn, and nobody else ever. One that is reached through a relay comes after all that are not: what a relay
/// carries is bounded, and once those are done with, little is left to fetch. After a session that failed, those that are
/// connected longest come first: who left and came back, to be followed again under the same or another name, is younger than
/// those who stayed.
///
/// One that showed less than it claimed comes last of all, and only once nobody else claims more than it showed: such a claim
/// may be honest (of a block that this node's clock finds too new), but what is taken of a light chain may be taken for good. Of
/// several the one that showed the most comes first; it has to show no more than ours again.
pub(super) fn of(
    standings: &BTreeMap<PeerId, Standing>,
    trust: &Trust,
    ours: Work,
    now: Instant,
) -> Option<(PeerId, Work)> {
    let claim = |standing: &Standing| standing.status.as_ref().map(|status| status.work).filter(|work| *work > ours);
    let unseen = standings.values().filter(|standing| standing.shown.is_none() && standing.failures < HOPELESS);
    let unseen = unseen.filter_map(claim).max();
    let ready = standings.iter().filter(|(_, standing)| standing.not_before.is_none_or(|at| at <= now));
    let ahead = ready.filter_map(|(peer, standing)| {
        let claimed = claim(standing)?;
        if standing.shown.is_some_and(|shown| unseen.is_some_and(|unseen| unseen > shown)) {
            return None;
        }
        let is_direct = !trust.relayed.contains(peer);
        let connected = trust.connected.as_ref().map(|connected| connected.get(peer).copied());
        let rank =
            (standing.shown.is_none(), standing.shown, Reverse(standing.failures), is_direct, connected, claimed);
        Some((rank, *peer, if standing.shown.is_none() { claimed } else { Work::ZERO }))
    });
    ahead.max_by_key(|(rank, ..)| *rank).map(|(_, peer, owed)| (peer, owed))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bard_chain::{
        hash::{BlockId, ChainId},
        target::Target,
        units::{Height, Timestamp},
    };
    use bard_protocol::{Agent, Status};

    use super::*;

    fn work(hashes: u64) -> Work {
        Target::of_hashes(hashes).work()
    }

    fn standing(hashes: u64, failures: u32) -> Standing {
        let status = Status {
            chain: ChainId::new([1; 32]),
            height: Height::new(1),
            tip: BlockId::ZERO,
            work: work(hashes),
            agent: Agent::new("a peer"),
            clock: Timestamp::new(0),
            blocks_from: Height::new(1),
        };
        Standing { status: Some(status), failures, ..Standing::default() }
    }

    fn first(all: &BTreeMap<PeerId, Standing>, trust: &Trust, ours: Work, now: Instant) -> Option<PeerId> {
        of(all, trust, ours, now).map(|(peer, _)| peer)
    }

    #[test]
    fn the_most_work_leads_but_direct_ones_and_those_that_did_not_fail_come_first() {
        let now = Instant::now();
        let peers: Vec<PeerId> = (0..4).map(|_| PeerId::random()).collect();
        let [most, direct, failed, behind] = peers[..] else { panic!("four") };
        let mut standings = BTreeMap::from([
            (most, standing(4_000_000, 0)),
            (direct, standing(2_000_000, 0)),
            (failed, standing(9_000_000, 1)),
            (behind, standing(1_000, 0)),
            (PeerId::random(), Standing::default()),
        ]);
        let (nobody, ours) = (Trust::default(), work(1_000_000));
        assert_eq!(first(&standings, &nobody, ours, now), Some(most));
        let relayed = Trust { relayed: BTreeSet::from([most, behind]), connected: None };
        assert_eq!(first(&standings, &relayed, ours, now), Some(direct), "a direct one first");
        let ages = BTreeMap::from([(most, Duration::from_secs(1)), (direct, Duration::from_secs(2))]);
        let misled = Trust { relayed: BTreeSet::new(), connected: Some(ages) };
        assert_eq!(first(&standings, &misled, ours, now), Some(direct), "after a failure the one who stayed");
        assert_eq!(first(&standings, &relayed, work(3_000_000), now), Some(most), "then the one behind the relay");
        assert_eq!(first(&standings, &relayed, work(5_000_000), now), Some(failed), "then who failed");
        assert_eq!(first(&standings, &relayed, work(10_000_000), now), None, "nobody is ahead");
        if let Some(direct) = standings.get_mut(&direct) {
            direct.not_before = Some(now + Duration::from_secs(1));
        }
        assert_eq!(first(&standings, &relayed, ours, now), Some(most), "one that has to wait is not asked");
    }

    #[test]
    fn who_showed_less_than_it_claimed_is_followed_once_nobody_claims_more_than_that() {
        let (now, nobody, ours) = (Instant::now(), Trust::default(), work(1_000_000));
        let peers: Vec<PeerId> = (0..3).map(|_| PeerId::random()).collect();
        let [liar, honest, light] = peers[..] else { panic!("three") };
        let liar_standing = Standing { shown: Some(work(2_000_000)), ..standing(9_000_000, 1) };
        let mut standings = BTreeMap::from([(liar, liar_standing), (honest, standing(4_000_000, 0))]);
        assert_eq!(of(&standings, &nobody, ours, now), Some((honest, work(4_000_000))));
        let wait = |standing: &mut Standing, failures| {
            (standing.failures, standing.not_before) = (failures, Some(now + Duration::from_secs(1)));
        };
        standings.entry(honest).and_modify(|standing| wait(standing, HOPELESS - 1));
        assert_eq!(of(&standings, &nobody, ours, now), None, "its turn is waited for");
        standings.insert(light, standing(1_500_000, 0));
        assert_eq!(of(&standings, &nobody, ours, now), Some((light, work(1_500_000))), "whose claim is to be seen");
        standings.entry(light).and_modify(|standing| wait(standing, 1));
        standings.entry(honest).and_modify(|standing| wait(standing, HOPELESS));
        assert_eq!(of(&standings, &nobody, ours, now), Some((liar, Work::ZERO)), "nobody else shows as much");
        let seen = Standing { shown: Some(work(3_000_000)), ..standing(4_000_000, 2) };
        standings.insert(honest, seen);
        assert_eq!(first(&standings, &nobody, ours, now), Some(honest), "it failed more often, and showed more");
    }
}
