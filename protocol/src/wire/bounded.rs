//! Lists that refuse to be read when they have more elements than their limit.

use core::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Visitor},
};
use serde_bytes::{ByteBuf, Bytes};

/// A list of at most `MAX` elements. Writing does not check: whoever builds a message keeps to the limits.
pub(crate) struct Bounded<T, const MAX: usize>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T, const MAX: usize>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Elements<T, MAX> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX} elements")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
                let mut elements = Vec::new();
                if let Some(length) = sequence.size_hint().filter(|length| *length > MAX) {
                    return Err(de::Error::invalid_length(length, &self));
                }
                while let Some(element) = sequence.next_element()? {
                    if elements.len() == MAX {
                        return Err(de::Error::invalid_length(MAX + 1, &self));
                    }
                    elements.push(element);
                }
                Ok(elements)
            }
        }

        deserializer.deserialize_seq(Elements::<T, MAX>(PhantomData)).map(Self)
    }
}

/// Byte strings as they are written: a plain `Vec<u8>` would become an array of numbers.
pub(crate) struct ByteStrings<'a>(pub(crate) &'a [Vec<u8>]);

impl Serialize for ByteStrings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|bytes| Bytes::new(bytes)))
    }
}

impl<const MAX: usize> Bounded<ByteBuf, MAX> {
    /// The byte strings that were read.
    pub(crate) fn into_byte_strings(self) -> Vec<Vec<u8>> {
        self.0.into_iter().map(ByteBuf::into_vec).collect()
    }
}

/// The next field of a message written as an array, or an error that says that it lacks one.
pub(crate) fn next_field<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(fields: &mut A) -> Result<T, A::Error> {
    fields.next_element()?.ok_or_else(|| de::Error::custom("the message lacks a field"))
}
