//! The transactions tree and its proofs.

use bard_chain::{
    hash::{Hash32, TransactionId},
    merkle::{InclusionProof, root},
};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::cases;

fn leaves() -> impl Strategy<Value = Vec<TransactionId>> {
    vec(any::<[u8; 32]>().prop_map(TransactionId::new), 1..150)
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn every_leaf_is_proven_and_nothing_else_is(leaves in leaves(), at in any::<Index>(), other in any::<[u8; 32]>(), place in any::<Index>()) {
        let index = at.index(leaves.len());
        let root = root(&leaves);
        let proof = InclusionProof::new(&leaves, index).expect("in range");
        prop_assert!(proof.verify(&leaves[index], &root));
        let other_leaf = TransactionId::new(other);
        prop_assert_eq!(proof.verify(&other_leaf, &root), other_leaf == leaves[index]);
        prop_assert!(!proof.verify(&leaves[index], &Hash32::new(other)));
        for index in 0..=proof.size {
            let moved = InclusionProof { index, ..proof.clone() };
            prop_assert_eq!(moved.verify(&leaves[at.index(leaves.len())], &root), index == proof.index);
        }
        if !proof.path.is_empty() {
            let mut bent = proof.clone();
            bent.path[place.index(proof.path.len())] = Hash32::new(other);
            prop_assert!(!bent.verify(&leaves[index], &root));
            let mut shorter = proof.clone();
            shorter.path.remove(place.index(proof.path.len()));
            prop_assert!(!shorter.verify(&leaves[index], &root));
        }
        let mut longer = proof.clone();
        longer.path.insert(place.index(proof.path.len() + 1), Hash32::new(other));
        prop_assert!(!longer.verify(&leaves[index], &root));
    }

    #[test]
    fn no_two_lists_share_a_root(leaves in leaves(), at in any::<Index>(), to in any::<Index>()) {
        let original = root(&leaves);
        let (at, to) = (at.index(leaves.len()), to.index(leaves.len()));
        let mut swapped = leaves.clone();
        swapped.swap(at, to);
        prop_assert_eq!(root(&swapped) == original, swapped == leaves);
        let mut repeated = leaves.clone();
        repeated.insert(to, leaves[at]);
        prop_assert_ne!(root(&repeated), original);
        // The last ones again: the way in which Bitcoin's trees are ambiguous.
        let doubled = [leaves.as_slice(), &leaves[at..]].concat();
        prop_assert_ne!(root(&doubled), original);
        let mut shorter = leaves.clone();
        shorter.remove(at);
        prop_assert_ne!(root(&shorter), original);
    }

    #[test]
    fn an_inner_node_is_never_a_leaf(leaves in leaves()) {
        let (left, right) = leaves.split_at(leaves.len() / 2);
        if !left.is_empty() && left.len().is_power_of_two() && left.len() == right.len() {
            let nodes = [left, right].map(|half| TransactionId::new(*root(half).as_bytes()));
            prop_assert_ne!(root(&nodes), root(&leaves));
        }
    }
}
