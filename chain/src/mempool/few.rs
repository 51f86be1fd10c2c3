//! A map that needs no memory of its own for one entry: most accounts in a pool have one or two.

use core::ops::RangeBounds;
use std::collections::BTreeMap;

/// Entries by key.
#[derive(Debug)]
pub(super) enum Few<K, V> {
    /// None or one.
    One(Option<(K, V)>),
    /// There were several once, and it has not been empty since.
    Many(BTreeMap<K, V>),
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Self::One(None)
    }
}

impl<K: Ord, V> Few<K, V> {
    /// Puts an entry in, in the place of another with its key.
    pub(super) fn insert(&mut self, key: K, value: V) {
        match self {
            Self::Many(entries) => drop(entries.insert(key, value)),
            Self::One(only) => match only.take() {
                Some(first) if first.0 != key => *self = Self::Many(BTreeMap::from([first, (key, value)])),
                _ => *only = Some((key, value)),
            },
        }
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: &K) {
        match self {
            Self::One(only) => drop(only.take_if(|(known, _)| known == key)),
            Self::Many(entries) => {
                entries.remove(key);
                if entries.is_empty() {
                    *self = Self::default();
                }
            }
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        match self {
            Self::One(only) => only.as_ref().filter(|(known, _)| known == key).map(|(_, value)| value),
            Self::Many(entries) => entries.get(key),
        }
    }

    /// The entries of a range of keys, which must not end before it begins, by ascending key.
    pub(super) fn range(&self, range: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        let (one, many) = match self {
            Self::One(only) => (only.as_ref().filter(|(key, _)| range.contains(key)), None),
            Self::Many(entries) => (None, Some(entries.range(range))),
        };
        one.map(|(key, value)| (key, value)).into_iter().chain(many.into_iter().flatten())
    }

    /// All entries by ascending key.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.range(..)
    }

    /// The keys, ascending.
    pub(super) fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The values by ascending key.
    pub(super) fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Number of entries.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(only) => only.iter().len(),
            Self::Many(entries) => entries.len(),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((any::<bool>(), 0_u8..6, any::<u8>()), 0..40), low in 0_u8..6, more in 0_u8..6) {
            let (mut few, mut model) = (Few::default(), BTreeMap::new());
            for (put, key, value) in steps {
                if put {
                    few.insert(key, value);
                    model.insert(key, value);
                } else {
                    few.remove(&key);
                    model.remove(&key);
                }
                prop_assert!(few.iter().eq(model.iter()) && few.keys().eq(model.keys()));
                prop_assert!(few.values().rev().eq(model.values().rev()));
                prop_assert!(few.range(low..low + more).rev().eq(model.range(low..low + more).rev()));
                prop_assert_eq!((few.len(), few.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(few.get(&key), model.get(&key));
            }
        }
    }
}
