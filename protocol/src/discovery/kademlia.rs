//! Kademlia: a query for nodes near a key leads from one node to the next. It is for finding nodes, not for holding
//! connections to them nor for storing anything: those it connects to go into the peer book like any others.

use core::time::Duration;

use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    kad::{self, store::MemoryStore},
};

/// How often the whole table is asked about, besides each time that it changes.
const REFRESH: Duration = Duration::from_secs(300);
/// How long a query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a peer keeps its place in the table before new addresses of it are taken.
pub(crate) const FEED_INTERVAL: Duration = Duration::from_secs(60);

/// The behaviour of Kademlia.
pub(crate) type Kademlia = kad::Behaviour<MemoryStore>;

/// Kademlia as a server: on a private chain nobody has a public address, and clients alone find nothing.
pub(crate) fn behaviour(protocol: StreamProtocol, own: PeerId) -> Kademlia {
    let mut config = kad::Config::new(protocol);
    config
        .set_query_timeout(QUERY_TIMEOUT)
        .set_periodic_bootstrap_interval(Some(REFRESH))
        // Only peers that have shown to be of this chain, with addresses that make sense.
        .set_kbucket_inserts(kad::BucketInserts::Manual)
        // Nothing that a stranger sends is stored.
        .set_record_filtering(kad::StoreInserts::FilterBoth)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_publication_interval(None)
        .set_caching(kad::Caching::Disabled);
    let mut kademlia = Kademlia::with_config(own, MemoryStore::new(own), config);
    kademlia.set_mode(Some(kad::Mode::Server));
    kademlia
}

/// Puts a peer with these addresses, and no others, into the table.
pub(crate) fn feed(kademlia: &mut Kademlia, peer: PeerId, addresses: Vec<Multiaddr>) {
    kademlia.remove_peer(&peer);
    for address in addresses {
        kademlia.add_address(&peer, address);
    }
}
