//! Ed25519 signatures with ZIP-215 semantics, alone and in batches.
//!
//! ZIP-215 is chosen because a batch and a single check then agree on every input; with RFC 8032 verifiers they do not.
//! The coefficients of a batch are derived from its whole content, so that checking is a pure function.

use core::{convert::Infallible, fmt};

use ed25519_zebra::{Signature as ZebraSignature, SigningKey, VerificationKey, VerificationKeyBytes, batch};
use rand_core::{TryCryptoRng, TryRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    address::Address,
    hash::{Domain, FixedBytes, Hash32},
};

/// How many signatures are checked together at most. Signatures of one sender share the work on its key: with four of each,
/// 1,024 at once are checked twice as fast as four times 256. It bounds the memory of a check.
pub const BATCH: usize = 1_024;

/// The 64 bytes of an ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// From its bytes.
    pub const fn new(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hex::encode(self.0))
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(FixedBytes::<64>).map(Self)
    }
}

/// A secret key. Its bytes are wiped when it is dropped and never shown.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// From the 32-byte seed of RFC 8032.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public key, as an address.
    pub fn address(&self) -> Address {
        Address::new(VerificationKeyBytes::from(self.0.verification_key()).into())
    }

    /// Signs a message; the same message always gets the same signature.
    pub fn sign(&self, message: &Hash32) -> Signature {
        Signature(self.0.sign(message.as_bytes()).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.address())
    }
}

/// One claim: that the owner of `signer` signed `message`.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Who is said to have signed.
    pub signer: Address,
    /// What is said to be signed.
    pub message: Hash32,
    /// The proof.
    pub signature: Signature,
}

impl Claim {
    /// Whether the claim holds.
    pub fn holds(&self) -> bool {
        VerificationKey::try_from(*self.signer.as_bytes())
            .and_then(|key| key.verify(&ZebraSignature::from_bytes(self.signature.as_bytes()), self.message.as_bytes()))
            .is_ok()
    }
}

/// Whether all of the claims hold. Two to three times faster a claim than one by one; best in slices of [`BATCH`].
pub fn all_hold(claims: &[Claim]) -> bool {
    match claims {
        [] => return true,
        [one] => return one.holds(),
        _ => {}
    }
    let mut transcript = Domain::SignatureBatch.hasher();
    let mut verifier = batch::Verifier::new();
    for claim in claims {
        transcript.update(claim.signer.as_bytes());
        transcript.update(claim.message.as_bytes());
        transcript.update(claim.signature.as_bytes());
        let signature = ZebraSignature::from_bytes(claim.signature.as_bytes());
        verifier.queue((VerificationKeyBytes::from(*claim.signer.as_bytes()), signature, claim.message.as_bytes()));
    }
    verifier.verify(Coefficients(transcript.finalize_xof())).is_ok()
}

/// The random coefficients of a batch, drawn from a hash of all that is checked: whoever made the claims could not know
/// them before fixing every claim, which is all that the batch equation asks of them.
struct Coefficients(blake3::OutputReader);

impl TryRng for Coefficients {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Coefficients {}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(seed: u8, text: &[u8]) -> Claim {
        let key = SecretKey::from_seed(&[seed; 32]);
        let message = Domain::TransactionSigning.hash(&[text]);
        Claim { signer: key.address(), message, signature: key.sign(&message) }
    }

    #[test]
    fn honest_claims_hold_alone_and_together() {
        let claims: Vec<_> = (0..20).map(|i| claim(i, b"hello")).collect();
        assert!(claims.iter().all(Claim::holds));
        assert!(all_hold(&claims));
        assert!(all_hold(&[]));
    }

    #[test]
    fn one_forgery_spoils_the_batch() {
        let mut claims: Vec<_> = (0..20).map(|i| claim(i, b"hello")).collect();
        claims[13].message = Hash32::ZERO;
        assert!(!claims[13].holds());
        assert!(!all_hold(&claims));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let key = SecretKey::from_seed(&[9; 32]);
        assert!(!format!("{key:?}").contains(&hex::encode([9; 32])));
    }
}
