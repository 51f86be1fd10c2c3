//! Vectors: the bytes, hashes and numbers of the consensus format as they were frozen, and those that others published.
//!
//! Each file of `vectors/data` is read by exactly one test, through the table here; a file that no test reads fails.

mod asert;
mod blake3_reference;
mod cbor;
mod cddl;
mod frozen;
mod published;

use bard_tests::vector_files;

macro_rules! each_file {
    ($($file:literal => $test:ident by $check:path;)+) => {
        const READ: &[&str] = &[$($file),+];

        $(
            #[test]
            fn $test() {
                for (index, case) in vector_files::read($file).iter().enumerate() {
                    $check(case).unwrap_or_else(|problem| panic!("{}, case {index}: {problem}", $file));
                }
            }
        )+
    };
}

each_file! {
    // Ours, frozen.
    "headers.json" => headers by frozen::header;
    "transactions.json" => transactions by frozen::transaction;
    "addresses.json" => addresses by frozen::address;
    "trees.json" => trees by frozen::tree;
    "chains.json" => chains by frozen::chain;
    "state.json" => state by frozen::state;
    "targets.json" => targets by frozen::target;
    "subsidies.json" => subsidies by frozen::subsidy;
    "asert.json" => our_asert by asert::run;
    // Published by others.
    "aserti3-2d.json" => aserti3_2d by asert::run;
    "bip350.json" => bech32m by published::bech32m;
    "rfc8032.json" => ed25519 by published::ed25519;
    "sign.input.json" => ed25519_by_our_own_door by published::ed25519_claim;
    "zip215.json" => small_order_points by published::small_order;
    "sha256.json" => sha256 by published::sha256;
    "blake3.json" => blake3 by published::blake3;
}

#[test]
fn every_file_is_read() {
    let mut read = READ.to_vec();
    read.sort_unstable();
    assert_eq!(
        vector_files::names(),
        read,
        "the files in the folder on the left, those that a test reads on the right"
    );
}
