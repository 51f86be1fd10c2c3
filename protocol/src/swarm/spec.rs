//! Telling the chain's specification to those who were invited and know the chain's id alone.

use core::time::Duration;

use libp2p::request_response::{Event, Message};
use tracing::debug;

use super::Driver;
use crate::{
    peers::conduct::Fault,
    wire::{
        WireError,
        spec::{SpecRequest, SpecResponse},
    },
};

/// How often one peer is told: so many times in an interval; above that it gets an empty answer, for a long specification
/// has megabytes.
const TELLS: u32 = 4;
const TELL_INTERVAL: Duration = Duration::from_secs(60);

impl Driver {
    pub(super) fn spec_event(&mut self, event: Event<Result<SpecRequest, WireError>, SpecResponse>) {
        // A node has its specification and asks nobody, so there are no answers; all else is libp2p's to tidy up.
        let Event::Message { peer, message: Message::Request { request, channel, .. }, .. } = event else { return };
        let now = self.now();
        let text = match self.links.get_mut(&peer) {
            Some(link) if request.is_ok() => {
                let recent = link.spec_told.filter(|(since, _)| now.saturating_sub(*since) < TELL_INTERVAL);
                let (since, times) = recent.unwrap_or((now, 0));
                link.spec_told = Some((since, times.saturating_add(1)));
                if times < TELLS { self.specification.to_string() } else { String::new() }
            }
            _ => String::new(),
        };
        debug!(%peer, bytes = text.len(), "asked for the specification");
        // An error means that the peer has gone.
        let _ = self.swarm.behaviour_mut().spec.send_response(channel, SpecResponse(text));
        if let Err(fault) = request {
            self.penalise(peer, Fault::Serious, &format!("request for the specification: {fault}"));
        }
    }
}
