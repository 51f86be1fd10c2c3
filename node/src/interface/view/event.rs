//! Events as lines for people.

use super::event_json::{Event, PeerEvent, ReorgEvent};

/// The line of an event that people are told of.
pub fn line(event: &Event) -> Option<String> {
    match event {
        Event::Block(block) => {
            Some(format!("* block {} {} ({} transactions)", block.height, block.hash, block.transactions))
        }
        Event::Reorg(ReorgEvent::Adopted { disconnected, connected, fork_height, .. }) => Some(format!(
            "* reorganisation: another branch has more work; {disconnected} blocks after height {fork_height} left the \
             chain, {connected} joined it"
        )),
        Event::Reorg(ReorgEvent::Refused { invalid_block, reason }) => {
            Some(format!("* a branch with more work is refused: its block {invalid_block} is invalid: {reason}"))
        }
        Event::Peer(PeerEvent::Connected { peer_id, .. }) => Some(format!("* connected to {peer_id}")),
        Event::Peer(PeerEvent::Lost { peer_id }) => Some(format!("* lost {peer_id}")),
        Event::Reset(reset) => Some(format!("(some news are missing: {})", reset.detail)),
        Event::Transaction(_) | Event::Mining(_) | Event::Sync(_) | Event::Lab(_) | Event::Error(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_peer_is_not_said_to_be_dialled() {
        // It may have dialled this node itself, be banned, or have been closed by order.
        let lost = Event::Peer(PeerEvent::Lost { peer_id: "12D3KooW".to_owned() });
        assert_eq!(line(&lost).as_deref(), Some("* lost 12D3KooW"));
    }
}
