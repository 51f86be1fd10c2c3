//! A client of one HTTP tracker: registers this node there and hears of others.

use std::{collections::VecDeque, time::Duration};

use bard_protocol::{Candidate, Multiaddr, NetworkHandle, Origin, wire::limits::MAX_ADDRESSES};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff,
    health::Health,
    http::{Answer, Client, HttpError},
    http_peer::{self, Own, is_loopback},
    place::HostPort,
    tracker_answer::{self, Heard},
};

/// How often it is looked at what there is to do.
const TICK: Duration = Duration::from_secs(1);
/// The wait after the first failure.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// For how long a registration lasts at a tracker that does not say so.
const DEFAULT_TTL: Duration = Duration::from_secs(60);
/// A registration is renewed when this part of its time is over, so that two renewals may fail.
const RENEWALS_PER_TTL: u32 = 3;
/// With fewer peers than this others are asked for more often: one alone may be the only one that is left.
const ENOUGH_PEERS: usize = 2;
/// How often others are asked for, with too few peers and with enough.
const ASK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// Addresses that change are told not more often than this.
const BETWEEN_CHANGES: Duration = Duration::from_secs(2);
/// How long a node that stops tries to say so.
const FAREWELL: Duration = Duration::from_secs(1);

/// What this node tells a tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Registration {
    /// The most useful first; never empty, at most [`MAX_ADDRESSES`].
    addresses: Vec<String>,
}

/// Why a tracker is of no use now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum TrackerError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("does not answer as a tracker does")]
    NotATracker,
}

/// The client and its task.
pub(super) struct Tracker {
    server: HostPort,
    network: NetworkHandle,
    client: Client,
    own: Own,
    /// Addresses that are announced as they are.
    external: Vec<Multiaddr>,
    health: Health,
    backoff: Backoff,
    /// What it was told last, unless that failed.
    told: Option<Registration>,
    /// What it was last to be told, whatever came of it.
    tried: Option<Registration>,
    renew_at: Instant,
    heard_at: Instant,
    not_before: Instant,
}

impl Tracker {
    /// A client of the tracker at `server`, not registered yet.
    pub(super) fn new(
        server: HostPort,
        network: NetworkHandle,
        client: Client,
        own: Own,
        external: Vec<Multiaddr>,
    ) -> Self {
        let health = Health::new(format!("the tracker http://{server}"));
        let (now, backoff) = (Instant::now(), Backoff::new(FIRST_WAIT));
        Self {
            server,
            network,
            client,
            own,
            external,
            health,
            backoff,
            told: None,
            tried: None,
            renew_at: now,
            heard_at: now,
            not_before: now,
        }
    }

    /// Runs until `stop`, then unregisters.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // Nodes that the tracker knows by their APIs are asked beside the rounds: some of them may hang.
        // One after the other, so that whatever a tracker names takes one of the few calls at once and no more.
        let mut asking: FuturesUnordered<BoxFuture<'static, Option<Candidate>>> = FuturesUnordered::new();
        let mut apis = VecDeque::new();
        loop {
            if asking.is_empty()
                && let Some(api) = apis.pop_front()
            {
                asking.push(Box::pin(ask(self.client.clone(), self.own.clone(), api)));
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some(found) = asking.next(), if !asking.is_empty() => {
                    self.network.add_candidates(found.into_iter().collect()).await;
                    continue;
                }
                _ = tick.tick() => {}
            }
            let named = tokio::select! {
                () = stop.cancelled() => break,
                named = self.round() => named,
            };
            if asking.is_empty() && apis.is_empty() {
                apis.extend(named);
            }
        }
        self.unregister().await;
    }

    /// Does what is due, if anything is. Returns the APIs that the tracker named.
    async fn round(&mut self) -> Vec<HostPort> {
        let now = Instant::now();
        if now < self.not_before {
            return Vec::new();
        }
        let too_few = self.network.peers().borrow().len() < ENOUGH_PEERS;
        let ask_at = self.heard_at + if too_few { ASK.0 } else { ASK.1 };
        let wanted = self.registration();
        let changed = now >= self.heard_at + BETWEEN_CHANGES && self.tried != wanted;
        let heard = match wanted.filter(|_| now >= self.renew_at || changed) {
            Some(wanted) => self.register(wanted).await,
            // Who listens nowhere has nothing to register, and may dial others all the same.
            None if now >= ask_at => self.ask().await,
            None => return Vec::new(),
        };
        match heard {
            Ok(Heard { candidates, apis, .. }) => {
                self.heard_at = Instant::now();
                // A tracker that does not take this node does not work, whomever it tells of.
                if self.told == self.tried {
                    self.health.worked();
                    self.backoff.succeed();
                }
                if !candidates.is_empty() {
                    self.network.add_candidates(candidates).await;
                }
                apis
            }
            Err(error) => {
                self.failed(&error);
                self.not_before = Instant::now() + self.backoff.fail();
                Vec::new()
            }
        }
    }

    fn failed(&mut self, error: &TrackerError) {
        self.health.failed(format_args!("the tracker http://{} {error}", self.server));
    }

    /// Registers this node. Where it is refused, others are asked for at once: a tracker that is full still knows them.
    async fn register(&mut self, wanted: Registration) -> Result<Heard, TrackerError> {
        let body = json!({
            "address": wanted.addresses.first(),
            "addresses": wanted.addresses,
            "chain": self.own.chain.to_string(),
        });
        self.tried = Some(wanted.clone());
        // From here on the tracker may know of this node, whatever comes back.
        self.told = Some(wanted);
        let answer = self.client.post(&self.server, "/register", body.to_string()).await;
        match self.read(answer) {
            Ok(heard) => {
                self.renew_at = Instant::now() + heard.ttl.unwrap_or(DEFAULT_TTL) / RENEWALS_PER_TTL;
                Ok(heard)
            }
            Err(error @ TrackerError::Http(HttpError::Status(_))) => {
                self.told = None;
                self.failed(&error);
                self.renew_at = Instant::now() + self.backoff.fail();
                self.ask().await
            }
            Err(error) => {
                self.told = None;
                self.renew_at = Instant::now();
                Err(error)
            }
        }
    }

    async fn ask(&self) -> Result<Heard, TrackerError> {
        let path = format!("/peers?chain={}", self.own.chain);
        self.read(self.client.get(&self.server, &path).await)
    }

    fn read(&self, answer: Result<Answer, HttpError>) -> Result<Heard, TrackerError> {
        tracker_answer::read(&answer?.body, &self.own, self.server.is_loopback()).ok_or(TrackerError::NotATracker)
    }

    async fn unregister(&self) {
        let Some(address) = self.told.as_ref().and_then(|told| told.addresses.first()) else { return };
        let body = json!({ "address": address }).to_string();
        // Without a farewell the registration runs out by itself.
        let _ = tokio::time::timeout(FAREWELL, self.client.post(&self.server, "/unregister", body)).await;
    }

    /// Where others reach this node, as far as it knows; `None` while it listens nowhere.
    fn registration(&self) -> Option<Registration> {
        let seen = self.network.reachability().borrow().external.clone();
        let external = self.external.iter().cloned().chain(seen);
        let own = in_turns(external, self.network.listen_addresses().into_iter());
        let own = own.into_iter().filter_map(|address| address.with_p2p(self.own.peer).ok());
        let addresses = announced(own, &self.server);
        (!addresses.is_empty()).then_some(Registration { addresses })
    }
}

