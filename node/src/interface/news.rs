//! News for people: what happens to the chain and the peers, in a line each.

use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};

use super::{
    client::{Client, ClientError, Told},
    view::{event, event_json::Event},
};

/// What people are told of.
const KINDS: &str = "block,reorg,peer";
/// The place before the first event that the node still keeps.
const START: &str = "start";
/// How long until a stream that ended is taken up again.
const PAUSE: Duration = Duration::from_secs(1);

/// From where on a person is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// From the start of the node.
    Start,
    /// From now on.
    Now,
}

/// Sends news until nobody reads them any more, whatever happens to the node meanwhile. When `lines` is full, news are
/// dropped: whoever reads so slowly misses little.
pub async fn run(client: Client, since: Since, lines: mpsc::Sender<String>) {
    let mut after = (since == Since::Start).then(|| START.to_owned());
    let mut lost = false;
    loop {
        match follow(&client, &mut after, &mut lost, &lines).await {
            // A node that stops ends the stream; a busy one may.
            Ok(()) => {}
            Err(Ended::Nobody) => return,
            Err(Ended::Failed(error)) => {
                if !std::mem::replace(&mut lost, true) && !told(&lines, format!("* no news for now: {error}")) {
                    return;
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
        if lines.is_closed() {
            return;
        }
    }
}

/// Why a stream is not read any further.
enum Ended {
    /// Nobody reads the news.
    Nobody,
    /// The node does not send them.
    Failed(ClientError),
}

async fn follow(
    client: &Client,
    after: &mut Option<String>,
    lost: &mut bool,
    lines: &mpsc::Sender<String>,
) -> Result<(), Ended> {
    let mut events = client.events(KINDS, after.clone()).await.map_err(Ended::Failed)?;
    if std::mem::take(lost) && !told(lines, "* the node is there again".to_owned()) {
        return Err(Ended::Nobody);
    }
    while let Some(one) = events.next().await.map_err(Ended::Failed)? {
        let Told { id, name, data } = one;
        if !id.is_empty() {
            *after = Some(id);
        }
        // An event that this version does not know is no news to it.
        let line = Event::read(&name, &data).ok().flatten().and_then(|event| event::line(&event));
        if line.is_some_and(|line| !told(lines, line)) {
            return Err(Ended::Nobody);
        }
    }
    Ok(())
}

/// Whether somebody still reads.
fn told(lines: &mpsc::Sender<String>, line: String) -> bool {
    !matches!(lines.try_send(line), Err(TrySendError::Closed(_)))
}
