//! The architecture: which crate and which room may use what, read from `cargo metadata` and from the sources.
//!
//! A room is a file or folder of a crate's `src`. A rule about a room that does not exist yet holds by itself.

mod crates;
mod documents;
mod files;
mod imports;
mod rooms;
mod runbook;
mod typed;
