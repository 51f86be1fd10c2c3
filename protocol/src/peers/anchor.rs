//! An address that a person or the configuration named without saying who is there.

use std::collections::BTreeSet;

use libp2p::{Multiaddr, PeerId};

use super::{Dial, Target, backoff::Backoff};
use crate::discovery::Origin;

/// Whoever answers at the address is welcome, and it is dialled for ever.
#[derive(Debug)]
pub(super) struct Anchor {
    pub(super) address: Multiaddr,
    /// Who named it; never empty.
    pub(super) origins: BTreeSet<Origin>,
    /// Who answered there last.
    pub(super) peer: Option<PeerId>,
    pub(super) dialing: bool,
    pub(super) backoff: Backoff,
}

impl Anchor {
    pub(super) fn new(address: Multiaddr, origin: Origin) -> Self {
        let origins = BTreeSet::from([origin]);
        Self { address, origins, peer: None, dialing: false, backoff: Backoff::default() }
    }

    pub(super) fn dial(&self) -> Dial {
        Dial { target: Target::Anchor(self.address.clone()), addresses: vec![self.address.clone()] }
    }
}
