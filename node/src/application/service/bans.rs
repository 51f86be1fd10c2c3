//! Who is spoken to and who is not: the peers, those that left, and bans.

use std::{sync::Arc, time::Duration};

use bard_protocol::{Ban, BannedBy, Bans, MAX_BAN_SECONDS, PeerId};
use tokio::time::Instant;

use super::{Failure, FailureKind, Service, changing::malformed};
use crate::{
    application::reply::{self, Reply},
    clock,
};

/// How long a person bans a peer without saying how long, in seconds: a day, as Bitcoin Core does.
const BAN_SECONDS: u64 = 24 * 3600;
/// The longest reason, in characters; the network keeps no more.
const MAX_REASON: usize = 200;

fn peer_id(text: &str) -> Result<PeerId, Failure> {
    text.parse().map_err(|_| malformed(format!("peer: {text:?} is not a peer id")))
}

fn shown(ban: Ban) -> reply::Ban {
    let Ban { peer, remaining, by, reason } = ban;
    reply::Ban { peer, until: clock::after(clock::now(), remaining), by, reason }
}

impl Service {
    pub(super) fn peers(&self) -> reply::Peers {
        let standings = self.parts().catch_up.standings();
        let peers = Arc::clone(&self.parts().network.peers().borrow());
        let with_status = |info: &bard_protocol::PeerInfo| reply::Peer {
            status: standings.get(&info.id).and_then(|standing| standing.status.clone()),
            info: info.clone(),
        };
        let (now, left) = ((Instant::now(), clock::now()), self.parts().network.departures());
        let departed = |one: &bard_protocol::Departure| reply::Departed {
            peer: one.peer,
            address: one.address.to_string(),
            at: clock::before(now.1, now.0.saturating_duration_since(one.at)),
            reason: one.reason.clone(),
        };
        reply::Peers {
            connected: peers.iter().map(with_status).collect(),
            departed: left.borrow().iter().rev().map(departed).collect(),
        }
    }

    pub(super) fn bans(&self) -> Vec<reply::Ban> {
        self.parts().network.bans().borrow().now().into_iter().map(shown).collect()
    }

    pub(super) async fn ban(&self, peer: &str, seconds: Option<u64>, reason: String) -> Result<Reply, Failure> {
        let peer = peer_id(peer)?;
        let seconds = seconds.unwrap_or(BAN_SECONDS);
        if !(1..=MAX_BAN_SECONDS).contains(&seconds) {
            return Err(malformed(format!("seconds: {seconds} is not in 1 to {MAX_BAN_SECONDS}")));
        }
        if reason.chars().count() > MAX_REASON || reason.chars().any(char::is_control) {
            return Err(malformed(format!("reason: it must be one line of at most {MAX_REASON} characters")));
        }
        if peer == self.parts().network.peer_id() {
            return Err(Failure::new(FailureKind::Conflict, format!("{peer} is this node itself")));
        }
        let ban = Ban { peer, remaining: Duration::from_secs(seconds), by: BannedBy::Person, reason };
        let bans = self.parts().network.ban(ban.clone()).await.ok_or_else(stopping)?;
        self.kept(&bans).await?;
        Ok(Reply::Banned(shown(ban)))
    }

    pub(super) async fn lift_bans(&self, peer: Option<String>) -> Result<Reply, Failure> {
        let peer = peer.as_deref().map(peer_id).transpose()?;
        let (lifted, bans) = self.parts().network.lift_bans(peer).await.ok_or_else(stopping)?;
        if let (0, Some(peer)) = (lifted, peer) {
            return Err(Failure::new(FailureKind::NotFound, format!("{peer} is not banned")));
        }
        self.kept(&bans).await?;
        Ok(Reply::Lifted(lifted))
    }

    async fn kept(&self, bans: &Bans) -> Result<(), Failure> {
        let kept = self.parts().meeting.bans_kept(bans).await;
        kept.map_err(|problem| Failure::new(FailureKind::Internal, problem))
    }
}

fn stopping() -> Failure {
    Failure::new(FailureKind::Unavailable, "the node is stopping")
}