/// One of each as long as there are some, for a tracker takes the first few, and neither kind is to take all of their places.
fn in_turns<T>(mut one: impl Iterator<Item = T>, mut other: impl Iterator<Item = T>) -> Vec<T> {
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(one.next());
        all.extend(other.next());
        if all.len() == before {
            return all;
        }
    }
}

/// The addresses to tell a tracker, those that mean this machine last: and those only where the tracker is on it, too, or
/// where there are no others.
fn announced(own: impl Iterator<Item = Multiaddr>, server: &HostPort) -> Vec<String> {
    let usable = own.filter(|address| address.ip_addr().is_none_or(|ip| !ip.is_unspecified()));
    let (loopback, mut addresses): (Vec<_>, Vec<_>) = usable.partition(is_loopback);
    if server.is_loopback() || addresses.is_empty() {
        addresses.extend(loopback);
    }
    let mut texts: Vec<String> = Vec::new();
    for text in addresses.iter().map(ToString::to_string) {
        if !texts.contains(&text) && texts.len() < MAX_ADDRESSES {
            texts.push(text);
        }
    }
    texts
}

/// Asks an API that a tracker named.
async fn ask(client: Client, own: Own, api: HostPort) -> Option<Candidate> {
    let found = http_peer::ask(&client, &api, &own, Origin::Tracker).await;
    found.inspect_err(|error| tracing::debug!("named by a tracker: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_known_from_outside_leave_room_for_those_listened_on() {
        assert_eq!(in_turns(0..3, 10..15), [0, 10, 1, 11, 2, 12, 13, 14]);
        assert_eq!(in_turns(0..2, 10..10), [0, 1]);
        assert_eq!(in_turns(0..20, 30..31)[..3], [0, 30, 1]);
    }

    #[test]
    fn what_means_this_machine_is_for_trackers_on_it() {
        let all = ["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/0.0.0.0/tcp/1"];
        let told = |all: &[&str], server: &str| {
            let own = all.iter().map(|text| text.parse().expect("a multiaddress"));
            announced(own, &HostPort::parse(server).expect("a server"))
        };
        assert_eq!(told(&all, "10.0.0.9:5500"), ["/ip4/10.0.0.1/tcp/1"]);
        assert_eq!(told(&all, "localhost:5500"), ["/ip4/10.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1"]);
        assert_eq!(told(&all[..1], "10.0.0.9:5500"), ["/ip4/127.0.0.1/tcp/1"]);
        let many: Vec<_> = (1..50).map(|port| format!("/ip4/10.0.0.1/tcp/{port}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(told(&many, "10.0.0.9:5500").len(), MAX_ADDRESSES);
        assert!(told(&[], "10.0.0.9:5500").is_empty());
    }
}
