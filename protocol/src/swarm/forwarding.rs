//! Port forwarding by the router (UPnP), which is asked anew in each network.
//!
//! libp2p looks for a router once. When an address goes it takes back what it had mapped for that port, whichever address it
//! was mapped for, and does not say so. So whenever an address of this machine has gone, what was mapped no longer counts,
//! and another behaviour looks for a router from the start.

use core::time::Duration;

use libp2p::{
    Multiaddr,
    swarm::{FromSwarm, NetworkBehaviour, behaviour::NewListenAddr},
    upnp,
};
use tracing::{debug, info};

use super::Driver;
use crate::{
    address::{ip, is_loopback, is_relayed},
    reachability::Router,
};

/// How long addresses that come and go together take.
const SETTLED: Duration = Duration::from_secs(2);

/// When the router is asked.
#[derive(Debug, Default)]
pub(super) struct Forwarding {
    asked_at: Duration,
    /// When it is to be asked again, if it is.
    due: Option<Duration>,
}

impl Driver {
    /// Port forwarding is a convenience: without it the node works, so nothing of it is a warning.
    pub(super) fn upnp_event(&mut self, event: upnp::Event) {
        match event {
            upnp::Event::NewExternalAddr { external_addr, .. } => {
                info!(%external_addr, "the router forwards to this node");
                self.observer.mapped(&external_addr);
            }
            upnp::Event::ExpiredExternalAddr { external_addr, .. } => {
                info!(%external_addr, "the router no longer forwards to this node");
                self.observer.unmapped(&external_addr);
            }
            upnp::Event::GatewayNotFound => {
                info!("no router here forwards ports by UPnP");
                self.observer.router(Router::None);
            }
            upnp::Event::NonRoutableGateway => {
                info!("the router itself is not on the public internet");
                self.observer.router(Router::Inner);
            }
        }
        self.update_reach();
    }

    /// An address of this machine has come: where none was forwarding there may be a router now.
    pub(super) fn may_have_router(&mut self, address: &Multiaddr) {
        let now = self.now();
        let looks = now.saturating_sub(self.forwarding.asked_at) < SETTLED;
        if self.may_be_forwarded(address) && !looks && !self.observer.is_mapped() {
            self.forwarding.due = Some(now.saturating_add(SETTLED));
        }
    }

    /// An address of this machine has gone: what the router forwarded may lead to somebody else.
    pub(super) fn may_have_left_router(&mut self, address: &Multiaddr) {
        if !self.may_be_forwarded(address) {
            return;
        }
        self.forwarding.due = Some(self.now().saturating_add(SETTLED));
        self.forget_mapped();
    }

    fn forget_mapped(&mut self) {
        for mapped in self.observer.forget_mapped() {
            debug!(address = %mapped, "the router may no longer forward to this node");
            self.take_back(&mapped);
        }
    }

    /// Asks the router when it is time to.
    pub(super) fn ask_router(&mut self, now: Duration) {
        if self.forwarding.due.is_none_or(|due| due > now) {
            return;
        }
        self.forwarding = Forwarding { asked_at: now, due: None };
        // What was mapped in the last moment nobody would renew.
        self.forget_mapped();
        self.observer.router(Router::Asked);
        let mut behaviour = upnp::tokio::Behaviour::default();
        for (listener_id, addr) in &self.listeners {
            behaviour.on_swarm_event(FromSwarm::NewListenAddr(NewListenAddr { listener_id: *listener_id, addr }));
        }
        self.swarm.behaviour_mut().upnp = Some(behaviour).into();
        debug!("looking for a router that forwards ports");
        self.update_reach();
    }

    fn may_be_forwarded(&self, address: &Multiaddr) -> bool {
        self.swarm.behaviour().upnp.is_enabled()
            && !is_loopback(address)
            && !is_relayed(address)
            && ip(address).is_some_and(|ip| ip.is_ipv4())
    }
}
