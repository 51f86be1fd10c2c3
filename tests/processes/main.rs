//! Real nodes on loopback: they find each other, agree, catch up, survive crashes, and stop when told.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod agreement;
mod announcing;
mod archive;
mod bans;
mod catching_up;
mod crash;
mod damage;
mod discovery;
mod events;
mod lab;
mod meeting;
mod partition;
mod past;
mod pool;
mod reconnecting;
mod room;
mod snapshot;
mod stopping;
mod trials;
