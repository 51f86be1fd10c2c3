//! Freezes the consensus format: writes the vectors that are not there yet. What is frozen is never written again; to
//! change it, one has to delete a file by hand and to say why.
//!
//! `cargo run -p bard-tests --example freeze_vectors`

#![allow(clippy::print_stdout, reason = "a tool for the terminal")]

use std::io;

use bard_tests::{
    frozen::{
        blocks::{AddressCase, ChainCase, HeaderCase, TransactionCase, TreeCase},
        numbers::{AsertCase, SubsidyCase, TargetCase},
        state,
    },
    vector_files::freeze,
};

const OURS: &str = "examples/freeze_vectors.rs";
const ASERT: &str = "examples/freeze_vectors.rs, by src/asert_reference.rs; the regular runs have the parameters of the \
                     published ones (https://download.bitcoincashnode.org/misc/data/asert/test_vectors)";

fn main() -> io::Result<()> {
    report("headers.json", freeze("headers.json", OURS, &HeaderCase::all()))?;
    report("transactions.json", freeze("transactions.json", OURS, &TransactionCase::all()))?;
    report("addresses.json", freeze("addresses.json", OURS, &AddressCase::all()))?;
    report("trees.json", freeze("trees.json", OURS, &TreeCase::all()))?;
    report("chains.json", freeze("chains.json", OURS, &ChainCase::all()))?;
    report("state.json", freeze("state.json", OURS, &state::all()))?;
    report("targets.json", freeze("targets.json", OURS, &TargetCase::all()))?;
    report("subsidies.json", freeze("subsidies.json", OURS, &SubsidyCase::all()))?;
    report("asert.json", freeze("asert.json", ASERT, &AsertCase::all()))
}

fn report(name: &str, result: io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) => println!("{name}: frozen"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => println!("{name}: kept, it is frozen already"),
        Err(error) => return Err(error),
    }
    Ok(())
}
