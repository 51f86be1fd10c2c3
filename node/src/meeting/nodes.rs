//! Nodes that are known by an HTTP address: asked until they answer, and again whenever the peer they named is not
//! connected, for the same address may then lead to another node or to other ports.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bard_protocol::{Candidate, Multiaddr, NetworkHandle, Origin, PeerId, PeerInfo};
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    backoff::Backoff,
    health::Health,
    http::Client,
    http_peer::{self, AskError, Own},
    place::HostPort,
};

/// Nodes in the table; one more is refused, since only people and the configuration add to it.
pub(super) const MAX_NODES: usize = 256;
/// Nodes asked at once: one call less than there may be, so that a person's `connect` finds a place.
const AT_ONCE: usize = 3;
/// The wait before a node is asked a second time.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Peers that one address may make the network dial for ever. An address that names more is still believed, but what it
/// names then is hearsay: a server that names another peer each time would fill the peer book with entries that stay.
const MAX_IDENTITIES: usize = 8;

/// A node to be asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) api: HostPort,
    pub(super) origin: Origin,
    /// Whether it may be the port of a node rather than of its API.
    pub(super) maybe_p2p: bool,
}

struct Entry {
    wanted: Wanted,
    /// The peers it has named, the latest last; at most [`MAX_IDENTITIES`].
    identities: Vec<PeerId>,
    latest: Option<PeerId>,
    /// Its address as that of a node, once it is dialled as one.
    anchor: Option<Multiaddr>,
    asking: bool,
    due: Instant,
    backoff: Backoff,
    health: Health,
}

/// The table and its task.
pub(super) struct Nodes {
    network: NetworkHandle,
    client: Client,
    own: Own,
    entries: Vec<Entry>,
    inbox: mpsc::Receiver<Wanted>,
    listed: Listed,
    full: bool,
}

/// The HTTP addresses of the table, for whoever asks: those it holds and those on their way to it. At most [`MAX_NODES`].
#[derive(Clone, Default)]
pub(super) struct Listed(Arc<Mutex<Vec<HostPort>>>);

impl Listed {
    fn all(&self) -> MutexGuard<'_, Vec<HostPort>> {
        // One step changes it: there is no half of a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, in the order in which they came.
    pub(super) fn to_vec(&self) -> Vec<HostPort> {
        self.all().clone()
    }

    /// Adds one; `false` where there is no place left. One that is there already needs none.
    pub(super) fn add(&self, api: &HostPort) -> bool {
        let mut all = self.all();
        if all.contains(api) {
            return true;
        }
        let fits = all.len() < MAX_NODES;
        if fits {
            all.push(api.clone());
        }
        fits
    }

    /// Takes one off.
    pub(super) fn remove(&self, api: &HostPort) {
        self.all().retain(|listed| listed != api);
    }
}

type Asked = (HostPort, Result<Candidate, AskError>);

impl Nodes {
    /// A table of these nodes. More come by `inbox`.
    pub(super) fn new(
        network: NetworkHandle,
        client: Client,
        own: Own,
        wanted: Vec<Wanted>,
        inbox: mpsc::Receiver<Wanted>,
        listed: Listed,
    ) -> Self {
        let mut nodes = Self { network, client, own, entries: Vec::new(), inbox, listed, full: false };
        wanted.into_iter().for_each(|one| nodes.add(one));
        nodes
    }

