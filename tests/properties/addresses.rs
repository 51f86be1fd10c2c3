//! Addresses as texts: written as BIP-350 says, and in no other way.

use bard_chain::address::Address;
use proptest::{prelude::*, sample::Index};

use crate::{cases, strategies};

const CHARACTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Bech32m by hand, from the pseudocode of BIP-350: the prefix, and numbers of 5 bits.
fn bech32m(prefix: &str, data: &[u8]) -> String {
    let expanded = prefix.bytes().map(|byte| byte >> 5).chain([0]).chain(prefix.bytes().map(|byte| byte & 31));
    let all = expanded.chain(data.iter().copied()).chain([0; 6]);
    let checksum = all.fold(1_u32, |sum, value| {
        const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let top = sum >> 25;
        let next = (sum & 0x1ff_ffff) << 5 ^ u32::from(value);
        (0..5).filter(|bit| top >> bit & 1 == 1).fold(next, |next, bit| next ^ GENERATOR[bit])
    }) ^ 0x2bc8_30a3;
    let tail = (0..6).map(|i| u8::try_from(checksum >> (5 * (5 - i)) & 31).expect("5 bits"));
    let written = data.iter().copied().chain(tail).map(|five| char::from(CHARACTERS[usize::from(five)]));
    format!("{prefix}1{}", written.collect::<String>())
}

/// The bits of bytes in groups of 5, the last filled up with `padding`.
fn fives(bytes: &[u8], padding: u8) -> Vec<u8> {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let value = |group: &[u8]| group.iter().fold(0, |value, bit| value << 1 | bit);
    let mut groups: Vec<u8> = bits.chunks(5).map(value).collect();
    let missing = groups.len() * 5 - bits.len();
    if let Some(last) = groups.last_mut() {
        *last = *last << missing | padding;
    }
    groups
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn written_as_the_standard_says(address in strategies::address()) {
        let by_hand = bech32m("bard", &fives(address.as_bytes(), 0));
        prop_assert_eq!(address.to_string(), &*by_hand);
        prop_assert_eq!(by_hand.parse(), Ok(address));
        prop_assert_eq!(by_hand.to_uppercase().parse(), Ok(address));
    }

    #[test]
    fn up_to_four_wrong_characters_are_always_noticed(
        address in strategies::address(),
        wrong in prop::collection::vec((any::<Index>(), any::<Index>()), 1..=4),
    ) {
        let text = address.to_string();
        let mut mistyped = text.clone().into_bytes();
        for (at, character) in &wrong {
            let at = 5 + at.index(text.len() - 5);
            mistyped[at] = *character.get(CHARACTERS);
        }
        let mistyped = String::from_utf8(mistyped).expect("ASCII");
        prop_assert_eq!(mistyped.parse::<Address>().is_ok(), mistyped == text);
    }

    #[test]
    fn no_key_has_a_second_address(address in strategies::address(), padding in 1..16_u8) {
        let padded = bech32m("bard", &fives(address.as_bytes(), padding));
        prop_assert!(padded.parse::<Address>().is_err(), "{padded} stands for {address} as well");
        let mut mixed = address.to_string();
        if let Some(first) = mixed.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        prop_assert!(mixed.parse::<Address>().is_err());
    }

    #[test]
    fn other_lengths_and_prefixes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), prefix in "[a-z]{1,8}") {
        let text = bech32m("bard", &fives(&bytes, 0));
        prop_assert_eq!(text.parse::<Address>().is_ok(), bytes.len() == 32);
        let text = bech32m(&prefix, &fives(&[7; 32], 0));
        prop_assert_eq!(text.parse::<Address>().is_ok(), prefix == "bard");
    }
}
