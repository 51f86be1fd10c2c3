//! Junk is refused, and never more than refused.

use bard_chain::{
    address::Address,
    block::{self, Block, Header},
    encoding::decode,
    hash::BlockId,
    ledger::{Undo, commitment::Commitment},
    merkle::InclusionProof,
    pow::PowFunction,
    rules::isolated::{Isolated, Unsigned, check_transactions, in_batches},
    spec::ChainSpec,
    transaction::Transaction,
    units::Work,
};
use bard_tests::chain_builder::easy_spec;
use proptest::{collection::vec, prelude::*};

use crate::{cases, strategies};

/// Random bytes, most of them such as CBOR begins with.
fn junk() -> impl Strategy<Value = Vec<u8>> {
    let head = prop::sample::select(vec![
        0x82, 0x86, 0x89, 0x9f, 0xff, 0x58, 0x5f, 0x78, 0x9b, 0xbb, 0xa1, 0xc0, 0xd8, 0xf4, 0xf6, 0xf9, 0xfb, 0x1b,
        0x80,
    ]);
    vec(prop_oneof![any::<u8>(), head], 0..200)
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn junk_bytes_are_refused(bytes in junk(), claimed_length in any::<u64>()) {
        let spec = easy_spec();
        prop_assert!(Isolated::read(&spec, spec.chain_id(), &bytes).is_err());
        prop_assert!(Unsigned::read(&spec, &bytes).is_err());
        prop_assert!(decode::<Block>(&bytes, 1_000).is_err());
        prop_assert!(decode::<Header>(&bytes, 1_000).is_err());
        prop_assert!(decode::<Transaction>(&bytes, 1_000).is_err());
        let answers = check_transactions(&spec, spec.chain_id(), &[&bytes], &in_batches);
        prop_assert!(matches!(answers.as_slice(), [Err(_)]));
        // What these say about junk does not matter, but they must say something.
        let _short_enough_to_be_one = (decode::<Undo>(&bytes, 1_000), decode::<Work>(&bytes, 1_000));
        let _claimed = block::claimed_id(&bytes, 1_000, PowFunction::Blake3);
        prop_assert!(Commitment::from_bytes(&bytes).is_none());
        // An array and a byte string that claim any length and end at once.
        for head in [0x9b, 0x5b, 0x7b, 0xbb] {
            let long = [vec![0x82, head], claimed_length.to_be_bytes().to_vec(), bytes.clone()].concat();
            prop_assert!(decode::<Block>(&long, 1_000).is_err());
        }
    }

    #[test]
    fn junk_texts_are_refused(text in ".{0,120}") {
        prop_assert!(text.parse::<Address>().is_err());
        prop_assert!(text.parse::<BlockId>().is_err());
        prop_assert!(ChainSpec::from_toml(&text).is_err());
        prop_assert!(PowFunction::parse(&text).is_none_or(|function| function.as_str() == text));
    }

    #[test]
    fn junk_proofs_prove_nothing(proof in strategies::proof(), leaf in strategies::hash(), root in strategies::hash()) {
        let leaf = bard_chain::hash::TransactionId::new(*leaf.as_bytes());
        let small = InclusionProof { index: proof.index % 50, size: proof.size % 50, path: proof.path.clone() };
        prop_assert!(!proof.verify(&leaf, &root));
        prop_assert!(!small.verify(&leaf, &root));
    }
}

#[test]
fn deep_nesting_is_refused_before_the_stack_ends() {
    for opening in [0x81, 0x9f, 0xa1, 0xbf, 0xc1, 0xd9] {
        let bytes = vec![opening; 1 << 20];
        assert!(decode::<Block>(&bytes, bytes.len()).is_err());
        assert!(decode::<Transaction>(&bytes, bytes.len()).is_err());
        assert_eq!(block::claimed_id(&bytes, bytes.len(), PowFunction::Blake3), None);
        let inside = [vec![0x82], bytes].concat();
        assert!(decode::<Block>(&inside, inside.len()).is_err());
    }
}
