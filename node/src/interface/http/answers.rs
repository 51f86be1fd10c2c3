//! Blocks as JSON that were told lately: a block never changes, and making the text of a large one takes longer than sending
//! it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::body::Bytes;
use bard_chain::hash::BlockId;

/// The most bytes that are kept, and what an entry counts besides its text.
const MAX_BYTES: usize = 32 << 20;
const ENTRY: usize = 256;

/// A block, and whether it is on the active chain: its text says so.
type Key = (BlockId, bool);

/// Texts by block. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    texts: HashMap<Key, Bytes>,
    /// The oldest first.
    order: VecDeque<Key>,
    bytes: usize,
}

impl Answers {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The text of a block: the one that is kept, or the one that `make` makes, which is kept from then on.
    ///
    /// # Errors
    /// That of `make`.
    pub(super) fn text<E>(
        &self,
        id: BlockId,
        active: bool,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Bytes, E> {
        let key = (id, active);
        if let Some(text) = self.kept().texts.get(&key) {
            return Ok(text.clone());
        }
        // Not while others wait. Two that make the same at the same time do it twice.
        let text = Bytes::from(make()?);
        self.kept().put(key, &text);
        Ok(text)
    }
}

impl Kept {
    fn put(&mut self, key: Key, text: &Bytes) {
        if self.texts.insert(key, text.clone()).is_some() {
            return;
        }
        self.order.push_back(key);
        self.bytes = self.bytes.saturating_add(text.len()).saturating_add(ENTRY);
        while self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.pop_front() else { return };
            let length = self.texts.remove(&oldest).map_or(0, |text| text.len());
            self.bytes = self.bytes.saturating_sub(length).saturating_sub(ENTRY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_made_once_for_each_place_of_a_block() {
        let answers = Answers::default();
        let id = BlockId::new([7; 32]);
        assert_eq!(answers.text(id, true, || Err("not now")), Err("not now"));
        for (active, text) in [(true, "active"), (false, "beside")] {
            assert_eq!(answers.text(id, active, || Ok::<_, ()>(text.into())), Ok(text.into()));
            assert_eq!(answers.text(id, active, || Err(())), Ok(text.into()), "it is kept");
        }
    }

    #[test]
    fn the_oldest_makes_room() {
        let answers = Answers::default();
        let id = |number: u8| BlockId::new([number; 32]);
        for number in 0..100 {
            answers.text(id(number), true, || Ok::<_, ()>(vec![number; 1 << 20])).expect("made");
        }
        let kept = answers.kept();
        assert!(kept.bytes <= MAX_BYTES && kept.texts.len() == kept.order.len());
        assert!(kept.texts.contains_key(&(id(99), true)) && !kept.texts.contains_key(&(id(0), true)));
        assert_eq!(kept.bytes, kept.texts.values().map(|text| text.len() + ENTRY).sum::<usize>());
    }
}
