//! Whether a node is alive, and whether it is ready: rules with their values, for people and for what starts nodes.

use std::time::Duration;

use crate::{clock, keeper::Space};

use super::Service;

/// How long the keeper and the network may take for an answer.
const ALIVE_WITHIN: Duration = Duration::from_secs(1);
/// Blocks behind the best peer that still count as synced: a block or two are always on their way.
pub const MAX_LAG: u64 = 2;

/// What a node must have to be ready, beyond being synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadyRules {
    /// Peers.
    pub peers: usize,
    /// The greatest age of the last block; not looked at if there is none.
    pub tip_age: Option<Duration>,
}

/// A rule, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What was found; none where nothing answered.
    pub value: Option<u64>,
    /// What is allowed or asked for.
    pub limit: u64,
}

impl Rule {
    fn at_most(name: &'static str, value: u64, limit: u64) -> Self {
        Self { name, holds: value <= limit, value: Some(value), limit }
    }

    fn at_least(name: &'static str, value: u64, limit: u64) -> Self {
        Self { name, holds: value >= limit, value: Some(value), limit }
    }
}

/// Whether what must answer does: `keeper_ms` and `network_ms`, the time that each took.
pub async fn alive(service: &Service) -> Vec<Rule> {
    let parts = service.parts();
    let keeper = timed("keeper_ms", async { parts.keeper.position(parts.keeper.tip().id).await.is_ok() });
    let network = timed("network_ms", parts.network.answers());
    let (keeper, network) = tokio::join!(keeper, network);
    vec![keeper, network]
}

/// Whether they answer at all, however long it takes: a node that is busy is not stuck.
pub async fn answers(service: &Service) -> bool {
    let parts = service.parts();
    let keeper = parts.keeper.position(parts.keeper.tip().id);
    let (keeper, network) = tokio::join!(keeper, parts.network.answers());
    keeper.is_ok() && network
}

async fn timed(name: &'static str, answer: impl Future<Output = bool>) -> Rule {
    let began = tokio::time::Instant::now();
    let answered = tokio::time::timeout(ALIVE_WITHIN, answer).await == Ok(true);
    let limit = millis(ALIVE_WITHIN);
    Rule { name, holds: answered, value: answered.then(|| millis(began.elapsed())), limit }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Whether the node is synced and connected as configured, and its disk has room: `lag_blocks`, `peers`, `free_bytes`, and
/// `tip_age_seconds` if it is asked for.
pub fn ready(service: &Service) -> Vec<Rule> {
    let parts = service.parts();
    let tip = parts.keeper.tip();
    let standing = Standing {
        catching_up: parts.catch_up.progress().is_some(),
        lag: parts.catch_up.lag(&tip),
        peers: parts.network.peers().borrow().len(),
        tip_age: Duration::from_millis(clock::now().saturating_sub(tip.timestamp).get()),
        space: parts.keeper.space(),
    };
    standing.judge(parts.ready)
}

struct Standing {
    catching_up: bool,
    lag: u64,
    peers: usize,
    tip_age: Duration,
    space: Space,
}

impl Standing {
    fn judge(&self, rules: ReadyRules) -> Vec<Rule> {
        let lag = Rule::at_most("lag_blocks", self.lag, MAX_LAG);
        // Who claims more work and cannot show it is followed in vain, and must not keep a node from being ready.
        let lag = Rule { holds: lag.holds || !self.catching_up, ..lag };
        let peers = Rule::at_least("peers", self.peers as u64, rules.peers as u64);
        let age = rules.tip_age.map(|most| Rule::at_most("tip_age_seconds", self.tip_age.as_secs(), most.as_secs()));
        let Space { room, shortage, .. } = &self.space;
        let space = Rule { name: "free_bytes", holds: shortage.is_none(), value: room.free, limit: room.keep_free };
        [lag, peers, space].into_iter().chain(age).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::Room;

    fn standing() -> Standing {
        let room = Room { free: Some(1 << 30), keep_free: 1 << 20 };
        let space = Space { room, shortage: None, mining_waits: None };
        Standing { catching_up: false, lag: 0, peers: 0, tip_age: Duration::from_secs(90), space }
    }

    fn broken(standing: &Standing, rules: ReadyRules) -> Vec<&'static str> {
        standing.judge(rules).iter().filter(|rule| !rule.holds).map(|rule| rule.name).collect()
    }

    #[test]
    fn nothing_is_asked_for_unless_configured() {
        assert_eq!(broken(&standing(), ReadyRules::default()), [""; 0]);
        assert_eq!(standing().judge(ReadyRules::default()).len(), 3);
    }

    #[test]
    fn a_node_without_room_is_not_ready() {
        let short = Space { shortage: Some("the disk is nearly full".into()), ..standing().space };
        assert_eq!(broken(&Standing { space: short, ..standing() }, ReadyRules::default()), ["free_bytes"]);
    }

    #[test]
    fn a_node_that_is_behind_is_not_ready() {
        let at = |catching_up, lag| broken(&Standing { catching_up, lag, ..standing() }, ReadyRules::default());
        assert_eq!(at(true, MAX_LAG), [""; 0]);
        assert_eq!(at(true, MAX_LAG + 1), ["lag_blocks"]);
        assert_eq!(at(false, 1_000), [""; 0], "claimed by somebody who cannot show it");
    }

    #[test]
    fn peers_and_age_as_configured() {
        let rules = |peers, seconds| ReadyRules { peers, tip_age: Some(Duration::from_secs(seconds)) };
        assert_eq!(broken(&standing(), rules(1, 90)), ["peers"]);
        assert_eq!(broken(&standing(), rules(0, 89)), ["tip_age_seconds"]);
        assert_eq!(broken(&Standing { peers: 2, ..standing() }, rules(2, 90)), [""; 0]);
    }
}
