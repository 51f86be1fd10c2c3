//! Real nodes on loopback: they find each other, agree, catch up, survive crashes, and stop when told.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod agreement;
mod announcing;
mod archive;
mod catching_up;
mod crash;
mod damage;
mod discovery;
mod events;
mod meeting;
mod partition;
mod pool;
mod reconnecting;
mod stopping;
