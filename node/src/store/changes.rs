//! Changes by key, put together from many commits.
//!
//! Each commit brings some thousand changes, in the order of their keys. To put each in its place among those of the commits
//! before would cost more than all else that a commit does in memory; so they stay together, a sequence a commit, and two
//! sequences become one when the later has grown as long as the earlier. So there are few, each is longer than the next, and a
//! change is moved a few times at most before all of them are written to the index.

use std::{
    cmp::Ordering,
    ops::{Bound, RangeBounds},
};

use super::index::KeyRange;

/// Keys that ascend, each once, and what became of each; `None` where something is gone.
type Run<K, V> = Vec<(K, Option<V>)>;

/// Changes by key; `None` where something is gone.
#[derive(Clone, Debug)]
pub(super) struct Changes<K, V> {
    /// The oldest and longest first; what a later one says of a key counts.
    runs: Vec<Run<K, V>>,
}

impl<K, V> Default for Changes<K, V> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

/// Of changes to one key the last one counts.
impl<K: Ord, V> FromIterator<(K, Option<V>)> for Changes<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, Option<V>)>>(changes: I) -> Self {
        let mut run: Run<K, V> = changes.into_iter().collect();
        // Equal keys stay in their order; what is in order already costs a look at each.
        run.sort_by(|(one, _), (other, _)| one.cmp(other));
        run.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(later, kept);
            }
            same
        });
        Self { runs: if run.is_empty() { Vec::new() } else { vec![run] } }
    }
}

impl<K: Ord, V> Changes<K, V> {
    /// Number of changes; one that a later one overrode may still be counted.
    pub(super) fn len(&self) -> usize {
        self.runs.iter().map(Vec::len).fold(0, usize::saturating_add)
    }

    /// Adds a change.
    pub(super) fn insert(&mut self, key: K, value: Option<V>) {
        self.add(vec![(key, value)]);
    }

    /// Adds later changes.
    pub(super) fn absorb(&mut self, later: Self) {
        later.runs.into_iter().for_each(|run| self.add(run));
    }

    fn add(&mut self, mut later: Run<K, V>) {
        if later.is_empty() {
            return;
        }
        while let Some(earlier) = self.runs.pop_if(|earlier| earlier.len() <= later.len()) {
            later = merged(earlier, later);
        }
        self.runs.push(later);
    }

    /// What became of a key; `None` where nothing did.
    pub(super) fn get(&self, key: &K) -> Option<&Option<V>> {
        self.runs.iter().rev().find_map(|run| {
            let place = run.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
            run.get(place).map(|(_, value)| value)
        })
    }

    /// All changes by ascending key.
    pub(super) fn iter(&self) -> Merged<'_, K, V> {
        Merged { runs: self.runs.iter().map(Vec::as_slice).collect() }
    }

    /// The changes of a range of keys, by ascending key.
    pub(super) fn range(&self, range: &KeyRange<K>) -> Merged<'_, K, V> {
        Merged { runs: self.runs.iter().map(|run| part(run, range)).collect() }
    }

    /// The change with the greatest key of a range.
    pub(super) fn last_in(&self, range: &KeyRange<K>) -> Option<(&K, &Option<V>)> {
        // Of equal ones the newest counts, which comes first.
        let last = self.runs.iter().rev().filter_map(|run| part(run, range).last());
        last.reduce(|one, two| if two.0 > one.0 { two } else { one }).map(|(key, value)| (key, value))
    }

    /// The smallest key.
    pub(super) fn first_key(&self) -> Option<&K> {
        self.runs.iter().filter_map(|run| run.first()).map(|(key, _)| key).min()
    }
}

/// The part of a run whose keys are in a range.
fn part<'a, K: Ord, V>(run: &'a [(K, Option<V>)], range: &KeyRange<K>) -> &'a [(K, Option<V>)] {
    let below = |key: &K| match range.start_bound() {
        Bound::Included(low) => key < low,
        Bound::Excluded(low) => key <= low,
        Bound::Unbounded => false,
    };
    let within = |key: &K| match range.end_bound() {
        Bound::Included(high) => key <= high,
        Bound::Excluded(high) => key < high,
        Bound::Unbounded => true,
    };
    let (_, from) = run.split_at(run.partition_point(|(key, _)| below(key)));
    from.split_at(from.partition_point(|(key, _)| within(key))).0
}

