//! A map that needs no memory of its own for one entry, and little for several: most accounts in a pool have one or two.

use core::ops::{Bound, RangeBounds};
use std::collections::BTreeMap;

/// So many entries lie side by side at most; of more there is a tree.
const SEVERAL: usize = 8;

/// Entries by key.
#[derive(Debug)]
pub(super) enum Few<K, V> {
    /// None or one.
    One(Option<(K, V)>),
    /// Up to [`SEVERAL`], by ascending key.
    Several(Vec<(K, V)>),
    /// There were more once, and it has not been empty since.
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
            Self::One(only) => match only.take() {
                Some(first) if first.0 != key => {
                    let second = (key, value);
                    let mut both = Vec::with_capacity(2);
                    both.extend(if first.0 < second.0 { [first, second] } else { [second, first] });
                    *self = Self::Several(both);
                }
                _ => *only = Some((key, value)),
            },
            Self::Several(entries) => match entries.binary_search_by(|(known, _)| known.cmp(&key)) {
                Ok(at) => {
                    if let Some(place) = entries.get_mut(at) {
                        *place = (key, value);
                    }
                }
                Err(at) if entries.len() < SEVERAL => entries.insert(at, (key, value)),
                Err(_) => {
                    let mut all: BTreeMap<K, V> = core::mem::take(entries).into_iter().collect();
                    all.insert(key, value);
                    *self = Self::Many(all);
                }
            },
            Self::Many(entries) => drop(entries.insert(key, value)),
        }
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: &K) {
        let is_empty = match self {
            Self::One(only) => return drop(only.take_if(|(known, _)| known == key)),
            Self::Several(entries) => {
                entries.retain(|(known, _)| known != key);
                entries.is_empty()
            }
            Self::Many(entries) => {
                entries.remove(key);
                entries.is_empty()
            }
        };
        if is_empty {
            *self = Self::default();
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        match self {
            Self::Many(entries) => entries.get(key),
            Self::One(_) | Self::Several(_) => {
                self.side_by_side().iter().find(|(known, _)| known == key).map(|(_, value)| value)
            }
        }
    }

    /// What lies side by side.
    fn side_by_side(&self) -> &[(K, V)] {
        match self {
            Self::One(only) => only.as_slice(),
            Self::Several(entries) => entries,
            Self::Many(_) => &[],
        }
    }

    /// The entries of a range of keys, which must not end before it begins, by ascending key.
    pub(super) fn range(&self, range: impl RangeBounds<K>) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        let some = self.side_by_side();
        let below = |key: &K| match range.start_bound() {
            Bound::Included(low) => key < low,
            Bound::Excluded(low) => key <= low,
            Bound::Unbounded => false,
        };
        let some = some.split_at(some.partition_point(|(key, _)| below(key))).1;
        let some = some.split_at(some.partition_point(|(key, _)| range.contains(key))).0;
        let many = match self {
            Self::Many(entries) => Some(entries.range(range)),
            Self::One(_) | Self::Several(_) => None,
        };
        some.iter().map(|(key, value)| (key, value)).chain(many.into_iter().flatten())
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
            Self::One(_) | Self::Several(_) => self.side_by_side().len(),
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
        fn it_is_a_map(steps in proptest::collection::vec((0_u8..3, 0_u8..12, any::<u8>()), 0..60), low in 0_u8..12, more in 0_u8..12) {
            let (mut few, mut model) = (Few::default(), BTreeMap::new());
            for (put, key, value) in steps {
                if put > 0 {
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
