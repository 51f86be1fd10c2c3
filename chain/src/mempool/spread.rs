//! A map by keys that look random, in 256 parts by their first byte: in a pool of a hundred thousand transactions each search
//! is half as long. Whoever makes keys that begin alike has the one long map that there would be otherwise.

use std::collections::BTreeMap;

use crate::{address::Address, hash::TransactionId};

/// How many parts: one for each first byte.
const PARTS: usize = 256;

/// A key that looks random.
pub(super) trait Key: Ord {
    /// Its first byte.
    fn first_byte(&self) -> u8;
}

impl Key for Address {
    fn first_byte(&self) -> u8 {
        let [first, ..] = self.as_bytes();
        *first
    }
}

impl Key for TransactionId {
    fn first_byte(&self) -> u8 {
        let [first, ..] = self.as_bytes();
        *first
    }
}

/// Entries by key.
#[derive(Debug)]
pub(super) struct Spread<K, V>(Box<[BTreeMap<K, V>; PARTS]>);

impl<K, V> Default for Spread<K, V> {
    fn default() -> Self {
        Self(Box::new([const { BTreeMap::new() }; PARTS]))
    }
}

impl<K: Key, V> Spread<K, V> {
    fn part(&self, key: &K) -> Option<&BTreeMap<K, V>> {
        self.0.get(usize::from(key.first_byte()))
    }

    fn part_mut(&mut self, key: &K) -> Option<&mut BTreeMap<K, V>> {
        self.0.get_mut(usize::from(key.first_byte()))
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.part(key)?.get(key)
    }

    /// The value of a key, to be changed.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.part_mut(key)?.get_mut(key)
    }

    /// The value of a key, to be changed; where there is none, what `make` makes. A part for every byte there is, so it is never
    /// `None`.
    pub(super) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> Option<&mut V> {
        Some(self.part_mut(&key)?.entry(key).or_insert_with(make))
    }

    /// Puts an entry in, in the place of another with its key.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if let Some(part) = self.part_mut(&key) {
            part.insert(key, value);
        }
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: &K) {
        if let Some(part) = self.part_mut(key) {
            part.remove(key);
        }
    }

    /// All values by ascending key.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().flat_map(BTreeMap::values)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0_u8..3, 0_u8..4, 0_u8..3), 0..60)) {
            let (mut spread, mut model) = (Spread::default(), BTreeMap::new());
            for (what, first, last) in steps {
                let mut key = [0; 32];
                (key[0], key[31]) = (first.wrapping_mul(85), last);
                let key = Address::new(key);
                match what {
                    0 => {
                        spread.insert(key, what);
                        model.insert(key, what);
                    }
                    1 => {
                        spread.remove(&key);
                        model.remove(&key);
                    }
                    _ => {
                        *spread.get_or_insert_with(key, || 10).expect("a part for every byte") += 1;
                        *model.entry(key).or_insert(10) += 1;
                    }
                }
                prop_assert!(spread.values().eq(model.values()));
                prop_assert_eq!(spread.get(&key), model.get(&key));
                prop_assert_eq!(spread.get_mut(&key), model.get_mut(&key));
            }
        }
    }
}
