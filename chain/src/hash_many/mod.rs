//! Many hashes at once: what [`Domain::hash`] gives for each input, as many side by side as a vector has lanes.
//!
//! A block has four hashes for each transaction, its id, what its sender signed, a leaf of the tree and a node, and each is of one
//! to three blocks of 64 bytes: one after the other they leave most of a processor idle. An input of more than one chunk of
//! BLAKE3 is hashed alone, by the general crate, which fills the lanes with it.

#[cfg(target_arch = "x86_64")]
#[macro_use]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod groups;

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use self::groups::{Values, in_groups};
use crate::hash::{Domain, Hash32};

/// How the hashes are made.
#[derive(Clone, Copy, Debug)]
enum Kernel {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Detected),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Detected),
    /// One after the other, by the general crate.
    Portable,
}

impl Kernel {
    /// Those of this machine, the best first.
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(avx512::Detected::new().map(Self::Avx512));
            all.extend(avx2::Detected::new().map(Self::Avx2));
        }
        all.push(Self::Portable);
        all
    }

    fn best() -> Self {
        static BEST: OnceLock<Kernel> = OnceLock::new();
        *BEST.get_or_init(|| Self::all().first().copied().unwrap_or(Self::Portable))
    }

    fn hash_all<B: AsRef<[u8]>>(self, domain: Domain, inputs: &[B]) -> Vec<Hash32> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(detected) => {
                in_groups(domain, inputs, |values: &mut Values<16>, blocks| detected.compress(values, blocks))
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(detected) => {
                in_groups(domain, inputs, |values: &mut Values<8>, blocks| detected.compress(values, blocks))
            }
            Self::Portable => alone(domain, inputs).collect(),
        }
    }
}

/// The hash of each of the inputs, in their order.
pub(crate) fn hash_all<B: AsRef<[u8]>>(domain: Domain, inputs: &[B]) -> Vec<Hash32> {
    Kernel::best().hash_all(domain, inputs)
}

fn alone<B: AsRef<[u8]>>(domain: Domain, inputs: &[B]) -> impl Iterator<Item = Hash32> + '_ {
    inputs.iter().map(move |input| domain.hash(&[input.as_ref()]))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn assert_right(inputs: &[Vec<u8>]) {
        for domain in [Domain::TransactionId, Domain::MerkleNode] {
            let right: Vec<_> = inputs.iter().map(|input| blake3::derive_key(domain.context(), input)).collect();
            for kernel in Kernel::all() {
                let hashes = kernel.hash_all(domain, inputs);
                assert!(hashes.iter().map(Hash32::as_bytes).eq(&right), "{kernel:?} {domain:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_kernel_gives_what_the_general_crate_gives(inputs in vec(vec(any::<u8>(), 0..300), 0..40)) {
            assert_right(&inputs);
        }
    }

    #[test]
    fn lengths_at_the_edges_of_blocks_and_chunks() {
        let lengths = [0, 1, 31, 32, 63, 64, 65, 127, 128, 129, 959, 960, 961, 1_023, 1_024];
        let inputs: Vec<Vec<u8>> = (1_u8..).zip(lengths).map(|(byte, length)| vec![byte; length]).collect();
        assert_right(&inputs);
        for longer in [1_025, 5_000] {
            assert_right(&[inputs.clone(), vec![vec![7; longer]], inputs.clone()].concat());
        }
        for count in 0..=16 {
            assert_right(&vec![vec![9; 64]; count]);
        }
    }
}
