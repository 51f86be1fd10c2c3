//! What the dashboard knows of the node.

use std::collections::VecDeque;

use crate::interface::{
    client::{Client, ClientError},
    view::json::{BlockPage, Node, Peers, Status},
};

/// Blocks that are asked for: more fit on no terminal.
const BLOCKS: usize = 50;
/// News that are kept; an older one makes place for a newer one.
const NEWS: usize = 200;

/// What the node said when it was last asked.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) node: Node<'static>,
    pub(super) status: Status<'static>,
    pub(super) peers: Peers<'static>,
    /// The newest first.
    pub(super) blocks: BlockPage<'static>,
}

impl Snapshot {
    /// Asks the node.
    ///
    /// # Errors
    /// Where it gives no answer.
    pub(super) async fn take(client: &Client) -> Result<Self, ClientError> {
        let (node, status, peers, blocks) =
            tokio::try_join!(client.node(), client.status(), client.peers(), client.blocks(None, BLOCKS))?;
        Ok(Self { node, status, peers, blocks })
    }
}

/// What is known of the node.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Its URL.
    pub(super) url: String,
    /// Its last answer.
    pub(super) last: Option<Snapshot>,
    /// Why there is no newer one.
    pub(super) trouble: Option<String>,
    /// What happened, the newest first.
    pub(super) news: VecDeque<String>,
}

impl Seen {
    /// Nothing yet.
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), last: None, trouble: None, news: VecDeque::new() }
    }

    /// The node answered.
    pub(super) fn answered(&mut self, snapshot: Snapshot) {
        self.last = Some(snapshot);
        self.trouble = None;
    }

    /// The node gave no answer.
    pub(super) fn lost(&mut self, why: &str) {
        self.trouble = Some(why.to_owned());
    }

    /// Something happened.
    pub(super) fn heard(&mut self, line: String) {
        self.news.truncate(NEWS - 1);
        self.news.push_front(line);
    }
}
