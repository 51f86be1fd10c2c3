//! The programs that BlockBard replaces: their documented sessions, replayed as they were typed.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod blockbard;
mod caller;
mod guard;
mod keys;
mod menu;
mod mistakes;
mod numbered;
mod prototype;
mod simulation;
mod whole_chain;
