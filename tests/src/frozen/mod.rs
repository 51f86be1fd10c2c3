//! What is frozen of the consensus format: a case of each kind holds its inputs and what they gave when it was frozen.
//!
//! A test makes the case again from its inputs and compares; `examples/freeze_vectors.rs` writes the files once.

pub mod blocks;
pub mod numbers;
pub mod state;
