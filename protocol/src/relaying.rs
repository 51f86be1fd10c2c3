//! What relaying costs at most, at a node and at a meeting point alike.
//!
//! libp2p's own limits are for strangers on the public internet: 2 minutes, 128 KiB, and of one address 60 reservations and then
//! one a minute. A class shares one address, and what it sends through is its ledger.

use core::{num::NonZeroU32, time::Duration};

use libp2p::{PeerId, relay};

use crate::transport::NEVER;

/// How long a reservation lasts: as long as the connection that it needs. libp2p's relay panics at a client that takes the
/// answer to its renewal only after the reservation has run out, so none does; and it refuses renewals when it is full.
pub(crate) const RESERVATION: Duration = NEVER;
/// How long a circuit may last: two nodes that cannot reach each other directly have nothing else, and an hour spares them
/// from being cut off in the middle of things.
const CIRCUIT_DURATION: Duration = Duration::from_secs(3600);
/// Bytes of one circuit, both ways: a ledger of some ten thousand blocks must come through, and a stranger not live on it.
const CIRCUIT_BYTES: u64 = 64 << 20;
/// Circuits at once, and of one peer.
const MAX_CIRCUITS: usize = 64;
const MAX_CIRCUITS_OF_PEER: usize = 4;

/// A relay for so many peers at once, each with so many reservations.
pub(crate) fn server(own: PeerId, reservations: usize, of_one_peer: usize) -> relay::Behaviour {
    let every = |seconds| Duration::from_secs(seconds);
    let config = relay::Config {
        max_reservations: reservations,
        max_reservations_per_peer: of_one_peer,
        reservation_duration: RESERVATION,
        reservation_rate_limiters: Vec::new(),
        max_circuits: MAX_CIRCUITS,
        max_circuits_per_peer: MAX_CIRCUITS_OF_PEER,
        max_circuit_duration: CIRCUIT_DURATION,
        max_circuit_bytes: CIRCUIT_BYTES,
        circuit_src_rate_limiters: Vec::new(),
    };
    // So many at once, and one more each so many seconds.
    let config = config
        .reservation_rate_per_peer(non_zero(30), every(60))
        .reservation_rate_per_ip(non_zero(512), every(5))
        .circuit_src_per_peer(non_zero(30), every(60))
        .circuit_src_per_ip(non_zero(256), every(10));
    let mut relay = relay::Behaviour::new(own, config);
    // It is told to whoever asks, not only where others have confirmed that this place can be reached: a relay on a local
    // network never has that.
    relay.set_status(Some(relay::Status::Enable));
    relay
}

fn non_zero(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
