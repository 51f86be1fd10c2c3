//! The tree over a block's transactions: the shape of RFC 9162 section 2.1, where no two lists of leaves share a root.

use crate::{
    array_form,
    hash::{Domain, Hash32, TransactionId},
    hash_many::hash_all,
};

/// The deepest tree that a proof may be of: far more leaves than any block holds.
const MAX_DEPTH: usize = 32;

/// The root over `leaves`; of none, the hash of nothing.
///
/// The tree is made from below, level by level: two and two make one, and the last of an odd number goes up as it is. That is the
/// shape of the standard, which splits from above at the largest power of two.
pub fn root(leaves: &[TransactionId]) -> Hash32 {
    let bytes: Vec<&[u8]> = leaves.iter().map(|leaf| leaf.as_bytes().as_slice()).collect();
    let mut level = hash_all(Domain::MerkleLeaf, &bytes);
    while level.len() > 1 {
        let (pairs, odd) = level.as_chunks::<2>();
        let pairs: Vec<[u8; 64]> = pairs.iter().map(|[left, right]| pair(left, right)).collect();
        let odd = odd.first().copied();
        level = hash_all(Domain::MerkleNode, &pairs);
        level.extend(odd);
    }
    level.first().copied().unwrap_or_else(|| Domain::MerkleLeaf.hash(&[]))
}

fn pair(left: &Hash32, right: &Hash32) -> [u8; 64] {
    let mut both = [0; 64];
    let (first, second) = both.split_at_mut(32);
    first.copy_from_slice(left.as_bytes());
    second.copy_from_slice(right.as_bytes());
    both
}

/// That a transaction is in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// Position of the transaction in its block, from 0.
    pub index: u64,
    /// Number of transactions in the block.
    pub size: u64,
    /// The hashes beside the way from leaf to root, the lowest first.
    pub path: Vec<Hash32>,
}

array_form!(InclusionProof { index: u64, size: u64, path: Vec<Hash32> });

impl InclusionProof {
    /// The proof for the leaf at `index`; `None` where there is no such leaf.
    pub fn new(leaves: &[TransactionId], index: usize) -> Option<Self> {
        leaves.get(index)?;
        let mut path = Vec::new();
        collect(leaves, index, &mut path);
        Some(Self { index: u64::try_from(index).ok()?, size: u64::try_from(leaves.len()).ok()?, path })
    }

    /// Whether it leads from `leaf` to `root` (RFC 9162 section 2.1.3.2).
    pub fn verify(&self, leaf: &TransactionId, root: &Hash32) -> bool {
        if self.index >= self.size || self.path.len() > MAX_DEPTH {
            return false;
        }
        let (mut position, mut last) = (self.index, self.size.saturating_sub(1));
        let mut hash = leaf_hash(leaf);
        for sibling in &self.path {
            if last == 0 {
                return false;
            }
            if position & 1 == 1 || position == last {
                hash = node_hash(sibling, &hash);
                while position & 1 == 0 && position != 0 {
                    position >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node_hash(&hash, sibling);
            }
            position >>= 1;
            last >>= 1;
        }
        last == 0 && hash == *root
    }
}

fn collect(leaves: &[TransactionId], index: usize, path: &mut Vec<Hash32>) {
    if leaves.len() < 2 {
        return;
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    match index.checked_sub(left.len()) {
        None => {
            collect(left, index, path);
            path.push(root(right));
        }
        Some(index) => {
            collect(right, index, path);
            path.push(root(left));
        }
    }
}

/// The largest power of two smaller than `count`, which is at least 2.
fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

fn leaf_hash(leaf: &TransactionId) -> Hash32 {
    Domain::MerkleLeaf.hash(&[leaf.as_bytes()])
}

fn node_hash(left: &Hash32, right: &Hash32) -> Hash32 {
    Domain::MerkleNode.hash(&[left.as_bytes(), right.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<TransactionId> {
        (0..count).map(|i| TransactionId::new([i; 32])).collect()
    }

    /// As RFC 9162 section 2.1.1 defines it.
    fn by_definition(leaves: &[TransactionId]) -> Hash32 {
        match leaves {
            [] => Domain::MerkleLeaf.hash(&[]),
            [leaf] => leaf_hash(leaf),
            _ => {
                let (left, right) = leaves.split_at(split(leaves.len()));
                node_hash(&by_definition(left), &by_definition(right))
            }
        }
    }

    #[test]
    fn the_root_of_every_size_is_that_of_the_definition() {
        let leaves: Vec<_> = (0..260_u16)
            .map(|i| TransactionId::new([i.to_be_bytes(); 16].concat().try_into().expect("32 bytes")))
            .collect();
        for size in 0..=leaves.len() {
            assert_eq!(root(&leaves[..size]), by_definition(&leaves[..size]), "{size}");
        }
    }

    #[test]
    fn every_leaf_of_every_size_is_proven() {
        for size in 1..=40 {
            let leaves = leaves(size);
            let root = root(&leaves);
            for (index, leaf) in leaves.iter().enumerate() {
                let proof = InclusionProof::new(&leaves, index).expect("in range");
                assert!(proof.verify(leaf, &root), "{index} of {size}");
                assert!(!proof.verify(&TransactionId::new([99; 32]), &root));
                let moved = InclusionProof { index: (proof.index + 1) % u64::from(size), ..proof.clone() };
                assert!(size == 1 || !moved.verify(leaf, &root), "{index} of {size}, moved");
            }
            assert_eq!(InclusionProof::new(&leaves, leaves.len()), None);
        }
    }

    #[test]
    fn a_repeated_leaf_changes_the_root() {
        let three = leaves(3);
        let mut four = three.clone();
        four.push(three[2]);
        assert_ne!(root(&three), root(&four));
        assert_ne!(root(&[]), root(&three[..1]));
    }

    #[test]
    fn a_proof_too_long_is_refused() {
        let leaves = leaves(4);
        let mut proof = InclusionProof::new(&leaves, 2).expect("in range");
        proof.path.push(Hash32::ZERO);
        assert!(!proof.verify(&leaves[2], &root(&leaves)));
        proof.path = vec![Hash32::ZERO; 40];
        assert!(!proof.verify(&leaves[2], &root(&leaves)));
    }
}
