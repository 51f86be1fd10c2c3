//! Real nodes on loopback: they find each other, agree, catch up, survive crashes, and stop when told.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod agreement;
mod discovery;
