//! What a node has noticed that keeps nodes apart, and that only a person can mend.

use core::fmt;
use std::sync::Arc;

use libp2p::{Multiaddr, PeerId};
use tokio::sync::watch;

/// Notices that are kept. When there are more, the oldest is forgotten: each is in the log as well.
const MAX_NOTICES: usize = 16;

/// Something that was noticed, with where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Nodes of another chain are about, or other software; they are left alone.
    OtherChain {
        /// Which chain, or which software.
        chain: String,
        /// Where one of them was met.
        address: Option<Multiaddr>,
    },
    /// Another node runs with a copy of this node's identity.
    OwnCopy {
        /// Where.
        address: Multiaddr,
    },
    /// Two other nodes run with one identity.
    Copies {
        /// Which.
        peer: PeerId,
    },
}

impl Notice {
    /// Whether it is about the same as another one.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OtherChain { chain: one, .. }, Self::OtherChain { chain: other, .. }) => one == other,
            (Self::OwnCopy { .. }, Self::OwnCopy { .. }) => true,
            (Self::Copies { peer: one }, Self::Copies { peer: other }) => one == other,
            (Self::OtherChain { .. } | Self::OwnCopy { .. } | Self::Copies { .. }, _) => false,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherChain { chain, address } => {
                write!(f, "there are nodes of another chain here, they are left alone: {chain}")?;
                address.iter().try_for_each(|address| write!(f, ", at {address}"))
            }
            Self::OwnCopy { address } => {
                write!(f, "another node runs with a copy of this node's identity, at {address}")
            }
            Self::Copies { peer } => write!(f, "two nodes run with one identity: {peer}"),
        }
    }
}

/// Publishes a notice in the place of one about the same.
pub(crate) fn publish(notices: &watch::Sender<Arc<Vec<Notice>>>, notice: Notice) {
    notices.send_modify(|all| {
        let all = Arc::make_mut(all);
        all.retain(|known| !known.is_like(&notice));
        if all.len() >= MAX_NOTICES {
            all.remove(0);
        }
        all.push(notice);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_kind_the_latest_is_kept_and_of_all_not_too_many() {
        let (notices, seen) = watch::channel(Arc::new(Vec::new()));
        let other = |chain: usize, port: u16| Notice::OtherChain {
            chain: chain.to_string(),
            address: format!("/ip4/10.0.0.1/tcp/{port}").parse().ok(),
        };
        publish(&notices, other(0, 1));
        publish(&notices, other(0, 2));
        assert_eq!(*seen.borrow().as_slice(), [other(0, 2)]);
        assert!(other(0, 2).to_string().ends_with("left alone: 0, at /ip4/10.0.0.1/tcp/2"));
        for chain in 1..=MAX_NOTICES {
            publish(&notices, other(chain, 1));
        }
        assert_eq!((seen.borrow().len(), seen.borrow().first()), (MAX_NOTICES, Some(&other(1, 1))));
    }
}
