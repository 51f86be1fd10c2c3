//! What is true on a BlockBard chain: blocks, proof of work, validation. Pure: no clock, no files, no network, no
//! randomness, no threads; whoever calls hands in the time and a [`source::Source`] of what is stored.
//!
//! # Levels of validity
//! Bytes fall through ever stricter types, cheap checks before dear ones:
//!
//! | type | says | needs |
//! |---|---|---|
//! | [`rules::isolated::Unsigned`] | form, sizes, work, transactions root, fields | the bytes and the specification |
//! | [`rules::isolated::Isolated`] | and every signature | |
//! | [`rules::in_chain::Position`] | parent, height, target, time | the headers before |
//! | [`rules::in_state::InState`] | every transaction applies, the state root is right | the ledger before |
//!
//! # Invariants
//! - The active chain is the valid one with the most work; of two with the same, the one seen first.
//! - What the accounts hold together is what the specification allocated plus the subsidies of the active chain.
//! - The state root of the tip's header is the commitment to exactly the accounts and items that there are.
//! - Applying a block and taking it back leaves nothing changed.
//! - Everything hashed has exactly one spelling ([`encoding`]).
//!
//! # Who may import whom
//! Ground (`units hash hash_many encoding target pow`) < data (`address signature transaction block merkle`) < `rules`, `ledger`, `spec`
//! < `tree` < `engine` < `mempool`, `template`, `branch`, `receipt`, `snapshot`.

#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod address;
pub mod block;
pub mod branch;
pub mod difficulty;
pub mod encoding;
pub mod engine;
pub mod hash;
mod hash_many;
pub mod invalid;
pub mod ledger;
pub mod mempool;
pub mod merkle;
pub mod pow;
pub mod presets;
pub mod receipt;
pub mod rules;
pub mod signature;
pub mod snapshot;
pub mod source;
pub mod spec;
pub mod target;
pub mod template;
pub mod transaction;
pub mod tree;
pub mod units;
