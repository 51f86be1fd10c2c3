//! Faults and bans: what the ledger decides is done here.

use core::time::Duration;
use std::sync::Arc;

use libp2p::{Multiaddr, PeerId};
use tokio::{sync::oneshot, time::Instant};
use tracing::{debug, info, warn};

use super::Driver;
use crate::{
    event::Departure,
    handle::Bans,
    peers::conduct::{Ban, Fault},
};

/// Ends of connections that are kept for people to see; the oldest makes room.
const DEPARTURES: usize = 32;

impl Driver {
    /// Notes a fault; if it was one too many, bans the peer, which closes its connections.
    pub(super) fn penalise(&mut self, peer: PeerId, fault: Fault, reason: &str) {
        let now = self.now();
        debug!(%peer, %fault, reason, "a fault");
        let banned = self.book.conduct.note(peer, fault, reason, now);
        if let Some(measures) = &self.measures {
            measures.fault(fault, banned);
        }
        if banned {
            warn!(%peer, reason, "banned for an hour");
            self.shut_out(peer, format!("banned: {reason}"));
            self.publish_bans();
        }
        self.publish_peers();
    }

    /// A person bans a peer.
    pub(super) fn ban_by_order(&mut self, ban: Ban, reply: oneshot::Sender<Bans>) {
        info!(peer = %ban.peer, seconds = ban.remaining.as_secs(), reason = ban.reason, "banned by order");
        let (peer, why) = (ban.peer, format!("banned by order: {}", ban.reason));
        self.book.conduct.ban(ban, self.now());
        self.shut_out(peer, why);
        // Whoever asked may have gone.
        let _ = reply.send(self.publish_bans());
    }

    /// A person ends a ban, or all.
    pub(super) fn lift_bans(&mut self, peer: Option<PeerId>, reply: oneshot::Sender<(usize, Bans)>) {
        let now = self.now();
        let meant = peer
            .map_or_else(|| self.book.conduct.bans(now).into_iter().map(|ban| ban.peer).collect(), |peer| vec![peer]);
        let mut lifted = 0;
        for peer in meant {
            if self.book.conduct.lift(&peer, now) {
                info!(%peer, "the ban is lifted by order");
                self.swarm.behaviour_mut().banned.unblock_peer(peer);
                self.book.hasten(peer);
                lifted += 1;
            }
        }
        // Whoever asked may have gone.
        let _ = reply.send((lifted, self.publish_bans()));
    }

    /// Ends the bans whose time is over.
    pub(super) fn end_bans(&mut self, now: Duration) {
        let pardoned = self.book.conduct.pardon(now);
        if pardoned.is_empty() {
            return;
        }
        for peer in pardoned {
            debug!(%peer, "the ban is over");
            self.swarm.behaviour_mut().banned.unblock_peer(peer);
        }
        self.publish_bans();
    }

    /// Takes over the bans of an earlier run.
    pub(super) fn restore_bans(&mut self, bans: Vec<Ban>) {
        for ban in bans {
            let peer = ban.peer;
            self.book.conduct.ban(ban, Duration::ZERO);
            self.swarm.behaviour_mut().banned.block_peer(peer);
        }
        self.end_bans(Duration::ZERO);
        self.publish_bans();
    }

    fn shut_out(&mut self, peer: PeerId, why: String) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.parting = Some(why);
        }
        self.swarm.behaviour_mut().banned.block_peer(peer);
        self.forget_in_kademlia(&peer);
    }

    /// Keeps the end of the last connection to a peer for people to see.
    pub(super) fn note_departure(&mut self, peer: PeerId, address: Multiaddr, reason: String) {
        let departure = Departure { peer, address, at: Instant::now(), reason };
        self.departures.send_modify(|all| {
            let all = Arc::make_mut(all);
            all.push(departure);
            all.drain(..all.len().saturating_sub(DEPARTURES));
        });
    }

    fn publish_bans(&self) -> Bans {
        let all = Arc::new(self.book.conduct.bans(self.now()));
        self.bans.send_modify(|bans| {
            *bans = Bans { version: bans.version.saturating_add(1), at: Some(Instant::now()), all };
        });
        self.bans.borrow().clone()
    }
}
