//! Every way to meet, alone: five nodes become one network, carry a block to all, outlive the node or server that brought
//! them together, and admit a newcomer.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod crowd;
mod group;
mod invitation;
mod memory;
mod two_chains;
mod ways;
