//! Ed25519 signatures with ZIP-215 semantics, alone and in batches.
//!
//! ZIP-215 is chosen because a batch and a single check then agree on every input; with RFC 8032 verifiers they do not.
//! The coefficients of a batch are derived from its whole content, so that checking is a pure function.
//!
//! A public key says in 32 bytes which point of the curve is meant; finding the point is a quarter of the work on a signature
//! in a batch. Who checks many signatures of the same people keeps their points: [`all_hold_with`].

use core::{convert::Infallible, fmt};

use curve25519_dalek::{
    EdwardsPoint, Scalar, constants::ED25519_BASEPOINT_POINT, edwards::CompressedEdwardsY,
    traits::VartimeMultiscalarMul,
};
use ed25519_zebra::{Signature as ZebraSignature, SigningKey, VerificationKey, VerificationKeyBytes, batch};
use rand_core::{TryCryptoRng, TryRng};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha512};

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

    /// The two halves: a point and a number.
    const fn halves(&self) -> [[u8; 32]; 2] {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        let (first, last) = self.0.split_at(32);
        r.copy_from_slice(first);
        s.copy_from_slice(last);
        [r, s]
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
    let mut verifier = batch::Verifier::new();
    for claim in claims {
        let signature = ZebraSignature::from_bytes(claim.signature.as_bytes());
        verifier.queue((VerificationKeyBytes::from(*claim.signer.as_bytes()), signature, claim.message.as_bytes()));
    }
    verifier.verify(Coefficients::of(claims)).is_ok()
}

/// The point that a public key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(EdwardsPoint);

impl PublicKey {
    /// The key of an address; `None` where its bytes mean no point, and no signature of it holds.
    pub fn of(signer: &Address) -> Option<Self> {
        CompressedEdwardsY(*signer.as_bytes()).decompress().map(Self)
    }
}

/// Whether anybody at all can sign for an address: its key is one of the eight points of small order, in any of their fourteen
/// spellings. Under ZIP-215 rules a signature of it holds for every message, and nobody needs a secret to make one. No rule of the
/// chain speaks of them; who sends something there gives it to whoever comes first.
pub fn anybody_can_spend(address: &Address) -> bool {
    PublicKey::of(address).is_some_and(|key| key.0.is_small_order())
}

/// [`all_hold`] with the keys that `key_of` gives, which must be those that [`PublicKey::of`] gives. It is asked once for each
/// signer.
pub fn all_hold_with(claims: &[Claim], key_of: &mut dyn FnMut(&Address) -> Option<PublicKey>) -> bool {
    match claims {
        [] => true,
        [one] => one.holds(),
        _ => equation_holds(claims, key_of).unwrap_or(false),
    }
}

/// What one claim brings into the equation.
struct Term {
    s: Scalar,
    k: Scalar,
    r: EdwardsPoint,
}

impl Term {
    /// `None` where something is no point or no canonical number.
    fn of(claim: &Claim) -> Option<Self> {
        let [r, s] = claim.signature.halves();
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(s))?;
        let k = Sha512::new().chain_update(r).chain_update(claim.signer.as_bytes());
        let k = Scalar::from_hash(k.chain_update(claim.message.as_bytes()));
        Some(Self { s, k, r: CompressedEdwardsY(r).decompress()? })
    }
}

