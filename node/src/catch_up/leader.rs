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

/// The peer with the most work, if that is more than ours. One that failed comes only after all that did not, or a few that
/// claim the most and deliver nothing would be followed in turn, and nobody else ever. One that is reached through a relay
/// comes after all that are not: what a relay carries is bounded, and once those are done with, little is left to fetch. After a
/// session that failed, those that are connected longest come first: who left and came back, to be followed again under the same
/// or another name, is younger than those who stayed.
pub(super) fn of(standings: &BTreeMap<PeerId, Standing>, trust: &Trust, ours: Work, now: Instant) -> Option<PeerId> {
    let ready = standings.iter().filter(|(_, standing)| standing.not_before.is_none_or(|at| at <= now));
    let ahead = ready.filter_map(|(peer, standing)| {
        let work = standing.status.as_ref()?.work;
        let is_direct = !trust.relayed.contains(peer);
        let connected = trust.connected.as_ref().map(|connected| connected.get(peer).copied());
        (work > ours).then_some(((Reverse(standing.failures), is_direct, connected, work), *peer))
    });
    ahead.max_by_key(|(rank, _)| *rank).map(|(_, peer)| peer)
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
        assert_eq!(of(&standings, &nobody, ours, now), Some(most));
        let relayed = Trust { relayed: BTreeSet::from([most, behind]), connected: None };
        assert_eq!(of(&standings, &relayed, ours, now), Some(direct), "a direct one first");
        let ages = BTreeMap::from([(most, Duration::from_secs(1)), (direct, Duration::from_secs(2))]);
        let misled = Trust { relayed: BTreeSet::new(), connected: Some(ages) };
        assert_eq!(of(&standings, &misled, ours, now), Some(direct), "after a failure the one who stayed");
        assert_eq!(of(&standings, &relayed, work(3_000_000), now), Some(most), "then the one behind the relay");
        assert_eq!(of(&standings, &relayed, work(5_000_000), now), Some(failed), "then who failed");
        assert_eq!(of(&standings, &relayed, work(10_000_000), now), None, "nobody is ahead");
        if let Some(direct) = standings.get_mut(&direct) {
            direct.not_before = Some(now + Duration::from_secs(1));
        }
        assert_eq!(of(&standings, &relayed, ours, now), Some(most), "one that has to wait is not asked");
    }
}
