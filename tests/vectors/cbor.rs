//! Deterministic CBOR written by hand, from RFC 8949, to compare the chain's bytes with.

/// A number.
pub(crate) fn number(value: u64) -> Vec<u8> {
    head(0, value)
}

/// A byte string.
pub(crate) fn bytes(value: &[u8]) -> Vec<u8> {
    [head(2, value.len() as u64), value.to_vec()].concat()
}

/// A text.
pub(crate) fn text(value: &str) -> Vec<u8> {
    [head(3, value.len() as u64), value.as_bytes().to_vec()].concat()
}

/// An array.
pub(crate) fn array(items: &[Vec<u8>]) -> Vec<u8> {
    [head(4, items.len() as u64), items.concat()].concat()
}

fn head(major: u8, value: u64) -> Vec<u8> {
    let with = |low: u8, tail: &[u8]| [&[major << 5 | low], tail].concat();
    if value < 24 {
        return with(value.to_be_bytes()[7], &[]);
    }
    let all = value.to_be_bytes();
    match value {
        0..=0xff => with(24, &all[7..]),
        0x100..=0xffff => with(25, &all[6..]),
        0x1_0000..=0xffff_ffff => with(26, &all[4..]),
        _ => with(27, &all),
    }
}
