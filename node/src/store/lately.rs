//! What was read of one snapshot of the index lately: reading it again needs no file.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{PoisonError, RwLock},
};

/// The most entries; one more, and it begins anew.
const MAX_ENTRIES: usize = 4096;

/// Entries by key. It lasts as long as the snapshot, which never changes: so nothing in it is ever out of date.
#[derive(Debug)]
pub(super) struct Lately<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Eq + Hash, V: Copy> Lately<K, V> {
    /// What was read; `None` if nobody read it lately.
    pub(super) fn get(&self, key: &K) -> Option<V> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    /// Notes what was read.
    pub(super) fn put(&self, key: K, value: V) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        entries.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_stays_and_there_is_an_end() {
        let lately = Lately::default();
        assert_eq!(lately.get(&1), None);
        for key in 0..10 * MAX_ENTRIES {
            lately.put(key, key + 1);
            assert_eq!(lately.get(&key), Some(key + 1));
        }
        assert!(lately.0.read().expect("no panic").len() <= MAX_ENTRIES);
    }
}