    /// Runs until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut peers = self.network.peers();
        let mut asking: FuturesUnordered<BoxFuture<'static, Asked>> = FuturesUnordered::new();
        loop {
            let connected = Arc::clone(&peers.borrow_and_update());
            self.rest_while_connected(&connected);
            while asking.len() < AT_ONCE
                && let Some(one) = self.next_due(&connected)
            {
                asking.push(one);
            }
            let wake = self.wake(&connected).filter(|_| asking.len() < AT_ONCE);
            tokio::select! {
                () = stop.cancelled() => return,
                Some((api, result)) = asking.next(), if !asking.is_empty() => self.asked(&api, result).await,
                Some(wanted) = self.inbox.recv() => self.add(wanted),
                changed = peers.changed() => if changed.is_err() {
                    // The network has ended; there is nobody left to tell.
                    return stop.cancelled().await;
                },
                () = until(wake) => {}
            }
        }
    }

    fn add(&mut self, wanted: Wanted) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.wanted.api == wanted.api) {
            entry.wanted.origin = entry.wanted.origin.min(wanted.origin);
            entry.due = Instant::now();
            entry.backoff.succeed();
        } else if self.entries.len() < MAX_NODES && self.listed.add(&wanted.api) {
            let health = Health::new(format!("the node at http://{}", wanted.api));
            let (due, backoff) = (Instant::now(), Backoff::new(FIRST_WAIT));
            self.entries.push(Entry {
                wanted,
                identities: Vec::new(),
                latest: None,
                anchor: None,
                asking: false,
                due,
                backoff,
                health,
            });
        } else if !std::mem::replace(&mut self.full, true) {
            tracing::warn!("{MAX_NODES} nodes are known by HTTP addresses, no more are taken");
        }
    }

    /// A node that was connected and is lost is asked a little later, not at once: it may be on its way back.
    fn rest_while_connected(&mut self, connected: &[PeerInfo]) {
        for entry in self.entries.iter_mut().filter(|entry| entry.is_connected(connected)) {
            entry.backoff.succeed();
            entry.due = Instant::now() + FIRST_WAIT;
        }
    }

    fn waiting<'a>(&'a mut self, connected: &'a [PeerInfo]) -> impl Iterator<Item = &'a mut Entry> {
        self.entries.iter_mut().filter(|entry| !entry.asking && !entry.is_connected(connected))
    }

    fn wake(&mut self, connected: &[PeerInfo]) -> Option<Instant> {
        self.waiting(connected).map(|entry| entry.due).min()
    }

    fn next_due(&mut self, connected: &[PeerInfo]) -> Option<BoxFuture<'static, Asked>> {
        let now = Instant::now();
        let entry = self.waiting(connected).filter(|entry| entry.due <= now).min_by_key(|entry| entry.due)?;
        entry.asking = true;
        let Wanted { api, origin, .. } = entry.wanted.clone();
        let (client, own) = (self.client.clone(), self.own.clone());
        Some(Box::pin(async move {
            let result = http_peer::ask(&client, &api, &own, origin).await;
            (api, result)
        }))
    }

    async fn asked(&mut self, api: &HostPort, result: Result<Candidate, AskError>) {
        let Some(at) = self.entries.iter().position(|entry| entry.wanted.api == *api) else { return };
        let Some(entry) = self.entries.get_mut(at) else { return };
        entry.asking = false;
        entry.due = Instant::now() + entry.backoff.fail();
        let (candidate, settled) = match result {
            Ok(candidate) => {
                entry.health.worked();
                (Some(entry.named(candidate)), false)
            }
            // It goes on being asked: a node's API that was just starting or stopping looks the same.
            Err(AskError::NotHttp { .. } | AskError::Silent { .. }) if entry.wanted.maybe_p2p => {
                (entry.dialled(), false)
            }
            Err(error @ AskError::Ourselves { .. }) => {
                tracing::warn!("{error}; it is left out");
                (None, true)
            }
            Err(error) => {
                entry.health.failed(error);
                (None, false)
            }
        };
        if settled {
            self.listed.remove(api);
            self.entries.swap_remove(at);
        }
        if let Some(candidate) = candidate {
            self.network.add_candidates(vec![candidate]).await;
        }
    }
}

impl Entry {
    fn is_connected(&self, connected: &[PeerInfo]) -> bool {
        let leads_to = |peer: &PeerInfo| {
            self.latest == Some(peer.id) || self.anchor.as_ref().is_some_and(|anchor| peer.addresses.contains(anchor))
        };
        connected.iter().any(leads_to)
    }

    /// Notes who answered, and trusts it as far as [`MAX_IDENTITIES`] goes.
    fn named(&mut self, candidate: Candidate) -> Candidate {
        self.latest = candidate.peer;
        let known = candidate.peer.is_some_and(|peer| self.identities.contains(&peer));
        if !known && self.identities.len() >= MAX_IDENTITIES {
            return Candidate { origin: Origin::Exchange, ..candidate };
        }
        if !known {
            self.identities.extend(candidate.peer);
        }
        candidate
    }

    /// The address as that of a node that listens there; `None` where it is one already.
    fn dialled(&mut self) -> Option<Candidate> {
        if self.anchor.is_some() {
            return None;
        }
        let address = self.wanted.api.multiaddr()?;
        self.anchor = Some(address.clone());
        tracing::info!("{} does not answer over HTTP, it is dialled as the address of a node", self.wanted.api);
        Some(Candidate::from_address(address, self.wanted.origin))
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_has_each_address_once() {
        let listed = Listed::default();
        let at = |port| HostPort::parse(&format!("localhost:{port}")).expect("one");
        assert!((1..=MAX_NODES).all(|port| listed.add(&at(port))));
        assert!(listed.add(&at(1)), "it has its place");
        assert!(!listed.add(&at(MAX_NODES + 1)));
        listed.remove(&at(1));
        assert!(listed.add(&at(MAX_NODES + 1)));
        assert_eq!(listed.to_vec().len(), MAX_NODES);
    }

    #[test]
    fn an_address_that_names_ever_new_peers_is_trusted_less() {
        let api = HostPort::parse("localhost:5000").expect("one");
        let wanted = Wanted { api, origin: Origin::PeersFile, maybe_p2p: false };
        let mut entry = Entry {
            wanted,
            identities: Vec::new(),
            latest: None,
            anchor: None,
            asking: false,
            due: Instant::now(),
            backoff: Backoff::new(FIRST_WAIT),
            health: Health::new("it"),
        };
        let peers: Vec<_> = (0..MAX_IDENTITIES).map(|_| PeerId::random()).collect();
        let mut origin_of = |peer| {
            let candidate = Candidate { peer: Some(peer), addresses: Vec::new(), origin: Origin::PeersFile };
            entry.named(candidate).origin
        };
        assert!(peers.iter().chain(&peers).all(|peer| origin_of(*peer) == Origin::PeersFile));
        assert_eq!(origin_of(PeerId::random()), Origin::Exchange);
        assert_eq!(origin_of(peers[0]), Origin::PeersFile, "who was trusted stays so");
    }
}
