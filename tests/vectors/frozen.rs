//! Checks of what is frozen: the case made again from its inputs is the same, and so is what a reader with nothing but the
//! documentation would compute, where that is short enough to be written here.

use std::{fmt::Debug, sync::Mutex};

use bard_chain::{
    address::Address,
    block::Header,
    encoding,
    hash::Hash32,
    merkle::{self, InclusionProof},
    transaction::Transaction,
};
use bard_tests::frozen::{
    blocks::{ActionCase, AddressCase, ChainCase, HeaderCase, TransactionCase, TreeCase, bytes},
    numbers::{SubsidyCase, TargetCase},
    state::{self, StateCase},
};

use crate::{blake3_reference, cbor};

type Checked = Result<(), String>;

#[expect(clippy::needless_pass_by_value, reason = "what is compared is mostly made on the spot")]
fn same<T: PartialEq + Debug>(what: &str, found: T, frozen: T) -> Checked {
    if found == frozen { Ok(()) } else { Err(format!("{what}: now {found:?}, frozen {frozen:?}")) }
}

/// BLAKE3 in key-derivation mode, the context spelled out.
fn derived(context: &str, parts: &[&[u8]]) -> String {
    hex::encode(blake3::derive_key(context, &parts.concat()))
}

pub(crate) fn header(case: &HeaderCase) -> Checked {
    let header = case.header();
    same("header", &HeaderCase::of(&header), case)?;
    let raw = hex::decode(&case.encoding).expect("hex");
    same("decoded", encoding::decode::<Header>(&raw, raw.len()), Ok(header.clone()))?;

    let hash = |text: &str| cbor::bytes(&bytes::<32>(text));
    let mut fields = vec![
        cbor::number(case.version.into()),
        cbor::number(case.height),
        hash(&case.parent),
        hash(&case.transactions_root),
        hash(&case.state_root),
        cbor::number(case.timestamp),
        cbor::number(u64::from_str_radix(&case.target, 16).expect("hex")),
        hash(&case.miner),
    ];
    same("digest by hand", derived("blockbard 2026 v1 block header", &[&cbor::array(&fields)]), case.digest.clone())?;
    let sealed = [bytes::<32>(&case.digest).to_vec(), case.nonce.to_le_bytes().to_vec()].concat();
    same("BLAKE3 id by hand", hex::encode(blake3_reference::hash(&sealed)), case.id_blake3.clone())?;
    fields.push(cbor::number(case.nonce));
    same("bytes by hand", cbor::array(&fields), raw)
}

pub(crate) fn transaction(case: &TransactionCase) -> Checked {
    same("transaction", &case.again(), case)?;
    let raw = hex::decode(&case.encoding).expect("hex");
    let decoded: Transaction = encoding::decode(&raw, raw.len()).map_err(|error| error.to_string())?;
    let holds = decoded.claim(case.chain.parse().expect("a hash")).holds();
    same("signature holds", holds, true)?;

    let key = |text: &str| cbor::bytes(&bytes::<32>(text));
    let action = cbor::array(&match &case.action {
        ActionCase::Transfer { to, amount } => vec![cbor::number(0), key(to), cbor::number(*amount)],
        ActionCase::Record { content_type, bytes } => {
            vec![cbor::number(1), cbor::text(content_type), cbor::bytes(&hex::decode(bytes).expect("hex"))]
        }
        ActionCase::ItemRequest { item } => vec![cbor::number(2), cbor::text(item)],
        ActionCase::ItemRelease { item } => vec![cbor::number(3), cbor::text(item)],
        ActionCase::ItemTransfer { item, to } => vec![cbor::number(4), cbor::text(item), key(to)],
    });
    let mut fields = vec![cbor::number(1), key(&case.sender), cbor::number(case.nonce), cbor::number(case.fee), action];
    let body = cbor::array(&fields);
    let chain = bytes::<32>(&case.chain);
    let signed = derived("blockbard 2026 v1 transaction signing", &[&chain, &body]);
    same("signing hash by hand", signed, case.signing_hash.clone())?;
    fields.push(cbor::bytes(&bytes::<64>(&case.signature)));
    same("bytes by hand", cbor::array(&fields), raw.clone())?;
    same("id by hand", derived("blockbard 2026 v1 transaction id", &[&raw]), case.id.clone())
}

