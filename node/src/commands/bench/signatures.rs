//! Signature checks: the ceiling of everything that takes transactions in.

use bard_chain::{
    hash::Domain,
    signature::{self, Claim, SecretKey},
};

use super::{Figure, Scale, rate};
use crate::keeper::{Signatures, all_hold_in_parallel};

/// Claims by as many signers: a few full batches for every core.
const CLAIMS: u64 = 4096;
/// Signers that sign again and again, each once in a batch.
const REGULARS: u64 = 1024;

/// One at a time, in batches on one core, in batches on all. The last is the ceiling for blocks.
pub(super) fn measure(scale: &Scale) -> (Vec<Figure>, f64) {
    let claims: Vec<Claim> = (0..CLAIMS).map(claim).collect();
    let mut turn = claims.iter().cycle();
    let alone = rate(scale.time, || (0..64).filter(|_| turn.next().is_some_and(Claim::holds)).count() as u64);
    let batch = rate(scale.time, || {
        let all = claims.chunks(signature::BATCH).all(signature::all_hold);
        if all { CLAIMS } else { 0 }
    });
    let parallel = rate(scale.time, || if all_hold_in_parallel(&claims) { CLAIMS } else { 0 });
    // Fewer signers than are remembered.
    let regulars: Vec<Claim> = (0..CLAIMS).map(|number| claim_by(number % REGULARS, number)).collect();
    let signatures = Signatures::default();
    let known = rate(scale.time, || {
        let all = regulars.chunks(signature::BATCH).all(|batch| signatures.all_hold(batch));
        if all { CLAIMS } else { 0 }
    });
    let cores = rayon::current_num_threads();
    #[allow(clippy::cast_precision_loss, reason = "a count of cores")]
    let ideal = batch * cores as f64;
    let figures = vec![
        Figure { name: "signatures, one at a time, one core".to_owned(), value: alone, unit: "/s", beside: None },
        Figure {
            name: format!("signatures, batches of {}, one core", signature::BATCH),
            value: batch,
            unit: "/s",
            beside: Some(("one at a time", alone)),
        },
        Figure {
            name: format!("signatures, batches of {}, {cores} cores", signature::BATCH),
            value: parallel,
            unit: "/s",
            beside: Some(("cores times one core", ideal)),
        },
        Figure {
            name: format!("the same of signers that are known, {cores} cores"),
            value: known,
            unit: "/s",
            beside: Some(("strangers", parallel)),
        },
    ];
    (figures, parallel)
}

fn claim(number: u64) -> Claim {
    claim_by(number, number)
}

fn claim_by(signer: u64, number: u64) -> Claim {
    let key = SecretKey::from_seed(Domain::DevAccount.hash(&[b"bench", &signer.to_be_bytes()]).as_bytes());
    let message = Domain::TransactionSigning.hash(&[&number.to_be_bytes()]);
    Claim { signer: key.address(), message, signature: key.sign(&message) }
}
