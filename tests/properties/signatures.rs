//! A batch of signatures holds exactly when each of them does.

use bard_chain::{
    address::Address,
    hash::Hash32,
    rules::isolated::in_batches,
    signature::{Claim, PublicKey, SecretKey, Signature, all_hold, all_hold_with},
};
use proptest::{collection::vec, prelude::*};

use crate::cases;

fn claim() -> impl Strategy<Value = Claim> {
    (any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(seed, message)| {
        let (key, message) = (SecretKey::from_seed(&seed), Hash32::new(message));
        Claim { signer: key.address(), message, signature: key.sign(&message) }
    })
}

/// One bit of a claim turned over: 256 of its key, 256 of its message, 512 of its signature.
fn turned(claim: &Claim, bit: usize) -> Claim {
    let mut all = [*claim.signer.as_bytes(), *claim.message.as_bytes()].concat();
    all.extend(claim.signature.as_bytes());
    all[bit / 8] ^= 1 << (bit % 8);
    let part = |from: usize| <[u8; 32]>::try_from(&all[from..from + 32]).expect("32 bytes");
    Claim {
        signer: Address::new(part(0)),
        message: Hash32::new(part(32)),
        signature: Signature::new([part(64), part(96)].concat().try_into().expect("64 bytes")),
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn together_as_alone(mut claims in vec(claim(), 1..12), turns in vec((any::<prop::sample::Index>(), 0..1024_usize), 0..3)) {
        for (at, bit) in turns {
            let at = at.index(claims.len());
            claims[at] = turned(&claims[at], bit);
        }
        let each = claims.iter().all(Claim::holds);
        prop_assert_eq!(all_hold(&claims), each);
        prop_assert_eq!(all_hold_with(&claims, &mut PublicKey::of), each);
        prop_assert_eq!(in_batches(&claims), each);
    }

    #[test]
    fn no_bit_of_a_claim_is_idle(claim in claim(), bit in 0..1024_usize) {
        prop_assert!(claim.holds());
        prop_assert!(!turned(&claim, bit).holds(), "bit {bit}");
    }

    #[test]
    fn random_bytes_are_no_signature(signer in any::<[u8; 32]>(), message in any::<[u8; 32]>(), halves in any::<[[u8; 32]; 2]>()) {
        let signature = Signature::new(halves.concat().try_into().expect("64 bytes"));
        let claim = Claim { signer: Address::new(signer), message: Hash32::new(message), signature };
        prop_assert!(!claim.holds());
        prop_assert!(!all_hold(&[claim, claim]));
        prop_assert!(!all_hold_with(&[claim, claim], &mut PublicKey::of));
    }
}

#[test]
fn one_forgery_among_thousands_is_found() {
    let key = SecretKey::from_seed(&[5; 32]);
    let of = |i: u32| {
        let message = Hash32::new([i.to_le_bytes(); 8].concat().try_into().expect("32 bytes"));
        Claim { signer: key.address(), message, signature: key.sign(&message) }
    };
    let mut claims: Vec<_> = (1..=1_000).map(of).collect();
    assert!(in_batches(&claims) && all_hold_with(&claims, &mut PublicKey::of));
    for at in [0, 255, 256, 999] {
        let honest = claims[at];
        claims[at].message = Hash32::ZERO;
        assert!(!in_batches(&claims) && !all_hold_with(&claims, &mut PublicKey::of), "at {at}");
        claims[at] = honest;
    }
}