pub(crate) fn address(case: &AddressCase) -> Checked {
    let address = Address::new(bytes(&case.key));
    same("address", &AddressCase::of(&address), case)?;
    same("read", case.address.parse(), Ok(address))
}

pub(crate) fn tree(case: &TreeCase) -> Checked {
    same("root", &TreeCase::of(case.leaves), case)?;
    let leaves = TreeCase::leaves(case.leaves);
    let root: Hash32 = case.root.parse().expect("a hash");
    same(
        "root by hand",
        root_by_hand(&leaves.iter().map(|leaf| *leaf.as_bytes()).collect::<Vec<_>>()),
        *root.as_bytes(),
    )?;
    for (index, leaf) in leaves.iter().enumerate() {
        let proof = InclusionProof::new(&leaves, index).ok_or("no proof")?;
        same("proof holds", proof.verify(leaf, &root), true)?;
    }
    same("the same", merkle::root(&leaves), root)
}

/// RFC 9162 section 2.1.1 with our two hashes.
fn root_by_hand(leaves: &[[u8; 32]]) -> [u8; 32] {
    let leaf_context = "blockbard 2026 v1 transactions tree leaf";
    match leaves {
        [] => blake3::derive_key(leaf_context, &[]),
        [leaf] => blake3::derive_key(leaf_context, leaf),
        _ => {
            let mut split = 1;
            while split * 2 < leaves.len() {
                split *= 2;
            }
            let (left, right) = leaves.split_at(split);
            let both = [root_by_hand(left), root_by_hand(right)].concat();
            blake3::derive_key("blockbard 2026 v1 transactions tree node", &both)
        }
    }
}

pub(crate) fn chain(case: &ChainCase) -> Checked {
    let again = case.again();
    for (index, (found, frozen)) in again.blocks.iter().zip(&case.blocks).enumerate() {
        same(&format!("block {index}"), found, frozen)?;
    }
    same("chain", &again, case)?;
    same("genesis names the specification", case.genesis.contains(&case.hash), true)
}

/// The steps build on each other, so each case is checked together with all before it.
pub(crate) fn state(case: &StateCase) -> Checked {
    static BEFORE: Mutex<Vec<StateCase>> = Mutex::new(Vec::new());
    let mut all = BEFORE.lock().map_err(|error| error.to_string())?;
    all.push(case.clone());
    let entries: Vec<_> = all.iter().map(|case| case.set.clone()).collect();
    same("roots", &state::sequence(&entries), &*all)
}

pub(crate) fn target(case: &TargetCase) -> Checked {
    let bits = u32::from_str_radix(&case.bits, 16).expect("hex");
    same("target", &TargetCase::of(bits), case)?;
    // By hand: 256^(length - 3) times the digits, where the highest digit bit is a sign.
    let (length, digits) = (bits >> 24, bits & 0x00ff_ffff);
    let mut value = [0; 32];
    let mut fits = digits & 0x0080_0000 == 0;
    for (i, digit) in digits.to_be_bytes().into_iter().skip(1).enumerate() {
        let place = i64::from(length) - 1 - i64::try_from(i).expect("small");
        match usize::try_from(place) {
            Ok(place) if place < 32 => value[31 - place] = digit,
            _ => fits &= digit == 0,
        }
    }
    match &case.value {
        Some(frozen) => same("value by hand", Some(hex::encode(value)), fits.then(|| frozen.clone())),
        None => Ok(()),
    }
}

pub(crate) fn subsidy(case: &SubsidyCase) -> Checked {
    let heights = case.paid.iter().map(|(height, _)| *height);
    same("subsidy", &SubsidyCase::of(case.subsidy, heights), case)
}
