//! News for people: what happens to the chain and the peers, in a line each.

use tokio::sync::mpsc;

use super::view::event;
use crate::application::{
    Service,
    events::{Kind, Kinds, Missed, Place},
};

/// Prints news until the node stops, beginning with those of its start. When `lines` is full, news are dropped: whoever
/// reads so slowly misses little.
pub async fn run(service: Service, lines: mpsc::Sender<String>) {
    let kinds = Kinds::of(&[Kind::Block, Kind::Reorg, Kind::Peer]);
    let mut follower = service.events().read(kinds, Place::Beginning);
    loop {
        let line = match follower.next().await {
            Ok(Some(event)) => event::line(&event.change),
            Ok(None) => return,
            Err(Missed) => {
                follower = service.events().read(kinds, Place::Now);
                Some("(some news were too many to show)".to_owned())
            }
        };
        if let Some(line) = line
            && let Err(mpsc::error::TrySendError::Closed(_)) = lines.try_send(line)
        {
            return;
        }
    }
}