/// Two runs as one.
fn merged<K: Ord, V>(earlier: Run<K, V>, later: Run<K, V>) -> Run<K, V> {
    let mut all = Vec::with_capacity(earlier.len().saturating_add(later.len()));
    let (mut earlier, mut later) = (earlier.into_iter().peekable(), later.into_iter().peekable());
    while let (Some((one, _)), Some((other, _))) = (earlier.peek(), later.peek()) {
        let order = one.cmp(other);
        let first = if order == Ordering::Less { earlier.next() } else { later.next() };
        all.extend(first);
        if order == Ordering::Equal {
            earlier.next();
        }
    }
    all.extend(earlier);
    all.extend(later);
    all
}

/// Several runs as one, of which nothing is copied.
pub(super) struct Merged<'a, K, V> {
    /// What is left of each, the oldest first.
    runs: Vec<&'a [(K, Option<V>)]>,
}

impl<'a, K: Ord, V> Iterator for Merged<'a, K, V> {
    type Item = (&'a K, &'a Option<V>);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, value) = match self.runs.as_mut_slice() {
            // The usual case: nothing to compare.
            [only] => only.split_off_first()?,
            runs => {
                let heads = runs.iter().rev().filter_map(|run| run.first());
                let newest = heads.reduce(|one, two| if two.0 < one.0 { two } else { one })?;
                for run in runs {
                    if run.first().is_some_and(|(key, _)| *key == newest.0) {
                        run.split_off_first();
                    }
                }
                newest
            }
        };
        Some((key, value))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    type Bounds = KeyRange<u8>;

    fn bound() -> impl Strategy<Value = Bound<u8>> {
        prop_oneof![
            Just(Bound::Unbounded),
            any::<u8>().prop_map(|key| Bound::Included(key % 40)),
            any::<u8>().prop_map(|key| Bound::Excluded(key % 40)),
        ]
    }

    /// Ranges as a `BTreeMap` takes them: not with the ends exchanged.
    fn ordered((low, high): Bounds) -> bool {
        let value = |bound| match bound {
            Bound::Included(key) => Some((key, true)),
            Bound::Excluded(key) => Some((key, false)),
            Bound::Unbounded => None,
        };
        let (Some((low, low_in)), Some((high, high_in))) = (value(low), value(high)) else { return true };
        low < high || (low == high && (low_in || high_in))
    }

    proptest! {
        /// A map that keeps everything in one order says the same.
        #[test]
        fn they_are_what_a_map_is(
            commits in vec(vec((0_u8..40, proptest::option::of(any::<u16>())), 0..30), 0..40),
            range in (bound(), bound()),
        ) {
            let (mut changes, mut map) = (Changes::default(), BTreeMap::new());
            for commit in commits {
                match commit.as_slice() {
                    [(key, value)] => changes.insert(*key, *value),
                    _ => changes.absorb(commit.iter().copied().collect()),
                }
                map.extend(commit);
                prop_assert!(changes.iter().eq(map.iter()));
                prop_assert_eq!(changes.first_key(), map.keys().next());
                prop_assert!(changes.len() >= map.len());
                let lengths: Vec<_> = changes.runs.iter().map(Vec::len).collect();
                prop_assert!(lengths.is_sorted_by(|one, two| one > two), "{:?}", lengths);
                for key in 0..40 {
                    prop_assert_eq!(changes.get(&key), map.get(&key));
                }
                if ordered(range) {
                    prop_assert!(changes.range(&range).eq(map.range(range)));
                    prop_assert_eq!(changes.last_in(&range), map.range(range).next_back());
                } else {
                    prop_assert_eq!(changes.range(&range).count(), 0);
                }
            }
        }
    }
}
