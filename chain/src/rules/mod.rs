//! The levels of validity, cheap before dear. Each has a type that only its own check can build:
//!
//! [`isolated`] (the block alone) -> [`in_chain`] (its header after the headers before it) -> [`in_state`] (what it does to
//! the ledger). The names of the files are the table of contents of the rulebook; [`crate::invalid`] is its index.

pub mod in_chain;
pub mod in_state;
pub mod isolated;