/// Whether 8 · (−Σ zᵢsᵢ · B + Σ zᵢ · Rᵢ + Σ zᵢkᵢ · Aᵢ) is zero (ZIP-215, batch validation); `None` where something is no point
/// or no canonical number. The terms of one signer are one.
#[allow(clippy::arithmetic_side_effects, reason = "numbers modulo the order of the group do not overflow")]
fn equation_holds(claims: &[Claim], key_of: &mut dyn FnMut(&Address) -> Option<PublicKey>) -> Option<bool> {
    let terms: Vec<Term> = claims.iter().map(Term::of).collect::<Option<_>>()?;
    let mut coefficients = Coefficients::over(&terms);
    let mut of_base = Scalar::ZERO;
    let (mut factors, mut points) = (Vec::with_capacity(claims.len()), Vec::with_capacity(claims.len()));
    let mut of_signers = Vec::with_capacity(claims.len());
    for (Term { s, k, r }, claim) in terms.iter().zip(claims) {
        let z = coefficients.next();
        of_base -= z * s;
        factors.push(z);
        points.push(*r);
        of_signers.push((claim.signer, z * k));
    }
    // Equal ones lie together then.
    of_signers.sort_unstable_by_key(|(signer, _)| *signer);
    for same in of_signers.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((signer, _)) = same.first() else { continue };
        factors.push(same.iter().map(|(_, factor)| factor).sum());
        points.push(key_of(signer)?.0);
    }
    factors.push(of_base);
    points.push(ED25519_BASEPOINT_POINT);
    Some(EdwardsPoint::vartime_multiscalar_mul(&factors, &points).is_small_order())
}

/// The random coefficients of a batch, drawn from a hash of all that is checked: whoever made the claims could not know
/// them before fixing every claim, which is all that the batch equation asks of them.
struct Coefficients(blake3::OutputReader);

impl Coefficients {
    fn of(claims: &[Claim]) -> Self {
        let mut transcript = Domain::SignatureBatch.hasher();
        for claim in claims {
            transcript.update(claim.signer.as_bytes());
            transcript.update(claim.message.as_bytes());
            transcript.update(claim.signature.as_bytes());
        }
        Self(transcript.finalize_xof())
    }

    /// The same of half as many bytes: k is itself a hash of all of a claim but s.
    fn over(terms: &[Term]) -> Self {
        let mut transcript = Domain::SignatureBatch.hasher();
        for Term { s, k, .. } in terms {
            transcript.update(s.as_bytes());
            transcript.update(k.as_bytes());
        }
        Self(transcript.finalize_xof())
    }

    fn next(&mut self) -> Scalar {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes);
        Scalar::from(u128::from_le_bytes(bytes))
    }
}

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
        assert!(all_hold_with(&claims, &mut PublicKey::of) && all_hold_with(&[], &mut PublicKey::of));
    }

    #[test]
    fn each_signer_is_asked_for_once_and_a_wrong_key_is_no_key() {
        let claims: Vec<_> = (0..40).map(|i| claim(i % 10, &[i])).collect();
        let mut asked = Vec::new();
        let mut key_of = |signer: &Address| {
            asked.push(*signer);
            PublicKey::of(signer)
        };
        assert!(all_hold_with(&claims, &mut key_of));
        assert_eq!(asked.len(), 10);
        let another = PublicKey::of(&claims[1].signer);
        assert!(!all_hold_with(&claims, &mut |_| another));
        assert!(!all_hold_with(&claims, &mut |_| None));
    }

    #[test]
    fn one_forgery_spoils_the_batch() {
        let mut claims: Vec<_> = (0..20).map(|i| claim(i, b"hello")).collect();
        claims[13].message = Hash32::ZERO;
        assert!(!claims[13].holds());
        assert!(!all_hold(&claims) && !all_hold_with(&claims, &mut PublicKey::of));
    }

    #[test]
    fn anybody_signs_for_nobody() {
        // The neutral point, and zero.
        let mut signature = [0; 64];
        signature[0] = 1;
        let claim = Claim { signer: Address::NOBODY, message: Hash32::ZERO, signature: Signature::new(signature) };
        assert!(claim.holds() && all_hold(&[claim, claim]) && all_hold_with(&[claim, claim], &mut PublicKey::of));
        assert!(anybody_can_spend(&Address::NOBODY));
        assert!(!anybody_can_spend(&SecretKey::from_seed(&[9; 32]).address()));
        assert!(!Claim { signer: SecretKey::from_seed(&[9; 32]).address(), ..claim }.holds());
        let no_point = (0..).map(|byte| Address::new([byte; 32])).find(|address| PublicKey::of(address).is_none());
        assert!(!anybody_can_spend(&no_point.expect("half of all")), "but nobody can");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let key = SecretKey::from_seed(&[9; 32]);
        assert!(!format!("{key:?}").contains(&hex::encode([9; 32])));
    }
}
