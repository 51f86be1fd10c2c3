//! The one encoding of everything hashed, sent and stored: deterministic CBOR (RFC 8949 section 4.2).
//!
//! Structures are arrays, fixed-size values byte strings, lengths definite, integers as short as they go. What is read is
//! compared with its own re-encoding, so that a second spelling of anything cannot exist, whatever the CBOR library accepts.
//!
//! # Security
//! A limit on the input's length comes before anything else. Nothing decoded can be larger than a small multiple of its
//! input: the library caps what it reserves for a claimed length, and no type of the chain is recursive.

use serde::{Serialize, de::DeserializeOwned};

/// Why bytes were not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodingError {
    /// More bytes than anything of this kind may have.
    #[error("{length} bytes, at most {limit} are allowed")]
    TooLong {
        /// Length of the input in bytes.
        length: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not CBOR, or not of the expected shape.
    #[error("malformed at byte {offset}")]
    Malformed {
        /// Where reading stopped.
        offset: u64,
    },
    /// Understood, but not spelled in the one canonical way.
    #[error("not in canonical form")]
    NotCanonical,
}

/// Room for what is encoded, in bytes: a transfer, its body, a header fit. To grow from nothing, as thousands of them would for
/// each full block, costs more than writing them.
const USUAL_LEN: usize = 256;

/// The canonical bytes of `value`.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    encode_into(value, Vec::with_capacity(USUAL_LEN))
}

/// [`encode`], after what is in `prefix`.
pub(crate) fn encode_after<T: Serialize>(prefix: &[u8], value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_LEN);
    bytes.extend_from_slice(prefix);
    encode_into(value, bytes)
}

fn encode_into<T: Serialize>(value: &T, mut bytes: Vec<u8>) -> Vec<u8> {
    // Writing to memory cannot fail, and no type of the chain refuses to be written; were one to, its empty encoding would
    // be refused by every reader.
    if serde_cbor::to_writer(&mut bytes, value).is_err() {
        bytes.clear();
    }
    bytes
}

/// What an array of so many elements begins with (RFC 8949 section 3, major type 4).
pub fn array_head(count: usize) -> Vec<u8> {
    const ARRAY: u8 = 0x80;
    // The head of the number itself, with the major type of arrays instead of that of numbers.
    let mut head = encode(&count);
    if let Some(first) = head.first_mut() {
        *first |= ARRAY;
    }
    head
}

/// Adds the canonical bytes of a number, as short as it goes (RFC 8949 section 3, major type 0).
pub(crate) fn push_number(bytes: &mut Vec<u8>, number: u64) {
    let all = number.to_be_bytes();
    let [.., least] = all;
    let (head, from) = match number {
        0..24 => (least, 8),
        24..0x100 => (0x18, 7),
        0x100..0x1_0000 => (0x19, 6),
        0x1_0000..0x1_0000_0000 => (0x1a, 4),
        _ => (0x1b, 0),
    };
    bytes.push(head);
    bytes.extend(all.get(from..).unwrap_or_default());
}

/// Reads one value that fills `bytes` whole, if it is no longer than `limit` bytes and in canonical form.
///
/// # Errors
/// See [`EncodingError`].
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, EncodingError> {
    let value: T = decode_any_spelling(bytes, limit)?;
    let canonical = encode_into(&value, Vec::with_capacity(bytes.len()));
    if canonical == bytes { Ok(value) } else { Err(EncodingError::NotCanonical) }
}

/// [`decode`], but that whoever calls it has to see to it that the form is the canonical one.
pub(crate) fn decode_any_spelling<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Result<T, EncodingError> {
    if bytes.len() > limit {
        return Err(EncodingError::TooLong { length: bytes.len(), limit });
    }
    serde_cbor::from_slice(bytes).map_err(|error| EncodingError::Malformed { offset: error.offset() })
}

/// Reads the first element of an array of two, and passes over the second: enough to tell what the bytes claim to be, before
/// they are read in full and checked.
pub fn peek_first<T: DeserializeOwned>(bytes: &[u8], limit: usize) -> Option<T> {
    if bytes.len() > limit {
        return None;
    }
    serde_cbor::from_slice::<(T, serde::de::IgnoredAny)>(bytes).ok().map(|(first, _)| first)
}

/// Gives a struct the array form: its named fields in the order written here.
///
/// `array_form!(Header { version, height })` reads and writes `[version, height]`.
#[macro_export]
macro_rules! array_form {
    ($name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                ($(&self.$field,)+).serialize(serializer)
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let ($($field,)+) = <($($type,)+)>::deserialize(deserializer)?;
                Ok(Self { $($field),+ })
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_spelling_is_refused() {
        assert_eq!(decode::<u64>(&[0x05], 8), Ok(5));
        assert_eq!(decode::<u64>(&[0x18, 0x05], 8), Err(EncodingError::NotCanonical), "5 in two bytes");
        assert_eq!(decode::<Vec<u64>>(&[0x9f, 0x05, 0xff], 8), Err(EncodingError::NotCanonical), "indefinite length");
    }

    #[test]
    fn numbers_are_as_short_as_they_go() {
        let edges = [0, 23, 24, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX];
        for number in edges.into_iter().flat_map(|edge| [edge.saturating_sub(1), edge, edge.saturating_add(1)]) {
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            assert_eq!(bytes, encode(&number), "{number}");
        }
    }

    #[test]
    fn heads_of_arrays() {
        for count in [0, 1, 23, 24, 255, 256, 65_535, 65_536] {
            let head = array_head(count);
            assert_eq!(encode(&vec![7_u8; count]).get(..head.len()), Some(head.as_slice()), "{count}");
        }
    }

    #[test]
    fn limits_come_first() {
        assert_eq!(decode::<u64>(&[0; 9], 8), Err(EncodingError::TooLong { length: 9, limit: 8 }));
        let huge = [0x9b, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(
            matches!(decode::<Vec<u64>>(&huge, 16), Err(EncodingError::Malformed { .. })),
            "a claimed length of 2^40"
        );
        assert!(matches!(decode::<u64>(&[0x05, 0x05], 8), Err(EncodingError::Malformed { .. })), "trailing bytes");
    }
}
