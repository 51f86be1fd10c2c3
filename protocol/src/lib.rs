//! What crosses the wire, and whom a node talks to. The only crate that knows libp2p.
//!
//! ```text
//! strangers -> libp2p (limits first) -> wire (frame, decode) -> NetworkEvent -> node
//! node -> NetworkHandle -> Command -> Driver (owns the swarm and the peer book) -> strangers
//! ```
//!
//! [`start`] binds the listeners and returns three things: a [`NetworkHandle`] that any task may clone, the receiver of
//! [`NetworkEvent`]s, and the [`Driver`], a task for the caller to run. The driver alone owns the swarm; it does no disk, no
//! waiting, and no cryptography beyond one hash of each gossiped message.
//!
//! This crate judges bytes and manners; it never sees the engine, the pool or the store. Whether a block or transaction is
//! valid is the node's verdict, given back by [`NetworkHandle::report`] and [`NetworkHandle::penalise`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`wire`] | messages and their limits; pure |
//! | [`topics`] | the names a chain gives to its protocols and topics |
//! | `address` | what an address says about where it leads |
//! | `transport`, `admission` | how bytes get from node to node, and who is let in on a closed chain |
//! | `sync_behaviour`, `behaviour`, `gate`, `limits`, `ranges`, `relaying` | the composition of libp2p behaviours |
//! | [`fetch()`] | asks for a chain's specification, before there is a node |
//! | [`inspect()`] | looks who is at an address, for people who wonder |
//! | [`discovery`] | ways to find peers, each able to work alone |
//! | `peers` | the peer book: whom to dial, whom to leave alone; pure |
//! | `notice` | what was noticed that only a person can mend |
//! | `swarm`, [`handle`], `listening` | the event loop, the way to it, and where it listens |
//! | `rendezvous` | libp2p's rendezvous protocol, both sides |
//! | [`meeting_point`] | a place to meet that is no node: rendezvous, Kademlia, relay |

#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable, clippy::unwrap_used)
)]

mod address;
mod admission;
mod behaviour;
mod closing;
pub mod config;
pub mod discovery;
pub mod event;
mod fetch;
mod gate;
pub mod handle;
pub mod identity;
mod inspect;
mod limits;
mod listening;
pub mod meeting_point;
mod notice;
mod peers;
mod probes;
mod punching;
mod ranges;
pub mod reachability;
mod relaying;
mod rendezvous;
mod swarm;
mod sync_behaviour;
pub mod topics;
mod transport;
pub mod wire;

pub use admission::{ChainSecret, SecretError};
pub use config::{NetworkConfig, NetworkError};
pub use discovery::{Candidate, KnownNode, Origin};
pub use event::{Departure, Direction, GossipId, NetworkEvent, PeerInfo, Reply};
pub use fetch::{FetchConfig, FetchError, fetch};
pub use handle::{Bans, ConnectError, NetworkHandle, RequestError, Verdict};
pub use identity::{Identity, IdentityError};
pub use inspect::{Found, InspectConfig, InspectError, Inspected, inspect};
pub use libp2p::{Multiaddr, PeerId};
pub use notice::Notice;
pub use peers::conduct::{BAN, Ban, BannedBy, Fault, MAX_BAN_SECONDS};
pub use reachability::Reachability;
pub use swarm::{
    Driver, Network,
    circuits::{RELAYED_BYTES, RELAYED_WINDOW, Relayed},
    start,
};
pub use wire::{
    WireError,
    status::{Agent, Status},
    sync::{RefusedReason, SyncRequest, SyncResponse},
};
