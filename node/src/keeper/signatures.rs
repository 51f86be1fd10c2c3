//! How the keeper has signatures checked: on all cores, and no key unpacked again that was seen lately.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use bard_chain::{
    address::Address,
    signature::{self, Claim, PublicKey},
};
use rayon::prelude::*;

/// Signatures that are not parted among threads: to check fewer together costs more than it saves time.
const SMALLEST_PART: usize = 128;
/// Keys of one generation of two. As many fit into a table of 4,096 places; both generations take 1.6 MiB at most.
const GENERATION: usize = 3_584;

/// [`signature::all_hold`] in equal parts, on the threads of the pool this runs in.
pub(crate) fn all_hold_in_parallel(claims: &[Claim]) -> bool {
    claims.par_chunks(part(claims.len(), rayon::current_num_threads())).all(signature::all_hold)
}

/// How many of so many claims a thread checks together.
fn part(claims: usize, threads: usize) -> usize {
    claims.div_ceil(threads.max(1)).clamp(SMALLEST_PART, signature::BATCH)
}

/// Checks signatures for a node: cheap to clone, all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signatures {
    known: Arc<RwLock<Known>>,
    under_way: Arc<AtomicUsize>,
}

/// A check that waits for its turn or is under way.
pub(super) struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Signatures {
    /// Counts a check until the answer is dropped.
    pub(super) fn begin(&self) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(&self.under_way))
    }

    /// Whether all claims hold. They are parted among the threads of the pool this runs in as far as other checks leave any
    /// idle: the more are checked together, the less each costs.
    pub(crate) fn all_hold(&self, claims: &[Claim]) -> bool {
        let checks = self.under_way.load(Ordering::Relaxed).max(1);
        claims.par_chunks(part(claims.len(), rayon::current_num_threads() / checks)).all(|part| self.part_holds(part))
    }

    fn part_holds(&self, claims: &[Claim]) -> bool {
        let mut used = Vec::new();
        let holds = signature::all_hold_with(claims, &mut |signer| {
            let (key, is_young) = self.key(signer)?;
            if !is_young {
                used.push((*signer, key));
            }
            Some(key)
        });
        // What does not hold may have come from anybody, and is no reason to forget others.
        if holds && !used.is_empty() {
            self.known.write().unwrap_or_else(PoisonError::into_inner).remember(used);
        }
        holds
    }

    /// A key, and whether it is among the young.
    fn key(&self, signer: &Address) -> Option<(PublicKey, bool)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.young.get(signer) {
            return Some((*key, true));
        }
        let old = known.old.get(signer).copied();
        drop(known);
        Some((old.or_else(|| PublicKey::of(signer))?, false))
    }
}

/// Keys in two generations. When the young are many, they become the old, and what was old is forgotten, unless it was used
/// meanwhile.
#[derive(Debug, Default)]
struct Known {
    young: HashMap<Address, PublicKey>,
    old: HashMap<Address, PublicKey>,
}

impl Known {
    fn remember(&mut self, keys: Vec<(Address, PublicKey)>) {
        for (signer, key) in keys {
            if self.young.len() >= GENERATION {
                // Both tables are kept: one that grows from nothing hashes every key anew each time it doubles.
                std::mem::swap(&mut self.young, &mut self.old);
                self.young.clear();
            }
            self.young.insert(signer, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::{
        hash::Hash32,
        signature::{SecretKey, Signature},
    };

    use super::*;

    fn claims(from: u16, count: u16) -> Vec<Claim> {
        let claim = |number: u16| {
            let mut seed = [0; 32];
            seed[..2].copy_from_slice(&number.to_be_bytes());
            let (key, message) = (SecretKey::from_seed(&seed), Hash32::new(seed));
            Claim { signer: key.address(), message, signature: key.sign(&message) }
        };
        (from..from.saturating_add(count)).map(claim).collect()
    }

    fn sizes(signatures: &Signatures) -> (usize, usize) {
        let known = signatures.known.read().expect("nobody panicked");
        (known.young.len(), known.old.len())
    }

    #[test]
    fn known_keys_change_no_answer() {
        let signatures = Signatures::default();
        let honest = claims(0, 300);
        for round in 0..2 {
            assert!(signatures.all_hold(&honest), "round {round}");
            assert_eq!(sizes(&signatures), (300, 0));
            let mut forged = honest.clone();
            forged[299].signature = Signature::new([7; 64]);
            assert!(!signatures.all_hold(&forged), "round {round}");
            forged[299] = Claim { signer: forged[0].signer, ..honest[299] };
            assert!(!signatures.all_hold(&forged), "round {round}: signed by another");
        }
    }

    #[test]
    fn the_keys_of_forgeries_are_not_kept() {
        let signatures = Signatures::default();
        let mut forged = claims(0, 20);
        forged[3].message = Hash32::ZERO;
        assert!(!signatures.all_hold(&forged));
        assert_eq!(sizes(&signatures), (0, 0));
    }

    #[test]
    fn what_is_used_stays_and_the_number_is_bounded() {
        let signatures = Signatures::default();
        let regulars = claims(0, 10);
        let generation = u16::try_from(GENERATION).expect("small");
        for round in 1..4 {
            assert!(signatures.all_hold(&regulars));
            assert!(signatures.all_hold(&claims(round * generation, generation - 5)));
            let (young, old) = sizes(&signatures);
            assert!(young <= GENERATION && old <= GENERATION, "{young} {old}");
        }
        let known = signatures.known.read().expect("nobody panicked");
        let is_known = |claim: &Claim| known.young.contains_key(&claim.signer) || known.old.contains_key(&claim.signer);
        assert!(regulars.iter().all(is_known));
        assert!(!claims(generation, 10).iter().any(is_known), "long ago");
    }

    #[test]
    fn checks_are_counted_while_they_last() {
        let signatures = Signatures::default();
        let (one, two) = (signatures.begin(), signatures.clone().begin());
        assert_eq!(signatures.under_way.load(Ordering::Relaxed), 2);
        drop((one, two));
        assert_eq!(signatures.under_way.load(Ordering::Relaxed), 0);
        assert_eq!((part(10_000, 2), part(1_000, 2), part(1_000, 0), part(5, 8)), (signature::BATCH, 500, 1_000, 128));
    }
}
