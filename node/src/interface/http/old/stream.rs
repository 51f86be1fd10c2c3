//! The whole chain in one answer: made and sent part by part, so that no answer needs more memory than a part of the chain.

use std::{collections::VecDeque, io};

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header},
    response::IntoResponse,
};
use bard_chain::{hash::BlockId, units::Height};
use futures::stream;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::answer::Answer;
use crate::{
    application::{Service, reply::Block},
    interface::view::replaced,
};

/// Bytes of blocks that are turned into one part of an answer; one block may be longer.
const PART: usize = 256 << 10;

/// An answer on its way.
struct Walk {
    service: Service,
    /// What is sent before and after the blocks, in turn.
    before: Option<String>,
    after: Option<String>,
    next: Option<Height>,
    last: Height,
    /// The last block that was sent.
    sent: Option<BlockId>,
    /// Given back when the answer is sent, or nobody takes it.
    _place: OwnedSemaphorePermit,
}

/// An object with these fields, and with all blocks up to `last` as the field `chain`.
pub(super) async fn object(service: &Service, fields: &Value, chain: &str, last: Height) -> Answer {
    let head = fields.to_string();
    // The fields without the brace that ends them; there is always one.
    let head = format!("{},\"{chain}\":[", head.strip_suffix('}').unwrap_or(&head));
    answer(service, head, "]}", last).await
}

/// All blocks up to `last` as a list.
pub(super) async fn list(service: &Service, last: Height) -> Answer {
    answer(service, "[".to_owned(), "]", last).await
}

async fn answer(service: &Service, before: String, after: &str, last: Height) -> Answer {
    service.check_whole()?;
    let walk = Walk {
        _place: service.whole_chain_place().await?,
        service: service.clone(),
        before: Some(before),
        after: Some(after.to_owned()),
        next: Some(Height::ZERO),
        last,
        sent: None,
    };
    let parts = stream::try_unfold(walk, |mut walk| async move {
        let part = walk.part().await?;
        Ok::<_, io::Error>(part.map(|part| (part, walk)))
    });
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], Body::from_stream(parts)).into_response())
}

impl Walk {
    /// The next part; `None` after the last. An error ends the connection in the middle of the answer: half of one chain and
    /// half of another must not look like a whole one.
    async fn part(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(before) = self.before.take() {
            return Ok(Some(before.into()));
        }
        let Some(from) = self.next else { return Ok(self.after.take().map(Bytes::from)) };
        let blocks = self.service.chain_part(from, self.last, PART).await.map_err(io::Error::other)?;
        let first = self.sent.is_none();
        for block in &blocks {
            if self.sent.is_some_and(|sent| block.header().parent != sent) {
                return Err(io::Error::other("the chain changed while it was sent"));
            }
            self.sent = Some(block.block.id());
        }
        let reached = blocks.last().map(|block| block.header().height);
        if reached.is_none() {
            return Err(io::Error::other("the chain became shorter while it was sent"));
        }
        self.next = reached.and_then(|height| height.next()).filter(|next| *next <= self.last);
        let service = self.service.clone();
        let text = tokio::task::spawn_blocking(move || text(&service, blocks.into(), first));
        text.await.map_err(io::Error::other)?.map(|text| Some(text.into()))
    }
}

/// Blocks as JSON with commas between them, and before the first unless it is the first of all.
fn text(service: &Service, mut blocks: VecDeque<Block>, mut first: bool) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    while let Some(block) = blocks.pop_front() {
        if !std::mem::take(&mut first) {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, &replaced::block(&block, service.wallet()))?;
    }
    Ok(text)
}
