//! Frames: how a request or an answer lies in a stream.
//!
//! `length: u32, big-endian` ‖ `version: u8` ‖ `canonical CBOR`. The length counts version and CBOR.

use bard_chain::encoding;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    WireError,
    limits::{FRAME_PREFIX_LEN, FRAME_VERSION},
};

/// An answer that can be replaced by a short one when it has grown too large for a frame.
pub trait Answer: Serialize + DeserializeOwned {
    /// What is sent instead.
    fn too_large() -> Self;
}

/// The length of the body that `prefix` announces, if it is within `limit` bytes. Called before anything is reserved.
///
/// # Errors
/// [`WireError::TooLong`] and [`WireError::Empty`].
pub fn body_len(prefix: [u8; FRAME_PREFIX_LEN], limit: usize) -> Result<usize, WireError> {
    let length = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    match length {
        0 => Err(WireError::Empty),
        length if length > limit => Err(WireError::TooLong { length, limit }),
        length => Ok(length),
    }
}

/// Reads the body of a frame: version and message.
///
/// # Errors
/// [`WireError`], whichever of its reasons applies first.
pub fn open<T: Serialize + DeserializeOwned>(body: &[u8], limit: usize) -> Result<T, WireError> {
    match body.split_first() {
        None => Err(WireError::Empty),
        Some((&FRAME_VERSION, message)) => Ok(encoding::decode(message, limit)?),
        Some((&version, _)) => Err(WireError::UnknownVersion { version }),
    }
}

/// The whole frame of `message`: prefix, version, canonical bytes.
///
/// # Errors
/// [`WireError::TooLong`] if its body exceeds `limit` bytes: its reader would refuse it.
pub fn seal<T: Serialize>(message: &T, limit: usize) -> Result<Vec<u8>, WireError> {
    let message = encoding::encode(message);
    let length = message.len().saturating_add(1);
    let prefix = u32::try_from(length).ok().filter(|_| length <= limit).ok_or(WireError::TooLong { length, limit })?;
    let mut frame = Vec::with_capacity(FRAME_PREFIX_LEN.saturating_add(length));
    frame.extend_from_slice(&prefix.to_be_bytes());
    frame.push(FRAME_VERSION);
    frame.extend_from_slice(&message);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_is_fixed() {
        assert_eq!(seal(&(1_u8, 2_u8), 64), Ok(vec![0, 0, 0, 4, 1, 0x82, 1, 2]));
    }

    #[test]
    fn lengths_are_checked_first() {
        assert_eq!(body_len([0, 0, 1, 0], 256), Ok(256));
        assert_eq!(body_len([0, 0, 1, 1], 256), Err(WireError::TooLong { length: 257, limit: 256 }));
        assert_eq!(body_len([0xff; 4], 256), Err(WireError::TooLong { length: 0xffff_ffff, limit: 256 }));
        assert_eq!(body_len([0; 4], 256), Err(WireError::Empty));
        assert_eq!(seal(&0_u8, 1), Err(WireError::TooLong { length: 2, limit: 1 }));
    }

    #[test]
    fn an_unknown_version_is_named() {
        let error = open::<u8>(&[9, 5], 64).expect_err("version 9");
        assert_eq!(error.to_string(), "frame version 9, only version 1 is known");
        assert_eq!(open::<u8>(&[], 64), Err(WireError::Empty));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(value in any::<(u64, String)>()) {
            let frame = seal(&value, 1 << 20).expect("short");
            let prefix = frame[..FRAME_PREFIX_LEN].try_into().expect("four bytes");
            prop_assert_eq!(body_len(prefix, 1 << 20), Ok(frame.len() - FRAME_PREFIX_LEN));
            prop_assert_eq!(open(&frame[FRAME_PREFIX_LEN..], 1 << 20), Ok(value));
        }

        #[test]
        fn junk_never_panics(body in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = open::<(u64, Vec<u8>)>(&body, 256);
        }
    }
}
