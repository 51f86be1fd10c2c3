//! The specification of a chain: what somebody who was invited asks for first, knowing only the chain's id.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{bounded::Bounded, frame};

/// "What is your chain?"
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpecRequest;

/// The specification as TOML; empty where the answerer does not tell it now. Whoever asked compares it with the id that it
/// knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecResponse(pub String);

impl frame::Answer for SpecResponse {
    fn too_large() -> Self {
        Self::default()
    }
}

impl Serialize for SpecRequest {
    /// An empty array.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [(); 0].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SpecRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bounded::<(), 0>::deserialize(deserializer).map(|_| Self)
    }
}

impl Serialize for SpecResponse {
    /// A text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SpecResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use bard_chain::{encoding, spec::MAX_FILE_LEN};

    use super::*;
    use crate::wire::limits::{SPEC_REQUEST_MAX_LEN, SPEC_RESPONSE_MAX_LEN};

    #[test]
    fn the_request_is_an_empty_array_and_the_answer_a_text() {
        assert_eq!(encoding::encode(&SpecRequest), [0x80]);
        assert_eq!(encoding::decode(&[0x80], SPEC_REQUEST_MAX_LEN), Ok(SpecRequest));
        assert_eq!(encoding::encode(&SpecResponse("ab".into())), [0x62, b'a', b'b']);
        assert!(encoding::decode::<SpecResponse>(&[0x81, 0x60], 16).is_err());
    }

    #[test]
    fn the_longest_file_fits_its_frame() {
        let response = SpecResponse("x".repeat(MAX_FILE_LEN));
        let frame = frame::seal(&response, SPEC_RESPONSE_MAX_LEN).expect("within the limit");
        assert_eq!(frame::open(&frame[4..], SPEC_RESPONSE_MAX_LEN), Ok(response));
    }
}
