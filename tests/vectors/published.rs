//! Checks against what others published.

use bard_chain::{
    address::{Address, AddressError},
    hash::Hash32,
    pow::PowFunction,
    signature::{Claim, PublicKey, SecretKey, Signature, all_hold, all_hold_with, anybody_can_spend},
};
use bard_tests::frozen::blocks::bytes;
use ed25519_zebra::{SigningKey, VerificationKey};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::blake3_reference;

type Checked = Result<(), String>;

#[expect(clippy::needless_pass_by_value, reason = "what is compared is mostly made on the spot")]
fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, published: T) -> Checked {
    if found == published { Ok(()) } else { Err(format!("{what}: found {found:?}, published {published:?}")) }
}

/// A text and whether it is bech32m. A valid one is still no address of ours, and said to be one of something else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bech32m {
    text: String,
    valid: bool,
}

pub(crate) fn bech32m(case: &Bech32m) -> Checked {
    let found = case.text.parse::<Address>();
    same(&case.text, found == Err(AddressError::Foreign), case.valid)?;
    same(&case.text, found.is_err(), true)
}

/// A key pair, a message and its signature, in hex.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ed25519 {
    seed: String,
    public: String,
    message: String,
    signature: String,
}

pub(crate) fn ed25519(case: &Ed25519) -> Checked {
    let seed: [u8; 32] = bytes(&case.seed);
    let public: [u8; 32] = bytes(&case.public);
    same("public key", *SecretKey::from_seed(&seed).address().as_bytes(), public)?;
    let message = hex::decode(&case.message).expect("hex");
    let signature = SigningKey::from_bytes(&seed).sign(&message);
    same("signature", hex::encode(signature.to_bytes()), case.signature.clone())?;
    let key = VerificationKey::try_from(public).map_err(|error| error.to_string())?;
    same("it verifies", key.verify(&signature, &message).is_ok(), true)?;
    let tampered = [message.as_slice(), b"x"].concat();
    same("another message does not", key.verify(&signature, &tampered).is_ok(), false)
}

/// The same through our own signatures, alone and in a batch: those are of messages of 32 bytes, which the RFC has none of.
pub(crate) fn ed25519_claim(case: &Ed25519) -> Checked {
    ed25519(case)?;
    let key = SecretKey::from_seed(&bytes(&case.seed));
    let message = Hash32::new(bytes(&case.message));
    let signature = Signature::new(bytes(&case.signature));
    same("signed by us", key.sign(&message), signature)?;
    let claim = Claim { signer: Address::new(bytes(&case.public)), message, signature };
    same("it holds alone", claim.holds(), true)?;
    same("it holds in a batch", both_ways(&[claim, honest()]), [true; 2])?;
    same("and twice in one", both_ways(&[claim, honest(), claim]), [true; 2])?;
    for bit in 0..512 {
        let mut turned = *signature.as_bytes();
        turned[bit / 8] ^= 1 << (bit % 8);
        let turned = Claim { signature: Signature::new(turned), ..claim };
        same(&format!("without bit {bit} alone"), turned.holds(), false)?;
        same(&format!("without bit {bit} in a batch"), both_ways(&[turned, honest()]), [false; 2])?;
    }
    let another = Claim { message: Hash32::ZERO, ..claim };
    same("another message does not", (another.holds(), both_ways(&[another, honest()])), (false, [false; 2]))
}

/// The encodings of the points of small order, in hex.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SmallOrder {
    points: Vec<String>,
}

/// Every pair of them as key and as first half of a signature whose second half is zero is valid for every message, alone
/// and in a batch: what ZIP-215 asks for, and other verifiers answer in many ways.
pub(crate) fn small_order(case: &SmallOrder) -> Checked {
    let points: Vec<[u8; 32]> = case.points.iter().map(|point| bytes(point)).collect();
    same("points", points.len(), 14)?;
    let claim = |key: &[u8; 32], r: &[u8; 32], s: [u8; 32]| Claim {
        signer: Address::new(*key),
        message: Hash32::new([key[0] ^ r[0]; 32]),
        signature: Signature::new([*r, s].concat().try_into().expect("64 bytes")),
    };
    for key in &points {
        same("anybody can spend", anybody_can_spend(&Address::new(*key)), true)?;
    }
    same("and of others not", anybody_can_spend(&honest().signer), false)?;
    let pairs = || points.iter().flat_map(|key| points.iter().map(move |r| (key, r)));
    let all: Vec<Claim> = pairs().map(|(key, r)| claim(key, r, [0; 32])).collect();
    same("claims", all.len(), 196)?;
    for (index, one) in all.iter().enumerate() {
        same(&format!("{index} alone"), one.holds(), true)?;
        same(&format!("{index} in a batch of two"), both_ways(&[*one, honest()]), [true; 2])?;
    }
    same("all together", both_ways(&all), [true; 2])?;
    // The order of the base point: as a second half it means zero, and RFC 8032 and ZIP-215 both refuse that spelling.
    let order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    for (key, r) in pairs() {
        let refused = claim(key, r, order);
        same("a second spelling of zero alone", refused.holds(), false)?;
        same("and in a batch", both_ways(&[refused, honest()]), [false; 2])?;
    }
    Ok(())
}

/// Whether claims hold, with keys found anew and with keys at hand.
fn both_ways(claims: &[Claim]) -> [bool; 2] {
    [all_hold(claims), all_hold_with(claims, &mut PublicKey::of)]
}

fn honest() -> Claim {
    let key = SecretKey::from_seed(&[7; 32]);
    let message = Hash32::new([8; 32]);
    Claim { signer: key.address(), message, signature: key.sign(&message) }
}

/// A text and its hash in hex.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sha {
    text: String,
    hash: String,
}

pub(crate) fn sha256(case: &Sha) -> Checked {
    same(&case.text, hex::encode(Sha256::digest(&case.text)), case.hash.clone())?;
    let digest: [u8; 32] = bytes(&case.hash);
    for nonce in [0, 1, u64::MAX, 0x0102_0304_0506_0708] {
        let sealed = [digest.to_vec(), nonce.to_le_bytes().to_vec()].concat();
        let twice: [u8; 32] = Sha256::digest(Sha256::digest(&sealed)).into();
        same("the seal is SHA-256 twice over 40 bytes", PowFunction::Sha256d.seal(&digest, nonce), twice)?;
    }
    Ok(())
}

/// The first 32 bytes of the hash of `length` bytes 0, 1, 2, ... 250, 0, 1, ..., in hex; plain or with a context.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Blake3 {
    length: usize,
    #[serde(default)]
    context: Option<String>,
    hash: String,
}

pub(crate) fn blake3(case: &Blake3) -> Checked {
    let input: Vec<u8> = (0..=250).cycle().take(case.length).collect();
    if let Some(context) = &case.context {
        return same("derived", hex::encode(::blake3::derive_key(context, &input)), case.hash.clone());
    }
    same("plain", ::blake3::hash(&input).to_string(), case.hash.clone())?;
    if case.length <= 64 {
        same("the reference agrees", hex::encode(blake3_reference::hash(&input)), case.hash.clone())?;
    }
    let digest: [u8; 32] = bytes(&case.hash);
    for nonce in [0, 1, u64::MAX, 0x0102_0304_0506_0708] {
        let sealed = [digest.to_vec(), nonce.to_le_bytes().to_vec()].concat();
        let expected = blake3_reference::hash(&sealed);
        same("the seal is BLAKE3 over 40 bytes", PowFunction::Blake3.seal(&digest, nonce), expected)?;
    }
    Ok(())
}
