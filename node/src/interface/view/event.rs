//! Events as lines for people.

use crate::application::events::Change;

/// The line of an event that people are told of.
pub fn line(change: &Change) -> Option<String> {
    match change {
        Change::Block { id, header, transactions, .. } => {
            Some(format!("* block {} {id} ({transactions} transactions)", header.height))
        }
        Change::Reorg { disconnected, connected, fork, .. } => Some(format!(
            "* reorganisation: another branch has more work; {disconnected} blocks after height {fork} left the chain, \
             {connected} joined it"
        )),
        Change::BranchRefused { at, reason } => {
            Some(format!("* a branch with more work is refused: its block {at} is invalid: {reason}"))
        }
        Change::Connected(info) => Some(format!("* connected to {}", info.id)),
        Change::Lost(peer) => Some(format!("* lost {peer}; it is dialled again")),
        Change::Transaction(_) | Change::Mining(_) | Change::Sync { .. } => None,
    }
}
